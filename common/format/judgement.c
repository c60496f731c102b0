#include "common/format/judgement.h"

#include <stdio.h>

#include "common/base/num.h"

/* Shares in halves of a millionth: exact for hundredths of a percent, and fine enough to round the
 * bound to millionths. */
#define SHARE_UNIT 2000000ULL
#define SHARE_OF_BP (SHARE_UNIT / 10000)
#define Z_MILLI 1000ULL		      /* z = 2.326 = 2326 / Z_MILLI */
#define Z_SQUARED (2326ULL * 2326ULL) /* in units of 1 / Z_MILLI² */

/* C has no 128-bit integers on every box. */
struct wide {
	uint64_t high, low;
};

static struct wide
wide_product(uint64_t a, uint64_t b)
{
	uint64_t a_high = a >> 32, a_low = a & UINT32_MAX, b_high = b >> 32, b_low = b & UINT32_MAX;
	uint64_t low = a_low * b_low, left = a_high * b_low + (low >> 32),
		 right = a_low * b_high + (left & UINT32_MAX);

	return (struct wide){.high = a_high * b_high + (left >> 32) + (right >> 32),
		.low = right << 32 | (low & UINT32_MAX)};
}

static bool
wide_more(struct wide a, struct wide b)
{
	return a.high != b.high ? a.high > b.high : a.low > b.low;
}

uint64_t
tally_bad(const struct tally *t)
{
	return t->failed + t->reverted + t->overdue;
}

uint64_t
tally_decided(const struct tally *t)
{
	return t->ok + tally_bad(t);
}

/* The bound exceeds a share s just where bad/n - s > z √(s (1 - s) / n), which needs neither a
 * root nor a fraction once it is squared: (bad - n s)² > z² n s (1 - s). */
static bool
bound_exceeds(uint64_t bad, uint64_t n, uint64_t share)
{
	uint64_t above;

	if (n == 0 || bad * SHARE_UNIT <= n * share)
		return false;
	above = (bad * SHARE_UNIT - n * share) * Z_MILLI;
	return wide_more(wide_product(above, above),
		wide_product(Z_SQUARED * share * (SHARE_UNIT - share), n));
}

bool
wilson_exceeds(uint64_t bad, uint64_t decided, uint32_t share_bp)
{
	return bound_exceeds(bad, decided, share_bp * SHARE_OF_BP);
}

uint64_t
wilson_sample(uint32_t share_bp)
{
	uint64_t low = 0, high = TALLY_MAX;

	if (!wilson_exceeds(high, high, share_bp))
		return 0;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (wilson_exceeds(middle, middle, share_bp))
			high = middle;
		else
			low = middle;
	}
	return high;
}

uint32_t
wilson_lower_ppm(uint64_t bad, uint64_t decided)
{
	uint64_t low = 0, high = SHARE_UNIT;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (bound_exceeds(bad, decided, middle))
			low = middle;
		else
			high = middle;
	}
	return (uint32_t)((low + 1) / 2);
}

bool
judgement_overdue(const struct plan *p, uint64_t silent_s)
{
	return silent_s > p->stop.overdue_s;
}

/* Whether part / whole is at least so much; of nothing it is. */
static bool
share_holds(uint64_t part, uint64_t whole, uint32_t share_bp)
{
	return part * 10000 >= whole * share_bp;
}

/* A box whose failure was accepted may be well by now, so that there are fewer than there were. */
static uint64_t
beyond(uint64_t count, uint64_t accepted)
{
	return count > accepted ? count - accepted : 0;
}

/* What a wave has decided since it was last accepted. */
static struct tally
tally_new(const struct standing *s, size_t wave)
{
	static const struct tally nothing;
	const struct tally *t = &s->waves[wave], *a = s->accepted ? &s->accepted[wave] : &nothing;

	return (struct tally){.ok = beyond(t->ok, a->ok),
		.failed = beyond(t->failed, a->failed),
		.reverted = beyond(t->reverted, a->reverted),
		.overdue = beyond(t->overdue, a->overdue)};
}

static struct tally
tally_sum(const struct standing *s)
{
	struct tally sum = {0};

	for (size_t i = 0; i < s->open; i++) {
		struct tally t = tally_new(s, i);

		sum.ok += t.ok;
		sum.failed += t.failed;
		sum.reverted += t.reverted;
		sum.overdue += t.overdue;
	}
	return sum;
}

static bool
stop_due(const struct plan *p, const struct tally *t)
{
	uint64_t bad = tally_bad(t);

	return bad >= p->stop.at_least &&
	       wilson_exceeds(bad, tally_decided(t), p->stop.failures_bp);
}

