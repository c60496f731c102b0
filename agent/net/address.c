#include "agent/net/address.h"

int
address_of(const struct papers *papers, uint32_t base, const char *path, struct buf *url,
	struct err *e)
{
	const struct buf *root =
		&papers->url[base == NET_REPORTS ? WIRE_URL_REPORTS : WIRE_URL_SITE];
	static const char *const below[] = {
		[NET_METADATA] = "metadata/", [NET_TARGETS] = "targets/", [NET_REPORTS] = ""};

	if (root->len == 0)
		return err_set(e, ERR_USAGE, "%s: agent.conf names no %s", path,
			base == NET_REPORTS ? "report_url" : "url");
	return buf_printf(url, e, "%s%s%s", buf_str(root), below[base], path);
}
