#include "agent/state_json.h"

#include <errno.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"

enum { STATE_FORMAT = 1 };

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
		if (strcmp(name, phase_name((enum phase)i)) == 0) {
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
	out->switched = json_is_true(json_object_get(j, "switched"));
	out->in_doubt = json_is_true(json_object_get(j, "in_doubt"));
	out->unreached = json_is_true(json_object_get(j, "unreached"));
	out->answered = json_is_true(json_object_get(j, "answered"));
	out->in_order = json_is_true(json_object_get(j, "in_order"));
	out->stale = json_is_true(json_object_get(j, "stale"));
	out->told = json_is_true(json_object_get(j, "told"));
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

/* Older agents counted nothing. */
static int
read_spent(const json_t *j, struct spending *out, struct err *e)
{
	if (!j)
		return 0;
	if (!json_is_object(j))
		return err_set(e, ERR_MALFORMED, "spent is not an object");
	if (read_digest(j, "manifest", &out->manifest, e) < 0 ||
		read_count(j, "attempt", &out->attempt, e) < 0 ||
		read_count(j, "bytes", &out->bytes, e) < 0 ||
		read_count(j, "wants_bytes", &out->wants_bytes, e) < 0 ||
		(json_object_get(j, "wasted_bytes") &&
			read_count(j, "wasted_bytes", &out->wasted_bytes, e) < 0))
		return err_context(e, "spent");
	return 0;
}

/* Older agents kept the first of them only. */
enum { INTAKE_COUNTS = 15, INTAKE_COUNTS_OLD = 12 };

/* Its numbers, and what each is called. */
static void
intake_fields(struct intake_record *r, uint64_t *fields[INTAKE_COUNTS])
{
	uint64_t *all[INTAKE_COUNTS] = {&r->haul.in_place, &r->haul.zeros, &r->haul.inactive,
		&r->haul.running, &r->haul.network, &r->haul.stored, &r->haul.ranges,
		&r->stats.bytes_in_place, &r->stats.bytes_running, &r->stats.bytes_inactive,
		&r->stats.bytes_fetched, &r->stats.bytes_written, &r->haul.delta, &r->haul.records,
		&r->stats.bytes_delta};

	memcpy(fields, all, sizeof(all));
}

static const char *const intake_keys[INTAKE_COUNTS] = {"plan_in_place", "plan_zeros",
	"plan_inactive", "plan_running", "plan_network", "plan_stored", "plan_ranges", "in_place",
	"running", "inactive", "fetched", "written", "plan_delta", "plan_records", "delta"};

/* Older agents kept none. */
static int
read_intake(const json_t *j, struct intake_record *out, struct err *e)
{
	uint64_t *fields[INTAKE_COUNTS];

	if (!j)
		return 0;
	if (!json_is_object(j))
		return err_set(e, ERR_MALFORMED, "intake is not an object");
	intake_fields(out, fields);
	for (size_t i = 0; i < INTAKE_COUNTS; i++) {
		if (i >= INTAKE_COUNTS_OLD && !json_object_get(j, intake_keys[i]))
			continue;
		if (read_count(j, intake_keys[i], fields[i], e) < 0)
			return err_context(e, "intake");
	}
	return read_digest(j, "manifest", &out->manifest, e) < 0 ? err_context(e, "intake") : 0;
}

/* Older agents kept none. */
static int
read_seen(const json_t *j, struct tuf_floor *out, struct err *e)
{
	if (!j)
		return 0;
	if (!json_is_object(j))
		return err_set(e, ERR_MALFORMED, "seen is not an object");
	if (read_count(j, "timestamp", &out->timestamp, e) < 0 ||
		read_count(j, "snapshot", &out->snapshot, e) < 0 ||
		read_count(j, "targets", &out->targets, e) < 0 ||
		read_digest(j, "keys", &out->keys, e) < 0)
		return err_context(e, "seen");
	return 0;
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

int
state_from_json(const json_t *root, struct state *out, struct err *e)
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
		read_spent(json_object_get(root, "spent"), &out->spent, e) < 0 ||
		read_intake(json_object_get(root, "intake"), &out->intake, e) < 0 ||
		json_get_uint(root, "next_seq", 1, INT64_MAX, &out->next_seq, e) < 0 ||
		read_time(root, "floor_s", &out->floor_s, e) < 0 ||
		read_count(root, "floor_version", &out->floor_version, e) < 0 ||
		read_digest(root, "floor_keys", &out->floor_keys, e) < 0 ||
		read_seen(json_object_get(root, "seen"), &out->seen, e) < 0)
		return -1;
	return read_text(root, "last_result", out->last_result, REPORT_DETAIL_MAX, e);
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
			 "s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b}",
		"phase", phase_name(p->phase), "target", side_name(p->target), "tree_only",
		(int)p->tree_only, "release", release_json(&p->release), "local", (int)p->local,
		"rollout", p->rollout, "wave", p->wave, "plan_version", (json_int_t)p->plan_version,
		"attempt", (json_int_t)p->attempt, "deadline_s", (json_int_t)p->deadline_s,
		"boot_id", p->boot_id, "first_seen_boot_ms", (json_int_t)p->first_seen_boot_ms,
		"seen_boot_id", p->seen_boot_id, "boots", (json_int_t)p->boots, "cancelled",
		(int)p->cancelled, "in_doubt", (int)p->in_doubt, "unreached", (int)p->unreached,
		"answered", (int)p->answered, "in_order", (int)p->in_order, "stale", (int)p->stale,
		"switched", (int)p->switched, "told", (int)p->told);
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
spent_json(const struct spending *s)
{
	return json_pack("{s:o, s:I, s:I, s:I, s:I}", "manifest", digest_json(&s->manifest),
		"attempt", (json_int_t)s->attempt, "bytes", (json_int_t)s->bytes, "wasted_bytes",
		(json_int_t)s->wasted_bytes, "wants_bytes", (json_int_t)s->wants_bytes);
}

