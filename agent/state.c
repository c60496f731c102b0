#include "agent/state.h"

#include <errno.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"

enum { STATE_FORMAT = 1, STATE_BYTES_MAX = 256 * 1024 };
#define STATE_FILE "state.json"
#define STATE_COPY "state.copy.json"

static const char *const PHASE_NAMES[PHASES] = {"none", "installing", "activated", "reverting"};

const char *
phase_name(enum phase p)
{
	return PHASE_NAMES[p];
}

static int
read_text(const json_t *object, const char *key, char *out, size_t max, struct err *e)
{
	const char *text;

	if (json_get_string(object, key, max, &text, e) < 0)
		return -1;
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

/* An empty text or a plain name. */
static int
read_name(const json_t *object, const char *key, char *out, size_t max, struct err *e)
{
	if (read_text(object, key, out, max, e) < 0)
		return -1;
	if (out[0] != 0 && !name_is_plain(out))
		return err_set(e, ERR_MALFORMED, "%s is not a plain name", key);
	return 0;
}

static int
read_count(const json_t *object, const char *key, uint64_t *out, struct err *e)
{
	return json_get_uint(object, key, 0, INT64_MAX, out, e);
}

static int
read_time(const json_t *object, const char *key, int64_t *out, struct err *e)
{
	uint64_t n;

	if (read_count(object, key, &n, e) < 0)
		return -1;
	*out = (int64_t)n;
	return 0;
}

static int
read_digest(const json_t *object, const char *key, struct digest *out, struct err *e)
{
	const char *hex;

	if (json_get_string(object, key, DIGEST_HEX_SIZE - 1, &hex, e) < 0)
		return -1;
	return digest_parse(hex, out, e) < 0 ? err_context(e, "%s", key) : 0;
}

static int
read_release(const json_t *j, struct release *out, struct err *e)
{
	if (json_is_null(j))
		return 0;
	if (!json_is_object(j))
		return err_set(e, ERR_MALFORMED, "a release is an object or null");
	if (read_name(j, "name", out->name, NAME_BYTES_MAX, e) < 0 ||
		read_name(j, "version", out->version, VERSION_BYTES_MAX, e) < 0 ||
		read_count(j, "rollback_index", &out->rollback_index, e) < 0 ||
		read_digest(j, "manifest", &out->manifest, e) < 0 ||
		read_count(j, "attempt", &out->attempt, e) < 0)
		return -1;
	out->known = true;
	return 0;
}

static int
read_sides(const json_t *object, const char *key, struct release out[SIDES], struct err *e)
{
	json_t *array;

	if (json_get_array(object, key, SIDES, &array, e) < 0)
		return -1;
	if (json_array_size(array) != SIDES)
		return err_set(e, ERR_MALFORMED, "%s needs both sides", key);
	for (size_t i = 0; i < SIDES; i++) {
		if (read_release(json_array_get(array, i), &out[i], e) < 0)
			return err_context(e, "%s[%zu]", key, i);
	}
	return 0;
}

static int
read_phase(const json_t *object, enum phase *out, struct err *e)
{
	const char *name;

	if (json_get_string(object, "phase", 16, &name, e) < 0)
		return -1;
	for (size_t i = 0; i < PHASES; i++) {
		if (strcmp(name, PHASE_NAMES[i]) == 0) {
			*out = (enum phase)i;
			return 0;
		}
	}
	return err_set(e, ERR_MALFORMED, "phase \"%s\" is not known", name);
}

static int
read_side(const json_t *object, const char *key, enum side *out, struct err *e)
{
	const char *name;

	if (json_get_string(object, key, 1, &name, e) < 0)
		return -1;
	if (strcmp(name, "A") != 0 && strcmp(name, "B") != 0)
		return err_set(e, ERR_MALFORMED, "%s is neither A nor B", key);
	*out = name[0] == 'A' ? SIDE_A : SIDE_B;
	return 0;
}

static int
read_pending(const json_t *j, struct pending *out, struct err *e)
{
	if (read_phase(j, &out->phase, e) < 0 || read_side(j, "target", &out->target, e) < 0 ||
		json_get_bool(j, "tree_only", &out->tree_only, e) < 0 ||
		read_release(json_object_get(j, "release"), &out->release, e) < 0 ||
		json_get_bool(j, "local", &out->local, e) < 0 ||
		read_name(j, "rollout", out->rollout, NAME_BYTES_MAX, e) < 0 ||
		read_name(j, "wave", out->wave, NAME_BYTES_MAX, e) < 0 ||
		read_count(j, "plan_version", &out->plan_version, e) < 0 ||
		read_count(j, "attempt", &out->attempt, e) < 0 ||
		read_count(j, "deadline_s", &out->deadline_s, e) < 0 ||
		read_name(j, "boot_id", out->boot_id, BOOT_ID_MAX, e) < 0 ||
		read_time(j, "first_seen_boot_ms", &out->first_seen_boot_ms, e) < 0 ||
		read_name(j, "seen_boot_id", out->seen_boot_id, BOOT_ID_MAX, e) < 0 ||
		read_count(j, "boots", &out->boots, e) < 0 ||
		json_get_bool(j, "cancelled", &out->cancelled, e) < 0)
		return -1;
	out->in_doubt = json_is_true(json_object_get(j, "in_doubt"));
	out->unreached = json_is_true(json_object_get(j, "unreached"));
	out->answered = json_is_true(json_object_get(j, "answered"));
	out->stale = json_is_true(json_object_get(j, "stale"));
	if (out->phase != PHASE_NONE && !out->release.known)
		return err_set(e, ERR_MALFORMED, "an update under way without its release");
	return 0;
}

/* One of the words that word() gives for 0 to count - 1. */
static int
read_word(const json_t *object, const char *key, const char *(*word)(int), int count, int *out,
	struct err *e)
{
	const char *text;

	if (json_get_string(object, key, 16, &text, e) < 0)
		return -1;
	for (int i = 0; i < count; i++) {
		if (strcmp(text, word(i)) == 0) {
			*out = i;
			return 0;
		}
	}
	return err_set(e, ERR_MALFORMED, "%s \"%s\" is not known", key, text);
}

static const char *
outcome_word(int i)
{
	return outcome_name((enum outcome)i);
}

static const char *
class_word(int i)
{
	return err_class_name((enum err_class)i);
}

static int
read_ended(const json_t *j, struct ended *out, struct err *e)
{
	json_t *update;
	int outcome = OUTCOME_NONE, class = ERR_NONE;

	/* An older agent knows nothing of it. */
	if (!j || json_is_null(j))
		return 0;
	if (read_word(j, "outcome", outcome_word, OUTCOMES, &outcome, e) < 0 ||
		read_word(j, "class", class_word, ERR_SYSTEM + 1, &class, e) < 0 ||
		json_get_object(j, "update", &update, e) < 0 ||
		read_pending(update, &out->update, e) < 0 ||
		read_text(j, "detail", out->detail, REPORT_DETAIL_MAX, e) < 0 ||
		read_count(j, "seq", &out->seq, e) < 0 ||
		json_get_bool(j, "in_doubt", &out->in_doubt, e) < 0 ||
		read_name(j, "doubt_boot_id", out->doubt_boot_id, BOOT_ID_MAX, e) < 0 ||
		read_time(j, "doubt_since_boot_ms", &out->doubt_since_boot_ms, e) < 0)
		return -1;
	out->outcome = (enum outcome)outcome;
	out->class = (enum err_class) class;
	return 0;
}

static int
read_failed(const json_t *j, struct failed *out, struct err *e)
{
	if (read_digest(j, "manifest", &out->manifest, e) < 0 ||
		read_count(j, "attempt", &out->attempt, e) < 0 ||
		json_get_bool(j, "inconclusive", &out->inconclusive, e) < 0 ||
		read_count(j, "tries", &out->tries, e) < 0 ||
		read_time(j, "not_before_s", &out->not_before_s, e) < 0)
		return -1;
	return read_text(j, "reason", out->reason, REPORT_DETAIL_MAX, e);
}

static int
read_all_failed(const json_t *root, struct state *out, struct err *e)
{
	json_t *array;

	if (json_get_array(root, "failed", FAILED_MAX, &array, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (read_failed(json_array_get(array, i), &out->failed[i], e) < 0)
			return err_context(e, "failed[%zu]", i);
	}
	out->failed_count = json_array_size(array);
	return 0;
}

static int
read_stop(const json_t *j, struct sticky_stop *out, struct err *e)
{
	uint8_t id[STOP_ID_BYTES];

	if (read_text(j, "id", out->id, sizeof(out->id) - 1, e) < 0 ||
		read_text(j, "gate", out->gate, TUF_PATH_MAX, e) < 0 ||
		read_text(j, "reason", out->reason, STOP_REASON_MAX, e) < 0)
		return -1;
	return hex_decode(out->id, id, sizeof(id), e) < 0 ? err_context(e, "id") : 0;
}

static int
read_stops(const json_t *root, struct state *out, struct err *e)
{
	json_t *array;

	if (json_get_array(root, "stops", STOPS_MAX, &array, e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (read_stop(json_array_get(array, i), &out->stops[i], e) < 0)
			return err_context(e, "stops[%zu]", i);
	}
	out->stop_count = json_array_size(array);
	return 0;
}

static int
read_state(const json_t *root, struct state *out, struct err *e)
{
	uint64_t format;
	json_t *pending;

	if (!json_is_object(root))
		return err_set(e, ERR_MALFORMED, "not an object");
	if (json_get_uint(root, "format", STATE_FORMAT, STATE_FORMAT, &format, e) < 0 ||
		read_sides(root, "running", out->running, e) < 0 ||
		read_sides(root, "linked", out->linked, e) < 0 ||
		read_count(root, "rollback_floor", &out->rollback_floor, e) < 0 ||
		json_get_object(root, "pending", &pending, e) < 0)
		return -1;
	if (read_pending(pending, &out->pending, e) < 0)
		return err_context(e, "pending");
	if (read_ended(json_object_get(root, "ended"), &out->ended, e) < 0)
		return err_context(e, "ended");
	if (read_all_failed(root, out, e) < 0 || read_stops(root, out, e) < 0 ||
		json_get_uint(root, "next_seq", 1, INT64_MAX, &out->next_seq, e) < 0 ||
		read_time(root, "floor_s", &out->floor_s, e) < 0 ||
		read_count(root, "floor_version", &out->floor_version, e) < 0 ||
		read_digest(root, "floor_keys", &out->floor_keys, e) < 0)
		return -1;
	return read_text(root, "last_result", out->last_result, REPORT_DETAIL_MAX, e);
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
	if (file_read(path, &text, e) < 0 || json_parse(buf_span(&text), path, &root, e) < 0)
		return -1;
	if (read_state(root, out, e) == 0 && check_read(root, e) == 0)
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

static json_t *
digest_json(const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE];

	return json_string(digest_hex(d, hex));
}

/* Messages may hold what a hook printed, cut anywhere: what is not UTF-8 becomes '?'. */
static json_t *
text_json(const char *text)
{
	json_t *j = json_string(text);
	AUTO_FREE char *copy = j ? NULL : strdup(text);

	for (char *c = copy; c && *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	return copy ? json_string(copy) : j;
}

static json_t *
release_json(const struct release *r)
{
	if (!r->known)
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:o, s:I}", "name", r->name, "version", r->version,
		"rollback_index", (json_int_t)r->rollback_index, "manifest",
		digest_json(&r->manifest), "attempt", (json_int_t)r->attempt);
}

static json_t *
pending_json(const struct pending *p)
{
	return json_pack("{s:s, s:s, s:b, s:o, s:b, s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:s, s:I, "
			 "s:b, s:b, s:b, s:b, s:b}",
		"phase", PHASE_NAMES[p->phase], "target", side_name(p->target), "tree_only",
		(int)p->tree_only, "release", release_json(&p->release), "local", (int)p->local,
		"rollout", p->rollout, "wave", p->wave, "plan_version", (json_int_t)p->plan_version,
		"attempt", (json_int_t)p->attempt, "deadline_s", (json_int_t)p->deadline_s,
		"boot_id", p->boot_id, "first_seen_boot_ms", (json_int_t)p->first_seen_boot_ms,
		"seen_boot_id", p->seen_boot_id, "boots", (json_int_t)p->boots, "cancelled",
		(int)p->cancelled, "in_doubt", (int)p->in_doubt, "unreached", (int)p->unreached,
		"answered", (int)p->answered, "stale", (int)p->stale);
}

static json_t *
ended_json(const struct ended *d)
{
	if (d->outcome == OUTCOME_NONE)
		return json_null();
	return json_pack("{s:s, s:s, s:o, s:o, s:I, s:b, s:s, s:I}", "outcome",
		outcome_name(d->outcome), "class", err_class_name(d->class), "update",
		pending_json(&d->update), "detail", text_json(d->detail), "seq", (json_int_t)d->seq,
		"in_doubt", (int)d->in_doubt, "doubt_boot_id", d->doubt_boot_id,
		"doubt_since_boot_ms", (json_int_t)d->doubt_since_boot_ms);
}

static json_t *
failed_json(const struct state *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->failed_count; i++) {
		const struct failed *f = &s->failed[i];
		json_t *j = json_pack("{s:o, s:I, s:b, s:I, s:I, s:o}", "manifest",
			digest_json(&f->manifest), "attempt", (json_int_t)f->attempt,
			"inconclusive", (int)f->inconclusive, "tries", (json_int_t)f->tries,
			"not_before_s", (json_int_t)f->not_before_s, "reason",
			text_json(f->reason));

		if (json_array_append_new(array, j) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *
stops_json(const struct state *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->stop_count; i++) {
		const struct sticky_stop *stop = &s->stops[i];
		json_t *j = json_pack("{s:s, s:s, s:o}", "id", stop->id, "gate", stop->gate,
			"reason", text_json(stop->reason));

		if (json_array_append_new(array, j) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *
state_json(const struct state *s)
{
	return json_pack(
		"{s:i, s:[o, o], s:[o, o], s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o}",
		"format", STATE_FORMAT, "running", release_json(&s->running[SIDE_A]),
		release_json(&s->running[SIDE_B]), "linked", release_json(&s->linked[SIDE_A]),
		release_json(&s->linked[SIDE_B]), "rollback_floor", (json_int_t)s->rollback_floor,
		"pending", pending_json(&s->pending), "ended", ended_json(&s->ended), "failed",
		failed_json(s), "stops", stops_json(s), "next_seq", (json_int_t)s->next_seq,
		"floor_s", (json_int_t)s->floor_s, "floor_version", (json_int_t)s->floor_version,
		"floor_keys", digest_json(&s->floor_keys), "last_result",
		text_json(s->last_result));
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
	AUTO_JSON json_t *root = state_json(s);
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
