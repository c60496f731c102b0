"""What a box checks when it makes a tree of the one that runs (agent/tree_old.c, tree_reuse.c)."""
from mutant import Mutant

OLD = "agent/tree_old.c"
REUSE = "agent/tree_reuse.c"
INTAKE = "agent/intake.c"

MUTANTS = [
    Mutant("reads of an old tree begin at its beginning", OLD,
           "		o->next = mark->at;\n		o->start = o->end = mark->start;\n",
           "		o->next = o->start = o->end = 0;\n",
           "test_tree_old", "going_back_costs_a_window_of_the_list_at_most"),
    Mutant("reads of an old tree go through all that lies before", OLD,
           "if (offset < o->end || mark->at > o->next) {", "if (offset < o->end) {",
           "test_tree_old", "what_lies_far_ahead_is_found_at_once"),
    Mutant("whatever lies in an old tree is read", OLD,
           "fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))", "fstat(fd, &st) < 0)",
           "test_tree_old", "what_is_no_file_any_more_reads_as_zeros"),
    Mutant("what an old tree lacks reads as anything", OLD,
           "			memset(data + done, 0, len - done);\n", "",
           "test_tree_old", "a_file_that_became_shorter_or_longer_keeps_to_its_room"),
    Mutant("records come before files of the same path", REUSE,
           "if (reuse_of(found, entry) != REUSE_NOWHERE)", "if (false)",
           "test_delta_tree", "nothing_is_fetched_for_a_file_that_is_new_already"),
    Mutant("trees do without records", REUSE,
           "if (!running || !running->delta || wants_count(t->left) == 0)", "if (true)",
           "test_delta_tree", "a_tree_is_made_of_what_runs_and_of_records"),
    Mutant("an old tree is read by the new list", INTAKE,
           "out->list = list_of(&i->old, old);",
           "out->list = list_of(i->j.h, part->number);",
           "test_delta_tree", "a_tree_is_made_of_what_runs_and_of_records"),
    Mutant("without the list of what runs records are used", INTAKE,
           "	return false;\n}\n\n/* What a tree may take",
           "	return true;\n}\n\n/* What a tree may take",
           "test_delta_tree", "without_the_list_of_what_runs_there_are_no_records"),
]
