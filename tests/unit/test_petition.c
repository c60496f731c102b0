#include "tests/unit/petition_scene.h"

enum { ROUNDS = 8 };

static void
look(struct scene *x, struct petition *p)
{
	assert_int_equal(poll_once(x), ERR_NONE);
	(void)petition_step(p, NULL, x->poller, wall_s, NULL);
}

static void
tls_read(const char *name, struct buf *out)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "tls/%s", name);
	assert_int_equal(file_read(path, out, NULL), 0);
}

static void
publish(struct scene *x, const char *role, const char *path, const struct buf *content)
{
	repo_target(x->repo, role, path, buf_str(content));
	repo_release(x->repo, role);
}

/* What the host makes of the request that waits; name: whom for. */
static void
answer(struct scene *x, const char *name, int64_t age_days, bool by_next)
{
	AUTO_BUF struct buf next = BUF_INIT(PEM_MAX), cert = BUF_INIT(PEM_MAX);

	tls_read(IDENTITY_NEXT, &next);
	issue(buf_span(&next), name, age_days, by_next, &cert);
	publish(x, "certificates", "certificates/gw-000001.crt", &cert);
}

static void
deliver(struct scene *x, const struct buf *first, const struct buf *second)
{
	AUTO_BUF struct buf both = BUF_INIT(PEM_MAX);

	assert_int_equal(buf_append(&both, first->data, first->len, NULL), 0);
	if (second)
		assert_int_equal(buf_append(&both, second->data, second->len, NULL), 0);
	publish(x, "authorities", "authorities/ca.pem", &both);
}

static void
a_box_asks_in_the_last_third_of_its_certificates_life(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};
	struct report r = {0}, again = {0};

	manufacture(59);
	look(x, &p);
	assert_false(there_is(IDENTITY_NEXT));
	manufacture(61);
	look(x, &p);
	assert_true(there_is(IDENTITY_NEXT));
	identity_report(&x->conf, &r);
	assert_non_null(strstr(r.certificate_request, "BEGIN CERTIFICATE REQUEST"));
	assert_null(strstr(r.certificate_request, "PRIVATE"));
	assert_int_equal(strlen(r.certificate_serial), 32);
	/* It is one request, whoever starts. */
	look(x, &(struct petition){.conf = &x->conf, .state = x->state});
	identity_report(&x->conf, &again);
	assert_string_equal(r.certificate_request, again.certificate_request);
	assert_int_equal(restarts, 0);
}

static void
a_box_without_reports_asks_nobody(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};

	manufacture(80);
	x->conf.report_url = NULL;
	look(x, &p);
	assert_false(there_is(IDENTITY_NEXT));
}

static void
a_box_asks_while_an_update_waits_for_its_reboot(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};

	manufacture(80);
	x->state->pending.phase = PHASE_ACTIVATED;
	x->state->pending.first_seen_boot_ms = 1;
	look(x, &p);
	assert_false(there_is(IDENTITY_NEXT));
	x->state->pending = (struct pending){.phase = PHASE_ACTIVATED, .tree_only = true};
	look(x, &p);
	assert_false(there_is(IDENTITY_NEXT));
	x->state->pending.tree_only = false;
	look(x, &p);
	assert_true(there_is(IDENTITY_NEXT));
	answer(x, id, 0, false);
	look(x, &p);
	assert_true(there_is(IDENTITY_TRIAL));
}

