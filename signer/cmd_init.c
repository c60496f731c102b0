#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/authority.h"
#include "signer/command.h"
#include "signer/fleet.h"
#include "signer/nginx.h"
#include "signer/samples.h"
#include "signer/workspace.h"

enum { TEXT_BYTES = 64 * 1024 };

static const char default_url[] = "https://localhost:8443/";

static const char help[] =
	"usage: sluice init DIR [--site-url URL] [--report-url URL]\n"
	"\n"
	"Makes a workspace: the folder that a fleet is run from.\n"
	"\n"
	"  --site-url URL     where boxes fetch updates (https, '/' at its end);\n"
	"                     https://localhost:8443/ when not said\n"
	"  --report-url URL   where boxes put reports; the site's URL when not said\n"
	"\n"
	"In it:\n"
	"  workspace.yaml     settings, each with a word about it\n"
	"  keys/              for your keys; only *.pub belong into a repository\n"
	"  manifests/         bundle recipes and rollout plans, with a sample of each\n"
	"  tls/               the fleet's certificate authority, the server's certificate\n"
	"  nginx/             a web server's configuration for this site\n"
	"  drafts/            next versions of metadata of our own making, to be signed\n"
	"  incoming/ site/    signed metadata that waits, and what is published\n"
	"  spool/ fleet.db    reports as they come in, and the boxes\n"
	"\n"
	"Example:\n"
	"  sluice init fleet --site-url https://updates.example.com/\n";

struct init_options {
	const char *dir, *site_url, *report_url;
};

static int
options_read(int argc, char **argv, struct init_options *o, struct err *e)
{
	enum { OPT_SITE = 1, OPT_REPORT };
	static const struct option known[] = {{"site-url", required_argument, NULL, OPT_SITE},
		{"report-url", required_argument, NULL, OPT_REPORT}, {NULL, 0, NULL, 0}};
	struct site_url url;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == OPT_SITE)
			o->site_url = optarg;
		else if (option == OPT_REPORT)
			o->report_url = optarg;
		else
			return err_set(e, ERR_USAGE, "see `sluice init --help`");
	}
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE, "one folder expected; see `sluice init --help`");
	o->dir = argv[optind];
	if (!o->site_url)
		o->site_url = default_url;
	if (!o->report_url)
		o->report_url = o->site_url;
	if (site_url_parse(o->site_url, &url, e) < 0)
		return -1;
	return site_url_parse(o->report_url, &url, e);
}

