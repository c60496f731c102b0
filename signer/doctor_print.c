/* The report, for people. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "signer/doctor.h"

enum { LINE_SIZE = 512, COLUMNS = 88, NAMES_COLUMNS = 24 };

static const char *
text_or_empty(const json_t *object, const char *key)
{
	const char *text = json_text(object, key);

	return text ? text : "";
}

/* Those of one level, in the order in which they were found. */
static void
problems_print(const json_t *problems, const char *level, const char *mark)
{
	const json_t *p;
	size_t i;

	json_array_foreach (problems, i, p) {
		if (strcmp(text_or_empty(p, "level"), level) == 0)
			(void)printf("%s %s\n    -> %s\n", mark, text_or_empty(p, "what"),
				text_or_empty(p, "do"));
	}
}

static void
head_print(const struct doctor *d)
{
	const json_t *problems = json_object_get(d->report, "problems"), *p;
	char span[DOCTOR_SPAN_SIZE];
	size_t i, bad = 0;

	json_array_foreach (problems, i, p)
		bad += strcmp(text_or_empty(p, "level"), "bad") == 0;
	if (bad > 0)
		(void)printf("%s: %zu of %zu findings will not wait\n", d->w->dir, bad,
			json_array_size(problems));
	else
		(void)printf("%s: the site is whole, nothing is due within %s\n", d->w->dir,
			doctor_span((int64_t)d->within_s, span));
	problems_print(problems, "bad", "!!");
	problems_print(problems, "warning", " !");
}

/* "root-1 root-2". */
static void
names_of(const json_t *role, char *out, size_t size)
{
	const json_t *keys = json_object_get(role, "keys"), *k;
	size_t i, len = 0;

	out[0] = '\0';
	json_array_foreach (keys, i, k) {
		if (len < size)
			len += (size_t)snprintf(out + len, size - len, "%s%s", i ? " " : "",
				text_or_empty(k, "name"));
	}
}

static void
patterns_of(const json_t *role, char *out, size_t size)
{
	const json_t *paths = json_object_get(role, "paths"), *p;
	size_t i, len = 0;

	out[0] = '\0';
	json_array_foreach (paths, i, p) {
		if (len < size && json_is_string(p))
			len += (size_t)snprintf(out + len, size - len, "%s ", json_string_value(p));
	}
}

static const json_t *
expiry_of(const struct doctor *d, const char *kind, const char *name)
{
	const json_t *x;
	size_t i;

	json_array_foreach (json_object_get(d->report, "expiries"), i, x) {
		if (strcmp(text_or_empty(x, "kind"), kind) == 0 &&
			(!name || strcmp(text_or_empty(x, "name"), name) == 0))
			return x;
	}
	return NULL;
}

static const char *
left(const json_t *expiry, char out[DOCTOR_SPAN_SIZE])
{
	int64_t s = json_integer_value(json_object_get(expiry, "seconds_left"));

	if (!expiry)
		return "-";
	return s <= 0 ? "EXPIRED" : doctor_span(s, out);
}

static void
roles_print(const struct doctor *d)
{
	const json_t *roles = json_object_get(d->report, "roles"), *r;
	char names[LINE_SIZE], paths[LINE_SIZE], span[DOCTOR_SPAN_SIZE];
	size_t i;

	if (json_array_size(roles) > 0)
		(void)printf("%-10s %-9s %-7s MAY\n", "ROLE", "EXPIRES", "NEEDS");
	json_array_foreach (roles, i, r) {
		const char *name = text_or_empty(r, "name");

		names_of(r, names, sizeof(names));
		patterns_of(r, paths, sizeof(paths));
		(void)printf("%-10s %-9s %" JSON_INTEGER_FORMAT " of %-2zu %s%s (%s)\n", name,
			left(expiry_of(d, "role", name), span),
			json_integer_value(json_object_get(r, "threshold")),
			json_array_size(json_object_get(r, "keys")), paths, text_or_empty(r, "may"),
			names);
	}
}

static void
certificates_print(const struct doctor *d)
{
	const json_t *boxes = json_object_get(d->report, "boxes"), *x;
	const json_t *first = expiry_of(d, "box certificates", NULL);
	const char *between = "";
	char span[DOCTOR_SPAN_SIZE];
	size_t i;

	json_array_foreach (json_object_get(d->report, "expiries"), i, x) {
		if (strcmp(text_or_empty(x, "kind"), "certificate") != 0 &&
			strcmp(text_or_empty(x, "kind"), "crl") != 0)
			continue;
		(void)printf("%s%s %s", between, text_or_empty(x, "name"), left(x, span));
		between = ", ";
	}
	if (first)
		(void)printf("%s%" JSON_INTEGER_FORMAT " boxes (first: %s, %s)",
			*between ? ",\n" : "", json_integer_value(json_object_get(boxes, "count")),
			text_or_empty(first, "name"), left(first, span));
	(void)printf("\n");
}

