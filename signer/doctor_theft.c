/* What would happen if each key, or a host, were stolen: from the delegations and thresholds as
 * they are. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/doctor.h"

enum { TEXT_SIZE = 512 };

#define POWER_ONLINE (POWER_SNAPSHOT | POWER_TIMESTAMP)
#define POWER_OFFLINE (POWER_ROOT | POWER_TARGETS)

/* What whoever has these keys (key id → anything) can do: the roles whose threshold they reach. */
static unsigned
power_with(const struct doctor *d, const json_t *ids)
{
	unsigned power = 0;

	for (size_t i = 0; i < d->role_count; i++) {
		const json_t *id;
		uint64_t count = 0;
		size_t k;

		json_array_foreach (d->roles[i].keyids, k, id)
			count += json_object_get(ids, json_string_value(id)) != NULL;
		if (count >= d->roles[i].threshold)
			power |= d->roles[i].power;
	}
	return power;
}

/* How long what is signed of such a role is believed: what lies there, or is signed today. */
static int64_t
life_of(const struct doctor *d, enum doctor_power power, uint64_t set_s)
{
	int64_t life_s = (int64_t)set_s;

	for (size_t i = 0; i < d->role_count; i++) {
		if ((d->roles[i].power & power) && d->roles[i].expires_s - d->now_s > life_s)
			life_s = d->roles[i].expires_s - d->now_s;
	}
	return life_s;
}

static const char *
signing_text(unsigned power)
{
	static const struct {
		unsigned power;
		const char *text;
	} words[] = {
		{POWER_ROOT, "everything: new keys for each role, so any software on any box"},
		{POWER_TARGETS, "any software on any box, by new releases, rollouts, gates"},
		{POWER_RELEASES | POWER_ROLLOUTS | POWER_GATES,
			"install software of its own making on every box"},
		{POWER_RELEASES | POWER_ROLLOUTS,
			"release and roll out its own software; only a gate is in between"},
		{POWER_ROLLOUTS | POWER_GATES,
			"put any released bundle on every box at once; none of its own"},
		{POWER_RELEASES | POWER_GATES,
			"release anything and open waves; cannot choose what a plan names"},
		{POWER_RELEASES, "release anything; no box takes it without a plan and a gate"},
		{POWER_ROLLOUTS, "choose among released bundles, lift stops; opens no wave"},
		{POWER_GATES, "open waves of published plans early, or stop; picks no bundle"},
		{POWER_CERTIFICATES, "keep new certificates from boxes, and have them connect to "
				     "its own server"},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if ((power & words[i].power) == words[i].power)
			return words[i].text;
	}
	return NULL;
}

/* What freshness in wrong hands is good for: keeping from boxes what is new, so a stop. Who signs
 * gates as well makes them last. */
static void
hiding_text(const struct doctor *d, unsigned power, char *out, size_t size)
{
	int64_t snapshot_s = life_of(d, POWER_SNAPSHOT, d->w->snapshot_life_s),
		gates_s = life_of(d, POWER_GATES, d->w->gates_life_s);
	char span[DOCTOR_SPAN_SIZE];

	out[0] = '\0';
	if ((power & POWER_ONLINE) == POWER_SNAPSHOT)
		(void)snprintf(out, size, "nothing without a timestamp key");
	else if ((power & POWER_ONLINE) == POWER_TIMESTAMP)
		(void)snprintf(out, size, "hide a stop for %s (%s life)",
			doctor_span(snapshot_s < gates_s ? snapshot_s : gates_s, span),
			snapshot_s <= gates_s ? "snapshot's" : "gates'");
	else if ((power & POWER_ONLINE) && (power & POWER_GATES))
		(void)snprintf(out, size, "hide a stop until its gates key is taken away");
	else if (power & POWER_ONLINE)
		(void)snprintf(
			out, size, "hide a stop for %s (gates' life)", doctor_span(gates_s, span));
}

