#include "signer/yaml.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/text.h"
#include "common/limits.h"
#include "signer/yaml_node.h"

/* A document in the making: the open collections, innermost last. The library's own tree builder is
 * not used, so that depth and number of nodes are bounded before anything is kept. */
struct builder {
	struct yaml *doc;
	struct span bytes; /* all of the file; borrowed */
	struct yaml_node *open[YAML_DEPTH_MAX];
	struct yaml_node *key; /* of the innermost mapping, waiting for its value; owned */
	size_t depth, nodes;
	unsigned documents;
};

static void
builder_free(struct builder *b)
{
	yaml_node_free(b->key);
	yaml_free(&b->doc);
}

static void
parser_free(struct fy_parser **p)
{
	if (*p)
		fy_parser_destroy(*p);
}

static void
diag_free(struct fy_diag **d)
{
	if (*d)
		fy_diag_destroy(*d);
}

/* The first byte that is no text: broken UTF-8 or a control character, a carriage return without
 * its line feed among them. len when all is well. */
static size_t
text_span(const uint8_t *p, size_t len)
{
	size_t at = 0;

	while (at < len) {
		uint32_t c = 0;
		size_t size = text_utf8_next(p + at, len - at, &c);
		bool blank =
			c == '\t' || c == '\n' || (c == '\r' && at + 1 < len && p[at + 1] == '\n');

		if (size == 0 || (c < 0x20 && !blank) || (c >= 0x7f && c < 0xa0))
			break;
		at += size;
	}
	return at;
}

/* The library never sees a byte that is no text: YAML forbids them all, and messages quote text. */
static int
text_check(struct span bytes, const char *name, struct err *e)
{
	size_t bad = text_span(bytes.data, bytes.len), line = 1, start = 0;

	if (bad == bytes.len)
		return 0;
	for (size_t i = 0; i < bad; i++) {
		if (bytes.data[i] == '\n') {
			line++;
			start = i + 1;
		}
	}
	return err_set(e, ERR_MALFORMED,
		"%s:%zu:%zu: byte 0x%02x is not UTF-8 text; save the file as UTF-8 or remove it",
		name, line, bad - start + 1, bytes.data[bad]);
}

static int
blank_lines_check(struct span bytes, const char *name, struct err *e)
{
	size_t line = 1, blank = 0;
	bool empty = true;

	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t c = bytes.data[i];

		if (c == '\n') {
			blank = empty ? blank + 1 : 0;
			empty = true;
			line++;
		} else if (c != ' ' && c != '\t' && c != '\r') {
			empty = false;
		}
		if (blank > YAML_BLANK_LINES_MAX)
			return err_set(e, ERR_MALFORMED, "%s:%zu:1: more than %d blank lines", name,
				line, YAML_BLANK_LINES_MAX);
	}
	return 0;
}

static int __attribute__((format(printf, 4, 5)))
token_error(const struct yaml *y, struct fy_token *t, struct err *e, const char *format, ...)
{
	const struct fy_mark *m = t ? fy_token_start_mark(t) : NULL;
	va_list args;

	va_start(args, format);
	(void)yaml_place_error(y->name, m ? (unsigned)m->line + 1 : 0,
		m ? (unsigned)m->column + 1 : 0, e, format, args);
	va_end(args);
	return -1;
}

static struct yaml_node *
node_new(enum node_kind kind, struct fy_token *t)
{
	const struct fy_mark *m = t ? fy_token_start_mark(t) : NULL;
	struct yaml_node *n = calloc(1, sizeof(*n));

	if (n) {
		n->kind = kind;
		n->line = m ? (unsigned)m->line + 1 : 0;
		n->column = m ? (unsigned)m->column + 1 : 0;
	}
	return n;
}

static int
no_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, "out of memory while reading YAML");
}

