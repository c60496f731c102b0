/* A fleet with two webhooks, for tests of events on their way. */
#ifndef SLUICE_TESTS_OUTBOX_SCENE_H
#define SLUICE_TESTS_OUTBOX_SCENE_H

#include "tests/unit/sample.h"

#include <stdio.h>
#include <unistd.h>

#include "signer/fleet.h"
#include "signer/outbox.h"
#include "tests/unit/folder.h"

#define CHAT "https://chat.example.com/x"
#define PAGER "https://pager.example.com/"

static struct workspace w;
static void *folder;
static struct fleet *f;
static struct sql *s;

static inline void
open_fleet(void)
{
	struct err e = ERR_INIT;

	if (fleet_open(&w, &f, &e) < 0 || fleet_sql(f, &s, &e) < 0)
		fail_msg("%s", e.text);
}

static inline int
begin(void **state)
{
	(void)state;
	if (folder_enter_memory(&folder) < 0)
		return -1;
	(void)snprintf(w.dir, sizeof(w.dir), "%s", (const char *)folder);
	w.site_url = (char *)(uintptr_t) "https://updates.example.com/";
	w.webhooks = (struct webhooks){.count = 2,
		.list = {{.url = (char *)(uintptr_t)CHAT, .kinds = (1U << WEBHOOK_KINDS) - 1},
			{.url = (char *)(uintptr_t)PAGER, .kinds = 1U << WEBHOOK_STOPPED}}};
	open_fleet();
	return 0;
}

static inline int
end(void **state)
{
	(void)state;
	fleet_close(&f);
	return folder_leave(&folder);
}

static inline void
put(enum webhook_kind kind, const char *fact, int64_t at_s)
{
	AUTO_JSON json_t *fields = json_pack("{s:s}", "plan", "stable");
	const struct outbox_event x = {kind, {fact, NULL}, fields, at_s};
	struct err e = ERR_INIT;

	if (sql_begin(s, &e) < 0 || sql_end(s, outbox_put(s, &w, &x, &e), &e) < 0)
		fail_msg("%s", e.text);
}

static struct outbox_batch
next(int64_t now_s)
{
	struct outbox_batch b = {0};
	struct err e = ERR_INIT;

	if (outbox_next(s, &w, now_s, &b, &e) < 0)
		fail_msg("%s", e.text);
	return b;
}

static inline bool
is_due(int64_t now_s)
{
	struct err e = ERR_INIT;
	bool due = false;

	assert_int_equal(outbox_is_due(s, &w, now_s, &due, &e), 0);
	return due;
}

static inline enum outbox_fate
settle(const struct outbox_delivery *d, unsigned status, uint64_t retry_after_s, int64_t now_s)
{
	struct outbox_answer a = {.status = status, .retry_after_s = retry_after_s};
	enum outbox_fate fate = OUTBOX_TAKEN;
	struct err e = ERR_INIT;

	(void)snprintf(a.text, sizeof(a.text), "HTTP status %u", status);
	assert_int_equal(outbox_settle(s, d, &a, now_s, &fate, &e), 0);
	return fate;
}

static struct outbox_census
census(const char *url)
{
	struct outbox_census c;
	struct err e = ERR_INIT;

	assert_int_equal(outbox_census(s, url, &c, &e), 0);
	return c;
}

static inline int64_t
number(const char *query)
{
	struct err e = ERR_INIT;
	int64_t n = 0;

	if (sql_get(s, NULL, &n, &e, query, "") < 0)
		fail_msg("%s", e.text);
	return n;
}

#endif