static void
then_text(const struct doctor *d, unsigned power, char out[TEXT_SIZE])
{
	const char *signing = signing_text(power);
	char hiding[TEXT_SIZE / 2];

	hiding_text(d, power, hiding, sizeof(hiding));
	if (!signing && !hiding[0])
		(void)snprintf(out, TEXT_SIZE, "nothing alone: more signatures are needed");
	else if ((power & POWER_OFFLINE) || !hiding[0])
		(void)snprintf(out, TEXT_SIZE, "%s", signing ? signing : hiding);
	else
		(void)snprintf(out, TEXT_SIZE, "%s%s%s", signing ? signing : "",
			signing ? "; " : "", hiding);
}

static json_t *
power_json(unsigned power)
{
	static const char *const names[] = {"root", "targets", "releases", "rollouts", "gates",
		"snapshot", "timestamp", "certificates"};
	json_t *out = json_array();

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (power & (1U << i))
			(void)json_array_append_new(out, json_string(names[i]));
	}
	return out;
}

/* powers: whose thresholds are reached, as "enough_for". */
static int
stolen_add(struct doctor *d, const char *kind, const char *what, unsigned powers, const char *then,
	struct err *e)
{
	json_t *row = json_pack("{s:s, s:s, s:o, s:s}", "kind", kind, "what", what, "enough_for",
		power_json(powers), "then", then);

	if (json_array_append_new(json_object_get(d->report, "stolen"), row) < 0)
		return err_sys(e, ENOMEM, "doctor");
	return 0;
}

/* The roles of a key, "releases and rollouts", and their powers together. */
static size_t
roles_of(const struct doctor *d, const char *id, unsigned *powers, char out[TEXT_SIZE])
{
	size_t count = 0, len = 0;

	out[0] = '\0';
	*powers = 0;
	for (size_t i = 0; i < d->role_count; i++) {
		if (!json_has_text(d->roles[i].keyids, id))
			continue;
		if (len < TEXT_SIZE)
			len += (size_t)snprintf(out + len, TEXT_SIZE - len, "%s%s",
				count ? " and " : "", d->roles[i].name);
		*powers |= d->roles[i].power;
		count++;
	}
	return count;
}

static int
two_roles(struct doctor *d, const char *name, const char *roles, unsigned powers, struct err *e)
{
	const char *why = "its thief has both";

	if ((powers & POWER_ONLINE) && (powers & ~(unsigned)POWER_ONLINE))
		why = "an online key should hold nothing else";
	else if ((powers & (POWER_RELEASES | POWER_ROLLOUTS)) == (POWER_RELEASES | POWER_ROLLOUTS))
		why = "who releases should not be who rolls out";
	else if (!(powers & ~(unsigned)POWER_ONLINE))
		why = "its thief hides a stop with it alone";
	return doctor_problem(d, DOCTOR_WARNING, "give each role a key of its own", e,
		"%s is a key of %s: %s", name, roles, why);
}

static int
key_theft(struct doctor *d, const char *id, json_t *bare, struct err *e)
{
	AUTO_JSON json_t *ids = json_pack("{s:b}", id, 1);
	const struct doctor_key *k = doctor_key_find(d, id);
	char name[NAME_MAX + 1], roles[TEXT_SIZE], then[TEXT_SIZE];
	unsigned powers, power = power_with(d, ids);
	size_t count = roles_of(d, id, &powers, roles);

	(void)doctor_key_name(d, id, name);
	then_text(d, power, then);
	if (stolen_add(d, "key", name, power, then, e) < 0)
		return -1;
	/* Automation holds the online, gates and certificates keys; the others are people's. */
	if (k && k->path[0] && !k->encrypted &&
		(powers & ~(unsigned)(POWER_ONLINE | POWER_GATES | POWER_CERTIFICATES)) &&
		json_array_append_new(bare, json_string(name)) < 0)
		return err_sys(e, ENOMEM, "doctor");
	return count > 1 && powers != POWER_CERTIFICATES ? two_roles(d, name, roles, powers, e) : 0;
}

