/* The words of a plan as people say them. */
#ifndef SLUICE_SIGNER_PLAN_WORDS_H
#define SLUICE_SIGNER_PLAN_WORDS_H

#include <stdint.h>

#include "common/format/plan.h"

enum { PLAN_WORDS_SIZE = 256, WAVE_WORDS_SIZE = 128, SPAN_WORDS_SIZE = 32 };

/* "none" (or "at once", "any") where the plan does not say. */
struct plan_words {
	char attempt[PLAN_WORDS_SIZE], recall[PLAN_WORDS_SIZE + TUF_PATH_MAX],
		window[PLAN_WORDS_SIZE], start[PLAN_WORDS_SIZE], budget[PLAN_WORDS_SIZE],
		advance[PLAN_WORDS_SIZE], stop[PLAN_WORDS_SIZE], stop_poll[PLAN_WORDS_SIZE],
		deadline[PLAN_WORDS_SIZE];
};
void plan_words_make(const struct plan *p, struct plan_words *out);

/* "3 boxes by name" or "up to 5%". Returns out. */
const char *wave_words(const struct wave *w, char out[WAVE_WORDS_SIZE]);

/* "4h", "90s", "none" for 0. Returns out. */
const char *span_words(uint64_t s, char out[SPAN_WORDS_SIZE]);

#endif
