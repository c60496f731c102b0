/* Small samples of our JSON documents, and every way of damaging one of them a little. */
#ifndef SLUICE_TESTS_SAMPLE_H
#define SLUICE_TESTS_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto/envelope.h"

/* The sample as JSON; the caller owns it. */
static inline json_t *
sample_json(const char *text)
{
	struct err e = ERR_INIT;
	json_t *root = NULL;

	assert_int_equal(json_parse(span_str(text), "sample", &root, &e), 0);
	return root;
}

/* What a parser of verified documents takes, without any check: for tests of parsers only. Borrows
 * root. */
static inline struct verified
sample_verified(json_t *root)
{
	return (struct verified){root, root};
}

/* The sample with the first place of `was` replaced. Freed by the caller. */
static inline char *
sample_with(const char *text, const char *was, const char *becomes)
{
	const char *place = strstr(text, was);
	size_t before, size;
	char *out;

	assert_non_null(place);
	before = (size_t)(place - text);
	size = strlen(text) + strlen(becomes) + 1;
	out = malloc(size);
	assert_non_null(out);
	memcpy(out, text, before);
	(void)snprintf(out + before, size - before, "%s%s", becomes, place + strlen(was));
	return out;
}

/* Calls each() with every proper prefix of text and with every byte of it changed in every bit. The
 * bytes lie in memory of exactly their length, so that a sanitizer sees the first one past it. */
static inline void
sample_damage(const char *text, void (*each)(struct span bytes))
{
	size_t len = strlen(text);

	for (size_t n = 0; n < len; n++) {
		uint8_t *copy = malloc(n ? n : 1);

		assert_non_null(copy);
		memcpy(copy, text, n);
		each(span_of(copy, n));
		free(copy);
	}
	for (size_t i = 0; i < len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			uint8_t *copy = malloc(len);

			assert_non_null(copy);
			memcpy(copy, text, len);
			copy[i] ^= (uint8_t)(1 << bit);
			each(span_of(copy, len));
			free(copy);
		}
	}
}

#endif
