#include "agent/trial_note.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/boot_vars.h"
#include "agent/confirm.h"
#include "common/base/file.h"
#include "common/base/log.h"

static const char NOTE_PATH[] = "/run/sluice/trial", OVER[] = "over\n";

static const char *
path_of(const struct box *b)
{
	if (b->boot == &boot_links)
		return NULL;
	if (b->conf.boot_trial_note)
		return b->conf.boot_trial_note;
	return b->boot == &boot_simulated || !boot_kernel_is_here(&b->conf) ? NULL : NOTE_PATH;
}

/* Whether a box that is started anew only comes here again. */
static int
look_stays(const struct box *b, enum side current, bool *out, struct err *e)
{
	struct boot_side there;

	*out = false;
	if (b->state->pending.phase != PHASE_NONE)
		return 0;
	if (b->boot->look(b->boot, &b->conf, side_other(current), &there, e) < 0)
		return -1;
	*out = state_is_stranded(b->state, current) || !boot_side_may_boot(&there);
	return 0;
}

/* Empty where nothing is sure: a system that is confirmed by nobody, and that this state does not
 * know. */
static int
text_make(const struct box *b, char out[TRIAL_NOTE_SIZE], struct err *e)
{
	const struct pending *p = &b->state->pending;
	struct boot_side here;
	enum side current;
	bool stays;

	if (b->boot->current(b->boot, &b->conf, &current, e) < 0 ||
		b->boot->look(b->boot, &b->conf, current, &here, e) < 0 ||
		look_stays(b, current, &stays, e) < 0)
		return -1;
	out[0] = 0;
	if (here.confirmed || stays)
		memcpy(out, OVER, sizeof(OVER));
	else if (p->phase == PHASE_ACTIVATED && p->target == current && p->first_seen_boot_ms > 0)
		(void)snprintf(out, TRIAL_NOTE_SIZE, "until %lld\n",
			(long long)(p->first_seen_boot_ms +
				    confirm_deadline_ms(&b->conf, b->state)) /
				1000);
	return 0;
}

static int
note_put(const char *path, const char *text, struct err *e)
{
	char folder[PATH_MAX];

	if (path_parent(path, folder, sizeof(folder), e) < 0 || dir_make(folder, 0755, e) < 0)
		return -1;
	return file_replace(path, 0644, span_str(text), e);
}

void
trial_note_write(struct trial_note *n, const struct box *b)
{
	const char *path = path_of(b);
	char text[TRIAL_NOTE_SIZE];
	struct err e;

	/* Once confirmed, it is so until the next boot. */
	if (!path || strcmp(n->said, OVER) == 0)
		return;
	if (text_make(b, text, &e) < 0 ||
		(text[0] && strcmp(text, n->said) != 0 && note_put(path, text, &e) < 0)) {
		if (!n->failed)
			log_warning("sluice-trial is not told how this trial goes: %s", e.text);
		n->failed = true;
		return;
	}
	memcpy(n->said, text, sizeof(text));
}
