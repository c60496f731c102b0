#include "signer/fleet_schema.h"

#include "common/base/num.h"

static const char boxes_and_certificates[] =
	"CREATE TABLE box ("
	" name TEXT PRIMARY KEY NOT NULL,"
	" compatible TEXT NOT NULL,"
	" tags TEXT NOT NULL,"
	" report_key TEXT NOT NULL,"
	" added_s INTEGER NOT NULL,"
	" revoked_s INTEGER NOT NULL DEFAULT 0"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE certificate ("
	" serial TEXT PRIMARY KEY NOT NULL,"
	" box TEXT NOT NULL REFERENCES box(name),"
	" from_s INTEGER NOT NULL,"
	" until_s INTEGER NOT NULL,"
	" revoked_s INTEGER NOT NULL DEFAULT 0"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX certificate_box ON certificate(box);"
	"CREATE TABLE counter (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT;"
	"INSERT INTO counter VALUES ('crl', 0);"
	"PRAGMA user_version = 1;";

/* Boxes get numbers: a name in each row of each table would be most of them.
 *
 * report keeps its own row numbers, so that reports of a million boxes, which come in no order, are
 * appended, and only its index is written all over. What is known now of a box is read for all of
 * them at once, so it is a table of its own, without what only a look at one box wants.
 *
 * A wave's counts are kept as participants change: counting a million of them takes a second. */
static const char reports_and_rollouts[] =
	"CREATE TABLE box_2 ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL UNIQUE,"
	" compatible TEXT NOT NULL,"
	" tags TEXT NOT NULL,"
	" report_key TEXT NOT NULL,"
	" added_s INTEGER NOT NULL,"
	" revoked_s INTEGER NOT NULL DEFAULT 0"
	") STRICT;"
	"INSERT INTO box_2 SELECT NULL, * FROM box ORDER BY added_s, name;"
	"DROP TABLE box;"
	"ALTER TABLE box_2 RENAME TO box;"

	"CREATE TABLE report ("
	" id INTEGER PRIMARY KEY,"
	" box INTEGER NOT NULL,"
	" seq INTEGER NOT NULL,"
	" at_s INTEGER NOT NULL,"
	" heard_s INTEGER NOT NULL,"
	" state TEXT NOT NULL,"
	" outcome TEXT NOT NULL,"
	" boot_id TEXT NOT NULL,"
	" plan TEXT NOT NULL,"
	" rollout TEXT NOT NULL,"
	" plan_version INTEGER NOT NULL,"
	" wave TEXT NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" bundle TEXT NOT NULL,"
	" version TEXT NOT NULL,"
	" bundle_sha256 TEXT NOT NULL,"
	" running TEXT NOT NULL,"
	" linked TEXT NOT NULL,"
	" rollback_floor INTEGER NOT NULL,"
	" source TEXT NOT NULL,"
	" class TEXT NOT NULL,"
	" detail TEXT NOT NULL,"
	" log TEXT NOT NULL,"
	" UNIQUE (box, seq)"
	") STRICT;"

	/* outcome and class are of the last report that decided something, failed_seq of the last
	 * that did so badly; the update that this was began at failed_from. Reports to pruned_seq
	 * are gone; kept counts those since. */
	"CREATE TABLE known ("
	" box INTEGER PRIMARY KEY,"
	" seq INTEGER NOT NULL,"
	" at_s INTEGER NOT NULL,"
	" heard_s INTEGER NOT NULL,"
	" state TEXT NOT NULL,"
	" outcome TEXT NOT NULL,"
	" class TEXT NOT NULL,"
	" outcome_seq INTEGER NOT NULL,"
	" version TEXT NOT NULL,"
	" running TEXT NOT NULL,"
	" linked TEXT NOT NULL,"
	" rollback_floor INTEGER NOT NULL,"
	" compatible TEXT NOT NULL,"
	" tags TEXT NOT NULL,"
	" plan TEXT NOT NULL,"
	" stops TEXT NOT NULL,"
	" began_seq INTEGER NOT NULL,"
	" failed_from INTEGER NOT NULL,"
	" failed_seq INTEGER NOT NULL,"
	" pruned_seq INTEGER NOT NULL,"
	" kept INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX known_full ON known(kept) WHERE kept > 96;"

	"CREATE TABLE stop_taken ("
	" stop TEXT NOT NULL,"
	" box INTEGER NOT NULL,"
	" PRIMARY KEY (stop, box)"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE rollout ("
	" id INTEGER PRIMARY KEY,"
	" path TEXT NOT NULL,"
	" rollout TEXT NOT NULL,"
	" version INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" sha256 TEXT NOT NULL,"
	" manifest TEXT NOT NULL,"
	" plan TEXT NOT NULL,"
	" begun_s INTEGER NOT NULL,"
	" ended_s INTEGER NOT NULL DEFAULT 0,"
	" accepted TEXT NOT NULL DEFAULT '',"
	" UNIQUE (path, sha256)"
	") STRICT;"
	"CREATE TABLE wave ("
	" rollout INTEGER NOT NULL,"
	" wave INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" opened_s INTEGER NOT NULL DEFAULT 0,"
	" boxes INTEGER NOT NULL DEFAULT 0,"
	" seen INTEGER NOT NULL DEFAULT 0,"
	" started INTEGER NOT NULL DEFAULT 0,"
	" ok INTEGER NOT NULL DEFAULT 0,"
	" failed INTEGER NOT NULL DEFAULT 0,"
	" reverted INTEGER NOT NULL DEFAULT 0,"
	" overdue INTEGER NOT NULL DEFAULT 0,"
	" inconclusive INTEGER NOT NULL DEFAULT 0,"
	" accepted_ok INTEGER NOT NULL DEFAULT 0,"
	" accepted_failed INTEGER NOT NULL DEFAULT 0,"
	" accepted_reverted INTEGER NOT NULL DEFAULT 0,"
	" accepted_overdue INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (rollout, wave)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE mark ("
	" rollout INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" value INTEGER NOT NULL,"
	" PRIMARY KEY (rollout, name)"
	") STRICT, WITHOUT ROWID;"

	/* heard_tick is of the clock that only runs while boxes can be heard (following.h). */
	"CREATE TABLE participant ("
	" rollout INTEGER NOT NULL,"
	" box INTEGER NOT NULL,"
	" wave INTEGER NOT NULL,"
	" status TEXT NOT NULL,"
	" started INTEGER NOT NULL,"
	" started_s INTEGER NOT NULL,"
	" start_boot TEXT NOT NULL,"
	" heard_s INTEGER NOT NULL,"
	" heard_tick INTEGER NOT NULL,"
	" seq INTEGER NOT NULL,"
	" PRIMARY KEY (rollout, box)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX participant_silent ON participant(rollout, heard_tick)"
	" WHERE status = 'started';"

	"CREATE TABLE aside ("
	" file TEXT PRIMARY KEY NOT NULL,"
	" inode INTEGER NOT NULL,"
	" at_s INTEGER NOT NULL,"
	" reason TEXT NOT NULL"
	") STRICT;"
	"INSERT INTO counter VALUES ('reports', 0), ('duplicates', 0), ('aside', 0), ('clashes', "
	"0),"
	" ('listened_s', 0), ('listened_at_s', 0), ('followings', 0);"
	"PRAGMA user_version = 2;";

/* credential: what a box says of the certificate and the CAs that it uses, in its report seq; what
 * it was made with in report 0. It is
 * not in table known, which is read for a million boxes at once, without it.
 *
 * renewal: request is '' where a box asks for nothing, and certificate where it has no answer yet.
 * until_s: how long the one that it has lasts. answered_s: when it last was given one, or none.
 *
 * A certificate's issuer is the SHA-256 of its CA's, or '' for the first that a fleet had. */
static const char renewals[] =
	"ALTER TABLE certificate ADD COLUMN issuer TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE credential ("
	" box INTEGER PRIMARY KEY,"
	" seq INTEGER NOT NULL,"
	" serial TEXT NOT NULL,"
	" authorities TEXT NOT NULL"
	") STRICT;"
	"CREATE TABLE renewal ("
	" box INTEGER PRIMARY KEY,"
	" request TEXT NOT NULL,"
	" until_s INTEGER NOT NULL,"
	" answered_s INTEGER NOT NULL DEFAULT 0,"
	" serial TEXT NOT NULL DEFAULT '',"
	" certificate TEXT NOT NULL DEFAULT ''"
	") STRICT;"
	"CREATE INDEX renewal_waiting ON renewal(until_s) WHERE request != '' AND certificate = '';"
	"CREATE INDEX renewal_answered ON renewal(answered_s) WHERE certificate != '';"
	"PRAGMA user_version = 3;";

/* An event is kept once it has gone out, so that the fact that it tells of is told once; a
 * delivery is an event on its way to one webhook. */
static const char events[] =
	"CREATE TABLE event ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL UNIQUE,"
	" kind TEXT NOT NULL,"
	" at_s INTEGER NOT NULL,"
	" body TEXT NOT NULL"
	") STRICT;"
	"CREATE TABLE delivery ("
	" event INTEGER NOT NULL,"
	" url TEXT NOT NULL,"
	" state TEXT NOT NULL,"
	" tries INTEGER NOT NULL DEFAULT 0,"
	" since_s INTEGER NOT NULL,"
	" next_s INTEGER NOT NULL,"
	" answer TEXT NOT NULL DEFAULT '',"
	" PRIMARY KEY (event, url)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX delivery_waiting ON delivery(url, next_s) WHERE state = 'waiting';"
	"CREATE INDEX delivery_dead ON delivery(event) WHERE state = 'dead';"

	/* Versions of roles as they were last told of. */
	"CREATE TABLE told_role ("
	" role TEXT PRIMARY KEY NOT NULL,"
	" version INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"

	/* When boxes could not be heard. */
	"CREATE TABLE outage (from_s INTEGER PRIMARY KEY, until_s INTEGER NOT NULL) STRICT;"

	/* What a box last said of its audit, and when that was last told. */
	"ALTER TABLE known ADD COLUMN authentic TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE known ADD COLUMN audit_told_s INTEGER NOT NULL DEFAULT 0;"
	"PRAGMA user_version = 4;";

/* Who asks for a certificate, in the order in which they have their turn. */
static const char turns[] =
	"CREATE INDEX renewal_turn ON renewal(answered_s, until_s) WHERE request != '' AND "
	"certificate = '';"
	"PRAGMA user_version = 5;";

/* The plan of a report that tells of a start, as JSON, or ""; and what a box's audit had found when
 * that was last told. */
static const char hauls[] = "ALTER TABLE report ADD COLUMN haul TEXT NOT NULL DEFAULT '';"
			    "ALTER TABLE known ADD COLUMN audit_told TEXT NOT NULL DEFAULT '';"
			    "PRAGMA user_version = 6;";

/* From each version to the next. */
static const char *const steps[] = {
	boxes_and_certificates, reports_and_rollouts, renewals, events, turns, hauls};
_Static_assert(ARRAY_LEN(steps) == FLEET_SCHEMA_VERSION, "a version has no step that leads to it");

int
fleet_schema_version(struct sql *s, int64_t *out, struct err *e)
{
	return sql_get(s, NULL, out, e, "PRAGMA user_version", "");
}

/* Another process may have been first. */
static int
steps_take(struct sql *s, struct err *e)
{
	int64_t version = 0;

	if (fleet_schema_version(s, &version, e) < 0)
		return -1;
	for (int64_t i = version; i < FLEET_SCHEMA_VERSION; i++) {
		if (sql_run(s, steps[i], e) < 0)
			return -1;
	}
	return 0;
}

int
fleet_schema_make(struct sql *s, struct err *e)
{
	int64_t version = 0;

	if (fleet_schema_version(s, &version, e) < 0)
		return -1;
	if (version > FLEET_SCHEMA_VERSION || version < 0)
		return err_set(e, ERR_REFUSED,
			"fleet.db is of format %lld; this program knows up to %d: use the newer "
			"one",
			(long long)version, FLEET_SCHEMA_VERSION);
	if (version == FLEET_SCHEMA_VERSION)
		return 0;
	if (sql_begin(s, e) < 0)
		return -1;
	return sql_end(s, steps_take(s, e), e);
}
