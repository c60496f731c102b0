"""Checks of events on their way to webhooks (signer: outbox, courier, webhook, alarm, outage)."""
from mutant import Mutant

OUTBOX = "signer/outbox.c"
COURIER = "signer/courier.c"
E2E = "e2e/test_webhooks"

MUTANTS = [
    Mutant("a signature is over the body alone, and good for ever", COURIER,
           "parts[0] = span_str(at);", "parts[0] = span_str(\"\");",
           "test_outbox", "a_signature_is_over_timestamp_and_body"),
    Mutant("events follow where a receiver points", COURIER,
           "max-redirs = 0\\n", "location\\n",
           E2E, "test_only_whom_its_ca_vouches_for_hears_and_nothing_is_redirected"),
    Mutant("events go to whoever answers", COURIER,
           "globoff\\n", "globoff\\ninsecure\\n",
           E2E, "test_only_whom_its_ca_vouches_for_hears_and_nothing_is_redirected"),
    Mutant("a secret may be read by others", "common/base/file.c",
           "if (st.st_mode & (S_IRWXG | S_IRWXO))", "if (0)",
           "test_workspace", "a_secret_is_long_and_nobody_elses"),
    Mutant("a secret may be short", "signer/webhook.c",
           "s->len < WEBHOOK_SECRET_MIN || ", "",
           "test_workspace", "a_secret_is_long_and_nobody_elses"),
    Mutant("a receiver may be without TLS", "signer/webhook.c",
           "if (site_url_parse(base, &parsed, e) < 0)\n\t\treturn -1;", "(void)parsed;",
           "test_workspace", "what_is_wrong_with_a_webhook_is_told_with_its_line"),
    Mutant("the same fact is another event each time", OUTBOX,
           "for (size_t i = 0; i < OUTBOX_FACTS && x->facts[i]; i++)",
           "(void)buf_append(&text, &x->at_s, sizeof(x->at_s), NULL);\n"
           "\tfor (size_t i = 0; i < OUTBOX_FACTS && x->facts[i]; i++)",
           "test_outbox", "a_fact_is_one_event_however_often_it_is_found"),
    Mutant("an event that is gone for good is tried for days", OUTBOX,
           "a->status == 410 || ", "",
           "test_outbox", "only_2xx_is_taken_and_410_or_three_days_is_the_end"),
    Mutant("a redirection counts as taken", OUTBOX,
           "a->status < 300)", "a->status < 400)",
           "test_outbox", "only_2xx_is_taken_and_410_or_three_days_is_the_end"),
    Mutant("a receiver may ask for patience without end", OUTBOX,
           "num_min(a->retry_after_s, WEBHOOK_WAIT_MAX_S)", "a->retry_after_s",
           "test_outbox", "waits_double_within_bounds_and_retry_after_is_believed_up_to_one"),
    Mutant("each event finds out by itself that its receiver is down", OUTBOX,
           "return a->status == 0 || a->status == 429 || a->status == 503;",
           "(void)a;\n\treturn false;",
           "test_outbox", "where_a_receiver_is_down_all_that_waits_for_it_waits_and_no_other"),
    Mutant("events pile up for ever", OUTBOX,
           "return events_prune(s, event, e);", "(void)events_prune;\n\treturn 0;",
           "test_outbox", "events_and_dead_letters_are_bounded"),
    Mutant("a fleet that goes offline is as many events", "signer/alarm.c",
           "if (a->count > ALARMS_NAMED)\n\t\treturn",
           "if (a->count > 20000)\n\t\treturn",
           "test_outbox", "what_happens_to_many_boxes_at_once_is_one_event"),
    Mutant("an outage of ours makes boxes offline", "signer/following.c",
           "(!can_hear || now_s - at_s > OUTAGE_GAP_MAX_S)", "at_s == 1",
           E2E, "test_a_box_is_offline_once_and_nobody_is_while_the_watch_is_deaf"),
    Mutant("a box that says this and that is told of each time", "signer/record.c",
           "(k->audit_told_s == 0 || heard_s - k->audit_told_s >= AUDIT_TOLD_EVERY_S)", "true",
           E2E, "test_a_box_whose_audit_fails_is_told_once"),
    Mutant("the watch waits for its courier", "signer/watch_news.c",
           "if (fleet_sql(w->fleet, &s, &e) < 0 ||\n"
           "\t\toutbox_is_due(s, w->workspace, w->now_s, &due, &e) < 0 ||\n"
           "\t\t(due && courier_begin(w, &e) < 0)) {",
           "if (fleet_sql(w->fleet, &s, &e) < 0 ||\n"
           "\t\toutbox_is_due(s, w->workspace, w->now_s, &due, &e) < 0 ||\n"
           "\t\t(due && courier_begin(w, &e) < 0) || (due && (watch_settle(w), false))) {",
           E2E, "test_one_that_never_answers_holds_up_no_stop_and_no_other"),
    Mutant("what is published is told of once, whatever becomes of the rest", "signer/watch_news.c",
           "if (found && told == version)\n\t\treturn 0;", "if (found)\n\t\treturn 0;",
           E2E, "test_a_rollout_is_told_from_its_first_wave_to_its_stop"),
    Mutant("what is held is told of at each look", "signer/watch_news.c",
           "if (before == now)\n\t\treturn 0;", "",
           E2E, "test_held_each_time_that_it_is_and_finished_once"),
]
