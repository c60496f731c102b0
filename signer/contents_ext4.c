#include "signer/contents_ext4.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <et/com_err.h>
#include <ext2fs/ext2fs.h>

#include "common/base/num.h"
#include "common/base/text.h"
#include "common/limits.h"

/* An inode in use that has a name: owner OWNERS_FIXED + n of node n. In order of their numbers. */
struct node {
	ext2_ino_t ino;
	ext2_ino_t folder; /* where its name is; 0: nowhere */
	uint32_t name;	   /* in names */
	bool is_folder;
};

struct ext4 {
	ext2_filsys fs;
	struct contents *c;
	struct node *nodes;
	size_t node_count, node_room;
	struct buf names;
	uint64_t blocks_left, names_left; /* what may still be looked at */
	uint32_t owner;			  /* whose blocks are listed */
	struct err err;			  /* of a callback */
};

static void
ext4_free(struct ext4 *x)
{
	if (x->fs)
		(void)ext2fs_close_free(&x->fs);
	free(x->nodes);
	buf_free(&x->names);
}

static int
damaged(errcode_t code, const char *what, struct err *e)
{
	if (code == ENOMEM || code == EXT2_ET_NO_MEMORY)
		return err_sys(e, ENOMEM, "reading the file system");
	return err_set(e, ERR_MALFORMED, "%s: %s", what, error_message(code));
}

static int
image_open(const struct unpacked *u, struct ext4 *x, struct err *e)
{
	const int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP;
	const struct ext2_super_block *super;
	char path[64];
	errcode_t code;

	initialize_ext2_error_table();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", u->fd);
	code = ext2fs_open2(path, NULL, flags, 0, 0, unix_io_manager, &x->fs);
	if (code != 0) {
		x->fs = NULL;
		return damaged(code, "the file system cannot be opened", e);
	}
	super = x->fs->super;
	if (ext2fs_blocks_count(x->fs->super) > u->size / x->fs->blocksize)
		return err_set(
			e, ERR_MALFORMED, "the file system is larger than the image that it is in");
	if (super->s_inodes_count > EXT4_INODES_MAX)
		return err_set(e, ERR_LIMIT, "the file system has %u inodes; %d are the most",
			super->s_inodes_count, EXT4_INODES_MAX);
	x->blocks_left = 2 * ext2fs_blocks_count(x->fs->super);
	x->names_left = EXT4_NAMES_MAX;
	return 0;
}

static int
block_add(ext2_filsys fs, blk64_t *block, e2_blkcnt_t number, blk64_t ref, int offset, void *arg)
{
	struct ext4 *x = arg;
	uint64_t size = fs->blocksize;

	(void)ref;
	(void)offset;
	if (x->blocks_left-- == 0) {
		(void)err_set(&x->err, ERR_MALFORMED, "files have more blocks than there are");
		return BLOCK_ABORT;
	}
	if (number < 0)
		return 0;
	if (*block >= ext2fs_blocks_count(fs->super)) {
		(void)err_set(&x->err, ERR_MALFORMED, "a block is outside of the file system");
		return BLOCK_ABORT;
	}
	return contents_add(x->c,
		       &(struct extent){*block * size, size, (uint64_t)number * size, x->owner},
		       &x->err) < 0
		       ? BLOCK_ABORT
		       : 0;
}

/* What others than people own: the journal, quotas, attributes that are too long for an inode. */
static bool
is_hidden(const struct ext4 *x, ext2_ino_t ino, const struct ext2_inode *inode)
{
	if (ino == EXT2_ROOT_INO)
		return false;
	return ino < EXT2_FIRST_INODE(x->fs->super) || (inode->i_flags & EXT4_EA_INODE_FL) ||
	       ino == x->fs->super->s_orphan_file_inum;
}

static uint64_t
times_of(const struct ext2_inode *inode)
{
	const uint32_t times[] = {inode->i_atime, inode->i_ctime, inode->i_mtime};
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		sum = (sum ^ times[i]) * 0x9e3779b97f4a7c15ULL;
	return sum;
}

