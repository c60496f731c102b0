/* What is on disk: nothing that was rejected, and nothing older than what another process saved. */
#include "tests/unit/team_fixture.h"

#include <dlfcn.h>
#include <sodium.h>

/* In place of libsodium's: signatures that were really looked at. */
static size_t verifications;

int
crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
	unsigned long long mlen, const unsigned char *pk)
{
	union {
		void *found;
		int (*call)(const unsigned char *, const unsigned char *, unsigned long long,
			const unsigned char *);
	} real = {.found = dlsym(RTLD_NEXT, "crypto_sign_verify_detached")};

	verifications++;
	return real.call(sig, m, mlen, pk);
}

static void
an_unchanged_poll_verifies_nothing_but_the_timestamp(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = repo_client(r);
	struct err e = ERR_INIT;

	assert_int_equal(poll_with(r, c, &e), ERR_NONE);
	for (int i = 0; i < 3; i++) {
		verifications = 0;
		r->saves = 0;
		assert_int_equal(poll_with(r, c, &e), ERR_NONE);
		assert_int_equal(verifications, 1);
		assert_int_equal(r->saves, 0);
	}
	repo_bump(r, "timestamp");
	verifications = 0;
	assert_int_equal(poll_with(r, c, &e), ERR_NONE);
	assert_int_equal(verifications, 1);
}

static void
a_client_that_starts_verifies_what_it_kept_once(void **state)
{
	struct repo *r = *state;

	verifications = 0;
	assert_int_equal(poll_once(r), ERR_NONE);
	/* The root, and each of the other four files; the timestamp that came beside the one kept.
	 */
	assert_int_equal(verifications, 6);
}

/* Two clients of one store: a daemon that has been running, and a local install from a stick. */

static void
a_root_that_another_process_saved_is_never_undone(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r);
	struct err e = ERR_INIT;

	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	for (int i = 0; i < 3; i++)
		repo_bump(r, "root");
	assert_int_equal(poll_once(r), ERR_NONE);
	assert_int_equal(repo_stored(r, "root"), 4);
	r->asked[0] = '\0';
	r->save_fails_after = 0;
	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	assert_memory_equal(r->asked, "5.root.json ", 12);
	assert_int_equal(repo_stored(r, "root"), 4);
}

static void
keys_that_another_process_saw_revoked_are_revoked(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r);
	struct err e = ERR_INIT;

	/* Both sign, so that what was driven up satisfies the keys that remain, too. */
	repo_set_keys(r, "timestamp", KEYS(1, 5), 1);
	repo_bump(r, "root");
	repo_set_version(r, "timestamp", 1000);
	repo_write(r, "timestamp");
	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	repo_set_keys(r, "timestamp", KEYS(5), 1);
	repo_bump(r, "root");
	repo_set_version(r, "timestamp", 3);
	repo_write(r, "timestamp");
	assert_int_equal(poll_once(r), ERR_NONE);
	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	assert_int_equal(repo_stored(r, "timestamp"), 3);
	assert_int_equal(
		json_integer_value(json_object_get(tuf_document(daemon, "timestamp"), "version")),
		3);
}

static void
what_another_process_saved_is_not_rolled_back(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r);
	struct repo_files middle = {0}, last = {0};
	struct err e = ERR_INIT;

	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	repo_release(r, "targets");
	repo_files_copy(&r->metadata, &middle);
	repo_release(r, "targets");
	assert_int_equal(poll_once(r), ERR_NONE);
	repo_files_copy(&r->store, &last);
	/* Newer than what the daemon knows, older than what was saved. */
	repo_files_copy(&middle, &r->metadata);
	assert_int_equal(poll_with(r, daemon, &e), ERR_UNTRUSTED);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		assert_true(repo_file_same(&r->store, &last, order[i]));
	repo_files_free(&middle);
	repo_files_free(&last);
}

static void
an_older_store_is_no_reason_to_go_back(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r);
	struct repo_files metadata = {0}, old = {0};
	struct err e = ERR_INIT;

	repo_files_copy(&r->store, &old);
	repo_files_copy(&r->metadata, &metadata);
	repo_bump(r, "root");
	repo_release(r, "targets");
	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	/* Somebody puts back what was there, and serves that, too. */
	repo_files_copy(&old, &r->store);
	repo_files_copy(&metadata, &r->metadata);
	assert_int_equal(poll_with(r, daemon, &e), ERR_UNTRUSTED);
	assert_int_equal(
		json_integer_value(json_object_get(tuf_document(daemon, "root"), "version")), 2);
	repo_files_free(&old);
	repo_files_free(&metadata);
}

