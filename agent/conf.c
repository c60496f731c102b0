#include "agent/conf.h"

#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <string.h>

#include "agent/conf_rules.h"
#include "agent/conf_values.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "common/format/field.h"

enum value_kind {
	VALUE_NAME,	/* char[NAME_BYTES_MAX + 1] */
	VALUE_TEXT,	/* char * */
	VALUE_PATH,	/* char *, absolute */
	VALUE_PLAN,	/* char *, rollouts/NAME.json */
	VALUE_URL,	/* char *, ends in '/' */
	VALUE_URLS,	/* char *, several of them with blanks between */
	VALUE_DURATION, /* uint64_t, seconds */
	VALUE_COUNT,	/* uint64_t */
	VALUE_BOOL,	/* bool; no, where it is not said */
	VALUE_PROXY,	/* char *, as VALUE_URL, of a host and a port */
	VALUE_RATE,	/* uint64_t, bytes */
	VALUE_HOURS,	/* struct window: its hours */
	VALUE_DAYS,	/* struct window: its days */
};

/* One word that agent.conf may say, where it goes, and between what it must be. */
struct key {
	const char *section, *name;
	enum value_kind kind;
	bool required;
	size_t offset;
	uint64_t min, max, preset;
};

#define FIELD(f) offsetof(struct conf, f)
#define TEXT(section, name, kind, f)                                                               \
	{                                                                                          \
		section, name, kind, false, FIELD(f), 0, 0, 0                                      \
	}
#define MUST(section, name, kind, f)                                                               \
	{                                                                                          \
		section, name, kind, true, FIELD(f), 0, 0, 0                                       \
	}
#define TIME(section, name, f, preset_s)                                                           \
	{                                                                                          \
		section, name, VALUE_DURATION, false, FIELD(f), 1, CONF_SPAN_MAX_S, preset_s       \
	}
#define COUNT(section, name, f, max, preset)                                                       \
	{                                                                                          \
		section, name, VALUE_COUNT, false, FIELD(f), 1, max, preset                        \
	}
static const struct key KEYS[] = {
	MUST("box", "id", VALUE_NAME, id),
	MUST("box", "compatible", VALUE_NAME, compatible),
	MUST("box", "state_dir", VALUE_PATH, state_dir),
	TEXT("box", "plan", VALUE_PLAN, plan),
	TEXT("box", "report_key", VALUE_PATH, report_key),
	TEXT("box", "trust_clock", VALUE_BOOL, trust_clock),
	TEXT("site", "url", VALUE_URL, site_url),
	TEXT("site", "mirrors", VALUE_URLS, mirrors),
	TEXT("site", "targets_url", VALUE_URL, targets_url),
	TEXT("site", "report_url", VALUE_URL, report_url),
	TEXT("site", "proxy", VALUE_PROXY, proxy),
	TEXT("site", "ca", VALUE_PATH, tls_ca),
	TEXT("site", "cert", VALUE_PATH, tls_cert),
	TEXT("site", "key", VALUE_PATH, tls_key),
	TEXT("site", "run_as", VALUE_TEXT, run_as),
	TEXT("boot", "backend", VALUE_TEXT, boot_backend),
	TEXT("boot", "file", VALUE_PATH, boot_file),
	TEXT("boot", "cmdline", VALUE_PATH, boot_cmdline),
	TEXT("boot", "entry_a", VALUE_TEXT, boot_entry_a),
	TEXT("boot", "entry_b", VALUE_TEXT, boot_entry_b),
	COUNT("boot", "tries", boot_tries, 100, 3),
	TEXT("boot", "reboot", VALUE_TEXT, reboot),
	TEXT("boot", "trial_note", VALUE_PATH, boot_trial_note),
	TEXT("health", "dir", VALUE_PATH, health_dir),
	TIME("health", "timeout", health_timeout_s, 60),
	TIME("health", "deadline", confirm_deadline_s, 900),
	TIME("health", "prompt", prompt_s, 120),
	TEXT("hooks", "dir", VALUE_PATH, hooks_dir),
	TEXT("inhibit", "dir", VALUE_PATH, inhibit_dir),
	TEXT("watchdog", "device", VALUE_PATH, watchdog_device),
	{"watchdog", "timeout", VALUE_DURATION, false, FIELD(watchdog_timeout_s),
		WATCHDOG_TIMEOUT_MIN_S, WATCHDOG_TIMEOUT_MAX_S, 60},
	TEXT("watchdog", "always", VALUE_BOOL, watchdog_always),
	TIME("intervals", "poll", poll_s, 900),
	TIME("intervals", "stop_poll", stop_poll_s, 60),
	TIME("intervals", "retry_max", retry_max_s, 3600),
	TIME("intervals", "stall", stall_s, 60),
	{"audit", "interval", VALUE_DURATION, false, FIELD(audit_s), 0, CONF_SPAN_MAX_S,
		7 * 24 * 3600},
	{"downloads", "rate", VALUE_RATE, false, FIELD(rate), NET_RATE_MIN, INT32_MAX, 0},
	TEXT("downloads", "hours", VALUE_HOURS, downloads),
	TEXT("downloads", "days", VALUE_DAYS, downloads),
	COUNT("limits", "inconclusive", inconclusive_max, 1000, 3),
};

