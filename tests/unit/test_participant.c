#include "tests/unit/sample.h"

#include <stdio.h>

#include "signer/participant.h"

#define NEW "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OLD "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

/* What a box says, a line a report: state, outcome, boot, what runs, what the link leads to. */
struct line {
	enum box_state state;
	enum outcome outcome;
	const char *boot, *running, *linked;
};

#define START                                                                                      \
	{                                                                                          \
		BOX_STARTING, OUTCOME_NONE, "1", OLD, ""                                           \
	}
#define INSTALLED                                                                                  \
	{                                                                                          \
		BOX_INSTALLED, OUTCOME_NONE, "1", OLD, ""                                          \
	}
#define TRIAL                                                                                      \
	{                                                                                          \
		BOX_UNCONFIRMED, OUTCOME_NONE, "2", NEW, ""                                        \
	}
#define SUCCESS                                                                                    \
	{                                                                                          \
		BOX_CONFIRMED, OUTCOME_OK, "2", NEW, ""                                            \
	}
#define REVERTED                                                                                   \
	{                                                                                          \
		BOX_IDLE, OUTCOME_REVERTED, "3", OLD, ""                                           \
	}
#define FAILED                                                                                     \
	{                                                                                          \
		BOX_IDLE, OUTCOME_FAILED, "1", OLD, ""                                             \
	}
#define INCONCLUSIVE                                                                               \
	{                                                                                          \
		BOX_IDLE, OUTCOME_INCONCLUSIVE, "3", OLD, ""                                       \
	}
#define STOPPED                                                                                    \
	{                                                                                          \
		BOX_HELD, OUTCOME_STOPPED, "1", OLD, ""                                            \
	}
#define HELD                                                                                       \
	{                                                                                          \
		BOX_HELD, OUTCOME_NONE, "1", OLD, ""                                               \
	}
#define KNOWN_BAD                                                                                  \
	{                                                                                          \
		BOX_IDLE, OUTCOME_NONE, "3", OLD, ""                                               \
	}

static struct participant
hear(const struct line *lines, size_t count)
{
	struct participant p = {0};

	for (size_t i = 0; i < count; i++) {
		struct told t = {lines[i].state, lines[i].outcome, lines[i].boot, lines[i].running,
			lines[i].linked, 1000 + (int64_t)i};

		participant_hear(&p, &t, NEW);
	}
	return p;
}

#define HEAR(...)                                                                                  \
	hear((const struct line[]){__VA_ARGS__},                                                   \
		sizeof((const struct line[]){__VA_ARGS__}) / sizeof(struct line))

static void
a_box_that_booted_the_release_and_confirmed_it_is_ok(void **state)
{
	struct participant p = HEAR(START, INSTALLED, TRIAL, SUCCESS);

	(void)state;
	assert_int_equal(p.status, PARTICIPANT_OK);
	assert_true(p.started);
	assert_string_equal(p.start_boot, "1");
	assert_int_equal(HEAR(START).status, PARTICIPANT_STARTED);
	assert_int_equal(HEAR(START, INSTALLED).status, PARTICIPANT_STARTED);
	assert_int_equal(HEAR(START, INSTALLED, TRIAL).status, PARTICIPANT_STARTED);
	assert_int_equal(HEAR(START).started_s, 1000);
	/* It says so again after its agent began anew. */
	assert_int_equal(HEAR(START, SUCCESS, {BOX_CONFIRMED, OUTCOME_NONE, "2", NEW, ""}).status,
		PARTICIPANT_OK);
}

