/* A repository with one delegated role, "team", which its client knows. */
#ifndef SLUICE_TESTS_TEAM_FIXTURE_H
#define SLUICE_TESTS_TEAM_FIXTURE_H

#include "common/base/num.h"
#include "tests/unit/repo_fixture.h"

/* In the order in which a refresh takes them. */
static const char *const order[] = {"root", "timestamp", "snapshot", "targets", "team"};

/* A refresh and a search by this client. */
static inline enum err_class
poll_with(struct repo *r, struct tuf_client *c, struct err *e)
{
	AUTO_TARGET struct tuf_target t = {0};
	bool found;

	if (tuf_refresh(c, &r->fetcher, REPO_NOW_S, e) < 0 ||
		tuf_find(c, &r->fetcher, "team/x", REPO_NOW_S, &found, &t, e) < 0)
		return e->class;
	return ERR_NONE;
}

static inline enum err_class
poll_once(struct repo *r)
{
	AUTO_TUF struct tuf_client *c = NULL;
	struct err e = ERR_INIT;

	if (tuf_open(&r->tuf_store, &c, &e) < 0)
		return e.class;
	return poll_with(r, c, &e);
}

/* A repository with one delegated role, known to its client. */
static inline struct repo *
team_new(void)
{
	struct repo *r = repo_new();

	r->hashes = true;
	(void)repo_delegate(r, "targets", "team", 4, "team/*", true);
	repo_target(r, "team", "team/x", "{}");
	repo_write(r, "team");
	repo_release(r, "targets");
	assert_int_equal(poll_once(r), ERR_NONE);
	return r;
}

static inline int
team_setup(void **state)
{
	*state = team_new();
	return 0;
}
#define team_test(f) cmocka_unit_test_setup_teardown(f, team_setup, repo_teardown)

#endif
