#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/format/field.h"
#include "common/limits.h"
#include "signer/authority.h"
#include "signer/box_conf.h"
#include "signer/command.h"
#include "signer/fleet.h"
#include "signer/workspace.h"

enum { TEXT_BYTES = 64 * 1024 };

static const char help[] =
	"usage: sluice box add NAME [--tags k=v,...] [--compatible C] [--plan PLAN]\n"
	"           [--csr FILE] [--out DIR] [--etc DIR] [--state DIR] [-w DIR]\n"
	"       sluice box {revoke | show} NAME [-w DIR]\n"
	"\n"
	"add makes what a box starts with, in boxes/NAME/: its certificate (CN = NAME)\n"
	"and key, the key that signs its reports, the fleet's CA, root.json, and\n"
	"agent.conf.\n"
	"\n"
	"  --tags k=v,...     what plans choose boxes by\n"
	"  --compatible C     its class of hardware\n"
	"  --plan PLAN        the plan it follows; stable when not said\n"
	"  --csr FILE         a signing request from the box, whose key then never leaves\n"
	"                     it; only its key is taken, the name is NAME\n"
	"  --out DIR          where to make the folder; boxes/NAME when not said\n"
	"  --etc DIR          where the files will be on the box (/etc/sluice)\n"
	"  --state DIR        the agent's own folder there (/var/lib/sluice)\n"
	"\n"
	"revoke puts its certificates on the CRL, which the web server has to read again\n"
	"(`reload` in workspace.yaml). show: what it said, the log of its last failure.\n"
	"\n"
	"example: sluice box add gw-000001 --compatible acme-gw3 --tags site=lyon\n"
	"         sluice box revoke gw-000001\n";

struct box_options {
	const char *workspace, *tags, *compatible, *plan, *csr, *out, *etc, *state;
	const char *name;
};

static int
options_read(int argc, char **argv, struct box_options *o, struct err *e)
{
	enum { TAGS = 1, COMPATIBLE, PLAN, CSR, OUT, ETC, STATE };
	static const struct option known[] = {{"tags", required_argument, NULL, TAGS},
		{"compatible", required_argument, NULL, COMPATIBLE},
		{"plan", required_argument, NULL, PLAN}, {"csr", required_argument, NULL, CSR},
		{"out", required_argument, NULL, OUT}, {"etc", required_argument, NULL, ETC},
		{"state", required_argument, NULL, STATE}, {NULL, 0, NULL, 0}};
	const char **const values[] = {[TAGS] = &o->tags,
		[COMPATIBLE] = &o->compatible,
		[PLAN] = &o->plan,
		[CSR] = &o->csr,
		[OUT] = &o->out,
		[ETC] = &o->etc,
		[STATE] = &o->state,
		['w'] = &o->workspace};
	int option;

	while ((option = getopt_long(argc, argv, "w:", known, NULL)) != -1) {
		if (option == '?')
			return err_set(e, ERR_USAGE, "see `sluice box --help`");
		*values[option] = optarg;
	}
	if (argc - optind != 1)
		return err_set(e, ERR_USAGE, "one box expected; see `sluice box --help`");
	o->name = argv[optind];
	return 0;
}

/* nginx finds a box's name in its certificate, where a '+' would come out with a backslash. */
static int
name_check(const char *name, struct err *e)
{
	if (name_is_plain(name) && strlen(name) <= NAME_BYTES_MAX && !strchr(name, '+'))
		return 0;
	return err_set(e, ERR_USAGE,
		"'%.80s' cannot be a box's name: 1 to %d letters, digits, '.', '_' and '-', "
		"beginning with none of the marks but '_'",
		name, NAME_BYTES_MAX);
}

static int
folder_check(const char *option, const char *path, struct err *e)
{
	if (path[0] == '/' && strlen(path) < PATH_MAX / 2 && !strpbrk(path, "\n\r;#") &&
		path[strlen(path) - 1] != '/')
		return 0;
	return err_set(e, ERR_USAGE, "%s: an absolute folder on the box expected, like /etc/sluice",
		option);
}

static int
options_check(struct box_options *o, struct err *e)
{
	o->compatible = o->compatible ? o->compatible : "";
	o->plan = o->plan ? o->plan : "stable";
	o->etc = o->etc ? o->etc : "/etc/sluice";
	o->state = o->state ? o->state : "/var/lib/sluice";
	if (name_check(o->name, e) < 0 || folder_check("--etc", o->etc, e) < 0 ||
		folder_check("--state", o->state, e) < 0)
		return -1;
	if (*o->compatible &&
		(!name_is_plain(o->compatible) || strlen(o->compatible) > NAME_BYTES_MAX))
		return err_set(
			e, ERR_USAGE, "--compatible: '%.80s' is not a plain name", o->compatible);
	if (!name_is_plain(o->plan) || strcmp(o->plan, "all") == 0)
		return err_set(e, ERR_USAGE, "--plan: '%.80s' is not a plan's name", o->plan);
	return 0;
}

