#include "agent/boot_place.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "agent/boot_vars.h"
#include "common/base/num.h"

/* XFS has none in the kernel's header. */
enum { XFS_MAGIC = 0x58465342 };

static const struct {
	uint32_t magic;
	const char *name;
} JOURNALED[] = {
	{EXT4_SUPER_MAGIC, "ext4"},
	{XFS_MAGIC, "XFS"},
	{BTRFS_SUPER_MAGIC, "Btrfs"},
	{F2FS_SUPER_MAGIC, "F2FS"},
};

int
boot_place_check(const struct conf *c, const char *path, struct err *e)
{
	struct statfs fs;
	struct stat st;

	if (!boot_kernel_is_here(c) || stat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
		statfs(path, &fs) < 0 || (fs.f_flags & ST_RDONLY))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(JOURNALED); i++) {
		if ((uint32_t)fs.f_type == JOURNALED[i].magic)
			return err_set(e, ERR_SYSTEM,
				"%s is a file on %s that is mounted read-write, whose journal no "
				"bootloader replays: after a power cut it would read something "
				"else; put the boot environment on a partition of its own, in "
				"flash, or on FAT",
				path, JOURNALED[i].name);
	}
	return 0;
}
