#include "common/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

static void text_format(char text[ERR_TEXT_SIZE], const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* Formats into a text of its own first, for the arguments may well point into e->text. */
static void
text_format(char text[ERR_TEXT_SIZE], const char *format, va_list args)
{
	if (vsnprintf(text, ERR_TEXT_SIZE, format, args) < 0)
		text[0] = 0;
}

/* Puts ": tail" behind text, as far as it fits. */
static void
text_add(char text[ERR_TEXT_SIZE], const char *tail)
{
	(void)strncat(text, ": ", ERR_TEXT_SIZE - 1 - strlen(text));
	(void)strncat(text, tail, ERR_TEXT_SIZE - 1 - strlen(text));
}

static void
text_keep(struct err *e, char text[ERR_TEXT_SIZE])
{
	text_clean(text);
	memcpy(e->text, text, ERR_TEXT_SIZE);
}

int
err_set(struct err *e, enum err_class class, const char *format, ...)
{
	char text[ERR_TEXT_SIZE] = "";
	va_list args;

	if (!e)
		return -1;
	va_start(args, format);
	text_format(text, format, args);
	va_end(args);
	e->class = class;
	e->errnum = 0;
	text_keep(e, text);
	return -1;
}

int
err_sys(struct err *e, int errnum, const char *format, ...)
{
	char text[ERR_TEXT_SIZE] = "";
	va_list args;

	if (!e)
		return -1;
	va_start(args, format);
	text_format(text, format, args);
	va_end(args);
	text_add(text, strerror(errnum));
	e->class = ERR_SYSTEM;
	e->errnum = errnum;
	text_keep(e, text);
	return -1;
}

int
err_context(struct err *e, const char *format, ...)
{
	char text[ERR_TEXT_SIZE] = "";
	va_list args;

	if (!e)
		return -1;
	va_start(args, format);
	text_format(text, format, args);
	va_end(args);
	text_add(text, e->text);
	text_keep(e, text);
	return -1;
}

int
err_own(struct err *e)
{
	if (e && (e->class == ERR_MALFORMED || e->class == ERR_UNTRUSTED || e->class == ERR_LIMIT))
		e->class = ERR_SYSTEM;
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
