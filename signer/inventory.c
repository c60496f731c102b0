#include "signer/inventory.h"

#include <errno.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/format/field.h"
#include "common/format/path_set.h"
#include "signer/csv.h"

/* What a column is for; TAG is any other. */
enum column { NAME, COMPATIBLE, VERSION, RUNNING, TAG };

static const char *const columns[] = {[NAME] = "name",
	[COMPATIBLE] = "compatible",
	[VERSION] = "version",
	[RUNNING] = "running_sha256"};

struct inventory {
	struct csv *csv;
	struct path_set *seen;
	size_t count, at[TAG]; /* where the columns above stand; count where they do not */
	enum column kinds[CSV_FIELDS_MAX];
	char *tag_names[CSV_FIELDS_MAX];
	/* The tags of the box before, and their texts: most boxes are like it. */
	json_t *tags;
	struct buf tag_texts;
};

static void
inventory_end(struct inventory *i)
{
	csv_close(&i->csv);
	path_set_free(&i->seen);
	for (size_t c = 0; c < i->count; c++)
		free(i->tag_names[c]);
	json_decref(i->tags);
	buf_free(&i->tag_texts);
}

static enum column
column_kind(const char *name)
{
	for (size_t kind = 0; kind < ARRAY_LEN(columns); kind++) {
		if (strcmp(columns[kind], name) == 0)
			return (enum column)kind;
	}
	return TAG;
}

static int
column_read(struct inventory *i, size_t c, struct err *e)
{
	const char *name = csv_field(i->csv, c);

	if (!field_is_tag(name, strlen(name)))
		return csv_error(i->csv, e, "column %zu: a name is 1 to %d bytes of text", c + 1,
			NAME_BYTES_MAX);
	for (size_t other = 0; other < c; other++) {
		if (strcmp(csv_field(i->csv, other), name) == 0)
			return csv_error(i->csv, e, "two columns are called %s", name);
	}
	i->kinds[c] = column_kind(name);
	if (i->kinds[c] != TAG)
		i->at[i->kinds[c]] = c;
	i->tag_names[c] = strdup(name);
	return i->tag_names[c] ? 0 : err_sys(e, ENOMEM, "%s", name);
}

static int
header_read(struct inventory *i, struct err *e)
{
	bool record = false;

	if (csv_next(i->csv, &record, e) < 0)
		return -1;
	if (!record)
		return csv_error(i->csv, e, "nothing is in this file");
	i->count = csv_count(i->csv);
	for (size_t kind = 0; kind < TAG; kind++)
		i->at[kind] = i->count;
	for (size_t c = 0; c < i->count; c++) {
		if (column_read(i, c, e) < 0)
			return -1;
	}
	for (size_t kind = NAME; kind <= COMPATIBLE; kind++) {
		if (i->at[kind] == i->count)
			return csv_error(i->csv, e,
				"no column is called %s; the first line has to be like "
				"name,compatible,version,site",
				columns[kind]);
	}
	return 0;
}

/* "" where the column is not there. */
static const char *
value_of(const struct inventory *i, enum column kind)
{
	return i->at[kind] < i->count ? csv_field(i->csv, i->at[kind]) : "";
}

static int
tags_make(struct inventory *i, struct err *e)
{
	AUTO_JSON json_t *tags = json_object();

	for (size_t c = 0; c < i->count; c++) {
		const char *value = csv_field(i->csv, c);

		if (i->kinds[c] != TAG || !*value)
			continue;
		if (!field_is_tag(value, strlen(value)))
			return csv_error(i->csv, e, "%s: a tag's value is up to %d bytes of text",
				i->tag_names[c], NAME_BYTES_MAX);
		if (json_object_set_new(tags, i->tag_names[c], json_string(value)) < 0)
			return err_sys(e, ENOMEM, "reading tags");
	}
	json_decref(i->tags);
	i->tags = TAKE_PTR(tags);
	return 0;
}

static int
tags_read(struct inventory *i, struct err *e)
{
	AUTO_BUF struct buf texts = BUF_INIT(2 * CSV_RECORD_BYTES_MAX);

	for (size_t c = 0; c < i->count; c++) {
		const char *value = i->kinds[c] == TAG ? csv_field(i->csv, c) : "";

		if (buf_append(&texts, value, strlen(value) + 1, e) < 0)
			return -1;
	}
	if (i->tags && span_equal(buf_span(&texts), buf_span(&i->tag_texts)))
		return 0;
	if (tags_make(i, e) < 0)
		return -1;
	buf_free(&i->tag_texts);
	i->tag_texts = texts;
	texts = BUF_INIT(0);
	return 0;
}

static int
name_check(struct inventory *i, const char *name, struct err *e)
{
	if (!name_is_plain(name) || strlen(name) > NAME_BYTES_MAX)
		return csv_error(i->csv, e, "'%.80s' is not a box's name", name);
	if (path_set_has(i->seen, name))
		return csv_error(i->csv, e, "%s is there twice", name);
	return path_set_add(i->seen, name, e);
}

static int
box_read(struct inventory *i, struct digest *running, struct fleet_member *out, struct err *e)
{
	const char *name = value_of(i, NAME), *compatible = value_of(i, COMPATIBLE),
		   *version = value_of(i, VERSION), *hex = value_of(i, RUNNING);
	struct err why = ERR_INIT;

	if (csv_count(i->csv) != i->count)
		return csv_error(i->csv, e, "%zu fields where the first line has %zu",
			csv_count(i->csv), i->count);
	if (name_check(i, name, e) < 0)
		return -1;
	if (*compatible && (!name_is_plain(compatible) || strlen(compatible) > NAME_BYTES_MAX))
		return csv_error(i->csv, e, "'%.80s' is not a class of hardware", compatible);
	if (*version &&
		(strlen(version) > VERSION_BYTES_MAX || !field_is_tag(version, strlen(version))))
		return csv_error(i->csv, e, "'%.80s' is not a version", version);
	if (*hex && digest_parse(hex, running, &why) < 0)
		return csv_error(i->csv, e, "running_sha256: %.160s", why.text);
	if (tags_read(i, e) < 0)
		return -1;
	*out = (struct fleet_member){.facts = {.id = name,
					     .compatible = compatible,
					     .tags = i->tags,
					     .version = version,
					     .running = {*hex ? running : NULL}},
		.running = hex,
		.linked = "",
		.plan = ""};
	return 0;
}

int
inventory_each(const char *path,
	int (*each)(void *arg, const struct fleet_member *m, struct err *e), void *arg,
	struct err *e)
{
	CLEANUP(inventory_end)
	struct inventory i = {.tag_texts = BUF_INIT(2 * CSV_RECORD_BYTES_MAX)};
	struct fleet_member m;
	struct digest running;
	bool record = true;
	int rc = 0;

	if (csv_open(path, &i.csv, e) < 0 || path_set_new(&i.seen, e) < 0 || header_read(&i, e) < 0)
		return -1;
	while (rc == 0) {
		if (csv_next(i.csv, &record, e) < 0)
			return -1;
		if (!record)
			break;
		rc = box_read(&i, &running, &m, e) < 0 ? -1 : each(arg, &m, e);
	}
	return rc;
}
