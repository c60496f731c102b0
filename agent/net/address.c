#include "agent/net/address.h"

int
address_of(const struct papers *papers, uint32_t base, const char *path, struct buf *url,
	struct err *e)
{
	static const struct {
		enum wire_url root;
		const char *below, *key;
	} bases[NET_BASES] = {
		[NET_METADATA] = {WIRE_URL_SITE, "metadata/", "url"},
		[NET_TARGETS] = {WIRE_URL_SITE, "targets/", "url"},
		[NET_REPORTS] = {WIRE_URL_REPORTS, "", "report_url"},
		[NET_COPY] = {WIRE_URL_COPY, "", "targets_url"},
	};
	const struct buf *root = &papers->url[bases[base].root];

	if (root->len == 0)
		return err_set(e, ERR_USAGE, "%s: agent.conf names no %s", path, bases[base].key);
	return buf_printf(url, e, "%s%s%s", buf_str(root), bases[base].below, path);
}
