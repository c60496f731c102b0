#include "agent/audit_record.h"

#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/num.h"

enum { RECORD_SIZE = 16 * 1024 };

int64_t
audit_now_s(const struct state *s)
{
	int64_t wall_s = clock_wall_s();

	return wall_s > s->floor_s ? wall_s : s->floor_s;
}

static int
record_path(const struct conf *c, char out[PATH_MAX], struct err *e)
{
	return path_join(out, PATH_MAX, c->state_dir, "audit.json", e);
}

static void
hex_of(const struct release *r, char out[DIGEST_HEX_SIZE])
{
	out[0] = 0;
	if (r && r->known)
		(void)digest_hex(&r->manifest, out);
}

/* What runs, as reports have it. */
static int
running_of(const struct box *b, struct audit_record *out, struct err *e)
{
	const struct release *running, *linked;

	if (box_running(b, &running, e) < 0 || box_linked(b, &linked, e) < 0)
		return -1;
	hex_of(running, out->running_sha256);
	hex_of(linked, out->linked_sha256);
	return 0;
}

int
audit_record_save(const struct box *b, const struct audit *a, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(RECORD_SIZE);
	AUTO_JSON json_t *j = NULL;
	const struct audit_side *bad, *other_bad;
	enum authentic running = audit_running(a, &bad), other = audit_other(a, &other_bad);
	struct audit_record now = {0};
	uint64_t differences = 0;
	char path[PATH_MAX];

	if (running_of(b, &now, e) < 0 || record_path(&b->conf, path, e) < 0)
		return -1;
	for (size_t i = 0; i < a->count; i++)
		differences += a->sides[i].running ? a->sides[i].differences : 0;
	j = json_pack("{s:i, s:I, s:s, s:s, s:I, s:s, s:s, s:s, s:s}", "format", 1, "at_s",
		(json_int_t)audit_now_s(b->state), "running", authentic_name(running), "other",
		authentic_name(other), "differences", (json_int_t)differences, "why",
		bad ? bad->why : "", "other_why", other_bad ? other_bad->why : "", "running_sha256",
		now.running_sha256, "linked_sha256", now.linked_sha256);
	if (!j)
		return err_set(e, ERR_SYSTEM, "the audit cannot be written as JSON");
	return json_pretty(j, &text, e) < 0 ? -1 : file_replace(path, 0600, buf_span(&text), e);
}

static int
answer_get(const json_t *j, const char *key, enum authentic *out, struct err *e)
{
	const char *word;

	if (json_get_string(j, key, 16, &word, e) < 0)
		return -1;
	for (int a = AUTHENTIC_UNKNOWN; a < AUTHENTICS; a++) {
		if (strcmp(word, authentic_name((enum authentic)a)) == 0) {
			*out = (enum authentic)a;
			return 0;
		}
	}
	return err_set(e, ERR_MALFORMED, "%s is none of the words known for it", key);
}

static int
text_get(const json_t *j, const char *key, char *out, size_t size, struct err *e)
{
	const char *text;

	if (json_get_string(j, key, size - 1, &text, e) < 0)
		return -1;
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int
record_parse(const json_t *j, struct audit_record *out, struct err *e)
{
	uint64_t at_s, format;

	if (json_get_uint(j, "format", 1, 1, &format, e) < 0 ||
		json_get_uint(j, "at_s", 0, INT64_MAX / 2, &at_s, e) < 0 ||
		answer_get(j, "running", &out->running, e) < 0 ||
		answer_get(j, "other", &out->other, e) < 0 ||
		json_get_uint(j, "differences", 0, INT64_MAX, &out->differences, e) < 0 ||
		text_get(j, "why", out->why, sizeof(out->why), e) < 0 ||
		text_get(j, "other_why", out->other_why, sizeof(out->other_why), e) < 0 ||
		text_get(j, "running_sha256", out->running_sha256, DIGEST_HEX_SIZE, e) < 0 ||
		text_get(j, "linked_sha256", out->linked_sha256, DIGEST_HEX_SIZE, e) < 0)
		return -1;
	out->at_s = (int64_t)at_s;
	return 0;
}

static int
record_read(const char *path, struct audit_record *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(RECORD_SIZE);
	AUTO_JSON json_t *root = NULL;

	if (file_read_regular(path, &text, e) < 0 ||
		json_parse(buf_span(&text), path, &root, e) < 0)
		return -1;
	return record_parse(root, out, e);
}

enum audit_known
audit_record_load(const struct box *b, struct audit_record *out)
{
	struct audit_record r = {0}, now = {0};
	char path[PATH_MAX];
	struct err e;

	if (record_path(&b->conf, path, &e) < 0 || !file_exists(path))
		return AUDIT_NEVER;
	if (record_read(path, &r, &e) < 0 || running_of(b, &now, &e) < 0 ||
		strcmp(r.running_sha256, now.running_sha256) != 0 ||
		strcmp(r.linked_sha256, now.linked_sha256) != 0)
		return AUDIT_OUTDATED;
	*out = r;
	return AUDIT_KNOWN;
}

enum authentic
audit_record_answer(const struct box *b, char *why)
{
	struct audit_record r;
	enum audit_known known = audit_record_load(b, &r);

	why[0] = 0;
	if (known != AUDIT_KNOWN)
		return known == AUDIT_NEVER && b->conf.audit_s == 0 ? AUTHENTIC_UNSAID
								    : AUTHENTIC_UNKNOWN;
	if (r.running == AUTHENTIC_NO)
		memcpy(why, r.why, AUDIT_WHY_SIZE);
	return r.running;
}