/* Doubles an array of pointers. */
static int
pointers_grow(struct yaml_node ***array, size_t capacity)
{
	struct yaml_node **bigger = reallocarray(*array, capacity, sizeof(void *));

	if (!bigger)
		return -1;
	*array = bigger;
	return 0;
}

static int
node_grow(struct yaml_node *n, struct err *e)
{
	size_t capacity = n->capacity ? 2 * n->capacity : 8;

	if (n->count < n->capacity)
		return 0;
	if (pointers_grow(&n->members, capacity) < 0 ||
		(n->kind == NODE_MAP && pointers_grow(&n->keys, capacity) < 0))
		return no_memory(e);
	n->capacity = capacity;
	return 0;
}

static int
builder_take_key(struct builder *b, struct yaml_node *map, struct yaml_node *key, struct err *e)
{
	if (key->kind != NODE_SCALAR)
		return yaml_error(b->doc, key, e, "a key must be a word");
	if (map->count == YAML_KEYS_MAX)
		return yaml_error(
			b->doc, key, e, "more than %d keys in one mapping", YAML_KEYS_MAX);
	for (size_t i = 0; i < map->count; i++) {
		if (strcmp(map->keys[i]->text, key->text) == 0)
			return yaml_error(b->doc, key, e, "'%.*s' is there already, in line %u",
				YAML_KEY_SHOWN, key->text, map->keys[i]->line);
	}
	b->key = key;
	return 0;
}

/* A value that is missing has its mark behind blank lines, so it is named by its key's place. */
static void
builder_key_use(struct builder *b, struct yaml_node *map, struct yaml_node *value)
{
	if (value->kind == NODE_SCALAR && value->plain && value->text[0] == '\0') {
		value->line = b->key->line;
		value->column = b->key->column;
	}
	map->keys[map->count] = TAKE_PTR(b->key);
}

/* Puts n where the document has come to. n is taken over in every case. */
static int
builder_put(struct builder *b, struct yaml_node *n, struct err *e)
{
	struct yaml_node *in = b->depth ? b->open[b->depth - 1] : NULL;
	int result = 0;

	if (++b->nodes > YAML_NODES_MAX)
		result =
			yaml_error(b->doc, n, e, "more than %d values in one file", YAML_NODES_MAX);
	else if (in && in->kind == NODE_MAP && !b->key)
		result = builder_take_key(b, in, n, e);
	else if (in && (result = node_grow(in, e)) == 0) {
		if (in->kind == NODE_MAP)
			builder_key_use(b, in, n);
		in->members[in->count++] = n;
	} else if (!in) {
		b->doc->root = n;
	}
	if (result < 0)
		yaml_node_free(n);
	return result;
}

static int
builder_plain_only(struct builder *b, struct fy_token *anchor, struct fy_token *tag, struct err *e)
{
	if (anchor)
		return token_error(
			b->doc, anchor, e, "anchors (&) are not for these files; write it out");
	if (tag)
		return token_error(b->doc, tag, e, "tags (!) are not for these files; remove it");
	return 0;
}

static int
builder_open(struct builder *b, enum node_kind kind, struct fy_token *start, struct err *e)
{
	struct yaml_node *n = node_new(kind, start);

	if (!n)
		return no_memory(e);
	if (b->depth == YAML_DEPTH_MAX) {
		yaml_node_free(n);
		return token_error(b->doc, start, e, "nested deeper than %d", YAML_DEPTH_MAX);
	}
	if (builder_put(b, n, e) < 0)
		return -1;
	b->open[b->depth++] = n;
	return 0;
}

static void
token_iter_free(struct fy_token_iter **i)
{
	if (*i)
		fy_token_iter_destroy(*i);
}

