#include "agent/budget.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/num.h"

/* How often what was spent is saved while it is spent: a power cut forgets a sixteenth at most. */
enum { SAVES = 16 };

static bool
is_of(const struct spending *s, const struct digest *manifest, uint64_t attempt)
{
	return s->attempt == attempt && digest_equal(&s->manifest, manifest);
}

struct budget
budget_begin(const char *state_dir, struct state *s, const struct digest *manifest,
	uint64_t attempt, uint64_t bytes)
{
	if (!is_of(&s->spent, manifest, attempt))
		s->spent = (struct spending){.manifest = *manifest, .attempt = attempt};
	s->spent.wants_bytes = 0;
	return (struct budget){
		.bytes = bytes, .state_dir = state_dir, .state = s, .saved = s->spent.bytes};
}

/* As far as the state can say it. */
static uint64_t
sum(uint64_t a, uint64_t b)
{
	return b > INT64_MAX - a ? INT64_MAX : a + b;
}

static bool
fits(const struct budget *b, uint64_t spent, uint64_t len)
{
	return b->bytes == 0 || (spent <= b->bytes && len <= b->bytes - spent);
}

/* Whether len more bytes may be fetched than what was spent. */
static int
check(struct budget *b, uint64_t spent, uint64_t len, struct err *e)
{
	char wants[NUM_HUMAN_SIZE], budget[NUM_HUMAN_SIZE];

	if (fits(b, spent, len))
		return 0;
	b->state->spent.wants_bytes = sum(spent, len);
	return err_set(e, ERR_REFUSED, "it takes %s or more, and the plan allows a box %s",
		num_human_size(b->state->spent.wants_bytes, wants),
		num_human_size(b->bytes, budget));
}

static void
save(struct budget *b)
{
	struct err e;

	if (state_save(b->state_dir, b->state, &e) < 0)
		log_error("%s", e.text);
	b->saved = b->state->spent.bytes;
}

static void
count(struct budget *b, uint64_t len)
{
	struct spending *s = &b->state->spent;

	s->bytes = sum(s->bytes, len);
	if (b->bytes > 0 && s->bytes - b->saved >= b->bytes / SAVES)
		save(b);
}

int
budget_fits(struct budget *b, uint64_t len, struct err *e)
{
	struct spending *s = &b->state->spent;
	char wasted[NUM_HUMAN_SIZE], budget[NUM_HUMAN_SIZE];

	if (b->bytes == 0 || s->wasted_bytes < b->bytes)
		return check(b, 0, len, e);
	s->wants_bytes = sum(s->wasted_bytes, len);
	return err_set(e, ERR_REFUSED,
		"%s went into what did not come as it was signed, and the plan allows a box %s",
		num_human_size(s->wasted_bytes, wasted), num_human_size(b->bytes, budget));
}

uint64_t
budget_spent(const struct budget *b)
{
	return b->state->spent.bytes;
}

void
budget_waste(struct budget *b, uint64_t spent_before)
{
	struct spending *s = &b->state->spent;

	s->wasted_bytes = sum(s->wasted_bytes, s->bytes - spent_before);
	s->bytes = spent_before;
	if (b->bytes > 0)
		save(b);
}

int
budget_check_hours(const struct window *hours, int64_t now_s, struct err *e)
{
	char text[WINDOW_TEXT_SIZE];
	struct opening o;

	if (!hours || hours->length_s == 0 ||
		(window_opening(hours, now_s, &o) && o.opens_s <= now_s))
		return 0;
	return err_set(
		e, ERR_REFUSED, "downloads wait for their hours (%s)", window_text(hours, text));
}

void
budget_keep_hours(struct budget *b, const struct window *hours, int64_t now_s)
{
	b->hours = hours;
	b->ahead_s = now_s - clock_boot_ms() / 1000;
}

static int
keep_hours(struct budget *b, struct err *e)
{
	if (budget_check_hours(b->hours, b->ahead_s + clock_boot_ms() / 1000, e) == 0)
		return 0;
	b->is_late = true;
	return -1;
}

/* What was expected at or before the end of a range that is opened, is on its way no more. */
static void
expected_drop(struct budget *b, uint64_t end)
{
	size_t gone = 0;

	while (gone < b->expected_count && b->expected[gone].offset < end)
		gone++;
	b->expected_count -= gone;
	memmove(b->expected, b->expected + gone, b->expected_count * sizeof(*b->expected));
}

