#include "agent/address.h"

#include "agent/net.h"

int
address_of(const struct http_setup *setup, uint32_t base, const char *path, struct buf *url,
	struct err *e)
{
	const char *root = base == NET_REPORTS ? setup->report_url : setup->site_url;
	static const char *const below[] = {
		[NET_METADATA] = "metadata/", [NET_TARGETS] = "targets/", [NET_REPORTS] = ""};

	if (!root)
		return err_set(e, ERR_USAGE, "%s: agent.conf names no %s", path,
			base == NET_REPORTS ? "report_url" : "url");
	return buf_printf(url, e, "%s%s%s", root, below[base], path);
}
