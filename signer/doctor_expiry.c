/* What expires when: metadata, certificates, the CRL. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/x509.h"
#include "common/limits.h"
#include "signer/doctor.h"
#include "signer/fleet.h"

/* One thing that expires. life_s: of what machines renew, the whole life; it is due only when half
 * of that has gone, or a timestamp of 24 hours would always be. 0 for all else. */
struct expiry {
	const char *kind, *name, *remedy;
	int64_t expires_s;
	uint64_t life_s;
};

static const char *
state_of(const struct doctor *d, const struct expiry *x)
{
	uint64_t soon_s = d->within_s;

	if (x->expires_s <= d->now_s)
		return "expired";
	if (x->life_s > 0)
		soon_s = num_min(soon_s, x->life_s / 2);
	return (uint64_t)(x->expires_s - d->now_s) <= soon_s ? "due" : "ok";
}

static int
expiry_add(struct doctor *d, const struct expiry *x, struct err *e)
{
	const char *state = state_of(d, x);
	char at[CLOCK_TEXT_SIZE], span[DOCTOR_SPAN_SIZE], what[NAME_MAX + 64];
	json_t *problems,
		*row = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s}", "kind", x->kind, "name", x->name,
			"expires", clock_format(x->expires_s, at), "seconds_left",
			(json_int_t)(x->expires_s - d->now_s), "state", state, "do", x->remedy);

	if (json_array_append_new(json_object_get(d->report, "expiries"), row) < 0)
		return err_sys(e, ENOMEM, "doctor");
	(void)snprintf(what, sizeof(what), "%s%s%s", strcmp(x->kind, "role") == 0 ? "role " : "",
		x->name, strcmp(x->kind, "box certificates") == 0 ? "'s certificate" : "");
	if (strcmp(state, "ok") == 0)
		return 0;
	if ((strcmp(state, "expired") == 0
			    ? doctor_problem(
				      d, DOCTOR_BAD, x->remedy, e, "%s expired at %s", what, at)
			    : doctor_problem(d, DOCTOR_BAD, x->remedy, e, "%s expires in %s, at %s",
				      what, doctor_span(x->expires_s - d->now_s, span), at)) < 0)
		return -1;
	problems = json_object_get(d->report, "problems");
	return json_object_set_new(json_array_get(problems, json_array_size(problems) - 1),
		"seconds_left", json_integer((json_int_t)(x->expires_s - d->now_s)));
}

static int
role_expiry(struct doctor *d, const struct doctor_role *r, struct err *e)
{
	struct expiry x = {.kind = "role", .name = r->name, .expires_s = r->expires_s};

	if (r->expires_s == 0)
		return 0;
	if (r->power == POWER_TIMESTAMP) {
		x.life_s = d->w->timestamp_life_s;
		x.remedy = "sluice publish, every hour from a timer";
	} else if (r->power == POWER_SNAPSHOT) {
		x.life_s = d->w->snapshot_life_s;
		x.remedy = "sluice publish, every hour from a timer";
	} else if (r->power == POWER_GATES) {
		x.life_s = d->w->gates_life_s;
		x.remedy = "sluice metadata renew ROLE --key K, or any change of a gate";
	} else if (r->power == POWER_CERTIFICATES) {
		x.remedy = "sluice tls certify --key K, or `certificates` for the watch";
	} else if (r->power == POWER_ROOT) {
		x.remedy = "sluice metadata renew root --key K..., or sluice root rotate";
	} else {
		x.remedy = "sluice metadata renew ROLE --key K...";
	}
	return expiry_add(d, &x, e);
}

/* *there false: the file is not here, which is nobody's fault. */
static int
pem_read(struct doctor *d, const char *name, struct buf *pem, bool *there, struct err *e)
{
	char path[PATH_MAX];
	struct err why = ERR_INIT;

	*there = false;
	if (workspace_path(d->w, name, path, e) < 0)
		return -1;
	if (!file_exists(path))
		return 0;
	if (file_read(path, pem, &why) < 0)
		return doctor_problem(
			d, DOCTOR_WARNING, "let doctor run as its owner", e, "%s", why.text);
	*there = true;
	return 0;
}

static int
certificate_expiry(
	struct doctor *d, const char *file, const char *name, const char *remedy, struct err *e)
{
	AUTO_BUF struct buf pem = BUF_INIT(TLS_PEM_MAX);
	struct x509_dates dates;
	struct err why = ERR_INIT;
	bool there;

