/* A fleet of any size for the benchmark of fleet.db, and the parts of watching it, each timed. All
 * boxes have one key. What it measures is printed as JSON.
 *
 *   ledger fill DIR BOXES         a spool and that many boxes, and a plan for them that is followed
 *   ledger post DIR FROM TO SEQ   report SEQ of boxes FROM to TO - 1 into the spool: the first says
 *                                 `starting`, others success
 *   ledger drain DIR              takes all that is there
 *   ledger enter DIR              the same without looking at signatures, and leaves the files
 *   ledger judge DIR              the evaluation from the counts as they are kept, and counted anew
 *   ledger verify DIR             checking a signature, on one processor
 *   ledger begin DIR              another plan is followed, whose reports all came before */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/format/judgement.h"
#include "common/format/report.h"
#include "signer/following.h"
#include "signer/hearing.h"
#include "signer/ingest.h"
#include "signer/letter.h"
#include "signer/record.h"
#include "signer/sql.h"

#define NEW_SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OLD_SHA "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

/* A plan whose boxes have that many seconds. */
#define PLAN(deadline_s)                                                                           \
	"{\"format\":1,\"rollout\":\"gateway-2.4.0\",\"version\":3,\"path\":\"rollouts/"           \
	"stable.json\",\"bundle\":{\"path\":\"bundles/"                                            \
	"gateway-2.4.0.ota\",\"length\":12345,\"sha256\":\"" NEW_SHA                               \
	"\",\"head\":{\"length\":512,\"sha256\":\"" NEW_SHA                                        \
	"\"}},\"compatible\":[\"acme-gw3\"],\"attempt\":1,\"from\":[],\"match\":{},\"exclude\":[]" \
	","                                                                                        \
	"\"stop_poll_s\":60,\"deadline_s\":" deadline_s                                            \
	",\"waves\":[{\"name\":\"early\",\"percent_bp\":500,"                                      \
	"\"soak_s\":60},{\"name\":\"all\",\"percent_bp\":10000,\"soak_s\":0}],\"advance\":{"       \
	"\"success_bp\":9800,\"sample\":30,\"coverage_bp\":8000},\"stop\":{\"failures_bp\":500,"   \
	"\"at_least\":3,\"overdue_s\":86400}}"

static struct workspace w;

