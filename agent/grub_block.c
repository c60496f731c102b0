#include "agent/grub_block.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/boot_vars.h"
#include "common/base/num.h"

static const char SIGNATURE[] = "# GRUB Environment Block\n";
enum { SECTOR_BYTES = 512, LINES_SIZE = SECTOR_BYTES };

/* As the agent writes it all of it stands in the first sector, which changes as a whole or not at
 * all. */
static const char *const NAMES[] = {"sluice_seq", "sluice_primary", "sluice_a", "sluice_a_tries",
	"sluice_b", "sluice_b_tries", "sluice_end"};
enum { VAR_SEQ, VAR_PRIMARY, VAR_A, VAR_A_TRIES, VAR_B, VAR_B_TRIES, VAR_END, VARS };
_Static_assert(ARRAY_LEN(NAMES) == VARS, "a name for each");

uint64_t
grub_copy_offset(enum grub_copy which)
{
	return (1 + 2 * (uint64_t)which) * GRUB_GROUP_BYTES;
}

void
grub_block_format(const struct grub_block *block, uint8_t out[GRUB_GROUP_BYTES])
{
	const struct boot_vars *v = &block->vars;
	const struct boot_side *a = &v->side[SIDE_A], *b = &v->side[SIDE_B];
	char text[LINES_SIZE];
	int len = snprintf(text, sizeof(text),
		"%s%s=%" PRIu64 "\n%s=%s\n%s=%s\n%s=%" PRIu64 "\n%s=%s\n%s=%" PRIu64 "\n%s=%" PRIu64
		"\n",
		SIGNATURE, NAMES[VAR_SEQ], block->seq, NAMES[VAR_PRIMARY], side_name(v->primary),
		NAMES[VAR_A], boot_state_word(a), NAMES[VAR_A_TRIES], a->tries_left, NAMES[VAR_B],
		boot_state_word(b), NAMES[VAR_B_TRIES], b->tries_left, NAMES[VAR_END], block->seq);

	memset(out, '#', GRUB_GROUP_BYTES);
	memcpy(out, text, (size_t)len);
}

void
grub_turn_format(uint8_t out[GRUB_GROUP_BYTES])
{
	memset(out, '#', GRUB_GROUP_BYTES);
	(void)snprintf((char *)out, GRUB_GROUP_BYTES, "%ssluice_turn=0\n", SIGNATURE);
	out[strlen((char *)out)] = '#';
}

/* Longer than any that makes sense. */
enum { VALUE_SIZE = 16 };
struct values {
	char text[VARS][VALUE_SIZE];
};

/* The newline that ends what stands at `at`: one that no backslash takes away. g.len or more where
 * there is none. */
static size_t
newline_find(struct span g, size_t at)
{
	while (at < g.len && g.data[at] != '\n')
		at += g.data[at] == '\\' ? 2 : 1;
	return at;
}

/* What is between, without the backslashes, up to a zero byte: GRUB's strings end there. */
static void
value_copy(struct span g, size_t at, size_t end, char out[VALUE_SIZE])
{
	size_t n = 0;

	for (; at < end; at++) {
		if (g.data[at] == '\\')
			at++;
		if (!g.data[at])
			break;
		if (n + 1 == VALUE_SIZE) {
			n = 0; /* no value of ours */
			break;
		}
		out[n++] = (char)g.data[at];
	}
	out[n] = 0;
}

/* A name is all up to the next '=', newlines too. False where GRUB reads no further. */
static bool
variable_take(struct span g, size_t *at, struct values *out)
{
	const char *name = (const char *)g.data + *at;
	const uint8_t *equals = memchr(name, '=', g.len - *at);
	size_t value = equals ? (size_t)(equals - g.data) + 1 : g.len;
	size_t end = newline_find(g, value);

	if (end >= g.len)
		return false;
	for (size_t i = 0; i < VARS; i++) {
		size_t len = strnlen(name, value - 1 - *at);

		if (len == strlen(NAMES[i]) && memcmp(name, NAMES[i], len) == 0)
			value_copy(g, value, end, out->text[i]);
	}
	*at = end + 1;
	return true;
}