static void
an_answer_is_tried_and_kept_once_it_gets_through(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};
	struct identity before, now;

	manufacture(80);
	identity_choose(&x->conf, &before);
	look(x, &p);
	answer(x, id, 0, false);
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	look(x, &p);
	assert_true(there_is(IDENTITY_TRIAL) && !there_is(IDENTITY_NEXT));
	assert_int_equal(restarts, 1);
	identity_choose(&x->conf, &now);
	assert_true(now.on_trial && now.known);
	assert_string_not_equal(now.certificate.serial, before.certificate.serial);
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	assert_true(there_is(IDENTITY_PROVEN) && !there_is(IDENTITY_TRIAL));
	identity_choose(&x->conf, &before);
	assert_false(before.on_trial);
	assert_string_equal(now.certificate.serial, before.certificate.serial);
	look(x, &p);
	assert_false(there_is(IDENTITY_NEXT));
	/* Who gives it new files later has the last word. */
	wall_s += DAY_S;
	manufacture(-1);
	identity_choose(&x->conf, &now);
	assert_string_equal(now.cert, "box.crt");
	assert_string_equal(now.key, "box.key");
}

static void
assert_not_taken(struct scene *x, struct petition *p)
{
	look(x, p);
	assert_false(there_is(IDENTITY_TRIAL));
	assert_true(there_is(IDENTITY_NEXT));
	assert_int_equal(restarts, 0);
}

static void
an_answer_that_is_not_for_this_request_and_box_is_not_taken(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};
	AUTO_BUF struct buf junk = BUF_INIT(64), key = BUF_INIT(PEM_MAX), stale = BUF_INIT(PEM_MAX);

	manufacture(80);
	look(x, &p);
	answer(x, "gw-000002", 0, false);
	assert_not_taken(x, &p);
	answer(x, id, 0, true); /* by a CA that it does not know */
	assert_not_taken(x, &p);
	answer(x, id, LIFE_DAYS, false); /* ended */
	assert_not_taken(x, &p);
	answer(x, id, -1, false); /* not begun */
	assert_not_taken(x, &p);
	assert_int_equal(x509_key_new(&key, NULL), 0);
	issue(buf_span(&key), id, 0, false, &stale);
	publish(x, "certificates", "certificates/gw-000001.crt", &stale);
	assert_not_taken(x, &p);
	assert_int_equal(buf_append(&junk, "junk", 4, NULL), 0);
	publish(x, "certificates", "certificates/gw-000001.crt", &junk);
	assert_not_taken(x, &p);
	answer(x, id, 0, false);
	look(x, &p);
	assert_true(there_is(IDENTITY_TRIAL));
}

static void
a_new_pair_that_does_not_get_through_is_given_up(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};
	struct identity was, now;

	manufacture(80);
	identity_choose(&x->conf, &was);
	look(x, &p);
	answer(x, id, 0, false);
	look(x, &p);
	assert_true(petition_hear(&p, NULL, COURIER_FAILED));
	identity_choose(&x->conf, &now);
	assert_string_equal(now.certificate.serial, was.certificate.serial);
	look(x, &p);
	assert_false(there_is(IDENTITY_NEXT));
	/* The older does not get through either: it may be the server. */
	assert_true(petition_hear(&p, NULL, COURIER_FAILED));
	assert_true(there_is(IDENTITY_TRIAL));
	assert_true(petition_hear(&p, NULL, COURIER_FAILED));
	assert_true(petition_hear(&p, NULL, COURIER_THROUGH));
	assert_true(there_is(IDENTITY_TRIAL));
	assert_true(petition_hear(&p, NULL, COURIER_FAILED));
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	assert_true(!there_is(IDENTITY_TRIAL) && !there_is(IDENTITY_SHELVED));
	identity_choose(&x->conf, &now);
	assert_string_equal(now.certificate.serial, was.certificate.serial);
	look(x, &p);
	assert_true(there_is(IDENTITY_NEXT));
}

/* The new pair may be refused to polls, too. The site may be down while reports get through. */
static void
of_polls_that_fail_those_are_heard_of_that_were_refused(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};

	manufacture(80);
	look(x, &p);
	answer(x, id, 0, false);
	look(x, &p);
	for (size_t i = 0; i < 2; i++) {
		static const int others[] = {0, 503};

		fetches_failing = 9;
		fails_with = others[i];
		assert_int_not_equal(poll_once(x), ERR_NONE);
		assert_false(petition_step(&p, NULL, x->poller, wall_s, NULL));
		assert_true(there_is(IDENTITY_TRIAL));
	}
	fails_with = NET_UNWELCOME;
	assert_int_not_equal(poll_once(x), ERR_NONE);
	assert_true(petition_step(&p, NULL, x->poller, wall_s, NULL));
	assert_true(there_is(IDENTITY_SHELVED));
}

