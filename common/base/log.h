/* The log: lines to standard error, and a tail of them kept for reports. */
#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DETAIL = 7 };

/* What is printed; LOG_INFO at first. Lines above it still go into the tail. */
void log_set_level(enum log_level level);

/* One line, without its newline. Under systemd (JOURNAL_STREAM is set) it gets the "<6>" that the
 * journal understands. Control characters and what is not UTF-8 are printed as '?', so that no text
 * from outside forges a line and every tail fits into JSON. Not from signal handlers or threads. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The newest lines, oldest first, as far as they fit in size (at most LOG_TAIL_BYTES); cut at line
 * starts. out is always a C string. Returns its length. */
enum { LOG_TAIL_BYTES = 8192 };
size_t log_tail(char *out, size_t size);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_detail(...) log_line(LOG_DETAIL, __VA_ARGS__)

#endif
