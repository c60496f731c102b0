/* A workspace with a spool and a fleet whose boxes report, for tests of what the host makes of it.
 * All boxes have one key. */
#ifndef SLUICE_TESTS_LEDGER_SCENE_H
#define SLUICE_TESTS_LEDGER_SCENE_H

#include "tests/unit/sample.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/format/report.h"
#include "signer/fleet.h"
#include "signer/following.h"
#include "signer/ingest.h"
#include "signer/ledger.h"
#include "signer/sql.h"
#include "tests/unit/folder.h"

#define NEW_SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OLD_SHA "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define STOP_ID "00112233445566778899aabbccddeeff"
#define OTHER_STOP_ID "ffeeddccbbaa99887766554433221100"

struct ledger_scene {
	void *folder;
	struct workspace w;
	struct fleet *f;
	struct ingest *i;
	struct seckey *key;
	json_t *report_key;
	struct signer signer;
	int64_t now_s;
};

static inline void
ledger_scene_open(struct ledger_scene *x)
{
	struct err e = ERR_INIT;

	if (fleet_open(&x->w, &x->f, &e) < 0 || ingest_open(&x->w, x->f, 2, &x->i, &e) < 0)
		fail_msg("%s", e.text);
}

static inline void
ledger_scene_close(struct ledger_scene *x)
{
	ingest_close(&x->i);
	fleet_close(&x->f);
}

static inline int
ledger_scene_set(void **state)
{
	struct ledger_scene *x = calloc(1, sizeof(*x));
	struct err e = ERR_INIT;
	uint8_t raw[32];

	assert_non_null(x);
	assert_int_equal(folder_enter(&x->folder), 0);
	(void)snprintf(x->w.dir, sizeof(x->w.dir), "%s", (const char *)x->folder);
	assert_int_equal(mkdir("spool", 0700), 0);
	assert_int_equal(seckey_new(&x->key, &e), 0);
	seckey_public(x->key, raw);
	assert_int_equal(pubkey_json_ed25519(raw, &x->report_key, &e), 0);
	x->signer = (struct signer){.seckey = x->key, .key = x->report_key};
	assert_int_equal(pubkey_id(x->report_key, x->signer.keyid, &e), 0);
	x->now_s = 4000000000;
	ledger_scene_open(x);
	*state = x;
	return 0;
}

static inline int
ledger_scene_clear(void **state)
{
	struct ledger_scene *x = *state;
	void *folder = x->folder;

	ledger_scene_close(x);
	json_decref(x->report_key);
	seckey_free(&x->key);
	free(x);
	return folder_leave(&folder);
}

static inline void
ledger_scene_add(struct ledger_scene *x, const char *name)
{
	static unsigned serial;
	AUTO_FLEET_BOX struct fleet_box b = {.compatible = "acme-gw3",
		.tags = json_pack("{s:s}", "site", "lyon"),
		.report_key = json_incref(x->report_key),
		.added_s = 1000};
	struct x509_info info = {.from_s = 900, .until_s = 5000};
	struct err e = ERR_INIT;

	(void)snprintf(b.name, sizeof(b.name), "%s", name);
	(void)snprintf(info.serial, sizeof(info.serial), "%04x", ++serial);
	if (fleet_add(x->f, &b, &info, "", "", &e) < 0)
		fail_msg("%s", e.text);
}

/* A report of a box that follows rollouts/stable.json, in version 3 of its plan, and runs the old
 * release in boot-1. */
static inline struct report
ledger_scene_report(const char *box, uint64_t seq, enum box_state state, enum outcome outcome)
{
	struct report r = {.seq = seq,
		.at_s = 1795359600 + (int64_t)seq,
		.boot_id = "boot-1",
		.state = state,
		.outcome = outcome,
		.rollout = "gateway-2.4.0",
		.plan_version = 3,
		.wave = "all",
		.attempt = 1,
		.bundle = "gateway-2.4.0.ota",
		.version = "2.3.0",
		.bundle_sha256 = NEW_SHA,
		.running_sha256 = OLD_SHA,
		.rollback_floor = 4,
		.compatible = "acme-gw3",
		.source = "network",
		.class_ = "none",
		.plan = "rollouts/stable.json"};

	(void)snprintf(r.box, sizeof(r.box), "%s", box);
	return r;
}

/* The same, once the new release has booted and was confirmed. */
static inline struct report
ledger_scene_success(const char *box, uint64_t seq)
{
	struct report r = ledger_scene_report(box, seq, BOX_CONFIRMED, OUTCOME_OK);

	(void)snprintf(r.boot_id, sizeof(r.boot_id), "boot-2");
	(void)snprintf(r.version, sizeof(r.version), "2.4.0");
	memcpy(r.running_sha256, NEW_SHA, sizeof(r.running_sha256));
	return r;
}