/* To all, for a while: nothing is lost by it, and nothing is tried in turn. */
static void
a_server_that_denies_all_reports_says_nothing_of_the_new_pair(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};
	unsigned before;

	manufacture(80);
	look(x, &p);
	answer(x, id, 0, false);
	look(x, &p);
	assert_true(petition_hear(&p, NULL, COURIER_FAILED));
	assert_true(petition_hear(&p, NULL, COURIER_HELD));
	before = restarts;
	for (int i = 0; i < 5; i++)
		assert_false(petition_hear(&p, NULL, COURIER_HELD));
	assert_true(there_is(IDENTITY_TRIAL));
	assert_int_equal(restarts, before);
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	assert_true(there_is(IDENTITY_PROVEN));
	for (int i = 0; i < 5; i++)
		assert_false(petition_hear(&p, NULL, COURIER_HELD));
	assert_int_equal(restarts, before);
}

/* Its server knows only the older, say. */
static void
a_new_pair_that_is_denied_is_given_up_where_the_older_gets_through(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};
	struct identity was, now;
	unsigned before;

	manufacture(80);
	identity_choose(&x->conf, &was);
	look(x, &p);
	answer(x, id, 0, false);
	look(x, &p);
	for (int i = 0; i < 2; i++) {
		assert_true(petition_hear(&p, NULL, COURIER_DENIED));
		assert_true(there_is(IDENTITY_SHELVED) && !there_is(IDENTITY_TRIAL));
		assert_int_equal(petition_hear(&p, NULL, COURIER_THROUGH), i == 0);
	}
	assert_true(!there_is(IDENTITY_TRIAL) && !there_is(IDENTITY_SHELVED));
	identity_choose(&x->conf, &now);
	assert_string_equal(now.certificate.serial, was.certificate.serial);
	/* Without a trial nothing is tried in turn. */
	before = restarts;
	for (int i = 0; i < 5; i++)
		assert_false(petition_hear(&p, NULL, COURIER_DENIED));
	assert_int_equal(restarts, before);
}

static void
delivered_cas_are_believed_beside_the_others(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};
	AUTO_BUF struct buf junk = BUF_INIT(64), text = BUF_INIT(PEM_MAX);
	char made_with[DIGEST_HEX_SIZE];
	struct report r = {0};
	struct identity now;
	struct digest made;

	manufacture(10);
	look(x, &p);
	identity_choose(&x->conf, &now);
	assert_string_equal(now.authorities, "");
	identity_report(&x->conf, &r);
	made = digest_of(buf_span(&ca_cert));
	assert_string_equal(r.authorities_sha256, digest_hex(&made, made_with));
	deliver(x, &ca_cert, &next_ca_cert);
	look(x, &p);
	assert_int_equal(restarts, 1);
	identity_choose(&x->conf, &now);
	assert_non_null(strstr(now.authorities, "tls/authorities.pem"));
	identity_report(&x->conf, &r);
	assert_int_equal(strlen(r.authorities_sha256), 64);
	assert_string_not_equal(r.authorities_sha256, made_with);
	assert_false(there_is(IDENTITY_NEXT));
	/* What makes no sense changes nothing. */
	assert_int_equal(buf_append(&junk, "junk", 4, NULL), 0);
	publish(x, "authorities", "authorities/ca.pem", &junk);
	look(x, &p);
	tls_read(IDENTITY_AUTHORITIES, &text);
	assert_int_equal(text.len, ca_cert.len + next_ca_cert.len);
	assert_int_equal(restarts, 1);
	/* Another CA issues now. */
	deliver(x, &next_ca_cert, &ca_cert);
	look(x, &p);
	assert_int_equal(restarts, 2);
	assert_true(there_is(IDENTITY_NEXT));
	answer(x, id, 0, true);
	look(x, &p);
	assert_true(there_is(IDENTITY_TRIAL));
}

