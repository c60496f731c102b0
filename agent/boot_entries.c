/* The boot backend over systemd-boot's entries (UAPI "Boot Loader Specification" with boot
 * counting), [boot] file being the folder they stand in, loader/entries on the ESP.
 *
 *     sluice-a.conf          side A, confirmed
 *     sluice-a+3.conf        on trial, three tries left; systemd-boot makes it +2-1 as it boots it
 *     sluice-a+0.conf        off: it sorts behind whatever may still boot
 *
 * Of those that may boot, the one with the higher `version` line comes first, given that both have
 * the same `sort-key` and `machine-id`, and that neither loader.conf beside the folder nor the
 * firmware's LoaderEntryDefault names one of them: check() sees to that. A side that becomes the
 * next to boot gets a version above the other's. FAT has no
 * journal, so a change writes the new entry beside the old one and leaves the other side's alone;
 * where a cut leaves two of a side, both are its trial. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot_efi.h"
#include "agent/boot_vars.h"
#include "agent/entry_text.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"

enum { ENTRY_NAME_SIZE = 64, ENTRY_VALUE_SIZE = 128 };
static const char SUFFIX[] = ".conf";
static const char *const PREFIXES[SIDES] = {"sluice-a", "sluice-b"};

/* The entries of one side. */
struct side_entries {
	size_t count;
	char name[ENTRY_SIDE_MAX][ENTRY_NAME_SIZE];
	uint64_t version;
	struct boot_side state;
};

struct entries {
	const char *folder;
	struct side_entries side[SIDES];
};

/* What stands between the prefix and the suffix: nothing, +LEFT or +LEFT-DONE. */
static bool
counter_parse(const char *text, size_t len, struct boot_side *out)
{
	struct boot_side s = {.bootable = true, .confirmed = len == 0};
	char number[ENTRY_NAME_SIZE];
	uint64_t done = 0;
	char *dash;

	if (len == 0) {
		*out = s;
		return true;
	}
	if (text[0] != '+' || len >= sizeof(number))
		return false;
	memcpy(number, text + 1, len - 1);
	number[len - 1] = 0;
	dash = strchr(number, '-');
	if (dash) {
		*dash = 0;
		if (num_parse(dash + 1, 0, ENTRY_TRIES_MAX, &done, NULL) < 0)
			return false;
	}
	if (num_parse(number, 0, ENTRY_TRIES_MAX, &s.tries_left, NULL) < 0)
		return false;
	/* Ours alone says 0 without a try having been made. */
	s.bootable = s.tries_left > 0 || done > 0;
	*out = s;
	return true;
}

static bool
name_parse(const char *name, enum side *side, struct boot_side *state)
{
	size_t len = strlen(name), prefix_len = strlen(PREFIXES[SIDE_A]);

	if (len >= ENTRY_NAME_SIZE || len < prefix_len + sizeof(SUFFIX) - 1 ||
		!text_ends_with(name, SUFFIX))
		return false;
	*side = strncmp(name, PREFIXES[SIDE_A], prefix_len) == 0 ? SIDE_A : SIDE_B;
	return strncmp(name, PREFIXES[*side], prefix_len) == 0 &&
	       counter_parse(name + prefix_len, len - prefix_len - (sizeof(SUFFIX) - 1), state);
}

