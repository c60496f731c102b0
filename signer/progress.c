#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "signer/ui.h"

/* What is over in a second needs no bar; a log needs a line now and then only. */
enum { QUIET_MS = 1000, BAR_EVERY_MS = 100, LINE_EVERY_MS = 10000, BAR_CELLS = 30 };

static unsigned
percent_of(const struct progress *p)
{
	if (p->total == 0 || p->done >= p->total)
		return 100;
	if (p->done <= UINT64_MAX / 100)
		return (unsigned)(p->done * 100 / p->total);
	/* done * 100 would overflow; against a total this large what is rounded off is nothing. */
	return (unsigned)num_min(99, p->done / (p->total / 100));
}

static void
bar_draw(const struct progress *p)
{
	static const char full[] = "##############################";
	_Static_assert(sizeof(full) == BAR_CELLS + 1, "a cell for each #");
	char done[NUM_HUMAN_SIZE], total[NUM_HUMAN_SIZE];
	unsigned percent = percent_of(p);

	(void)fprintf(stderr, "\r%.20s [%-*.*s] %3u%%  %s of %s\033[K", p->label, BAR_CELLS,
		(int)(percent * BAR_CELLS / 100), full, percent, num_human_size(p->done, done),
		num_human_size(p->total, total));
}

static void
line_print(const struct progress *p)
{
	char done[NUM_HUMAN_SIZE], total[NUM_HUMAN_SIZE];

	(void)fprintf(stderr, "%s: %u%% (%s of %s)\n", p->label, percent_of(p),
		num_human_size(p->done, done), num_human_size(p->total, total));
}

void
progress_start(struct progress *p, const char *label, uint64_t total)
{
	int64_t now_ms = clock_boot_ms();

	*p = (struct progress){
		.label = label, .total = total, .started_ms = now_ms, .shown_ms = now_ms};
}

void
progress_set(struct progress *p, uint64_t done)
{
	int64_t now_ms = clock_boot_ms();
	bool terminal;

	p->done = done;
	if (now_ms - p->started_ms < QUIET_MS || now_ms - p->shown_ms < BAR_EVERY_MS)
		return;
	terminal = isatty(STDERR_FILENO) == 1;
	if (!terminal && now_ms - p->shown_ms < LINE_EVERY_MS)
		return;
	if (terminal)
		bar_draw(p);
	else
		line_print(p);
	p->shown = true;
	p->shown_ms = now_ms;
}

void
progress_end(struct progress *p)
{
	if (!p->shown)
		return;
	if (isatty(STDERR_FILENO) == 1)
		(void)fprintf(stderr, "\r\033[K");
	else
		line_print(p);
	p->shown = false;
}
