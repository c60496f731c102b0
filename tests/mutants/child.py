"""The network child (agent/net/): how it starts, and the cage that it enters."""
from mutant import Mutant

CHILD = "agent/net_child.c"
NET = "agent/net.c"
CAGE = "agent/net/cage.c"
FENCE = "agent/net/fence.c"
FILTER = "agent/net/filter.c"
WARDEN = "agent/warden.c"
CONFINED = "attack/test_confined_child"
STARTS = "e2e/test_net_child"
RANGES = "e2e/test_ranges"

MUTANTS = [
    Mutant("messages of another version are taken", "agent/wire.c",
           "if (packet.len > AT_VERSION && p[AT_VERSION] != WIRE_VERSION)", "if (0)",
           "test_wire", "a_packet_of_another_version_says_what_to_do"),
    Mutant("a child of another version says nothing", "agent/net/main.c",
           "outbox_must_end(&outbox, 0, why);", "",
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
    Mutant("a child stays root", CAGE,
           "person_become(papers);", "",
           CONFINED, "test_it_is_nobodys_process_that_it_could_ask_a_favour_of"),
    Mutant("a child keeps the groups of root", CAGE,
           "setgroups(0, NULL) < 0 ||", "",
           CONFINED, "test_it_is_nobodys_process_that_it_could_ask_a_favour_of"),
    Mutant("a child keeps the capabilities that root gave it", CAGE,
           "(void)syscall(SYS_capset, &head, caps);", "",
           CONFINED, "test_it_is_root_without_power_where_users_cannot_be_changed"),
    Mutant("a child could get capabilities back", CAGE,
           "(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);", "",
           CONFINED, "test_it_is_nobodys_process_that_it_could_ask_a_favour_of"),
    Mutant("a child may gain privileges", CAGE,
           "(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);", "",
           CONFINED, "test_it_gets_nothing_done"),
    Mutant("a child may be looked into", CAGE,
           "(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);", "",
           CONFINED, "test_it_is_nobodys_process_that_it_could_ask_a_favour_of"),
    Mutant("a child outlives its agent", CAGE,
           "(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);", "",
           CONFINED, "test_an_agent_that_dies_takes_it_along"),
    Mutant("a child says that it is fenced in, and is not", FENCE,
           "if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)", "if (0)",
           CONFINED, "test_the_fence_alone_keeps_it_from_files"),
    Mutant("a fence that is made of all files keeps none", FENCE,
           '"/etc/resolv.conf", "/etc/hosts",', '"/etc", "/etc/hosts",',
           CONFINED, "test_the_fence_alone_keeps_it_from_files"),
    Mutant("a fence does not see ports", FENCE,
           ".ports = abi >= ABI_PORTS ? PORT_BIND : 0,", ".ports = 0,",
           CONFINED, "test_the_fence_alone_keeps_it_from_files"),
    Mutant("a child that cannot be ended becomes another user", WARDEN,
           "may &= caps[0].effective >> needed[i] & 1;", "",
           CONFINED, "test_it_is_root_without_power_where_users_cannot_be_changed"),
    Mutant("a filter lets files be written", FILTER,
           "JUDGED(p, __NR_openat, 2, OPEN_CHANGES, EACCES, O_RDONLY);",
           "add_allowed(p, __NR_openat);",
           CONFINED, "test_the_filter_alone_lets_it_change_nothing"),
    Mutant("a filter lets processes be started", FILTER,
           "JUDGED(p, __NR_clone, 0, CLONE_THREAD, EPERM, CLONE_THREAD);",
           "add_allowed(p, __NR_clone);",
           CONFINED, "test_the_filter_alone_lets_it_change_nothing"),
    Mutant("a filter lets any socket be made", FILTER,
           "JUDGED(&p, __NR_socket, 0, ~0U, EAFNOSUPPORT, AF_INET, AF_INET6, "
           "local ? AF_UNIX : AF_INET);", "add_allowed(&p, __NR_socket);",
           CONFINED, "test_the_filter_alone_lets_it_change_nothing"),
    Mutant("a filter forbids what it names, and nothing else", FILTER,
           "add(&p, FAIL(ENOSYS));\n\tall.len", "add(&p, ALLOW);\n\tall.len",
           CONFINED, "test_the_filter_alone_lets_it_change_nothing"),
]
