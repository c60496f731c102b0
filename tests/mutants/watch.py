"""Checks that the watch rests on, and gates that several sign."""
from mutant import Mutant

METADATA = "signer/metadata.c"
JUDGEMENT = "common/format/judgement.c"
GATE = "signer/cmd_gate.c"
STOP = "signer/cmd_stop.c"
VERDICT = "signer/verdict.c"
KEEPER = "signer/gatekeeper.c"
COURSE = "signer/course.c"
ROLLOUTS = "signer/watch_rollouts.c"
SITE = "signer/watch_site.c"
BACKUP = "signer/cmd_backup.c"
OVERVIEW = "signer/overview.c"
PRUNE = "signer/prune.c"

MUTANTS = [
    Mutant("who signs last takes back what others have signed", METADATA,
           "if (current)\n\t\treturn 0;", "if (current || !current)\n\t\treturn 0;",
           "e2e/test_gates",
           "test_a_stop_that_is_signed_meanwhile_is_not_lost_to_a_wave_that_opens"),
    Mutant("a wave that opens meanwhile holds up a stop", STOP,
           "if (why.errnum != EAGAIN)", "if (1)",
           "e2e/test_gates", "test_a_stop_goes_out_whoever_opens_a_wave_meanwhile"),
    Mutant("what was accepted stops again", JUDGEMENT,
           "return count > accepted ? count - accepted : 0;", "(void)accepted;\n\treturn count;",
           "test_judgement", "what_was_accepted_stops_nobody_again_and_is_not_forgotten"),
    Mutant("what was accepted is forgotten", JUDGEMENT,
           "!wave_is_good(p, &s->waves[s->open - 1], &v))",
           "!wave_is_good(p, s->accepted ? s->accepted : s->waves, &v))",
           "test_judgement", "what_was_accepted_stops_nobody_again_and_is_not_forgotten"),
    Mutant("a pause shuts what is open", GATE,
           "gate.gate.paused = pause;", "gate.gate.paused = pause;\n\tgate.gate.open_count = 0;",
           "e2e/test_gates", "test_a_plan_is_paused_and_goes_on_as_open_as_it_was"),
    # What the watch does by itself.
    Mutant("it opens the first wave", VERDICT,
           "if (open == 0)\n\t\treturn verdict_say(", "if (0)\n\t\treturn verdict_say(",
           "e2e/test_watch", "test_the_first_wave_is_opened_by_people_alone"),
    Mutant("it follows a plan that its gate is not bound to", ROLLOUTS,
           "if (!c->binds)\n\t\treturn 0;", "",
           "e2e/test_watch", "test_the_first_wave_is_opened_by_people_alone"),
    Mutant("it opens waves while every box is stopped", VERDICT,
           "if (courses_stop(all))", "if (0)",
           "e2e/test_watch", "test_nothing_opens_while_every_box_is_stopped"),
    Mutant("it opens waves while every box is paused", VERDICT,
           "if (all->all.paused)", "if (0)",
           "e2e/test_watch", "test_a_paused_plan_is_stopped_and_goes_no_further"),
    Mutant("it stops what is stopped", KEEPER,
           "s = standing_stop(&g.gate, c);\n\tif (!s) {",
           "s = standing_stop(&g.gate, c);\n\tif (1) {",
           "e2e/test_watch_killed", "test_killed_while_it_publishes_it_does_so_once"),
    Mutant("a lifted stop stops the watch for ever", KEEPER,
           "if (!stop_is_lifted(g->stops[i].id, resumes))", "if (resumes || !resumes)",
           "e2e/test_watch", "test_a_resume_accepts_what_failed_before_and_nothing_after"),
    Mutant("a resume accepts nothing", ROLLOUTS,
           "if (stop_is_lifted(c->gate.stops[i].id, resumes) &&", "if (0 && resumes &&",
           "e2e/test_watch", "test_a_resume_accepts_what_failed_before_and_nothing_after"),
    Mutant("what waits in incoming/ counts as open", COURSE,
           "seen.published_only = true;", "",
           "e2e/test_watch", "test_a_wave_that_waits_for_a_second_signature_is_not_open"),
    Mutant("local limits are not looked at", ROLLOUTS,
           "&w->workspace->watch.limits", "&(struct local_limits){0}",
           "e2e/test_watch", "test_no_plan_gets_further_than_the_host_allows"),
    Mutant("silence counts while nobody can be heard", ROLLOUTS,
           "hears = probe_server(w->workspace, &e) == 0;",
           "hears = probe_server(w->workspace, &e) == 0 || e.text[0];",
           "e2e/test_watch_killed", "test_while_the_server_is_down_nobody_is_overdue"),
    Mutant("the timestamp is never signed again", SITE,
           "if ((news || timestamp_is_due(w) ||", "if ((news ||",
           "e2e/test_watch", "test_the_timestamp_is_signed_hourly"),
    Mutant("what is refused makes a timestamp a minute", "signer/publish.c",
           "(void)report_refused(&p, NULL, &by->news->refused);\n\t\treturn 0;",
           "return report_refused(&p, NULL, e);",
           "e2e/test_watch", "test_what_is_refused_is_told_once_and_holds_up_nothing"),
    Mutant("what is published here and not served is not pushed again", SITE,
           "renew || w->publish.wait_ms > 0", "renew",
           "e2e/test_watch", "test_a_stop_goes_out_though_a_publication_fails"),
    # What people see, and keep.
    Mutant("a backup has secret keys in it", BACKUP,
           "if (text_ends_with(name, \".key\") ||", "if (",
           "e2e/test_status", "test_a_backup_has_all_that_is_signed_and_no_secret"),
    Mutant("stops that were lifted are shown as if they held", OVERVIEW,
           "if (stop_is_lifted(stop->id, resumes))", "if (0 && resumes)",
           "e2e/test_status", "test_a_stop_is_shown_with_who_has_taken_it"),
    Mutant("what an older timestamp leads to is pruned", PRUNE,
           "(last || s->snapshots[i + 1].at_s >= s->before_s)", "last",
           "e2e/test_prune",
           "test_what_an_older_timestamp_leads_to_stays_for_as_long_as_that_may_live"),
    Mutant("older roots are pruned", PRUNE,
           "return version_read(name, &version, role) && strcmp(role, \"root\") != 0;",
           "return version_read(name, &version, role);",
           "e2e/test_prune", "test_every_root_stays"),
    Mutant("what boxes may still fetch is pruned if one asks for it", PRUNE,
           "if (grace_s < w->timestamp_life_s)", "if (0)",
           "e2e/test_prune", "test_less_than_a_timestamp_lives_is_refused"),
    Mutant("what has just been placed is pruned", PRUNE,
           "st.st_mtime >= s->before_s ||", "",
           "e2e/test_prune", "test_what_is_young_stays_whatever_leads_to_it"),
]