static void
targets_from_a_stick_hold_for_the_daemon_too(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r);
	AUTO_TUF struct tuf_client *stick = NULL;
	const struct repo_file *f;
	struct err e = ERR_INIT;

	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	repo_bump(r, "targets");
	f = repo_file(&r->metadata, "3.targets.json");
	stick = repo_client(r);
	assert_int_equal(tuf_take_targets(stick, span_of(f->data, f->len), &e), 0);
	assert_int_equal(repo_stored(r, "targets"), 3);
	/* The site still lists version 2. */
	assert_int_equal(poll_with(r, daemon, &e), ERR_UNTRUSTED);
	assert_int_equal(repo_stored(r, "targets"), 3);
	repo_release(r, NULL);
	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
}

static void
a_store_damaged_under_a_running_client_is_no_reason_to_go_back(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r);
	struct err e = ERR_INIT;

	repo_release(r, "targets");
	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	for (size_t i = 0; i < 4; i++) {
		struct repo_file *f = repo_file(&r->store, order[i]);

		f->data[f->len / 2] ^= 1;
	}
	repo_set_version(r, "timestamp", 2);
	repo_write(r, "timestamp");
	assert_int_equal(poll_with(r, daemon, &e), ERR_UNTRUSTED);
	repo_set_version(r, "timestamp", 4);
	repo_write(r, "timestamp");
	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
}

static void
a_store_that_cannot_be_read_is_an_error_of_its_own(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r);
	struct err e = ERR_INIT;

	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	r->unreadable_errno = EMFILE;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		r->unreadable = order[i];
		assert_int_equal(poll_once(r), ERR_SYSTEM);
		if (i < 4)
			assert_int_equal(poll_with(r, daemon, &e), ERR_SYSTEM);
	}
	r->unreadable = NULL;
	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
}

static void
what_the_disk_has_lost_is_fetched_anew_and_told(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r);
	struct err e = ERR_INIT;

	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	assert_false(tuf_loss(daemon, &e));
	r->unreadable_errno = EIO;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		r->unreadable = order[i];
		assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
		/* What is delegated is bound by the snapshot. */
		assert_true(tuf_loss(daemon, &e) == (i < 4));
		assert_false(tuf_loss(daemon, &e));
		if (i > 0) {
			AUTO_TUF struct tuf_client *later = repo_client(r);

			assert_int_equal(poll_with(r, later, &e), ERR_NONE);
			assert_true(tuf_loss(later, &e) == (i < 4));
		}
	}
	/* Where there is nothing left to start from, nothing starts. */
	r->unreadable = "root";
	assert_int_equal(poll_once(r), ERR_SYSTEM);
}

static void
what_only_a_running_client_has_is_no_reason_to_go_back(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *daemon = repo_client(r);
	struct err e = ERR_INIT;

	repo_release(r, "targets");
	assert_int_equal(poll_with(r, daemon, &e), ERR_NONE);
	r->unreadable_errno = EIO;
	r->unreadable = "timestamp";
	repo_set_version(r, "timestamp", 2);
	repo_write(r, "timestamp");
	assert_int_equal(poll_with(r, daemon, &e), ERR_UNTRUSTED);
}

