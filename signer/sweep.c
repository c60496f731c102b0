#include "signer/sweep.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/num.h"
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

/* All that waits to be signed or published, to be searched for digests. */
struct waiting {
	const struct workspace *w;
	const char *folder;
	struct buf text;
	bool read, whole;
};

static int
waiting_add(void *arg, const char *name, struct err *e)
{
	struct waiting *x = arg;
	char relative[PATH_MAX], path[PATH_MAX];

	if (!text_ends_with(name, ".json"))
		return 0;
	if ((size_t)snprintf(relative, sizeof(relative), "%s/%s", x->folder, name) >=
			sizeof(relative) ||
		workspace_path(x->w, relative, path, e) < 0)
		return -1;
	/* Published, and cleared away at this moment. */
	return file_exists(path) ? file_read_regular(path, &x->text, e) : 0;
}

/* Where anything cannot be read, whatever lies there may be listed in it. */
static void
waiting_read(struct waiting *x)
{
	static const char *const folders[] = {"incoming", "drafts"};

	x->read = x->whole = true;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		char path[PATH_MAX];

		x->folder = folders[i];
		if (workspace_path(x->w, x->folder, path, NULL) < 0 ||
			(file_exists(path) &&
				dir_each(path, INCOMING_ENTRIES_MAX, waiting_add, x, NULL) < 0))
			x->whole = false;
	}
}

/* "DIGEST.stable.json", which a command staged that did not get as far as its signature, or was
 * overtaken: nothing that waits lists it. */
static bool
is_orphan(struct waiting *x, const char *name)
{
	if (strspn(name, hexadecimal) != DIGEST_LETTERS || name[DIGEST_LETTERS] != '.' || !x)
		return false;
	if (!x->read)
		waiting_read(x);
	return x->whole && !memmem(x->text.data, x->text.len, name, DIGEST_LETTERS);
}

struct broom {
	const char *dir;
	int64_t before_s;
	int depth;
	struct waiting *waiting; /* of incoming/ alone */
};

static int sweep_one(void *arg, const char *name, struct err *e);

static void
sweep_folder(const char *dir, int64_t before_s, int depth, struct waiting *waiting)
{
	struct broom b = {dir, before_s, depth, waiting};

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
		sweep_folder(path, b->before_s, b->depth + 1, b->waiting);
	else if (S_ISREG(st.st_mode) && st.st_mtime < b->before_s &&
		 (is_replacement(name) || is_part(name) || is_orphan(b->waiting, name)))
		(void)unlink(path);
	return 0;
}

void
sweep(const struct workspace *w, int64_t now_s)
{
	static const char *const folders[] = {"incoming", "site/metadata", "site/targets"};
	struct waiting waiting = {.w = w, .text = BUF_INIT(WAITING_BYTES_MAX)};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		if (workspace_path(w, folders[i], path, NULL) == 0)
			sweep_folder(path, now_s - OLD_S, 0, i == 0 ? &waiting : NULL);
	}
	buf_free(&waiting.text);
}
