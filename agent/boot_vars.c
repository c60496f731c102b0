#include "agent/boot_vars.h"

#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"

static const char *const BOOT_ID_PATH = "/proc/sys/kernel/random/boot_id";
static const char *const COMMAND_LINE_PATH = "/proc/cmdline";
static const char SLOT_WORD[] = "sluice.slot=";

int
boot_vars_primary(const struct boot_backend *b, const struct conf *c, enum side *out, struct err *e)
{
	struct boot_vars vars;

	if (b->load(c, &vars, e) < 0)
		return -1;
	*out = vars.primary;
	return 0;
}

int
boot_vars_look(const struct boot_backend *b, const struct conf *c, enum side s,
	struct boot_side *out, struct err *e)
{
	struct boot_vars vars;

	if (b->load(c, &vars, e) < 0)
		return -1;
	*out = vars.side[s];
	return 0;
}

/* Whether the bootloader will do the same with it. */
static bool
side_same(const struct boot_side *a, const struct boot_side *b)
{
	if (!boot_side_may_boot(a) || !boot_side_may_boot(b))
		return boot_side_may_boot(a) == boot_side_may_boot(b);
	return a->confirmed == b->confirmed && (a->confirmed || a->tries_left == b->tries_left);
}

bool
boot_vars_same(const struct boot_vars *a, const struct boot_vars *b)
{
	return a->primary == b->primary && side_same(&a->side[SIDE_A], &b->side[SIDE_A]) &&
	       side_same(&a->side[SIDE_B], &b->side[SIDE_B]);
}

static int
save(const struct boot_backend *b, const struct conf *c, const struct boot_vars *vars,
	struct err *e)
{
	struct boot_vars back;

	if (b->save(c, vars, e) < 0 || b->load(c, &back, e) < 0)
		return -1;
	if (!boot_vars_same(&back, vars))
		return err_set(e, ERR_SYSTEM,
			"the boot environment (%s) reads back other than it was written: see "
			"`sluice-agent boot show`",
			b->name);
	return 0;
}

int
boot_vars_disable(const struct boot_backend *b, const struct conf *c, enum side s, struct err *e)
{
	enum side other = side_other(s);
	struct boot_vars vars;

	if (b->load(c, &vars, e) < 0)
		return -1;
	if (!boot_side_may_boot(&vars.side[other]))
		return err_set(e, ERR_REFUSED,
			"side %s stays bootable: side %s is not, and the box would boot nothing",
			side_name(s), side_name(other));
	vars.side[s] = (struct boot_side){0};
	vars.primary = other;
	return save(b, c, &vars, e);
}

int
boot_vars_activate(const struct boot_backend *b, const struct conf *c, enum side s, uint64_t tries,
	struct err *e)
{
	struct boot_vars vars;

	if (b->load(c, &vars, e) < 0)
		return -1;
	vars.side[s] = (struct boot_side){.bootable = true, .tries_left = tries};
	vars.primary = s;
	return save(b, c, &vars, e);
}

int
boot_vars_confirm(const struct boot_backend *b, const struct conf *c, enum side s, struct err *e)
{
	struct boot_vars vars;

	if (b->load(c, &vars, e) < 0)
		return -1;
	if (!vars.side[s].bootable)
		return err_set(e, ERR_REFUSED, "side %s is marked not bootable", side_name(s));
	vars.side[s] = (struct boot_side){.bootable = true, .confirmed = true};
	vars.primary = s;
	return save(b, c, &vars, e);
}

int
boot_vars_go_back(const struct boot_backend *b, const struct conf *c, enum side s, struct err *e)
{
	struct boot_vars vars;

	if (b->load(c, &vars, e) < 0)
		return -1;
	if (!vars.side[s].bootable || !vars.side[s].confirmed)
		return err_set(e, ERR_REFUSED, "side %s is not confirmed: nothing to go back to",
			side_name(s));
	vars.side[side_other(s)] = (struct boot_side){0};
	vars.primary = s;
	return save(b, c, &vars, e);
}

int
boot_vars_adopt(const struct boot_backend *b, const struct conf *c, enum side s, struct err *e)
{
	struct boot_vars vars = {.primary = s};

	vars.side[s] = (struct boot_side){.bootable = true, .confirmed = true};
	return save(b, c, &vars, e);
}

int
boot_side_parse(const char *text, enum side *out, struct err *e)
{
	if (strcmp(text, "A") != 0 && strcmp(text, "B") != 0)
		return err_set(e, ERR_MALFORMED, "\"%.16s\" is neither A nor B", text);
	*out = text[0] == 'A' ? SIDE_A : SIDE_B;
	return 0;
}

const char *
boot_state_word(const struct boot_side *s)
{
	return !s->bootable ? "off" : s->confirmed ? "good" : "try";
}

int
boot_state_parse(const char *word, const char *tries, uint64_t tries_max, struct boot_side *out,
	struct err *e)
{
	struct boot_side s = {0};

	if (strcmp(word, "off") != 0 && strcmp(word, "try") != 0 && strcmp(word, "good") != 0)
		return err_set(e, ERR_MALFORMED, "\"%.16s\" is none of off, try and good", word);
	s.bootable = word[0] != 'o';
	s.confirmed = word[0] == 'g';
	if (num_parse(tries, 0, tries_max, &s.tries_left, e) < 0) {
		e->class = ERR_MALFORMED;
		return -1;
	}
	*out = s;
	return 0;
}

bool
boot_kernel_is_here(const struct conf *c)
{
	return !c->boot_cmdline || strcmp(c->boot_cmdline, COMMAND_LINE_PATH) == 0;
}

int
boot_kernel_current(
	const struct boot_backend *b, const struct conf *c, enum side *out, struct err *e)
{
	AUTO_BUF struct buf line = BUF_INIT(BOOT_COMMAND_LINE_MAX);
	const char *path = c->boot_cmdline ? c->boot_cmdline : COMMAND_LINE_PATH;
	unsigned found = 0;
	enum side side = SIDE_A;
	char *rest = NULL;

	(void)b;
	if (file_read(path, &line, e) < 0)
		return -1;
	if (line.len == 0)
		return err_set(e, ERR_SYSTEM, "the kernel command line, %s, is empty", path);
	for (char *word = strtok_r((char *)line.data, " \t\n", &rest); word;
		word = strtok_r(NULL, " \t\n", &rest)) {
		if (strncmp(word, SLOT_WORD, sizeof(SLOT_WORD) - 1) != 0)
			continue;
		found++;
		if (boot_side_parse(word + sizeof(SLOT_WORD) - 1, &side, e) < 0) {
			(void)err_own(e);
			return err_context(e, "the kernel command line, %s: %s", path, SLOT_WORD);
		}
	}
	if (found != 1)
		return err_set(e, ERR_SYSTEM,
			"the kernel command line, %s, has %s %sA or B: the boot script puts one "
			"there",
			path, found == 0 ? "no" : "more than one", SLOT_WORD);
	*out = side;
	return 0;
}

int
boot_kernel_boot_id(const struct boot_backend *b, const struct conf *c, char out[BOOT_ID_MAX + 1],
	struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(BOOT_ID_MAX);

	(void)b;
	(void)c;
	if (file_read(BOOT_ID_PATH, &text, e) < 0)
		return -1;
	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = 0;
	if (!name_is_plain(buf_str(&text)))
		return err_set(e, ERR_SYSTEM, "%s holds no boot id", BOOT_ID_PATH);
	memcpy(out, text.data, text.len + 1);
	return 0;
}
