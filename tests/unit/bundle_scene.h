/* Bundles for tests that look into them: packed from what stands in the test's folder, unsigned. */
#ifndef SLUICE_TESTS_UNIT_BUNDLE_SCENE_H
#define SLUICE_TESTS_UNIT_BUNDLE_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/json.h"
#include "common/crypto/envelope.h"
#include "signer/bundle_file.h"
#include "signer/packer.h"

/* Packs files and folders, each into the payload and slot of that name, into path. version may have
 * a name before it. */
static inline void
bundle_scene_pack_version(const char *path, const char *version, size_t count,
	const char *const *names, const char *const *sources, const enum payload_kind *kinds)
{
	const char *space = strchr(version, ' ');
	AUTO_FREE struct manifest *m = calloc(1, sizeof(*m));
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES] = {0};
	struct packed packed[PAYLOADS_MAX];
	AUTO_JSON json_t *body = NULL;
	AUTO_JSON json_t *envelope = NULL;
	struct err e = ERR_INIT;

	assert_non_null(m);
	*m = (struct manifest){.format = 1,
		.rollback_index = 4,
		.compatible_count = 1,
		.compatible = {"acme"},
		.zlib_version = "1.2.13",
		.zlib_level = 6};
	(void)snprintf(m->name, sizeof(m->name), "%.*s", space ? (int)(space - version) : 7,
		space ? version : "gateway");
	(void)snprintf(m->version, sizeof(m->version), "%s", space ? space + 1 : version);
	for (; m->payload_count < count; m->payload_count++) {
		size_t i = m->payload_count;
		struct recipe_payload source = {.kind = kinds[i]};

		(void)snprintf(source.name, sizeof(source.name), "%s", names[i]);
		(void)snprintf(source.slot_class, sizeof(source.slot_class), "%s", names[i]);
		(void)snprintf(source.source, sizeof(source.source), "%s", sources[i]);
		if (payload_pack(&source, 6, 2, ".", &packed[i], &e) < 0)
			fail_msg("%s", e.text);
		m->payloads[i] = packed[i].payload;
		for (int role = 0; role < MEMBER_ROLES; role++)
			parts[i][role].fd = packed[i].fd[role];
	}
	if (manifest_build(m, &body, &e) < 0)
		fail_msg("%s", e.text);
	envelope = envelope_new(body);
	if (bundle_file_write(path, m, envelope, parts, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < count; i++)
		packed_free(&packed[i]);
}

/* Packs the files and folders called so into gateway 2.4.0. */
static inline void
bundle_scene_pack(
	const char *path, size_t count, const char *const *names, const enum payload_kind *kinds)
{
	bundle_scene_pack_version(path, "2.4.0", count, names, names, kinds);
}

#endif
