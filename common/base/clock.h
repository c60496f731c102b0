/* Clocks, and time as TUF writes it. */
#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

/* Seconds since 1970 by the wall clock, right or wrong. */
int64_t clock_wall_s(void);

/* Milliseconds since boot, suspend included; never goes back. */
int64_t clock_boot_ms(void);

/* Whether the kernel says that the wall clock is disciplined (adjtimex(2), STA_UNSYNC clear). In a
 * sandbox that forbids to ask (systemd's ProtectClock=), whether systemd-timesyncd says that it has
 * set it since the start. */
bool clock_is_synchronised(void);

/* Waits; returns early when a signal comes. */
void clock_sleep_ms(int64_t ms);

/* "2026-11-22T15:04:05Z" (TUF 1.0.34 section 4.2.1: no fractions, always Z). Years 1970 to 9999. */
enum { CLOCK_TEXT_SIZE = 24 };
int clock_parse(const char *text, int64_t *out_s, struct err *e);
const char *clock_format(int64_t s, char out[CLOCK_TEXT_SIZE]);

#endif
