#include "signer/probe.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/base/text.h"

enum { SAID_BYTES = 4096 };

static int
request_write(const struct workspace *w, struct buf *out, struct err *e)
{
	char ca[PATH_MAX];

	if (workspace_path(w, "tls/ca.crt", ca, e) < 0)
		return -1;
	if (strpbrk(ca, "\"\\\n"))
		return err_set(e, ERR_USAGE, "%s: curl(1) cannot be told such a path", ca);
	return buf_printf(out, e,
		"url = \"%sreports/\"\ncacert = \"%s\"\nsilent\nshow-error\nstderr = \"-\"\n"
		"max-time = %d\noutput = \"/dev/null\"\nwrite-out = \"\\n%%{http_code}\"\n",
		w->report_url, ca, PROBE_TIMEOUT_S);
}

int
probe_server(const struct workspace *w, struct err *e)
{
	static const char *const argv[] = {"curl", "-q", "--config", "-", NULL};
	AUTO_BUF struct buf request = BUF_INIT(2 * PATH_MAX), said = BUF_INIT(SAID_BYTES);
	struct process p = {
		.argv = argv, .output = &said, .timeout_ms = (PROBE_TIMEOUT_S + 5) * 1000};
	char *line, *after;
	uint64_t code;
	int status;

	if (request_write(w, &request, e) < 0)
		return -1;
	p.input = buf_span(&request);
	if (process_run(&p, &status, e) < 0)
		return err_context(e, "asking %s with curl(1)", w->report_url);
	/* What it complains of, and in a line of its own what it was answered. */
	line = said.len ? strrchr((char *)said.data, '\n') : NULL;
	if (status == 0 && line && num_parse(line + 1, 100, 499, &code, NULL) == 0)
		return 0;
	if (line && status != 0)
		*line = '\0';
	/* How long it took is never the same twice, and a problem that lasts is told once. */
	if (said.len && (after = strstr((char *)said.data, " after ")))
		*after = '\0';
	return err_set(e, ERR_NETWORK, "%s does not answer: %.200s", w->report_url,
		said.len ? buf_str(&said) : "curl(1) failed");
}
