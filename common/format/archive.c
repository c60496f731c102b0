#include "common/format/archive.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void
cleanup_archive_read(struct archive **a)
{
	if (*a)
		(void)archive_read_free(*a);
}

void
cleanup_archive_entry(struct archive_entry **entry)
{
	archive_entry_free(*entry);
}

int
err_archive(struct err *e, struct archive *a, const char *format, ...)
{
	const char *why = archive_error_string(a);
	int errnum = archive_errno(a);
	char what[ERR_TEXT_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	err_set(e, ERR_MALFORMED, "%s: %s", what, why ? why : "libarchive gives no reason");
	/* Of its own, libarchive gives -1, EILSEQ and EINVAL (archive_platform.h); the rest is the
	 * system's. */
	if (e && errnum > 0 && errnum != EILSEQ && errnum != EINVAL) {
		e->class = ERR_SYSTEM;
		e->errnum = errnum;
	}
	return -1;
}