static void
what_decayed_or_is_of_another_box_is_passed_over(void **state)
{
	struct scene *x = *state;
	AUTO_BUF struct buf key = BUF_INIT(PEM_MAX), pair = BUF_INIT(PEM_MAX);
	struct identity now;
	struct err e;

	manufacture(10);
	assert_int_equal(dir_make("tls", 0700, &e), 0);
	assert_int_equal(folder_put("tls/box.pem", "junk", 4), 0);
	assert_int_equal(folder_put("tls/authorities.pem", "junk", 4), 0);
	identity_choose(&x->conf, &now);
	assert_string_equal(now.cert, "box.crt");
	assert_string_equal(now.authorities, "");
	assert_int_equal(x509_key_new(&key, NULL), 0);
	assert_int_equal(buf_append(&pair, key.data, key.len, NULL), 0);
	issue(buf_span(&key), "gw-000002", 0, false, &pair);
	assert_int_equal(folder_put("tls/box.pem", pair.data, pair.len), 0);
	identity_choose(&x->conf, &now);
	assert_string_equal(now.cert, "box.crt");
	/* A certificate without its key. */
	issue(buf_span(&key), id, 0, false, &pair);
	assert_int_equal(folder_put("tls/box.pem", pair.data + key.len, pair.len - key.len), 0);
	identity_choose(&x->conf, &now);
	assert_string_equal(now.cert, "box.crt");
}

static void
a_damaged_new_pair_does_not_take_the_place_of_one_that_works(void **state)
{
	struct scene *x = *state;
	struct petition p = {.conf = &x->conf, .state = x->state};
	AUTO_BUF struct buf key = BUF_INIT(PEM_MAX), pair = BUF_INIT(PEM_MAX);
	struct identity now;
	struct err e;

	manufacture(80);
	assert_int_equal(dir_make("tls", 0700, &e), 0);
	assert_int_equal(x509_key_new(&key, NULL), 0);
	assert_int_equal(buf_append(&pair, key.data, key.len, NULL), 0);
	issue(buf_span(&key), id, 10, false, &pair);
	assert_int_equal(folder_put("tls/box.pem", pair.data, pair.len), 0);
	assert_int_equal(folder_put("tls/" IDENTITY_TRIAL, "junk", 4), 0);
	assert_false(petition_hear(&p, NULL, COURIER_THROUGH));
	assert_false(there_is(IDENTITY_TRIAL));
	identity_choose(&x->conf, &now);
	assert_non_null(strstr(now.cert, "/tls/box.pem"));
}

static void
a_damaged_request_is_made_anew(void **state)
{
	struct scene *x = *state;
	struct report r = {0}, again = {0};

	manufacture(80);
	look(x, &(struct petition){.conf = &x->conf, .state = x->state});
	identity_report(&x->conf, &r);
	assert_int_equal(folder_put("tls/" IDENTITY_NEXT, "junk", 4), 0);
	look(x, &(struct petition){.conf = &x->conf, .state = x->state});
	identity_report(&x->conf, &again);
	assert_non_null(strstr(again.certificate_request, "BEGIN CERTIFICATE REQUEST"));
	assert_string_not_equal(r.certificate_request, again.certificate_request);
}

