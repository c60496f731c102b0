/* The TUF client of common/tuf under the command line that tuf-conformance drives
 * (theupdateframework/tuf-conformance, CLIENT-CLI.md):
 *
 *   client --metadata-dir D init ROOT
 *   client --metadata-dir D --metadata-url U refresh
 *   client --metadata-dir D --metadata-url U --target-name N... --target-base-url T
 *          --target-dir F download
 *
 * Exit status: 0 done, 1 failed, 2 a command line that is none of these. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/limits.h"
#include "common/tuf/document.h"
#include "common/tuf/path.h"
#include "common/tuf/tuf.h"
#include "tests/conformance/fetch.h"

enum { TARGET_NAMES_MAX = 256, TARGET_BYTES_MAX = 256 * 1024 * 1024 };

struct arguments {
	const char *metadata_dir, *metadata_url, *target_base_url, *target_dir;
	const char *target_names[TARGET_NAMES_MAX];
	size_t target_count;
	const char *command, *root;
};

static int
fetch_metadata(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	const struct arguments *a = arg;

	return fetch(a->metadata_url, path, max, out, e);
}

static int
fetch_target(void *arg, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	const struct arguments *a = arg;

	return fetch(a->target_base_url, path, max, out, e);
}

/* Keeps the root if a client can start from it. */
static int
do_init(struct arguments *a, struct err *e)
{
	struct tuf_store store = tuf_store_dir(a->metadata_dir);
	AUTO_BUF struct buf root = BUF_INIT(TUF_ROOT_BYTES_MAX);
	AUTO_DOCUMENT struct document *anchor = NULL;

	if (file_read(a->root, &root, e) < 0 ||
		document_read_anchor(buf_span(&root), &anchor, e) < 0)
		return err_context(e, "%s", a->root);
	return store.save(store.arg, "root", buf_span(&root), e);
}

static int
refreshed(struct arguments *a, const struct tuf_store *store, const struct tuf_fetcher *f,
	struct tuf_client **out, struct err *e)
{
	AUTO_TUF struct tuf_client *c = NULL;

	if (tuf_open(store, &c, e) < 0)
		return err_context(e, "%s", a->metadata_dir);
	if (tuf_refresh(c, f, clock_wall_s(), e) < 0)
		return err_context(e, "%s", a->metadata_url);
	*out = TAKE_PTR(c);
	return 0;
}

static int
do_refresh(struct arguments *a, struct err *e)
{
	struct tuf_store store = tuf_store_dir(a->metadata_dir);
	struct tuf_fetcher fetcher = {fetch_metadata, fetch_target, a};
	AUTO_TUF struct tuf_client *c = NULL;

	return refreshed(a, &store, &fetcher, &c, e);
}

/* Whether the file at path is the target already. */
static bool
is_there(const char *path, const struct tuf_target *t)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TARGET_BYTES_MAX);
	struct hashes listed = {
		.has_sha256 = t->has_sha256, .has_sha512 = t->has_sha512, .sha256 = t->sha256};
	struct hashes found;

	memcpy(listed.sha512, t->sha512, sizeof(listed.sha512));
	if (!file_exists(path) || file_read(path, &bytes, NULL) < 0 || bytes.len != t->length)
		return false;
	found = hashes_of(buf_span(&bytes));
	return hashes_agree(&listed, &found);
}

/* A target's path as the name of one file: quoted, so that none leaves the folder. */
static int
local_path(const struct arguments *a, const char *name, char out[PATH_MAX], struct err *e)
{
	AUTO_BUF struct buf quoted = BUF_INIT(4 * TUF_PATH_MAX);

	if (path_quote(name, false, &quoted, e) < 0)
		return -1;
	return path_join(out, PATH_MAX, a->target_dir, buf_str(&quoted), e);
}

static int
download(struct arguments *a, struct tuf_client *c, const struct tuf_fetcher *f, const char *name,
	struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(TARGET_BYTES_MAX);
	AUTO_TARGET struct tuf_target t = {0};
	char path[PATH_MAX];
	bool found = false;

	if (local_path(a, name, path, e) < 0 ||
		tuf_find(c, f, name, clock_wall_s(), &found, &t, e) < 0)
		return -1;
	if (!found)
		return err_set(e, ERR_UNTRUSTED, "no role that may speak for %s lists it", name);
	if (is_there(path, &t))
		return 0;
	if (tuf_fetch_bytes(c, f, &t, &bytes, e) < 0)
		return -1;
	return file_replace(path, 0644, buf_span(&bytes), e);
}

static int
do_download(struct arguments *a, struct err *e)
{
	struct tuf_store store = tuf_store_dir(a->metadata_dir);
	struct tuf_fetcher fetcher = {fetch_metadata, fetch_target, a};
	AUTO_TUF struct tuf_client *c = NULL;

	if (refreshed(a, &store, &fetcher, &c, e) < 0)
		return -1;
	for (size_t i = 0; i < a->target_count; i++) {
		if (download(a, c, &fetcher, a->target_names[i], e) < 0)
			return -1;
	}
	return 0;
}

static bool
read_options(int argc, char **argv, struct arguments *a)
{
	static const struct option known[] = {{"metadata-dir", required_argument, NULL, 'd'},
		{"metadata-url", required_argument, NULL, 'u'},
		{"target-name", required_argument, NULL, 'n'},
		{"target-base-url", required_argument, NULL, 'b'},
		{"target-dir", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'd')
			a->metadata_dir = optarg;
		else if (option == 'u')
			a->metadata_url = optarg;
		else if (option == 'b')
			a->target_base_url = optarg;
		else if (option == 't')
			a->target_dir = optarg;
		else if (option == 'n' && a->target_count < TARGET_NAMES_MAX)
			a->target_names[a->target_count++] = optarg;
		else
			return false;
	}
	a->command = argv[optind];
	a->root = a->command ? argv[optind + 1] : NULL;
	return a->command != NULL;
}

static int
run(struct arguments *a, struct err *e)
{
	bool refresh = strcmp(a->command, "refresh") == 0;
	bool targets = a->target_count > 0 && a->target_base_url && a->target_dir;

	if (a->metadata_dir && strcmp(a->command, "init") == 0 && a->root)
		return do_init(a, e);
	if (a->metadata_dir && a->metadata_url && refresh)
		return do_refresh(a, e);
	if (a->metadata_dir && a->metadata_url && targets && strcmp(a->command, "download") == 0)
		return do_download(a, e);
	return err_set(
		e, ERR_USAGE, "%s: not a command, or an option of it is missing", a->command);
}

int
main(int argc, char **argv)
{
	struct arguments a = {0};
	struct err e = ERR_INIT;

	if (!read_options(argc, argv, &a))
		return 2;
	if (run(&a, &e) < 0) {
		(void)fprintf(stderr, "client: %s\n", e.text);
		return e.class == ERR_USAGE ? 2 : 1;
	}
	return 0;
}
