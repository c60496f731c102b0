#include "agent/hooks.h"

#include <stdio.h>

#include "common/base/file.h"
#include "common/base/process.h"

static const struct {
	const char *sub, *step;
} HOOK[HOOKS] = {{NULL, "install"}, {NULL, "reboot"}, {"pre.d", "pre"}, {"post.d", "post"}};

int
hooks_run(const struct conf *c, enum hook hook, const struct release *release, enum side target,
	const struct keep_going *keep_going, struct err *e)
{
	const char *base = HOOK[hook].sub ? c->hooks_dir : c->inhibit_dir;
	char bundle[NAME_BYTES_MAX + 32], version[VERSION_BYTES_MAX + 32], slot[16], step[32];
	const char *env[] = {bundle, version, slot, step, NULL};
	char dir[PATH_MAX];

	if (!base)
		return 0;
	(void)snprintf(bundle, sizeof(bundle), "SLUICE_BUNDLE=%s", release->name);
	(void)snprintf(version, sizeof(version), "SLUICE_VERSION=%s", release->version);
	(void)snprintf(slot, sizeof(slot), "SLUICE_SLOT=%s", side_name(target));
	(void)snprintf(step, sizeof(step), "SLUICE_STEP=%s", HOOK[hook].step);
	(void)snprintf(dir, sizeof(dir), "%s", base);
	if (HOOK[hook].sub && path_join(dir, sizeof(dir), base, HOOK[hook].sub, e) < 0)
		return -1;
	return process_run_parts(&(struct process_parts){.dir = dir,
					 .env = env,
					 .timeout_each_ms = HOOK_TIMEOUT_S * 1000LL,
					 .keep_going = keep_going},
		e);
}
