#include "signer/ui.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cleanup.h"

/* More than any fleet's worth of rows; who writes them is us. */
#define JSON_BYTES ((size_t)256 * 1024 * 1024)

int
ui_confirm(const char *question, struct err *e)
{
	AUTO_CLOSE int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	char answer[16] = "";
	ssize_t n;

	if (fd < 0)
		return err_set(e, ERR_USAGE,
			"there is no terminal to ask '%s'; give --yes to go ahead without asking",
			question);
	(void)dprintf(fd, "%s [y/N] ", question);
	do {
		n = read(fd, answer, sizeof(answer) - 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(e, errno, "reading the terminal");
	answer[strcspn(answer, "\r\n")] = 0;
	if (strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0)
		return 0;
	return err_set(e, ERR_REFUSED, "not confirmed; nothing was done");
}

int
ui_json_print(const json_t *j, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(JSON_BYTES);

	if (json_pretty(j, &text, e) < 0)
		return -1;
	(void)fputs(buf_str(&text), stdout);
	return 0;
}
