#include "common/format/member.h"

#include "common/crypto/digest.h"

int
member_changed(const char *name, const struct payload *p, enum member_role role, struct err *e)
{
	return err_set(e, ERR_UNTRUSTED, "%s: %s.%s: it changed since it was checked", name,
		p->name, member_role_name(role));
}

int
member_refuse(int fd, const char *name, uint64_t offset, const struct payload *p,
	enum member_role role, struct err *e)
{
	const struct member *m = &p->members[role];
	struct digest now;
	struct err unread;

	if (!e || (e->class != ERR_MALFORMED && e->class != ERR_LIMIT))
		return -1;
	if (digest_fd(fd, name, offset, m->size, &now, &unread) < 0) {
		*e = unread;
		return err_own(e);
	}
	return digest_equal(&now, &m->digest) ? -1 : member_changed(name, p, role, e);
}
