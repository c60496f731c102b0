#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/base/num.h"
#include "common/format/index.h"
#include "common/format/listing.h"
#include "common/format/pages.h"
#include "signer/bundle_file.h"
#include "signer/command.h"
#include "signer/show_metadata.h"
#include "signer/ui.h"

struct show_options {
	const char *file;
	bool json;
};

/* How a payload's chunks are stored. */
struct chunk_counts {
	uint64_t zero, raw, deflated;
};

/* What is shown. */
struct show {
	struct bundle_file b;
	struct digest identity; /* of the manifest's signed part */
	struct chunk_counts chunks[PAYLOADS_MAX];
};

static void
show_free(struct show *s)
{
	bundle_file_close(&s->b);
}

static int
options_parse(int argc, char **argv, struct show_options *o, struct err *e)
{
	static const struct option known[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
	int option;

	*o = (struct show_options){0};
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option != 'j')
			return err_set(
				e, ERR_USAGE, "'%s' is unknown; see --help", argv[optind - 1]);
		o->json = true;
	}
	if (optind != argc - 1)
		return err_set(e, ERR_USAGE, "give one FILE; see --help");
	o->file = argv[optind];
	return 0;
}

static int
check_described(const struct bundle_file *b, size_t i, struct err *e)
{
	static const enum member_role roles[] = {MEMBER_INDEX, MEMBER_SEALS, MEMBER_STORED};

	for (size_t r = 0; r < ARRAY_LEN(roles); r++) {
		if (bundle_check_member(b->fd, b->path, &b->layout, b->manifest, i, roles[r], e) <
			0)
			return -1;
	}
	return 0;
}

static int
count_chunks(const struct bundle_file *b, size_t i, struct chunk_counts *out, struct err *e)
{
	AUTO_INDEX struct index_reader *r = NULL;
	struct pages pages = bundle_file_pages(b, i);
	struct chunk c;
	bool more = true;

	if (check_described(b, i, e) < 0 ||
		index_open(b->fd, b->path, b->layout.offset[i][MEMBER_INDEX],
			&b->manifest->payloads[i], &r, e) < 0)
		return -1;
	for (uint64_t entry = 0;; entry++) {
		if (index_next(r, &c, &more, e) < 0)
			return -1;
		if (!more)
			return 0;
		if (pages_find(&pages, entry, &c, e) < 0)
			return err_context(e, "%s", b->path);
		if (c.store == CHUNK_ZERO_RUN)
			out->zero += c.size / CHUNK_BYTES;
		else if (c.store == CHUNK_RAW)
			out->raw++;
		else
			out->deflated++;
	}
}

static int
show_load(const char *file, struct show *s, struct err *e)
{
	uint64_t length;

	if (bundle_file_open(file, &s->b, e) < 0 ||
		listing_identity(s->b.document.body, &length, &s->identity, e) < 0)
		return -1;
	for (size_t i = 0; i < s->b.manifest->payload_count; i++) {
		if (count_chunks(&s->b, i, &s->chunks[i], e) < 0)
			return -1;
	}
	return 0;
}

/* The key ids that signatures name; nobody has checked them, so only what looks like one. */
static json_t *
signers(const struct show *s)
{
	const json_t *list = json_object_get(s->b.document.root, "signatures");
	json_t *out = json_array();

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id =
			json_string_value(json_object_get(json_array_get(list, i), "keyid"));
		struct digest d;

		if (id && digest_parse(id, &d, NULL) == 0)
			(void)json_array_append_new(out, json_string(id));
	}
	return out;
}

static json_t *
payload_json(const struct payload *p, const struct chunk_counts *c)
{
	char hex[DIGEST_HEX_SIZE];

	return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:{s:I, s:I, s:I}}", "name",
		p->name, "slot", p->slot_class, "kind", payload_kind_name(p->kind), "size",
		(json_int_t)p->size, "sha256", digest_hex(&p->digest, hex), "stored",
		(json_int_t)p->members[MEMBER_DATA].size, "hints",
		(json_int_t)p->members[MEMBER_HINTS].size, "cuts",
		(json_int_t)p->members[MEMBER_CUTS].size, "chunks", "zero", (json_int_t)c->zero,
		"raw", (json_int_t)c->raw, "deflated", (json_int_t)c->deflated);
}

