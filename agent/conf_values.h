/* The kinds of values that agent.conf has: each checks a text, and sets a field of struct conf by
 * it. Errors are ERR_USAGE, or what num.h says, and leave the field as it was. */
#ifndef SLUICE_AGENT_CONF_VALUES_H
#define SLUICE_AGENT_CONF_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/format/window.h"
#include "common/limits.h"

/* What they allocate is the caller's. */
int value_text(char **field, const char *value, struct err *e);
int value_name(char field[NAME_BYTES_MAX + 1], const char *value, struct err *e);
int value_path(char **field, const char *value, struct err *e); /* absolute */
int value_plan(char **field, const char *value, struct err *e); /* rollouts/NAME.json */
int value_url(char **field, const char *value, struct err *e);	/* ends in '/' */
int value_urls(char **field, const char *value, struct err *e); /* blanks between them */
int value_bool(bool *field, const char *value, struct err *e);

/* "http://HOST:PORT"; a '/' is put behind it. Without a name or a password: what is said to a proxy
 * is not secret. */
int value_proxy(char **field, const char *value, struct err *e);

/* 0, or from min to max. */
int value_size(uint64_t *field, const char *value, uint64_t min, uint64_t max, struct err *e);

/* "22:00-05:00", on every day if none was named; and "mon tue". */
int value_hours(struct window *w, const char *value, struct err *e);
int value_days(struct window *w, const char *value, struct err *e);

#endif
