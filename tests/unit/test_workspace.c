#include <stdio.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/crypto/secret.h"
#include "signer/samples.h"
#include "signer/workspace.h"
#include "tests/unit/sample.h"

static char dir[] = "/tmp/test_workspace.XXXXXX";
static char file[64];

static int
setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(file, sizeof(file), "%s/workspace.yaml", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)unlink(file);
	return rmdir(dir);
}

static void
put(struct span bytes)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
	assert_int_equal(fclose(f), 0);
}

/* workspace.yaml as init writes it. */
static const char *
sample(void)
{
	static struct buf text = {.max = 8192};
	struct err e = ERR_INIT;

	buf_free(&text);
	assert_int_equal(sample_workspace("https://updates.example.com/",
				 "https://reports.example.com:8443/fleet/", &text, &e),
		0);
	return buf_str(&text);
}

static int
open_text(const char *text, struct workspace *w, struct err *e)
{
	put(span_str(text));
	return workspace_open(dir, w, e);
}

static void
the_sample_says_what_is_the_default_anyway(void **state)
{
	AUTO_WORKSPACE struct workspace a = {0};
	AUTO_WORKSPACE struct workspace b = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(open_text(sample(), &a, &e), 0);
	assert_int_equal(open_text("site_url: https://a/\nreport_url: https://a/\n", &b, &e), 0);
	assert_string_equal(a.site_url, "https://updates.example.com/");
	assert_string_equal(a.report_url, "https://reports.example.com:8443/fleet/");
	assert_null(a.push);
	assert_null(a.reload);
	assert_string_equal(a.online_snapshot, b.online_snapshot);
	assert_string_equal(a.online_timestamp, b.online_timestamp);
	assert_int_equal(a.timestamp_life_s, 86400);
	assert_int_equal(a.timestamp_life_s, b.timestamp_life_s);
	assert_int_equal(a.snapshot_life_s, b.snapshot_life_s);
	assert_int_equal(a.gates_life_s, b.gates_life_s);
	assert_int_equal(a.rollouts_life_s, b.rollouts_life_s);
	assert_int_equal(a.releases_life_s, b.releases_life_s);
	assert_int_equal(a.targets_life_s, b.targets_life_s);
	assert_int_equal(a.root_life_s, b.root_life_s);
	assert_int_equal(a.crl_life_s, b.crl_life_s);
	assert_int_equal(a.box_cert_life_s, b.box_cert_life_s);
}

static void
every_setting_is_taken(void **state)
{
	AUTO_WORKSPACE struct workspace w = {0};
	struct err e = ERR_INIT;
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(open_text("site_url: https://a/\nreport_url: https://b/\n"
				   "online: {snapshot: /safe/s.key, timestamp: t.key}\n"
				   "push: rsync -a site/ web:/srv\nreload: /bin/true\n"
				   "life: {timestamp: 90m, gates: 2d, crl: 60s}\n",
				 &w, &e),
		0);
	assert_string_equal(w.online_snapshot, "/safe/s.key");
	assert_int_equal(workspace_path(&w, "t.key", path, &e), 0);
	assert_string_equal(w.online_timestamp, path);
	assert_string_equal(w.push, "rsync -a site/ web:/srv");
	assert_string_equal(w.reload, "/bin/true");
	assert_int_equal(w.timestamp_life_s, 5400);
	assert_int_equal(w.gates_life_s, 2 * 86400);
	assert_int_equal(w.crl_life_s, 60);
}

