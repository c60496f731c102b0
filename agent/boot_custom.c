/* The boot backend for any other bootloader: a program of the box maker's, [boot] file.
 *
 *     PROGRAM get    prints the boot environment, in the words of boot_env.h; booted and boot_id
 *                    are of the boot that runs
 *     PROGRAM set    reads one from its standard input and stores it, durable when it exits 0;
 *                    booted and boot_id are there to be passed over */
#include "agent/boot_env.h"
#include "agent/boot_vars.h"
#include "agent/watchdog.h"
#include "common/base/process.h"

/* A change asks several times, and a watchdog may have less patience than that: it is petted
 * meanwhile, for what runs longer is killed. */
enum { PROGRAM_TIMEOUT_MS = 60 * 1000 };

static int
program_run(const struct conf *c, const char *word, struct span input, struct buf *output,
	struct err *e)
{
	const char *const argv[] = {c->boot_file, word, NULL};
	struct keep_going beside = watchdog_beside();
	struct process p = {.argv = argv,
		.input = input,
		.output = output,
		.timeout_ms = PROGRAM_TIMEOUT_MS,
		.keep_going = &beside};
	int status;

	if (process_run(&p, &status, e) < 0) {
		e->class = ERR_SYSTEM;
		return err_context(e, "%s %s", c->boot_file, word);
	}
	if (status != 0)
		return err_set(e, ERR_SYSTEM, "%s %s: exit status %d", c->boot_file, word, status);
	return 0;
}

static int
env_get(const struct conf *c, struct boot_env *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(BOOT_ENV_BYTES_MAX);

	if (program_run(c, "get", span_of(NULL, 0), &text, e) < 0)
		return -1;
	if (text.len == 0)
		return err_set(e, ERR_SYSTEM, "%s get: it printed nothing", c->boot_file);
	if (boot_env_parse((char *)text.data, text.len, out, e) < 0) {
		(void)err_own(e);
		return err_context(e, "%s get", c->boot_file);
	}
	return 0;
}

static int
custom_current(const struct boot_backend *b, const struct conf *c, enum side *out, struct err *e)
{
	struct boot_env env;

	(void)b;
	if (env_get(c, &env, e) < 0)
		return -1;
	*out = env.booted;
	return 0;
}

static int
custom_load(const struct conf *c, struct boot_vars *out, struct err *e)
{
	struct boot_env env;

	if (env_get(c, &env, e) < 0)
		return -1;
	*out = env.vars;
	return 0;
}

static int
custom_save(const struct conf *c, const struct boot_vars *vars, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(BOOT_ENV_BYTES_MAX);
	struct boot_env env;

	if (env_get(c, &env, e) < 0)
		return -1;
	env.vars = *vars;
	if (boot_env_format(&env, &text, e) < 0)
		return -1;
	return program_run(c, "set", buf_span(&text), NULL, e);
}

const struct boot_backend boot_custom = {
	BOOT_BY_VARS,
	.name = "custom",
	.tries_max = BOOT_TRIES_MAX,
	.current = custom_current,
	.boot_id = boot_kernel_boot_id,
	.load = custom_load,
	.save = custom_save,
};
