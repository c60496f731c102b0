/* The boot backend over grub_block.h, with GRUB's half in agent/boot/grub.cfg. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/boot_vars.h"
#include "agent/grub_block.h"
#include "common/base/file.h"

/* What was read of the area. */
struct area {
	uint8_t bytes[GRUB_AREA_BYTES];
	bool valid[GRUB_COPIES];
	struct grub_block copy[GRUB_COPIES];
	struct err why; /* of a copy that is not valid */
};

/* From the medium, not from what the kernel remembers of our last write. */
static int
area_read(int fd, const char *path, struct area *a, struct err *e)
{
	int rc = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);

	if (rc != 0)
		return err_sys(e, rc, "dropping the cache of %s", path);
	if (file_pread_full(fd, path, a->bytes, sizeof(a->bytes), 0, e) < 0)
		return err_own(e);
	for (size_t i = 0; i < GRUB_COPIES; i++) {
		struct span group =
			span_of(a->bytes + grub_copy_offset((enum grub_copy)i), GRUB_GROUP_BYTES);

		a->valid[i] = grub_block_parse(group, &a->copy[i], &a->why) == 0;
	}
	return 0;
}

static int
area_open(const struct conf *c, int flags, int *fd, struct area *a, struct err *e)
{
	AUTO_CLOSE int opened = open(c->boot_file, flags | O_CLOEXEC | O_NONBLOCK);

	if (opened < 0)
		return err_sys(e, errno, "opening %s", c->boot_file);
	if (area_read(opened, c->boot_file, a, e) < 0)
		return -1;
	*fd = opened;
	opened = -1;
	return 0;
}

/* Which copy is in force, as grub.cfg decides it too. */
static int
in_force(const struct area *a, enum grub_copy *out, struct err *e)
{
	const bool *ok = a->valid;

	if (ok[GRUB_COPY_A] && ok[GRUB_COPY_B])
		*out = a->copy[GRUB_COPY_B].seq > a->copy[GRUB_COPY_A].seq ? GRUB_COPY_B
									   : GRUB_COPY_A;
	else if (ok[GRUB_COPY_A] || ok[GRUB_COPY_B])
		*out = ok[GRUB_COPY_A] ? GRUB_COPY_A : GRUB_COPY_B;
	else if (ok[GRUB_COPY_GOOD])
		*out = GRUB_COPY_GOOD;
	else
		return err_set(e, ERR_SYSTEM,
			"no copy makes sense (%s): if the running system is the right one, "
			"`sluice-agent boot init` writes them anew",
			a->why.text);
	return 0;
}

static int
grub_load(const struct conf *c, struct boot_vars *out, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	enum grub_copy which;
	struct area a;

	if (area_open(c, O_RDONLY, &fd, &a, e) < 0 || in_force(&a, &which, e) < 0)
		return err_context(e, "the boot environment %s", c->boot_file);
	*out = a.copy[which].vars;
	return 0;
}

static int
group_write(int fd, const char *path, enum grub_copy which, const struct grub_block *block,
	struct err *e)
{
	uint8_t group[GRUB_GROUP_BYTES];

	grub_block_format(block, group);
	if (file_pwrite_full(fd, path, group, sizeof(group), grub_copy_offset(which), e) < 0)
		return -1;
	return fsync(fd) < 0 ? err_sys(e, errno, "syncing %s", path) : 0;
}

/* The tar around the copies is what GRUB finds them by. */
static int
frame_mend(int fd, const char *path, const struct area *a, struct err *e)
{
	uint8_t frame[GRUB_AREA_BYTES];

	grub_area_format(frame);
	for (size_t i = 0; i < GRUB_AREA_BYTES / GRUB_GROUP_BYTES; i += 2) {
		size_t at = i * GRUB_GROUP_BYTES;

		if (memcmp(frame + at, a->bytes + at, GRUB_GROUP_BYTES) != 0 &&
			file_pwrite_full(fd, path, frame + at, GRUB_GROUP_BYTES, at, e) < 0)
			return -1;
	}
	return fsync(fd) < 0 ? err_sys(e, errno, "syncing %s", path) : 0;
}

static bool
is_settled(const struct boot_vars *v)
{
	return v->side[v->primary].bootable && v->side[v->primary].confirmed;
}

/* The side that works is told last: by then the copy in force says the same. */
static int
grub_write(int fd, const char *path, const struct area *a, enum grub_copy now,
	const struct boot_vars *vars, struct err *e)
{
	struct grub_block block = {.seq = a->copy[now].seq + 1, .vars = *vars};
	enum grub_copy next = now == GRUB_COPY_A ? GRUB_COPY_B : GRUB_COPY_A;

	if (block.seq > GRUB_SEQ_MAX)
		return err_set(e, ERR_SYSTEM, "no sequence number is left: `boot init`");
	if (frame_mend(fd, path, a, e) < 0 || group_write(fd, path, next, &block, e) < 0)
		return -1;
	if (!is_settled(vars))
		return 0;
	return group_write(fd, path, GRUB_COPY_GOOD, &block, e);
}

static int
grub_save(const struct conf *c, const struct boot_vars *vars, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	enum grub_copy which;
	struct area a;

	if (area_open(c, O_RDWR, &fd, &a, e) < 0 || in_force(&a, &which, e) < 0 ||
		grub_write(fd, c->boot_file, &a, which, vars, e) < 0)
		return err_context(e, "the boot environment %s", c->boot_file);
	return 0;
}

static int
grub_make(const struct conf *c, enum side s, struct err *e)
{
	struct grub_block block = {.seq = GRUB_SEQ_MIN, .vars = {.primary = s}};
	AUTO_CLOSE int fd = -1;
	enum grub_copy which;
	struct err none;
	struct area a;

	block.vars.side[s] = (struct boot_side){.bootable = true, .confirmed = true};
	if (area_open(c, O_RDWR, &fd, &a, e) < 0)
		return err_context(e, "the boot environment %s", c->boot_file);
	if (in_force(&a, &which, &none) == 0)
		return err_set(e, ERR_REFUSED,
			"%s holds a boot environment already: see "
			"`sluice-agent boot show`",
			c->boot_file);
	if (frame_mend(fd, c->boot_file, &a, e) < 0 ||
		group_write(fd, c->boot_file, GRUB_COPY_GOOD, &block, e) < 0 ||
		group_write(fd, c->boot_file, GRUB_COPY_A, &block, e) < 0)
		return err_context(e, "the boot environment %s", c->boot_file);
	return 0;
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
};
