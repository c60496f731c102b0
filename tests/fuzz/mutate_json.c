/* libFuzzer's changes for targets whose inputs hold JSON: half of them keep it JSON, so that they
 * get past its parser. Only in VARIANT=fuzz. */
#include "common/base/num.h"
#include "tests/fuzz/harness.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { PLACES_MAX = 2048, TEXT_MAX = 256 };

/* Where a value stands: a member of an object, or an element of an array. */
struct place {
	json_t *in;
	const char *key; /* NULL: of an array */
	size_t index;
};

struct places {
	struct place at[PLACES_MAX];
	size_t count;
	uint64_t seed;
};

static size_t
below(struct places *p, size_t bound)
{
	p->seed = p->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return bound ? (size_t)((p->seed >> 33) % bound) : 0;
}

static void
collect(struct places *p, json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach (j, key, value) {
		if (p->count < PLACES_MAX)
			p->at[p->count++] = (struct place){.in = j, .key = key};
		collect(p, value);
	}
	json_array_foreach (j, i, value) {
		if (p->count < PLACES_MAX)
			p->at[p->count++] = (struct place){.in = j, .index = i};
		collect(p, value);
	}
}

static json_t *
value_at(const struct place *p)
{
	return p->key ? json_object_get(p->in, p->key) : json_array_get(p->in, p->index);
}

/* Takes value over. */
static void
put_at(const struct place *p, json_t *value)
{
	if (p->key)
		(void)json_object_set_new(p->in, p->key, value);
	else
		(void)json_array_set_new(p->in, p->index, value);
}

static json_t *
odd_value(struct places *p)
{
	static const json_int_t numbers[] = {0, 1, 2, -1, 255, 65535, 65536, 2147483647, 4294967295,
		4294967296, 9007199254740992, 9007199254740993, INT64_MAX, INT64_MIN};

	switch (below(p, 8)) {
	case 0:
		return json_string("");
	case 1:
		return json_string("a");
	case 2:
		return json_null();
	case 3:
		return json_boolean(below(p, 2));
	case 4:
		return json_array();
	case 5:
		return json_object();
	default:
		return json_integer(numbers[below(p, ARRAY_LEN(numbers))]);
	}
}

/* A text or number that differs a little; NULL for what is neither, or where it is no UTF-8 any
 * more. */
static json_t *
near_value(struct places *p, const json_t *value)
{
	uint8_t text[TEXT_MAX];
	size_t len = json_string_length(value);

	if (json_is_integer(value))
		return json_integer((json_int_t)((uint64_t)json_integer_value(value) +
						 (uint64_t)below(p, 5) - 2));
	if (!json_is_string(value) || len > sizeof(text))
		return NULL;
	memcpy(text, json_string_value(value), len);
	len = LLVMFuzzerMutate(text, len, sizeof(text));
	return json_stringn((const char *)text, len);
}

static void
grow(struct places *p, const struct place *at, json_t *value)
{
	const struct place *other = &p->at[below(p, p->count)];
	char key[TEXT_MAX];

	if (!at->key) {
		(void)json_array_insert(at->in, at->index, value);
		return;
	}
	(void)snprintf(
		key, sizeof(key), "%s%s", other->key ? other->key : "x", below(p, 2) ? "" : "1");
	(void)json_object_set(at->in, key, value);
}

static void
change_one(struct places *p)
{
	const struct place *at = &p->at[below(p, p->count)];
	json_t *copy = json_deep_copy(value_at(&p->at[below(p, p->count)])), *near;

	switch (below(p, 6)) {
	case 0:
		put_at(at, json_incref(copy));
		break;
	case 1:
		put_at(at, odd_value(p));
		break;
	case 2:
		(void)(at->key ? json_object_del(at->in, at->key)
			       : json_array_remove(at->in, at->index));
		break;
	case 3:
		grow(p, at, copy);
		break;
	default:
		near = near_value(p, value_at(at));
		if (near)
			put_at(at, near);
	}
	json_decref(copy);
}

/* A '{' at the start of a line, somewhere in the input: where JSON begins. */
static size_t
json_start(struct places *p, const uint8_t *data, size_t size)
{
	size_t from = below(p, size);

	for (size_t n = 0; n < size; n++) {
		size_t i = (from + n) % size;

		if (data[i] == '{' && (i == 0 || data[i - 1] == '\n'))
			return i;
	}
	return size;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	static struct places p;
	AUTO_JSON json_t *j = NULL;
	AUTO_FREE char *text = NULL;
	json_error_t where;
	size_t start, end, len;

	p.count = 0;
	p.seed = seed;
	start = json_start(&p, data, size);
	if (seed % 2 == 0 && start < size)
		j = json_loadb(
			(const char *)data + start, size - start, JSON_DISABLE_EOF_CHECK, &where);
	collect(&p, j);
	if (p.count == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	change_one(&p);
	text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	end = start + (size_t)where.position;
	len = text ? strlen(text) : 0;
	if (!text || start + len + (size - end) > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	memmove(data + start + len, data + end, size - end);
	memcpy(data + start, text, len);
	return start + len + (size - end);
}
