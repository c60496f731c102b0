#include "signer/rollout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "signer/reading.h"

void
rollout_free(struct rollout *r)
{
	if (!r)
		return;
	json_decref(r->doc);
	r->doc = NULL;
}

/* The plan is named after its file: boxes follow it by that name. */
static int
plan_name_take(const char *path, struct rollout *r, struct err *e)
{
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
	const char *dot = strrchr(file, '.');
	size_t len = dot ? (size_t)(dot - file) : 0;

	if (!dot || (strcmp(dot, ".yaml") != 0 && strcmp(dot, ".yml") != 0))
		return err_set(e, ERR_USAGE, "%s: a plan's file is called NAME.yaml", path);
	if (len <= NAME_BYTES_MAX)
		(void)snprintf(r->name, sizeof(r->name), "%.*s", (int)len, file);
	if (len > NAME_BYTES_MAX || !name_is_plain(r->name))
		return err_set(e, ERR_USAGE, "%s: '%.*s' is not a plain name for a plan", path,
			(int)len, file);
	(void)snprintf(r->path, sizeof(r->path), "rollouts/%s.json", r->name);
	if (strcmp(r->path, PLAN_ALL_PATH) == 0)
		return err_set(e, ERR_USAGE,
			"%s: no plan can be called all: that is the word for every plan", path);
	return 0;
}

static int
parts_read(struct reading *in)
{
	static const char *const known[] = {"rollout", "bundle", "compatible", "from", "match",
		"exclude", "recall", "attempt", "window", "start", "budget", "waves", "advance",
		"stop", "stop_poll", "deadline", "notes", NULL};

	if (reading_only(in, in->root, known) < 0 || rollout_choice_read(in) < 0 ||
		rollout_waves_read(in) < 0)
		return -1;
	return rollout_timing_read(in);
}

/* Reads until there are so many complaints, of which the first is the error. */
static int
compile(const struct yaml *y, size_t max, struct rollout_complaints *c, struct rollout *r,
	struct err *e)
{
	AUTO_JSON json_t *named = json_object();
	struct err why = ERR_INIT;
	struct reading in = {.y = y,
		.root = yaml_root(y),
		.r = r,
		.named = named,
		.complaints = c,
		.complaints_max = max,
		.e = &why};
	int rc = parts_read(&in);

	/* What is no key of anything is no part either. */
	if (rc < 0 && why.class == ERR_MALFORMED)
		(void)reading_part(&in, rc);
	if (rc < 0 && why.class != ERR_NONE)
		return err_set(e, why.class, "%s", why.text);
	return c->count > 0 ? err_set(e, c->list[0].class, "%s", c->list[0].text) : 0;
}

static int
bytes_read(struct span bytes, const char *path, size_t max, struct rollout_complaints *c,
	struct rollout *out, struct err *e)
{
	AUTO_ROLLOUT struct rollout r = {.doc = json_object()};
	AUTO_YAML struct yaml *y = NULL;

	if (!r.doc)
		return err_sys(e, ENOMEM, "%s", path);
	if (yaml_parse(bytes, path, &y, e) < 0 || plan_name_take(path, &r, e) < 0 ||
		compile(y, max, c, &r, e) < 0)
		return -1;
	*out = r;
	out->doc = TAKE_PTR(r.doc);
	return 0;
}

int
rollout_parse(struct span bytes, const char *path, struct rollout *out, struct err *e)
{
	struct rollout_complaints first = {0};

	return bytes_read(bytes, path, 1, &first, out, e);
}

int
rollout_load(const char *path, struct rollout *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(ROLLOUT_BYTES_MAX);

	if (file_read(path, &bytes, e) < 0)
		return -1;
	return rollout_parse(buf_span(&bytes), path, out, e);
}

/* Where a complaint about the file at path is: its line and column, as one number. */
static uint64_t
place_of(const char *path, const struct err *complaint)
{
	size_t len = strlen(path);
	unsigned line, column;

	if (strncmp(complaint->text, path, len) != 0 ||
		sscanf(complaint->text + len, ":%u:%u: ", &line, &column) != 2)
		return 0;
	return (uint64_t)line << 32 | column;
}

/* There are few. */
static void
complaints_sort(const char *path, struct rollout_complaints *c)
{
	for (size_t i = 1; i < c->count; i++) {
		const struct err moved = c->list[i];
		size_t at = i;

		for (; at > 0 && place_of(path, &c->list[at - 1]) > place_of(path, &moved); at--)
			c->list[at] = c->list[at - 1];
		c->list[at] = moved;
	}
}

int
rollout_examine(const char *path, struct rollout *r, struct rollout_complaints *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(ROLLOUT_BYTES_MAX);
	int rc;

	out->count = 0;
	if (file_read(path, &bytes, e) < 0)
		return -1;
	rc = bytes_read(buf_span(&bytes), path, ROLLOUT_COMPLAINTS_MAX, out, r, e);
	complaints_sort(path, out);
	return rc;
}

/* What a box will do with these bytes. */
static int
read_back(const struct rollout *r, struct span bytes, struct plan *out, struct err *e)
{
	AUTO_VERIFIED struct verified v = {0};
	struct digest sha256 = digest_of(bytes);

	if (verified_by_digest(bytes, r->path, bytes.len, &sha256, &v, e) < 0)
		return -1;
	return plan_parse(&v, out, e);
}

/* The plan's "bundle", for this bundle. NULL without memory. */
static json_t *
bundle_json(const struct rollout *r, const struct rollout_bundle *b)
{
	char hex[DIGEST_HEX_SIZE], head_hex[DIGEST_HEX_SIZE];

	return json_pack("{s:s, s:I, s:s, s:{s:I, s:s}}", "path", r->bundle_path, "length",
		(json_int_t)b->length, "sha256", digest_hex(&b->sha256, hex), "head", "length",
		(json_int_t)b->head_length, "sha256", digest_hex(&b->head_sha256, head_hex));
}

/* The plan's "recall", of this release. */
static json_t *
recall_json(const struct rollout *r, const struct rollout_bundle *b)
{
	char hex[DIGEST_HEX_SIZE];

	return json_pack("{s:s, s:s}", "path", r->recall_path, "manifest_sha256",
		digest_hex(&b->recalled, hex));
}

int
rollout_bind(const struct rollout *r, uint64_t version, const struct rollout_bundle *bundle,
	struct buf *out, struct err *e)
{
	AUTO_JSON json_t *doc = json_deep_copy(r->doc);
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX);
	AUTO_PLAN struct plan plan = {0};

	if (!doc || json_object_set_new(doc, "version", json_integer((json_int_t)version)) < 0 ||
		json_object_set_new(doc, "bundle", bundle_json(r, bundle)) < 0 ||
		(*r->recall_path && json_object_set_new(doc, "recall", recall_json(r, bundle)) < 0))
		return err_sys(e, ENOMEM, "%s", r->path);
	if (json_canonical(doc, &bytes, e) < 0 || read_back(r, buf_span(&bytes), &plan, e) < 0)
		return err_context(e, "%s", r->path);
	return buf_append(out, bytes.data, bytes.len, e);
}

int
rollout_plan(const struct rollout *r, const struct rollout_bundle *bundle, struct plan *out,
	struct err *e)
{
	static const struct rollout_bundle nothing = {.length = 1, .head_length = 1};
	AUTO_BUF struct buf bytes = BUF_INIT(PLAN_BYTES_MAX);

	if (rollout_bind(r, 1, bundle ? bundle : &nothing, &bytes, e) < 0)
		return -1;
	return read_back(r, buf_span(&bytes), out, e);
}
