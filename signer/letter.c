#include "signer/letter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "common/crypto/envelope.h"
#include "common/crypto/pubkey.h"
#include "common/format/field.h"

bool
letter_address(const char *file, struct letter *out)
{
	const char *at = strchr(file, '@'), *dot = at ? strchr(at, '.') : NULL;
	struct letter l = {0};
	char digits[24];

	if (!dot || strcmp(dot, ".json") != 0 || (size_t)(at - file) > NAME_BYTES_MAX ||
		(size_t)(dot - at) > sizeof(digits) || strlen(file) > FILE_NAME_MAX)
		return false;
	(void)snprintf(l.file, sizeof(l.file), "%s", file);
	memcpy(l.box, file, (size_t)(at - file));
	memcpy(digits, at + 1, (size_t)(dot - at - 1));
	digits[dot - at - 1] = 0;
	if (!name_is_plain(l.box) || num_parse(digits, 1, FIELD_INT_MAX, &l.seq, NULL) < 0)
		return false;
	*out = l;
	return true;
}

static void
look_take(struct letter *l, const struct stat *st)
{
	l->inode = st->st_ino;
	l->is_folder = S_ISDIR(st->st_mode);
	/* Not the modification: nginx makes that what the box's Date header says. */
	l->came_s = st->st_ctime;
}

int
letter_look(int spool, struct letter *l, struct err *e)
{
	struct stat st;

	if (fstatat(spool, l->file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, errno, "spool/%s", l->file);
	look_take(l, &st);
	return 0;
}

static int
letter_read(int spool, struct letter *l, struct buf *out, struct err *e)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
	/* Noting that it was read costs as much as reading it; only whose it is may do without. */
	AUTO_CLOSE int fd = openat(spool, l->file, flags | O_NOATIME);
	struct stat st;

	if (fd < 0 && errno == EPERM)
		fd = openat(spool, l->file, flags);
	if (fd < 0 && errno == ELOOP)
		return err_set(e, ERR_REFUSED, "it is a link");
	if (fd < 0 && errno == ENXIO)
		return err_set(e, ERR_REFUSED, "it is a socket");
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno, "spool/%s", l->file);
	look_take(l, &st);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_REFUSED, "it is not a regular file");
	return file_read_fd(fd, l->file, out, e);
}

static int
letter_verify(struct span bytes, const struct letter *l, const char *report_key,
	struct verified *out, struct err *e)
{
	AUTO_PUBKEY struct pubkey *key = NULL;
	char id[DIGEST_HEX_SIZE];

	if (pubkey_read(report_key, &key, id, e) < 0) {
		(void)err_context(e, "fleet.db");
		return err_own(e);
	}
	return envelope_verify_one(bytes, l->file, key, id, out, e);
}

int
letter_open(int spool, struct letter *l, const char *report_key, struct report *out, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(REPORT_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};

	if (letter_read(spool, l, &bytes, e) < 0 ||
		letter_verify(buf_span(&bytes), l, report_key, &v, e) < 0 ||
		report_parse(&v, out, e) < 0)
		return -1;
	if (strcmp(out->box, l->box) == 0 && out->seq == l->seq)
		return 0;
	(void)err_set(e, ERR_UNTRUSTED, "it is report %llu of %s", (unsigned long long)out->seq,
		out->box);
	report_free(out);
	return -1;
}