static void
what_a_box_only_claims_does_not_count(void **state)
{
	(void)state;
	/* The old release still runs. */
	assert_int_equal(
		HEAR(START, {BOX_CONFIRMED, OUTCOME_OK, "2", OLD, ""}).status, PARTICIPANT_STARTED);
	/* Nobody knows what runs. */
	assert_int_equal(
		HEAR(START, {BOX_CONFIRMED, OUTCOME_OK, "2", "", ""}).status, PARTICIPANT_STARTED);
	/* It has not booted. */
	assert_int_equal(
		HEAR(START, {BOX_CONFIRMED, OUTCOME_OK, "1", NEW, ""}).status, PARTICIPANT_STARTED);
	/* Not confirmed. */
	assert_int_equal(HEAR(START, {BOX_UNCONFIRMED, OUTCOME_OK, "2", NEW, ""}).status,
		PARTICIPANT_STARTED);
	assert_int_equal(
		HEAR(START, {BOX_HELD, OUTCOME_NONE, "2", NEW, ""}).status, PARTICIPANT_SEEN);
}

static void
a_tree_that_a_link_switches_takes_no_reboot(void **state)
{
	(void)state;
	assert_int_equal(
		HEAR(START, {BOX_CONFIRMED, OUTCOME_OK, "1", OLD, NEW}).status, PARTICIPANT_OK);
	assert_int_equal(
		HEAR(START, {BOX_CONFIRMED, OUTCOME_OK, "1", NEW, NEW}).status, PARTICIPANT_OK);
	assert_int_equal(HEAR(START, {BOX_CONFIRMED, OUTCOME_OK, "1", NEW, OLD}).status,
		PARTICIPANT_STARTED);
}

static void
a_box_that_ran_the_release_already_is_ok(void **state)
{
	struct participant p = HEAR({BOX_CONFIRMED, OUTCOME_NONE, "1", NEW, ""});

	(void)state;
	assert_int_equal(p.status, PARTICIPANT_OK);
	assert_false(p.started);
}

static void
what_went_wrong_stays_so_until_it_is_well(void **state)
{
	(void)state;
	assert_int_equal(HEAR(START, REVERTED).status, PARTICIPANT_REVERTED);
	assert_int_equal(HEAR(START, FAILED).status, PARTICIPANT_FAILED);
	assert_int_equal(HEAR(FAILED).status, PARTICIPANT_FAILED);
	assert_int_equal(HEAR(START, FAILED, START).status, PARTICIPANT_FAILED);
	assert_int_equal(HEAR(START, FAILED, START, HELD).status, PARTICIPANT_FAILED);
	assert_int_equal(HEAR(START, FAILED, START, STOPPED).status, PARTICIPANT_FAILED);
	assert_int_equal(HEAR(START, FAILED, START, INCONCLUSIVE).status, PARTICIPANT_FAILED);
	assert_int_equal(HEAR(START, FAILED, START, REVERTED).status, PARTICIPANT_REVERTED);
	assert_int_equal(HEAR(START, FAILED, START, SUCCESS).status, PARTICIPANT_OK);
	assert_int_equal(HEAR(START, REVERTED, KNOWN_BAD).status, PARTICIPANT_REVERTED);
	/* It tries again, and has to boot again to be ok. */
	assert_int_equal(
		HEAR(START, FAILED, START, {BOX_CONFIRMED, OUTCOME_OK, "1", NEW, ""}).status,
		PARTICIPANT_FAILED);
}

static void
a_box_where_the_release_failed_before_has_failed(void **state)
{
	(void)state;
	assert_int_equal(HEAR(KNOWN_BAD).status, PARTICIPANT_FAILED);
	assert_int_equal(HEAR(HELD, KNOWN_BAD).status, PARTICIPANT_FAILED);
	assert_int_equal(HEAR(SUCCESS, KNOWN_BAD).status, PARTICIPANT_OK);
	assert_int_equal(HEAR(INCONCLUSIVE, KNOWN_BAD).status, PARTICIPANT_INCONCLUSIVE);
}