static void
what_the_watch_may_do_is_taken(void **state)
{
	AUTO_WORKSPACE struct workspace w = {0}, without = {0};
	struct err e = ERR_INIT;
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(open_text("site_url: https://a/\nreport_url: https://b/\n"
				   "watch: {gates: keys/gates.pub, sign_with: hsm sign, every: 2s, "
				   "soak_min: 1h, first_wave_max: 100, offline_after: 2h, "
				   "passphrase_file: /etc/p}\n",
				 &w, &e),
		0);
	assert_int_equal(workspace_path(&w, "keys/gates.pub", path, &e), 0);
	assert_string_equal(w.watch.gates, path);
	assert_string_equal(w.watch.sign_with, "hsm sign");
	assert_string_equal(w.watch.passphrase_file, "/etc/p");
	assert_int_equal(w.watch.every_s, 2);
	assert_int_equal(w.watch.offline_after_s, 7200);
	assert_int_equal(w.watch.limits.soak_min_s, 3600);
	assert_int_equal(w.watch.limits.first_wave_max, 100);
	assert_int_equal(open_text(sample(), &without, &e), 0);
	assert_null(without.watch.gates);
	assert_int_equal(without.watch.every_s, 60);
	assert_int_equal(without.watch.offline_after_s, 86400);
	assert_int_equal(without.watch.limits.soak_min_s, 0);
	assert_int_equal(without.watch.limits.first_wave_max, 0);
}

static void
webhooks_are_taken(void **state)
{
	AUTO_WORKSPACE struct workspace w = {0};
	const struct webhook *h = w.webhooks.list;
	struct err e = ERR_INIT;
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(
		open_text("site_url: https://a/\nreport_url: https://b/\nwebhooks:\n"
			  "  - {url: \"https://chat.example.com/x?token=a%20b&c=@d\", secret_file: "
			  "hooks/chat}\n"
			  "  - {url: \"https://[::1]:8443\", secret_file: /etc/s, ca_file: "
			  "tls/ca.crt, events: [stopped, held]}\n",
			&w, &e),
		0);
	assert_int_equal(w.webhooks.count, 2);
	assert_string_equal(h[0].url, "https://chat.example.com/x?token=a%20b&c=@d");
	assert_int_equal(workspace_path(&w, "hooks/chat", path, &e), 0);
	assert_string_equal(h[0].secret_file, path);
	assert_null(h[0].ca_file);
	assert_int_equal(h[0].kinds, (1 << WEBHOOK_KINDS) - 1);
	assert_int_equal(h[1].kinds, 1 << WEBHOOK_STOPPED | 1 << WEBHOOK_HELD);
	assert_int_equal(workspace_path(&w, "tls/ca.crt", path, &e), 0);
	assert_string_equal(h[1].ca_file, path);
	assert_ptr_equal(webhook_find(&w.webhooks, "https://[::1]:8443"), &h[1]);
	assert_null(webhook_find(&w.webhooks, "https://[::1]:8444"));
	assert_null(webhook_kind_name(WEBHOOK_KINDS));
}

#define HOOKS "site_url: https://a/\nreport_url: https://a/\nwebhooks:\n"