static int
meter_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct budget *b = arg;

	if (keep_hours(b, e) < 0)
		return -1;
	b->open_left = len;
	expected_drop(b, sum(offset, len));
	return b->inner.open(b->inner.arg, offset, len, e);
}

static int
source_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct budget *b = arg;

	return check(b, b->state->spent.bytes, len, e) < 0 ? -1 : meter_open(arg, offset, len, e);
}

static bool
source_expect(void *arg, uint64_t offset, uint64_t len)
{
	struct budget *b = arg;
	uint64_t spent = sum(b->state->spent.bytes, b->open_left);

	for (size_t i = 0; i < b->expected_count; i++)
		spent = sum(spent, b->expected[i].len);
	if (b->expected_count == BUDGET_EXPECTED || !fits(b, spent, len) ||
		!b->inner.expect(b->inner.arg, offset, len))
		return false;
	b->expected[b->expected_count++] = (struct expected){offset, len};
	return true;
}

static int
meter_bill(void *arg, uint64_t bytes, struct err *e)
{
	(void)e;
	count(arg, bytes);
	return 0;
}

static int
source_bill(void *arg, uint64_t bytes, struct err *e)
{
	struct budget *b = arg;

	if (check(b, sum(b->state->spent.bytes, b->open_left), bytes, e) < 0)
		return -1;
	count(b, bytes);
	return 0;
}

static ssize_t
source_read(void *arg, void *data, size_t len, struct err *e)
{
	struct budget *b = arg;
	ssize_t n = keep_hours(b, e) < 0 ? -1 : b->inner.read(b->inner.arg, data, len, e);

	if (n > 0) {
		count(b, (uint64_t)n);
		b->open_left -= num_min(b->open_left, (uint64_t)n);
	}
	return n;
}

/* Bytes that nobody signed are nothing that the release takes. */
static int
source_elsewhere(void *arg, unsigned tries, uint64_t spoilt, struct err *why)
{
	struct budget *b = arg;
	uint64_t spent = b->state->spent.bytes;

	if (!b->inner.elsewhere)
		return -1;
	b->expected_count = 0;
	budget_waste(b, spent - num_min(spent, spoilt));
	return budget_fits(b, 0, why) < 0 ? -1
					  : b->inner.elsewhere(b->inner.arg, tries, spoilt, why);
}

static void
source_close(void *arg)
{
	struct budget *b = arg;

	b->inner.close(b->inner.arg);
}

static int
source_foresee(void *arg, uint64_t bytes, struct err *e)
{
	struct budget *b = arg;

	return check(b, b->state->spent.bytes, bytes, e);
}

static bool
source_only(void *arg, bool only)
{
	struct budget *b = arg;

	return b->inner.only_ranges(b->inner.arg, only);
}

/* The same for both, but for who may open a range and be billed. */
static struct source
counted(struct budget *b, const struct source *inner,
	int (*bill)(void *arg, uint64_t bytes, struct err *e))
{
	b->inner = *inner;
	b->open_left = b->expected_count = 0;
	if (inner->bill)
		inner->bill(inner->arg, &(struct bill){bill, b});
	return (struct source){.arg = b,
		.open = source_open,
		.read = source_read,
		.close = source_close,
		.elsewhere = source_elsewhere,
		.expect = inner->expect ? source_expect : NULL,
		.only_ranges = inner->only_ranges ? source_only : NULL};
}

struct source
budget_meter(struct budget *b, const struct source *inner)
{
	struct source s = counted(b, inner, meter_bill);

	s.open = meter_open;
	return s;
}

struct source
budget_source(struct budget *b, const struct source *inner)
{
	struct source s = counted(b, inner, source_bill);

	s.foresee = source_foresee;
	return s;
}

bool
budget_is_over(const struct budget *b)
{
	return b->is_late || b->state->spent.wants_bytes > 0;
}

bool
budget_is_spent(
	const struct spending *s, const struct digest *manifest, uint64_t attempt, uint64_t bytes)
{
	return bytes > 0 && is_of(s, manifest, attempt) && s->wants_bytes > bytes;
}