static void
what_is_nobodys_fault_counts_as_nothing(void **state)
{
	struct participant held = HEAR(START, HELD);

	(void)state;
	assert_int_equal(HEAR(HELD).status, PARTICIPANT_SEEN);
	assert_int_equal(held.status, PARTICIPANT_SEEN);
	assert_true(held.started);
	assert_int_equal(HEAR(START, STOPPED).status, PARTICIPANT_SEEN);
	assert_int_equal(HEAR(START, INCONCLUSIVE).status, PARTICIPANT_INCONCLUSIVE);
	assert_int_equal(HEAR(START, INCONCLUSIVE, HELD).status, PARTICIPANT_INCONCLUSIVE);
	assert_int_equal(HEAR(START, INCONCLUSIVE, START).status, PARTICIPANT_STARTED);
	assert_int_equal(HEAR(START, INCONCLUSIVE, START, SUCCESS).status, PARTICIPANT_OK);
}

static void
a_start_whose_report_was_lost_is_seen_by_what_follows(void **state)
{
	struct participant installed = HEAR(INSTALLED), trial = HEAR(TRIAL);

	(void)state;
	assert_int_equal(installed.status, PARTICIPANT_STARTED);
	assert_string_equal(installed.start_boot, "1");
	assert_int_equal(trial.status, PARTICIPANT_STARTED);
	assert_true(trial.started);
	/* That boot is the new system's: it tells nothing of the start. */
	assert_string_equal(trial.start_boot, "");
	assert_int_equal(HEAR(TRIAL, SUCCESS).status, PARTICIPANT_OK);
}

static void
an_overdue_box_that_is_heard_of_again_is_overdue_no_more(void **state)
{
	struct participant p = HEAR(START, INSTALLED);
	const struct told back = {BOX_IDLE, OUTCOME_REVERTED, "3", OLD, "", 2000},
			  trial = {BOX_UNCONFIRMED, OUTCOME_NONE, "2", NEW, "", 2000},
			  held = {BOX_HELD, OUTCOME_NONE, "3", OLD, "", 2000};

	(void)state;
	p.status = PARTICIPANT_OVERDUE;
	participant_hear(&p, &trial, NEW);
	assert_int_equal(p.status, PARTICIPANT_STARTED);
	p.status = PARTICIPANT_OVERDUE;
	participant_hear(&p, &back, NEW);
	assert_int_equal(p.status, PARTICIPANT_REVERTED);
	p.status = PARTICIPANT_OVERDUE;
	participant_hear(&p, &held, NEW);
	assert_int_equal(p.status, PARTICIPANT_SEEN);
}

static void
a_participant_counts_once_wherever_it_is(void **state)
{
	(void)state;
	for (int i = 0; i < PARTICIPATIONS; i++) {
		struct participant p = {.status = (enum participation)i, .started = i % 2 == 0};
		struct tally t = {0}, none = {0};

		participant_count(&p, 1, &t);
		assert_int_equal(t.seen, 1);
		assert_int_equal(t.started, i % 2 == 0);
		assert_int_equal(t.ok + t.failed + t.reverted + t.overdue + t.inconclusive,
			i != PARTICIPANT_SEEN && i != PARTICIPANT_STARTED);
		participant_count(&p, -1, &t);
		assert_memory_equal(&t, &none, sizeof(t));
		assert_int_equal(participation_of(participation_name(p.status)), i);
	}
	assert_int_equal(participation_of("well"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_box_that_booted_the_release_and_confirmed_it_is_ok),
		cmocka_unit_test(what_a_box_only_claims_does_not_count),
		cmocka_unit_test(a_tree_that_a_link_switches_takes_no_reboot),
		cmocka_unit_test(a_box_that_ran_the_release_already_is_ok),
		cmocka_unit_test(what_went_wrong_stays_so_until_it_is_well),
		cmocka_unit_test(a_box_where_the_release_failed_before_has_failed),
		cmocka_unit_test(what_is_nobodys_fault_counts_as_nothing),
		cmocka_unit_test(a_start_whose_report_was_lost_is_seen_by_what_follows),
		cmocka_unit_test(an_overdue_box_that_is_heard_of_again_is_overdue_no_more),
		cmocka_unit_test(a_participant_counts_once_wherever_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
