/* Text that came from outside, made fit for a terminal, a log line or a JSON string. */
#ifndef SLUICE_BASE_TEXT_H
#define SLUICE_BASE_TEXT_H

/* Puts '?' in place of every byte that is not valid UTF-8 (a character cut in half by a size limit
 * is such), and of every control character, C1 included, but newline and tab. The length stays. */
void text_clean(char *s);

#endif
