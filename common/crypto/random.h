/* Randomness from the kernel (libsodium). */
#ifndef SLUICE_CRYPTO_RANDOM_H
#define SLUICE_CRYPTO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills data. Aborts the program when the kernel gives none, as libsodium does. */
void random_bytes(void *data, size_t len);

/* Uniform over 0 .. below - 1; 0 for below 0 or 1. */
uint64_t random_below(uint64_t below);

/* bytes random bytes in lower-case hexadecimal; out holds 2 * bytes + 1. */
void random_hex(size_t bytes, char *out);

#endif
