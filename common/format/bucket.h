/* A box's own number for a rollout: the same on every host, another for each rollout and use. */
#ifndef SLUICE_FORMAT_BUCKET_H
#define SLUICE_FORMAT_BUCKET_H

#include <stdint.h>

/* First 8 bytes of SHA-256(salt 00 rollout 00 box), big-endian, × count >> 64: below count, or 0.
 * salt is up to 31 bytes; of the others the first NAME_BYTES_MAX count. */
uint32_t bucket_of(const char *salt, const char *rollout, const char *box, uint32_t count);

#endif
