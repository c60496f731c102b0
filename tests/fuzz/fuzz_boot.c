/* What stands on the disk for a bootloader: a block of GRUB's environment, and the files of
 * systemd-boot. The input is either; a block has zeros behind it. */
#include "agent/entry_text.h"
#include "agent/grub_block.h"
#include "common/base/num.h"
#include "tests/fuzz/harness.h"

static void
check_block(struct span in)
{
	static uint8_t group[GRUB_GROUP_BYTES], written[GRUB_GROUP_BYTES];
	struct grub_block block, again;
	struct err e = ERR_INIT;
	size_t len = (size_t)num_min(in.len, sizeof(group));

	memset(group, 0, sizeof(group));
	if (len > 0)
		memcpy(group, in.data, len);
	if (grub_block_parse(span_of(group, sizeof(group)), &block, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	fuzz_deep();
	MUST(block.seq >= GRUB_SEQ_MIN);
	grub_block_format(&block, written);
	MUST(grub_block_parse(span_of(written, sizeof(written)), &again, &e) == 0);
	MUST(again.seq == block.seq);
}

static void
check_entry(struct span in)
{
	static const char *const keys[] = {"default", "timeout", "title"};
	AUTO_FREE char *text = fuzz_text(in);
	struct entry_value v;
	char value[64];
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		bool found = entry_text_find(text, keys[i], &v);

		MUST(!found || (v.len > 0 && v.at + v.len <= strlen(text)));
		if (entry_text_value(text, keys[i], value, sizeof(value), &e) < 0)
			MUST(found && v.len >= sizeof(value));
		else
			MUST(strlen(value) == (found ? v.len : 0));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_block(span_of(data, size));
	check_entry(span_of(data, size));
	return 0;
}