/* The host would refuse it for ever. */
static void
a_request_in_a_name_that_the_box_had_is_made_anew(void **state)
{
	struct scene *x = *state;
	AUTO_BUF struct buf next = BUF_INIT(PEM_MAX);
	struct report r = {0};
	struct err e;
	char name[65];

	manufacture(80);
	assert_int_equal(dir_make("tls", 0700, &e), 0);
	assert_int_equal(x509_key_new(&next, NULL), 0);
	assert_int_equal(x509_csr_new(buf_span(&next), "gw-000002", &next, NULL), 0);
	assert_int_equal(folder_put("tls/" IDENTITY_NEXT, next.data, next.len), 0);
	look(x, &(struct petition){.conf = &x->conf, .state = x->state});
	identity_report(&x->conf, &r);
	assert_int_equal(x509_csr_name(span_str(r.certificate_request), name, &e), 0);
	assert_string_equal(name, id);
}

/* The whole of a renewal, with a host that answers. */
static void
renew(struct scene *x)
{
	struct petition p = {.conf = &x->conf, .state = x->state};

	for (int i = 0; i < ROUNDS; i++) {
		look(x, &p);
		if (there_is(IDENTITY_NEXT))
			answer(x, id, 0, false);
		else
			(void)petition_hear(&p, NULL, COURIER_THROUGH);
	}
}

/* The site that the child saw has gone with it. */
static void
site_forget(struct scene *x)
{
	static const char *const names[] = {
		"timestamp", "snapshot", "targets", "certificates", "authorities"};
	char path[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "metadata/%s.json", names[i]);
		(void)unlink(path);
	}
	x->state->seen = (struct tuf_floor){0};
	assert_int_equal(state_save(x->conf.state_dir, x->state, NULL), 0);
	start(x);
}

static bool
renew_until(struct scene *x, unsigned killed_at)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		steps_left = killed_at;
		renew(x);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 0;
}

static void
a_power_cut_at_any_step_leaves_a_pair_that_works(void **state)
{
	struct scene *x = *state;
	struct identity was, now;
	unsigned n = 1;

	manufacture(80);
	identity_choose(&x->conf, &was);
	while (renew_until(x, n)) {
		identity_choose(&x->conf, &now);
		assert_true(now.known);
		site_forget(x);
		renew(x);
		identity_choose(&x->conf, &now);
		assert_true(now.known && !now.on_trial);
		assert_string_not_equal(now.certificate.serial, was.certificate.serial);
		assert_true(there_is(IDENTITY_PROVEN) && !there_is(IDENTITY_NEXT) &&
			    !there_is(IDENTITY_TRIAL) && !there_is(IDENTITY_SHELVED));
		assert_int_equal(unlink("tls/box.pem"), 0);
		site_forget(x);
		n++;
	}
	/* The metadata that the client saves, the request, the pair, the request that goes, the
	 * pair that is kept. */
	assert_in_range(n, 5, 40);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PETITION(a_box_asks_in_the_last_third_of_its_certificates_life),
		IN_PETITION(a_box_without_reports_asks_nobody),
		IN_PETITION(a_box_asks_while_an_update_waits_for_its_reboot),
		IN_PETITION(an_answer_is_tried_and_kept_once_it_gets_through),
		IN_PETITION(an_answer_that_is_not_for_this_request_and_box_is_not_taken),
		IN_PETITION(a_new_pair_that_does_not_get_through_is_given_up),
		IN_PETITION(of_polls_that_fail_those_are_heard_of_that_were_refused),
		IN_PETITION(a_server_that_denies_all_reports_says_nothing_of_the_new_pair),
		IN_PETITION(a_new_pair_that_is_denied_is_given_up_where_the_older_gets_through),
		IN_PETITION(delivered_cas_are_believed_beside_the_others),
		IN_PETITION(a_damaged_new_pair_does_not_take_the_place_of_one_that_works),
		IN_PETITION(a_damaged_request_is_made_anew),
		IN_PETITION(a_request_in_a_name_that_the_box_had_is_made_anew),
		IN_PETITION(what_decayed_or_is_of_another_box_is_passed_over),
		IN_PETITION(a_power_cut_at_any_step_leaves_a_pair_that_works),
	};

	return cmocka_run_group_tests(tests, cas_make, cas_free);
}
