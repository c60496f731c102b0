#include "signer/workspace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/limits.h"
#include "signer/setting.h"
#include "signer/yaml.h"

#define LIFE_MIN_S ((uint64_t)60)
/* A timestamp is signed without anybody: less, and it would expire on its way. */
#define TIMESTAMP_LIFE_MIN_S ((uint64_t)10)

#define HOUR_S ((uint64_t)3600)
#define DAY_S (24 * HOUR_S)

enum { LOCK_RETRY_MS = 100 };

/* Timestamps are signed hourly and live a day, so an outage of a night is none of the boxes'
 * business; a stolen publisher can hide a stop for as long as the gates live, so those are short.
 */
static const struct {
	const char *key;
	size_t offset;
	uint64_t default_s, min_s;
} lives[] = {
	{"timestamp", offsetof(struct workspace, timestamp_life_s), 24 * HOUR_S,
		TIMESTAMP_LIFE_MIN_S},
	{"snapshot", offsetof(struct workspace, snapshot_life_s), 7 * DAY_S, LIFE_MIN_S},
	{"gates", offsetof(struct workspace, gates_life_s), 7 * DAY_S, LIFE_MIN_S},
	{"rollouts", offsetof(struct workspace, rollouts_life_s), 90 * DAY_S, LIFE_MIN_S},
	{"releases", offsetof(struct workspace, releases_life_s), 365 * DAY_S, LIFE_MIN_S},
	{"targets", offsetof(struct workspace, targets_life_s), 365 * DAY_S, LIFE_MIN_S},
	{"root", offsetof(struct workspace, root_life_s), 365 * DAY_S, LIFE_MIN_S},
	{"crl", offsetof(struct workspace, crl_life_s), 7 * DAY_S, LIFE_MIN_S},
	{"box_certificate", offsetof(struct workspace, box_cert_life_s), 730 * DAY_S, LIFE_MIN_S},
};

void
workspace_free(struct workspace *w)
{
	if (!w)
		return;
	free(w->push);
	free(w->reload);
	free(w->site_url);
	free(w->report_url);
	free(w->online_snapshot);
	free(w->online_timestamp);
	watch_conf_free(&w->watch);
	webhooks_free(&w->webhooks);
	*w = (struct workspace){0};
}

int
workspace_path(const struct workspace *w, const char *relative, char out[PATH_MAX], struct err *e)
{
	int len;

	if (relative[0] != '/')
		return path_join(out, PATH_MAX, w->dir, relative, e);
	len = snprintf(out, PATH_MAX, "%s", relative);
	if (len < 0 || len >= PATH_MAX)
		return err_set(e, ERR_LIMIT, "the path %.64s... is too long", relative);
	return 0;
}

/* Reads "host", "host:port" or "[address]:port" up to the slash behind it. */
static int
authority_parse(const char *text, struct site_url *out, const char **end, struct err *e)
{
	static const char name[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";
	bool bracket = *text == '[';
	const char *host = bracket ? text + 1 : text;
	size_t host_len = strcspn(host, bracket ? "]/" : ":/"), port_len;
	const char *p = host + host_len;
	char port_text[8];
	uint64_t port = 443;

	if (host_len == 0 || host_len >= sizeof(out->host) ||
		strspn(host, bracket ? "0123456789abcdefABCDEF:" : name) < host_len ||
		(bracket && *p++ != ']'))
		return err_set(e, ERR_USAGE, "the host is missing or not well-formed");
	if (*p == ':') {
		port_len = strcspn(++p, "/");
		(void)snprintf(port_text, sizeof(port_text), "%.*s", (int)num_min(port_len, 7), p);
		if (num_parse(port_text, 1, 65535, &port, e) < 0) {
			e->class = ERR_USAGE;
			return err_context(e, "the port");
		}
		p += port_len;
	}
	if (*p != '/')
		return err_set(e, ERR_USAGE, "a '/' has to follow the host and port");
	(void)snprintf(out->host, sizeof(out->host), "%.*s", (int)host_len, host);
	out->port = (uint16_t)port;
	*end = p;
	return 0;
}

int
site_url_parse(const char *url, struct site_url *out, struct err *e)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/[]";
	static const char scheme[] = "https://";
	struct site_url parsed = {.port = 443};
	const char *path = url;
	size_t len = strlen(url);

	if (strncmp(url, scheme, strlen(scheme)) != 0)
		return err_set(
			e, ERR_USAGE, "%.128s: a URL that begins with https:// expected", url);
	if (url[len - 1] != '/')
		return err_set(e, ERR_USAGE, "%.128s: put a '/' at its end", url);
	if (strspn(url, plain) != len || strstr(url, "/../") || strstr(url, "/./") ||
		strstr(url + strlen(scheme), "//"))
		return err_set(e, ERR_USAGE,
			"%.128s: only letters, digits, '-', '.', '_', '~', single '/' and a port",
			url);
	if (authority_parse(url + strlen(scheme), &parsed, &path, e) < 0)
		return err_context(e, "%.128s", url);
	if (strlen(path) >= sizeof(parsed.path) || strpbrk(path, ":[]"))
		return err_set(e, ERR_USAGE, "%.128s: its path is not plain", url);
	(void)snprintf(parsed.path, sizeof(parsed.path), "%s", path);
	*out = parsed;
	return 0;
}

