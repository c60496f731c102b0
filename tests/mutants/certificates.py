"""Checks that boxes' certificates rest on."""
from mutant import Mutant

REPORT = "common/format/report.c"
BUNDLE = "common/crypto/x509_bundle.c"
RENEWAL = "signer/renewal.c"
REGISTRAR = "signer/registrar.c"
OVERLAP = "signer/overlap.c"
IDENTITY = "agent/identity.c"
PETITION = "agent/petition.c"
ATTACK = "attack/test_stolen_certificates"
UNIT = "test_petition"

MUTANTS = [
    # The host.
    Mutant("a report asks with anything", REPORT,
           "if (!is_request(text))", "if (0)",
           "test_report", "a_report_with_one_thing_wrong_is_refused_by_name"),
    Mutant("a box asks in another's name", REGISTRAR,
           "if (strcmp(name, r->name) != 0)", "if (0)",
           ATTACK, "test_it_gets_no_certificate_in_anothers_name"),
    Mutant("a box is answered whenever it asks", REGISTRAR,
           "return (int64_t)num_min(DAY_S, w->box_cert_life_s / 12);",
           "return w ? -1 : (int64_t)num_min(DAY_S, 0);",
           ATTACK, "test_it_makes_the_site_grow_by_one_certificate_a_day"),
    Mutant("an answer stays on the site for ever", REGISTRAR,
           "if (metadata_remove(&p->role, path, e) < 0)", "if (0)",
           "e2e/test_certificates", "test_a_box_renews_its_certificate_by_itself"),
    Mutant("what is asked for meanwhile is answered with what was asked before", RENEWAL,
           "\"?1 AND request = ?2 AND certificate = '' AND EXISTS",
           "\"?1 AND ?2 != '' AND certificate = '' AND EXISTS",
           "test_renewal", "a_new_request_takes_the_place_of_the_old_one_and_its_answer"),
    Mutant("a late report takes back what a newer one said", RENEWAL,
           "if (k.found && k.seq > (int64_t)r->seq)", "if (0)",
           "test_renewal", "a_report_that_comes_late_changes_nothing"),
    Mutant("an answer of a wrong clock stays for ever", RENEWAL,
           "AND (answered_s < ?1 OR answered_s > ?2)",
           "AND (answered_s < ?1 OR answered_s < ?1 - ?2)",
           "test_renewal", "what_a_wrong_clock_answered_is_answered_again"),
    Mutant("a CRL lacks a CA until half its life is over", "signer/authority.c",
           "is_newer(&of_ca.st_mtim, &st.st_mtim))", "is_newer(&st.st_mtim, &st.st_mtim))",
           ATTACK, "test_the_crl_follows_the_cas"),
    Mutant("a CA is switched to that boxes do not know", OVERLAP,
           "if (o->switched || force || o->census.unaware == 0)", "if (o || force)",
           "e2e/test_certificates", "test_a_fleet_lives_through_a_new_ca"),
    Mutant("a CA is dropped that boxes still need", OVERLAP,
           "if (force || o->census.strangers == 0)", "if (o || force)",
           "e2e/test_certificates", "test_a_fleet_lives_through_a_new_ca"),

    # The box.
    Mutant("a bundle of CAs has anything in it", BUNDLE,
           "if (X509_check_ca(cert) != 1)", "if (0)",
           "test_x509_bundle", "two_overlapping_cas_are_read_one_by_one"),
    Mutant("another box's answer is taken", PETITION,
           "if (strcmp(info.name, c->id) != 0)", "if (0)",
           UNIT, "an_answer_that_is_not_for_this_request_and_box_is_not_taken"),
    Mutant("an answer of another time is taken", PETITION,
           "if (now_s < info.from_s || now_s >= info.until_s)", "if (0)",
           UNIT, "an_answer_that_is_not_for_this_request_and_box_is_not_taken"),
    Mutant("a request in a name of before is waited for", PETITION,
           "if (strcmp(name, c->id) != 0)", "if (0)",
           UNIT, "a_request_in_a_name_that_the_box_had_is_made_anew"),
    Mutant("an answer by any CA is taken", PETITION,
           "return issuer_check(c, cert, e);", "return issuer_check(c, cert, e), 0;",
           UNIT, "an_answer_that_is_not_for_this_request_and_box_is_not_taken"),
    Mutant("a new pair is kept though nothing gets through", PETITION,
           "return through ? IDENTITY_PROVEN : IDENTITY_SHELVED;", "return IDENTITY_PROVEN;",
           UNIT, "a_new_pair_that_does_not_get_through_is_given_up"),
    Mutant("a box that waits for its reboot asks for nothing", PETITION,
           "(p->tree_only || p->first_seen_boot_ms != 0);", "p;",
           UNIT, "a_box_asks_while_an_update_waits_for_its_reboot"),
    Mutant("a box asks in the trial of a new system", PETITION,
           "if (is_trying(p->state) || doubt_is_open(p->state))",
           "if (doubt_is_open(p->state))",
           UNIT, "a_box_asks_while_an_update_waits_for_its_reboot"),
    Mutant("a certificate that has ended is shown to the site", "agent/http.c",
           "date_now_s(c) < c->setup->cert_until_s;", "c->setup->cert_until_s > 0;",
           "e2e/test_certificates", "test_a_box_whose_certificate_has_ended_polls_without_one"),
    Mutant("another box's pair is shown", IDENTITY,
           "if (strcmp(info.name, c->id) != 0)", "if (0)",
           UNIT, "what_decayed_or_is_of_another_box_is_passed_over"),
    Mutant("an old pair hides newer files of agent.conf", IDENTITY,
           "if (!on_trial && id->known && info.from_s < id->certificate.from_s)", "if (0)",
           UNIT, "an_answer_is_tried_and_kept_once_it_gets_through"),
    Mutant("a damaged pair takes the place of one that works", PETITION,
           "if (on_trial && trial_drop_damaged(p->conf))", "if (0)",
           UNIT, "a_damaged_new_pair_does_not_take_the_place_of_one_that_works"),
    Mutant("a damaged request is waited for for ever", PETITION,
           "if (!has(c, IDENTITY_NEXT) || request_check(c, &why) == 0)", "if (1)",
           UNIT, "a_damaged_request_is_made_anew"),
]