/* Reads "site=lyon,ring=early". */
static int
tags_parse(const char *text, json_t **out, struct err *e)
{
	AUTO_FREE char *copy = strdup(text ? text : "");
	AUTO_JSON json_t *tags = json_object();
	char *rest = NULL;

	for (char *tag = copy ? strtok_r(copy, ",", &rest) : NULL; tag;
		tag = strtok_r(NULL, ",", &rest)) {
		char *value = strchr(tag, '=');

		if (value)
			*value++ = 0;
		if (!value || !name_is_plain(tag) || !field_is_tag(tag, strlen(tag)) ||
			!field_is_tag(value, strlen(value)) || strpbrk(value, ";#\"") ||
			value[0] == ' ' || value[strlen(value) - 1] == ' ')
			return err_set(
				e, ERR_USAGE, "--tags: '%.80s' is not of the form key=value", tag);
		if (json_object_get(tags, tag))
			return err_set(e, ERR_USAGE, "--tags: %.64s is given twice", tag);
		if (json_object_set_new(tags, tag, json_string(value)) < 0)
			return err_set(e, ERR_SYSTEM, "--tags: no memory");
	}
	*out = TAKE_PTR(tags);
	return 0;
}

/* The highest N of N.root.json. */
static int
root_seen(void *arg, const char *name, struct err *e)
{
	uint64_t *newest = arg, n;
	char number[24];
	size_t digits = strspn(name, "0123456789");

	(void)e;
	if (digits == 0 || digits >= sizeof(number) || strcmp(name + digits, ".root.json") != 0)
		return 0;
	memcpy(number, name, digits);
	number[digits] = 0;
	if (num_parse(number, 1, UINT64_MAX, &n, NULL) == 0 && n > *newest)
		*newest = n;
	return 0;
}

static int
root_read(const struct workspace *w, struct buf *out, struct err *e)
{
	char dir[PATH_MAX], name[64], path[PATH_MAX];
	uint64_t newest = 0;

	if (workspace_path(w, "site/metadata", dir, e) < 0 ||
		dir_each(dir, FOLDER_ENTRIES_MAX, root_seen, &newest, e) < 0)
		return -1;
	if (newest == 0)
		return err_set(e, ERR_REFUSED,
			"there is no root.json in site/metadata yet, which a box starts from: run "
			"`sluice root init` first");
	(void)snprintf(name, sizeof(name), "%llu.root.json", (unsigned long long)newest);
	if (path_join(path, sizeof(path), dir, name, e) < 0)
		return -1;
	return file_read(path, out, e);
}

/* All that a new box is given, in memory until the fleet knows of it. */
struct kit {
	struct buf cert, key, root, conf; /* key is empty where the box keeps its own */
	struct authority authority;	  /* that made cert, under the lock */
	int lock;
	struct seckey *report_key;
};
#define KIT_INIT                                                                                   \
	((struct kit){.cert = BUF_INIT(PEM_BYTES_MAX),                                             \
		.key = BUF_INIT(PEM_BYTES_MAX),                                                    \
		.root = BUF_INIT(TUF_ROOT_BYTES_MAX),                                              \
		.conf = BUF_INIT(TEXT_BYTES),                                                      \
		.lock = -1})

static void
kit_free(struct kit *k)
{
	buf_free(&k->cert);
	buf_free(&k->key);
	buf_free(&k->root);
	buf_free(&k->conf);
	seckey_free(&k->report_key);
	authority_close(&k->authority);
	cleanup_fd(&k->lock);
}

#define AUTO_KIT CLEANUP(kit_free)

/* The public key of the request, or a key pair of ours. Read before the lock: it may be a pipe. */
static int
key_take(const struct box_options *o, struct kit *k, struct buf *key, struct err *e)
{
	AUTO_BUF struct buf csr = BUF_INIT(PEM_BYTES_MAX);

	if (!o->csr)
		return x509_key_new(&k->key, e) < 0 ? -1
						    : buf_append(key, k->key.data, k->key.len, e);
	if (file_read(o->csr, &csr, e) < 0)
		return -1;
	return x509_csr_key(buf_span(&csr), key, e) < 0 ? err_context(e, "%s", o->csr) : 0;
}

static int
kit_make(const struct workspace *w, const struct box_options *o, const json_t *tags, struct kit *k,
	struct err *e)
{
	const struct box_conf conf = {.name = o->name,
		.compatible = o->compatible,
		.plan = o->plan,
		.etc = o->etc,
		.state = o->state,
		.tags = tags};
	AUTO_BUF struct buf key = BUF_INIT(PEM_BYTES_MAX);

	if (root_read(w, &k->root, e) < 0 || seckey_new(&k->report_key, e) < 0 ||
		box_conf_write(w, &conf, &k->conf, e) < 0 || key_take(o, k, &key, e) < 0 ||
		authority_lock(w, &k->lock, e) < 0 || authority_open(w, &k->authority, e) < 0)
		return -1;
	return authority_issue(
		w, &k->authority, o->name, buf_span(&key), clock_wall_s(), &k->cert, e);
}