static int
folders_make(const char *dir, struct err *e)
{
	static const struct {
		const char *name;
		mode_t mode;
	} folders[] = {
		{"keys", 0700},
		{"manifests/bundles", 0755},
		{"manifests/rollouts", 0755},
		{"incoming", 0700},
		{"site/metadata", 0755},
		{"site/targets", 0755},
		{"tls", 0700},
		{"boxes", 0700},
		{"nginx/tmp", 0755},
		/* The web server writes these two; a report belongs to their group. */
		{"nginx/tmp/body", 02770},
		{"spool", 02770},
	};
	char path[PATH_MAX];

	if (dir_make(dir, 0755, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		if (path_join(path, sizeof(path), dir, folders[i].name, e) < 0 ||
			dir_make(path, folders[i].mode & 0777, e) < 0)
			return -1;
		if (chmod(path, folders[i].mode) < 0)
			return err_sys(e, errno, "%s", path);
	}
	return 0;
}

/* Writes a file unless it is there: a person may have changed it. */
static int
file_put(const char *dir, const char *name, struct span text, struct err *e)
{
	char path[PATH_MAX];

	if (path_join(path, sizeof(path), dir, name, e) < 0)
		return -1;
	return file_exists(path) ? 0 : file_create(path, 0644, text, e);
}

static int
samples_write(const char *dir, struct err *e)
{
	if (file_put(dir, ".gitignore", span_str(sample_gitignore), e) < 0 ||
		file_put(dir, "manifests/bundles/gateway.yaml", span_str(sample_recipe), e) < 0)
		return -1;
	return file_put(dir, "manifests/rollouts/stable.yaml", span_str(sample_plan), e);
}

static int
settings_write(const char *dir, const struct init_options *o, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(TEXT_BYTES);

	if (sample_workspace(o->site_url, o->report_url, &text, e) < 0)
		return -1;
	return file_put(dir, WORKSPACE_FILE, buf_span(&text), e);
}

static int
nginx_write(const struct workspace *w, struct err *e)
{
	AUTO_BUF struct buf sluice = BUF_INIT(TEXT_BYTES), whole = BUF_INIT(TEXT_BYTES);
	/* Started by root, the workers stay whom the workspace's files belong to. */
	const char *user = getuid() == 0 ? "root" : NULL;

	if (nginx_sluice_conf(w, &sluice, e) < 0 || nginx_main_conf(w, user, &whole, e) < 0 ||
		file_put(w->dir, "nginx/sluice.conf", buf_span(&sluice), e) < 0)
		return -1;
	return file_put(w->dir, "nginx/nginx.conf", buf_span(&whole), e);
}

static int
certificates_make(const struct workspace *w, struct err *e)
{
	AUTO_FLEET struct fleet *f = NULL;

	if (authority_make(w, clock_wall_s(), e) < 0 || fleet_open(w, &f, e) < 0)
		return -1;
	return authority_renew_crl(w, f, clock_wall_s(), e);
}

static void
next_steps_print(const struct workspace *w)
{
	bool ours = true;

	(void)printf(
		"%s is a workspace now. Next:\n"
		"  cd %s\n"
		"  sluice key new keys/root-1         # and targets, releases, rollouts, gates;\n"
		"  sluice key new keys/snapshot --no-passphrase     # these two stay online\n"
		"  sluice key new keys/timestamp --no-passphrase\n"
		"  sluice root init --help            # who holds which role\n"
		"  sluice tls --help                  # how boxes get their next certificates\n"
		"  nginx -p . -c nginx/nginx.conf     # serves %s\n",
		w->dir, w->dir, w->site_url);
	if (authority_made_server(w, &ours, NULL) == 0 && !ours)
		(void)printf(
			"tls/server.crt is of another CA: put that into `ca` of each box's "
			"agent.conf, and have\na role for authorities, or boxes refuse their next "
			"certificates (sluice tls --help).\n");
}

/* workspace.yaml is there only once the rest is: half a workspace can be made again. */
static int
workspace_make(const char *dir, const struct init_options *o, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	char file[PATH_MAX];

	if (path_join(file, sizeof(file), dir, WORKSPACE_FILE, e) < 0 ||
		settings_write(dir, o, e) < 0)
		return -1;
	if (workspace_open(dir, &w, e) < 0 || nginx_write(&w, e) < 0 ||
		certificates_make(&w, e) < 0) {
		(void)file_remove(file, NULL);
		return -1;
	}
	next_steps_print(&w);
	return 0;
}

static int
run(int argc, char **argv, struct err *e)
{
	struct init_options o = {0};
	char dir[PATH_MAX], file[PATH_MAX];

	if (options_read(argc, argv, &o, e) < 0 ||
		path_join(file, sizeof(file), o.dir, WORKSPACE_FILE, e) < 0)
		return -1;
	if (file_exists(file))
		return err_set(e, ERR_REFUSED, "%s is a workspace already", o.dir);
	if (nginx_dir_check(o.dir, e) < 0 || folders_make(o.dir, e) < 0)
		return -1;
	if (!realpath(o.dir, dir))
		return err_sys(e, errno, "%s", o.dir);
	if (nginx_dir_check(dir, e) < 0 || samples_write(dir, e) < 0)
		return -1;
	return workspace_make(dir, &o, e);
}

const struct command cmd_init = {
	.name = "init",
	.summary = "make a workspace",
	.help = help,
	.run = run,
};
