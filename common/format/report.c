#include "common/format/report.h"

#include <stddef.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "common/format/field.h"

static const char *const state_names[] = {
	[BOX_IDLE] = "idle",
	[BOX_STARTING] = "starting",
	[BOX_INSTALLED] = "installed",
	[BOX_UNCONFIRMED] = "unconfirmed",
	[BOX_CONFIRMED] = "confirmed",
	[BOX_HELD] = "held",
};

static const char *const outcome_names[] = {
	[OUTCOME_NONE] = "none",
	[OUTCOME_OK] = "ok",
	[OUTCOME_FAILED] = "failed",
	[OUTCOME_REVERTED] = "reverted",
	[OUTCOME_INCONCLUSIVE] = "inconclusive",
	[OUTCOME_STOPPED] = "stopped",
};

static const char *const authentic_names[] = {
	[AUTHENTIC_UNSAID] = "",
	[AUTHENTIC_UNKNOWN] = "unknown",
	[AUTHENTIC_YES] = "yes",
	[AUTHENTIC_NO] = "no",
};

static const struct {
	const char *name;
	size_t at;
} haul_members[] = {
	{"in_place", offsetof(struct report_haul, in_place)},
	{"zeros", offsetof(struct report_haul, zeros)},
	{"running", offsetof(struct report_haul, running)},
	{"inactive", offsetof(struct report_haul, inactive)},
	{"network", offsetof(struct report_haul, network)},
	{"fetch", offsetof(struct report_haul, fetch)},
	{"ranges", offsetof(struct report_haul, ranges)},
	{"delta", offsetof(struct report_haul, delta)},
	{"records", offsetof(struct report_haul, records)},
};

/* Without a delta nothing is said of it. */
enum { HAUL_PLAIN = 7 };

_Static_assert(sizeof(struct report_haul) == ARRAY_LEN(haul_members) * sizeof(uint64_t),
	"a number of the haul has no name");
_Static_assert(ARRAY_LEN(authentic_names) == AUTHENTICS, "an answer has no name");
_Static_assert(ARRAY_LEN(state_names) == BOX_STATES, "a state has no name");
_Static_assert(ARRAY_LEN(outcome_names) == OUTCOMES, "an outcome has no name");

const char *
box_state_name(enum box_state s)
{
	return (size_t)s < BOX_STATES ? state_names[s] : "unknown";
}

const char *
outcome_name(enum outcome o)
{
	return (size_t)o < OUTCOMES ? outcome_names[o] : "unknown";
}

const char *
authentic_name(enum authentic a)
{
	return (size_t)a < AUTHENTICS ? authentic_names[a] : "unknown";
}

/* The place of a text among names, or count. */
static size_t
word_find(const char *const *names, size_t count, const char *text)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (strcmp(names[i], text) == 0)
			break;
	}
	return i;
}

bool
box_state_of(const char *name, enum box_state *out)
{
	size_t i = word_find(state_names, BOX_STATES, name);

	if (i < BOX_STATES)
		*out = (enum box_state)i;
	return i < BOX_STATES;
}

bool
outcome_of(const char *name, enum outcome *out)
{
	size_t i = word_find(outcome_names, OUTCOMES, name);

	if (i < OUTCOMES)
		*out = (enum outcome)i;
	return i < OUTCOMES;
}

void
report_free(struct report *r)
{
	if (!r)
		return;
	json_decref(r->tags);
	r->tags = NULL;
}

/* Detail and log quote what programs printed; made into text that every reader takes. */
static json_t *
quote_build(const char *text, size_t size, bool lines)
{
	char clean[REPORT_LOG_MAX + 1];
	size_t len = strnlen(text, size - 1);

	memcpy(clean, text, len);
	clean[len] = 0;
	text_clean(clean);
	for (char *c = clean; !lines && *c; c++) {
		if (*c == '\n' || *c == '\t')
			*c = '?';
	}
	return json_string(clean);
}

static int
newer_add(json_t *j, const char *key, const char *text)
{
	return text[0] ? json_object_set_new(j, key, json_string(text)) : 0;
}