static void
names_print(const json_t *names, const char *between)
{
	const json_t *name;
	size_t i;

	json_array_foreach (names, i, name)
		(void)printf("%s%s", i ? between : "", json_string_value(name));
}

/* "root's keys: 1 of 2 by root-1; missing: root-2 or root-3". */
static void
signatures_print(const json_t *row)
{
	const json_t *set;
	size_t i;

	json_array_foreach (json_object_get(row, "signatures"), i, set) {
		const json_t *by = json_object_get(set, "by"),
			     *missing = json_object_get(set, "missing");

		(void)printf("    %s keys: %zu of %" JSON_INTEGER_FORMAT "%s",
			text_or_empty(set, "keys"), json_array_size(by),
			json_integer_value(json_object_get(set, "needs")),
			json_array_size(by) ? " by " : "");
		names_print(by, ", ");
		(void)printf("%s", json_array_size(missing) ? "; missing: " : "");
		names_print(missing, " or ");
		(void)printf("\n");
	}
}

static void
incoming_print(const struct doctor *d)
{
	const json_t *row, *version;
	size_t i;

	json_array_foreach (json_object_get(d->report, "incoming"), i, row) {
		version = json_object_get(row, "version");
		(void)printf(
			"%s  %s", i ? "" : "\nNot published yet:\n", text_or_empty(row, "role"));
		if (version)
			(void)printf(" %" JSON_INTEGER_FORMAT, json_integer_value(version));
		(void)printf(": %s%s%s\n", text_or_empty(row, "state"),
			*text_or_empty(row, "why") ? ": " : "", text_or_empty(row, "why"));
		signatures_print(row);
	}
}

static bool
is_told_before(const json_t *stolen, size_t at)
{
	const json_t *row = json_array_get(stolen, at);

	for (size_t i = 0; i < at; i++) {
		if (strcmp(text_or_empty(json_array_get(stolen, i), "then"),
			    text_or_empty(row, "then")) == 0)
			return true;
	}
	return false;
}

/* Those that are good for the same, in one: "root-1, root-2". */
static size_t
names_alike(const json_t *stolen, const json_t *row, char *out, size_t size)
{
	const json_t *other;
	size_t i, len = 0;

	out[0] = '\0';
	json_array_foreach (stolen, i, other) {
		if (len < size &&
			strcmp(text_or_empty(other, "then"), text_or_empty(row, "then")) == 0)
			len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "",
				text_or_empty(other, "what"));
	}
	return len;
}

/* Breaks lines between words. */
static void
wrapped_print(const char *text, size_t indent)
{
	size_t column = indent;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (column > indent && column + len >= COLUMNS) {
			(void)printf("\n%*s", (int)indent, "");
			column = indent;
		}
		(void)printf("%s%.*s", column > indent ? " " : "", (int)len, text);
		column += len + 1;
		text += len + (text[len] == ' ');
	}
	(void)printf("\n");
}

static void
stolen_print(const struct doctor *d)
{
	const json_t *stolen = json_object_get(d->report, "stolen"), *row;
	char names[LINE_SIZE];
	size_t i, width = 0;

	json_array_foreach (stolen, i, row) {
		size_t len = names_alike(stolen, row, names, sizeof(names));

		width = len > width && len <= NAMES_COLUMNS ? len : width;
	}
	if (i > 0)
		(void)printf("\nWhoever steals ... could, until `sluice key revoke`:\n");
	json_array_foreach (stolen, i, row) {
		if (is_told_before(stolen, i))
			continue;
		(void)names_alike(stolen, row, names, sizeof(names));
		(void)printf("%-*s ", (int)width, names);
		if (strlen(names) > width)
			(void)printf("\n%*s", (int)width + 1, "");
		wrapped_print(text_or_empty(row, "then"), width + 1);
	}
}

static void
stop_print(const struct doctor *d)
{
	const json_t *stop = json_object_get(d->report, "stop"), *missing;
	size_t i;

	if (json_object_size(stop) == 0)
		return;
	(void)printf("\nA stop from this host: %s. With a publisher dead: %s%s%s\n",
		text_or_empty(stop, "from_this_host"), text_or_empty(stop, "with_a_publisher_dead"),
		*text_or_empty(stop, "how") ? ":\n  " : "", text_or_empty(stop, "how"));
	if (*text_or_empty(stop, "do"))
		(void)printf("  -> %s\n", text_or_empty(stop, "do"));
	json_array_foreach (json_object_get(stop, "missing"), i, missing)
		(void)printf("  missing: %s\n", json_string_value(missing));
}

void
doctor_print(const struct doctor *d)
{
	head_print(d);
	roles_print(d);
	certificates_print(d);
	incoming_print(d);
	stolen_print(d);
	stop_print(d);
}
