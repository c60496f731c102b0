#include "agent/net/reply.h"

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

int
reply_check_head(
	struct reply *r, long status, int64_t declared, const char *content_range, struct err *e)
{
	if (!r->has_range) {
		if (declared > 0 && (uint64_t)declared > r->len)
			return err_set(e, ERR_LIMIT,
				"%s: %lld bytes, of which at most %llu are taken", r->path,
				(long long)declared, (unsigned long long)r->len);
		return 0;
	}
	if (status == 206) {
		if (!header_range_fits(content_range, r->offset, r->len))
			return err_set(e, ERR_NETWORK,
				"%s: the server answered with another range than was asked for",
				r->path);
		return 0;
	}
	if (r->offset > NET_SKIP_MAX)
		return err_set(e, ERR_NETWORK,
			"%s: the server ignores Range, and %llu bytes are too many to skip",
			r->path, (unsigned long long)r->offset);
	if (declared >= 0 && (uint64_t)declared < r->offset + r->len)
		return err_set(e, ERR_NETWORK, "%s: the file ends before the range", r->path);
	r->skip = r->offset;
	return 0;
}

int
reply_measure(const struct reply *r, size_t len, size_t *skip, size_t *wanted, struct err *e)
{
	size_t before = (size_t)num_min(r->skip, len), rest = len - before;
	uint64_t room = r->len - r->taken;

	if (!r->has_range && rest > room)
		return err_set(e, ERR_LIMIT, "%s: more than %llu bytes", r->path,
			(unsigned long long)r->len);
	*skip = before;
	*wanted = (size_t)num_min(rest, room);
	return 0;
}

void
reply_take(struct reply *r, size_t skip, size_t wanted)
{
	r->skip -= skip;
	r->taken += wanted;
	r->complete = r->has_range && r->taken == r->len;
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
	if (r->has_range && !r->complete && status != 304)
		return err_set(e, ERR_NETWORK, "%s: the answer ended after %llu of %llu bytes",
			r->path, (unsigned long long)r->taken, (unsigned long long)r->len);
	return 0;
}
