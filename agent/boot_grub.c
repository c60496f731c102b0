/* The boot backend over grub_block.h, with GRUB's half in agent/boot/grub.cfg. Storage wears out: a
 * copy that cannot be read is a damaged one, and a change needs two of the three that can be
 * written and read back. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/boot_place.h"
#include "agent/boot_vars.h"
#include "agent/grub_block.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"

enum {
	GROUPS = GRUB_AREA_BYTES / GRUB_GROUP_BYTES,
	/* Where file systems have their first superblock, btrfs (at 64 KiB) included. */
	BLANK_BYTES = 128 * 1024,
	/* How far the next number is where a copy makes no sense: it may be read again some day,
	 * and be from after the copy that is in force now. */
	SEQ_LEAP = 1000,
};
static const char *const COPY_NAMES[GRUB_COPIES] = {"sluice/a", "sluice/b", "sluice/good"};

/* What was read of the area; zeros where it could not be. */
struct area {
	const char *path;
	int fd;
	uint8_t bytes[GRUB_AREA_BYTES];
	bool valid[GRUB_COPIES];
	struct grub_block copy[GRUB_COPIES];
	struct err why; /* of a copy that is not valid */
};
#define AREA_INIT ((struct area){.fd = -1})

static void
area_close(struct area *a)
{
	if (a->fd >= 0)
		(void)close(a->fd);
}
#define AUTO_AREA CLEANUP(area_close)

/* From the medium, not from what the kernel remembers of our last write. */
static int
group_read(struct area *a, uint64_t at, struct err *e)
{
	if (file_pread_full(a->fd, a->path, a->bytes + at, GRUB_GROUP_BYTES, at, e) == 0)
		return 0;
	memset(a->bytes + at, 0, GRUB_GROUP_BYTES);
	return -1;
}

static int
copy_read(struct area *a, enum grub_copy which, struct err *e)
{
	uint64_t at = grub_copy_offset(which);

	a->valid[which] = false;
	if (group_read(a, at, e) < 0 ||
		grub_block_parse(span_of(a->bytes + at, GRUB_GROUP_BYTES), &a->copy[which], e) < 0)
		return err_context(e, "%s", COPY_NAMES[which]);
	a->valid[which] = true;
	return 0;
}

static void
area_read(struct area *a)
{
	struct err damaged;

	for (size_t i = 0; i < GROUPS; i += 2)
		(void)group_read(a, i * GRUB_GROUP_BYTES, &damaged);
	(void)group_read(a, GRUB_TURN_OFFSET, &damaged);
	for (size_t i = 0; i < GRUB_COPIES; i++)
		(void)copy_read(a, (enum grub_copy)i, &a->why);
}