static int
entry_read(const char *folder, const char *name, struct buf *out, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char path[PATH_MAX];

	if (path_join(path, sizeof(path), folder, name, e) < 0 ||
		file_open_regular(path, &fd, e) < 0)
		return -1;
	/* From the medium. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return file_read_fd(fd, path, out, e);
}

/* Of an entry that is blank there is none: on FAT, a cut while it gets its name leaves it so, and
 * systemd-boot passes it over. */
static int
version_read(const char *folder, const char *name, bool *blank, uint64_t *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(ENTRY_BYTES_MAX);
	char number[32];

	if (entry_read(folder, name, &text, e) < 0)
		return err_own(e);
	*blank = text.len == 0;
	if (*blank)
		return 0;
	if (entry_text_value(buf_str(&text), "version", number, sizeof(number), NULL) < 0 ||
		!number[0])
		return err_set(e, ERR_SYSTEM, "%s/%s has no line `version NUMBER`", folder, name);
	if (num_parse(number, 0, ENTRY_VERSION_MAX, out, e) < 0) {
		(void)err_own(e);
		e->class = ERR_SYSTEM;
		return err_context(e, "%s/%s: version", folder, name);
	}
	return 0;
}

/* Two entries of one side: not confirmed, and as many tries as the one with more. */
static void
state_join(struct side_entries *s, const struct boot_side *more)
{
	if (s->count == 0) {
		s->state = *more;
		return;
	}
	s->state.bootable = s->state.bootable || more->bootable;
	s->state.confirmed = false;
	s->state.tries_left = num_max(s->state.tries_left, more->tries_left);
}

static int
entry_take(void *arg, const char *name, struct err *e)
{
	struct entries *all = arg;
	struct boot_side state;
	struct side_entries *s;
	uint64_t version = 0;
	enum side side;
	bool blank = false;

	if (!name_parse(name, &side, &state))
		return 0;
	if (version_read(all->folder, name, &blank, &version, e) < 0)
		return -1;
	if (blank)
		return 0;
	s = &all->side[side];
	if (s->count == ENTRY_SIDE_MAX)
		return err_set(e, ERR_SYSTEM, "%s has more than %d entries for side %s",
			all->folder, ENTRY_SIDE_MAX, side_name(side));
	state_join(s, &state);
	s->version = s->count > 0 ? num_max(s->version, version) : version;
	(void)snprintf(s->name[s->count++], ENTRY_NAME_SIZE, "%s", name);
	return 0;
}

static int
entries_read(const char *folder, struct entries *out, struct err *e)
{
	struct entries all = {.folder = folder};

	if (dir_each(folder, ENTRY_FOLDER_MAX, entry_take, &all, e) != 0)
		return err_own(e);
	for (size_t i = 0; i < SIDES; i++) {
		if (all.side[i].count == 0)
			return err_set(e, ERR_SYSTEM,
				"%s has no entry for side %s: %s.conf is to be there from the "
				"start, or %s+0.conf where nothing is installed",
				folder, side_name((enum side)i), PREFIXES[i], PREFIXES[i]);
	}
	*out = all;
	return 0;
}

static int
entries_load(const struct conf *c, struct boot_vars *out, struct err *e)
{
	const struct side_entries *a, *b;
	struct entries all;

	if (entries_read(c->boot_file, &all, e) < 0)
		return err_context(e, "the boot entries");
	a = &all.side[SIDE_A];
	b = &all.side[SIDE_B];
	out->side[SIDE_A] = a->state;
	out->side[SIDE_B] = b->state;
	if (boot_side_may_boot(&a->state) != boot_side_may_boot(&b->state))
		out->primary = boot_side_may_boot(&a->state) ? SIDE_A : SIDE_B;
	else
		out->primary = b->version > a->version ? SIDE_B : SIDE_A;
	return 0;
}

static void
name_format(enum side side, const struct boot_side *s, char out[ENTRY_NAME_SIZE])
{
	if (boot_side_may_boot(s) && s->confirmed)
		(void)snprintf(out, ENTRY_NAME_SIZE, "%s%s", PREFIXES[side], SUFFIX);
	else
		(void)snprintf(out, ENTRY_NAME_SIZE, "%s+%llu%s", PREFIXES[side],
			(unsigned long long)(boot_side_may_boot(s) ? s->tries_left : 0), SUFFIX);
}

/* The text of an entry with another version. */
static int
text_change(const struct buf *text, uint64_t version, struct buf *out, struct err *e)
{
	struct entry_value old;
	size_t end;

	if (!entry_text_find(buf_str(text), "version", &old))
		return err_set(e, ERR_SYSTEM, "the version line is gone");
	end = old.at + old.len;
	if (buf_append(out, text->data, old.at, e) < 0 ||
		buf_printf(out, e, "%llu", (unsigned long long)version) < 0)
		return -1;
	return buf_append(out, text->data + end, text->len - end, e);
}

/* file_replace() sets a mode, which FAT has none of. */
static int
entry_put(const char *folder, const char *path, struct span text, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char temp[PATH_MAX];

	if (path_join(temp, sizeof(temp), folder, "sluice.new", e) < 0)
		return -1;
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_sys(e, errno, "making %s", temp);
	if (file_write_full(fd, temp, text.data, text.len, e) < 0)
		return -1;
	if (fsync(fd) < 0)
		return err_sys(e, errno, "syncing %s", temp);
	if (file_rename(temp, path, e) < 0)
		return -1;
	/* On FAT a name is made empty, and says where its bytes are once the file is synced. */
	return fsync(fd) < 0 ? err_sys(e, errno, "syncing %s", path) : 0;
}

/* First the new entry, whole and on disk; then the old ones go. */
static int
side_write(const struct entries *all, enum side side, const struct boot_side *state,
	uint64_t version, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(ENTRY_BYTES_MAX), changed = BUF_INIT(ENTRY_BYTES_MAX);
	const struct side_entries *s = &all->side[side];
	char name[ENTRY_NAME_SIZE], path[PATH_MAX];

	name_format(side, state, name);
	if (path_join(path, sizeof(path), all->folder, name, e) < 0 ||
		entry_read(all->folder, s->name[0], &text, e) < 0 ||
		text_change(&text, version, &changed, e) < 0 ||
		entry_put(all->folder, path, buf_span(&changed), e) < 0)
		return -1;
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->name[i], name) == 0)
			continue;
		if (path_join(path, sizeof(path), all->folder, s->name[i], e) < 0 ||
			file_remove(path, e) < 0)
			return -1;
	}
	return 0;
}

