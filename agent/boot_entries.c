/* The boot backend over systemd-boot's entries (UAPI "Boot Loader Specification" with boot
 * counting), [boot] file being the folder they stand in, loader/entries on the ESP.
 *
 *     sluice-a.conf          side A, confirmed
 *     sluice-a+3.conf        on trial, three tries left; systemd-boot makes it +2-1 as it boots it
 *     sluice-a+0.conf        off: it sorts behind whatever may still boot
 *
 * Of those that may boot, the one with the higher `version` line comes first, given that both have
 * the same `sort-key`; a side that becomes the next to boot gets one above the other's. FAT has no
 * journal, so a change writes the new entry beside the old one and leaves the other side's alone;
 * where a cut leaves two of a side, both are its trial. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot_vars.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"

enum { ENTRY_NAME_SIZE = 64 };
static const char SUFFIX[] = ".conf";
static const char *const PREFIXES[SIDES] = {"sluice-a", "sluice-b"};
static const char VERSION_WORD[] = "version";

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

/* Where the version line's value starts, and how long it is. */
static bool
version_find(const char *text, size_t *at, size_t *len)
{
	size_t word_len = sizeof(VERSION_WORD) - 1;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (strncmp(line, VERSION_WORD, word_len) != 0 || !strchr(" \t", line[word_len]))
			continue;
		*at = (size_t)(line - text) + word_len + strspn(line + word_len, " \t");
		*len = strcspn(text + *at, " \t\r\n");
		return *len > 0;
	}
	return false;
}

/* Of an entry that is blank there is none: on FAT, a cut while it gets its name leaves it so, and
 * systemd-boot passes it over. */
static int
version_read(const char *folder, const char *name, bool *blank, uint64_t *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(ENTRY_BYTES_MAX);
	char number[32];
	size_t at, len;

	if (entry_read(folder, name, &text, e) < 0)
		return err_own(e);
	*blank = text.len == 0;
	if (*blank)
		return 0;
	if (!version_find(buf_str(&text), &at, &len) || len >= sizeof(number))
		return err_set(e, ERR_SYSTEM, "%s/%s has no line `version NUMBER`", folder, name);
	memcpy(number, text.data + at, len);
	number[len] = 0;
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
	uint64_t version;
	enum side side;
	bool blank;

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
	size_t at, len;

	if (!version_find(buf_str(text), &at, &len))
		return err_set(e, ERR_SYSTEM, "the version line is gone");
	if (buf_append(out, text->data, at, e) < 0 ||
		buf_printf(out, e, "%llu", (unsigned long long)version) < 0)
		return -1;
	return buf_append(out, text->data + at + len, text->len - at - len, e);
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

const struct boot_backend boot_entries = {
	BOOT_BY_VARS,
	.name = "systemd-boot",
	.tries_max = ENTRY_TRIES_MAX,
	.current = boot_kernel_current,
	.boot_id = boot_kernel_boot_id,
	.load = entries_load,
	.save = entries_save,
};
