/* Files: whole reads and writes, and replacing a file so that a power cut leaves old or new. */
#ifndef SLUICE_BASE_FILE_H
#define SLUICE_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/err.h"

/* All descriptors are opened O_CLOEXEC. All errors are ERR_SYSTEM with the path, unless said. */

/* Opens an existing file for reading; a symbolic link at the end of the path is followed. The
 * caller closes *fd. */
int file_open_read(const char *path, int *fd, struct err *e);

/* The same for what somebody else put there: never blocks, as a named pipe would. ERR_REFUSED for
 * what is not a regular file. */
int file_open_regular(const char *path, int *fd, struct err *e);

/* The same for what a person names on a command line, which may also be the pipe of a shell's
 * <(COMMAND). ERR_REFUSED for all else: a named pipe waits for a writer who may never come. */
int file_open_given(const char *path, int *fd, struct err *e);

/* The same for a file that holds a secret: ERR_REFUSED, too, where its mode gives group or others
 * anything. */
int file_open_secret(const char *path, int *fd, struct err *e);

/* Appends the whole of a file to out. ERR_LIMIT when that would be more than out->max. On failure
 * out is as it was. */
int file_read(const char *path, struct buf *out, struct err *e);
int file_read_regular(const char *path, struct buf *out, struct err *e); /* file_open_regular */

/* The same from where fd stands; name is for messages. */
int file_read_fd(int fd, const char *name, struct buf *out, struct err *e);

/* Reads or writes exactly len bytes, across short transfers and EINTR. The end of the file before
 * that is ERR_MALFORMED for reads. */
int file_pread_full(
	int fd, const char *name, void *data, size_t len, uint64_t offset, struct err *e);
int file_pwrite_full(
	int fd, const char *name, const void *data, size_t len, uint64_t offset, struct err *e);
int file_write_full(int fd, const char *name, const void *data, size_t len, struct err *e);

/* Reads up to len bytes, fewer only at the end of the file. -1, or how many. */
ssize_t file_read_some(int fd, const char *name, void *data, size_t len, struct err *e);

/* Replaces path by these bytes: a temporary file in the same folder, fsync, rename, fsync of the
 * folder. After a power cut at any moment path is whole, old or new. */
int file_replace(const char *path, mode_t mode, struct span bytes, struct err *e);

/* Creates path, which must not exist (O_EXCL), with these bytes; durable like file_replace. On
 * failure no file is left. */
int file_create(const char *path, mode_t mode, struct span bytes, struct err *e);

/* rename() and an fsync of the folder (folders) of both, so that it lasts. What from names must
 * have been fsynced. */
int file_rename(const char *from, const char *to, struct err *e);

/* unlink() and an fsync of the folder. A file that is not there is no error. */
int file_remove(const char *path, struct err *e);

/* fsync() of a folder, or of the folder that path is in. */
int dir_sync(const char *dir, struct err *e);
int dir_sync_parent(const char *path, struct err *e);

/* mkdir -p; folders made get mode. The last one may exist. */
int dir_make(const char *path, mode_t mode, struct err *e);

/* Calls each(arg, name) for every entry of dir but "." and "..", sorted by bytes, and stops at the
 * first that returns other than 0, returning it. More than max entries is ERR_LIMIT. */
int dir_each(const char *dir, size_t max, int (*each)(void *arg, const char *name, struct err *e),
	void *arg, struct err *e);

/* Opens /dev/null for each of standard input, output and error that is closed. First of all in a
 * program: a file, a slot or a socket that got such a number would be what messages are written to.
 */
int file_open_standard(struct err *e);

/* Whether path exists (following links). Errors other than "not there" count as there. */
bool file_exists(const char *path);

/* The bytes in an open regular file or block device. */
int file_size(int fd, const char *name, uint64_t *size, struct err *e);

/* Takes the exclusive lock of a lock file (made when missing, mode 0600) without waiting; the lock
 * lives as long as *fd is open. ERR_REFUSED with EBUSY when someone else holds it: `what` says who
 * that is, for the message ("another sluice publisher"). */
int file_lock(const char *path, const char *what, int *fd, struct err *e);

/* dir + "/" + name into out. ERR_LIMIT when it does not fit into PATH_MAX. */
int path_join(char *out, size_t out_size, const char *dir, const char *name, struct err *e);

/* The folder of path into out: "a/b" gives "a", "b" gives ".", "/b" gives "/". ERR_LIMIT when it
 * does not fit. */
int path_parent(const char *path, char *out, size_t out_size, struct err *e);

/* Whether name can be one component of a path and nothing else: 1 to 128 of [A-Za-z0-9._+-], not
 * starting with a dot or a dash. */
bool name_is_plain(const char *name);

#endif