static double
seconds(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
peak_mib(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : 0;
}

static void
box_name(uint64_t i, char *out, size_t size)
{
	(void)snprintf(out, size, "gw-%07llu", (unsigned long long)i);
}

static int
boxes_insert(struct sql *s, uint64_t boxes, const json_t *key, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	char name[32];

	if (json_canonical(key, &text, e) < 0)
		return -1;
	for (uint64_t i = 0; i < boxes; i++) {
		box_name(i, name, sizeof(name));
		if (sql_do(s, e,
			    "INSERT INTO box VALUES (NULL, ?1, 'acme-gw3', '{\"site\":\"lyon\"}', "
			    "?2, 1, 0)",
			    "ss", name, buf_str(&text)) < 0)
			return -1;
	}
	return 0;
}

static int
follow(struct fleet *f, const char *plan, int64_t *id, struct err *e)
{
	struct digest sha256 = digest_of(span_str(plan)), manifest;
	struct followable x = {span_str(plan), &sha256, &manifest, NULL, NULL};

	return digest_parse(NEW_SHA, &manifest, e) < 0 ? -1 : following_begin(f, &x, 1, id, e);
}

static int
fill(uint64_t boxes, struct err *e)
{
	AUTO_FLEET struct fleet *f = NULL;
	AUTO_SECKEY struct seckey *key = NULL;
	AUTO_JSON json_t *public = NULL;
	struct sql *s = NULL;
	uint8_t raw[32];
	char path[PATH_MAX];
	int64_t id = 0;

	if (workspace_path(&w, "spool", path, e) < 0 || dir_make(path, 0700, e) < 0 ||
		workspace_path(&w, "box.key", path, e) < 0 || seckey_new(&key, e) < 0 ||
		seckey_save(key, path, NULL, e) < 0)
		return -1;
	seckey_public(key, raw);
	if (pubkey_json_ed25519(raw, &public, e) < 0 || fleet_open(&w, &f, e) < 0 ||
		fleet_sql(f, &s, e) < 0 || sql_begin(s, e) < 0 ||
		sql_end(s, boxes_insert(s, boxes, public, e), e) < 0 ||
		follow(f, PLAN("3600"), &id, e) < 0 || following_opened(f, id, 0, 1, e) < 0)
		return -1;
	return following_opened(f, id, 1, 1, e);
}

static struct report
report_of(uint64_t box, uint64_t seq)
{
	struct report r = {.seq = seq,
		.at_s = 1795359600 + (int64_t)seq,
		.state = seq == 1 ? BOX_STARTING : BOX_CONFIRMED,
		.outcome = seq == 1 ? OUTCOME_NONE : OUTCOME_OK,
		.rollout = "gateway-2.4.0",
		.plan_version = 3,
		.wave = "all",
		.attempt = 1,
		.bundle = "gateway-2.4.0.ota",
		.bundle_sha256 = NEW_SHA,
		.rollback_floor = 4,
		.compatible = "acme-gw3",
		.source = "network",
		.class_ = "none",
		.plan = "rollouts/stable.json"};

	box_name(box, r.box, sizeof(r.box));
	(void)snprintf(r.boot_id, sizeof(r.boot_id), "8c0f2f3e-%04llu-4000-8000-%012llu",
		(unsigned long long)seq, (unsigned long long)box);
	(void)snprintf(r.version, sizeof(r.version), "2.%llu.0",
		(unsigned long long)(seq == 1 ? 1 + box % 3 : 4));
	memcpy(r.running_sha256, seq == 1 ? OLD_SHA : NEW_SHA, sizeof(r.running_sha256));
	return r;
}

static int
post_one(const struct signer *signer, const char *spool, struct report *r, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(REPORT_BYTES_MAX);
	AUTO_JSON json_t *body = NULL, *root = NULL;
	char path[PATH_MAX + 128];
	FILE *file;
	bool good;

	if (report_build(r, &body, e) < 0)
		return -1;
	root = envelope_new(body);
	if (envelope_sign(root, signer, e) < 0 || json_compact(root, &bytes, e) < 0)
		return -1;
	(void)snprintf(
		path, sizeof(path), "%s/%s@%llu.json", spool, r->box, (unsigned long long)r->seq);
	/* Not to last: no fsync. */
	file = fopen(path, "we");
	if (!file)
		return err_sys(e, errno, "%s", path);
	good = fwrite(bytes.data, 1, bytes.len, file) == bytes.len;
	return fclose(file) == 0 && good ? 0 : err_sys(e, errno, "%s", path);
}

static int
post(uint64_t from, uint64_t to, uint64_t seq, struct err *e)
{
	AUTO_SECKEY struct seckey *key = NULL;
	AUTO_JSON json_t *public = NULL;
	AUTO_JSON json_t *sites =
		json_pack("[s, s, s, s, s]", "lyon", "paris", "nice", "lille", "brest");
	struct signer signer = {0};
	char path[PATH_MAX], spool[PATH_MAX];
	uint8_t raw[32];

	if (workspace_path(&w, "box.key", path, e) < 0 ||
		workspace_path(&w, "spool", spool, e) < 0 ||
		seckey_load(path, NULL, NULL, &key, e) < 0)
		return -1;
	seckey_public(key, raw);
	if (pubkey_json_ed25519(raw, &public, e) < 0 || pubkey_id(public, signer.keyid, e) < 0)
		return -1;
	signer.seckey = key;
	signer.key = public;
	for (uint64_t i = from; i < to; i++) {
		AUTO_REPORT struct report r = report_of(i, seq);

		r.tags = json_pack("{s:O}", "site", json_array_get(sites, i % 5));
		if (post_one(&signer, spool, &r, e) < 0)
			return -1;
	}
	return 0;
}

static int
drain(struct err *e)
{
	double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	AUTO_FLEET struct fleet *f = NULL;
	AUTO_INGEST struct ingest *i = NULL;
	struct ingest_stats stats, sum = {0};
	bool more = true;

	if (fleet_open(&w, &f, e) < 0 || ingest_open(&w, f, 0, &i, e) < 0)
		return -1;
	while (more) {
		if (ingest_batch(i, time(NULL), &stats, &more, e) < 0)
			return -1;
		sum.taken += stats.taken;
		sum.duplicates += stats.duplicates;
		sum.aside += stats.aside;
		sum.left += stats.left;
	}
	printf("{\"taken\": %llu, \"duplicates\": %llu, \"aside\": %llu, \"left\": %llu, "
	       "\"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_mib\": %.1f}\n",
		(unsigned long long)sum.taken, (unsigned long long)sum.duplicates,
		(unsigned long long)sum.aside, (unsigned long long)sum.left,
		seconds(CLOCK_MONOTONIC) - wall, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu,
		peak_mib());
	return 0;
}

struct file {
	char name[NAME_BYTES_MAX];
};

/* What ingest.c does with a report whose signature is good. */
struct entering {
	struct sql *sql;
	struct hearing *hearing;
	struct file *files;
	size_t count;
	int64_t now_s;
	double tables_s, hearing_s; /* the second is a part of the first */
	uint64_t taken;
};

static int
hear(struct entering *x, int64_t box, const struct report *r, struct err *e)
{
	double started = seconds(CLOCK_MONOTONIC);
	int rc = hearing_take(x->hearing, box, r, x->now_s, e);

	x->hearing_s += seconds(CLOCK_MONOTONIC) - started;
	return rc;
}

static int
put_down(struct entering *x, const struct report *r, struct err *e)
{
	double started = seconds(CLOCK_MONOTONIC);
	bool alarm;
	enum recorded recorded;
	int64_t box = 0;

	if (sql_get(x->sql, NULL, &box, e, "SELECT id FROM box WHERE name = ?1", "s", r->box) < 0 ||
		record_add(x->sql, box, r, x->now_s, &recorded, &alarm, e) < 0 ||
		(recorded == RECORD_NEW && hear(x, box, r, e) < 0))
		return -1;
	x->taken += recorded == RECORD_NEW;
	x->tables_s += seconds(CLOCK_MONOTONIC) - started;
	return 0;
}

static int
enter_one(struct entering *x, const char *spool, const char *file, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(REPORT_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};
	AUTO_REPORT struct report r = {0};
	char path[PATH_MAX + 256];
	struct digest digest;

	(void)snprintf(path, sizeof(path), "%s/%s", spool, file);
	if (file_read_regular(path, &bytes, e) < 0)
		return -1;
	digest = digest_of(buf_span(&bytes));
	if (verified_by_digest(buf_span(&bytes), file, bytes.len, &digest, &v, e) < 0 ||
		report_parse(&v, &r, e) < 0)
		return -1;
	return put_down(x, &r, e);
}

static int
enter_batch(struct entering *x, const char *spool, size_t from, size_t to, struct err *e)
{
	if (hearing_begin(x->hearing, e) < 0)
		return -1;
	for (size_t i = from; i < to; i++) {
		if (enter_one(x, spool, x->files[i].name, e) < 0)
			return -1;
	}
	return hearing_end(x->hearing, e);
}

static int
by_name(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
files_list(struct entering *x, const char *spool, struct err *e)
{
	AUTO_DIR DIR *dir = opendir(spool);
	const struct dirent *entry;
	size_t room = 0;

	if (!dir)
		return err_sys(e, errno, "%s", spool);
	while ((entry = readdir(dir))) {
		if (!strchr(entry->d_name, '@'))
			continue;
		if (x->count == room) {
			struct file *files =
				reallocarray(x->files, room = 2 * room + 1024, sizeof(*files));

			if (!files)
				return err_sys(e, ENOMEM, "%s", spool);
			x->files = files;
		}
		(void)snprintf(
			x->files[x->count].name, sizeof(x->files[0].name), "%.60s", entry->d_name);
		x->count++;
	}
	return 0;
}

/* In the folder's own order, and each batch sorted, as ingest.c has them. */
static int
enter_all(struct entering *x, const char *spool, struct err *e)
{
	for (size_t i = 0; i < x->count; i += INGEST_BATCH_MAX) {
		size_t to = num_min(i + INGEST_BATCH_MAX, x->count);
		double started;
		int rc;

		qsort(x->files + i, to - i, sizeof(*x->files), by_name);
		if (sql_begin(x->sql, e) < 0)
			return -1;
		rc = enter_batch(x, spool, i, to, e);
		started = seconds(CLOCK_MONOTONIC);
		if (sql_end(x->sql, rc, e) < 0)
			return -1;
		x->tables_s += seconds(CLOCK_MONOTONIC) - started;
	}
	return 0;
}

static int
enter(struct err *e)
{
	double wall = seconds(CLOCK_MONOTONIC);
	CLEANUP(hearing_free) struct hearing *hearing = NULL;
	AUTO_FLEET struct fleet *f = NULL;
	struct entering x = {.now_s = time(NULL)};
	char spool[PATH_MAX];
	int rc;

	if (fleet_open(&w, &f, e) < 0 || fleet_sql(f, &x.sql, e) < 0 || sql_bulk(x.sql, e) < 0 ||
		hearing_new(x.sql, &hearing, e) < 0 || workspace_path(&w, "spool", spool, e) < 0)
		return -1;
	x.hearing = hearing;
	rc = files_list(&x, spool, e);
	if (rc == 0)
		rc = enter_all(&x, spool, e);
	free(x.files);
	if (rc == 0)
		printf("{\"taken\": %llu, \"wall_s\": %.6f, \"tables_s\": %.6f, \"hearing_s\": "
		       "%.6f, \"peak_mib\": %.1f}\n",
			(unsigned long long)x.taken, seconds(CLOCK_MONOTONIC) - wall, x.tables_s,
			x.hearing_s, peak_mib());
	return rc;
}

static enum judgement_kind
judge(const struct plan *p, const struct tally *waves)
{
	static const struct local_limits none = {0};
	struct standing s = {.waves = waves, .open = p->wave_count, .now_s = time(NULL)};

	return judgement_reach(p, &none, &s).kind;
}

static int
evaluate(struct err *e)
{
	AUTO_FREE struct following *x = calloc(1, sizeof(*x));
	AUTO_FREE struct tally *kept = calloc(WAVES_MAX, sizeof(*kept));
	AUTO_FREE struct tally *counted = calloc(WAVES_MAX, sizeof(*counted));
	AUTO_FLEET struct fleet *f = NULL;
	AUTO_PLAN struct plan p = {0};
	enum judgement_kind by_kept, by_counted;
	double kept_s, counted_s;
	uint64_t newly, ok;

	if (fleet_open(&w, &f, e) < 0 || following_plan(f, 1, &p, e) < 0)
		return -1;
	kept_s = seconds(CLOCK_MONOTONIC);
	if (following_overdue(f, 1, &newly, e) < 0 || following_read(f, 1, x, e) < 0)
		return -1;
	for (size_t i = 0; i < x->wave_count; i++)
		kept[i] = x->waves[i].tally;
	by_kept = judge(&p, kept);
	kept_s = seconds(CLOCK_MONOTONIC) - kept_s;
	counted_s = seconds(CLOCK_MONOTONIC);
	if (following_recount(f, 1, counted, e) < 0)
		return -1;
	for (size_t i = 0; i < x->wave_count; i++)
		counted[i].boxes = kept[i].boxes;
	by_counted = judge(&p, counted);
	counted_s = seconds(CLOCK_MONOTONIC) - counted_s;
	if (by_kept != by_counted || memcmp(kept, counted, WAVES_MAX * sizeof(*kept)) != 0)
		return err_set(e, ERR_MALFORMED, "the counts that are kept are not those counted");
	ok = kept[0].ok + kept[1].ok;
	printf("{\"judgement\": \"%s\", \"ok\": %llu, \"kept_s\": %.6f, \"counted_s\": %.6f, "
	       "\"peak_mib\": %.1f}\n",
		judgement_name(by_kept), (unsigned long long)ok, kept_s, counted_s, peak_mib());
	return 0;
}

static int
begin(struct err *e)
{
	double started = seconds(CLOCK_MONOTONIC);
	AUTO_FLEET struct fleet *f = NULL;
	int64_t id = 0;

	if (fleet_open(&w, &f, e) < 0 || follow(f, PLAN("3601"), &id, e) < 0)
		return -1;
	printf("{\"wall_s\": %.6f, \"peak_mib\": %.1f}\n", seconds(CLOCK_MONOTONIC) - started,
		peak_mib());
	return 0;
}

static int
verify(struct err *e)
{
	enum { ROUNDS = 2000 };
	static const uint8_t message[512];
	AUTO_BUF struct buf signature = BUF_INIT(256);
	AUTO_JSON json_t *public = NULL;
	AUTO_PUBKEY struct pubkey *key = NULL;
	AUTO_SECKEY struct seckey *secret = NULL;
	const struct span signed_ = span_of(message, sizeof(message));
	struct signer signer = {0};
	uint8_t raw[32];
	double started;

	if (seckey_new(&secret, e) < 0)
		return -1;
	seckey_public(secret, raw);
	if (pubkey_json_ed25519(raw, &public, e) < 0 || pubkey_parse(public, &key, e) < 0)
		return -1;
	signer.seckey = secret;
	signer.key = public;
	if (signer_sign(&signer, signed_, &signature, e) < 0)
		return -1;
	started = seconds(CLOCK_THREAD_CPUTIME_ID);
	for (int i = 0; i < ROUNDS; i++) {
		if (pubkey_verify(key, signed_, buf_span(&signature), e) < 0)
			return -1;
	}
	printf("{\"verify_s\": %.9f}\n", (seconds(CLOCK_THREAD_CPUTIME_ID) - started) / ROUNDS);
	return 0;
}

static int
run(int argc, char **argv, struct err *e)
{
	uint64_t numbers[3] = {0};

	for (int i = 3; i < argc && i < 6; i++) {
		if (num_parse(argv[i], 0, UINT32_MAX, &numbers[i - 3], e) < 0)
			return -1;
	}
	if (strcmp(argv[1], "fill") == 0 && argc == 4)
		return fill(numbers[0], e);
	if (strcmp(argv[1], "post") == 0 && argc == 6)
		return post(numbers[0], numbers[1], numbers[2], e);
	if (strcmp(argv[1], "drain") == 0)
		return drain(e);
	if (strcmp(argv[1], "enter") == 0)
		return enter(e);
	if (strcmp(argv[1], "judge") == 0)
		return evaluate(e);
	if (strcmp(argv[1], "verify") == 0)
		return verify(e);
	if (strcmp(argv[1], "begin") == 0)
		return begin(e);
	return err_set(e, ERR_USAGE, "fill, post, drain, enter, judge, verify or begin");
}

int
main(int argc, char **argv)
{
	struct err e = ERR_INIT;

	if (argc < 3 || !realpath(argv[2], w.dir)) {
		(void)fprintf(stderr, "ledger COMMAND DIR [NUMBERS]\n");
		return 2;
	}
	if (run(argc, argv, &e) == 0)
		return 0;
	(void)fprintf(stderr, "ledger: %s\n", e.text);
	return 1;
}
