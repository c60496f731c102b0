#include "signer/courier.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/num.h"
#include "common/base/process.h"
#include "common/base/text.h"
#include "common/crypto/hmac.h"
#include "common/crypto/secret.h"

/* A server may send 100 KiB of Retry-After, which curl(1) repeats. */
enum { SAID_BYTES = 4 << 20, REQUESTS_BYTES = WEBHOOK_ROUND_MAX * (2 * WEBHOOK_BODY_MAX + 16384) };

void
courier_sign(const struct webhook_secret *secret, int64_t at_s, const char *body,
	char out[COURIER_SIGNATURE_SIZE])
{
	char at[24], hex[DIGEST_HEX_SIZE];
	struct span parts[2];
	struct digest d;

	(void)snprintf(at, sizeof(at), "%" PRId64 ".", at_s);
	parts[0] = span_str(at);
	parts[1] = span_str(body);
	d = hmac_sha256(span_of(secret->text, secret->len), parts, ARRAY_LEN(parts));
	(void)snprintf(out, COURIER_SIGNATURE_SIZE, "v1=%s", digest_hex(&d, hex));
}

/* A word of curl(1)'s configuration: https://curl.se/docs/manpage.html, --config. */
static int
quoted_write(struct buf *out, const char *name, const char *value, struct err *e)
{
	if (buf_printf(out, e, "%s = \"", name) < 0)
		return -1;
	for (const char *c = value; *c; c++) {
		if (strchr("\n\r", *c))
			return err_set(
				e, ERR_USAGE, "%s: curl(1) cannot be told such a path", value);
		if (strchr("\"\\", *c) && buf_append(out, "\\", 1, e) < 0)
			return -1;
		if (buf_append(out, c, 1, e) < 0)
			return -1;
	}
	return buf_append(out, "\"\n", 2, e);
}

/* What the server says goes last in its line, so that it can play no other post's. */
static int
rules_write(struct buf *out, size_t number, struct err *e)
{
	return buf_printf(out, e,
		"globoff\nproto = \"=https\"\ntlsv1.2\nmax-redirs = 0\nmax-time = %d\n"
		"user-agent = \"sluice\"\noutput = \"/dev/null\"\nmax-filesize = %d\n"
		"write-out = \"\\n@%zu %%{http_code} %%{exitcode} "
		"%%header{retry-after}\\t%%{errormsg}\\n\"\n"
		"header = \"Content-Type: application/json\"\n",
		WEBHOOK_TIMEOUT_S, WEBHOOK_BODY_MAX, number);
}

static int
post_write(
	const struct courier_post *p, size_t number, int64_t now_s, struct buf *out, struct err *e)
{
	AUTO_SECRET struct webhook_secret *secret = NULL;
	char signature[COURIER_SIGNATURE_SIZE];

	if (webhook_secret_load(p->webhook, &secret, e) < 0)
		return -1;
	courier_sign(secret, now_s, p->body, signature);
	if (out->len > 0 && buf_printf(out, e, "next\n") < 0)
		return -1;
	if (rules_write(out, number, e) < 0 || quoted_write(out, "url", p->webhook->url, e) < 0 ||
		(p->webhook->ca_file && quoted_write(out, "cacert", p->webhook->ca_file, e) < 0) ||
		quoted_write(out, "data-raw", p->body, e) < 0)
		return -1;
	return buf_printf(out, e,
		"header = \"Sluice-Event: %s\"\nheader = \"Sluice-Id: %s\"\n"
		"header = \"Sluice-Timestamp: %" PRId64 "\"\nheader = \"Sluice-Signature: %s\"\n",
		p->kind, p->name, now_s, signature);
}

/* Seconds, or a date (RFC 9110 section 10.2.3). 0: neither. */
static uint64_t
retry_after_read(const char *text, int64_t now_s)
{
	struct tm tm = {0};
	uint64_t s = 0;
	const char *end;
	int64_t at_s;

	if (num_parse(text, 0, INT64_MAX, &s, NULL) == 0)
		return s;
	end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (!end || *end)
		return 0;
	at_s = timegm(&tm);
	return at_s > now_s ? (uint64_t)(at_s - now_s) : 0;
}

static void
line_read(char *line, int64_t now_s, struct outbox_answer *out)
{
	char *rest = line, *error = strchr(line, '\t');
	const char *status, *exit_status;
	uint64_t code = 0;

	if (error)
		*error++ = '\0';
	status = strsep(&rest, " ");
	exit_status = rest ? strsep(&rest, " ") : NULL;
	/* Once there is a status, it has been read: what follows is not waited for. */
	if (num_parse(status, 100, 999, &code, NULL) == 0) {
		out->status = (unsigned)code;
		out->retry_after_s = rest ? retry_after_read(rest, now_s) : 0;
		(void)snprintf(out->text, sizeof(out->text), "HTTP status %u", out->status);
		return;
	}
	(void)snprintf(out->text, sizeof(out->text), "%s",
		error && *error ? error
		: exit_status	? exit_status
				: "curl(1) failed");
	text_clean(out->text);
}

void
courier_answer_read(const char *said, size_t number, int64_t now_s, struct outbox_answer *out)
{
	AUTO_FREE char *line = NULL;
	const char *at;
	char mark[32];

	*out = (struct outbox_answer){.text = "curl(1) said nothing"};
	(void)snprintf(mark, sizeof(mark), "\n@%zu ", number);
	at = strstr(said, mark);
	if (!at)
		return;
	at += strlen(mark);
	line = strndup(at, strcspn(at, "\n"));
	if (line)
		line_read(line, now_s, out);
}

static int
curl_run(struct span requests, struct buf *said, struct err *e)
{
	static const char *const argv[] = {"curl", "-q", "--silent", "--parallel",
		"--parallel-immediate", "--config", "-", NULL};
	const struct process p = {.argv = argv,
		.input = requests,
		.output = said,
		.timeout_ms = (WEBHOOK_TIMEOUT_S + 5) * 1000};
	int status;

	return process_run(&p, &status, e);
}

int
courier_send(struct courier_post *posts, size_t count, int64_t now_s, struct err *e)
{
	AUTO_BUF struct buf requests = BUF_INIT(REQUESTS_BYTES);
	AUTO_BUF struct buf said = BUF_INIT(SAID_BYTES);
	size_t written = 0;

	for (size_t i = 0; i < count; i++) {
		struct err why = ERR_INIT;
		size_t before = requests.len;

		posts[i].answer = (struct outbox_answer){0};
		if (post_write(&posts[i], i, now_s, &requests, &why) == 0) {
			written++;
			continue;
		}
		buf_truncate(&requests, before);
		(void)snprintf(posts[i].answer.text, sizeof(posts[i].answer.text), "%.*s",
			OUTBOX_ANSWER_SIZE - 1, why.text);
	}
	if (written > 0 && curl_run(buf_span(&requests), &said, e) < 0)
		return err_context(e, "sending events by curl(1)");
	for (size_t i = 0; i < count; i++) {
		if (!posts[i].answer.text[0])
			courier_answer_read(buf_str(&said), i, now_s, &posts[i].answer);
	}
	return 0;
}
