#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "signer/command.h"
#include "signer/copy.h"
#include "signer/fleet.h"
#include "signer/sql.h"
#include "signer/workspace.h"

static const char help[] =
	"usage: sluice backup DIR [-w DIR]\n"
	"\n"
	"Copies a workspace into the new folder DIR while everything goes on: fleet.db as\n"
	"it was at one moment, what is signed and published, what waits, manifests,\n"
	"certificates, the server's configuration, public keys. No secret key is copied:\n"
	"keys/*.key, tls/*.key and boxes/ have to be kept elsewhere, by those whose they\n"
	"are. Reports that wait in spool/ are not copied. To restore, copy it to where\n"
	"the workspace was, and the keys beside it; give spool/ and nginx/tmp/body to the\n"
	"web server's group; boxes refuse metadata older than what they have seen, so\n"
	"publish from there with the newest site/ there is.\n"
	"\n"
	"example: sluice backup /mnt/backup/fleet-2026-11-22\n";

/* What of a folder is copied: all, what ends so, or only the folder with its mode. The folders that
 * people keep on another disk may be links; what else is no file or folder is left out, and said.
 */
struct part {
	const char *path;
	int links_to_depth;
	const char *endings[3];
	bool empty;
};

static const struct part parts[] = {
	/* First: what it leads to is there already, and stays. */
	{.path = "site/metadata/timestamp.json"},
	{.path = "workspace.yaml"},
	{.path = "site", .links_to_depth = 1},
	{.path = "incoming"},
	{.path = "drafts"},
	{.path = "manifests"},
	{.path = "keys", .endings = {".pub"}},
	{.path = "tls", .endings = {".crt", "crl.pem"}},
	{.path = "nginx", .endings = {".conf"}},
	{.path = "spool", .empty = true},
};

struct amount {
	uint64_t files, bytes, left_out;
};

struct copying {
	const struct part *part;
	char from[PATH_MAX], to[PATH_MAX];
	int depth;
	struct amount *amount;
};

static bool
is_wanted(const struct part *p, const char *name)
{
	/* Whatever folder somebody put one into. */
	if (text_ends_with(name, ".key") || text_ends_with(name, ".part"))
		return false;
	if (!p->endings[0])
		return true;
	for (size_t i = 0; p->endings[i]; i++) {
		if (text_ends_with(name, p->endings[i]) || strcmp(name, p->endings[i]) == 0)
			return true;
	}
	return false;
}

static int copy_any(struct copying *c, struct err *e);

static int
copy_entry(void *arg, const char *name, struct err *e)
{
	const struct copying *above = arg;
	struct copying c = {
		.part = above->part, .depth = above->depth + 1, .amount = above->amount};

	if (path_join(c.from, sizeof(c.from), above->from, name, e) < 0 ||
		path_join(c.to, sizeof(c.to), above->to, name, e) < 0)
		return -1;
	return copy_any(&c, e);
}

/* What goes while it is looked at (a staged target that is published) is no loss. */
static int
copy_file(const struct copying *c, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct digest sha256;
	struct err why = ERR_INIT;
	uint64_t length;

	if (file_exists(c->to))
		return 0;
	if (file_open_regular(c->from, &fd, &why) < 0)
		return why.errnum == ENOENT ? 0 : err_set(e, why.class, "%s", why.text);
	if (copy_hashed(fd, c->from, c->to, &length, &sha256, e) < 0)
		return -1;
	c->amount->files++;
	c->amount->bytes += length;
	return 0;
}

static int
leave_out(const struct copying *c, const char *what)
{
	c->amount->left_out++;
	(void)fprintf(stderr, "left out: %s is %s\n", c->from, what);
	return 0;
}

static int
copy_folder(struct copying *c, mode_t mode, struct err *e)
{
	if (c->depth == FOLDER_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "%s is nested too deep", c->from);
	if (dir_make(c->to, 0755, e) < 0)
		return -1;
	if (chmod(c->to, (mode & 07777) | S_IRWXU) < 0)
		return err_sys(e, errno, "%s", c->to);
	return c->part->empty ? 0 : dir_each(c->from, FOLDER_ENTRIES_MAX, copy_entry, c, e);
}

static int
copy_any(struct copying *c, struct err *e)
{
	bool wanted = is_wanted(c->part, strrchr(c->from, '/') + 1);
	struct stat st;

	if (lstat(c->from, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", c->from);
	if (S_ISLNK(st.st_mode)) {
		if (stat(c->from, &st) < 0)
			return wanted ? leave_out(c, "a link that leads nowhere") : 0;
		if (c->depth > c->part->links_to_depth && (wanted || S_ISDIR(st.st_mode)))
			return leave_out(c, "a link");
	}
	if (S_ISDIR(st.st_mode))
		return copy_folder(c, st.st_mode, e);
	if (!wanted)
		return 0;
	return S_ISREG(st.st_mode) ? copy_file(c, e) : leave_out(c, "neither a file nor a folder");
}

static int
parts_copy(const struct workspace *w, const char *dir, struct amount *amount, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct copying c = {.part = &parts[i], .amount = amount};
		char *slash;

		if (workspace_path(w, parts[i].path, c.from, e) < 0 ||
			path_join(c.to, sizeof(c.to), dir, parts[i].path, e) < 0)
			return -1;
		slash = strrchr(c.to, '/');
		*slash = '\0';
		if (dir_make(c.to, 0755, e) < 0)
			return -1;
		*slash = '/';
		if (copy_any(&c, e) < 0)
			return -1;
	}
	return 0;
}

static int
file_settle(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	if (file_open_read(path, &fd, e) < 0)
		return -1;
	if (fsync(fd) < 0)
		return err_sys(e, errno, "writing %s", path);
	return dir_sync_parent(path, e);
}

static int
fleet_copy(const struct workspace *w, const char *dir, bool *has, struct err *e)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct stat st;

	if (workspace_path(w, "fleet.db", from, e) < 0 ||
		path_join(to, sizeof(to), dir, "fleet.db", e) < 0)
		return -1;
	*has = lstat(from, &st) == 0;
	if (!*has)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", from);
	return sql_copy(from, to, e) < 0 ? -1 : file_settle(to, e);
}

static int
run(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	const char *workspace = NULL, *dir;
	char size[NUM_HUMAN_SIZE];
	struct amount amount = {0};
	bool has_fleet;
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt(argc, argv, "w:")) != -1) {
		if (option != 'w')
			return err_set(e, ERR_USAGE, "see `sluice backup --help`");
		workspace = optarg;
	}
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE, "one new folder expected; see `sluice backup --help`");
	dir = argv[optind];
	if (workspace_open(workspace, &w, e) < 0)
		return -1;
	if (mkdir(dir, 0700) < 0)
		return err_sys(e, errno, "making the new folder %s", dir);
	if (fleet_copy(&w, dir, &has_fleet, e) < 0 || parts_copy(&w, dir, &amount, e) < 0)
		return err_context(e, "the backup in %s is not whole", dir);
	(void)printf("%s: %s and %llu files, %s; no secret key among them\n", dir,
		has_fleet ? "fleet.db" : "no fleet.db (there is none)",
		(unsigned long long)amount.files, num_human_size(amount.bytes, size));
	if (amount.left_out > 0)
		return err_set(e, ERR_REFUSED,
			"the backup in %s is not whole: %llu left out, which are named above; "
			"put in their places what they lead to, or copy that, too",
			dir, (unsigned long long)amount.left_out);
	return 0;
}

const struct command cmd_backup = {
	.name = "backup",
	.summary = "fleet.db and what is signed",
	.help = help,
	.run = run,
};