static json_t *
show_json(const struct show *s)
{
	const struct manifest *m = s->b.manifest;
	AUTO_JSON json_t *compatible = json_array(), *payloads = json_array();
	char hex[DIGEST_HEX_SIZE];

	for (size_t i = 0; i < m->compatible_count; i++)
		(void)json_array_append_new(compatible, json_string(m->compatible[i]));
	for (size_t i = 0; i < m->payload_count; i++)
		(void)json_array_append_new(payloads, payload_json(&m->payloads[i], &s->chunks[i]));
	return json_pack("{s:s, s:s, s:I, s:I, s:O, s:I, s:I, s:s, s:{s:s, s:I}, s:O, s:o}", "name",
		m->name, "version", m->version, "format", (json_int_t)m->format, "rollback_index",
		(json_int_t)m->rollback_index, "compatible", compatible, "size",
		(json_int_t)s->b.layout.total_size, "head", (json_int_t)s->b.layout.head_size,
		"manifest_sha256", digest_hex(&s->identity, hex), "zlib", "version",
		m->zlib_version, "level", (json_int_t)m->zlib_level, "payloads", payloads,
		"signers", signers(s));
}

static int
print_json(const struct show *s, struct err *e)
{
	AUTO_JSON json_t *j = show_json(s);

	if (!j)
		return err_sys(e, ENOMEM, "showing %s", s->b.path);
	return ui_json_print(j, e);
}

static void
print_payload(const struct payload *p, const struct chunk_counts *c)
{
	char plain[NUM_HUMAN_SIZE], stored[NUM_HUMAN_SIZE], hex[DIGEST_HEX_SIZE];
	const struct member *hints = &p->members[MEMBER_HINTS], *cuts = &p->members[MEMBER_CUTS];

	(void)printf("\n%s: %s for slot %s\n", p->name, payload_kind_name(p->kind), p->slot_class);
	(void)printf("  size     %s, stored in %s\n", num_human_size(p->size, plain),
		num_human_size(p->members[MEMBER_DATA].size, stored));
	(void)printf("  chunks   %" PRIu64 " zero, %" PRIu64 " raw, %" PRIu64 " deflated\n",
		c->zero, c->raw, c->deflated);
	if (hints->present || cuts->present)
		(void)printf("  besides  %s of hints, %s of cuts, for boxes that have some of it\n",
			num_human_size(hints->size, plain), num_human_size(cuts->size, stored));
	(void)printf("  sha256   %s\n", digest_hex(&p->digest, hex));
}

static void
print_text(const struct show *s)
{
	AUTO_JSON json_t *ids = signers(s);
	const struct manifest *m = s->b.manifest;
	char total[NUM_HUMAN_SIZE], head[NUM_HUMAN_SIZE], hex[DIGEST_HEX_SIZE];

	(void)printf("%s %s, rollback index %" PRIu64 "\n", m->name, m->version, m->rollback_index);
	(void)printf("  for     ");
	for (size_t i = 0; i < m->compatible_count; i++)
		(void)printf(" %s", m->compatible[i]);
	(void)printf("\n  size     %s, of which head %s\n",
		num_human_size(s->b.layout.total_size, total),
		num_human_size(s->b.layout.head_size, head));
	(void)printf("  manifest %s\n", digest_hex(&s->identity, hex));
	for (size_t i = 0; i < m->payload_count; i++)
		print_payload(&m->payloads[i], &s->chunks[i]);
	(void)printf("\nsignatures, not checked (sluice verify does): %zu\n", json_array_size(ids));
	for (size_t i = 0; i < json_array_size(ids); i++)
		(void)printf("  %s\n", json_string_value(json_array_get(ids, i)));
}

static int
show_run(int argc, char **argv, struct err *e)
{
	CLEANUP(show_free) struct show s = {.b = BUNDLE_FILE_INIT};
	struct show_options o;

	if (options_parse(argc, argv, &o, e) < 0)
		return -1;
	if (show_is_metadata(o.file))
		return show_metadata(o.file, o.json, e);
	if (show_load(o.file, &s, e) < 0)
		return -1;
	if (o.json)
		return print_json(&s, e);
	print_text(&s);
	return 0;
}

const struct command cmd_show = {
	.name = "show",
	.summary = "what is in a bundle",
	.help = "usage: sluice show FILE [--json]\n"
		"\n"
		"Shows a bundle's name, version, payloads, sizes, how its chunks are stored, and\n"
		"the keys whose signatures it carries. Nothing but the layout of the file and its\n"
		"indexes is checked: what is shown is what the file says (see sluice verify).\n"
		"\n"
		"\n"
		"Of a file of TUF metadata it shows roles, files, expiry and signers; likewise\n"
		"without checking (see sluice doctor).\n"
		"\n"
		"  --json   the same for programs\n"
		"\n"
		"examples: sluice show gateway-2.4.0.ota\n"
		"          sluice show site/metadata/1.root.json\n",
	.run = show_run,
};
