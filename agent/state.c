#include "agent/state.h"

#include <errno.h>
#include <string.h>

#include "agent/state_json.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"

#define STATE_FILE "state.json"
#define STATE_COPY "state.copy.json"

static const char *const PHASE_NAMES[PHASES] = {"none", "installing", "activated", "reverting"};

const char *
phase_name(enum phase p)
{
	return PHASE_NAMES[p];
}

/* The digest of all but itself: flash that rots may leave a text that still reads as JSON. */
static int
check_of(const json_t *root, char out[DIGEST_HEX_SIZE], struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(STATE_BYTES_MAX);
	AUTO_JSON json_t *rest = json_copy((json_t *)(uintptr_t)root);
	struct digest d;

	if (!rest)
		return err_sys(e, ENOMEM, "the state");
	(void)json_object_del(rest, "check");
	if (json_canonical(rest, &text, e) < 0)
		return -1;
	d = digest_of(buf_span(&text));
	(void)digest_hex(&d, out);
	return 0;
}

/* What was written before there were checks has none. */
static int
check_read(const json_t *root, struct err *e)
{
	const json_t *check = json_object_get(root, "check");
	char right[DIGEST_HEX_SIZE];

	if (!check)
		return 0;
	if (check_of(root, right, e) < 0)
		return -1;
	if (!json_is_string(check) || strcmp(json_string_value(check), right) != 0)
		return err_set(e, ERR_MALFORMED, "its digest is another than it says");
	return 0;
}

static int
state_read(const char *path, struct state *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(STATE_BYTES_MAX);
	AUTO_JSON json_t *root = NULL;

	out->next_seq = 1;
	if (file_read_regular(path, &text, e) < 0 ||
		json_parse(buf_span(&text), path, &root, e) < 0)
		return -1;
	if (state_from_json(root, out, e) == 0 && check_read(root, e) == 0)
		return 0;
	e->class = ERR_MALFORMED;
	return err_context(e, "%s", path);
}

/* Where there is only a copy, the file was lost. */
static int
state_read_either(const char *path, const char *copy, struct state *out, struct err *e)
{
	struct err why;

	if (!file_exists(path) && !file_exists(copy)) {
		out->next_seq = 1;
		return 0;
	}
	if (state_read(path, out, e) == 0)
		return 0;
	*out = (struct state){0};
	if (state_read(copy, out, &why) < 0)
		return err_context(e,
			"what this box remembers is damaged, and so is its copy (put one back; "
			"without both it forgets its rollback floor, its stops and what has "
			"failed)");
	log_warning("%s; going on with %s", e->text, copy);
	return 0;
}

int
state_load(const char *dir, struct state *out, struct err *e)
{
	AUTO_FREE struct state *s = calloc(1, sizeof(*s));
	char path[PATH_MAX], copy[PATH_MAX];

	if (!s)
		return err_sys(e, ENOMEM, "reading the state");
	if (path_join(path, sizeof(path), dir, STATE_FILE, e) < 0 ||
		path_join(copy, sizeof(copy), dir, STATE_COPY, e) < 0 ||
		state_read_either(path, copy, s, e) < 0)
		return -1;
	*out = *s;
	return 0;
}

/* The copy goes first: it is what the file says or is about to say, and never older. */
static int
state_write(const char *dir, struct span text, struct err *e)
{
	static const char *const names[] = {STATE_COPY, STATE_FILE};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (path_join(path, sizeof(path), dir, names[i], e) < 0 ||
			file_replace(path, 0600, text, e) < 0)
			return -1;
	}
	return 0;
}

int
state_save(const char *dir, const struct state *s, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(STATE_BYTES_MAX);
	AUTO_JSON json_t *root = state_to_json(s);
	char check[DIGEST_HEX_SIZE];

	/* A text that is no UTF-8 comes out as NULL too. */
	if (!root)
		return err_set(e, ERR_SYSTEM, "the state cannot be written as JSON");
	if (check_of(root, check, e) < 0)
		return -1;
	if (json_object_set_new(root, "check", json_string(check)) < 0)
		return err_sys(e, ENOMEM, "the state");
	if (json_pretty(root, &text, e) < 0)
		return -1;
	return state_write(dir, buf_span(&text), e);
}

int
state_lock(const char *dir, int *fd, struct err *e)
{
	char path[PATH_MAX];

	if (path_join(path, sizeof(path), dir, "lock", e) < 0)
		return -1;
	return file_lock(path, "another sluice-agent", fd, e);
}

const struct failed *
state_failed(const struct state *s, const struct digest *manifest)
{
	for (size_t i = 0; i < s->failed_count; i++) {
		if (digest_equal(&s->failed[i].manifest, manifest))
			return &s->failed[i];
	}
	return NULL;
}

static void
failed_drop(struct state *s, size_t index)
{
	s->failed_count--;
	memmove(&s->failed[index], &s->failed[index + 1],
		(s->failed_count - index) * sizeof(s->failed[0]));
}

void
state_remember_failed(struct state *s, const struct failed *f)
{
	struct failed copy = *f;

	for (size_t i = 0; i < s->failed_count; i++) {
		if (digest_equal(&s->failed[i].manifest, &copy.manifest)) {
			failed_drop(s, i);
			break;
		}
	}
	if (s->failed_count == FAILED_MAX)
		failed_drop(s, 0);
	s->failed[s->failed_count++] = copy;
}

void
state_end(struct state *s, const struct pending *update, enum outcome outcome, enum err_class class,
	const char *detail)
{
	struct ended d = {.outcome = outcome, .class = class, .update = *update};

	(void)snprintf(d.detail, sizeof(d.detail), "%s", detail);
	/* Other agents doubted what was only stale, too. */
	d.in_doubt = outcome == OUTCOME_INCONCLUSIVE && update->in_doubt && update->unreached;
	s->ended = d;
	s->pending = (struct pending){0};
}

bool
state_is_stranded(const struct state *s, enum side current)
{
	const struct pending *p = &s->pending;

	return p->phase == PHASE_NONE && p->told && p->target == current;
}
