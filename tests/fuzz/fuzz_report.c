/* A box's report as the host reads it from its spool: raw, and sealed with the box's own key, for a
 * box may be anybody's by now. */
#include "common/base/num.h"
#include "common/format/report.h"
#include "tests/fuzz/harness.h"

/* What was read is what the box could have written: no more, and to the byte. */
static void
check_report(const struct report *r, const json_t *body)
{
	AUTO_JSON json_t *built = NULL;
	struct err e = ERR_INIT;

	fuzz_deep();
	MUST(report_build(r, &built, &e) == 0);
	/* Times have more than one spelling. */
	MUST(json_object_set(built, "at", json_object_get(body, "at")) == 0);
	MUST(json_equal(built, body));
	MUST(r->state < BOX_STATES && r->outcome < OUTCOMES && r->seq > 0);
	for (const char *c = r->detail; *c; c++)
		MUST((unsigned char)*c >= 0x20 && *c != 0x7f);
	for (const char *c = r->log; *c; c++)
		MUST((unsigned char)*c >= 0x20 || *c == '\n' || *c == '\t');
}

static void
read_report(struct span bytes)
{
	AUTO_VERIFIED struct verified v = {0};
	AUTO_REPORT struct report r = {0};
	struct role_keys role = fuzz_role();
	struct err e = ERR_INIT;

	if (envelope_verify(bytes, "report", &role, &v, &e) < 0 || report_parse(&v, &r, &e) < 0)
		fuzz_check_err(&e);
	else
		check_report(&r, v.body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf sealed = BUF_INIT(1 << 24);

	read_report(span_of(data, size));
	if (fuzz_seal(span_of(data, size), 1, &sealed))
		read_report(buf_span(&sealed));
	return 0;
}