/* Piece by piece: fy_token_get_text() of libfyaml 0.7.12 leaks and cuts what it does not expect. */
static int
token_text(const struct yaml *y, struct fy_token *t, struct buf *out, struct err *e)
{
	CLEANUP(token_iter_free) struct fy_token_iter *i = fy_token_iter_create(t);
	const struct fy_iter_chunk *piece = NULL;
	int failed = 0;

	if (!i)
		return no_memory(e);
	while ((piece = fy_token_iter_chunk_next(i, piece, &failed))) {
		if (buf_append(out, piece->str, piece->len, e) < 0)
			return -1;
	}
	return failed ? token_error(y, t, e, "an escape in this text is wrong") : 0;
}

static bool
span_has(struct span bytes, const char *what)
{
	return bytes.len > 0 && memmem(bytes.data, bytes.len, what, strlen(what)) != NULL;
}

/* Refuses what libfyaml 0.7.12 reads otherwise than YAML says: it makes an apostrophe too many of
 * two that are written in a row, a blank of a line's end that is escaped behind a backslash, and
 * loses an empty line before lines that a folded text has further in. */
static int
scalar_check(const struct builder *b, struct fy_token *t, const struct buf *text, struct err *e)
{
	size_t from = fy_token_start_mark(t)->input_pos, to = fy_token_end_mark(t)->input_pos;
	struct span raw = span_of(b->bytes.data + from, to - from);

	switch (fy_token_scalar_style(t)) {
	case FYSS_SINGLE_QUOTED:
		if (span_has(raw, "''''") || span_has(raw, "''\n") || span_has(raw, "''\r"))
			return token_error(b->doc, t, e,
				"these apostrophes within apostrophes are not read right; put the "
				"text in double quotes");
		return 0;
	case FYSS_DOUBLE_QUOTED:
		if (span_has(raw, "\\\\\\\n") || span_has(raw, "\\\\\\\r\n"))
			return token_error(b->doc, t, e,
				"backslashes in a row are not read right at the end of a line; "
				"write the text in one line");
		return 0;
	case FYSS_FOLDED:
		if (span_has(buf_span(text), "\n "))
			return token_error(b->doc, t, e,
				"lines further in are not read right in a folded text; write | for "
				">");
		return 0;
	default:
		return 0;
	}
}

/* A new node, without a place in the document yet. */
static int
scalar_new(struct fy_token *value, const struct buf *text, struct yaml_node **out, struct err *e)
{
	struct yaml_node *n = node_new(NODE_SCALAR, value);
	enum fy_scalar_style style = value ? fy_token_scalar_style(value) : FYSS_PLAIN;

	if (!n || !(n->text = strdup(buf_str(text)))) {
		yaml_node_free(n);
		return no_memory(e);
	}
	n->plain = style == FYSS_PLAIN;
	if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && n->column > 1)
		n->column--; /* the library's mark is behind the quote */
	*out = n;
	return 0;
}

static int
builder_scalar(struct builder *b, const struct fy_event *event, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(SIZE_MAX / 2);
	struct fy_token *value = event->scalar.value;
	struct yaml_node *n = NULL;

	if (value &&
		(token_text(b->doc, value, &text, e) < 0 || scalar_check(b, value, &text, e) < 0))
		return -1;
	if (scalar_new(value, &text, &n, e) < 0)
		return -1;
	/* Escapes can spell what the file itself may not hold. */
	if (text_span(text.data, text.len) != text.len) {
		(void)yaml_error(b->doc, n, e, "an escape makes a control character here");
		yaml_node_free(n);
		return -1;
	}
	return builder_put(b, n, e);
}