enum slot_key { SLOT_TYPE, SLOT_A, SLOT_B, SLOT_CURRENT, SLOT_READ_ONLY, SLOT_KEYS };
static const char *const SLOT_KEY_NAMES[SLOT_KEYS] = {"type", "a", "b", "current", "read_only"};
static const char *const SLOT_PREFIX = "slot ";

struct section {
	char name[INI_NAME_MAX + 1];
	unsigned line;
};

/* Where reading stands. failed: *e says why, with the line. */
struct reading {
	const char *path;
	struct span text;
	size_t at;
	unsigned line;
	struct conf *conf;
	size_t section_count;
	struct section sections[CONF_SECTIONS_MAX];
	bool seen[ARRAY_LEN(KEYS)], slot_seen[SLOT_CLASSES_MAX][SLOT_KEYS];
	struct err *e;
	bool failed;
};

void
conf_free(struct conf *c)
{
	json_decref(c->tags);
	for (size_t i = 0; i < c->class_count; i++) {
		free(c->classes[i].path[SIDE_A]);
		free(c->classes[i].path[SIDE_B]);
		free(c->classes[i].current);
	}
	for (size_t i = 0; i < ARRAY_LEN(KEYS); i++) {
		enum value_kind kind = KEYS[i].kind;

		if (kind != VALUE_NAME && kind != VALUE_DURATION && kind != VALUE_COUNT &&
			kind != VALUE_BOOL && kind != VALUE_RATE && kind != VALUE_HOURS &&
			kind != VALUE_DAYS)
			free(*(char **)(void *)((char *)c + KEYS[i].offset));
	}
	*c = (struct conf){0};
}

static int
value_set(struct conf *c, const struct key *k, const char *value, struct err *e)
{
	void *field = (char *)c + k->offset;
	uint64_t n;

	switch (k->kind) {
	case VALUE_NAME:
		return value_name(field, value, e);
	case VALUE_TEXT:
		return value_text(field, value, e);
	case VALUE_PATH:
		return value_path(field, value, e);
	case VALUE_PLAN:
		return value_plan(field, value, e);
	case VALUE_URL:
		return value_url(field, value, e);
	case VALUE_URLS:
		return value_urls(field, value, e);
	case VALUE_DURATION:
		if (num_parse_duration(value, k->max, &n, e) < 0)
			return -1;
		if (n < k->min)
			return err_set(e, ERR_USAGE, "%s is less than %llus", value,
				(unsigned long long)k->min);
		*(uint64_t *)field = n;
		return 0;
	case VALUE_COUNT:
		return num_parse(value, k->min, k->max, field, e);
	case VALUE_BOOL:
		return value_bool(field, value, e);
	case VALUE_PROXY:
		return value_proxy(field, value, e);
	case VALUE_RATE:
		return value_size(field, value, k->min, k->max, e);
	case VALUE_HOURS:
		return value_hours(field, value, e);
	case VALUE_DAYS:
		return value_days(field, value, e);
	}
	return -1;
}

static int
type_set(struct slot_class *class, const char *value, struct err *e)
{
	static const char *const names[] = {"block", "file", "dir"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			class->type = (enum slot_type)i;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, "\"%s\" is not a slot type: block, file or dir", value);
}

static int
slot_value_set(struct slot_class *class, enum slot_key key, const char *value, struct err *e)
{
	switch (key) {
	case SLOT_TYPE:
		return type_set(class, value, e);
	case SLOT_A:
		return value_path(&class->path[SIDE_A], value, e);
	case SLOT_B:
		return value_path(&class->path[SIDE_B], value, e);
	case SLOT_CURRENT:
		return value_path(&class->current, value, e);
	default:
		return value_bool(&class->read_only, value, e);
	}
}

static int
slot_key_read(struct reading *r, const char *class_name, const char *name, const char *value)
{
	size_t class = 0, key = 0;

	/* section_begin() has made the class. */
	while (strcmp(r->conf->classes[class].name, class_name) != 0)
		class ++;
	while (key < SLOT_KEYS && strcmp(SLOT_KEY_NAMES[key], name) != 0)
		key++;
	if (key == SLOT_KEYS)
		return err_set(r->e, ERR_USAGE,
			"unknown key; a slot has type, a, b, current and read_only");
	if (r->slot_seen[class][key])
		return err_set(r->e, ERR_USAGE, "given twice");
	r->slot_seen[class][key] = true;
	return slot_value_set(&r->conf->classes[class], (enum slot_key)key, value, r->e);
}