/* Before the certificate leaves this program: one that fleet.db does not know could not be
 * revoked. */
static int
kit_register(struct fleet *f, const struct box_options *o, json_t *tags, const struct kit *k,
	struct err *e)
{
	AUTO_FLEET_BOX struct fleet_box box = {
		.tags = json_incref(tags), .added_s = clock_wall_s()};
	struct x509_info certificate;
	uint8_t public[32];

	seckey_public(k->report_key, public);
	(void)snprintf(box.name, sizeof(box.name), "%s", o->name);
	(void)snprintf(box.compatible, sizeof(box.compatible), "%s", o->compatible);
	if (pubkey_json_ed25519(public, &box.report_key, e) < 0 ||
		x509_info(buf_span(&k->cert), &certificate, e) < 0)
		return -1;
	return fleet_add(f, &box, &certificate, k->authority.issuer, k->authority.all, e);
}

static int
kit_save(const char *dir, const struct kit *k, struct err *e)
{
	const struct {
		const char *name;
		mode_t mode;
		const struct buf *content;
	} files[] = {
		{"box.key", 0600, &k->key},
		{"box.crt", 0644, &k->cert},
		{"ca.crt", 0644, &k->authority.cas},
		{"root.json", 0644, &k->root},
		{"agent.conf", 0644, &k->conf},
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (path_join(path, sizeof(path), dir, files[i].name, e) < 0 ||
			(files[i].content->len > 0 && file_create(path, files[i].mode,
							      buf_span(files[i].content), e) < 0))
			return -1;
	}
	if (path_join(path, sizeof(path), dir, "report.key", e) < 0)
		return -1;
	return seckey_save(k->report_key, path, NULL, e);
}

static int
folder_choose(
	const struct workspace *w, const struct box_options *o, char out[PATH_MAX], struct err *e)
{
	char relative[PATH_MAX];

	if (o->out)
		return snprintf(out, PATH_MAX, "%s", o->out) < PATH_MAX
			       ? 0
			       : err_set(e, ERR_USAGE, "--out: too long");
	(void)snprintf(relative, sizeof(relative), "boxes/%s", o->name);
	return workspace_path(w, relative, out, e);
}

static int
folder_make(const char *dir, struct err *e)
{
	char conf[PATH_MAX];

	if (path_join(conf, sizeof(conf), dir, "agent.conf", e) < 0)
		return -1;
	if (file_exists(conf))
		return err_set(e, ERR_REFUSED,
			"%s holds a box's files already; move them away, or give --out DIR", dir);
	return dir_make(dir, 0700, e);
}

static int
box_add(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_FLEET struct fleet *f = NULL;
	AUTO_JSON json_t *tags = NULL;
	AUTO_KIT struct kit k = KIT_INIT;
	struct box_options o = {0};
	char dir[PATH_MAX];

	if (options_read(argc, argv, &o, e) < 0 || options_check(&o, e) < 0 ||
		tags_parse(o.tags, &tags, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		folder_choose(&w, &o, dir, e) < 0 || fleet_open(&w, &f, e) < 0 ||
		kit_make(&w, &o, tags, &k, e) < 0 || folder_make(dir, e) < 0 ||
		kit_register(f, &o, tags, &k, e) < 0)
		return -1;
	if (kit_save(dir, &k, e) < 0)
		return err_context(e,
			"box %s is known now but its files are not whole; `sluice box revoke %s`, "
			"then add it again",
			o.name, o.name);
	(void)printf(
		"%s: files for %s on the box %s, and an agent.conf to edit\n", dir, o.etc, o.name);
	return 0;
}

static int
box_revoke(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_FLEET struct fleet *f = NULL;
	struct box_options o = {0};

	if (options_read(argc, argv, &o, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		fleet_open(&w, &f, e) < 0 || fleet_revoke(f, o.name, clock_wall_s(), e) < 0)
		return -1;
	if (authority_renew_crl(&w, f, clock_wall_s(), e) < 0)
		return -1;
	(void)printf("%s is revoked and on the CRL%s\n", o.name,
		w.reload ? "" : "; now let the web server read tls/crl.pem again");
	return 0;
}

static int
run(int argc, char **argv, struct err *e)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "add") == 0)
		return box_add(argc - 1, argv + 1, e);
	if (strcmp(verb, "revoke") == 0)
		return box_revoke(argc - 1, argv + 1, e);
	if (strcmp(verb, "show") == 0)
		return box_history(argc - 1, argv + 1, e);
	return err_set(
		e, ERR_USAGE, "`box add`, `box revoke` or `box show`; see `sluice box --help`");
}

const struct command cmd_box = {
	.name = "box",
	.summary = "add and revoke boxes",
	.help = help,
	.run = run,
};