static int
node_add(struct ext4 *x, ext2_ino_t ino, const struct ext2_inode *inode, struct err *e)
{
	bool is_folder = S_ISDIR(inode->i_mode);

	if (contents_add_owner(x->c, is_folder ? OWNER_FOLDER : OWNER_FILE, &x->owner, e) < 0)
		return -1;
	if (x->node_count == x->node_room) {
		size_t room = x->node_room ? 2 * x->node_room : 1024;
		struct node *grown = reallocarray(x->nodes, room, sizeof(*grown));

		if (!grown)
			return err_sys(e, ENOMEM, "listing files");
		x->nodes = grown;
		x->node_room = room;
	}
	x->c->owners[x->owner].times = times_of(inode);
	x->c->owners[x->owner].length = EXT2_I_SIZE(inode);
	x->nodes[x->node_count++] = (struct node){.ino = ino, .is_folder = is_folder};
	return 0;
}

static int
inode_add(struct ext4 *x, ext2_ino_t ino, struct ext2_inode *inode, struct err *e)
{
	errcode_t code;

	if (inode->i_links_count == 0 || is_hidden(x, ino, inode))
		return 0;
	if (node_add(x, ino, inode, e) < 0)
		return -1;
	if (!ext2fs_inode_has_valid_blocks2(x->fs, inode) || inode->i_flags & EXT4_INLINE_DATA_FL)
		return 0;
	code = ext2fs_block_iterate3(x->fs, ino, BLOCK_FLAG_READ_ONLY, NULL, block_add, x);
	if (x->err.class != ERR_NONE) {
		*e = x->err;
		return -1;
	}
	return code == 0 ? 0 : damaged(code, "the blocks of a file", e);
}

static int
inodes_scan(struct ext4 *x, struct err *e)
{
	ext2_inode_scan scan;
	struct ext2_inode inode;
	ext2_ino_t ino = 1;
	errcode_t code = ext2fs_open_inode_scan(x->fs, 0, &scan);
	int rc = 0;

	if (code != 0)
		return damaged(code, "the inodes", e);
	while (rc == 0 && ino != 0) {
		code = ext2fs_get_next_inode(scan, &ino, &inode);
		if (code != 0)
			rc = damaged(code, "an inode", e);
		else if (ino != 0)
			rc = inode_add(x, ino, &inode, e);
	}
	ext2fs_close_inode_scan(scan);
	return rc;
}

