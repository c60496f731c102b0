/* Errors: a function returns 0, or -1 with the caller's struct err filled in. */
#ifndef SLUICE_BASE_ERR_H
#define SLUICE_BASE_ERR_H

/* What went wrong decides what a caller does about it; the text is for people only. */
enum err_class {
	ERR_NONE,
	ERR_NETWORK,   /* no answer, or not the one wanted: retry with backoff */
	ERR_UNTRUSTED, /* a signature, digest or rule of trust failed: reject and report */
	ERR_EXPIRED,   /* authentic, but past its date: fetch newer, condemn nothing */
	ERR_MALFORMED, /* bytes that do not follow their format: reject */
	ERR_LIMIT,     /* larger, deeper or more than limits.h allows: reject */
	ERR_REFUSED,   /* a rule, hook or person said no, or not now */
	ERR_STOPPED,   /* a stop, a withdrawal or SIGTERM ended the work at a safe point */
	ERR_USAGE,     /* the caller's command line or configuration is wrong */
	ERR_SYSTEM,    /* the operating system failed: back off */
};

enum { ERR_TEXT_SIZE = 1024 };

struct err {
	enum err_class class;
	int errnum; /* the errno behind an ERR_SYSTEM, the HTTP status behind an ERR_NETWORK, or 0
		     */
	char text[ERR_TEXT_SIZE];
};

#define ERR_INIT ((struct err){.class = ERR_NONE})

/* Fills in e (which may be NULL) with a class and a message that says what, where and what to do
 * next. A text over ERR_TEXT_SIZE is cut; text_clean() goes over all of it, so it may be printed
 * and reported whatever its arguments were. Always returns -1, so that `return err_set(...)` works.
 */
int err_set(struct err *e, enum err_class class, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ERR_SYSTEM with the text of errnum put behind the message: "open /x: No such file or directory".
 * Always returns -1. */
int err_sys(struct err *e, int errnum, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts context before the message that is already there: "stable.yaml:14: percent is over 100".
 * Always returns -1. */
int err_context(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For what went wrong with this machine's own disk, whatever it looked like where it was found:
 * what was MALFORMED, UNTRUSTED or over a LIMIT becomes ERR_SYSTEM, so that nobody else is blamed.
 * Always returns -1. */
int err_own(struct err *e);

/* A stable lower-case word for a class ("untrusted"), for reports and --json. Static storage. */
const char *err_class_name(enum err_class class);

#endif
