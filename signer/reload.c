#include "signer/reload.h"

#include "common/limits.h"
#include "signer/following.h"
#include "signer/sql.h"

/* Under no rollout. */
#define OWED "reload_owed"

int
reload_run(const struct workspace *w, const char *consequence, struct err *e)
{
	if (!w->reload ||
		workspace_run(w, w->reload, NULL, (struct span){0}, RELOAD_TIMEOUT_MS, e) == 0)
		return 0;
	return err_context(e, "%s", consequence);
}

int
reload_owe(const struct workspace *w, struct fleet *f, uint64_t crl_number, struct err *e)
{
	return w->reload ? following_mark_set(f, 0, OWED, (int64_t)crl_number, e) : 0;
}

int
reload_owed(const struct workspace *w, struct fleet *f, uint64_t *crl_number, struct err *e)
{
	int64_t number = 0;

	if (w->reload && following_mark(f, 0, OWED, &number, e) < 0)
		return -1;
	*crl_number = (uint64_t)number;
	return 0;
}

int
reload_crl(const struct workspace *w, struct fleet *f, struct err *e)
{
	struct sql *s = NULL;
	uint64_t number;

	if (reload_owed(w, f, &number, e) < 0 ||
		reload_run(w, "the web server believes revoked boxes until it reads tls/crl.pem",
			e) < 0)
		return -1;
	if (number == 0)
		return 0;
	if (fleet_sql(f, &s, e) < 0)
		return -1;
	return sql_do(s, e, "DELETE FROM mark WHERE rollout = 0 AND name = ?1 AND value = ?2", "si",
		OWED, (int64_t)number);
}
