#include "signer/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/text.h"

void
doctor_free(struct doctor *d)
{
	for (size_t i = 0; i < d->role_count; i++) {
		json_decref(d->roles[i].keyids);
		json_decref(d->roles[i].paths);
		document_free(&d->roles[i].document);
	}
	free(d->roles);
	free(d->keys);
	site_close(&d->site);
	json_decref(d->report);
	*d = (struct doctor){0};
}

int
doctor_open(const struct workspace *w, uint64_t within_s, struct doctor *out, struct err *e)
{
	AUTO_DOCTOR struct doctor d = {.w = w, .now_s = clock_wall_s(), .within_s = within_s};
	struct err why = ERR_INIT;
	char now[CLOCK_TEXT_SIZE];

	d.keys = calloc(KEY_FILES_MAX, sizeof(*d.keys));
	d.roles = calloc(DOCTOR_ROLES_MAX, sizeof(*d.roles));
	d.report = json_pack("{s:s, s:s, s:I, s:[], s:[], s:[], s:[], s:[], s:{}, s:{}}",
		"workspace", w->dir, "time", clock_format(d.now_s, now), "within_seconds",
		(json_int_t)within_s, "problems", "expiries", "roles", "incoming", "stolen", "stop",
		"site");
	if (!d.keys || !d.roles || !d.report)
		return err_sys(e, ENOMEM, "doctor");
	if (site_open(w, &d.site, &why) == 0 && site_is_headless(&d.site))
		(void)err_set(&why, ERR_UNTRUSTED,
			"%s/timestamp.json is missing, though there is a root beside it",
			d.site.metadata);
	if (why.text[0] == '\0') {
		if (!d.site.root)
			return err_set(e, ERR_REFUSED,
				"nothing is published in %s yet; begin with `sluice root init`",
				w->dir);
		d.site_is_open = true;
	} else if (doctor_problem(&d, DOCTOR_BAD, "restore site/ from where it is served", e,
			   "the site fails verification: %s", why.text) < 0) {
		return -1;
	}
	*out = d;
	d = (struct doctor){0};
	return 0;
}

int
doctor_problem(struct doctor *d, enum doctor_level level, const char *remedy, struct err *e,
	const char *format, ...)
{
	char what[ERR_TEXT_SIZE];
	va_list args;
	json_t *problem;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	text_clean(what);
	problem = json_pack("{s:s, s:s, s:s}", "level", level == DOCTOR_BAD ? "bad" : "warning",
		"what", what, "do", remedy);
	if (json_array_append_new(json_object_get(d->report, "problems"), problem) < 0)
		return err_sys(e, ENOMEM, "doctor");
	d->failed = d->failed || level == DOCTOR_BAD;
	return 0;
}

/* The less, the sooner: what is broken has no date. */
static int64_t
urgency(const json_t *problem)
{
	const json_t *left = json_object_get(problem, "seconds_left");

	if (strcmp(json_string_value(json_object_get(problem, "level")), "bad") != 0)
		return INT64_MAX;
	return left ? json_integer_value(left) : INT64_MIN;
}

int
doctor_sort(struct doctor *d, struct err *e)
{
	const json_t *problems = json_object_get(d->report, "problems");
	json_t *sorted = json_array(), *problem;
	size_t i;

	json_array_foreach (problems, i, problem) {
		size_t at = json_array_size(sorted);

		while (at > 0 && urgency(json_array_get(sorted, at - 1)) > urgency(problem))
			at--;
		if (json_array_insert(sorted, at, problem) < 0)
			break;
	}
	if (i < json_array_size(problems) || json_object_set_new(d->report, "problems", sorted) < 0)
		return err_sys(e, ENOMEM, "doctor");
	return 0;
}

const struct doctor_key *
doctor_key_find(const struct doctor *d, const char *id)
{
	for (size_t i = 0; i < d->key_count; i++) {
		if (strcmp(d->keys[i].id, id) == 0)
			return &d->keys[i];
	}
	return NULL;
}

const char *
doctor_key_name(const struct doctor *d, const char *id, char *out)
{
	const struct doctor_key *k = doctor_key_find(d, id);

	if (k)
		(void)snprintf(out, NAME_MAX + 1, "%s", k->name);
	else
		(void)snprintf(out, NAME_MAX + 1, "%.8s...", id);
	return out;
}

const char *
doctor_span(int64_t seconds, char out[DOCTOR_SPAN_SIZE])
{
	static const struct {
		const char *name;
		int64_t s;
	} units[] = {{"days", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
	size_t i = 0;

	while (i < 3 && seconds < 2 * units[i].s)
		i++;
	(void)snprintf(
		out, DOCTOR_SPAN_SIZE, "%" PRId64 " %s", seconds / units[i].s, units[i].name);
	return out;
}

static int
remove_one(void *arg, const char *name, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	if (path_join(path, sizeof(path), arg, name, e) < 0 || lstat(path, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode)) {
		(void)dir_each(path, FOLDER_ENTRIES_MAX, remove_one, path, NULL);
		(void)rmdir(path);
	} else {
		(void)unlink(path);
	}
	return 0;
}

void
doctor_scratch_free(struct scratch *s)
{
	if (!s->dir[0])
		return;
	(void)dir_each(s->dir, FOLDER_ENTRIES_MAX, remove_one, s->dir, NULL);
	(void)rmdir(s->dir);
	s->dir[0] = '\0';
}

int
doctor_scratch(struct scratch *out, struct err *e)
{
	const char *parent = getenv("TMPDIR");
	char path[PATH_MAX];

	if (path_join(path, sizeof(path), parent && *parent ? parent : "/tmp",
		    "sluice-doctor.XXXXXX", e) < 0)
		return -1;
	if (!mkdtemp(path))
		return err_sys(e, errno, "making the folder %s", path);
	(void)snprintf(out->dir, sizeof(out->dir), "%s", path);
	return 0;
}
