#include "signer/sweep.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/text.h"
#include "common/limits.h"

/* Longer than the longest copy of the largest bundle goes without a write. */
#define OLD_S ((int64_t)86400)

enum { TEMPORARY_LETTERS = 6, TAG_LETTERS = 16, DIGEST_LETTERS = 64 };

static const char hexadecimal[] = "0123456789abcdef";
static const char alphanumeric[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* "gates.json.x4Tq0Z": file_replace. Only what is replaced as a whole is JSON. */
static bool
is_replacement(const char *name)
{
	size_t len = strlen(name);
	const char *dot = strrchr(name, '.');

	return dot && len - (size_t)(dot - name) == TEMPORARY_LETTERS + 1 &&
	       strspn(dot + 1, alphanumeric) == TEMPORARY_LETTERS && dot - name > 5 &&
	       strncmp(dot - 5, ".json", 5) == 0;
}

/* "gateway-2.ota.0123456789abcdef.part" (metadata_stage_file), or "DIGEST.gateway-2.ota.part" on
 * its way into the site (place.c). */
static bool
is_part(const char *name)
{
	size_t tail = TAG_LETTERS + strlen(".part"), len = strlen(name);
	const char *tag;

	if (!text_ends_with(name, ".part"))
		return false;
	if (strspn(name, hexadecimal) == DIGEST_LETTERS && name[DIGEST_LETTERS] == '.')
		return true;
	if (len < tail + 2)
		return false;
	tag = name + len - tail;
	return tag[-1] == '.' && strspn(tag, hexadecimal) == TAG_LETTERS;
}

struct broom {
	const char *dir;
	int64_t before_s;
	int depth;
};

static int sweep_one(void *arg, const char *name, struct err *e);

static void
sweep_folder(const char *dir, int64_t before_s, int depth)
{
	struct broom b = {dir, before_s, depth};

	if (depth < FOLDER_DEPTH_MAX)
		(void)dir_each(dir, INCOMING_ENTRIES_MAX, sweep_one, &b, NULL);
}

static int
sweep_one(void *arg, const char *name, struct err *e)
{
	const struct broom *b = arg;
	char path[PATH_MAX];
	struct stat st;

	if (path_join(path, sizeof(path), b->dir, name, e) < 0 || lstat(path, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		sweep_folder(path, b->before_s, b->depth + 1);
	else if (S_ISREG(st.st_mode) && st.st_mtime < b->before_s &&
		 (is_replacement(name) || is_part(name)))
		(void)unlink(path);
	return 0;
}

void
sweep(const struct workspace *w, int64_t now_s)
{
	static const char *const folders[] = {"incoming", "site/metadata", "site/targets"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		if (workspace_path(w, folders[i], path, NULL) == 0)
			sweep_folder(path, now_s - OLD_S, 0);
	}
}
