#include "agent/conf_values.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "common/format/field.h"
#include "common/limits.h"

int
value_text(char **field, const char *value, struct err *e)
{
	*field = strdup(value);
	return *field ? 0 : err_sys(e, ENOMEM, "reading agent.conf");
}

int
value_name(char field[NAME_BYTES_MAX + 1], const char *value, struct err *e)
{
	if (!name_is_plain(value) || strlen(value) > NAME_BYTES_MAX)
		return err_set(e, ERR_USAGE,
			"\"%s\" is not a plain name (1 to %d of A-Z a-z 0-9 . _ + -, not starting "
			"with . or -)",
			value, NAME_BYTES_MAX);
	memcpy(field, value, strlen(value) + 1);
	return 0;
}

int
value_path(char **field, const char *value, struct err *e)
{
	if (value[0] != '/' || strlen(value) >= PATH_MAX - NAME_BYTES_MAX)
		return err_set(e, ERR_USAGE, "\"%.64s\" is not an absolute path", value);
	return value_text(field, value, e);
}

int
value_plan(char **field, const char *value, struct err *e)
{
	static const char prefix[] = "rollouts/";

	if (strlen(value) > TUF_PATH_MAX || strncmp(value, prefix, sizeof(prefix) - 1) != 0 ||
		!name_is_plain(value + sizeof(prefix) - 1) ||
		!text_ends_with(value + sizeof(prefix) - 1, ".json"))
		return err_set(
			e, ERR_USAGE, "\"%s\" is not a plan's path: rollouts/NAME.json", value);
	return value_text(field, value, e);
}

static int
url_check(const char *value, struct err *e)
{
	size_t scheme = strncmp(value, "https://", 8) == 0  ? 8
			: strncmp(value, "http://", 7) == 0 ? 7
							    : 0;

	if (scheme == 0 || value[scheme] == '/' || strpbrk(value, " \t?#\"\\") ||
		value[strlen(value) - 1] != '/' || value[scheme] == 0)
		return err_set(e, ERR_USAGE,
			"\"%s\" is not a base URL: https://HOST/ with a / at its end", value);
	return 0;
}

static int
urls_check(const char *value, struct err *e)
{
	AUTO_FREE char *words = strdup(value);
	char *rest = NULL;

	if (!words)
		return err_sys(e, ENOMEM, "reading agent.conf");
	for (char *word = strtok_r(words, " \t", &rest); word;
		word = strtok_r(NULL, " \t", &rest)) {
		if (url_check(word, e) < 0)
			return -1;
	}
	return 0;
}

int
value_bool(bool *field, const char *value, struct err *e)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return err_set(e, ERR_USAGE, "\"%s\" is neither yes nor no", value);
	*field = value[0] == 'y';
	return 0;
}

int
value_proxy(char **field, const char *value, struct err *e)
{
	static const char scheme[] = "http://";
	const char *host = value + sizeof(scheme) - 1, *port = strrchr(value, ':');
	uint64_t number;

	if (strncmp(value, scheme, sizeof(scheme) - 1) != 0 || port <= host ||
		strpbrk(host, " \t/?#\"\\@") ||
		num_parse(port + 1, 1, UINT16_MAX, &number, NULL) < 0)
		return err_set(e, ERR_USAGE, "\"%s\" is not a proxy: http://HOST:PORT", value);
	return asprintf(field, "%s/", value) < 0 ? err_sys(e, ENOMEM, "reading agent.conf") : 0;
}

int
value_size(uint64_t *field, const char *value, uint64_t min, uint64_t max, struct err *e)
{
	uint64_t n;

	if (num_parse_size(value, max, &n, e) < 0)
		return -1;
	if (n > 0 && n < min)
		return err_set(
			e, ERR_USAGE, "%s is less than %llu bytes", value, (unsigned long long)min);
	*field = n;
	return 0;
}

int
value_hours(struct window *w, const char *value, struct err *e)
{
	if (window_hours(value, w) < 0)
		return err_set(e, ERR_USAGE, "\"%s\" is not of the form 22:00-05:00", value);
	if (w->days == 0)
		w->days = WINDOW_EVERY_DAY;
	return 0;
}

int
value_days(struct window *w, const char *value, struct err *e)
{
	AUTO_FREE char *words = strdup(value);
	char *rest = NULL;

	if (!words)
		return err_sys(e, ENOMEM, "reading agent.conf");
	w->days = 0;
	for (char *word = strtok_r(words, " \t", &rest); word;
		word = strtok_r(NULL, " \t", &rest)) {
		if (window_day(word) == 0)
			return err_set(e, ERR_USAGE,
				"\"%s\" is not a day: mon, tue, wed, thu, fri, sat, sun", word);
		w->days |= window_day(word);
	}
	return 0;
}

int
value_url(char **field, const char *value, struct err *e)
{
	return url_check(value, e) < 0 ? -1 : value_text(field, value, e);
}

int
value_urls(char **field, const char *value, struct err *e)
{
	return urls_check(value, e) < 0 ? -1 : value_text(field, value, e);
}