static int
url_take(const struct yaml *y, const char *key, char **out, struct err *e)
{
	const struct yaml_node *n = yaml_get(yaml_root(y), key);
	struct err problem = ERR_INIT;
	struct site_url url;

	if (!n)
		return yaml_error(y, yaml_root(y), e,
			"'%s' is missing: where boxes find us, like "
			"%s: https://updates.example.com/",
			key, key);
	if (setting_text(y, n, 1024, out, e) < 0)
		return -1;
	if (site_url_parse(*out, &url, &problem) < 0)
		return yaml_error(y, n, e, "%s", problem.text);
	return 0;
}

static int
online_read(struct workspace *w, const struct yaml *y, struct err *e)
{
	static const char *const known[] = {"snapshot", "timestamp", NULL};
	const struct yaml_node *n = yaml_get(yaml_root(y), "online");

	if (n && yaml_only(y, n, known, e) < 0)
		return -1;
	if (setting_path(w, y, n, "snapshot", &w->online_snapshot, e) < 0)
		return -1;
	return setting_path(w, y, n, "timestamp", &w->online_timestamp, e);
}

static int
lives_read(struct workspace *w, const struct yaml *y, struct err *e)
{
	const char *known[ARRAY_LEN(lives) + 1] = {NULL};
	const struct yaml_node *map = yaml_get(yaml_root(y), "life");

	for (size_t i = 0; i < ARRAY_LEN(lives); i++)
		known[i] = lives[i].key;
	if (map && yaml_only(y, map, known, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
		const struct yaml_node *n = yaml_get(map, lives[i].key);
		uint64_t life_s = lives[i].default_s;

		if (n && yaml_duration(y, n, EXPIRY_MAX_S, &life_s, e) < 0)
			return -1;
		if (life_s < lives[i].min_s)
			return yaml_error(y, n, e, "'%s' has to live %llu seconds at least",
				lives[i].key, (unsigned long long)lives[i].min_s);
		memcpy((char *)w + lives[i].offset, &life_s, sizeof(life_s));
	}
	return 0;
}

static int
settings_read(struct workspace *w, const struct yaml *y, struct err *e)
{
	static const char *const known[] = {"site_url", "report_url", "online", "push", "reload",
		"life", "watch", "webhooks", NULL};
	const struct yaml_node *push, *reload;

	if (yaml_only(y, yaml_root(y), known, e) < 0 ||
		url_take(y, "site_url", &w->site_url, e) < 0 ||
		url_take(y, "report_url", &w->report_url, e) < 0)
		return -1;
	push = yaml_get(yaml_root(y), "push");
	if (push && setting_text(y, push, COMMAND_BYTES_MAX, &w->push, e) < 0)
		return -1;
	reload = yaml_get(yaml_root(y), "reload");
	if (reload && setting_text(y, reload, COMMAND_BYTES_MAX, &w->reload, e) < 0)
		return -1;
	if (online_read(w, y, e) < 0 || lives_read(w, y, e) < 0)
		return -1;
	if (watch_conf_read(w, y, yaml_get(yaml_root(y), "watch"), &w->watch, e) < 0)
		return -1;
	return webhooks_read(w, y, yaml_get(yaml_root(y), "webhooks"), &w->webhooks, e);
}

static int
defaults_set(struct workspace *w, struct err *e)
{
	char path[PATH_MAX];

	if (workspace_path(w, "keys/snapshot.key", path, e) < 0)
		return -1;
	w->online_snapshot = strdup(path);
	if (workspace_path(w, "keys/timestamp.key", path, e) < 0)
		return -1;
	w->online_timestamp = strdup(path);
	if (!w->online_snapshot || !w->online_timestamp)
		return err_sys(e, ENOMEM, "workspace");
	return 0;
}

/* Whether dir has a workspace.yaml; its path then. */
static bool
is_workspace(const char *dir, char file[PATH_MAX])
{
	return path_join(file, PATH_MAX, dir, WORKSPACE_FILE, NULL) == 0 && file_exists(file);
}

/* Goes up from this folder. dir comes in as the absolute path of it. */
static int
find_upwards(char dir[PATH_MAX], struct err *e)
{
	char file[PATH_MAX];

	for (;;) {
		char *slash = strrchr(dir, '/');

		if (is_workspace(dir, file))
			return 0;
		if (!slash || !dir[1])
			return err_set(e, ERR_USAGE,
				"not in a workspace: give -w DIR or set SLUICE_WORKSPACE, or make "
				"one with `sluice init DIR`");
		slash[slash == dir] = 0;
	}
}

static int
find(const char *dir, char out[PATH_MAX], struct err *e)
{
	const char *from = dir ? dir : getenv("SLUICE_WORKSPACE");
	char file[PATH_MAX];

	if (!from || !*from) {
		if (!realpath(".", out))
			return err_sys(e, errno, "this folder");
		return find_upwards(out, e);
	}
	if (!realpath(from, out)) {
		err_sys(e, errno, "workspace %s", from);
		e->class = ERR_USAGE;
		return -1;
	}
	if (!is_workspace(out, file))
		return err_set(e, ERR_USAGE,
			"%s is no workspace (it has no " WORKSPACE_FILE
			"); make one with `sluice init %s`",
			from, from);
	return 0;
}

int
workspace_open(const char *dir, struct workspace *out, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_YAML struct yaml *y = NULL;
	char file[PATH_MAX];

	if (find(dir, w.dir, e) < 0 || workspace_path(&w, WORKSPACE_FILE, file, e) < 0 ||
		defaults_set(&w, e) < 0)
		return -1;
	if (yaml_load(file, CONF_BYTES_MAX, &y, e) < 0 || settings_read(&w, y, e) < 0)
		return -1;
	*out = w;
	w = (struct workspace){0};
	return 0;
}

int
workspace_lock(const struct workspace *w, const char *file, const char *what, int64_t wait_ms,
	int *lock, struct err *e)
{
	const int64_t until_ms = clock_boot_ms() + wait_ms;
	char path[PATH_MAX];
	struct err held = ERR_INIT;
	bool said = false;

	if (workspace_path(w, file, path, e) < 0)
		return -1;
	while (file_lock(path, what, lock, &held) < 0) {
		if (held.class != ERR_REFUSED || clock_boot_ms() >= until_ms) {
			if (e)
				*e = held;
			return -1;
		}
		if (!said)
			(void)fprintf(stderr,
				"%s is at work; waiting for it. It may be ended (by a plain "
				"kill), and loses nothing\n",
				what);
		said = true;
		clock_sleep_ms(LOCK_RETRY_MS);
	}
	return 0;
}

int
workspace_run(const struct workspace *w, const char *command, const char *word, struct span input,
	int64_t timeout_ms, struct err *e)
{
	AUTO_FREE char *line = strdup(command);
	const char *argv[COMMAND_WORDS_MAX + 5] = {"env", "-C", w->dir};
	struct process p = {.argv = argv,
		.input = input,
		.timeout_ms = timeout_ms,
		.asks_at_terminal = w->stays_in_group};
	size_t count = 3;
	char *rest = NULL;
	int status;

	if (!line)
		return err_sys(e, ENOMEM, "%.64s", command);
	for (char *part = strtok_r(line, " \t", &rest); part; part = strtok_r(NULL, " \t", &rest)) {
		if (count == COMMAND_WORDS_MAX + 3)
			return err_set(e, ERR_LIMIT, "%.64s... has more than %d words", command,
				COMMAND_WORDS_MAX);
		argv[count++] = part;
	}
	argv[count++] = word;
	if (process_run(&p, &status, e) < 0)
		return err_context(e, "%.256s", command);
	if (status != 0)
		return err_set(e, ERR_REFUSED, "'%.256s%s%s' failed with status %d", command,
			word ? " " : "", word ? word : "", status);
	return 0;
}