static int
area_open(const struct conf *c, int flags, struct area *a, struct err *e)
{
	uint64_t bytes;
	int rc;

	a->path = c->boot_file;
	a->fd = open(a->path, flags | O_CLOEXEC | O_NONBLOCK);
	if (a->fd < 0)
		return err_sys(e, errno, "opening %s", a->path);
	if (file_size(a->fd, a->path, &bytes, e) < 0)
		return err_own(e);
	if (bytes < GRUB_AREA_BYTES)
		return err_set(e, ERR_SYSTEM, "%s has %llu bytes, and %d are needed", a->path,
			(unsigned long long)bytes, GRUB_AREA_BYTES);
	rc = posix_fadvise(a->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (rc != 0)
		return err_sys(e, rc, "dropping the cache of %s", a->path);
	area_read(a);
	return 0;
}

/* Which copy is in force, as grub.cfg decides it too: the newest. */
static int
in_force(const struct area *a, enum grub_copy *out, struct err *e)
{
	size_t newest = GRUB_COPIES;

	for (size_t i = 0; i < GRUB_COPIES; i++) {
		if (a->valid[i] && (newest == GRUB_COPIES || a->copy[i].seq > a->copy[newest].seq))
			newest = i;
	}
	if (newest == GRUB_COPIES)
		return err_set(e, ERR_SYSTEM,
			"no copy makes sense (%s): if the running system is the right one, "
			"`sluice-agent boot init` writes them anew",
			a->why.text);
	*out = (enum grub_copy)newest;
	return 0;
}

static int
grub_load(const struct conf *c, struct boot_vars *out, struct err *e)
{
	AUTO_AREA struct area a = AREA_INIT;
	enum grub_copy which;

	if (area_open(c, O_RDONLY, &a, e) < 0 || in_force(&a, &which, e) < 0)
		return err_context(e, "the boot environment %s", c->boot_file);
	*out = a.copy[which].vars;
	return 0;
}

/* Written, on the medium, and read back from there. */
static int
group_put(struct area *a, uint64_t at, const uint8_t group[GRUB_GROUP_BYTES], struct err *e)
{
	if (file_pwrite_full(a->fd, a->path, group, GRUB_GROUP_BYTES, at, e) < 0)
		return -1;
	if (fsync(a->fd) < 0)
		return err_sys(e, errno, "syncing %s", a->path);
	(void)posix_fadvise(a->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (group_read(a, at, e) < 0)
		return err_own(e);
	if (memcmp(a->bytes + at, group, GRUB_GROUP_BYTES) != 0)
		return err_set(e, ERR_SYSTEM, "%s reads back other than it was written", a->path);
	return 0;
}

/* The tar around the copies is what GRUB finds them by: one behind a header that cannot be mended
 * is out of its reach. */
static int
frame_mend(struct area *a, enum grub_copy last, struct err *e)
{
	uint8_t frame[GRUB_AREA_BYTES];

	grub_area_format(frame);
	for (uint64_t at = 0; at < GRUB_AREA_BYTES; at += 2 * GRUB_GROUP_BYTES) {
		if (memcmp(frame + at, a->bytes + at, GRUB_GROUP_BYTES) != 0 &&
			group_put(a, at, frame + at, e) < 0 && at < grub_copy_offset(last))
			return -1;
	}
	return 0;
}

static int
copy_put(struct area *a, enum grub_copy which, const struct grub_block *block, struct err *e)
{
	uint8_t group[GRUB_GROUP_BYTES];

	grub_block_format(block, group);
	if (frame_mend(a, which, e) < 0 || group_put(a, grub_copy_offset(which), group, e) < 0)
		return err_context(e, "%s", COPY_NAMES[which]);
	return copy_read(a, which, e);
}

static enum grub_copy
copy_other(enum grub_copy which)
{
	return which == GRUB_COPY_A ? GRUB_COPY_B : GRUB_COPY_A;
}

/* Not over the copy in force, as long as the other can be written. Where it cannot, `good` has to
 * be there, for a torn write would leave nothing else. */
static int
news_put(struct area *a, enum grub_copy now, const struct grub_block *block, enum grub_copy *at,
	struct err *e)
{
	struct err bad;

	*at = copy_other(now);
	if (copy_put(a, *at, block, &bad) == 0)
		return 0;
	log_warning("the boot environment: %s", bad.text);
	*at = copy_other(*at);
	if (!a->valid[GRUB_COPY_GOOD] || frame_mend(a, GRUB_COPY_GOOD, e) < 0) {
		*e = bad;
		return err_context(e, "no second copy can be relied on");
	}
	return copy_put(a, *at, block, e);
}

/* GRUB's own count begins anew. No start depends on it while one copy is there. */
static void
turn_put(struct area *a)
{
	uint8_t group[GRUB_GROUP_BYTES];
	struct err bad;

	grub_turn_format(group);
	if (memcmp(a->bytes + GRUB_TURN_OFFSET, group, sizeof(group)) != 0 &&
		group_put(a, GRUB_TURN_OFFSET, group, &bad) < 0)
		log_warning("the boot environment: sluice/turn: %s", bad.text);
}

/* In the end all copies say it, so that none that is left when others are lost leads back to a
 * trial that is over. It has to stand in two. The side that works is told after the copy in force,
 * which says the same by then. */
static int
settled_put(struct area *a, enum grub_copy at, const struct grub_block *block, struct err *e)
{
	const enum grub_copy rest[] = {GRUB_COPY_GOOD, copy_other(at)};
	bool stands_twice = false;
	struct err bad;

	for (size_t i = 0; i < ARRAY_LEN(rest); i++) {
		if (copy_put(a, rest[i], block, &bad) == 0) {
			stands_twice = true;
			continue;
		}
		log_warning("the boot environment: %s", bad.text);
		*e = bad;
	}
	if (!stands_twice)
		return -1;
	turn_put(a);
	return 0;
}

static bool
copies_are_whole(const struct area *a)
{
	return a->valid[GRUB_COPY_A] && a->valid[GRUB_COPY_B] && a->valid[GRUB_COPY_GOOD];
}

static int
grub_write(struct area *a, enum grub_copy now, const struct boot_vars *vars, struct err *e)
{
	struct grub_block block = {
		.seq = a->copy[now].seq + (copies_are_whole(a) ? 1 : SEQ_LEAP), .vars = *vars};
	enum grub_copy at;

	if (block.seq > GRUB_SEQ_MAX)
		return err_set(e, ERR_SYSTEM,
			"it has no numbers left: make it blank and write it anew: dd "
			"if=/dev/zero of=%s bs=4096 count=%d conv=notrunc && sluice-agent boot "
			"init",
			a->path, GROUPS);
	if (news_put(a, now, &block, &at, e) < 0)
		return -1;
	return boot_vars_settled(vars) ? settled_put(a, at, &block, e) : 0;
}

static int
grub_save(const struct conf *c, const struct boot_vars *vars, struct err *e)
{
	AUTO_AREA struct area a = AREA_INIT;
	enum grub_copy which;

	if (area_open(c, O_RDWR, &a, e) < 0 || in_force(&a, &which, e) < 0 ||
		grub_write(&a, which, vars, e) < 0)
		return err_context(e, "the boot environment %s", c->boot_file);
	return 0;
}

/* All zeros, or all ones as in flash that was erased; -1 for an error. */
static int
is_blank(const struct area *a, uint64_t bytes, struct err *e)
{
	uint8_t first[GRUB_GROUP_BYTES], data[GRUB_GROUP_BYTES];

	for (uint64_t at = 0; at + sizeof(data) <= bytes; at += sizeof(data)) {
		if (file_pread_full(a->fd, a->path, data, sizeof(data), at, e) < 0)
			return err_own(e);
		if (at == 0)
			memset(first, data[0] == 0xff ? 0xff : 0, sizeof(first));
		if (memcmp(first, data, sizeof(data)) != 0)
			return 0;
	}
	return 1;
}

static bool
is_ours(const struct area *a)
{
	uint8_t frame[GRUB_AREA_BYTES];

	grub_area_format(frame);
	for (size_t at = 0; at < grub_copy_offset(GRUB_COPY_GOOD); at += 2 * GRUB_GROUP_BYTES) {
		if (memcmp(frame + at, a->bytes + at, GRUB_GROUP_BYTES) == 0)
			return true;
	}
	return false;
}

/* What [boot] file names may be a whole disk, or somebody's file system: a slip of one character.
 */
static int
place_check(const struct area *a, struct err *e)
{
	uint64_t bytes;
	int blank;

	if (is_ours(a))
		return 0;
	if (file_size(a->fd, a->path, &bytes, e) < 0)
		return -1;
	bytes = num_min(bytes, BLANK_BYTES);
	blank = is_blank(a, bytes, e);
	if (blank != 0)
		return blank < 0 ? -1 : 0;
	return err_set(e, ERR_REFUSED,
		"%s is neither blank nor a boot environment of ours, and nothing is written over "
		"it; if it is the right place, make it blank: dd if=/dev/zero of=%s bs=4096 "
		"count=%llu conv=notrunc",
		a->path, a->path, (unsigned long long)bytes / GRUB_GROUP_BYTES);
}

static int
grub_make(const struct conf *c, enum side s, struct err *e)
{
	struct grub_block block = {.seq = GRUB_SEQ_MIN, .vars = {.primary = s}};
	AUTO_AREA struct area a = AREA_INIT;
	enum grub_copy which;
	struct err none;

	block.vars.side[s] = (struct boot_side){.bootable = true, .confirmed = true};
	if (area_open(c, O_RDWR, &a, e) < 0)
		return err_context(e, "the boot environment %s", c->boot_file);
	if (in_force(&a, &which, &none) == 0)
		return err_set(e, ERR_REFUSED,
			"%s holds a boot environment already: see "
			"`sluice-agent boot show`",
			c->boot_file);
	if (place_check(&a, e) < 0)
		return -1;
	if (copy_put(&a, GRUB_COPY_A, &block, e) < 0 || settled_put(&a, GRUB_COPY_A, &block, e) < 0)
		return err_context(e, "the boot environment %s", c->boot_file);
	return 0;
}

static bool
frame_is_whole(const struct area *a)
{
	uint8_t frame[GRUB_AREA_BYTES];

	grub_area_format(frame);
	for (uint64_t at = 0; at < GRUB_AREA_BYTES; at += 2 * GRUB_GROUP_BYTES) {
		if (memcmp(frame + at, a->bytes + at, GRUB_GROUP_BYTES) != 0)
			return false;
	}
	return true;
}

/* GRUB finds nothing behind a header that is lost, and losses may come one by one. On trial the
 * copies stay as they are, for GRUB counts in one of them. */
static int
grub_mend(const struct conf *c, struct err *e)
{
	AUTO_AREA struct area a = AREA_INIT;
	enum grub_copy which;
	struct boot_vars now;
	int rc;

	if (area_open(c, O_RDWR, &a, e) < 0 || in_force(&a, &which, e) < 0)
		return err_context(e, "the boot environment %s", c->boot_file);
	if (frame_is_whole(&a) && copies_are_whole(&a))
		return 0;
	log_warning("the boot environment %s is damaged, and mended from what is left of it",
		c->boot_file);
	now = a.copy[which].vars;
	rc = boot_vars_settled(&now) ? grub_write(&a, which, &now, e)
				     : frame_mend(&a, GRUB_COPY_GOOD, e);
	return rc < 0 ? err_context(e, "the boot environment %s", c->boot_file) : 0;
}

static int
grub_check(const struct conf *c, struct err *e)
{
	return boot_place_check(c, c->boot_file, e);
}

const struct boot_backend boot_grub = {
	BOOT_BY_VARS,
	.name = "grub",
	.tries_max = GRUB_TRIES_MAX,
	.current = boot_kernel_current,
	.boot_id = boot_kernel_boot_id,
	.load = grub_load,
	.save = grub_save,
	.make = grub_make,
	.mend = grub_mend,
	.check = grub_check,
};
