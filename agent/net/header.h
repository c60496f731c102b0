/* What the headers of an answer say (RFC 9110). Text from outside that nobody has verified. */
#ifndef SLUICE_AGENT_NET_HEADER_H
#define SLUICE_AGENT_NET_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a Content-Range (or NULL) is "bytes FIRST-LAST/..." for exactly these len bytes. */
bool header_range_fits(const char *text, uint64_t offset, uint64_t len);

/* Retry-After, seconds or a date, in seconds from now_s: at most NET_RETRY_AFTER_MAX_S; -1 where
 * text is NULL, in the past or neither. */
int64_t header_retry_after_s(const char *text, int64_t now_s);

/* Whether an entity tag (or NULL) has at most max bytes, and printable ASCII only. */
bool header_tag_fits(const char *tag, size_t max);

/* Whether an entity tag of an answer can be told from that of a later change. Servers make tags of
 * the size and the second of the last change (nginx does), so a file that was changed in the second
 * of the answer may change once more and keep its tag: a stop published then would never be seen
 * (RFC 9110 section 8.8.2.2 has the same rule for dates). Either may be NULL: true. */
bool header_tag_is_safe(const char *date, const char *last_modified);

#endif
