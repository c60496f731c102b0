#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/envelope.h"
#include "common/format/codec.h"
#include "signer/bundle_file.h"
#include "signer/command.h"
#include "signer/output.h"
#include "signer/packer.h"
#include "signer/recipe.h"
#include "signer/threads.h"

struct pack_options {
	const char *recipe, *output;
	unsigned threads;
};

/* All payloads of a bundle, packed. */
struct pack {
	struct recipe *recipe;
	struct manifest *manifest;
	struct packed payloads[PAYLOADS_MAX];
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES];
	size_t count;
};

static void
pack_free(struct pack *p)
{
	for (size_t i = 0; i < p->count; i++)
		packed_free(&p->payloads[i]);
	free(p->recipe);
	free(p->manifest);
}

static int
options_parse(int argc, char **argv, struct pack_options *o, struct err *e)
{
	static const struct option known[] = {{"output", required_argument, NULL, 'o'},
		{"threads", required_argument, NULL, 't'}, {NULL, 0, NULL, 0}};
	int option;

	*o = (struct pack_options){.threads = threads_default()};
	opterr = 0;
	while ((option = getopt_long(argc, argv, "o:", known, NULL)) != -1) {
		if (option == 'o')
			o->output = optarg;
		else if (option != 't')
			return err_set(e, ERR_USAGE,
				"'%s' is unknown or lacks its value; see --help", argv[optind - 1]);
		else if (threads_parse(optarg, &o->threads, e) < 0)
			return -1;
	}
	if (optind != argc - 1 || !o->output)
		return err_set(e, ERR_USAGE, "give one RECIPE and -o FILE; see --help");
	o->recipe = argv[optind];
	return 0;
}

static int
pack_load(struct pack *p, const struct pack_options *o, struct err *e)
{
	p->recipe = calloc(1, sizeof(*p->recipe));
	p->manifest = calloc(1, sizeof(*p->manifest));
	if (!p->recipe || !p->manifest)
		return err_sys(e, ENOMEM, "packing");
	return recipe_load(o->recipe, p->recipe, e);
}

static int
pack_payloads(struct pack *p, const struct pack_options *o, struct err *e)
{
	const struct recipe *r = p->recipe;
	char scratch[PATH_MAX];

	if (folder_of(o->output, scratch, e) < 0)
		return -1;
	for (; p->count < r->payload_count; p->count++) {
		struct packed *packed = &p->payloads[p->count];

		if (payload_pack(&r->payloads[p->count], r->level, o->threads, scratch, packed, e) <
			0)
			return err_context(
				e, "%s: payload %s", o->recipe, r->payloads[p->count].name);
		for (int role = 0; role < MEMBER_ROLES; role++)
			p->parts[p->count][role] = (struct bundle_part){packed->fd[role], 0};
	}
	return 0;
}

static int
pack_manifest(struct pack *p, json_t **envelope, struct err *e)
{
	const struct recipe *r = p->recipe;
	struct manifest *m = p->manifest;
	AUTO_JSON json_t *body = NULL;
	json_t *root;

	m->format = 1;
	m->rollback_index = r->rollback_index;
	memcpy(m->name, r->name, sizeof(m->name));
	memcpy(m->version, r->version, sizeof(m->version));
	memcpy(m->compatible, r->compatible, sizeof(m->compatible));
	m->compatible_count = r->compatible_count;
	(void)snprintf(m->zlib_version, sizeof(m->zlib_version), "%s", codec_zlib_version());
	m->zlib_level = (uint64_t)r->level;
	for (; m->payload_count < p->count; m->payload_count++)
		m->payloads[m->payload_count] = p->payloads[m->payload_count].payload;
	if (manifest_build(m, &body, e) < 0)
		return -1;
	root = envelope_new(body);
	if (!root)
		return err_sys(e, ENOMEM, "packing");
	*envelope = root;
	return 0;
}

static void
pack_report(const struct pack *p, const struct pack_options *o)
{
	char plain[NUM_HUMAN_SIZE], stored[NUM_HUMAN_SIZE];

	for (size_t i = 0; i < p->count; i++) {
		const struct payload *payload = &p->payloads[i].payload;

		(void)printf("%s: %s, %s in %s\n", payload->name, payload_kind_name(payload->kind),
			num_human_size(payload->size, plain),
			num_human_size(payload->members[MEMBER_DATA].size, stored));
	}
	(void)printf("%s is packed; next: sluice sign %s --key KEY\n", o->output, o->output);
}

static int
pack_run(int argc, char **argv, struct err *e)
{
	CLEANUP(pack_free) struct pack p = {0};
	AUTO_JSON json_t *envelope = NULL;
	struct pack_options o;

	if (options_parse(argc, argv, &o, e) < 0 || pack_load(&p, &o, e) < 0 ||
		pack_payloads(&p, &o, e) < 0 || pack_manifest(&p, &envelope, e) < 0 ||
		bundle_file_write(o.output, p.manifest, envelope, p.parts, e) < 0)
		return -1;
	pack_report(&p, &o);
	return 0;
}

const struct command cmd_pack = {
	.name = "pack",
	.summary = "make a bundle",
	.help = "usage: sluice pack RECIPE -o FILE [--threads N]\n"
		"\n"
		"RECIPE is YAML:\n"
		"\n"
		"  name: gateway\n"
		"  version: 2.4.0\n"
		"  rollback_index: 4          # raise it when older releases must never run again\n"
		"  compatible: [acme-gw3]     # the boxes that it is for\n"
		"  level: 6                   # of zlib, 1 to 9; 6 if left out\n"
		"  payloads:\n"
		"    - {name: rootfs, slot: rootfs, kind: image, source: rootfs.ext4}\n"
		"    - {name: app, slot: app, kind: tree, source: build/app}\n"
		"\n"
		"A source is relative to the recipe. An image is a file or a block device; when\n"
		"its name ends in .gz, .xz or .zst it is decompressed first. A tree is a folder\n"
		"or a tarball, compressed or not; devices, sockets and pipes in it are refused.\n"
		"\n"
		"  -o, --output FILE   the bundle; replaced in one step once it is whole\n"
		"      --threads N     as many threads as there are processors if left out;\n"
		"                      the bundle is the same whatever N is\n"
		"\n"
		"example: sluice pack gateway.yaml -o gateway-2.4.0.ota\n",
	.run = pack_run,
};