/* Puts it into the spool under a name, as nginx would. */
static inline void
ledger_scene_put_as(struct ledger_scene *x, const struct report *r, const char *name)
{
	AUTO_BUF struct buf bytes = BUF_INIT(REPORT_BYTES_MAX);
	AUTO_JSON json_t *body = NULL, *root = NULL;
	struct report tagged = *r;
	struct err e = ERR_INIT;
	char path[PATH_MAX];

	tagged.tags = r->tags ? json_incref(r->tags) : json_pack("{s:s}", "site", "lyon");
	assert_int_equal(report_build(&tagged, &body, &e), 0);
	json_decref(tagged.tags);
	root = envelope_new(body);
	assert_int_equal(envelope_sign(root, &x->signer, &e), 0);
	assert_int_equal(json_pretty(root, &bytes, &e), 0);
	(void)snprintf(path, sizeof(path), "spool/%s", name);
	(void)unlink(path);
	assert_int_equal(file_create(path, 0600, buf_span(&bytes), &e), 0);
}

static inline void
ledger_scene_put(struct ledger_scene *x, const struct report *r)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "%s@%llu.json", r->box, (unsigned long long)r->seq);
	ledger_scene_put_as(x, r, name);
}

/* Takes all that is there. */
static inline struct ingest_stats
ledger_scene_drain(struct ledger_scene *x)
{
	struct ingest_stats sum = {0}, one;
	struct err e = ERR_INIT;
	bool more = true;

	while (more) {
		if (ingest_batch(x->i, x->now_s, &one, &more, &e) < 0)
			fail_msg("%s", e.text);
		sum.taken += one.taken;
		sum.duplicates += one.duplicates;
		sum.clashes += one.clashes;
		sum.aside += one.aside;
		if (sum.left == 0)
			(void)snprintf(sum.why, sizeof(sum.why), "%s", one.why);
		sum.left += one.left;
		sum.unread += one.unread;
		if (!sum.damage[0])
			(void)snprintf(sum.damage, sizeof(sum.damage), "%s", one.damage);
	}
	return sum;
}

/* Statements, and the number that a query gives. */
static inline void
ledger_scene_run(struct ledger_scene *x, const char *statements)
{
	struct sql *s = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(fleet_sql(x->f, &s, &e), 0);
	if (sql_run(s, statements, &e) < 0)
		fail_msg("%s", e.text);
}

static inline int64_t
ledger_scene_number(struct ledger_scene *x, const char *query)
{
	struct sql *s = NULL;
	int64_t n = 0;
	struct err e = ERR_INIT;

	assert_int_equal(fleet_sql(x->f, &s, &e), 0);
	if (sql_get(s, NULL, &n, &e, query, "") < 0)
		fail_msg("%s", e.text);
	return n;
}

/* What was found of a box and of its reports. */
struct found {
	size_t count;
	char reason[256], name[64], stops[128], running[65], tags[64], state[16], outcome[16],
		class_[16];
	uint64_t seq, failed_seq;
	int64_t heard_s;
	uint64_t seqs[256];
};

static inline int
find_box(void *arg, const struct ledger_box *b, struct err *e)
{
	struct found *found = arg;

	(void)e;
	(void)snprintf(found->name, sizeof(found->name), "%s", b->name);
	(void)snprintf(found->stops, sizeof(found->stops), "%s", b->stops);
	(void)snprintf(found->running, sizeof(found->running), "%s", b->running);
	(void)snprintf(found->tags, sizeof(found->tags), "%s", b->tags);
	(void)snprintf(found->state, sizeof(found->state), "%s", b->state);
	(void)snprintf(found->outcome, sizeof(found->outcome), "%s", b->outcome);
	(void)snprintf(found->class_, sizeof(found->class_), "%s", b->class_);
	found->seq = b->seq;
	found->failed_seq = b->failed_seq;
	found->heard_s = b->heard_s;
	found->count++;
	return 0;
}

static inline int
find_report(void *arg, const struct report *r, int64_t heard_s, struct err *e)
{
	struct found *found = arg;

	(void)e;
	assert_true(heard_s > 0);
	assert_true(found->count < 256);
	found->seqs[found->count++] = r->seq;
	return 0;
}

static inline struct found
ledger_scene_box(struct ledger_scene *x, const char *name)
{
	struct ledger_filter filter = {.name = name};
	struct found found = {0};
	struct err e = ERR_INIT;

	assert_int_equal(ledger_each_box(x->f, &filter, find_box, &found, &e), 0);
	assert_int_equal(found.count, 1);
	return found;
}

static inline struct found
ledger_scene_history(struct ledger_scene *x, const char *name)
{
	struct found found = {0};
	struct err e = ERR_INIT;

	assert_int_equal(ledger_each_report(x->f, name, find_report, &found, &e), 0);
	return found;
}

#endif
