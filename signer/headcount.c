#include "signer/headcount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "signer/sql.h"

void
headcount_free(struct headcount *h)
{
	for (size_t i = 0; i < HEADCOUNT_KINDS; i++) {
		json_decref(h->of[i]);
		h->of[i] = NULL;
	}
}

/* Sorting a million texts in the database takes longer than reading them. */
static int
count(json_t *counts, const char *what, struct err *e)
{
	json_t *n = json_object_get(counts, what);

	if (n)
		return json_integer_set(n, json_integer_value(n) + 1);
	if (json_object_set_new(counts, what, json_integer(1)) < 0)
		return err_sys(e, ENOMEM, "counting boxes");
	return 0;
}

static int
row_count(const struct query *q, int64_t silent_since_s, struct headcount *h, struct err *e)
{
	const char *outcome = query_text(q, 2);
	int64_t heard_s = query_int(q, 5);

	h->census.boxes++;
	h->census.never += heard_s < 0;
	h->census.silent += heard_s >= 0 && heard_s < silent_since_s;
	if (count(h->of[HEADCOUNT_BY_STATE], query_text(q, 0), e) < 0 ||
		count(h->of[HEADCOUNT_BY_VERSION], query_text(q, 1), e) < 0 ||
		count(h->of[HEADCOUNT_BY_PLAN], query_text(q, 4), e) < 0 ||
		(*query_text(q, 6) && count(h->of[HEADCOUNT_BY_AUDIT], query_text(q, 6), e) < 0))
		return -1;
	if (strcmp(outcome, "failed") != 0 && strcmp(outcome, "reverted") != 0)
		return 0;
	return count(h->of[HEADCOUNT_BY_FAILURE], query_text(q, 3), e);
}

int
headcount_take(struct fleet *f, int64_t silent_since_s, struct headcount *out, struct err *e)
{
	AUTO_HEADCOUNT struct headcount h = {0};
	AUTO_QUERY struct query *q = NULL;
	struct sql *s = NULL;
	bool row = false;

	for (size_t i = 0; i < HEADCOUNT_KINDS; i++) {
		h.of[i] = json_object();
		if (!h.of[i])
			return err_sys(e, ENOMEM, "counting boxes");
	}
	if (fleet_sql(f, &s, e) < 0 ||
		query_begin(s, &q, e,
			"SELECT state, version, outcome, class, plan, coalesce(heard_s, -1), "
			"authentic FROM box LEFT JOIN known "
			"ON known.box = box.id WHERE revoked_s = 0",
			"") < 0)
		return -1;
	for (;;) {
		if (query_next(q, &row, e) < 0)
			return -1;
		if (!row)
			break;
		if (row_count(q, silent_since_s, &h, e) < 0)
			return -1;
	}
	*out = h;
	h = (struct headcount){0};
	return 0;
}

static int
more_first(const void *a, const void *b)
{
	const json_t *one = *(json_t *const *)a, *two = *(json_t *const *)b;
	json_int_t boxes = json_integer_value(json_object_get(one, "boxes")),
		   others = json_integer_value(json_object_get(two, "boxes"));

	if (boxes != others)
		return boxes > others ? -1 : 1;
	return strcmp(json_text(one, "what"), json_text(two, "what"));
}

json_t *
headcount_rows(const struct headcount *h, enum headcount_kind kind)
{
	size_t size = json_object_size(h->of[kind]), rows = 0;
	AUTO_FREE json_t **sorted = calloc(size + 1, sizeof(*sorted));
	json_t *list = json_array(), *n;
	bool good = sorted && list;
	const char *what;

	json_object_foreach (h->of[kind], what, n) {
		if (good && !(sorted[rows++] = json_pack("{s:s, s:O}", "what", what, "boxes", n)))
			good = false;
	}
	if (good)
		qsort(sorted, size, sizeof(json_t *), more_first);
	for (size_t i = 0; i < rows; i++)
		good = json_array_append_new(list, sorted[i]) == 0 && good;
	if (good)
		return list;
	json_decref(list);
	return NULL;
}

static uint64_t
of_plan(const struct headcount *h, const char *path)
{
	return (uint64_t)json_integer_value(json_object_get(h->of[HEADCOUNT_BY_PLAN], path));
}

uint64_t
headcount_followers(const struct headcount *h, const char *plan_path)
{
	if (!plan_path)
		return h->census.boxes;
	return of_plan(h, plan_path) + of_plan(h, "");
}