static int
bare_keys(struct doctor *d, const json_t *bare, struct err *e)
{
	char names[TEXT_SIZE] = "";
	const json_t *name;
	size_t i, len = 0;

	json_array_foreach (bare, i, name) {
		if (len < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
				i ? ", " : "", json_string_value(name));
	}
	if (i == 0)
		return 0;
	return doctor_problem(d, DOCTOR_WARNING,
		"make new ones with a passphrase, and keep them elsewhere", e,
		"secret keys without a passphrase lie here: %s", names);
}

static int
all_keys_theft(struct doctor *d, struct err *e)
{
	AUTO_JSON json_t *seen = json_object(), *bare = json_array();

	for (size_t i = 0; i < d->role_count; i++) {
		const json_t *id;
		size_t k;

		json_array_foreach (d->roles[i].keyids, k, id) {
			const char *text = json_string_value(id);

			if (json_object_get(seen, text))
				continue;
			if (json_object_set_new(seen, text, json_true()) < 0 ||
				key_theft(d, text, bare, e) < 0)
				return -1;
		}
	}
	return bare_keys(d, bare, e);
}

/* Whoever takes this host has all keys here that open without a passphrase. */
static int
host_theft(struct doctor *d, struct err *e)
{
	AUTO_JSON json_t *ids = json_object();
	char then[TEXT_SIZE], all[2 * TEXT_SIZE], ca[PATH_MAX];
	bool offline = false, online = false;
	unsigned power;

	for (size_t i = 0; i < d->key_count; i++) {
		const struct doctor_key *k = &d->keys[i];
		unsigned powers;

		if (!k->path[0])
			continue;
		(void)roles_of(d, k->id, &powers, then);
		online = online || (powers & POWER_ONLINE);
		offline = offline || (powers & POWER_OFFLINE);
		if (!k->encrypted && json_object_set_new(ids, k->id, json_true()) < 0)
			return err_sys(e, ENOMEM, "doctor");
	}
	power = power_with(d, ids);
	then_text(d, power, then);
	if (workspace_path(d->w, "tls/ca.key", ca, e) < 0)
		return -1;
	(void)snprintf(all, sizeof(all), "%s%s", power ? then : "sign nothing",
		file_exists(ca) ? "; make certificates" : "");
	if (stolen_add(d, "host", "this host", power, all, e) < 0)
		return -1;
	if (online && offline)
		return doctor_problem(d, DOCTOR_WARNING,
			"keep those on hosts, or in safes, without a network", e,
			"secret keys of root or targets lie on the host that has the online keys");
	return 0;
}

static int
other_hosts_theft(struct doctor *d, struct err *e)
{
	char then[TEXT_SIZE], span[DOCTOR_SPAN_SIZE];

	(void)snprintf(then, sizeof(then), "hold updates and stops back for %s (timestamp's life)",
		doctor_span((int64_t)d->w->timestamp_life_s, span));
	if (stolen_add(d, "host", "the web server", 0, then, e) < 0)
		return -1;
	return stolen_add(d, "host", "a box", 0,
		"read the site, report in its own name, until `sluice box revoke`", e);
}

/* Thresholds that one theft, or one loss, is enough for. */
static int
root_threshold(struct doctor *d, struct err *e)
{
	for (size_t i = 0; i < d->role_count; i++) {
		const struct doctor_role *r = &d->roles[i];
		size_t count = json_array_size(r->keyids);

		if (r->power != POWER_ROOT)
			continue;
		if (r->threshold == 1 &&
			doctor_problem(d, DOCTOR_WARNING, "give root a threshold of 2 or more", e,
				"one stolen root key is enough for everything (root is 1 of %zu)",
				count) < 0)
			return -1;
		if (r->threshold == count)
			return doctor_problem(d, DOCTOR_WARNING,
				"give root one key more than its threshold", e,
				"one lost root key is the end of all changes (root is %" PRIu64
				" of %zu)",
				r->threshold, count);
	}
	return 0;
}

int
doctor_look_at_theft(struct doctor *d, struct err *e)
{
	if (!d->site_is_open)
		return 0;
	if (root_threshold(d, e) < 0 || all_keys_theft(d, e) < 0 || host_theft(d, e) < 0)
		return -1;
	return other_hosts_theft(d, e);
}
