/* agent.conf: what the maker of a box wrote, or whoever came to its disk. */
#include "agent/conf.h"
#include "tests/fuzz/harness.h"

static void
check_conf(const struct conf *c)
{
	MUST(c->id[0] && c->compatible[0] && c->state_dir && c->state_dir[0] == '/');
	MUST(c->class_count <= SLOT_CLASSES_MAX && json_is_object(c->tags));
	for (size_t i = 0; i < c->class_count; i++) {
		const struct slot_class *class = &c->classes[i];

		MUST(conf_class(c, class->name) == class);
		MUST(class->path[SIDE_A] && class->path[SIDE_B]);
		MUST(strcmp(class->path[SIDE_A], class->path[SIDE_B]) != 0);
		MUST(class->type == SLOT_DIR || !class->current);
	}
	MUST(!c->site_url || c->site_url[strlen(c->site_url) - 1] == '/');
	MUST(!c->report_url || c->report_url[strlen(c->report_url) - 1] == '/');
	MUST(c->poll_s > 0 && c->stop_poll_s > 0 && c->retry_max_s > 0 && c->stall_s > 0);
	MUST(c->boot_tries > 0 && c->inconclusive_max > 0 && c->confirm_deadline_s > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file_path(0, span_of(data, size));
	AUTO_CONF struct conf c = {0};
	struct err e = ERR_INIT;

	if (conf_load(path, &c, &e) == 0) {
		fuzz_deep();
		check_conf(&c);
	} else {
		fuzz_check_err(&e);
		MUST(strncmp(e.text, path, strlen(path)) == 0);
	}
	return 0;
}
