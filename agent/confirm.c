#include "agent/confirm.h"

#include <errno.h>
#include <stdio.h>

#include "agent/install.h"
#include "agent/slot.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/process.h"

/* The manifest of what the side holds: kept at install, and still the one with the release's
 * digest. That it is not there or not right is nobody's fault but this disk's. */
static int
manifest_load(const struct conf *c, const struct pending *p, struct manifest *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(MANIFEST_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};
	char path[PATH_MAX];

	if (install_manifest_path(c, p->tree_only, p->target, path, e) < 0 ||
		file_read(path, &text, e) < 0 ||
		verified_by_digest(buf_span(&text), path, text.len, &p->release.manifest, &v, e) <
			0 ||
		manifest_parse(&v, out, e) < 0)
		return err_own(e);
	return 0;
}

static int
payload_check(const struct slot_class *class, enum side side, const struct payload *p,
	const struct keep_going *keep_going, struct err *e)
{
	AUTO_SLOT struct slot slot = SLOT_INIT;
	struct digest now;

	if (slot_open(class, side, false, &slot, e) < 0 ||
		slot_digest(&slot, p->size, keep_going, &now, e) < 0)
		return -1;
	if (!digest_equal(&now, &p->digest))
		return err_set(e, ERR_UNTRUSTED,
			"slot %s: what runs is not what was signed and installed", slot.name);
	return 0;
}

int
confirm_digests(const struct conf *c, const struct state *s, const struct keep_going *keep_going,
	struct err *e)
{
	AUTO_FREE struct manifest *m = calloc(1, sizeof(*m));
	const struct pending *p = &s->pending;

	if (!m)
		return err_sys(e, ENOMEM, "confirming");
	if (manifest_load(c, p, m, e) < 0)
		return -1;
	for (size_t i = 0; i < m->payload_count; i++) {
		const struct slot_class *class = conf_class(c, m->payloads[i].slot_class);

		if (class && class->read_only &&
			payload_check(class, p->target, &m->payloads[i], keep_going, e) < 0)
			return -1;
	}
	return 0;
}

/* However a check fails, by its exit, by a signal or by not starting at all: it is the new system's
 * own programs that did. */
static int
health_check(const struct conf *c, const struct keep_going *keep_going, struct err *e)
{
	struct process_parts checks = {.dir = c->health_dir,
		.timeout_each_ms = (int64_t)c->health_timeout_s * 1000,
		.keep_going = keep_going};

	if (process_run_parts(&checks, e) == 0)
		return 0;
	if (e->class != ERR_STOPPED)
		e->class = ERR_REFUSED;
	return err_context(e, "unhealthy");
}

int
confirm_health(const struct conf *c, const struct boot_backend *boot, const struct state *s,
	const struct keep_going *keep_going, struct err *e)
{
	const struct pending *p = &s->pending;
	const struct boot_backend *own = boot_for(boot, p->tree_only);
	enum side current;

	if (p->phase != PHASE_ACTIVATED)
		return err_set(e, ERR_REFUSED, "no update waits to be confirmed");
	if (own->current(own, c, &current, e) < 0)
		return -1;
	if (current != p->target)
		return err_set(e, ERR_REFUSED,
			"the new system, on side %s, does not run yet: reboot first",
			side_name(p->target));
	return health_check(c, keep_going, e);
}

int
confirm_commit(
	const struct conf *c, const struct boot_backend *boot, struct state *s, struct err *e)
{
	const struct pending *p = &s->pending;
	const struct boot_backend *own = boot_for(boot, p->tree_only);
	struct release *there = p->tree_only ? s->linked : s->running;

	if (own->confirm(own, c, p->target, e) < 0)
		return -1;
	there[p->target] = p->release;
	s->rollback_floor = num_max(s->rollback_floor, p->release.rollback_index);
	(void)snprintf(s->last_result, sizeof(s->last_result), "%s %s: confirmed", p->release.name,
		p->release.version);
	state_end(s, &s->pending, OUTCOME_OK, ERR_NONE, "");
	return state_save(c->state_dir, s, e);
}

int64_t
confirm_deadline_ms(const struct conf *c, const struct state *s)
{
	uint64_t plan_s = s->pending.deadline_s;

	return (int64_t)num_min(plan_s ? plan_s : c->confirm_deadline_s, INT32_MAX) * 1000;
}

int64_t
confirm_left_ms(const struct conf *c, const struct state *s)
{
	const struct pending *p = &s->pending;
	int64_t gone_ms = clock_boot_ms() - p->first_seen_boot_ms, left_ms;

	if (p->tree_only && p->boots > c->boot_tries)
		return 0;
	if (p->first_seen_boot_ms == 0)
		gone_ms = 0;
	left_ms = confirm_deadline_ms(c, s) - gone_ms;
	return left_ms > 0 ? left_ms : 0;
}

bool
confirm_is_overdue(const struct conf *c, const struct state *s)
{
	return confirm_left_ms(c, s) == 0;
}
