"""Checks of what is kept of an install, and of its audit (agent: shelf, audit, auditor)."""
from mutant import Mutant

AUDIT = "agent/audit.c"
IMAGE = "agent/audit_image.c"
TREE = "agent/audit_tree.c"
RECORD = "agent/audit_record.c"
AUDITOR = "agent/auditor.c"
ROTS = "nobody_can_say_by_an_index_that_rots"
FILES = "every_difference_of_a_tree_is_named"
REMEMBERED = "the_answer_is_remembered_as_long_as_it_is_about_what_runs"

MUTANTS = [
    Mutant("an index that was kept may be anything", "agent/head.c",
           "return verified_by_digest(buf_span(&body), name, body.len, manifest, out, e);",
           "struct digest any = digest_of(buf_span(&body));\n\n\t(void)manifest;\n"
           "\treturn verified_by_digest(buf_span(&body), name, body.len, &any, out, e);",
           "test_audit", "the_index_of_another_release_says_nothing"),
    Mutant("of an index that was kept only the manifest counts", "agent/head.c",
           "head_plan(&h, &v, json.len, e) < 0 || head_check(&h, fd, e) < 0)\n\t\treturn -1;\n"
           "\thead_give(&h, fd, out);\n\treturn 0;\n}\n",
           "head_plan(&h, &v, json.len, e) < 0)\n\t\treturn -1;\n"
           "\thead_give(&h, fd, out);\n\treturn 0;\n}\n", "test_audit", ROTS),
    Mutant("an index is there before it is whole", "agent/shelf.c",
           'path_of(c, tree_only, side, ".new", fresh, e) < 0',
           'path_of(c, tree_only, side, "", fresh, e) < 0',
           "e2e/test_audit", "test_cut_off_anywhere_the_index_is_the_old_one_or_the_new"),
    Mutant("anybody may have signed what is authentic", AUDIT,
           "if (signatures_check(&h, l->releases, e) < 0)",
           "if (0 && signatures_check(&h, l->releases, e) < 0)",
           "test_audit", "nobody_can_say_without_who_signed_it"),
    Mutant("zeros may be anything", AUDIT,
           "return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;", "return true;",
           "test_audit", "every_chunk_that_differs_is_named"),
    Mutant("a chunk may be anything", AUDIT,
           "return digest_equal(&now, &c->plain);", "return len > 0 || now.b[0];",
           "test_audit", "every_chunk_that_differs_is_named"),
    Mutant("a side that an update writes is not authentic", AUDIT,
           "if (s->release.known && still_there(l, &e) < 0) {",
           "if (0 && still_there(l, &e) < 0) {",
           "test_audit", "a_side_that_is_written_meanwhile_is_not_judged"),
    Mutant("what may be written to is not authentic", AUDIT,
           "if (s->differences > l->excused) {", "if (s->differences > 0) {",
           "test_audit", "a_slot_that_may_be_written_to_proves_nothing"),
    Mutant("what nobody can say is authentic", AUDIT,
           "s->answer = l->unknown[0] ? AUTHENTIC_UNKNOWN : AUTHENTIC_YES;",
           "s->answer = AUTHENTIC_YES;", "test_audit", ROTS),
    Mutant("the other side speaks for what runs", AUDIT,
           "if (a->sides[k].running == running && a->sides[k].answer == order[i]) {",
           "if (a->sides[k].answer == order[i]) {",
           "test_audit", "what_is_as_it_was_signed_is_authentic"),
    Mutant("a slot that ends early is authentic", IMAGE,
           "} else if (!data) {", "} else if (!data) {\n\t\treturn;",
           "test_audit", "a_slot_that_ends_before_is_not_what_was_signed"),
    Mutant("a file may hold anything", TREE,
           "else if (!audit_piece_is_right(c, g->data, step))", "else if (0)",
           "test_audit", FILES),
    Mutant("what a tree holds beside its list is not named", TREE,
           "if (extra == 0)", "if (extra < 1000)", "test_audit", FILES),
    Mutant("a folder that is gone takes its files along", "agent/tree_check.c",
           "return differs(c, t, \"it is missing\");\n\t}", "return 0;\n\t}",
           "test_audit", FILES),
    Mutant("an answer outlives what it is about", RECORD,
           "strcmp(r.running_sha256, now.running_sha256) != 0", "0",
           "test_audit_record", REMEMBERED),
    Mutant("what was not audited is not said", RECORD,
           "return known == AUDIT_NEVER && b->conf.audit_s == 0 ?",
           "return known != AUDIT_KNOWN ?",
           "test_audit_record", REMEMBERED),
    Mutant("boxes audit all at once", AUDITOR,
           "every_s += every_s * a->jitter / (JITTER_PARTS * JITTER_SHARE);", "",
           "test_auditor", "boxes_that_start_together_audit_at_different_times"),
    Mutant("a clock that was wrong puts audits off for years", AUDITOR,
           "if (gone_s < 0 || gone_s >= (int64_t)every_s)", "if (gone_s >= (int64_t)every_s)",
           "test_auditor", "it_is_due_an_interval_after_the_last"),
    Mutant("an audit begins while an update is under way", AUDITOR,
           "return a->box->state->pending.phase == PHASE_NONE &&", "return",
           "test_auditor", "nothing_is_audited_while_an_update_is_under_way"),
    Mutant("an update begins beside an audit", "agent/cycle.c",
           "auditor_stop(&cy->auditor);\n\tlog_notice(", "log_notice(",
           "e2e/test_audit", "test_an_update_cuts_an_audit_off"),
    Mutant("an answer that is news is not told", "agent/reporter.c",
           "r->certificate_request, authentic_name(r->authentic));",
           "r->certificate_request, \"\");",
           "e2e/test_audit", "test_what_rots_is_known_to_the_fleet"),
]
