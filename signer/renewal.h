/* Boxes' next certificates in fleet.db: who asks for one, who has been given one, who shows which.
 *
 * A box asks in a report, and asks on until it has its answer. There is one row a box, so a box
 * that asks without end makes nothing grow. */
#ifndef SLUICE_SIGNER_RENEWAL_H
#define SLUICE_SIGNER_RENEWAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/crypto/x509.h"
#include "common/format/report.h"
#include "signer/fleet.h"
#include "signer/sql.h"

/* What a new report of a box (its row in table box) says of its certificate. In the transaction of
 * who calls. A report that is older than another that said something is passed over. */
int renewal_hear(struct sql *s, int64_t box, const struct report *r, struct err *e);

/* A box that waits. */
struct renewal_request {
	int64_t box; /* in table box */
	char name[NAME_BYTES_MAX + 1];
	char request[CSR_PEM_MAX + 1];
	int64_t until_s; /* when the certificate that it has ends; 0: not known */
};

/* Up to max boxes that wait, and were not answered after since_s: those first that were never
 * answered, then those whose last answer is longest ago, so that boxes that cannot take theirs
 * starve no other; of these, those whose certificate ends first. Boxes that are revoked are not
 * among them. What was answered after now_s was so by a clock that was wrong, and counts as not
 * answered; of more than max of these, those come first that were answered first. What this costs
 * grows with max, not with those who wait. *out is owned. */
struct renewal_list {
	struct renewal_request *list;
	size_t count;
};
void renewal_list_free(struct renewal_list *l);
#define AUTO_RENEWAL_LIST CLEANUP(renewal_list_free)
int renewal_waiting(struct fleet *f, int64_t since_s, int64_t now_s, size_t max,
	struct renewal_list *out, struct err *e);

/* When the first certificate of all of these ends. *found false: none waits. */
int renewal_earliest(struct fleet *f, int64_t since_s, int64_t now_s, bool *found, int64_t *until_s,
	struct err *e);

/* Writes down what a box is given, durably: before that leaves this program, for a certificate that
 * fleet.db does not know could not be revoked. issuer: as in fleet_add. What the box was given
 * earlier and has run out is forgotten. *still false: the box asks for this no more, or is revoked,
 * and nothing was written. */
int renewal_answer(struct fleet *f, const struct renewal_request *r, const char *issuer,
	const struct x509_info *certificate, struct span pem, int64_t now_s, bool *still,
	struct err *e);

/* The box asks for nothing that it can be given. */
int renewal_refuse(struct fleet *f, const struct renewal_request *r, int64_t now_s, struct err *e);

/* Forgets answers given before since_s, or after now_s, that nobody took: so many. */
int renewal_expire(
	struct fleet *f, int64_t since_s, int64_t now_s, uint64_t *untaken, struct err *e);

/* Likewise up to max of those given at since_s or before, the oldest first, to make room. */
int renewal_yield(struct fleet *f, int64_t since_s, uint64_t max, uint64_t *untaken, struct err *e);

/* The boxes that were heard of, still with an older certificate, more than patience_s after one
 * began that they were given: they cannot take it, or will not. One of them by name. */
struct renewal_untaken {
	uint64_t boxes;
	char box[NAME_BYTES_MAX + 1];
};
int renewal_untaken(
	struct fleet *f, int64_t patience_s, struct renewal_untaken *out, struct err *e);

/* Calls each for every answer that is to lie on the site, in the order of names; ends as
 * fleet_each_box does. */
int renewal_each_answer(struct fleet *f,
	int (*each)(void *arg, const char *box, struct span pem, struct err *e), void *arg,
	struct err *e);

struct renewal_counts {
	uint64_t waiting, answered; /* boxes that ask, without an answer and with one */
	int64_t earliest_s;	    /* when the first certificate of those waiting ends; 0: none */
};
int renewal_count(struct fleet *f, struct renewal_counts *out, struct err *e);

/* The boxes that are not revoked, held against the CAs of the fleet. first: the SHA-256 of the
 * certificate of the CA that issues now, authorities: that of tls/ca.crt, both in hexadecimal. */
struct renewal_census {
	uint64_t strangers; /* have a certificate of another CA */
	uint64_t unaware;   /* have reported, and not that they have these CAs */
	uint64_t unheard;   /* have never reported, and were not made with these CAs */
	/* One of them each. */
	char stranger[NAME_BYTES_MAX + 1], unaware_box[NAME_BYTES_MAX + 1],
		unheard_box[NAME_BYTES_MAX + 1];
};
int renewal_census(struct fleet *f, const char *first, const char *authorities,
	struct renewal_census *out, struct err *e);

/* Whoever was issued a certificate before issuers were written down has it of the only CA that
 * there was then. */
int renewal_name_issuer(struct fleet *f, const char *issuer, struct err *e);

#endif