json_t *
state_intake_json(const struct intake_record *record)
{
	struct intake_record copy = *record;
	uint64_t *fields[INTAKE_COUNTS];
	json_t *j = json_object();

	intake_fields(&copy, fields);
	for (size_t i = 0; i < INTAKE_COUNTS; i++)
		(void)json_object_set_new(j, intake_keys[i], json_integer((json_int_t)*fields[i]));
	(void)json_object_set_new(j, "manifest", digest_json(&record->manifest));
	return j;
}

static json_t *
seen_json(const struct tuf_floor *f)
{
	return json_pack("{s:I, s:I, s:I, s:o}", "timestamp", (json_int_t)f->timestamp, "snapshot",
		(json_int_t)f->snapshot, "targets", (json_int_t)f->targets, "keys",
		digest_json(&f->keys));
}

json_t *
state_to_json(const struct state *s)
{
	return json_pack(
		"{s:i, s:[o, o], s:[o, o], s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, "
		"s:o, s:o, s:o}",
		"format", STATE_FORMAT, "running", release_json(&s->running[SIDE_A]),
		release_json(&s->running[SIDE_B]), "linked", release_json(&s->linked[SIDE_A]),
		release_json(&s->linked[SIDE_B]), "rollback_floor", (json_int_t)s->rollback_floor,
		"pending", pending_json(&s->pending), "ended", ended_json(&s->ended), "failed",
		failed_json(s), "stops", stops_json(s), "spent", spent_json(&s->spent), "intake",
		state_intake_json(&s->intake), "next_seq", (json_int_t)s->next_seq, "floor_s",
		(json_int_t)s->floor_s, "floor_version", (json_int_t)s->floor_version, "floor_keys",
		digest_json(&s->floor_keys), "seen", seen_json(&s->seen), "last_result",
		text_json(s->last_result));
}
