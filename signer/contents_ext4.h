/* The files of an ext4 image (of ext2 or ext3, too), by libext2fs. */
#ifndef SLUICE_SIGNER_CONTENTS_EXT4_H
#define SLUICE_SIGNER_CONTENTS_EXT4_H

#include "signer/contents.h"

/* Fills in c, which has its fixed owners and no extents yet, and settles it. The image is read
 * only, and what is looked at is bounded whatever it says: inodes and names by limits.h, blocks by
 * twice as many as there are, paths by PATH_MAX. Any error means that c is of no use: ERR_MALFORMED
 * for what is damaged, ERR_LIMIT. */
int contents_ext4(const struct unpacked *u, struct contents *c, struct err *e);

#endif
