/* JSON of every kind: anybody sends it, and it is parsed before any signature is looked at. */
#include "tests/fuzz/harness.h"

/* The canonical form parses, to the same, and its canonical form is itself. */
static void
check_canonical(const json_t *j)
{
	AUTO_BUF struct buf first = BUF_INIT(1 << 24), second = BUF_INIT(1 << 24);
	AUTO_JSON json_t *again = NULL;
	struct err e = ERR_INIT;

	if (json_canonical(j, &first, &e) < 0) {
		fuzz_check_err(&e);
		MUST(first.len == 0);
		return;
	}
	/* Control characters stand in it as they are, which no parser of JSON takes. */
	for (size_t i = 0; i < first.len; i++) {
		if (first.data[i] < 0x20)
			return;
	}
	MUST(json_parse(buf_span(&first), "canonical", &again, &e) == 0);
	MUST(json_equal(j, again));
	MUST(json_canonical(again, &second, &e) == 0);
	MUST(span_equal(buf_span(&first), buf_span(&second)));
}

static void
check_pretty(const json_t *j)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 24);
	AUTO_JSON json_t *again = NULL;
	struct err e = ERR_INIT;

	MUST(json_pretty(j, &text, &e) == 0);
	MUST(json_parse(buf_span(&text), "pretty", &again, &e) == 0);
	MUST(json_equal(j, again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_JSON json_t *j = NULL;
	struct err e = ERR_INIT;

	if (json_parse(span_of(data, size), "input", &j, &e) < 0) {
		fuzz_check_err(&e);
		MUST(!j && strncmp(e.text, "input: byte ", 12) == 0);
		return 0;
	}
	fuzz_deep();
	check_canonical(j);
	check_pretty(j);
	return 0;
}
