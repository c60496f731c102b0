#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "signer/authority.h"
#include "signer/command.h"
#include "signer/publish.h"
#include "signer/registrar.h"
#include "signer/signing.h"
#include "signer/workspace.h"

static const char help[] =
	"usage: sluice tls renew [-w DIR]\n"
	"       sluice tls certify --key K [--sign-with CMD] [--no-publish] [-w DIR]\n"
	"           [--passphrase-file F | --passphrase-fd N]\n"
	"\n"
	"renew gives the web server a new certificate by the fleet's CA (tls/server.crt),\n"
	"for its present key and the host names in workspace.yaml, and runs `reload`.\n"
	"`sluice doctor` tells in time when that is due. One that is not of this CA is\n"
	"left alone: whoever made it renews it.\n"
	"\n"
	"certify gives boxes the certificates that they ask for in their reports. They\n"
	"fetch them from the site, so it takes a key of two roles of their own:\n"
	"  sluice role add certificates --member K.pub --threshold 1 --key TARGETSKEY\n"
	"  sluice role add authorities --member K.pub --threshold 1 --key TARGETSKEY\n"
	"`sluice watch`, which takes the reports, does it by itself where `watch` in\n"
	"workspace.yaml names that key: {certificates: K.key}.\n"
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
	if (done.refused > 0)
		(void)fprintf(stderr, "%s\n", done.why.text);
	return done.roles[0] ? publish_here(&w, NULL, &s, e) : 0;
}

static const struct verb verbs[] = {{"renew", NULL, renew}, {"certify", NULL, certify}, {0}};

const struct command cmd_tls = {
	.name = "tls",
	.summary = "certificates",
	.help = help,
	.verbs = verbs,
};
