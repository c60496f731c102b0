/* A request for signatures, as it is carried to people whose keys are elsewhere, and any metadata
 * file that somebody looks at: what reaches the terminal is printable, whoever made the file.
 *
 * Input: a request. Its envelopes are signed with two test keys, unless it begins with a blank. */
#include <ctype.h>

#include "signer/request.h"
#include "signer/show_metadata.h"
#include "signer/summary.h"
#include "tests/fuzz/harness.h"

static const int64_t now_s = 1800000000;

static void
sign(json_t *envelope)
{
	struct err e = ERR_INIT;

	if (!json_is_object(envelope))
		return;
	(void)json_object_set_new(envelope, "signatures", json_array());
	for (size_t i = 0; i < 2; i++)
		(void)envelope_sign(envelope, fuzz_signer(i), &e);
}

/* The request with every envelope in it signed; as it is where it is no JSON. */
static char *
sealed(struct span in)
{
	static const char *const parts[] = {"document", "authority", "current", NULL};
	AUTO_JSON json_t *j = NULL;
	json_t *root;
	struct err e;
	size_t i;

	if (json_parse(in, "request", &j, &e) < 0 || in.data[0] == ' ')
		return fuzz_text(in);
	for (const char *const *part = parts; *part; part++)
		sign(json_object_get(j, *part));
	json_array_foreach (json_object_get(j, "roots"), i, root)
		sign(root);
	return json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
}

static void
check_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		MUST(isprint((unsigned char)text[i]) || text[i] == '\n');
}

/* What a person is shown before signing. */
static void
summarise(const struct change *c)
{
	AUTO_BUF struct buf first = BUF_INIT(1 << 24), second = BUF_INIT(1 << 24);
	AUTO_JSON json_t *good = NULL;
	struct keyring names = {NULL};
	struct err e = ERR_INIT;

	if (request_signers(c, &good, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	MUST(request_count(&c->keys, good) <= json_array_size(good));
	if (summary_write(c, good, &names, now_s, &first, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	fuzz_deep();
	MUST(first.len > 0);
	check_printable(buf_str(&first), first.len);
	MUST(summary_write(c, good, &names, now_s, &second, &e) == 0);
	MUST(span_equal(buf_span(&first), buf_span(&second)));
}

static void
read_request(struct span text)
{
	AUTO_REQUEST struct request r = {0};
	AUTO_CHANGE struct change c = {0};
	AUTO_BUF struct buf bytes = BUF_INIT(1 << 24);
	struct err e = ERR_INIT;

	if (request_read(fuzz_file_path(0, text), &r, &e) < 0 ||
		request_check(&r, NULL, &c, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	MUST(c.version > 0 && c.after && c.keys.threshold > 0 && !c.anchored);
	MUST(request_bytes(&r, &bytes, &e) == 0);
	summarise(&c);
}

/* Through standard output, which is memory meanwhile. */
static void
show(struct span text)
{
	FILE *out = stdout;
	char *shown = NULL;
	size_t len = 0;
	struct err e = ERR_INIT;

	stdout = open_memstream(&shown, &len);
	MUST(stdout);
	if (show_metadata(fuzz_file_path(0, text), false, &e) < 0)
		fuzz_check_err(&e);
	(void)fclose(stdout);
	stdout = out;
	check_printable(shown, len);
	free(shown);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	AUTO_FREE char *text = sealed(in);
	AUTO_JSON json_t *j = NULL;
	struct err e;

	MUST(text);
	read_request(span_str(text));
	show(in);
	if (json_parse(in, "request", &j, &e) == 0) {
		AUTO_FREE char *document = json_dumps(json_object_get(j, "document"), JSON_COMPACT);

		if (document)
			show(span_str(document));
	}
	return 0;
}
