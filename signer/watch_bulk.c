/* The part of the watch that sees to large content: a program of its own copies it, beside stops
 * and all else, and the watch publishes what lists it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/process.h"
#include "common/limits.h"
#include "signer/following.h"
#include "signer/watching.h"

/* Under no rollout: when all that is published was last seen to be where it is served. */
static const char mark[] = "bulk_pushed_s";

enum { PUSHED_AGAIN_S = 3600 };

/* What the carrier has said, to its end. */
static int
said_read(struct watch *w, json_t **out, struct err *e)
{
	AUTO_CLOSE int fd = take_fd(&w->carrier_said);
	AUTO_BUF struct buf bytes = BUF_INIT(PUSH_LIST_BYTES_MAX);

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, errno, "what was carried");
	if (file_read_fd(fd, "what was carried", &bytes, e) < 0)
		return -1;
	return json_parse(buf_span(&bytes), "what was carried", out, e);
}

static bool
all_is_well(const json_t *carried)
{
	json_t *done;
	const char *name;

	json_object_foreach ((json_t *)(uintptr_t)carried, name, done) {
		if (!json_is_true(done))
			return false;
	}
	return true;
}

/* What was carried and is not as it was signed is refused by the publisher, who tells of it; it is
 * looked at again all the same, for it may only be missing yet. */
static int
carried_take(struct watch *w, int status, struct err *e)
{
	AUTO_JSON json_t *said = NULL;
	int rc = said_read(w, &said, e);
	const char *why = json_text(said, "why");
	json_t *carried = json_object_get(said, "carried");

	if (status != 0)
		return err_set(e, ERR_SYSTEM, "%s",
			why && *why ? why : "`sluice publish --carry` failed: see what it said");
	if (rc < 0)
		return -1;
	publisher_carried(w->publisher, carried);
	if (json_object_size(carried) == 0) {
		/* Somebody else has published what was deferred, or will be asked again. */
		if (w->deferred[0])
			backoff_failed(&w->carry, w->now_ms);
		else
			backoff_reset(&w->carry);
		return following_mark_set(w->fleet, 0, mark, w->now_s, e);
	}
	if (all_is_well(carried))
		backoff_reset(&w->carry);
	else
		backoff_failed(&w->carry, w->now_ms);
	return 0;
}

void
watch_carried(struct watch *w)
{
	struct err e = ERR_INIT;
	int status = 0;

	if (w->carrier == 0 || !process_has_ended(&w->carrier, &status))
		return;
	if (carried_take(w, status, &e) < 0) {
		backoff_failed(&w->carry, w->now_ms);
		(void)watch_problem(w, JOB_BULK, &e);
		return;
	}
	watch_well(w, JOB_BULK);
	/* Whether something is deferred still is found out by publishing. */
	w->deferred[0] = '\0';
	w->waiting = 0;
}

/* It has none of the keys that are unlocked here, and is killed with its group, in which what it
 * runs is, too. It is this program again, whatever lies at its path by now. */
static int
carrier_begin(struct watch *w, struct err *e)
{
	const char *const argv[] = {
		"/proc/self/exe", "publish", "--carry", "-w", w->workspace->dir, NULL};
	AUTO_CLOSE int said = memfd_create("carried", MFD_CLOEXEC);

	if (said < 0)
		return err_sys(e, errno, "copying large content");
	if (process_begin(&(struct process){.argv = argv, .output_fd = said}, &w->carrier, e) < 0)
		return -1;
	w->carrier_said = take_fd(&said);
	return 0;
}

static int
carry_is_due(struct watch *w, bool *out, struct err *e)
{
	int64_t pushed_s = 0;

	*out = w->deferred[0] || w->carry.wait_ms > 0;
	if (*out || !w->workspace->push)
		return 0;
	if (following_mark(w->fleet, 0, mark, &pushed_s, e) < 0)
		return -1;
	*out = w->now_s - pushed_s >= PUSHED_AGAIN_S || pushed_s > w->now_s;
	return 0;
}

void
watch_carry(struct watch *w)
{
	struct err e = ERR_INIT;
	bool due = false;

	if (!w->publisher || w->carrier != 0 || !backoff_is_due(&w->carry, w->now_ms))
		return;
	if (carry_is_due(w, &due, &e) < 0 || (due && carrier_begin(w, &e) < 0)) {
		backoff_failed(&w->carry, w->now_ms);
		(void)watch_problem(w, JOB_BULK, &e);
		return;
	}
	if (!due || !w->deferred[0] || strcmp(w->carries, w->deferred) == 0)
		return;
	(void)snprintf(w->carries, sizeof(w->carries), "%s", w->deferred);
	watch_tell(w, (struct watch_event){.what = "note"},
		"copies the large content that %s lists", w->deferred);
}
