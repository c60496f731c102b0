/* Rollout plans and recipes in YAML, which people write and others send them: a plan that compiles
 * is one that boxes read.
 *
 * Input: 'R' and a recipe, or anything else and a plan. */
#include "common/limits.h"
#include "signer/recipe.h"
#include "signer/rollout.h"
#include "signer/yaml.h"
#include "tests/fuzz/harness.h"

/* Malformed input is shown where it is wrong. */
static void
check_place(const struct err *e, const char *path)
{
	fuzz_check_err(e);
	MUST(e->class != ERR_MALFORMED || strncmp(e->text, path, strlen(path)) == 0);
}

static void
compile_plan(struct span text)
{
	static const char path[] = "plans/stable.yaml";
	struct rollout_bundle bundle = {.length = 4096, .head_length = 1024};
	AUTO_BUF struct buf first = BUF_INIT(PLAN_BYTES_MAX), second = BUF_INIT(PLAN_BYTES_MAX);
	AUTO_ROLLOUT struct rollout r = {0};
	struct err e = ERR_INIT;

	if (rollout_parse(text, path, &r, &e) < 0) {
		check_place(&e, path);
		MUST(!r.doc);
		return;
	}
	fuzz_deep();
	bundle.sha256 = bundle.head_sha256 = digest_of(span_str("bundle"));
	MUST(rollout_bind(&r, 1, &bundle, &first, &e) == 0);
	MUST(rollout_bind(&r, 1, &bundle, &second, &e) == 0);
	MUST(span_equal(buf_span(&first), buf_span(&second)));
}

static void
read_recipe(struct span text)
{
	static const char path[] = "recipes/gateway.yaml";
	static struct recipe r;
	struct err e = ERR_INIT;

	if (recipe_parse(text, path, &r, &e) < 0) {
		check_place(&e, path);
		return;
	}
	MUST(r.payload_count >= 1 && r.payload_count <= PAYLOADS_MAX);
	MUST(r.compatible_count >= 1 && r.compatible_count <= COMPATIBLE_MAX);
	MUST(r.level >= 1 && r.level <= 9 && r.name[0] && r.version[0]);
	for (size_t i = 0; i < r.payload_count; i++)
		MUST(r.payloads[i].name[0] && r.payloads[i].source[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	if (in.len > 0 && in.data[0] == 'R') {
		(void)fuzz_take8(&in);
		read_recipe(in);
	} else {
		compile_plan(in);
	}
	return 0;
}
