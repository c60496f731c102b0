/* Compiled plans and gates, as a box reads them behind the digest that signed metadata gives them,
 * and what a bundle's listing says beside it.
 *
 * Input: the plan, a line of "%%", the gate, another line, the custom of a target. */
#include "common/format/gate.h"
#include "common/format/listing.h"
#include "common/format/plan.h"
#include "tests/fuzz/harness.h"

static const char mark[] = "%%";

/* What a plan consists of: each is a must, and a few that need not be; nothing else is taken. */
enum { WORDS = 15 };

/* A box may start at some time, and then at once. */
static void
check_window(const struct plan *p)
{
	static const int64_t times[] = {0, 1792893600, 253402300799};
	char text[WINDOW_TEXT_SIZE];
	uint32_t offset;

	if (!p->has_window)
		return;
	offset = window_offset(&p->window, p->rollout, "gw-000001");
	MUST(p->window.days && p->window.length_s >= 60 && p->window.length_s <= 86400);
	MUST(offset < p->window.spread_s || offset == 0);
	MUST(window_text(&p->window, text)[0]);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		int64_t turn = window_turn(&p->window, offset, times[i]);
		struct opening o;

		MUST(turn >= times[i] && turn < INT64_MAX);
		MUST(window_turn(&p->window, offset, turn) == turn);
		MUST(window_opening(&p->window, turn, &o) && o.opens_s <= turn &&
			turn < o.closes_s);
	}
}

static size_t
words_of(const struct plan *p)
{
	const bool options[] = {
		p->has_window, p->budget_bytes > 0, p->has_recall, p->notes != NULL};
	size_t words = WORDS;

	for (size_t i = 0; i < sizeof(options); i++)
		words += options[i];
	return words;
}

/* The same answer each time, whatever was asked in between. */
static void
ask_membership(const struct plan *p, json_t *tags)
{
	static const char *const boxes[] = {"gw-000001", "gw-000017", "z"};
	static const char *const versions[] = {"", "2.1.0", "3", "1.999999999999999999999"};
	enum membership before[3][4];

	for (int round = 0; round < 2; round++) {
		for (size_t b = 0; b < 3; b++) {
			for (size_t v = 0; v < 4; v++) {
				struct box_facts box = {.id = boxes[b],
					.compatible = "acme-gw3",
					.tags = tags,
					.version = versions[v]};
				size_t wave = SIZE_MAX;
				enum membership m = plan_membership(p, &box, &wave);

				MUST(round == 0 || m == before[b][v]);
				MUST(m != MEMBER_OF_WAVE || wave < p->wave_count);
				MUST(membership_name(m)[0]);
				before[b][v] = m;
			}
		}
	}
	MUST(plan_bucket(p->rollout, "gw-000001") < 10000);
}

static bool
read_plan(struct span text, struct plan *out)
{
	AUTO_VERIFIED struct verified v = {0};
	AUTO_JSON json_t *tags = json_pack("{s:s}", "site", "lyon");
	struct err e = ERR_INIT;

	if (!fuzz_verified(text, &v))
		return false;
	if (plan_parse(&v, out, &e) < 0) {
		fuzz_check_err(&e);
		return false;
	}
	/* A start in the first second of 1970 is no start. */
	MUST(json_object_size(v.body) ==
		words_of(out) + (json_object_get(v.body, "start") != NULL));
	check_window(out);
	MUST(out->wave_count >= 1 && out->wave_count <= WAVES_MAX && out->bundle_length > 0);
	ask_membership(out, tags);
	return true;
}

/* What was read is written again as it was. */
static void
check_gate(const struct gate *g, const json_t *body)
{
	AUTO_JSON json_t *built = NULL;
	struct err e = ERR_INIT;

	MUST(gate_build(g, &built, &e) == 0 && json_equal(built, body));
	for (size_t i = 0; i < g->open_count; i++)
		MUST(gate_is_open(g, g->open[i]));
	for (size_t i = 0; i < g->stop_count; i++)
		MUST(stop_id_valid(g->stops[i].id) && !stop_is_lifted(g->stops[i].id, NULL));
}

static bool
read_gate(struct span text, struct gate *out)
{
	AUTO_VERIFIED struct verified v = {0};
	struct err e = ERR_INIT;

	if (!fuzz_verified(text, &v))
		return false;
	if (gate_parse(&v, out, &e) < 0) {
		fuzz_check_err(&e);
		return false;
	}
	check_gate(out, v.body);
	return true;
}

static void
read_listing(struct span text)
{
	AUTO_JSON json_t *custom = NULL, *built = NULL;
	struct listing l, again;
	struct err e = ERR_INIT;

	if (json_parse(text, "custom", &custom, &e) < 0)
		return;
	if (listing_parse(custom, &l, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	MUST(listing_build(&l, &built, &e) == 0 && listing_parse(built, &again, &e) == 0);
	MUST(strcmp(l.name, again.name) == 0 && strcmp(l.version, again.version) == 0);
	MUST(digest_equal(&l.head_sha256, &again.head_sha256) &&
		digest_equal(&l.manifest_sha256, &again.manifest_sha256));
	MUST(l.head_length == again.head_length && l.manifest_length == again.manifest_length &&
		l.rollback_index == again.rollback_index);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), plan = fuzz_take_part(&in, mark);
	AUTO_PLAN struct plan p = {0};
	static struct gate g;
	const char *why = NULL;
	bool has_plan = read_plan(plan, &p), has_gate = read_gate(fuzz_take_part(&in, mark), &g);

	if (has_plan && has_gate) {
		struct digest right = digest_of(plan), wrong = digest_of(span_str("another"));

		fuzz_deep();
		MUST(gate_binds(&g, &p, &right, &why) || why);
		why = NULL;
		if (digest_equal(&g.plan_sha256, &right))
			MUST(!gate_binds(&g, &p, &wrong, &why) && why);
	}
	read_listing(in);
	return 0;
}