static int
tag_read(struct reading *r, const char *name, const char *value)
{
	if (json_object_get(r->conf->tags, name))
		return err_set(r->e, ERR_USAGE, "given twice");
	/* What a report may not say would keep all of a box's reports from being read. */
	if (!name_is_plain(name) || !field_is_tag(name, strlen(name)) ||
		!field_is_tag(value, strlen(value)))
		return err_set(r->e, ERR_USAGE,
			"a tag is a plain name and a text in UTF-8, each of up to %d bytes",
			NAME_BYTES_MAX);
	if (json_object_size(r->conf->tags) == FIELD_TAGS_MAX)
		return err_set(r->e, ERR_USAGE, "more than %d tags", FIELD_TAGS_MAX);
	if (json_object_set_new(r->conf->tags, name, json_string(value)) < 0)
		return err_sys(r->e, ENOMEM, "tag %s", name);
	return 0;
}

static int
key_read(struct reading *r, const char *section, const char *name, const char *value)
{
	if (value[0] == 0)
		return err_set(r->e, ERR_USAGE, "no value");
	if (strncmp(section, SLOT_PREFIX, strlen(SLOT_PREFIX)) == 0)
		return slot_key_read(r, section + strlen(SLOT_PREFIX), name, value);
	if (strcmp(section, "tags") == 0)
		return tag_read(r, name, value);
	for (size_t i = 0; i < ARRAY_LEN(KEYS); i++) {
		if (strcmp(KEYS[i].section, section) != 0 || strcmp(KEYS[i].name, name) != 0)
			continue;
		if (r->seen[i])
			return err_set(r->e, ERR_USAGE, "given twice");
		r->seen[i] = true;
		return value_set(r->conf, &KEYS[i], value, r->e);
	}
	return err_set(r->e, ERR_USAGE, "unknown key");
}

/* An ini_handler: 1 to go on. */
static int
handle(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;

	if (r->failed)
		return 1;
	if (section[0] == 0)
		err_set(r->e, ERR_USAGE, "%s:%u: %s stands before the first [section]", r->path,
			r->line, name);
	else if (strlen(name) > INI_NAME_MAX)
		err_set(r->e, ERR_USAGE, "%s:%u: the key is longer than %d characters", r->path,
			r->line, INI_NAME_MAX);
	else if (key_read(r, section, name, value) == 0)
		return 1;
	else
		err_context(r->e, "%s:%u: [%s] %s", r->path, r->line, section, name);
	r->e->class = ERR_USAGE;
	r->failed = true;
	return 1;
}

static int
class_begin(struct conf *c, const char *name, struct err *e)
{
	if (c->class_count == SLOT_CLASSES_MAX)
		return err_set(e, ERR_USAGE, "more than %d slot classes", (int)SLOT_CLASSES_MAX);
	if (value_name(c->classes[c->class_count].name, name, e) < 0)
		return -1;
	c->class_count++;
	return 0;
}

static bool
section_is_known(const char *name)
{
	if (strcmp(name, "tags") == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(KEYS); i++) {
		if (strcmp(KEYS[i].section, name) == 0)
			return true;
	}
	return false;
}

static int
section_begin(struct reading *r, const char *name, size_t len)
{
	struct section *s = &r->sections[r->section_count];

	if (len > INI_NAME_MAX)
		return err_set(
			r->e, ERR_USAGE, "the section's name is longer than %d", INI_NAME_MAX);
	if (r->section_count == CONF_SECTIONS_MAX)
		return err_set(r->e, ERR_USAGE, "more than %d sections", (int)CONF_SECTIONS_MAX);
	memcpy(s->name, name, len);
	s->name[len] = 0;
	for (size_t i = 0; i < r->section_count; i++) {
		if (strcmp(r->sections[i].name, s->name) == 0)
			return err_set(r->e, ERR_USAGE, "[%s] stands at line %u already", s->name,
				r->sections[i].line);
	}
	s->line = r->line;
	r->section_count++;
	if (strncmp(s->name, SLOT_PREFIX, strlen(SLOT_PREFIX)) == 0)
		return class_begin(r->conf, s->name + strlen(SLOT_PREFIX), r->e);
	if (!section_is_known(s->name))
		return err_set(r->e, ERR_USAGE, "unknown section [%s]", s->name);
	return 0;
}

/* What inih lets through without telling its handler: sections as such, continued lines, and bytes
 * that are no text. */
