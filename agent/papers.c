#include "agent/papers.h"

#include "common/base/file.h"
#include "common/limits.h"

/* Some are believed because of agent.conf, whatever was delivered. */
static int
cas_read(const struct http_setup *setup, struct buf *ca, struct err *e)
{
	if (file_read(setup->ca, ca, e) < 0)
		return -1;
	if (ca->len == 0)
		return err_set(e, ERR_USAGE, "%s is empty", setup->ca);
	if (!setup->authorities)
		return 0;
	return buf_append(ca, "\n", 1, e) < 0 ? -1 : file_read(setup->authorities, ca, e);
}

int
papers_read(const struct http_setup *setup, struct papers *out, struct err *e)
{
	*out = (struct papers){
		BUF_INIT(2 * TLS_PEM_MAX), BUF_INIT(TLS_PEM_MAX), BUF_INIT(TLS_PEM_MAX)};
	if (cas_read(setup, &out->ca, e) < 0 ||
		(setup->cert && file_read(setup->cert, &out->cert, e) < 0) ||
		(setup->key && file_read(setup->key, &out->key, e) < 0))
		return -1;
	return 0;
}
