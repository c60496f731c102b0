#include "signer/webhook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/secret.h"
#include "signer/setting.h"
#include "signer/workspace.h"
#include "signer/yaml.h"

/* Of path and query. */
enum { LABEL_WHOLE = 8, LABEL_HEAD = 8, LABEL_TAIL = 4 };

static const char *const kind_names[] = {
	[WEBHOOK_PUBLISHED] = "published",
	[WEBHOOK_WAVE_OPENED] = "wave_opened",
	[WEBHOOK_HELD] = "held",
	[WEBHOOK_STOPPED] = "stopped",
	[WEBHOOK_FINISHED] = "finished",
	[WEBHOOK_BOX_OFFLINE] = "box_offline",
	[WEBHOOK_AUDIT_FAILED] = "audit_failed",
};

_Static_assert(ARRAY_LEN(kind_names) == WEBHOOK_KINDS, "an event has no name");

const char *
webhook_kind_name(enum webhook_kind kind)
{
	return (size_t)kind < WEBHOOK_KINDS ? kind_names[kind] : NULL;
}

void
webhooks_free(struct webhooks *h)
{
	for (size_t i = 0; i < h->count; i++) {
		free(h->list[i].url);
		free(h->list[i].secret_file);
		free(h->list[i].ca_file);
	}
	*h = (struct webhooks){0};
}

const struct webhook *
webhook_find(const struct webhooks *h, const char *url)
{
	for (size_t i = 0; i < h->count; i++) {
		if (strcmp(h->list[i].url, url) == 0)
			return &h->list[i];
	}
	return NULL;
}

const char *
webhook_label(const char *url, char out[WEBHOOK_LABEL_SIZE])
{
	const char *host = strstr(url, "://");
	int shown = (int)(host ? strcspn(host + 3, "/?#") + (size_t)(host + 3 - url) : 0);
	const char *rest = url + shown;
	size_t len = strlen(rest);

	/* An eighth of what may be a secret is not it; a short one would be a bad one. */
	if (len <= LABEL_WHOLE)
		(void)snprintf(out, WEBHOOK_LABEL_SIZE, "%.*s%s", shown, url, rest);
	else
		(void)snprintf(out, WEBHOOK_LABEL_SIZE, "%.*s%.*s...%s", shown, url,
			(int)num_min(len / 4, LABEL_HEAD), rest,
			rest + len - num_min(len / 8, LABEL_TAIL));
	return out;
}

/* Scheme, host and port as for the URLs that boxes are told; behind them what RFC 3986 allows but
 * for a fragment, which no server sees. */
static int
url_check(const char *url, struct err *e)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?@!$&'()*+,;="
		"%";
	char base[WEBHOOK_URL_MAX + 2];
	const char *host = strstr(url, "://");
	size_t len = host ? strcspn(host + 3, "/?#") + (size_t)(host + 3 - url) : 0;
	struct site_url parsed;

	(void)snprintf(base, sizeof(base), "%.*s/", (int)len, url);
	if (site_url_parse(base, &parsed, e) < 0)
		return -1;
	if (url[len + strspn(url + len, allowed)])
		return err_set(e, ERR_USAGE,
			"its path or query has a character that is to be written as %%XX, or a "
			"fragment");
	return 0;
}

static int
url_read(const struct yaml *y, const struct yaml_node *map, const struct webhooks *all,
	struct webhook *h, struct err *e)
{
	const struct yaml_node *n = yaml_get(map, "url");
	struct err problem = ERR_INIT;

	if (!n)
		return yaml_error(y, map, e, "'url' is missing: where events are sent to");
	if (setting_text(y, n, WEBHOOK_URL_MAX, &h->url, e) < 0)
		return -1;
	if (url_check(h->url, &problem) < 0)
		return yaml_error(y, n, e, "%s", problem.text);
	for (size_t i = 0; i + 1 < all->count; i++) {
		if (strcmp(all->list[i].url, h->url) == 0)
			return yaml_error(y, n, e, "this URL is there already");
	}
	return 0;
}

