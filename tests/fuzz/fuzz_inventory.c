/* An inventory of boxes in CSV, which colleagues export from whatever they keep it in.
 *
 * Input: the file. */
#include "common/base/file.h"
#include "common/format/field.h"
#include "signer/inventory.h"
#include "tests/fuzz/harness.h"

static int
see(void *arg, const struct fleet_member *m, struct err *e)
{
	const struct box_facts *box = &m->facts;
	size_t *boxes = arg;
	const char *tag;
	json_t *value;

	(void)e;
	MUST(name_is_plain(box->id) && strlen(box->id) <= NAME_BYTES_MAX);
	MUST(strlen(box->compatible) <= NAME_BYTES_MAX);
	MUST(strlen(box->version) <= VERSION_BYTES_MAX && !box->running[1]);
	MUST((box->running[0] != NULL) == (m->running[0] != 0));
	MUST(json_is_object(box->tags));
	json_object_foreach ((json_t *)(uintptr_t)box->tags, tag, value)
		MUST(field_is_tag(tag, strlen(tag)) &&
			field_is_tag(json_string_value(value), json_string_length(value)));
	++*boxes;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file_path(0, span_of(data, size));
	struct err e = ERR_INIT;
	size_t boxes = 0;

	if (inventory_each(path, see, &boxes, &e) < 0) {
		fuzz_check_err(&e);
		MUST(e.class == ERR_MALFORMED || e.class == ERR_LIMIT);
		MUST(strncmp(e.text, path, strlen(path)) == 0);
	} else if (boxes > 0) {
		fuzz_deep();
	}
	return 0;
}