static int
node_compare(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static struct node *
node_find(const struct ext4 *x, ext2_ino_t ino)
{
	struct node key = {.ino = ino};

	if (x->node_count == 0)
		return NULL;
	return bsearch(&key, x->nodes, x->node_count, sizeof(key), node_compare);
}

static bool
is_dots(const char *name, size_t len)
{
	return (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.');
}

/* A file with several names has the first. */
static int
name_note(struct ext4 *x, ext2_ino_t folder, ext2_ino_t ino, const char *name, size_t len)
{
	struct node *node = node_find(x, ino);
	size_t at = x->names.len;

	if (!node || node->folder != 0 || ino == EXT2_ROOT_INO || is_dots(name, len))
		return 0;
	if (buf_append(&x->names, name, len, &x->err) < 0 ||
		buf_append(&x->names, "", 1, &x->err) < 0)
		return -1;
	node->folder = folder;
	node->name = (uint32_t)at;
	return 0;
}

static int
name_add(ext2_ino_t folder, int entry, struct ext2_dir_entry *d, int offset, int blocksize,
	char *block, void *arg)
{
	struct ext4 *x = arg;

	(void)entry;
	(void)offset;
	(void)blocksize;
	(void)block;
	if (x->names_left-- == 0) {
		(void)err_set(&x->err, ERR_LIMIT, "the file system has more than %d names",
			EXT4_NAMES_MAX);
		return DIRENT_ABORT;
	}
	if (d->inode == 0)
		return 0;
	return name_note(x, folder, d->inode, d->name, (size_t)ext2fs_dirent_name_len(d)) < 0
		       ? DIRENT_ABORT
		       : 0;
}

static int
names_read(struct ext4 *x, struct err *e)
{
	for (size_t i = 0; i < x->node_count; i++) {
		errcode_t code;

		if (!x->nodes[i].is_folder)
			continue;
		code = ext2fs_dir_iterate2(
			x->fs, x->nodes[i].ino, DIRENT_FLAG_INCLUDE_EMPTY, NULL, name_add, x);
		if (x->err.class != ERR_NONE) {
			*e = x->err;
			return -1;
		}
		if (code != 0)
			return damaged(code, "a folder", e);
	}
	return 0;
}

/* Written from its end to its beginning. False for what the root does not lead to: folders that
 * lead to themselves come to the end of the room. */
static bool
path_make(const struct ext4 *x, const struct node *node, char out[PATH_MAX], char **path)
{
	size_t at = PATH_MAX - 1;

	out[at] = '\0';
	if (node->is_folder)
		out[--at] = '/';
	while (node->ino != EXT2_ROOT_INO) {
		const char *name = (const char *)x->names.data + node->name;
		size_t len;

		if (node->folder == 0)
			return false;
		len = strlen(name);
		if (len + 2 > at)
			return false;
		at -= len;
		memcpy(out + at, name, len);
		out[--at] = '/';
		node = node_find(x, node->folder);
		if (!node)
			return false;
	}
	*path = out + at;
	return true;
}

/* A name may hold any byte, and people read one a line. */
static void
line_clean(char *path)
{
	text_clean(path);
	for (; *path; path++) {
		if (*path == '\n' || *path == '\t')
			*path = '?';
	}
}

static int
paths_name(const struct ext4 *x, struct err *e)
{
	for (size_t i = 0; i < x->node_count; i++) {
		char path[PATH_MAX];
		char *begin;

		if (!path_make(x, &x->nodes[i], path, &begin))
			continue;
		line_clean(begin);
		if (contents_name(x->c, (uint32_t)(OWNERS_FIXED + i), begin, e) < 0)
			return -1;
	}
	return 0;
}

/* One stretch of blocks that are alike in the bitmap. */
static int
stretch_add(const struct ext4 *x, blk64_t from, blk64_t to, uint64_t at, uint64_t end, bool used,
	struct err *e)
{
	uint64_t size = x->fs->blocksize;
	uint64_t begin = num_max(from * size, at), stop = num_min(to * size, end);

	return contents_add(x->c,
		&(struct extent){begin, stop - begin, begin, used ? OWNER_METADATA : OWNER_FREE},
		e);
}

/* Whether a block is in use, and up to which one (before end) all are alike. */
static bool
stretch_find(const struct ext4 *x, blk64_t block, blk64_t end, blk64_t *next)
{
	ext2fs_block_bitmap map = x->fs->block_map;
	bool used = ext2fs_test_block_bitmap2(map, block) != 0;
	errcode_t code = used ? ext2fs_find_first_zero_block_bitmap2(map, block, end - 1, next)
			      : ext2fs_find_first_set_block_bitmap2(map, block, end - 1, next);

	if (code != 0)
		*next = end;
	return used;
}

/* What no file has is free or not, as the bitmap says; before its first block is the superblock of
 * a file system with small blocks, and behind its last nothing. */
static int
gap_fill(void *arg, struct contents *c, uint64_t at, uint64_t size, struct err *e)
{
	const struct ext4 *x = arg;
	uint64_t block_bytes = x->fs->blocksize, end = at + size;
	blk64_t first = x->fs->super->s_first_data_block;
	blk64_t block = at / block_bytes, stop = num_div_up(end, block_bytes);
	blk64_t known = num_min(ext2fs_blocks_count(x->fs->super), stop);

	(void)c;
	while (block < stop) {
		bool used = block < first;
		blk64_t next = used ? first : stop;

		if (!used && block < known)
			used = stretch_find(x, block, known, &next);
		next = num_min(next, stop);
		if (stretch_add(x, block, next, at, end, used, e) < 0)
			return -1;
		block = next;
	}
	return 0;
}

int
contents_ext4(const struct unpacked *u, struct contents *c, struct err *e)
{
	CLEANUP(ext4_free) struct ext4 x = {.c = c, .names = BUF_INIT(CONTENTS_PATHS_MAX)};
	errcode_t code;

	if (image_open(u, &x, e) < 0 || inodes_scan(&x, e) < 0 || names_read(&x, e) < 0 ||
		paths_name(&x, e) < 0)
		return -1;
	code = ext2fs_read_block_bitmap(x.fs);
	if (code != 0)
		return damaged(code, "the list of free blocks", e);
	return contents_settle(c, gap_fill, &x, e);
}
