#include "tests/conformance/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#include "common/base/cleanup.h"

enum { URL_MAX = 8192, CONNECT_S_MAX = 30, STALL_S = 60 };

struct download {
	struct buf *out;
	uint64_t left;
	bool too_long;
	CURL *easy;
};

static size_t
download_take(char *data, size_t size, size_t count, void *arg)
{
	struct download *d = arg;
	size_t len = size * count;
	long status = 0;

	(void)curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return len;
	if (len > d->left) {
		d->too_long = true;
		return 0;
	}
	d->left -= len;
	return buf_append(d->out, data, len, NULL) < 0 ? 0 : len;
}

static void
easy_free(CURL **easy)
{
	curl_easy_cleanup(*easy);
}

static int
download_set_up(struct download *d, const char *url, struct err *e)
{
	CURL *c = d->easy;

	if (curl_easy_setopt(c, CURLOPT_URL, url) != CURLE_OK ||
		curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
		curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L) != CURLE_OK ||
		curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
		curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S_MAX) != CURLE_OK ||
		curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L) != CURLE_OK ||
		curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_S) != CURLE_OK ||
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, download_take) != CURLE_OK ||
		curl_easy_setopt(c, CURLOPT_WRITEDATA, d) != CURLE_OK)
		return err_set(e, ERR_SYSTEM, "libcurl does not take its options");
	return 0;
}

/* The address, with one slash between its parts. */
static int
url_join(const char *base, const char *path, char url[URL_MAX], struct err *e)
{
	size_t len = strlen(base);
	const char *slash = len > 0 && base[len - 1] == '/' ? "" : "/";

	if (snprintf(url, URL_MAX, "%s%s%s", base, slash, path) >= URL_MAX)
		return err_set(e, ERR_LIMIT, "the address of %s is over %d bytes", path, URL_MAX);
	return 0;
}

static int
download_run(struct download *d, const char *url, struct err *e)
{
	CURLcode done = curl_easy_perform(d->easy);
	long status = 0;

	if (d->too_long)
		return err_set(e, ERR_LIMIT, "%s: more bytes than are taken", url);
	if (done != CURLE_OK)
		return err_set(e, ERR_NETWORK, "%s: %s", url, curl_easy_strerror(done));
	(void)curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		(void)err_set(e, ERR_NETWORK, "%s: the server answers with %ld", url, status);
		if (e)
			e->errnum = (int)status;
		return -1;
	}
	return 0;
}

int
fetch(const char *base, const char *path, uint64_t max, struct buf *out, struct err *e)
{
	CLEANUP(easy_free) CURL *easy = curl_easy_init();
	struct download d = {.out = out, .left = max, .easy = easy};
	char url[URL_MAX];

	if (!easy)
		return err_sys(e, ENOMEM, "libcurl");
	if (url_join(base, path, url, e) < 0 || download_set_up(&d, url, e) < 0)
		return -1;
	return download_run(&d, url, e);
}
