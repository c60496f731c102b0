#include "agent/net/reply.h"

#include <strings.h>

#include "agent/net/header.h"
#include "common/base/num.h"
#include "common/limits.h"

bool
reply_status_fits(const struct reply *r, long status)
{
	if (r->put)
		return status >= 200 && status <= 299;
	return status == 200 || (status == 206 && r->has_range) ||
	       (status == 304 && r->conditional);
}

int
reply_check_status(const struct reply *r, long status, struct err *e)
{
	if (reply_status_fits(r, status))
		return 0;
	(void)err_set(e, ERR_NETWORK, "%s: the server answered %ld", r->path, status);
	if (e)
		e->errnum = (int)status;
	return -1;
}

static int
check_range(const struct reply *r, const struct reply_head *head, struct err *e)
{
	/* Another length is of another body, as of many parts. */
	if (!header_range_fits(head->range, r->offset, r->len) ||
		(head->declared >= 0 && (uint64_t)head->declared != r->len))
		return err_set(e, ERR_NETWORK,
			"%s: the server answered with another range than was asked for", r->path);
	return 0;
}

int
reply_check_head(struct reply *r, const struct reply_head *head, struct err *e)
{
	uint64_t declared = head->declared > 0 ? (uint64_t)head->declared : 0;

	/* Nobody asked for it; the bytes are not those of the file. */
	if (head->encoding && strcasecmp(head->encoding, "identity") != 0)
		return err_set(e, ERR_NETWORK,
			"%s: the server, or a proxy before it, encoded it as %.32s unasked",
			r->path, head->encoding);
	if (!r->has_range && declared > r->len)
		return err_set(e, ERR_LIMIT, "%s: %llu bytes, of which at most %llu are taken",
			r->path, (unsigned long long)declared, (unsigned long long)r->len);
	if (!r->has_range)
		return 0;
	if (head->status == 206)
		return check_range(r, head, e);
	if (head->declared >= 0 && declared < r->offset + r->len)
		return err_set(e, ERR_NETWORK, "%s: the file ends before the range", r->path);
	r->whole = true;
	return 0;
}

int
reply_measure(const struct reply *r, size_t len, size_t *wanted, struct err *e)
{
	uint64_t room = r->len - r->taken;

	if (!r->has_range && len > room)
		return err_set(e, ERR_LIMIT, "%s: more than %llu bytes", r->path,
			(unsigned long long)r->len);
	*wanted = r->whole ? len : (size_t)num_min(len, room);
	return 0;
}

void
reply_take(struct reply *r, size_t wanted)
{
	r->taken += wanted;
	r->complete = r->has_range && !r->whole && r->taken == r->len;
}

bool
reply_ignore(struct reply *r, size_t len)
{
	r->ignored += len;
	return r->ignored <= NET_IGNORED_MAX;
}

int
reply_check_end(const struct reply *r, long status, struct err *e)
{
	uint64_t least = r->whole ? r->offset + r->len : r->len;

	if (r->has_range && r->taken < least && status != 304)
		return err_set(e, ERR_NETWORK, "%s: the answer ended after %llu of %llu bytes",
			r->path, (unsigned long long)r->taken, (unsigned long long)least);
	return 0;
}
