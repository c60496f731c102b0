/* A libdeflate that says that all is well and gives other bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four before it. */
#include <cmocka.h>
#include <dlfcn.h>
#include <string.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/format/codec.h"

#define AUTO_INFLATER CLEANUP(inflater_free)
#define AUTO_DEFLATER CLEANUP(deflater_free)

enum { CHUNKS = 20 };

static struct {
	int made, ended, calls;
} library;

static void *
broken_make(void)
{
	library.made++;
	return &library;
}

static void
broken_end(void *d)
{
	assert_ptr_equal(d, &library);
	library.ended++;
}

static int
broken_inflate(void *d, const void *in, size_t in_bytes, void *out, size_t room, size_t *taken,
	size_t *made)
{
	(void)d;
	(void)in;
	library.calls++;
	memset(out, 0x5a, room);
	*taken = in_bytes;
	*made = room;
	return 0;
}

void *
dlopen(const char *name, int flags)
{
	(void)flags;
	return name && strncmp(name, "libdeflate", 10) == 0 ? &library : NULL;
}

void *
dlsym(void *restrict handle, const char *restrict name)
{
	union {
		void *(*make)(void);
		void (*end)(void *);
		int (*inflate)(void *, const void *, size_t, void *, size_t, size_t *, size_t *);
		void *found;
	} f = {.found = NULL};

	if (handle == &library && strstr(name, "alloc"))
		f.make = broken_make;
	else if (handle == &library && strstr(name, "free"))
		f.end = broken_end;
	else if (handle == &library && strstr(name, "zlib_decompress_ex"))
		f.inflate = broken_inflate;
	return f.found;
}

static uint8_t plain[CHUNK_BYTES], stored[CHUNK_STORED_MAX], back[CHUNKS][CHUNK_BYTES];

static struct chunk
encode(const uint8_t **data)
{
	AUTO_DEFLATER struct deflater *d = NULL;
	struct err e = ERR_INIT;
	struct chunk c;

	memset(plain, 't', sizeof(plain));
	assert_int_equal(deflater_new(6, &d, &e), 0);
	assert_int_equal(chunk_encode(d, span_of(plain, sizeof(plain)), stored, &c, data, &e), 0);
	assert_int_equal(c.store, CHUNK_ZLIB);
	return c;
}

static void
what_a_broken_library_makes_is_made_by_zlib(void **state)
{
	AUTO_INFLATER struct inflater *i = NULL;
	const uint8_t *data;
	struct chunk c = encode(&data);
	struct chunk_job jobs[CHUNKS];
	struct err e = ERR_INIT;
	size_t failed;

	(void)state;
	memset(&library, 0, sizeof(library));
	assert_int_equal(inflater_new(&i, &e), 0);
	for (size_t n = 0; n < CHUNKS; n++)
		jobs[n] = (struct chunk_job){&c, span_of(data, c.stored_size), back[n], ERR_NONE};
	assert_int_equal(chunks_decode(i, jobs, CHUNKS, &failed, &e), 0);
	assert_int_equal(library.calls, CHUNKS);
	for (size_t n = 0; n < CHUNKS; n++)
		assert_memory_equal(back[n], plain, sizeof(plain));
	/* And it is used no more. */
	assert_int_equal(library.ended, library.made);
	assert_int_equal(chunks_decode(i, jobs, CHUNKS, &failed, &e), 0);
	assert_int_equal(library.calls, CHUNKS);
}

static void
what_is_wrong_by_zlib_too_is_untrusted(void **state)
{
	AUTO_INFLATER struct inflater *i = NULL;
	const uint8_t *data;
	struct chunk c = encode(&data);
	struct err e = ERR_INIT;

	(void)state;
	memset(&library, 0, sizeof(library));
	c.plain.b[7] ^= 1;
	assert_int_equal(inflater_new(&i, &e), 0);
	assert_int_equal(chunk_decode(i, &c, span_of(data, c.stored_size), back[0], &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	inflater_free(&i);
	assert_int_equal(library.ended, library.made);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_broken_library_makes_is_made_by_zlib),
		cmocka_unit_test(what_is_wrong_by_zlib_too_is_untrusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
