/* Text: its ending, and what came from outside made fit for a terminal, a log line or a JSON
 * string. */
#ifndef SLUICE_BASE_TEXT_H
#define SLUICE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether text is something (at least a byte) and then end: "a.key" ends with ".key", which is no
 * name with that ending itself. */
bool text_ends_with(const char *text, const char *end);

/* The bytes of the UTF-8 character at p, which has len (at least 1) left, and its code point; 0
 * where there is none (RFC 3629: neither overlong nor a surrogate), with *out as it was. */
size_t text_utf8_next(const uint8_t *p, size_t len, uint32_t *out);

/* Puts '?' in place of every byte that is not valid UTF-8 (a character cut in half by a size limit
 * is such), and of every control character, C1 included, but newline and tab. The length stays. */
void text_clean(char *s);

#endif