static int
builder_event(struct builder *b, const struct fy_event *event, struct err *e)
{
	switch (event->type) {
	case FYET_DOCUMENT_START:
		if (++b->documents > 1)
			return token_error(b->doc, event->document_start.document_start, e,
				"a second document begins here; only one is read");
		return 0;
	case FYET_ALIAS:
		return token_error(b->doc, event->alias.anchor, e,
			"aliases (*) are not for these files; write it out, or put quotes round "
			"it");
	case FYET_SCALAR:
		if (builder_plain_only(b, event->scalar.anchor, event->scalar.tag, e) < 0)
			return -1;
		return builder_scalar(b, event, e);
	case FYET_SEQUENCE_START:
		if (builder_plain_only(
			    b, event->sequence_start.anchor, event->sequence_start.tag, e) < 0)
			return -1;
		return builder_open(b, NODE_LIST, event->sequence_start.sequence_start, e);
	case FYET_MAPPING_START:
		if (builder_plain_only(
			    b, event->mapping_start.anchor, event->mapping_start.tag, e) < 0)
			return -1;
		return builder_open(b, NODE_MAP, event->mapping_start.mapping_start, e);
	case FYET_SEQUENCE_END:
	case FYET_MAPPING_END:
		b->depth--;
		return 0;
	default:
		return 0;
	}
}

/* The library's first complaint, with its place. */
static int
parser_error(struct fy_diag *diag, const struct yaml *y, struct err *e)
{
	void *at = NULL;
	const struct fy_diag_error *found = fy_diag_errors_iterate(diag, &at);

	if (!found)
		return err_set(e, ERR_MALFORMED, "%s:1:1: this is not YAML", y->name);
	return err_set(e, ERR_MALFORMED, "%s:%d:%d: %.200s", y->name,
		found->line > 0 ? found->line : 1, found->column > 0 ? found->column : 1,
		found->msg ? found->msg : "this is not YAML");
}

static int
builder_run(struct builder *b, struct fy_parser *parser, struct fy_diag *diag, struct err *e)
{
	bool ended = false;

	while (!ended) {
		struct fy_event *event = fy_parser_parse(parser);
		int result;

		if (!event)
			return parser_error(diag, b->doc, e);
		ended = event->type == FYET_STREAM_END;
		result = builder_event(b, event, e);
		fy_parser_event_free(parser, event);
		if (result < 0)
			return -1;
	}
	if (!b->doc->root)
		return err_set(e, ERR_MALFORMED, "%s:1:1: nothing is in this file", b->doc->name);
	return 0;
}

/* Errors are collected, not printed; what the library would print for lack of memory is dropped. */
static void
diag_drop(struct fy_diag *diag, void *user, const char *text, size_t len)
{
	(void)diag;
	(void)user;
	(void)text;
	(void)len;
}

int
yaml_parse(struct span bytes, const char *name, struct yaml **out, struct err *e)
{
	struct fy_diag_cfg quiet;
	CLEANUP(builder_free) struct builder b = {.doc = calloc(1, sizeof(*b.doc)), .bytes = bytes};

	if (!b.doc || !(b.doc->name = strdup(name)))
		return no_memory(e);
	if (bytes.len == 0)
		return err_set(e, ERR_MALFORMED, "%s:1:1: nothing is in this file", name);
	if (text_check(bytes, name, e) < 0 || blank_lines_check(bytes, name, e) < 0)
		return -1;
	fy_diag_cfg_default(&quiet);
	quiet.fp = NULL;
	quiet.output_fn = diag_drop;
	CLEANUP(diag_free) struct fy_diag *diag = fy_diag_create(&quiet);
	if (!diag)
		return no_memory(e);
	fy_diag_set_collect_errors(diag, true);
	struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE |
					    FYPCF_DEFAULT_VERSION_1_2,
		.diag = diag};
	CLEANUP(parser_free) struct fy_parser *parser = fy_parser_create(&cfg);
	if (!parser || fy_parser_set_string(parser, (const char *)bytes.data, bytes.len) < 0)
		return no_memory(e);
	if (builder_run(&b, parser, diag, e) < 0)
		return -1;
	*out = TAKE_PTR(b.doc);
	return 0;
}

int
yaml_load(const char *path, size_t max, struct yaml **out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(max);

	if (file_read(path, &text, e) < 0)
		return -1;
	return yaml_parse(buf_span(&text), path, out, e);
}
