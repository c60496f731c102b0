#include "agent/boot_env.h"

#include <stdio.h>
#include <string.h>

#include "agent/boot_vars.h"
#include "common/base/file.h"
#include "common/base/num.h"

enum env_key {
	ENV_PRIMARY,
	ENV_A_BOOTABLE,
	ENV_A_CONFIRMED,
	ENV_A_TRIES,
	ENV_B_BOOTABLE,
	ENV_B_CONFIRMED,
	ENV_B_TRIES,
	ENV_BOOTED,
	ENV_BOOT_ID,
	ENV_KEYS
};
static const char *const ENV_NAMES[ENV_KEYS] = {"primary", "a_bootable", "a_confirmed", "a_tries",
	"b_bootable", "b_confirmed", "b_tries", "booted", "boot_id"};

static int
flag_parse(const char *value, bool *out, struct err *e)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return err_set(e, ERR_MALFORMED, "neither yes nor no");
	*out = value[0] == 'y';
	return 0;
}

static int
boot_id_parse(const char *value, char out[BOOT_ID_MAX + 1], struct err *e)
{
	if (!name_is_plain(value) || strlen(value) > BOOT_ID_MAX)
		return err_set(e, ERR_MALFORMED, "not a boot id");
	memcpy(out, value, strlen(value) + 1);
	return 0;
}

static int
value_parse(struct boot_env *env, enum env_key key, const char *value, struct err *e)
{
	struct boot_side *side = &env->vars.side[key >= ENV_B_BOOTABLE ? SIDE_B : SIDE_A];

	switch (key) {
	case ENV_PRIMARY:
		return boot_side_parse(value, &env->vars.primary, e);
	case ENV_BOOTED:
		return boot_side_parse(value, &env->booted, e);
	case ENV_A_BOOTABLE:
	case ENV_B_BOOTABLE:
		return flag_parse(value, &side->bootable, e);
	case ENV_A_CONFIRMED:
	case ENV_B_CONFIRMED:
		return flag_parse(value, &side->confirmed, e);
	case ENV_A_TRIES:
	case ENV_B_TRIES:
		return num_parse(value, 0, BOOT_TRIES_MAX, &side->tries_left, e);
	default:
		return boot_id_parse(value, env->boot_id, e);
	}
}

static int
line_parse(struct boot_env *env, bool seen[ENV_KEYS], char *line, struct err *e)
{
	char *equals = strchr(line, '=');
	size_t key = 0;

	if (!equals)
		return err_set(e, ERR_MALFORMED, "not KEY=VALUE");
	*equals = 0;
	while (key < ENV_KEYS && strcmp(ENV_NAMES[key], line) != 0)
		key++;
	if (key == ENV_KEYS)
		return err_set(e, ERR_MALFORMED, "unknown key");
	if (seen[key])
		return err_set(e, ERR_MALFORMED, "%s given twice", ENV_NAMES[key]);
	seen[key] = true;
	if (value_parse(env, (enum env_key)key, equals + 1, e) < 0)
		return err_context(e, "%s", ENV_NAMES[key]);
	return 0;
}

int
boot_env_parse(char *text, size_t len, struct boot_env *out, struct err *e)
{
	bool seen[ENV_KEYS] = {false};
	struct boot_env env = {0};
	unsigned number = 0;

	if (len == 0 || text[len - 1] != '\n' || memchr(text, 0, len))
		return err_set(e, ERR_MALFORMED, "empty, cut off, or not a text");
	for (char *line = text, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		*end = 0;
		number++;
		if (line_parse(&env, seen, line, e) < 0)
			return err_context(e, "line %u", number);
	}
	for (size_t i = 0; i < ENV_KEYS; i++) {
		if (!seen[i])
			return err_set(e, ERR_MALFORMED, "%s is missing", ENV_NAMES[i]);
	}
	*out = env;
	return 0;
}

int
boot_env_load(const char *path, struct boot_env *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(BOOT_ENV_BYTES_MAX);

	if (file_read(path, &text, e) < 0) {
		(void)err_own(e);
		return err_context(e, "the boot environment");
	}
	if (boot_env_parse((char *)text.data, text.len, out, e) < 0) {
		e->class = ERR_SYSTEM;
		return err_context(e, "the boot environment %s", path);
	}
	return 0;
}

static const char *
yes_no(bool flag)
{
	return flag ? "yes" : "no";
}

int
boot_env_format(const struct boot_env *env, struct buf *out, struct err *e)
{
	if (buf_printf(out, e, "primary=%s\n", side_name(env->vars.primary)) < 0)
		return -1;
	for (size_t i = 0; i < SIDES; i++) {
		const struct boot_side *side = &env->vars.side[i];
		char letter = i == SIDE_A ? 'a' : 'b';

		if (buf_printf(out, e, "%c_bootable=%s\n%c_confirmed=%s\n%c_tries=%llu\n", letter,
			    yes_no(side->bootable), letter, yes_no(side->confirmed), letter,
			    (unsigned long long)side->tries_left) < 0)
			return -1;
	}
	return buf_printf(out, e, "booted=%s\nboot_id=%s\n", side_name(env->booted), env->boot_id);
}

int
boot_env_save(const char *path, const struct boot_env *env, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(BOOT_ENV_BYTES_MAX),
			    back = BUF_INIT(BOOT_ENV_BYTES_MAX);

	if (boot_env_format(env, &text, e) < 0 ||
		file_replace(path, 0644, buf_span(&text), e) < 0 || file_read(path, &back, e) < 0)
		return err_context(e, "the boot environment");
	if (!span_equal(buf_span(&text), buf_span(&back)))
		return err_set(e, ERR_SYSTEM,
			"the boot environment %s reads back other than it was written", path);
	return 0;
}

int
boot_env_power_on(struct boot_env *env, const char *boot_id, struct err *e)
{
	enum side pick = env->vars.primary;

	if (!boot_side_may_boot(&env->vars.side[pick]))
		pick = side_other(pick);
	if (!boot_side_may_boot(&env->vars.side[pick]))
		return err_set(e, ERR_REFUSED, "neither side can boot");
	if (boot_id_parse(boot_id, env->boot_id, e) < 0)
		return -1;
	if (!env->vars.side[pick].confirmed)
		env->vars.side[pick].tries_left--;
	env->booted = pick;
	return 0;
}