static void
what_is_wrong_with_a_webhook_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} refusals[] = {
		{HOOKS "  {url: https://a}\n", "4:3: a list"},
		{HOOKS "  - {secret_file: s}\n", "4:5: 'url' is missing"},
		{HOOKS "  - {url: https://a}\n", "4:5: 'secret_file' is missing"},
		{HOOKS "  - {url: http://a, secret_file: s}\n", "4:11: "},
		{HOOKS "  - {url: http://127.0.0.1/, secret_file: s}\n", "https://"},
		{HOOKS "  - {url: file:///etc/passwd, secret_file: s}\n", "4:11: "},
		{HOOKS "  - {url: \"https://u:p@a/\", secret_file: s}\n", "4:11: "},
		{HOOKS "  - {url: \"https://a:0/\", secret_file: s}\n", "port"},
		{HOOKS "  - {url: \"https:///x\", secret_file: s}\n", "4:11: "},
		{HOOKS "  - {url: \"https://a/b c\", secret_file: s}\n", "%XX"},
		{HOOKS "  - {url: \"https://a/\\\"\", secret_file: s}\n", "%XX"},
		{HOOKS "  - {url: \"https://a/{b,c}\", secret_file: s}\n", "%XX"},
		{HOOKS "  - {url: \"https://a/#b\", secret_file: s}\n", "%XX"},
		{HOOKS "  - {url: \"https://a#b\", secret_file: s}\n", "%XX"},
		{HOOKS "  - {url: https://a, secret_file: s, event: [held]}\n", "events"},
		{HOOKS "  - {url: https://a, secret_file: s, events: []}\n", "4:46: "},
		{HOOKS "  - {url: https://a, secret_file: s, events: held}\n", "4:46: "},
		{HOOKS "  - {url: https://a, secret_file: s, events: [holden]}\n", "4:47: "},
		{HOOKS "  - {url: https://a, secret_file: s}\n"
		       "  - {url: https://a, secret_file: t}\n",
			"5:11: this URL is there already"},
		{HOOKS "  [1, 2, 3, 4, 5, 6, 7, 8, 9]\n", "4:28: 8 webhooks"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		AUTO_WORKSPACE struct workspace w = {0};
		struct err e = ERR_INIT;

		if (open_text(refusals[i].text, &w, &e) == 0 || !strstr(e.text, refusals[i].says))
			fail_msg("%s: %s", refusals[i].text, e.text);
		assert_int_equal(w.webhooks.count, 0);
	}
}

static int
load_secret(const char *bytes, size_t len, mode_t mode, size_t *out, struct err *e)
{
	char path[96];
	struct webhook h = {.url = (char *)(uintptr_t) "https://a", .secret_file = path};
	struct webhook_secret *s = NULL;
	int rc;

	(void)snprintf(path, sizeof(path), "%s/secret", dir);
	(void)unlink(path);
	assert_int_equal(file_create(path, mode, span_of(bytes, len), e), 0);
	assert_int_equal(chmod(path, mode), 0);
	rc = webhook_secret_load(&h, &s, e);
	*out = s ? s->len : 0;
	secret_free(&s);
	(void)unlink(path);
	return rc;
}

