/* What fuzz targets share. A target is fuzz_NAME.c with an LLVMFuzzerTestOneInput: libFuzzer drives
 * it in VARIANT=fuzz, replay.c in every other. */
#ifndef SLUICE_TESTS_FUZZ_HARNESS_H
#define SLUICE_TESTS_FUZZ_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/envelope.h"

/* Returns 0. Whatever it is given, it neither crashes nor aborts, nor takes long, nor leaks. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that holds for every input. The text that aborts names it. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			must_have(__FILE__, __LINE__, #condition);                                 \
	} while (0)
void must_have(const char *file, int line, const char *what) __attribute__((noreturn));

/* Called where an input was accepted: a corpus of which nothing gets there tests nothing, and the
 * driver of make test says how often it was. */
void fuzz_deep(void);
uint64_t fuzz_deep_count(void);

/* The keys that seal inputs: always the same, so that a corpus can name them. */
enum { FUZZ_KEYS = 4 };
const struct signer *fuzz_signer(size_t i);

/* The role of the first key alone, threshold 1. Borrowed. */
struct role_keys fuzz_role(void);

/* Signs body, as far as it is a JSON object, with each key whose bit is set: an envelope that gets
 * past the signatures. Appends to out. False where body is no object, or has no canonical form. */
bool fuzz_seal(struct span body, unsigned keys, struct buf *out);

/* A verified document of these bytes, by their own digest. */
bool fuzz_verified(struct span bytes, struct verified *out);

/* A file in memory, the same descriptor each time for each of a few numbers, that holds bytes. */
enum { FUZZ_FILES = 4 };
int fuzz_file(size_t number, struct span bytes);
/* Its path, for what takes no descriptor. */
const char *fuzz_file_path(size_t number, struct span bytes);

/* A folder of this process, in memory where there is such a place; it goes at the end. */
const char *fuzz_folder(void);

/* A copy in memory of exactly its size and a zero byte, for what takes a C string. Freed by the
 * caller. What is behind the first zero byte of the input does not count. */
char *fuzz_text(struct span bytes);

/* Takes bytes off the front of an input; zeros where it has ended. */
uint8_t fuzz_take8(struct span *in);
uint32_t fuzz_take32(struct span *in);
uint64_t fuzz_take64(struct span *in);
struct span fuzz_take(struct span *in, size_t len);

/* Takes all up to a line that is mark, and that line. The newline before it counts for nothing. */
struct span fuzz_take_part(struct span *in, const char *mark);

/* An error of one of the classes there are, with a text: what every failure has to leave. */
void fuzz_check_err(const struct err *e);

#endif
