/* An image that is packed: a file or block device read from its start to its end, decompressed on
 * the way when its name ends in .gz, .xz or .zst. (A file that is to stay compressed on the box, an
 * initrd for instance, is given another name.) */
#ifndef SLUICE_SIGNER_IMAGE_H
#define SLUICE_SIGNER_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

struct image;

void image_close(struct image **i);
#define AUTO_IMAGE CLEANUP(image_close)

/* Opens it. path is borrowed. ERR_MALFORMED when the content is not what the name says, ERR_USAGE
 * for a folder, pipe or the like. */
int image_open(const char *path, struct image **out, struct err *e);

/* The next len bytes; *got is less only at the image's end. ERR_MALFORMED for compressed bytes that
 * are damaged or end too soon. */
int image_read(struct image *i, uint8_t *data, size_t len, size_t *got, struct err *e);

/* How much of the file was read, and how large it is: compressed bytes, for a progress bar. */
uint64_t image_done(const struct image *i);
uint64_t image_total(const struct image *i);

#endif
