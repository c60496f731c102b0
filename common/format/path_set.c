#include "common/format/path_set.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/cleanup.h"
#include "common/base/num.h"
#include "common/crypto/digest.h"

enum { SLOTS_MIN = 64 };

/* Open addressing; slots is a power of two, and 0 marks a free one. */
struct path_set {
	uint64_t *keys;
	size_t slots, used;
};

static uint64_t
key_of(const char *path)
{
	struct digest d = digest_of(span_str(path));
	uint64_t key = num_get_le64(d.b);

	return key ? key : 1;
}

/* Where key is, or the free slot where it belongs. At least one slot is free. */
static size_t
find(const uint64_t *keys, size_t slots, uint64_t key)
{
	size_t i = (size_t)key & (slots - 1);

	while (keys[i] && keys[i] != key)
		i = (i + 1) & (slots - 1);
	return i;
}

void
path_set_free(struct path_set **s)
{
	if (!*s)
		return;
	free((*s)->keys);
	free(*s);
	*s = NULL;
}

int
path_set_new(struct path_set **out, struct err *e)
{
	CLEANUP(path_set_free) struct path_set *s = calloc(1, sizeof(*s));

	if (!s)
		return err_sys(e, ENOMEM, "making a set of paths");
	s->slots = SLOTS_MIN;
	s->keys = calloc(s->slots, sizeof(*s->keys));
	if (!s->keys)
		return err_sys(e, ENOMEM, "making a set of paths");
	*out = TAKE_PTR(s);
	return 0;
}

static int
grow(struct path_set *s, struct err *e)
{
	size_t slots = 2 * s->slots;
	uint64_t *keys = calloc(slots, sizeof(*keys));

	if (!keys)
		return err_sys(e, ENOMEM, "a set of %zu paths", slots);
	for (size_t i = 0; i < s->slots; i++) {
		if (s->keys[i])
			keys[find(keys, slots, s->keys[i])] = s->keys[i];
	}
	free(s->keys);
	s->keys = keys;
	s->slots = slots;
	return 0;
}

int
path_set_add(struct path_set *s, const char *path, struct err *e)
{
	uint64_t key = key_of(path);
	size_t at;

	if (s->used >= s->slots / 4 * 3 && grow(s, e) < 0)
		return -1;
	at = find(s->keys, s->slots, key);
	if (!s->keys[at])
		s->used++;
	s->keys[at] = key;
	return 0;
}

bool
path_set_has(const struct path_set *s, const char *path)
{
	uint64_t key = key_of(path);

	return s->keys[find(s->keys, s->slots, key)] == key;
}
