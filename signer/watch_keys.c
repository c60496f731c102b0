/* The part of the watch that changes its online keys: root may give their roles to others at any
 * time, and whoever went on with the old ones would publish no stop any more. */
#include "signer/watching.h"

/* Nobody is asked for a passphrase: a watch waits for nobody. */
static int
rekey(struct watch *w, bool *changed, struct err *e)
{
	const char *file = w->settings.pass.file;
	struct passphrase_source pass = {.file = file ? file : "/dev/null", .fd = -1};
	AUTO_WORKSPACE struct workspace now = {0};

	if (workspace_open(w->workspace->dir, &now, e) < 0 ||
		publisher_rekey(w->publisher, &now, &pass, changed, e) < 0)
		return err_context(e,
			"root wants other online keys, and those that workspace.yaml names now "
			"cannot be taken%s",
			file ? "" : " (with a passphrase, by a watch that is begun anew)");
	return 0;
}

bool
watch_rekey(struct watch *w, const struct err *why)
{
	struct err e = ERR_INIT;
	bool changed = false;

	if (rekey(w, &changed, &e) < 0) {
		(void)watch_problem(w, JOB_KEYS, &e);
		return false;
	}
	if (!changed && why)
		(void)watch_problem(w, JOB_KEYS, why);
	if (!changed)
		return false;
	watch_well(w, JOB_KEYS);
	watch_tell(w, (struct watch_event){.what = "note"},
		"takes the online keys that workspace.yaml names now");
	return true;
}
