/* The hand of the watch: opens a wave, or stops, in the newest gate there is, and signs that.
 *
 * What is asked for is looked up first, in what waits in incoming/ and in what is published: who is
 * killed at any moment and asks again opens no wave twice, and stops nothing twice. */
#ifndef SLUICE_SIGNER_GATEKEEPER_H
#define SLUICE_SIGNER_GATEKEEPER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/crypto/seckey.h"
#include "common/format/gate.h"
#include "signer/course.h"
#include "signer/workspace.h"

struct gatekeeper {
	const struct workspace *w;   /* with sets_aside */
	const struct signer *signer; /* of the gates role */
};

enum kept {
	KEPT_SIGNED,  /* it waits in incoming/ for the publisher */
	KEPT_ALREADY, /* it did so, or is published */
	KEPT_BARRED,  /* it is not to be any more: stopped, paused, or another plan, meanwhile */
};

/* Opens the wave of c's plan, all those before it being open. ERR_REFUSED with EAGAIN where
 * somebody else signed meanwhile, and others of metadata_sign. */
int gatekeeper_open(const struct gatekeeper *k, const struct course *c, size_t wave, enum kept *out,
	struct err *e);

/* Stops c's plan. id is of the stop that stands then, this one or one before it. */
int gatekeeper_stop(const struct gatekeeper *k, const struct course *c, const char *reason,
	int64_t now_s, char id[STOP_ID_SIZE], enum kept *out, struct err *e);

/* Signs again what gates roles of this key have published, where less than half of its life is
 * left. *renewed gets their names, with commas between, also where it fails: a role that cannot be
 * loaded or signed is the error once all others are signed. */
int gatekeeper_renew(
	const struct gatekeeper *k, int64_t now_s, char *renewed, size_t size, struct err *e);

#endif
