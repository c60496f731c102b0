/* Files of lines "KEY VALUE", as systemd-boot reads loader.conf and boot loader entries: blanks
 * around key and value do not count, nor do quotes around a value, nor lines that begin with #; of
 * several lines with one key the last is in force. */
#ifndef SLUICE_AGENT_ENTRY_TEXT_H
#define SLUICE_AGENT_ENTRY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

/* Where a value starts in text, and its bytes: more than none. */
struct entry_value {
	size_t at, len;
};

/* Whether the key has a value. */
bool entry_text_find(const char *text, const char *key, struct entry_value *out);

/* The value as a string, "" where there is none. ERR_SYSTEM for one that does not fit into out. */
int entry_text_value(const char *text, const char *key, char *out, size_t size, struct err *e);

#endif
