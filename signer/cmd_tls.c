#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "signer/authority.h"
#include "signer/command.h"
#include "signer/overlap.h"
#include "signer/publish.h"
#include "signer/registrar.h"
#include "signer/signing.h"
#include "signer/workspace.h"

static const char help[] =
	"usage: sluice tls renew [-w DIR]\n"
	"       sluice tls certify --key K [--sign-with CMD] [--no-publish] [-w DIR]\n"
	"           [--passphrase-file F | --passphrase-fd N]\n"
	"       sluice tls ca [add | switch | drop] [--force] [-w DIR]\n"
	"\n"
	"renew: a new certificate for the web server, by the fleet's CA, for its present\n"
	"key and the host names in workspace.yaml. `sluice doctor` tells when it is due.\n"
	"\n"
	"certify gives boxes the certificates that they ask for in their reports, and\n"
	"tells them of the fleet's CAs: on the site, by a key of two roles of their own,\n"
	"  sluice role add certificates --member K.pub --threshold 1 --key TARGETSKEY\n"
	"  sluice role add authorities --member K.pub --threshold 1 --key TARGETSKEY\n"
	"(Without the second, boxes refuse them where the server's certificate is not by\n"
	"the fleet's CA, unless they know that otherwise.)\n"
	"`sluice watch` does it by itself where `watch` in workspace.yaml names that key:\n"
	"{certificates: K.key}.\n"
	"\n"
	"ca replaces the CA of a fleet while it runs: add makes the next, of which boxes\n"
	"learn; switch has it issue what is issued from then on; drop ends the old one.\n"
	"Without a word it says how far that is. --force goes on though boxes are left.\n"
	"\n"
	"example:  sluice tls renew -w /srv/fleet\n";

static int
renew(int argc, char **argv, struct err *e)
{
	static const struct option known[] = {{0}};
	AUTO_WORKSPACE struct workspace w = {0};
	const char *dir = NULL;
	char until[CLOCK_TEXT_SIZE];
	int64_t until_s;
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "w:", known, NULL)) != -1) {
		if (option != 'w')
			return err_set(e, ERR_USAGE,
				"an option is not known or lacks its value; see `sluice tls "
				"--help`");
		dir = optarg;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	if (workspace_open(dir, &w, e) < 0 ||
		authority_renew_server(&w, clock_wall_s(), &until_s, e) < 0)
		return -1;
	(void)printf("tls/server.crt is good until %s%s\n", clock_format(until_s, until),
		w.reload ? "" : "; now let the web server read it again");
	return 0;
}

static int
certify_options(int argc, char **argv, struct signing *s, struct err *e)
{
	static const struct option known[] = {
		SIGNING_KEY, SIGNING_NO_PUBLISH, SIGNING_PASS_FILE, SIGNING_PASS_FD, {0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, SIGNING_SHORT, known, NULL)) != -1) {
		if (signing_option(s, option, optarg, e) < 0)
			return -1;
	}
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	return signing_check(s, "a key of the certificates role", e);
}

static void
warning_print(void *arg, const char *text)
{
	(void)arg;
	(void)fprintf(stderr, "%s\n", text);
}

static int
certify(int argc, char **argv, struct err *e)
{
	struct signing s = SIGNING_INIT;
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_FLEET struct fleet *f = NULL;
	AUTO_OPENED_KEY struct opened_key key = {0};
	struct registered done;

	if (certify_options(argc, argv, &s, e) < 0 || workspace_open(s.workspace, &w, e) < 0 ||
		fleet_open(&w, &f, e) < 0 || signing_open(&s, &key, e) < 0 ||
		registrar_run(&(struct registrar){&w, f, &key.signer}, clock_wall_s(), &done, e) <
			0)
		return -1;
	(void)printf("%llu boxes get certificates, %llu do not\n", (unsigned long long)done.given,
		(unsigned long long)done.refused);
	registered_warn(&done, warning_print, NULL);
	return done.roles[0] ? publish_here(&w, NULL, &s, e) : 0;
}

struct ca_options {
	const char *workspace, *what; /* what: "" where nothing is said */
	bool force;
};

static int
ca_options_read(int argc, char **argv, struct ca_options *o, struct err *e)
{
	enum { FORCE = 1 };
	static const struct option known[] = {{"force", no_argument, NULL, FORCE}, {0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "w:", known, NULL)) != -1) {
		if (option == FORCE)
			o->force = true;
		else if (option == 'w')
			o->workspace = optarg;
		else
			return err_set(e, ERR_USAGE, "see `sluice tls --help`");
	}
	o->what = optind < argc ? argv[optind] : "";
	return argc - optind > 1 ? err_set(e, ERR_USAGE, "one word is expected: add, switch, drop")
				 : 0;
}

static int
ca_show(const struct workspace *w, struct fleet *f, struct err *e)
{
	AUTO_OVERLAP struct overlap o = {0};
	char until[CLOCK_TEXT_SIZE];

	if (overlap_read(w, f, &o, e) < 0)
		return -1;
	for (size_t i = 0; i < o.cas.count; i++)
		(void)printf("%s, until %s%s\n", o.infos[i].name,
			clock_format(o.infos[i].until_s, until), i == 0 ? ": issues" : "");
	if (o.cas.count > 1)
		(void)printf("%llu boxes have not said that they know these; %llu have never been "
			     "heard of; %llu have no certificate of the first yet\n",
			(unsigned long long)o.census.unaware, (unsigned long long)o.census.unheard,
			(unsigned long long)o.census.strangers);
	return 0;
}

static int
ca_do(const struct workspace *w, struct fleet *f, const struct ca_options *o, struct err *e)
{
	int64_t now_s = clock_wall_s();
	AUTO_CLOSE int lock = -1;
	bool server = true;
	int rc;

	if (authority_lock(w, &lock, e) < 0)
		return -1;
	if (strcmp(o->what, "add") == 0)
		rc = overlap_add(w, f, now_s, e);
	else if (strcmp(o->what, "switch") == 0)
		rc = overlap_switch(w, f, o->force, now_s, &server, e);
	else if (strcmp(o->what, "drop") == 0)
		rc = overlap_drop(w, f, o->force, now_s, e);
	else
		return err_set(e, ERR_USAGE, "'%.32s' is none of add, switch and drop", o->what);
	if (rc < 0)
		return -1;
	if (!server)
		(void)printf("tls/server.crt is not of this fleet's CA, and stays\n");
	if (!w->reload)
		(void)printf("now let the web server read tls/ again\n");
	(void)printf("boxes hear of it with the watch's next timestamp, or by `sluice tls "
		     "certify`\n");
	return 0;
}

static int
ca(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_FLEET struct fleet *f = NULL;
	struct ca_options o = {0};

	if (ca_options_read(argc, argv, &o, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		fleet_open(&w, &f, e) < 0 || (o.what[0] && ca_do(&w, f, &o, e) < 0))
		return -1;
	return ca_show(&w, f, e);
}

static const struct verb verbs[] = {
	{"renew", NULL, renew}, {"certify", NULL, certify}, {"ca", NULL, ca}, {0}};

const struct command cmd_tls = {
	.name = "tls",
	.summary = "certificates",
	.help = help,
	.verbs = verbs,
};
