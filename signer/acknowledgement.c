#include "signer/acknowledgement.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "signer/fleet.h"
#include "signer/ingest.h"
#include "signer/ledger.h"

enum { WAIT_ON_TERMINAL_S = 60, LOOK_EVERY_MS = 500 };

static int
wait_read(const struct acknowledgement *a, uint64_t *seconds, struct err *e)
{
	*seconds = isatty(STDOUT_FILENO) ? WAIT_ON_TERMINAL_S : 0;
	if (!a->wait)
		return 0;
	if (num_parse_duration(a->wait, ACKNOWLEDGEMENT_WAIT_MAX_S, seconds, NULL) < 0)
		return err_set(e, ERR_USAGE, "--wait: a time like 0s or 5m expected, not '%.32s'",
			a->wait);
	return 0;
}

int
acknowledgement_check(const struct acknowledgement *a, struct err *e)
{
	uint64_t seconds;

	return wait_read(a, &seconds, e);
}

/* A watch may be at it: then there is nothing to do here. */
static int
drain(const struct workspace *w, struct fleet *f, struct ingest **i, struct err *e)
{
	struct ingest_stats s;
	struct err busy = ERR_INIT;
	bool more = true;

	if (!*i && ingest_open(w, f, 1, i, &busy) < 0)
		return busy.class == ERR_REFUSED ? 0 : err_set(e, busy.class, "%s", busy.text);
	while (more) {
		if (ingest_batch(*i, clock_wall_s(), &s, &more, e) < 0)
			return -1;
	}
	return 0;
}

static void
share_print(const struct acknowledgement *a, const struct ledger_share *s, bool terminal)
{
	(void)printf("%s%llu of %llu boxes have %s%s", terminal ? "\r" : "",
		(unsigned long long)(a->lifted ? s->boxes - num_min(s->taken, s->boxes) : s->taken),
		(unsigned long long)s->boxes,
		a->lifted ? "no stop of that id, by what they said last" : "acknowledged",
		terminal ? " " : "\n");
	(void)fflush(stdout);
}

static bool
all_have(const struct acknowledgement *a, const struct ledger_share *s)
{
	return a->lifted ? s->taken == 0 : s->taken >= s->boxes;
}

static int
count_on(const struct workspace *w, const struct acknowledgement *a, struct fleet *f,
	int64_t wait_ms, struct err *e)
{
	AUTO_INGEST struct ingest *i = NULL;
	const int64_t until_ms = clock_boot_ms() + wait_ms;
	bool terminal = isatty(STDOUT_FILENO);
	struct ledger_share s = {0};

	for (;;) {
		if ((wait_ms > 0 && drain(w, f, &i, e) < 0) ||
			ledger_stop_share(f, a->stop, a->plan, &s, e) < 0)
			return -1;
		if (all_have(a, &s) || clock_boot_ms() >= until_ms)
			break;
		if (terminal)
			share_print(a, &s, true);
		clock_sleep_ms(LOOK_EVERY_MS);
	}
	share_print(a, &s, terminal);
	if (terminal)
		(void)putchar('\n');
	return 0;
}

void
acknowledgement_show(const struct workspace *w, const struct acknowledgement *a)
{
	AUTO_FLEET struct fleet *f = NULL;
	struct err e = ERR_INIT;
	uint64_t seconds = 0;

	if (wait_read(a, &seconds, &e) < 0 ||
		(seconds > 0 ? fleet_open(w, &f, &e) : fleet_open_read(w, &f, &e)) < 0 ||
		count_on(w, a, f, (int64_t)seconds * 1000, &e) < 0) {
		/* No box was ever added: nobody is there to acknowledge. */
		if (e.errnum != ENOENT)
			(void)fprintf(stderr, "how many boxes have acknowledged is not known: %s\n",
				e.text);
	}
}