/* As env_read of grub.cfg has it. */
static int
values_parse(const struct values *values, struct grub_block *out, struct err *e)
{
	struct grub_block b = {0};

	for (size_t i = 0; i < VARS; i++) {
		bool is_tries = i == VAR_A_TRIES || i == VAR_B_TRIES;

		if (!values->text[i][0] || (is_tries && values->text[i][1]))
			return err_set(e, ERR_MALFORMED, "%s is \"%s\"", NAMES[i], values->text[i]);
	}
	if (strcmp(values->text[VAR_SEQ], values->text[VAR_END]) != 0)
		return err_set(e, ERR_MALFORMED, "its first and last numbers differ: torn");
	if (values->text[VAR_SEQ][0] == '0' ||
		num_parse(values->text[VAR_SEQ], GRUB_SEQ_MIN, GRUB_SEQ_MAX, &b.seq, e) < 0)
		return err_set(
			e, ERR_MALFORMED, "%s is \"%s\"", NAMES[VAR_SEQ], values->text[VAR_SEQ]);
	if (boot_side_parse(values->text[VAR_PRIMARY], &b.vars.primary, e) < 0 ||
		boot_state_parse(values->text[VAR_A], values->text[VAR_A_TRIES], GRUB_TRIES_MAX,
			&b.vars.side[SIDE_A], e) < 0 ||
		boot_state_parse(values->text[VAR_B], values->text[VAR_B_TRIES], GRUB_TRIES_MAX,
			&b.vars.side[SIDE_B], e) < 0)
		return -1;
	*out = b;
	return 0;
}

int
grub_block_parse(struct span group, struct grub_block *out, struct err *e)
{
	size_t at = sizeof(SIGNATURE) - 1;
	struct values values = {0};

	if (group.len != GRUB_GROUP_BYTES || memcmp(group.data, SIGNATURE, at) != 0)
		return err_set(e, ERR_MALFORMED, "no GRUB environment block");
	while (at < group.len) {
		if (group.data[at] == '#')
			at = newline_find(group, at) + 1;
		else if (!variable_take(group, &at, &values))
			break;
	}
	return values_parse(&values, out, e);
}

/* A ustar header (POSIX 1003.1, pax: "ustar Interchange Format"). */
static void
header_format(const char *name, uint64_t size, uint8_t out[SECTOR_BYTES])
{
	unsigned sum = 0;
	char digits[16];

	memset(out, 0, SECTOR_BYTES);
	(void)snprintf((char *)out, 100, "%s", name);
	memcpy(out + 100,
		"0000644\0"
		"0000000\0"
		"0000000\0",
		24);
	(void)snprintf(digits, sizeof(digits), "%011" PRIo64, size);
	memcpy(out + 124, digits, 12);
	memcpy(out + 136, "00000000000", 12);
	memset(out + 148, ' ', 8);
	out[156] = '0';
	memcpy(out + 257,
		"ustar\0"
		"00",
		8);
	for (size_t i = 0; i < SECTOR_BYTES; i++)
		sum += out[i];
	(void)snprintf(digits, sizeof(digits), "%06o", sum);
	memcpy(out + 148, digits, 7);
}

void
grub_area_format(uint8_t out[GRUB_AREA_BYTES])
{
	static const char *const names[] = {"sluice/a", "sluice/b", "sluice/good", "sluice/turn"};
	uint64_t fill = GRUB_GROUP_BYTES - 2 * SECTOR_BYTES;

	memset(out, 0, GRUB_AREA_BYTES);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		uint64_t data = (1 + 2 * (uint64_t)i) * GRUB_GROUP_BYTES;
		char name[32];

		/* A filler, so that the member begins a group and nothing else is in it. */
		(void)snprintf(name, sizeof(name), "sluice/filler-%zu", i);
		header_format(name, fill, out + data - GRUB_GROUP_BYTES);
		header_format(names[i], GRUB_GROUP_BYTES, out + data - SECTOR_BYTES);
	}
}