static bool
side_stands(const struct side_entries *s, enum side side, const struct boot_side *state)
{
	char name[ENTRY_NAME_SIZE];

	name_format(side, state, name);
	return s->count == 1 && strcmp(s->name[0], name) == 0;
}

/* A confirmed side comes before one that is off by its name alone: the entry of the side that works
 * is not touched for it. */
static bool
stands_first(const struct boot_vars *vars)
{
	return vars->side[vars->primary].confirmed &&
	       !boot_side_may_boot(&vars->side[side_other(vars->primary)]);
}

/* The side that is to boot goes first, so that there is one at any moment. */
static int
entries_save(const struct conf *c, const struct boot_vars *vars, struct err *e)
{
	const enum side turn[SIDES] = {vars->primary, side_other(vars->primary)};
	struct entries all;
	uint64_t above;

	if (entries_read(c->boot_file, &all, e) < 0)
		return err_context(e, "the boot entries");
	above = all.side[turn[1]].version;
	for (size_t i = 0; i < SIDES; i++) {
		const struct side_entries *s = &all.side[turn[i]];
		uint64_t version = s->version;

		if (i == 0 && !stands_first(vars) && version <= above)
			version = above + 1;
		if (side_stands(s, turn[i], &vars->side[turn[i]]) && version == s->version)
			continue;
		if (side_write(&all, turn[i], &vars->side[turn[i]], version, e) < 0)
			return err_context(e, "the boot entries");
	}
	return 0;
}

/* What systemd-boot compares before it comes to `version`. */
static const char *const KEYS[] = {"sort-key", "machine-id"};
typedef char entry_keys[ARRAY_LEN(KEYS)][ENTRY_VALUE_SIZE];

static int
keys_read(const char *folder, const char *name, entry_keys out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(ENTRY_BYTES_MAX);

	if (entry_read(folder, name, &text, e) < 0)
		return err_own(e);
	for (size_t k = 0; k < ARRAY_LEN(KEYS); k++) {
		if (entry_text_value(buf_str(&text), KEYS[k], out[k], ENTRY_VALUE_SIZE, e) < 0)
			return err_context(e, "%s/%s", folder, name);
	}
	if (!out[0][0])
		return err_set(e, ERR_SYSTEM,
			"%s/%s has no line `sort-key`, and systemd-boot would not go by "
			"`version`: write `sort-key sluice` into all entries of both sides",
			folder, name);
	return 0;
}

static int
keys_compare(const char *folder, const char *const names[2], entry_keys keys[2], struct err *e)
{
	for (size_t k = 0; k < ARRAY_LEN(KEYS); k++) {
		if (strcmp(keys[0][k], keys[1][k]) != 0)
			return err_set(e, ERR_SYSTEM,
				"%s: in %s stands %s \"%s\" and in %s \"%s\", and systemd-boot "
				"would not go by `version`: write the same into all entries of "
				"both sides",
				folder, names[0], KEYS[k], keys[0][k], names[1], keys[1][k]);
	}
	return 0;
}

