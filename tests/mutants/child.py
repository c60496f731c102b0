"""The network child (agent/net/): how it starts, and the cage that it enters."""
from mutant import Mutant

CHILD = "agent/net_child.c"
NET = "agent/net.c"
CAGE = "agent/net/cage.c"
FENCE = "agent/net/fence.c"
FILTER = "agent/net/filter.c"
STARTS = "e2e/test_net_child"
RANGES = "e2e/test_ranges"

MUTANTS = [
    Mutant("messages of another version are taken", "agent/wire.c",
           "if (packet.len > AT_VERSION && p[AT_VERSION] != WIRE_VERSION)", "if (0)",
           "test_wire", "a_packet_of_another_version_says_what_to_do"),
    Mutant("a child of another version says nothing", "agent/net/main.c",
           "return refuse(&e);", "return refuse ? 1 : 0;",
           STARTS, "test_an_agent_of_another_version_is_told_what_to_do"),
    Mutant("a child that ended is not explained", NET,
           "net_child_end(n->pid, &n->why);", "net_child_end(n->pid, &(struct err){0});",
           STARTS, "test_one_that_dies_is_named_with_its_signal"),
    Mutant("why a child cannot be run is lost", CHILD,
           "_exit(EXIT_NOT_STARTED + errno);", "_exit(1);",
           STARTS, "test_one_that_may_not_be_run_is_named_and_so_is_what_to_do"),
    Mutant("a service that fails costs an interval", NET,
           "if (again || e->class", "if (!again || e->class",
           STARTS, "test_one_that_fails_first_costs_no_interval"),
    Mutant("a service that worked is done without", CHILD,
           "service_works |= service_was_asked;", "",
           STARTS, "test_one_that_worked_is_asked_once_more"),
    Mutant("a body of another length than its range is taken", "agent/net/reply.c",
           "(head->declared >= 0 && (uint64_t)head->declared != r->len)", "0",
           RANGES, "test_many_parts_for_one_range_are_refused"),
]