static int
kind_read(const struct yaml *y, const struct yaml_node *n, unsigned *kinds, struct err *e)
{
	const char *text;

	if (yaml_text(y, n, NAME_BYTES_MAX, &text, e) < 0)
		return -1;
	for (size_t i = 0; i < WEBHOOK_KINDS; i++) {
		if (strcmp(text, kind_names[i]) == 0) {
			*kinds |= 1U << i;
			return 0;
		}
	}
	return yaml_error(y, n, e,
		"'%.48s' is no event: published, wave_opened, held, stopped, finished, "
		"box_offline, audit_failed",
		text);
}

static int
kinds_read(const struct yaml *y, const struct yaml_node *map, unsigned *out, struct err *e)
{
	const struct yaml_node *list = yaml_get(map, "events");

	*out = (1U << WEBHOOK_KINDS) - 1;
	if (!list)
		return 0;
	*out = 0;
	if (!yaml_is_list(list) || yaml_count(list) == 0)
		return yaml_error(y, list, e,
			"a list of events is expected here, like [stopped, held]; leave 'events' "
			"out for all of them");
	for (size_t i = 0; i < yaml_count(list); i++) {
		if (kind_read(y, yaml_at(list, i), out, e) < 0)
			return -1;
	}
	return 0;
}

static int
webhook_read(const struct workspace *w, const struct yaml *y, const struct yaml_node *map,
	struct webhooks *all, struct err *e)
{
	static const char *const known[] = {"url", "secret_file", "ca_file", "events", NULL};
	struct webhook *h = &all->list[all->count];

	if (yaml_only(y, map, known, e) < 0)
		return -1;
	all->count++;
	if (url_read(y, map, all, h, e) < 0 ||
		setting_path(w, y, map, "secret_file", &h->secret_file, e) < 0 ||
		setting_path(w, y, map, "ca_file", &h->ca_file, e) < 0)
		return -1;
	if (!h->secret_file)
		return yaml_error(y, map, e,
			"'secret_file' is missing: what its receiver knows events by; `openssl "
			"rand -hex 32` makes one");
	return kinds_read(y, map, &h->kinds, e);
}

int
webhooks_read(const struct workspace *w, const struct yaml *y, const struct yaml_node *list,
	struct webhooks *out, struct err *e)
{
	if (!list)
		return 0;
	if (!yaml_is_list(list))
		return yaml_error(y, list, e,
			"a list is expected here: - {url: ..., "
			"secret_file: ...}");
	if (yaml_count(list) > WEBHOOKS_MAX)
		return yaml_error(y, yaml_at(list, WEBHOOKS_MAX), e, "%d webhooks are the most",
			WEBHOOKS_MAX);
	for (size_t i = 0; i < yaml_count(list); i++) {
		if (webhook_read(w, y, yaml_at(list, i), out, e) < 0)
			return -1;
	}
	return 0;
}

static int
secret_read(const char *path, struct webhook_secret *s, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	ssize_t got;

	if (file_open_secret(path, &fd, e) < 0)
		return -1;
	got = file_read_some(fd, path, s->text, sizeof(s->text) - 1, e);
	if (got < 0)
		return -1;
	s->len = strlen(s->text);
	if (s->len != (size_t)got)
		return err_set(e, ERR_MALFORMED, "%s is not text", path);
	if (s->len > 0 && s->text[s->len - 1] == '\n')
		s->text[--s->len] = '\0';
	if (strchr(s->text, '\n'))
		return err_set(
			e, ERR_MALFORMED, "%s has more than one line; a secret is one", path);
	if (s->len < WEBHOOK_SECRET_MIN || s->len > WEBHOOK_SECRET_MAX)
		return err_set(e, ERR_LIMIT,
			"%s: a secret has %d to %d characters; `openssl rand -hex 32` makes one",
			path, WEBHOOK_SECRET_MIN, WEBHOOK_SECRET_MAX);
	return 0;
}

int
webhook_secret_load(const struct webhook *h, struct webhook_secret **out, struct err *e)
{
	AUTO_SECRET void *memory = NULL;
	char label[WEBHOOK_LABEL_SIZE];

	if (secret_new(sizeof(**out), &memory, e) < 0)
		return -1;
	if (secret_read(h->secret_file, memory, e) < 0)
		return err_context(e, "the secret of %s", webhook_label(h->url, label));
	*out = TAKE_PTR(memory);
	return 0;
}