json_t *
report_haul_json(const struct report_haul *h)
{
	size_t members = h->delta > 0 ? ARRAY_LEN(haul_members) : HAUL_PLAIN;
	json_t *j = json_object();

	for (size_t i = 0; i < members; i++) {
		const void *at = (const char *)h + haul_members[i].at;

		(void)json_object_set_new(
			j, haul_members[i].name, json_integer((json_int_t) * (const uint64_t *)at));
	}
	return j;
}

/* What older agents do not say is said only where there is something to it. */
static int
newer_build(const struct report *r, json_t *j)
{
	json_t *stops;

	if (newer_add(j, "plan", r->plan) < 0 ||
		newer_add(j, "linked_sha256", r->linked_sha256) < 0 ||
		newer_add(j, "certificate_serial", r->certificate_serial) < 0 ||
		newer_add(j, "certificate_request", r->certificate_request) < 0 ||
		newer_add(j, "authorities_sha256", r->authorities_sha256) < 0 ||
		newer_add(j, "authentic", authentic_name(r->authentic)) < 0)
		return -1;
	if (r->has_haul && json_object_set_new(j, "haul", report_haul_json(&r->haul)) < 0)
		return -1;
	if (r->stop_count == 0)
		return 0;
	stops = json_array();
	for (size_t i = 0; i < r->stop_count; i++)
		(void)json_array_append_new(stops, json_string(r->stops[i]));
	return json_array_size(stops) == r->stop_count ? json_object_set_new(j, "stops", stops)
						       : -1;
}

int
report_build(const struct report *r, json_t **out, struct err *e)
{
	char at[CLOCK_TEXT_SIZE];
	json_t *tags = r->tags ? json_incref(r->tags) : json_object();
	AUTO_JSON json_t *j =
		json_pack("{s:i, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:s, "
			  "s:s, s:s, s:I, s:o, s:s, s:s, s:s, s:o, s:o}",
			"format", 1, "box", r->box, "seq", (json_int_t)r->seq, "at",
			clock_format(r->at_s, at), "boot_id", r->boot_id, "state",
			box_state_name(r->state), "outcome", outcome_name(r->outcome), "rollout",
			r->rollout, "plan_version", (json_int_t)r->plan_version, "wave", r->wave,
			"attempt", (json_int_t)r->attempt, "bundle", r->bundle, "version",
			r->version, "bundle_sha256", r->bundle_sha256, "running_sha256",
			r->running_sha256, "rollback_floor", (json_int_t)r->rollback_floor, "tags",
			tags, "compatible", r->compatible, "source", r->source, "class", r->class_,
			"detail", quote_build(r->detail, sizeof(r->detail), false), "log",
			quote_build(r->log, sizeof(r->log), true));

	if (!j || newer_build(r, j) < 0)
		return err_set(e, ERR_MALFORMED, "report %llu: a text in it is not UTF-8",
			(unsigned long long)r->seq);
	*out = TAKE_PTR(j);
	return 0;
}

/* The place of a member's text among names. */
static int
word_get(const json_t *body, const char *key, const char *const *names, size_t count, size_t *out,
	struct err *e)
{
	const char *text;
	size_t i;

	if (json_get_string(body, key, NAME_BYTES_MAX, &text, e) < 0)
		return -1;
	i = word_find(names, count, text);
	if (i == count)
		return err_set(e, ERR_MALFORMED, "'%s' is none of the words known for it", key);
	*out = i;
	return 0;
}

