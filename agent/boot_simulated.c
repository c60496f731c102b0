/* The boot backend over boot_env.h: for tests and for the demonstration. */
#include <string.h>

#include "agent/boot_env.h"
#include "agent/boot_vars.h"

static int
simulated_current(const struct boot_backend *b, const struct conf *c, enum side *out, struct err *e)
{
	struct boot_env env;

	(void)b;
	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	*out = env.booted;
	return 0;
}

static int
simulated_boot_id(const struct boot_backend *b, const struct conf *c, char out[BOOT_ID_MAX + 1],
	struct err *e)
{
	struct boot_env env;

	(void)b;
	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	memcpy(out, env.boot_id, sizeof(env.boot_id));
	return 0;
}

static int
simulated_load(const struct conf *c, struct boot_vars *out, struct err *e)
{
	struct boot_env env;

	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	*out = env.vars;
	return 0;
}

static int
simulated_save(const struct conf *c, const struct boot_vars *vars, struct err *e)
{
	struct boot_env env;

	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	env.vars = *vars;
	return boot_env_save(c->boot_file, &env, e);
}

const struct boot_backend boot_simulated = {
	BOOT_BY_VARS,
	.name = "simulated",
	.tries_max = BOOT_TRIES_MAX,
	.current = simulated_current,
	.boot_id = simulated_boot_id,
	.load = simulated_load,
	.save = simulated_save,
};
