#include "agent/box.h"

#include <errno.h>
#include <string.h>

#include "agent/pace.h"
#include "agent/signals.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/base/process.h"

enum { PATIENCE_MS = 10 * 1000, NAP_MS = 100 };

void
box_close(struct box *b)
{
	conf_free(&b->conf);
	free(b->state);
	b->state = NULL;
	box_unlock(b);
}

static void
box_move(struct box *from, struct box *to)
{
	*to = *from;
	*from = BOX_INIT;
}

int
box_open(const char *conf_path, struct box *out, struct err *e)
{
	AUTO_BOX struct box b = BOX_INIT;

	if (conf_load(conf_path, &b.conf, e) < 0 || boot_backend_find(&b.conf, &b.boot, e) < 0)
		return -1;
	b.state = malloc(sizeof(*b.state));
	if (!b.state)
		return err_sys(e, ENOMEM, "reading the state");
	if (state_load(b.conf.state_dir, b.state, e) < 0)
		return -1;
	box_move(&b, out);
	return 0;
}

int
box_start(const char *conf_path, struct box *out, struct err *e)
{
	struct err amiss;

	if (box_open(conf_path, out, e) < 0)
		return -1;
	if (boot_check(out->boot, &out->conf, &amiss) < 0)
		log_error("nothing will be installed: %s", amiss.text);
	return 0;
}

int
box_lock(struct box *b, struct err *e)
{
	AUTO_CLOSE int lock = -1;

	if (dir_make(b->conf.state_dir, 0700, e) < 0 ||
		state_lock(b->conf.state_dir, &lock, e) < 0 ||
		state_load(b->conf.state_dir, b->state, e) < 0)
		return -1;
	b->lock = take_fd(&lock);
	return 0;
}

int
box_lock_patiently(struct box *b, struct err *e)
{
	int64_t until_ms = clock_boot_ms() + PATIENCE_MS;

	while (box_lock(b, e) < 0) {
		if (e->class != ERR_REFUSED || signals_ending || clock_boot_ms() > until_ms)
			return -1;
		(void)signals_nap(NAP_MS);
	}
	return 0;
}

void
box_unlock(struct box *b)
{
	cleanup_fd(&b->lock);
	b->lock = -1;
}

int
box_running(const struct box *b, const struct release **out, struct err *e)
{
	enum side current;

	if (b->boot->current(b->boot, &b->conf, &current, e) < 0)
		return -1;
	*out = b->boot == &boot_links ? &b->state->linked[current] : &b->state->running[current];
	return 0;
}

int
box_linked(const struct box *b, const struct release **out, struct err *e)
{
	bool has_link = b->boot == &boot_links;
	enum side side;

	for (size_t i = 0; i < b->conf.class_count; i++)
		has_link = has_link || b->conf.classes[i].current;
	if (!has_link) {
		*out = NULL;
		return 0;
	}
	if (boot_links.current(&boot_links, &b->conf, &side, e) < 0)
		return -1;
	*out = &b->state->linked[side];
	return 0;
}

int
box_facts(const struct box *b, struct facts *out, struct err *e)
{
	struct facts f = {.box = {.id = b->conf.id,
				  .compatible = b->conf.compatible,
				  .tags = b->conf.tags,
				  .version = ""},
		.inconclusive_max = b->conf.inconclusive_max,
		.downloads = &b->conf.downloads,
		.put_off_max_s = pace_spaced_max_s(&b->conf)};
	const struct release *running[2] = {0};

	if (box_running(b, &running[0], e) < 0 || box_linked(b, &running[1], e) < 0)
		return -1;
	if (running[0]->known)
		f.box.version = running[0]->version;
	for (size_t i = 0; i < ARRAY_LEN(running); i++) {
		if (running[i] && running[i]->known)
			f.box.running[i] = &running[i]->manifest;
	}
	*out = f;
	return 0;
}

int
box_reboot(const struct box *b, struct err *e)
{
	AUTO_FREE char *line = b->conf.reboot ? strdup(b->conf.reboot) : NULL;
	const char *argv[REBOOT_WORDS_MAX + 1] = {0};
	struct process p = {.argv = argv, .timeout_ms = REBOOT_TIMEOUT_S * 1000LL};
	char *rest = line;
	size_t count = 0;
	int status;

	if (!line)
		return err_set(e, ERR_REFUSED, "agent.conf names no reboot command");
	for (char *word; count < REBOOT_WORDS_MAX && (word = strsep(&rest, " \t"));) {
		if (*word)
			argv[count++] = word;
	}
	if (count == 0 || rest)
		return err_set(e, ERR_USAGE, "agent.conf: [boot] reboot has no or too many words");
	if (process_run(&p, &status, e) < 0)
		return err_context(e, "rebooting");
	if (status != 0)
		return err_set(e, ERR_SYSTEM, "rebooting: %s exited %d", argv[0], status);
	return 0;
}