static struct judgement
stop_say(const struct plan *p, const struct tally *t, const char *wave)
{
	struct judgement v = {.kind = JUDGEMENT_STOP};
	uint32_t lower_ppm = wilson_lower_ppm(tally_bad(t), tally_decided(t));

	(void)snprintf(v.reason, sizeof(v.reason),
		"%llu of %llu boxes decided in %s%s went wrong (%llu failed, %llu reverted, "
		"%llu overdue): surely over %u.%04u%%, and %u.%02u%% is allowed",
		(unsigned long long)tally_bad(t), (unsigned long long)tally_decided(t),
		wave ? "wave " : "all open waves", wave ? wave : "", (unsigned long long)t->failed,
		(unsigned long long)t->reverted, (unsigned long long)t->overdue, lower_ppm / 10000,
		lower_ppm % 10000, p->stop.failures_bp / 100, p->stop.failures_bp % 100);
	return v;
}

static bool
stop_look(const struct plan *p, const struct standing *s, struct judgement *out)
{
	struct tally sum = tally_sum(s);

	for (size_t i = 0; i < s->open; i++) {
		struct tally t = tally_new(s, i);

		if (stop_due(p, &t)) {
			*out = stop_say(p, &t, p->waves[i].name);
			return true;
		}
	}
	if (!stop_due(p, &sum))
		return false;
	*out = stop_say(p, &sum, NULL);
	return true;
}

/* What the judged wave still lacks, in words. */
static bool
wave_is_good(const struct plan *p, const struct tally *t, struct judgement *v)
{
	uint64_t decided = tally_decided(t), sample = num_min(p->advance.sample, t->boxes);

	if (decided < sample)
		(void)snprintf(v->reason, sizeof(v->reason),
			"%llu of %llu boxes are decided, and %llu are needed",
			(unsigned long long)decided, (unsigned long long)t->boxes,
			(unsigned long long)sample);
	else if (!share_holds(t->ok, decided, p->advance.success_bp))
		(void)snprintf(v->reason, sizeof(v->reason),
			"%llu of %llu boxes decided are well, and %u.%02u%% are needed",
			(unsigned long long)t->ok, (unsigned long long)decided,
			p->advance.success_bp / 100, p->advance.success_bp % 100);
	else if (!share_holds(t->seen, t->boxes, p->advance.coverage_bp))
		(void)snprintf(v->reason, sizeof(v->reason),
			"%llu of %llu boxes were heard of, and %u.%02u%% are needed",
			(unsigned long long)t->seen, (unsigned long long)t->boxes,
			p->advance.coverage_bp / 100, p->advance.coverage_bp % 100);
	else
		return true;
	/* All that can be known is known, and it is the success that is missed. */
	if (decided >= t->boxes)
		v->kind = JUDGEMENT_HOLD;
	return false;
}

/* The wave is good; has it been for long enough? */
static void
soak_judge(uint64_t soak_s, const struct standing *s, struct judgement *v)
{
	const struct tally *t = &s->waves[s->open - 1];
	/* A clock that was set back starts the soak anew. */
	int64_t since =
		s->good_since_s > 0 && s->good_since_s <= s->now_s ? s->good_since_s : s->now_s;
	uint64_t soaked_s = (uint64_t)(s->now_s - since);

	v->good_since_s = since;
	v->kind = soaked_s >= soak_s ? JUDGEMENT_PASS : JUDGEMENT_SOAK;
	if (v->kind == JUDGEMENT_SOAK)
		v->until_s = since + (int64_t)soak_s;
	(void)snprintf(v->reason, sizeof(v->reason),
		"%llu of %llu boxes decided are well; watched for %llu s of %llu",
		(unsigned long long)t->ok, (unsigned long long)tally_decided(t),
		(unsigned long long)soaked_s, (unsigned long long)soak_s);
}

struct judgement
judgement_reach(const struct plan *p, const struct local_limits *limits, const struct standing *s)
{
	struct judgement v = {.kind = JUDGEMENT_WAIT};

	if (stop_look(p, s, &v) || !wave_is_good(p, &s->waves[s->open - 1], &v))
		return v;
	soak_judge(num_max(p->waves[s->open - 1].soak_s, limits->soak_min_s), s, &v);
	if (limits->first_wave_max > 0 && s->open < p->wave_count &&
		s->waves[0].boxes > limits->first_wave_max) {
		v.kind = JUDGEMENT_HOLD;
		(void)snprintf(v.reason, sizeof(v.reason),
			"the first wave has %llu boxes, and this host opens nothing behind one of "
			"over %llu",
			(unsigned long long)s->waves[0].boxes,
			(unsigned long long)limits->first_wave_max);
	}
	return v;
}

const char *
judgement_name(enum judgement_kind kind)
{
	static const char *const names[] = {
		[JUDGEMENT_WAIT] = "wait",
		[JUDGEMENT_SOAK] = "soak",
		[JUDGEMENT_PASS] = "pass",
		[JUDGEMENT_HOLD] = "hold",
		[JUDGEMENT_STOP] = "stop",
	};

	return (size_t)kind < ARRAY_LEN(names) ? names[kind] : "unknown";
}
