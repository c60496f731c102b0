"""Checks of what a plan says of time and bytes (agent)."""
from mutant import Mutant

DECIDE = "agent/decide.c"
BUDGET = "agent/budget.c"
CYCLE = "agent/cycle.c"
WINDOW = "a_window_binds_starting_and_switching"
COUNTS = "a_budget_counts_what_was_fetched_and_asks_for_no_more"

MUTANTS = [
    Mutant("a plan starts before its time", DECIDE,
           "return f->now_s < w->plan.start_s &&", "return 0 &&",
           "test_decide_timing", "nobody_starts_before_the_plan_does"),
    Mutant("a window is not waited for", DECIDE,
           "if (!w->plan.has_window)\n\t\treturn false;", "if (1)\n\t\treturn false;",
           "test_decide_timing", WINDOW),
    Mutant("all boxes start when the window opens", DECIDE,
           "window_offset(window, w->plan.rollout, f->box.id)", "0",
           "test_decide_timing", "each_box_has_a_turn_of_its_own_in_a_window"),
    Mutant("a spent budget is tried again", DECIDE,
           "return budget_is_spent(", "return 0 && budget_is_spent(",
           "test_decide_timing", "a_release_that_takes_more_than_its_budget_is_held"),
    Mutant("a box switches outside the window", DECIDE,
           "(window_opening(window, now_s, &o) && o.opens_s <= now_s)",
           "window_opening(window, now_s, &o)",
           "test_decide_timing", WINDOW),
    Mutant("the commit point asks no window", CYCLE,
           "if (decide_switch(poller_world(cy->poller), now_s(cy), e) < 0)", "if (0)",
           "e2e/test_timing", "test_what_outlasts_its_window_is_switched_to_in_the_next"),
    Mutant("a budget allows a byte more", BUDGET,
           "len <= b->bytes - s->bytes", "len <= b->bytes - s->bytes + 1",
           "test_budget", COUNTS),
    Mutant("what is fetched is not counted", BUDGET,
           "if (n > 0)\n\t\tcount(", "if (0)\n\t\tcount(",
           "test_budget", COUNTS),
    Mutant("what was spent is forgotten with the process", BUDGET,
           "if (b->bytes == 0 || s->bytes - b->saved < b->bytes / SAVES)", "if (1)",
           "test_budget", "what_was_spent_outlasts_a_restart"),
    Mutant("another attempt finds the budget spent", BUDGET,
           "return s->attempt == attempt && digest_equal", "return digest_equal",
           "test_budget", "another_release_or_attempt_starts_anew"),
    Mutant("the source of an install is not held to the budget", CYCLE,
           "counted = budget_source(budget, &source);", "counted = source;",
           "e2e/test_timing", "test_a_budget_is_kept_and_condemns_nothing"),
]
