"""What the web server's configuration refuses (signer), and what a waiting box costs (agent)."""
from mutant import Mutant

NGINX = "signer/nginx.c"
AUTHORITY = "signer/authority.c"
HTTP = "agent/http.c"
FOOTPRINT = "agent/footprint.c"
REFUSALS = "e2e/test_refusals"
COST = "e2e/test_wire_cost"

MUTANTS = [
    Mutant("sessions outlive a new CRL", AUTHORITY,
           "nginx_sessions_conf(crl_number, &conf, e)", "nginx_sessions_conf(1, &conf, e)",
           REFUSALS, "test_a_session_that_was_prolonged_is_refused_once_it_is_revoked"),
    Mutant("sessions of an expired certificate go on", NGINX,
           '"    r0 1;\\n"', '"    r0 0;\\n"',
           REFUSALS, "test_a_resumed_session_of_an_expired_certificate_is_refused"),
    Mutant("a session may be resumed for hours", NGINX,
           "ssl_session_timeout 20m;", "ssl_session_timeout 20h; #",
           REFUSALS, "test_a_session_is_not_resumed_past_its_life"),
    Mutant("a kept connection is kept for ever", NGINX,
           "keepalive_time 5m;", "keepalive_time 5d;",
           REFUSALS, "test_a_kept_connection_is_closed_at_the_end_of_its_time"),
    Mutant("revoked certificates are good", NGINX,
           '"    ssl_crl @DIR@/tls/crl.pem;\\n"', '""',
           REFUSALS, "test_a_revoked_certificate_is_refused"),
    Mutant("a name within another subject is a box's", NGINX,
           "~^CN=(?<sluice_cn>", "~CN=(?<sluice_cn>",
           REFUSALS, "test_a_unit_with_the_name_in_it_is_refused"),
    Mutant("a subject may go on behind the name", NGINX,
           "[A-Za-z0-9._-]*)\\\\z", "[A-Za-z0-9._-]*)",
           REFUSALS, "test_a_name_in_a_company_is_refused"),
    Mutant("a box may put anybody's reports", NGINX,
           "if ($sluice_who != $sluice_box) {", "if ($sluice_who = none) {",
           REFUSALS, "test_another_boxs_path_is_refused"),
    Mutant("a certificate is not asked for", NGINX,
           "if ($ssl_client_verify != SUCCESS) {\\n\"\n\t\"            return 403;",
           "if ($ssl_client_verify != SUCCESS) {\\n\"\n\t\"            set $sluice_box gw-1;",
           REFUSALS, "test_no_certificate_is_refused"),
    Mutant("reports may be of any size", NGINX,
           "client_max_body_size @BODY@;", "client_max_body_size 0;",
           REFUSALS, "test_a_body_in_chunks_over_the_limit_is_refused"),
    Mutant("what is asked of the site may have any body", NGINX,
           "client_max_body_size 1k;", "client_max_body_size 0;",
           REFUSALS, "test_a_body_for_the_site_over_a_kilobyte_is_refused"),
    Mutant("reports may be deleted", NGINX,
           "if ($request_method != PUT) {", "if ($request_method = GET) {",
           "e2e/test_nginx", "test_no_report_is_ever_read"),
    Mutant("a root that is not there has a page", NGINX,
           "error_page 404 @none;", "#",
           COST, "test_a_poll_on_a_kept_connection_is_cheap_and_an_idle_agent_is_small"),
    Mutant("an idle agent keeps what it needed to start", FOOTPRINT,
           "(void)dl_iterate_phdr(drop_segments, NULL);", "(void)drop_segments;",
           "test_footprint", "trimming_gives_back_pages_of_files"),
    Mutant("what was freed is kept", FOOTPRINT,
           "(void)malloc_trim(0);", "",
           "test_footprint", "trimming_gives_back_free_heap"),
    Mutant("relocated constants are lost", FOOTPRINT,
           "p->p_type == PT_LOAD && !(p->p_flags & PF_W)", "p->p_type == PT_LOAD",
           "test_footprint", "trimming_loses_nothing"),
    Mutant("a session that the server refuses is resumed again", HTTP,
           "c->unresumed |= job_status(j) == HTTP_BAD_REQUEST;", "",
           COST, "test_a_certificate_on_its_last_day_is_shown_on_each_connection"),
]