/* A plain name, or "" where the report is about none. */
static int
name_or_empty(const json_t *body, const char *key, size_t max, char *out, struct err *e)
{
	const char *text;

	if (json_get_string(body, key, max, &text, e) < 0)
		return -1;
	if (*text && !name_is_plain(text))
		return err_set(e, ERR_MALFORMED, "'%s' is not a plain name", key);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int
sha256_or_empty(const json_t *body, const char *key, char out[DIGEST_HEX_SIZE], struct err *e)
{
	struct digest digest;
	const char *text;

	if (json_get_string(body, key, DIGEST_HEX_SIZE - 1, &text, e) < 0)
		return -1;
	if (*text && field_sha256(body, key, &digest, e) < 0)
		return -1;
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int
who_parse(const json_t *body, struct report *r, struct err *e)
{
	if (field_name(body, "box", r->box, e) < 0 ||
		json_get_uint(body, "seq", 1, FIELD_INT_MAX, &r->seq, e) < 0 ||
		field_time(body, "at", &r->at_s, e) < 0 ||
		field_text(body, "boot_id", r->boot_id, sizeof(r->boot_id), false, e) < 0 ||
		field_name(body, "compatible", r->compatible, e) < 0)
		return -1;
	return json_get_uint(body, "rollback_floor", 0, FIELD_INT_MAX, &r->rollback_floor, e);
}

static int
update_parse(const json_t *body, struct report *r, struct err *e)
{
	if (name_or_empty(body, "rollout", NAME_BYTES_MAX, r->rollout, e) < 0 ||
		json_get_uint(body, "plan_version", 0, FIELD_INT_MAX, &r->plan_version, e) < 0 ||
		name_or_empty(body, "wave", NAME_BYTES_MAX, r->wave, e) < 0 ||
		json_get_uint(body, "attempt", 0, FIELD_INT_MAX, &r->attempt, e) < 0 ||
		name_or_empty(body, "bundle", sizeof(r->bundle) - 1, r->bundle, e) < 0 ||
		field_text(body, "version", r->version, sizeof(r->version), false, e) < 0 ||
		sha256_or_empty(body, "bundle_sha256", r->bundle_sha256, e) < 0)
		return -1;
	return sha256_or_empty(body, "running_sha256", r->running_sha256, e);
}

static int
result_parse(const json_t *body, struct report *r, struct err *e)
{
	static const char *const sources[] = {"", "network", "local"};
	const char *classes[ERR_SYSTEM + 1];
	size_t state = 0, outcome = 0, source = 0, class = 0;

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		classes[i] = err_class_name((enum err_class)i);
	if (word_get(body, "state", state_names, BOX_STATES, &state, e) < 0 ||
		word_get(body, "outcome", outcome_names, OUTCOMES, &outcome, e) < 0 ||
		word_get(body, "source", sources, ARRAY_LEN(sources), &source, e) < 0 ||
		word_get(body, "class", classes, ARRAY_LEN(classes), &class, e) < 0 ||
		field_text(body, "detail", r->detail, sizeof(r->detail), false, e) < 0 ||
		field_text(body, "log", r->log, sizeof(r->log), true, e) < 0)
		return -1;
	r->state = (enum box_state)state;
	r->outcome = (enum outcome)outcome;
	memcpy(r->source, sources[source], strlen(sources[source]) + 1);
	memcpy(r->class_, classes[class], strlen(classes[class]) + 1);
	return 0;
}

static int
stops_parse(const json_t *body, struct report *r, struct err *e)
{
	json_t *stops;

	if (!json_object_get(body, "stops"))
		return 0;
	if (json_get_array(body, "stops", STOPS_MAX, &stops, e) < 0)
		return -1;
	if (json_array_size(stops) == 0)
		return err_set(e, ERR_MALFORMED, "'stops' is left out where there are none");
	for (size_t i = 0; i < json_array_size(stops); i++) {
		const char *id = json_string_value(json_array_get(stops, i));

		if (!id || !stop_id_valid(id))
			return err_set(e, ERR_MALFORMED, "'stops' is an array of stops' ids");
		memcpy(r->stops[i], id, STOP_ID_SIZE);
	}
	r->stop_count = json_array_size(stops);
	return 0;
}

static int
newer_sha256(const json_t *body, const char *key, char out[DIGEST_HEX_SIZE], struct err *e)
{
	struct digest digest;

	if (!json_object_get(body, key))
		return 0;
	if (field_sha256(body, key, &digest, e) < 0)
		return -1;
	(void)digest_hex(&digest, out);
	return 0;
}

static int
serial_parse(const json_t *body, struct report *r, struct err *e)
{
	static const char key[] = "certificate_serial";
	const char *text;
	size_t len;

	if (!json_object_get(body, key))
		return 0;
	if (json_get_string(body, key, 2 * X509_SERIAL_BYTES_MAX, &text, e) < 0)
		return -1;
	len = strlen(text);
	if (len == 0 || len % 2 != 0 || text[strspn(text, "0123456789abcdef")])
		return err_set(e, ERR_MALFORMED,
			"'%s' is no serial number in lower-case hexadecimal", key);
	memcpy(r->certificate_serial, text, len + 1);
	return 0;
}

/* Only what PEM has: the host hands it to libcrypto, and prints none of it. */
static bool
is_request(const char *text)
{
	static const char head[] = "-----BEGIN CERTIFICATE REQUEST-----\n",
			  tail[] = "\n-----END CERTIFICATE REQUEST-----\n",
			  base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/=\n";

	if (strncmp(text, head, sizeof(head) - 1) != 0)
		return false;
	text += sizeof(head) - 1;
	text += strspn(text, base64);
	/* The newline before the tail was taken for the text's. */
	return text[-1] == '\n' && strcmp(text, tail + 1) == 0;
}

static int
request_parse(const json_t *body, struct report *r, struct err *e)
{
	static const char key[] = "certificate_request";
	const char *text;

	if (!json_object_get(body, key))
		return 0;
	if (json_get_string(body, key, CSR_PEM_MAX, &text, e) < 0)
		return -1;
	if (!is_request(text))
		return err_set(e, ERR_MALFORMED, "'%s' is no PEM text of a request", key);
	memcpy(r->certificate_request, text, strlen(text) + 1);
	return 0;
}

/* To be left out where there is nothing to say, so "" is none of the words. */
static int
authentic_parse(const json_t *body, struct report *r, struct err *e)
{
	size_t i = 0;

	if (!json_object_get(body, "authentic"))
		return 0;
	if (word_get(body, "authentic", authentic_names + 1, AUTHENTICS - 1, &i, e) < 0)
		return -1;
	r->authentic = (enum authentic)(i + 1);
	return 0;
}

int
report_haul_parse(const json_t *j, struct report_haul *out, struct err *e)
{
	struct report_haul h = {0};

	if (json_object_size(j) != HAUL_PLAIN && json_object_size(j) != ARRAY_LEN(haul_members))
		return err_set(e, ERR_MALFORMED, "'haul' is an object of %d or %zu numbers",
			HAUL_PLAIN, ARRAY_LEN(haul_members));
	for (size_t i = 0; i < json_object_size(j); i++) {
		void *at = (char *)&h + haul_members[i].at;

		if (json_get_uint(j, haul_members[i].name, 0, FIELD_INT_MAX, at, e) < 0)
			return err_context(e, "'haul'");
	}
	*out = h;
	return 0;
}

static int
haul_parse(const json_t *body, struct report *r, struct err *e)
{
	const json_t *haul = json_object_get(body, "haul");

	r->has_haul = haul != NULL;
	return haul ? report_haul_parse(haul, &r->haul, e) : 0;
}

/* What older agents do not say. */
static int
newer_parse(const json_t *body, struct report *r, struct err *e)
{
	if (json_object_get(body, "plan") &&
		field_path(body, "plan", "rollouts", ".json", r->plan, e) < 0)
		return -1;
	if (newer_sha256(body, "linked_sha256", r->linked_sha256, e) < 0 ||
		newer_sha256(body, "authorities_sha256", r->authorities_sha256, e) < 0 ||
		serial_parse(body, r, e) < 0 || request_parse(body, r, e) < 0)
		return -1;
	return authentic_parse(body, r, e) < 0 || haul_parse(body, r, e) < 0
		       ? -1
		       : stops_parse(body, r, e);
}

static int
whole_parse(const json_t *body, struct report *r, json_t **tags, struct err *e)
{
	static const char *const known[] = {"format", "box", "seq", "at", "boot_id", "state",
		"outcome", "rollout", "plan_version", "wave", "attempt", "bundle", "version",
		"bundle_sha256", "running_sha256", "rollback_floor", "tags", "compatible", "source",
		"class", "detail", "log", "plan", "linked_sha256", "stops", "certificate_serial",
		"certificate_request", "authorities_sha256", "authentic", "haul", NULL};

	if (field_format(body, e) < 0 || json_only(body, known, e) < 0 ||
		who_parse(body, r, e) < 0 || update_parse(body, r, e) < 0 ||
		result_parse(body, r, e) < 0 || newer_parse(body, r, e) < 0)
		return -1;
	return field_tags(body, "tags", tags, e);
}

int
report_parse(const struct verified *v, struct report *out, struct err *e)
{
	json_t *tags;

	*out = (struct report){0};
	if (whole_parse(v->body, out, &tags, e) < 0)
		return err_context(e, "report");
	out->tags = json_incref(tags);
	return 0;
}
