/* Reading a plan in YAML: what the parts of rollout.c have in common. Each part puts what it reads
 * into in->r, and fails at the place in the file. */
#ifndef SLUICE_SIGNER_READING_H
#define SLUICE_SIGNER_READING_H

#include <stddef.h>
#include <stdint.h>

#include "signer/rollout.h"
#include "signer/yaml.h"

#define DAY_S ((uint64_t)86400)

/* What every step needs. */
struct reading {
	const struct yaml *y;
	const struct yaml_node *root;
	struct rollout *r;
	json_t *named; /* boxes that a wave names already */
	struct rollout_complaints *complaints;
	size_t complaints_max; /* it is read on until there are so many */
	struct err *e;	       /* ERR_NONE where what failed is among the complaints */
};

/* For what does not depend on others: takes its failure (rc) for a complaint. -1 where it is none,
 * or nobody wants more of them. */
int reading_part(struct reading *in, int rc);
int reading_parts(struct reading *in, int (*const *parts)(struct reading *in), size_t count);

/* yaml_only(), of which each key is a part. */
int reading_only(struct reading *in, const struct yaml_node *map, const char *const *known);

/* The parts of a plan: who and what; the waves and their thresholds; the rest. */
int rollout_choice_read(struct reading *in);
int rollout_waves_read(struct reading *in);
int rollout_timing_read(struct reading *in);

/* Puts a value that json_*() has just made into object. */
int reading_put(struct reading *in, json_t *object, const char *key, json_t *value);

/* The member, or NULL with an error that says what to add. */
const struct yaml_node *reading_must(
	struct reading *in, const struct yaml_node *map, const char *key, const char *like);

int reading_name(struct reading *in, const struct yaml_node *n, const char **out);

/* "gateway-2.4.0.ota" as "bundles/gateway-2.4.0.ota". */
int reading_bundle(struct reading *in, const struct yaml_node *n, char out[TUF_PATH_MAX + 1]);

/* "98%", or a bare 5. */
int reading_share(struct reading *in, const struct yaml_node *n, uint32_t min, uint32_t *out);

/* A list of plain names into a new array. */
int reading_names(
	struct reading *in, const struct yaml_node *n, size_t min, size_t max, json_t **out);

/* The member key of map, or preset where it is not there, into to. */
int reading_uint(struct reading *in, json_t *to, const struct yaml_node *map, const char *key,
	uint64_t preset);
int reading_percent(struct reading *in, json_t *to, const struct yaml_node *map, const char *key,
	const char *compiled, uint32_t min, uint32_t preset);
int reading_duration(struct reading *in, json_t *to, const struct yaml_node *map, const char *key,
	const char *compiled, uint64_t max_s, uint64_t preset);

#endif