static int
line_check(struct reading *r, const char *line, size_t len)
{
	const char *end = memchr(line, ']', len);

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if ((c < 0x20 && c != '\t' && !(c == '\r' && i + 1 == len)) || c == 0x7f)
			return err_set(r->e, ERR_USAGE, "a control character");
	}
	if ((line[0] == ' ' || line[0] == '\t') && strspn(line, " \t\r\n") < len)
		return err_set(r->e, ERR_USAGE, "the line starts with a blank");
	if (line[0] == '[' && end)
		return section_begin(r, line + 1, (size_t)(end - line) - 1);
	return 0;
}

/* An ini_reader: gives the next line as fgets() does. */
static char *
next_line(char *out, int size, void *arg)
{
	struct reading *r = arg;
	const char *line = (const char *)r->text.data + r->at, *end;
	size_t left = r->text.len - r->at, len;

	if (left == 0 || r->failed)
		return NULL;
	r->line++;
	end = memchr(line, '\n', left);
	len = end ? (size_t)(end - line) : left;
	r->at += end ? len + 1 : len;
	if (len + 2 > (size_t)size)
		err_set(r->e, ERR_USAGE, "the line is longer than %d bytes", size - 2);
	else if (line_check(r, line, len) == 0) {
		memcpy(out, line, len);
		out[len] = '\n';
		out[len + 1] = 0;
		return out;
	}
	err_context(r->e, "%s:%u", r->path, r->line);
	r->e->class = ERR_USAGE;
	r->failed = true;
	return NULL;
}

/* Where a section starts, or the last line where there is none. */
static unsigned
section_line(const struct reading *r, const char *name)
{
	for (size_t i = 0; i < r->section_count; i++) {
		if (strcmp(r->sections[i].name, name) == 0)
			return r->sections[i].line;
	}
	return r->line;
}

/* For what is wrong with a section as a whole: a conf_complain_fn. */
static int
complain(const void *arg, const char *section, const char *what, struct err *e)
{
	const struct reading *r = arg;

	return err_set(
		e, ERR_USAGE, "%s:%u: [%s] %s", r->path, section_line(r, section), section, what);
}

static int
keys_finish(struct reading *r)
{
	for (size_t i = 0; i < ARRAY_LEN(KEYS); i++) {
		const struct key *k = &KEYS[i];

		if (r->seen[i])
			continue;
		if (k->required)
			return err_set(r->e, ERR_USAGE, "%s:%u: [%s] %s is missing", r->path,
				section_line(r, k->section), k->section, k->name);
		if (k->kind == VALUE_DURATION || k->kind == VALUE_COUNT)
			*(uint64_t *)(void *)((char *)r->conf + k->offset) = k->preset;
	}
	return 0;
}

static int
slot_keys_finish(const struct reading *r)
{
	for (size_t i = 0; i < r->conf->class_count; i++) {
		char section[INI_NAME_MAX + NAME_BYTES_MAX];

		(void)snprintf(
			section, sizeof(section), "%s%s", SLOT_PREFIX, r->conf->classes[i].name);
		for (size_t key = SLOT_TYPE; key <= SLOT_B; key++) {
			if (!r->slot_seen[i][key])
				return complain(r, section, "needs type, a and b", r->e);
		}
	}
	return 0;
}

static int
conf_parse(struct reading *r)
{
	int bad_line;

	r->conf->tags = json_object();
	if (!r->conf->tags)
		return err_sys(r->e, ENOMEM, "reading %s", r->path);
	bad_line = ini_parse_stream(next_line, r, handle, r);
	if (r->failed)
		return -1;
	if (bad_line < 0)
		return err_sys(r->e, ENOMEM, "reading %s", r->path);
	if (bad_line > 0)
		return err_set(r->e, ERR_USAGE, "%s:%d: neither a [section] nor KEY = VALUE",
			r->path, bad_line);
	if (keys_finish(r) < 0 || slot_keys_finish(r) < 0)
		return -1;
	return conf_rules_check(r->conf, complain, r, r->e);
}

int
conf_load(const char *path, struct conf *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(CONF_BYTES_MAX);
	AUTO_FREE struct reading *r = calloc(1, sizeof(*r));
	AUTO_CONF struct conf c = {0};
	struct err local = ERR_INIT;

	if (!r)
		return err_sys(e, ENOMEM, "reading %s", path);
	if (file_read_regular(path, &text, e) < 0)
		return err_context(e, "the configuration (-c FILE names another one)");
	*r = (struct reading){
		.path = path, .text = buf_span(&text), .conf = &c, .e = e ? e : &local};
	if (conf_parse(r) < 0)
		return -1;
	*out = c;
	c = (struct conf){0};
	return 0;
}

const struct slot_class *
conf_class(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->class_count; i++) {
		if (strcmp(c->classes[i].name, name) == 0)
			return &c->classes[i];
	}
	return NULL;
}

const char *
side_name(enum side s)
{
	return s == SIDE_A ? "A" : "B";
}