static void
a_secret_is_long_and_nobody_elses(void **state)
{
	char text[WEBHOOK_SECRET_MAX + 8];
	struct err e = ERR_INIT;
	size_t len;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(load_secret(text, WEBHOOK_SECRET_MIN, 0600, &len, &e), 0);
	assert_int_equal(len, WEBHOOK_SECRET_MIN);
	assert_int_equal(load_secret(text, WEBHOOK_SECRET_MIN - 1, 0600, &len, &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_int_equal(load_secret(text, WEBHOOK_SECRET_MAX, 0400, &len, &e), 0);
	assert_int_equal(len, WEBHOOK_SECRET_MAX);
	for (size_t more = 1; more <= 3; more++) {
		assert_int_equal(load_secret(text, WEBHOOK_SECRET_MAX + more, 0600, &len, &e), -1);
		assert_int_equal(e.class, ERR_LIMIT);
	}
	for (mode_t mode = 1; mode < 0100; mode <<= 1) {
		assert_int_equal(load_secret(text, 64, 0600 | mode, &len, &e), -1);
		assert_int_equal(e.class, ERR_REFUSED);
	}
	/* The newline that a shell puts there is not of it; any other is a mistake. */
	text[WEBHOOK_SECRET_MAX] = '\n';
	assert_int_equal(load_secret(text, WEBHOOK_SECRET_MAX + 1, 0600, &len, &e), 0);
	assert_int_equal(len, WEBHOOK_SECRET_MAX);
	assert_int_equal(load_secret(text, WEBHOOK_SECRET_MAX + 2, 0600, &len, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	text[40] = '\n';
	assert_int_equal(load_secret(text, 80, 0600, &len, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	text[40] = '\0';
	assert_int_equal(load_secret(text, 80, 0600, &len, &e), -1);
	assert_int_equal(e.class, ERR_MALFORMED);
	assert_int_equal(load_secret("", 0, 0600, &len, &e), -1);
}

static void
what_is_wrong_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} refusals[] = {
		{"site_url: https://a/\nreport_url: https://a/\nwatch: {gates: g.pub}\n", "3:16"},
		{"site_url: https://a/\nreport_url: https://a/\nwatch: {sign_with: x}\n", "3:20"},
		{"site_url: https://a/\nreport_url: https://a/\nwatch: {every: 0s}\n", "3:16"},
		{"site_url: https://a/\nreport_url: https://a/\nwatch: {every: 121s}\n", "3:16"},
		{"site_url: https://a/\nreport_url: https://a/\nwatch: {gate: x}\n", "gates"},
		{"site_url: https://a/\nreport_url: https://a/\nwatch: {first_wave_max: 0}\n",
			"3:25"},
		{"", "workspace.yaml"},
		{"site_url: https://a/\n", "report_url"},
		{"site_url: http://a/\nreport_url: https://a/\n", "workspace.yaml:1:11: "},
		{"site_url: https://a\nreport_url: https://a/\n", "put a '/'"},
		{"site_url: https://a/\nreport_url: https://a/?x/\n", "workspace.yaml:2:13: "},
		{"site_url: https://a/\nreport_url: https:///\n", "2:13"},
		{"site_url: https://a/\nreport_url: https://a:70000/\n", "port"},
		{"site_url: https://a/\nreport_url: https://a/b/../c/\n", "2:13"},
		{"site_url: https://a/\nreport_url: https://a/\npsuh: x\n", "push"},
		{"site_url: https://a/\nreport_url: https://a/\nonline: {snapshto: x}\n",
			"snapshot"},
		{"site_url: https://a/\nreport_url: https://a/\nonline: x\n", "3:9"},
		{"site_url: https://a/\nreport_url: https://a/\nlife: {gates: 7}\n", "3:15"},
		{"site_url: https://a/\nreport_url: https://a/\nlife: {gates: 59s}\n", "3:15"},
		{"site_url: https://a/\nreport_url: https://a/\nlife: {timestamp: 9s}\n", "3:19"},
		{"site_url: https://a/\nreport_url: https://a/\nlife: {gates: 9999d}\n", "3:15"},
		{"site_url: https://a/\nreport_url: https://a/\npush: \"\"\n", "3:7"},
		{"site_url: https://a/\nreport_url: https://a/\npush: [x]\n", "3:7"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		AUTO_WORKSPACE struct workspace w = {0};
		struct err e = ERR_INIT;

		if (open_text(refusals[i].text, &w, &e) == 0 || !strstr(e.text, refusals[i].says))
			fail_msg("%s: %s", refusals[i].text, e.text);
		assert_null(w.site_url);
	}
}

static void
damaged(struct span bytes)
{
	AUTO_WORKSPACE struct workspace w = {0};
	struct err e = ERR_INIT;
	struct site_url url;

	put(bytes);
	if (workspace_open(dir, &w, &e) < 0) {
		assert_non_null(strstr(e.text, "workspace.yaml:"));
		return;
	}
	assert_int_equal(site_url_parse(w.site_url, &url, &e), 0);
	assert_int_equal(site_url_parse(w.report_url, &url, &e), 0);
	assert_true(w.online_snapshot[0] == '/' && w.online_timestamp[0] == '/');
	assert_true(w.timestamp_life_s >= 10 && w.timestamp_life_s <= 20ULL * 366 * 86400);
	assert_true(w.box_cert_life_s >= 60 && w.box_cert_life_s <= 20ULL * 366 * 86400);
}

static void
a_damaged_workspace_has_a_complaint_with_a_line_or_values_in_range(void **state)
{
	(void)state;
	sample_damage("site_url: https://a/\nreport_url: https://b:8443/r/\n"
		      "online: {snapshot: s.key, timestamp: t.key}\npush: p site/\n"
		      "life: {timestamp: 24h, box_certificate: 730d} # so long\n",
		damaged);
}

static void
a_workspace_is_found_from_a_folder_inside_it(void **state)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_WORKSPACE struct workspace v = {0};
	char inside[64], here[PATH_MAX];
	struct err e = ERR_INIT;

	(void)state;
	put(span_str(sample()));
	(void)unsetenv("SLUICE_WORKSPACE");
	(void)snprintf(inside, sizeof(inside), "%s/keys", dir);
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(mkdir(inside, 0700), 0);
	assert_int_equal(chdir(inside), 0);
	assert_int_equal(workspace_open(NULL, &w, &e), 0);
	assert_string_equal(w.dir, dir);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(inside), 0);
	assert_int_equal(workspace_open(NULL, &v, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_int_equal(setenv("SLUICE_WORKSPACE", dir, 1), 0);
	assert_int_equal(workspace_open(NULL, &v, &e), 0);
	assert_int_equal(unsetenv("SLUICE_WORKSPACE"), 0);
	assert_int_equal(chdir(here), 0);
}

static void
a_folder_that_is_no_workspace_is_a_usage_error(void **state)
{
	struct workspace w;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(workspace_open("/", &w, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
	assert_int_equal(workspace_open("/nowhere", &w, &e), -1);
	assert_int_equal(e.class, ERR_USAGE);
}

static void
a_url_is_taken_apart(void **state)
{
	struct err e = ERR_INIT;
	struct site_url u;

	(void)state;
	assert_int_equal(site_url_parse("https://updates.example.com/", &u, &e), 0);
	assert_string_equal(u.host, "updates.example.com");
	assert_int_equal(u.port, 443);
	assert_string_equal(u.path, "/");
	assert_int_equal(site_url_parse("https://127.0.0.1:8443/a/b.c/", &u, &e), 0);
	assert_string_equal(u.host, "127.0.0.1");
	assert_int_equal(u.port, 8443);
	assert_string_equal(u.path, "/a/b.c/");
	assert_int_equal(site_url_parse("https://[::1]:1/", &u, &e), 0);
	assert_string_equal(u.host, "::1");
	assert_int_equal(u.port, 1);
	assert_int_equal(site_url_parse("https://[::1/", &u, &e), -1);
	assert_int_equal(site_url_parse("https://a:0/", &u, &e), -1);
	assert_int_equal(site_url_parse("https://a:123456789/", &u, &e), -1);
	assert_int_equal(site_url_parse("https://a:/", &u, &e), -1);
	assert_int_equal(site_url_parse("https://a/;x/", &u, &e), -1);
	assert_int_equal(site_url_parse("https://user@a/", &u, &e), -1);
	assert_int_equal(site_url_parse("https://a_b/", &u, &e), -1);
	assert_int_equal(site_url_parse("https://a/b:1/", &u, &e), -1);
	assert_int_equal(site_url_parse("https://a//b/", &u, &e), -1);
	assert_int_equal(site_url_parse("https://", &u, &e), -1);
	assert_int_equal(site_url_parse("", &u, &e), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sample_says_what_is_the_default_anyway),
		cmocka_unit_test(every_setting_is_taken),
		cmocka_unit_test(what_the_watch_may_do_is_taken),
		cmocka_unit_test(what_is_wrong_is_told_with_its_line),
		cmocka_unit_test(webhooks_are_taken),
		cmocka_unit_test(what_is_wrong_with_a_webhook_is_told_with_its_line),
		cmocka_unit_test(a_secret_is_long_and_nobody_elses),
		cmocka_unit_test(
			a_damaged_workspace_has_a_complaint_with_a_line_or_values_in_range),
		cmocka_unit_test(a_workspace_is_found_from_a_folder_inside_it),
		cmocka_unit_test(a_folder_that_is_no_workspace_is_a_usage_error),
		cmocka_unit_test(a_url_is_taken_apart),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
