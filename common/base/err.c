#include "common/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
err_set(struct err *e, enum err_class class, const char *format, ...)
{
	va_list args;

	if (!e)
		return -1;
	e->class = class;
	e->errnum = 0;
	va_start(args, format);
	(void)vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	return -1;
}

int
err_sys(struct err *e, int errnum, const char *format, ...)
{
	va_list args;
	size_t used;

	if (!e)
		return -1;
	e->class = ERR_SYSTEM;
	e->errnum = errnum;
	va_start(args, format);
	(void)vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	used = strlen(e->text);
	(void)snprintf(e->text + used, sizeof(e->text) - used, ": %s", strerror(errnum));
	return -1;
}

int
err_context(struct err *e, const char *format, ...)
{
	char old[ERR_TEXT_MAX];
	va_list args;
	size_t used;

	if (!e)
		return -1;
	memcpy(old, e->text, sizeof(old));
	va_start(args, format);
	(void)vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	used = strlen(e->text);
	(void)snprintf(e->text + used, sizeof(e->text) - used, ": %s", old);
	return -1;
}

const char *err_class_name(enum err_class class)
{
	static const char *const names[] = {
		[ERR_NONE] = "none",
		[ERR_NETWORK] = "network",
		[ERR_UNTRUSTED] = "untrusted",
		[ERR_EXPIRED] = "expired",
		[ERR_MALFORMED] = "malformed",
		[ERR_LIMIT] = "limit",
		[ERR_REFUSED] = "refused",
		[ERR_STOPPED] = "stopped",
		[ERR_USAGE] = "usage",
		[ERR_SYSTEM] = "system",
	};

	return (size_t) class < sizeof(names) / sizeof(names[0]) ? names[class] : "unknown";
}
