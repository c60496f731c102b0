/* The boot backend over boot_env.h: for tests and for the demonstration. */
#include <string.h>

#include "agent/boot_env.h"

static int
simulated_current(const struct conf *c, enum side *out, struct err *e)
{
	struct boot_env env;

	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	*out = env.booted;
	return 0;
}

static int
simulated_primary(const struct conf *c, enum side *out, struct err *e)
{
	struct boot_env env;

	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	*out = env.primary;
	return 0;
}

static int
simulated_look(const struct conf *c, enum side s, struct boot_side *out, struct err *e)
{
	struct boot_env env;

	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	*out = env.side[s];
	return 0;
}

static int
simulated_disable(const struct conf *c, enum side s, struct err *e)
{
	struct boot_env env;
	enum side other = side_other(s);

	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	if (!env.side[other].bootable)
		return err_set(e, ERR_REFUSED,
			"side %s stays bootable: side %s is not, and the box would boot nothing",
			side_name(s), side_name(other));
	env.side[s] = (struct boot_side){0};
	env.primary = other;
	return boot_env_save(c->boot_file, &env, e);
}

static int
simulated_activate(const struct conf *c, enum side s, uint64_t tries, struct err *e)
{
	struct boot_env env;

	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	env.side[s] = (struct boot_side){.bootable = true, .tries_left = tries};
	env.primary = s;
	return boot_env_save(c->boot_file, &env, e);
}

static int
simulated_confirm(const struct conf *c, enum side s, struct err *e)
{
	struct boot_env env;

	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	if (!env.side[s].bootable)
		return err_set(e, ERR_REFUSED, "side %s is marked not bootable", side_name(s));
	env.side[s] = (struct boot_side){.bootable = true, .confirmed = true};
	env.primary = s;
	return boot_env_save(c->boot_file, &env, e);
}

static int
simulated_go_back(const struct conf *c, enum side s, struct err *e)
{
	struct boot_env env;

	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	if (!env.side[s].bootable || !env.side[s].confirmed)
		return err_set(e, ERR_REFUSED, "side %s is not confirmed: nothing to go back to",
			side_name(s));
	env.side[side_other(s)] = (struct boot_side){0};
	env.primary = s;
	return boot_env_save(c->boot_file, &env, e);
}

static int
simulated_boot_id(const struct conf *c, char out[BOOT_ID_MAX + 1], struct err *e)
{
	struct boot_env env;

	if (boot_env_load(c->boot_file, &env, e) < 0)
		return -1;
	memcpy(out, env.boot_id, sizeof(env.boot_id));
	return 0;
}

const struct boot_backend boot_simulated = {
	.name = "simulated",
	.tries_max = BOOT_TRIES_MAX,
	.current = simulated_current,
	.primary = simulated_primary,
	.look = simulated_look,
	.disable = simulated_disable,
	.activate = simulated_activate,
	.confirm = simulated_confirm,
	.go_back = simulated_go_back,
	.boot_id = simulated_boot_id,
};