static int
keys_check(const struct entries *all, struct err *e)
{
	const char *names[2] = {all->side[SIDE_A].name[0], NULL};
	entry_keys keys[2];

	if (keys_read(all->folder, names[0], keys[0], e) < 0)
		return -1;
	for (size_t i = 0; i < SIDES; i++) {
		for (size_t n = 0; n < all->side[i].count; n++) {
			names[1] = all->side[i].name[n];
			if (keys_read(all->folder, names[1], keys[1], e) < 0 ||
				keys_compare(all->folder, names, keys, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* What systemd-boot is told to prefer: a pattern for entries' names, their counters left out. */
struct preference {
	const char *pattern, *where; /* where it stands */
	const char *folder;
};

static int
other_check(void *arg, const char *name, struct err *e)
{
	const struct preference *p = arg;
	struct boot_side ignored;
	enum side side;

	if (name_parse(name, &side, &ignored) || !text_ends_with(name, SUFFIX) ||
		fnmatch(p->pattern, name, 0) != 0)
		return 0;
	return err_set(e, ERR_SYSTEM,
		"%s/%s may come before the entries of both sides: write `default sluice-*` into "
		"%s, and give no other entry such a name",
		p->folder, name, p->where);
}

/* It is to match both sides, for then the order of entries decides, and nothing else. */
static int
preference_check(const struct preference *p, struct err *e)
{
	for (size_t i = 0; i < SIDES; i++) {
		char name[ENTRY_NAME_SIZE];

		(void)snprintf(name, sizeof(name), "%s%s", PREFIXES[i], SUFFIX);
		if (fnmatch(p->pattern, name, 0) != 0)
			return err_set(e, ERR_SYSTEM,
				"%s has `default %s`, and side %s would not be booted when its "
				"turn comes: write `default sluice-*`",
				p->where, p->pattern, side_name((enum side)i));
	}
	return dir_each(p->folder, ENTRY_FOLDER_MAX, other_check, (void *)(uintptr_t)p, e) != 0
		       ? err_own(e)
		       : 0;
}

/* loader.conf is beside the folder of entries. None at all prefers nothing. */
static int
loader_conf_check(const char *folder, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(ENTRY_BYTES_MAX);
	struct preference p = {.where = "loader.conf", .folder = folder};
	char path[PATH_MAX], pattern[ENTRY_VALUE_SIZE];

	if (path_join(path, sizeof(path), folder, "../loader.conf", e) < 0)
		return err_own(e);
	if (file_exists(path) && file_read_regular(path, &text, e) < 0)
		return err_own(e);
	if (entry_text_value(
		    text.len ? buf_str(&text) : "", "default", pattern, sizeof(pattern), e) < 0)
		return err_context(e, "%s", path);
	p.pattern = pattern[0] ? pattern : "*";
	return preference_check(&p, e);
}

static int
firmware_check(const char *folder, struct err *e)
{
	struct preference p = {.where = "the EFI variable LoaderEntryDefault", .folder = folder};
	char pattern[ENTRY_VALUE_SIZE];

	if (boot_efi_loader_default(pattern, sizeof(pattern), e) < 0)
		return -1;
	if (!pattern[0])
		return 0;
	p.pattern = pattern;
	if (preference_check(&p, e) < 0)
		return err_context(e, "`bootctl set-default ''` removes it");
	return 0;
}

static int
entries_check(const struct conf *c, struct err *e)
{
	struct entries all;

	if (entries_read(c->boot_file, &all, e) < 0 || keys_check(&all, e) < 0 ||
		loader_conf_check(c->boot_file, e) < 0 || firmware_check(c->boot_file, e) < 0)
		return err_context(e, "the boot entries");
	return 0;
}

const struct boot_backend boot_entries = {
	BOOT_BY_VARS,
	.name = "systemd-boot",
	.tries_max = ENTRY_TRIES_MAX,
	.current = boot_kernel_current,
	.boot_id = boot_kernel_boot_id,
	.load = entries_load,
	.save = entries_save,
	.check = entries_check,
};
