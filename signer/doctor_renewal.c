/* Whether boxes get their next certificates: who could give them, and who takes none. */
#include <errno.h>
#include <inttypes.h>

#include "signer/authority.h"
#include "signer/doctor.h"
#include "signer/fleet.h"
#include "signer/overlap.h"
#include "signer/registrar.h"
#include "signer/renewal.h"

/* Two CAs are one too many, for either lets boxes in. */
static int
overlap_look(struct doctor *d, struct fleet *f, struct err *e)
{
	AUTO_OVERLAP struct overlap o = {0};
	struct err why = ERR_INIT;

	if (overlap_read(d->w, f, &o, &why) < 0)
		return why.errnum == ENOENT ? 0
					    : doctor_problem(d, DOCTOR_WARNING,
						      "see `sluice tls --help`", e, "%s", why.text);
	if (o.cas.count == 1)
		return 0;
	if (!o.switched)
		return doctor_problem(d, DOCTOR_WARNING, "sluice tls ca switch, when none are left",
			e,
			"the next CA does not issue yet: %" PRIu64 " boxes do not know it, %" PRIu64
			" have never been heard of",
			o.census.unaware, o.census.unheard);
	return doctor_problem(d, DOCTOR_WARNING, "sluice tls ca drop, when none are left", e,
		"the old CA is still believed: %" PRIu64 " boxes have certificates of it",
		o.census.strangers);
}

static int
untaken_look(struct doctor *d, struct fleet *f, struct err *e)
{
	struct renewal_untaken u;

	if (renewal_untaken(f, registrar_patience_s(d->w), &u, e) < 0)
		return -1;
	if (u.boxes == 0)
		return 0;
	return doctor_problem(d, DOCTOR_WARNING,
		"the log of such a box says why; its certificate ends unless it takes another", e,
		"%" PRIu64 " boxes do not take the certificates that they are given (%s, for one)",
		u.boxes, u.box);
}

/* As after fleet.db was restored from before they were given. */
static int
unknown_look(struct doctor *d, struct fleet *f, struct err *e)
{
	struct fleet_census c;

	if (fleet_census(f, d->now_s, d->now_s, &c, e) < 0)
		return -1;
	if (c.unknown == 0)
		return 0;
	return doctor_problem(d, DOCTOR_WARNING,
		"box revoke and box add give it one; only `sluice tls ca` ends the other", e,
		"%" PRIu64 " boxes show certificates that fleet.db does not know (%s, for one): "
		"when they end is not known, and they cannot be revoked",
		c.unknown, c.unknown_box);
}

static int
fleet_look(struct doctor *d, struct err *e)
{
	AUTO_FLEET struct fleet *f = NULL;
	struct sql *s = NULL;

	/* doctor_look_at_expiry has told why. */
	if (fleet_open_read(d->w, &f, NULL) < 0)
		return 0;
	if (overlap_look(d, f, e) < 0)
		return -1;
	/* Before that format boxes said nothing of it. */
	if (fleet_sql(f, &s, NULL) < 0)
		return 0;
	return untaken_look(d, f, e) < 0 || unknown_look(d, f, e) < 0 ? -1 : 0;
}

/* Boxes that reach the server by another CA than the fleet's hear of that one from the site, or
 * believe no certificate of it. */
static int
server_look(struct doctor *d, struct err *e)
{
	struct err why = ERR_INIT;
	bool ours;

	if (authority_made_server(d->w, &ours, &why) < 0)
		return doctor_problem(
			d, DOCTOR_WARNING, "put certificates there", e, "%s", why.text);
	if (ours || doctor_speaks_for(d, REGISTRAR_AUTHORITIES))
		return 0;
	return doctor_problem(d, DOCTOR_WARNING,
		"sluice role add authorities; see `sluice tls --help`", e,
		"the server's certificate is of another CA, and no role speaks for authorities: "
		"boxes that do not know the fleet's CA refuse each next certificate");
}

int
doctor_look_at_renewal(struct doctor *d, struct err *e)
{
	return server_look(d, e) < 0 ? -1 : fleet_look(d, e);
}
