/* When boxes poll that were started at the same moment, for tests/bench/poll.py.
 *
 *   pace BOXES POLL_S POLLS
 *
 * A line for each box: the milliseconds since the start at which its polls begin, none of which
 * failed or took any time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/pace.h"
#include "common/base/num.h"

static uint64_t
number(const char *text)
{
	uint64_t v = 0;

	if (num_parse(text, 1, 1000000, &v, NULL) < 0) {
		(void)fprintf(stderr, "pace: %s is not a number from 1 to 1000000\n", text);
		exit(2);
	}
	return v;
}

int
main(int argc, char **argv)
{
	struct conf conf = {.retry_max_s = 3600};
	uint64_t boxes, polls;

	if (argc != 4) {
		(void)fprintf(stderr, "usage: pace BOXES POLL_S POLLS\n");
		return 2;
	}
	boxes = number(argv[1]);
	conf.poll_s = number(argv[2]);
	polls = number(argv[3]);
	for (uint64_t i = 0; i < boxes; i++) {
		struct pace pace = {0};
		int64_t at_ms = 0;

		for (uint64_t k = 0; k < polls; k++) {
			at_ms += pace_next_ms(&pace, &conf);
			printf("%" PRId64 "%c", at_ms, k + 1 < polls ? ' ' : '\n');
		}
	}
	return 0;
}
