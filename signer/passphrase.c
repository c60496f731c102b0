#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "common/base/cleanup.h"
#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/secret.h"
#include "common/limits.h"
#include "signer/ui.h"

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
	interrupted = number;
}

/* A passphrase being read: one byte more than may be, so that one too long is seen to be. */
struct line {
	char text[PASSPHRASE_MAX + 2];
	size_t len;
};

static int
line_add(struct line *l, char c, struct err *e)
{
	if (c == 0)
		return err_set(e, ERR_USAGE, "a passphrase is text: there is a zero byte in it");
	if (l->len == PASSPHRASE_MAX)
		return err_set(
			e, ERR_LIMIT, "the passphrase is longer than %d bytes", PASSPHRASE_MAX);
	l->text[l->len++] = c;
	return 0;
}

/* Byte by byte up to a newline or the end, for what comes after it belongs to the next key. *ended
 * says that there was nothing left at all. */
static int
line_read(int fd, const char *name, struct line *l, bool *ended, struct err *e)
{
	for (;;) {
		char c;
		ssize_t n = read(fd, &c, 1);

		if (n < 0 && errno == EINTR && !interrupted)
			continue;
		if (n < 0)
			return err_sys(e, errno, "reading a passphrase from %s", name);
		*ended = n == 0 && l->len == 0;
		if (n == 0 || c == '\n')
			return 0;
		if (line_add(l, c, e) < 0)
			return -1;
	}
}

static const int held[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* While the terminal shows no echo a signal must not end us: it would stay mute. */
struct quiet {
	struct termios before;
	struct sigaction old[ARRAY_LEN(held)];
	int fd;
};

static int
quiet_begin(struct quiet *q, int fd, struct err *e)
{
	struct sigaction catch = {.sa_handler = on_signal}; /* no SA_RESTART: read() must return */
	struct termios mute;

	if (tcgetattr(fd, &q->before) < 0)
		return err_sys(e, errno, "asking the terminal's settings");
	q->fd = fd;
	interrupted = 0;
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		(void)sigaction(held[i], &catch, &q->old[i]);
	mute = q->before;
	mute.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	(void)tcsetattr(fd, TCSAFLUSH, &mute);
	return 0;
}

static void
quiet_end(struct quiet *q)
{
	(void)tcsetattr(q->fd, TCSAFLUSH, &q->before);
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		(void)sigaction(held[i], &q->old[i], NULL);
	(void)dprintf(q->fd, "\n");
}

static int
terminal_ask(const char *prompt, const char *path, struct line *l, struct err *e)
{
	AUTO_CLOSE int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct quiet q;
	bool ended = false;
	int rc;

	if (fd < 0)
		return err_set(e, ERR_USAGE,
			"there is no terminal to ask for the passphrase of %s; give "
			"--passphrase-file or --passphrase-fd",
			path);
	(void)dprintf(fd, "%s %s: ", prompt, path);
	if (quiet_begin(&q, fd, e) < 0)
		return -1;
	rc = line_read(fd, "the terminal", l, &ended, e);
	quiet_end(&q);
	if (interrupted)
		return err_set(e, ERR_REFUSED, "interrupted");
	return ended ? err_set(e, ERR_REFUSED, "no passphrase was given") : rc;
}

static int
fd_ask(int fd, struct line *l, struct err *e)
{
	char name[32];
	bool ended = false;

	(void)snprintf(name, sizeof(name), "descriptor %d", fd);
	if (line_read(fd, name, l, &ended, e) < 0)
		return -1;
	if (ended)
		return err_set(e, ERR_USAGE,
			"%s has no passphrase for this key; it takes one line for each key", name);
	return 0;
}

static int
file_ask(const char *path, struct line *l, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char more;
	bool ended = false;

	if (file_open_given(path, &fd, e) < 0 || line_read(fd, path, l, &ended, e) < 0)
		return -1;
	if (read(fd, &more, 1) != 0)
		return err_set(
			e, ERR_USAGE, "%s has more than one line; a passphrase is one line", path);
	return 0;
}

static int
source_ask(const struct passphrase_source *s, const char *prompt, const char *path, struct line *l,
	struct err *e)
{
	if (s->file)
		return file_ask(s->file, l, e);
	if (s->fd >= 0)
		return fd_ask(s->fd, l, e);
	return terminal_ask(prompt, path, l, e);
}

int
passphrase_ask(void *arg, const char *path, char *pass, struct err *e)
{
	AUTO_SECRET void *memory = NULL;
	struct line *l;

	if (secret_new(sizeof(*l), &memory, e) < 0)
		return -1;
	l = memory;
	if (source_ask(arg, "Passphrase of", path, l, e) < 0)
		return -1;
	memcpy(pass, l->text, l->len + 1);
	return 0;
}

int
passphrase_ask_new(void *arg, const char *path, char *pass, struct err *e)
{
	const struct passphrase_source *s = arg;
	AUTO_SECRET void *memory = NULL;
	struct line *twice;

	if (secret_new(2 * sizeof(*twice), &memory, e) < 0)
		return -1;
	twice = memory;
	if (source_ask(s, "New passphrase for", path, &twice[0], e) < 0)
		return -1;
	if (twice[0].len == 0)
		return err_set(e, ERR_USAGE,
			"the passphrase is empty; say --no-passphrase if that is what you want");
	if (!s->file && s->fd < 0) {
		if (terminal_ask("Once more for", path, &twice[1], e) < 0)
			return -1;
		if (strcmp(twice[0].text, twice[1].text) != 0)
			return err_set(
				e, ERR_REFUSED, "the two passphrases differ; nothing was written");
	}
	memcpy(pass, twice[0].text, twice[0].len + 1);
	return 0;
}