	if (pem_read(d, file, &pem, &there, e) < 0)
		return -1;
	if (!there)
		return 0;
	if (x509_cert_dates(buf_span(&pem), &dates, &why) < 0)
		return doctor_problem(
			d, DOCTOR_BAD, "put a certificate there", e, "%s: %s", file, why.text);
	return expiry_add(d,
		&(struct expiry){.kind = "certificate",
			.name = name,
			.remedy = remedy,
			.expires_s = dates.until_s},
		e);
}

static int
crl_expiry(struct doctor *d, struct err *e)
{
	AUTO_BUF struct buf pem = BUF_INIT(CRL_BYTES_MAX), ca = BUF_INIT(TLS_PEM_MAX);
	AUTO_CAS struct x509_bundle cas = {0};
	struct x509_dates dates;
	struct err why = ERR_INIT;
	bool there, has_ca;

	if (pem_read(d, "tls/crl.pem", &pem, &there, e) < 0 ||
		pem_read(d, "tls/ca.crt", &ca, &has_ca, e) < 0)
		return -1;
	if (!there && has_ca)
		return doctor_problem(d, DOCTOR_BAD, "run `sluice publish`, which makes a new one",
			e, "tls/crl.pem is missing: the web server does not start without it");
	/* Whose CRL it is to be is not known without the CA's certificate. */
	if (!there || !has_ca)
		return 0;
	if (x509_bundle_read(buf_span(&ca), &cas, &why) < 0)
		return doctor_problem(d, DOCTOR_BAD, "put the CA's certificate there", e,
			"tls/ca.crt: %s", why.text);
	if (x509_crls_check(&cas, buf_span(&pem), &dates, &why) < 0)
		return doctor_problem(d, DOCTOR_BAD,
			"remove it and run `sluice publish`, which makes a new one", e,
			"tls/crl.pem: %s", why.text);
	return expiry_add(d,
		&(struct expiry){.kind = "crl",
			.name = "the CRL",
			.remedy = "sluice publish, where tls/ca.key is; the web server must reload",
			.expires_s = dates.until_s,
			.life_s = d->w->crl_life_s},
		e);
}

static int
boxes_expiry(struct doctor *d, struct err *e)
{
	AUTO_FLEET struct fleet *f = NULL;
	struct fleet_census c;
	struct err why = ERR_INIT;

	if (fleet_open_read(d->w, &f, &why) < 0) {
		if (why.errnum == ENOENT)
			return 0;
		return doctor_problem(
			d, DOCTOR_WARNING, "let doctor run as its owner", e, "%s", why.text);
	}
	if (fleet_census(f, d->now_s, d->now_s + (int64_t)d->within_s, &c, e) < 0)
		return -1;
	if (json_object_set_new(d->report, "boxes",
		    json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)c.boxes, "revoked",
			    (json_int_t)c.revoked, "expired", (json_int_t)c.expired, "due",
			    (json_int_t)(c.due - c.expired))) < 0)
		return err_sys(e, ENOMEM, "doctor");
	if (!c.earliest[0])
		return 0;
	/* Boxes ask in the last third of their certificates' lives. */
	if (!doctor_speaks_for(d, "certificates/box.crt") &&
		c.earliest_s - d->now_s <
			(int64_t)num_max(d->within_s, d->w->box_cert_life_s / 3) &&
		doctor_problem(d, DOCTOR_WARNING,
			"sluice role add certificates, and authorities; see `sluice tls --help`", e,
			"boxes cannot renew their certificates: no role speaks for them") < 0)
		return -1;
	return expiry_add(d,
		&(struct expiry){.kind = "box certificates",
			.name = c.earliest,
			.remedy = "a box renews it by itself while it can connect (`sluice tls "
				  "--help`); else box revoke, and box add gives it a new one",
			.expires_s = c.earliest_s},
		e);
}

int
doctor_look_at_expiry(struct doctor *d, struct err *e)
{
	for (size_t i = 0; i < d->role_count; i++) {
		if (role_expiry(d, &d->roles[i], e) < 0)
			return -1;
	}
	if (certificate_expiry(d, "tls/ca.crt", "the fleet's CA",
		    "`sluice tls ca add` makes the next one; boxes need weeks to follow", e) < 0 ||
		certificate_expiry(d, "tls/server.crt", "the server's certificate",
			"sluice tls renew, if the fleet's CA made it", e) < 0)
		return -1;
	return crl_expiry(d, e) < 0 || boxes_expiry(d, e) < 0 ? -1 : 0;
}