/* A stick's targets.json is held to the one in the store, and to nothing else. */
static void
a_stick_is_taken_nothing_from_where_the_disk_has_lost_the_measure(void **state)
{
	struct repo *r = *state;
	AUTO_TUF struct tuf_client *c = NULL;
	const struct repo_file *f = NULL;
	struct err e = ERR_INIT;
	char file[256];

	assert_int_equal(poll_once(r), ERR_NONE);
	repo_file_name(r, "targets", file);
	f = repo_file(&r->metadata, file);
	assert_non_null(f);
	r->unreadable_errno = EIO;
	r->unreadable = "targets";
	c = repo_client(r);
	assert_int_equal(tuf_take_targets(c, span_of(f->data, f->len), &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
}

/* Rejection: each case serves something wrong of one role. */

static void
serve_forged(struct repo *r, const char *role)
{
	repo_forge(r, role);
}

static void
serve_expired(struct repo *r, const char *role)
{
	repo_expire(r, role, PAST);
	repo_bump(r, role);
}

static void
serve_malformed(struct repo *r, const char *role)
{
	json_object_set_new(repo_body(r, role), "expires", json_true());
	repo_bump(r, role);
}

static void
serve_older(struct repo *r, const char *role)
{
	repo_set_version(r, role, 1);
	repo_write(r, role);
}

/* The right version is listed, and right but for one thing that a mirror did to it. */
static struct repo_file *
served(struct repo *r, const char *role)
{
	char file[256];

	repo_bump(r, role);
	repo_file_name(r, role, file);
	return repo_file(&r->metadata, file);
}

static void
serve_flipped(struct repo *r, const char *role)
{
	struct repo_file *f = served(r, role);

	f->data[f->len / 2] ^= 1;
}

static void
serve_longer(struct repo *r, const char *role)
{
	struct repo_file *f = served(r, role);
	char file[256], *text = malloc(f->len + 2);

	assert_non_null(text);
	(void)snprintf(text, f->len + 2, "%s ", (char *)f->data);
	repo_file_name(r, role, file);
	repo_file_put(&r->metadata, file, text, f->len + 1);
	free(text);
}

static void
serve_cut(struct repo *r, const char *role)
{
	served(r, role)->len--;
}

static void
serve_nothing(struct repo *r, const char *role)
{
	char file[256];

	(void)served(r, role);
	repo_file_name(r, role, file);
	repo_file_drop(&r->metadata, file);
}

typedef void (*serve_wrong)(struct repo *r, const char *role);

static const struct {
	size_t role; /* in order[] */
	serve_wrong serve;
} rejections[] = {
	{0, serve_forged},
	{0, serve_malformed},
	{0, serve_flipped},
	{0, serve_cut},
	{1, serve_forged},
	{1, serve_expired},
	{1, serve_malformed},
	{1, serve_older},
	{1, serve_flipped},
	{1, serve_cut},
	{1, serve_nothing},
	{2, serve_forged},
	{2, serve_expired},
	{2, serve_malformed},
	{2, serve_older},
	{2, serve_flipped},
	{2, serve_longer},
	{2, serve_cut},
	{2, serve_nothing},
	{3, serve_forged},
	{3, serve_expired},
	{3, serve_malformed},
	{3, serve_older},
	{3, serve_flipped},
	{3, serve_longer},
	{3, serve_cut},
	{3, serve_nothing},
	{4, serve_forged},
	{4, serve_expired},
	{4, serve_malformed},
	{4, serve_older},
	{4, serve_flipped},
	{4, serve_longer},
	{4, serve_cut},
	{4, serve_nothing},
};

/* Serves it, with whatever lists it made to list it. */
static void
serve_rejected(struct repo *r, size_t role, serve_wrong serve)
{
	if (role == 0) /* the next root, or a broken one under its name */
		repo_bump(r, "root");
	serve(r, order[role]);
	if (role >= 3)
		repo_bump(r, "snapshot");
	if (role >= 2)
		repo_bump(r, "timestamp");
}

static void
a_rejected_file_changes_nothing_on_disk(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rejections); i++) {
		struct repo *r = team_new();
		struct repo_files before = {0};
		size_t role = rejections[i].role;

		repo_release(r, "team");
		assert_int_equal(poll_once(r), ERR_NONE);
		repo_files_copy(&r->store, &before);
		serve_rejected(r, role, rejections[i].serve);
		if (poll_once(r) == ERR_NONE)
			fail_msg("case %zu: %s is accepted", i, order[role]);
		assert_int_equal(r->store.count, before.count);
		for (size_t k = role == 0 ? 1 : role; k < ARRAY_LEN(order); k++) {
			if (!repo_file_same(&r->store, &before, order[k]))
				fail_msg("case %zu: %s is on disk", i, order[k]);
		}
		assert_in_range(repo_stored(r, "root"), 1, 2);
		repo_files_free(&before);
		repo_free(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		team_test(an_unchanged_poll_verifies_nothing_but_the_timestamp),
		team_test(a_client_that_starts_verifies_what_it_kept_once),
		team_test(a_root_that_another_process_saved_is_never_undone),
		team_test(keys_that_another_process_saw_revoked_are_revoked),
		team_test(what_another_process_saved_is_not_rolled_back),
		team_test(an_older_store_is_no_reason_to_go_back),
		team_test(targets_from_a_stick_hold_for_the_daemon_too),
		team_test(a_store_damaged_under_a_running_client_is_no_reason_to_go_back),
		team_test(a_store_that_cannot_be_read_is_an_error_of_its_own),
		team_test(what_the_disk_has_lost_is_fetched_anew_and_told),
		team_test(what_only_a_running_client_has_is_no_reason_to_go_back),
		team_test(a_stick_is_taken_nothing_from_where_the_disk_has_lost_the_measure),
		cmocka_unit_test(a_rejected_file_changes_nothing_on_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
