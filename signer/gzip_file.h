/* A gzip file that is read decompressed, its checksums checked. */
#ifndef SLUICE_SIGNER_GZIP_FILE_H
#define SLUICE_SIGNER_GZIP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

struct gzip_file;

void gzip_file_close(struct gzip_file **f);
#define AUTO_GZIP_FILE CLEANUP(gzip_file_close)

/* Whether fd, which stays where it is, begins as gzip files do. */
int gzip_file_is(int fd, const char *name, bool *yes, struct err *e);

/* Reads from where fd stands. fd and name are borrowed. */
int gzip_file_open(int fd, const char *name, struct gzip_file **out, struct err *e);

/* The next len bytes; *got is less only at the end. ERR_MALFORMED for what is damaged, no gzip, or
 * ends too soon. */
int gzip_file_read(struct gzip_file *f, uint8_t *data, size_t len, size_t *got, struct err *e);

/* How many compressed bytes were read. */
uint64_t gzip_file_done(const struct gzip_file *f);

#endif
