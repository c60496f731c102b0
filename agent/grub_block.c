#include "agent/grub_block.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/boot_vars.h"
#include "common/base/num.h"

static const char SIGNATURE[] = "# GRUB Environment Block\n";
enum { SECTOR_BYTES = 512, LINES_SIZE = SECTOR_BYTES };

/* All of it stands in the first sector, which changes as a whole or not at all. */
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

/* The value of the next line, which has to be this variable's; cut off at its end. */
static int
line_take(char **at, size_t var, const char **value, struct err *e)
{
	size_t name_len = strlen(NAMES[var]);
	char *end = strchr(*at, '\n');

	if (!end || strncmp(*at, NAMES[var], name_len) != 0 || (*at)[name_len] != '=')
		return err_set(e, ERR_MALFORMED, "%s is not where it must be", NAMES[var]);
	*end = 0;
	*value = *at + name_len + 1;
	*at = end + 1;
	return 0;
}

static int
values_parse(const char *const values[VARS], struct grub_block *out, struct err *e)
{
	struct grub_block b = {0};
	uint64_t end;

	if (num_parse(values[VAR_SEQ], GRUB_SEQ_MIN, GRUB_SEQ_MAX, &b.seq, e) < 0 ||
		num_parse(values[VAR_END], GRUB_SEQ_MIN, GRUB_SEQ_MAX, &end, e) < 0 ||
		boot_side_parse(values[VAR_PRIMARY], &b.vars.primary, e) < 0 ||
		boot_state_parse(values[VAR_A], values[VAR_A_TRIES], GRUB_TRIES_MAX,
			&b.vars.side[SIDE_A], e) < 0 ||
		boot_state_parse(values[VAR_B], values[VAR_B_TRIES], GRUB_TRIES_MAX,
			&b.vars.side[SIDE_B], e) < 0)
		return -1;
	if (b.seq != end)
		return err_set(e, ERR_MALFORMED, "its first and last numbers differ: torn");
	*out = b;
	return 0;
}

int
grub_block_parse(struct span group, struct grub_block *out, struct err *e)
{
	char text[LINES_SIZE + 1], *at = text + sizeof(SIGNATURE) - 1;
	const char *values[VARS];

	if (group.len != GRUB_GROUP_BYTES ||
		memcmp(group.data, SIGNATURE, sizeof(SIGNATURE) - 1) != 0)
		return err_set(e, ERR_MALFORMED, "no GRUB environment block");
	memcpy(text, group.data, LINES_SIZE);
	text[LINES_SIZE] = 0;
	for (size_t i = 0; i < VARS; i++) {
		if (line_take(&at, i, &values[i], e) < 0)
			return -1;
	}
	for (size_t i = (size_t)(at - text); i < group.len; i++) {
		if (group.data[i] != '#')
			return err_set(e, ERR_MALFORMED, "something stands behind its end");
	}
	return values_parse(values, out, e);
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
	static const char *const names[GRUB_COPIES] = {"sluice/a", "sluice/b", "sluice/good"};
	uint64_t fill = GRUB_GROUP_BYTES - 2 * SECTOR_BYTES;

	memset(out, 0, GRUB_AREA_BYTES);
	for (size_t i = 0; i < GRUB_COPIES; i++) {
		uint64_t data = grub_copy_offset((enum grub_copy)i);
		char name[32];

		/* A filler, so that the copy begins a group and nothing else is in it. */
		(void)snprintf(name, sizeof(name), "sluice/filler-%zu", i);
		header_format(name, fill, out + data - GRUB_GROUP_BYTES);
		header_format(names[i], GRUB_GROUP_BYTES, out + data - SECTOR_BYTES);
	}
}
