#include <string.h>

#include "common/base/num.h"
#include "common/format/bucket.h"
#include "common/format/plan.h"

/* Splits ">=2.1.0" into what the comparison may come out as and the version. */
static const char *
from_split(const char *expression, bool allowed[3])
{
	static const struct {
		const char *text;
		bool allowed[3]; /* older, equal, newer */
	} operators[] = {
		{">=", {false, true, true}},
		{"<=", {true, true, false}},
		{">", {false, false, true}},
		{"<", {true, false, false}},
		{"=", {false, true, false}},
	};

	for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
		size_t len = strlen(operators[i].text);

		if (strncmp(expression, operators[i].text, len) != 0)
			continue;
		memcpy(allowed, operators[i].allowed, sizeof(operators[i].allowed));
		return num_version_valid(expression + len) ? expression + len : NULL;
	}
	return NULL;
}

bool
plan_from_valid(const char *expression)
{
	bool allowed[3];

	return from_split(expression, allowed) != NULL;
}

bool
plan_from_satisfied(const char *expression, const char *version)
{
	bool allowed[3];
	const char *bound = from_split(expression, allowed);

	if (!bound || !num_version_valid(version))
		return false;
	return allowed[num_version_compare(version, bound) + 1];
}

/* The values of all tags lie in one order, each under the number of its tag. */
static bool
match_satisfied(const struct plan *p, const json_t *tags)
{
	const json_t *values;
	const char *tag;
	uint32_t number = 0;

	json_object_foreach ((json_t *)(uintptr_t)p->match, tag, values) {
		const char *has = json_string_value(json_object_get(tags, tag));

		if (!has || !names_has(&p->values, has, number++))
			return false;
	}
	return true;
}

static bool
from_satisfied(const struct plan *p, const char *version)
{
	for (size_t i = 0; i < p->from_count; i++) {
		if (!plan_from_satisfied(p->from[i], version))
			return false;
	}
	return true;
}

static bool
recall_satisfied(const struct plan *p, const struct box_facts *box)
{
	if (!p->has_recall)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(box->running); i++) {
		if (box->running[i] && digest_equal(box->running[i], &p->recall_manifest))
			return true;
	}
	return false;
}

/* named is the number of the first wave that names the box, or none of them. */
static bool
wave_find(const struct plan *p, const char *box, uint32_t named, size_t *wave)
{
	uint32_t bucket = plan_bucket(p->rollout, box);

	for (size_t i = 0; i < p->wave_count; i++) {
		const struct wave *w = &p->waves[i];

		if (w->has_percent ? bucket < w->percent_bp : named == PLAN_NAMED + i) {
			*wave = i;
			return true;
		}
	}
	return false;
}

/* named is as for wave_find(). */
static enum membership
box_fits(const struct plan *p, const struct box_facts *box, uint32_t *named)
{
	if (names_find(&p->boxes, box->id, named) && *named == PLAN_EXCLUDED)
		return MEMBER_EXCLUDED;
	if (!json_has_text(p->compatible, box->compatible))
		return MEMBER_NOT_COMPATIBLE;
	return match_satisfied(p, box->tags) ? MEMBER_OF_WAVE : MEMBER_NOT_MATCHED;
}

enum membership
plan_membership(const struct plan *p, const struct box_facts *box, size_t *wave)
{
	uint32_t named = UINT32_MAX;
	enum membership fits = box_fits(p, box, &named);

	if (fits != MEMBER_OF_WAVE)
		return fits;
	if (!from_satisfied(p, box->version))
		return MEMBER_NOT_FROM;
	if (!recall_satisfied(p, box))
		return MEMBER_NOT_RECALLED;
	return wave_find(p, box->id, named, wave) ? MEMBER_OF_WAVE : MEMBER_NO_WAVE;
}

enum membership
plan_membership_begun(const struct plan *p, const struct box_facts *box, size_t *wave)
{
	uint32_t named = UINT32_MAX;
	enum membership fits = box_fits(p, box, &named);

	if (fits != MEMBER_OF_WAVE)
		return fits;
	return wave_find(p, box->id, named, wave) ? MEMBER_OF_WAVE : MEMBER_NO_WAVE;
}

uint32_t
plan_bucket(const char *rollout, const char *box)
{
	return bucket_of("sluice-bucket-v1", rollout, box, 10000);
}

const char *
membership_name(enum membership m)
{
	static const char *const names[] = {
		[MEMBER_OF_WAVE] = "in a wave",
		[MEMBER_EXCLUDED] = "excluded",
		[MEMBER_NOT_COMPATIBLE] = "not compatible",
		[MEMBER_NOT_MATCHED] = "tags do not match",
		[MEMBER_NOT_FROM] = "running version is not one to update from",
		[MEMBER_NOT_RECALLED] = "does not run the bundle that is recalled",
		[MEMBER_NO_WAVE] = "in no wave",
	};

	return (size_t)m < ARRAY_LEN(names) ? names[m] : "unknown";
}

const char *
membership_word(enum membership m)
{
	static const char *const words[] = {
		[MEMBER_OF_WAVE] = "of_wave",
		[MEMBER_EXCLUDED] = "excluded",
		[MEMBER_NOT_COMPATIBLE] = "not_compatible",
		[MEMBER_NOT_MATCHED] = "not_matched",
		[MEMBER_NOT_FROM] = "not_from",
		[MEMBER_NOT_RECALLED] = "not_recalled",
		[MEMBER_NO_WAVE] = "no_wave",
	};

	return (size_t)m < ARRAY_LEN(words) ? words[m] : "unknown";
}
