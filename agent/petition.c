#include "agent/petition.h"

#include <stdio.h>
#include <string.h>

#include "agent/doubt.h"
#include "agent/identity.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/limits.h"

/* Of its life, that is left when a certificate is to be renewed: one part in so many. */
enum { PART_LEFT = 3 };

/* One may be by chance. */
enum { REFUSALS = 2 };

enum { BACK_MS = 24 * 3600 * 1000 };

static bool
has(const struct conf *c, const char *name)
{
	char path[PATH_MAX];

	return identity_path(c, name, path, NULL) == 0 && file_exists(path);
}

static int
write_pem(const struct conf *c, const char *name, struct span pem, struct err *e)
{
	char path[PATH_MAX];

	if (path_join(path, sizeof(path), c->state_dir, "tls", e) < 0 ||
		dir_make(path, 0700, e) < 0 || identity_path(c, name, path, e) < 0)
		return -1;
	return file_replace(path, 0600, pem, e);
}

static int
read_pem(const struct conf *c, const char *name, struct buf *out, struct err *e)
{
	char path[PATH_MAX];

	return identity_path(c, name, path, e) < 0 ? -1 : file_read(path, out, e);
}

static int
remove_pem(const struct conf *c, const char *name, struct err *e)
{
	char path[PATH_MAX];

	return identity_path(c, name, path, e) < 0 ? -1 : file_remove(path, e);
}

static int
rename_pem(const struct conf *c, const char *from, const char *to, struct err *e)
{
	char old[PATH_MAX], new[PATH_MAX];

	if (identity_path(c, from, old, e) < 0 || identity_path(c, to, new, e) < 0)
		return -1;
	return file_rename(old, new, e);
}

/* The CAs of the fleet, written as we would, so that all boxes have the same bytes. */
static int
authorities_take(const struct conf *c, struct span came, bool *changed, struct err *e)
{
	AUTO_BUF struct buf was = BUF_INIT(TLS_PEM_MAX), now = BUF_INIT(TLS_PEM_MAX);
	AUTO_CAS struct x509_bundle cas = {0};

	if (x509_bundle_read(came, &cas, e) < 0)
		return -1;
	for (size_t i = 0; i < cas.count; i++) {
		if (buf_append(&now, cas.certs[i].data, cas.certs[i].len, e) < 0)
			return -1;
	}
	if (read_pem(c, IDENTITY_AUTHORITIES, &was, NULL) == 0 &&
		span_equal(buf_span(&was), buf_span(&now)))
		return 0;
	if (write_pem(c, IDENTITY_AUTHORITIES, buf_span(&now), e) < 0)
		return -1;
	log_notice("the fleet has %zu CAs now", cas.count);
	*changed = true;
	return 0;
}

static int
authorities_fetch(const struct conf *c, struct poller *poller, const struct keep_going *keep_going,
	bool *changed, struct err *e)
{
	AUTO_BUF struct buf pem = BUF_INIT(TLS_PEM_MAX);
	bool found;

	if (poller_take(poller, "authorities/ca.pem", keep_going, &pem, &found, e) < 0 ||
		(found && authorities_take(c, buf_span(&pem), changed, e) < 0))
		return err_context(e, "the fleet's CAs");
	return 0;
}

/* A certificate by the issuer of now for long enough is none to be renewed. */
static bool
is_due(const struct conf *c, const struct identity *id, int64_t now_s)
{
	AUTO_BUF struct buf cas = BUF_INIT(TLS_PEM_MAX), cert = BUF_INIT(TLS_PEM_MAX);
	const struct x509_info *info = &id->certificate;
	struct err e;

	if (!id->known || has(c, IDENTITY_TRIAL) || has(c, IDENTITY_SHELVED))
		return false;
	if (info->until_s - now_s < (info->until_s - info->from_s) / PART_LEFT)
		return true;
	return id->authorities[0] && file_read(id->authorities, &cas, &e) == 0 &&
	       file_read(id->cert, &cert, &e) == 0 &&
	       x509_check_issuer(buf_span(&cas), buf_span(&cert), &e) < 0;
}

/* Key and request in one file: it is one request until it is answered, whatever is cut off. */
static int
ask(const struct conf *c, struct err *e)
{
	AUTO_BUF struct buf pem = BUF_INIT(PEM_BYTES_MAX), key = BUF_INIT(PEM_BYTES_MAX);

	if (x509_key_new(&key, e) < 0 || buf_append(&pem, key.data, key.len, e) < 0 ||
		x509_csr_new(buf_span(&key), c->id, &pem, e) < 0 ||
		write_pem(c, IDENTITY_NEXT, buf_span(&pem), e) < 0)
		return err_context(e, "asking for a new certificate");
	log_notice("this box asks for a new certificate");
	return 0;
}

/* By a CA that it knows: whoever answers cannot have it lose its way. */
static int
issuer_check(const struct conf *c, struct span cert, struct err *e)
{
	AUTO_BUF struct buf cas = BUF_INIT(TLS_PEM_MAX), delivered = BUF_INIT(TLS_PEM_MAX);
	struct err unknown;
	size_t which;

	if (read_pem(c, IDENTITY_AUTHORITIES, &delivered, &unknown) == 0 &&
		x509_find_issuer(buf_span(&delivered), cert, &which, &unknown) == 0)
		return 0;
	return file_read(c->tls_ca, &cas, e) < 0
		       ? -1
		       : x509_find_issuer(buf_span(&cas), cert, &which, e);
}

static int
answer_check(const struct conf *c, struct span cert, int64_t now_s, struct err *e)
{
	struct x509_info info;

	if (x509_info(cert, &info, e) < 0)
		return -1;
	if (strcmp(info.name, c->id) != 0)
		return err_set(e, ERR_UNTRUSTED, "it is for another box");
	if (now_s < info.from_s || now_s >= info.until_s)
		return err_set(e, ERR_EXPIRED, "it is not good at this time");
	return issuer_check(c, cert, e);
}

/* Puts what came on trial, if it is for the key that waits: else it answers an older request. Cut
 * off before the request goes, it is taken, or asked for, once more. */
static int
answer_take(const struct conf *c, struct span cert, int64_t now_s, bool *changed, struct err *e)
{
	AUTO_BUF struct buf next = BUF_INIT(PEM_BYTES_MAX), pair = BUF_INIT(TLS_PEM_MAX);

	if (read_pem(c, IDENTITY_NEXT, &next, e) < 0 ||
		x509_find_key(buf_span(&next), cert, &pair, e) < 0 ||
		answer_check(c, cert, now_s, e) < 0 ||
		buf_append(&pair, cert.data, cert.len, e) < 0 ||
		write_pem(c, IDENTITY_TRIAL, buf_span(&pair), e) < 0)
		return -1;
	*changed = true;
	log_notice("this box has a new certificate, and tries it");
	return remove_pem(c, IDENTITY_NEXT, e);
}

static int
answer_fetch(const struct conf *c, struct poller *poller, int64_t now_s,
	const struct keep_going *keep_going, bool *changed, struct err *e)
{
	AUTO_BUF struct buf cert = BUF_INIT(PEM_BYTES_MAX);
	char path[TUF_PATH_MAX + 1];
	bool found;

	(void)snprintf(path, sizeof(path), "certificates/%s.crt", c->id);
	if (poller_take(poller, path, keep_going, &cert, &found, e) < 0 ||
		(found && answer_take(c, buf_span(&cert), now_s, changed, e) < 0))
		return err_context(e, "the new certificate");
	return 0;
}

/* Whether the request that waits can still be answered: it is by the key beside it, in the name
 * that this box has now. */
static int
request_check(const struct conf *c, struct err *e)
{
	AUTO_BUF struct buf pem = BUF_INIT(PEM_BYTES_MAX), again = BUF_INIT(PEM_BYTES_MAX);
	AUTO_BUF struct buf asked = BUF_INIT(PEM_BYTES_MAX), had = BUF_INIT(PEM_BYTES_MAX);
	char name[65];

	if (read_pem(c, IDENTITY_NEXT, &pem, e) < 0 ||
		x509_csr_new(buf_span(&pem), c->id, &again, e) < 0 ||
		x509_csr_name(buf_span(&pem), name, e) < 0 ||
		x509_csr_key(buf_span(&pem), &asked, e) < 0 ||
		x509_csr_key(buf_span(&again), &had, e) < 0)
		return -1;
	if (!span_equal(buf_span(&asked), buf_span(&had)))
		return err_set(e, ERR_MALFORMED, "it is not by the key beside it");
	if (strcmp(name, c->id) != 0)
		return err_set(e, ERR_MALFORMED, "it is in the name of %s", name);
	return 0;
}

/* Else it would be waited for until the present certificate has ended. */
static int
request_mend(const struct conf *c, struct err *e)
{
	struct err why;

	if (!has(c, IDENTITY_NEXT) || request_check(c, &why) == 0)
		return 0;
	log_error("the request for a new certificate is damaged, and given up: %s", why.text);
	return remove_pem(c, IDENTITY_NEXT, e);
}

static int
certificate_step(struct petition *p, struct poller *poller, int64_t now_s,
	const struct keep_going *keep_going, bool *changed, struct err *e)
{
	const struct conf *c = p->conf;
	bool news = p->looked != poller_snapshot(poller);
	struct identity id;

	if (news && request_mend(c, e) < 0)
		return -1;
	if (has(c, IDENTITY_NEXT))
		return news ? answer_fetch(c, poller, now_s, keep_going, changed, e) : 0;
	identity_choose(c, &id);
	/* The newest may soon count again. */
	if (id.is_astray && !p->heard)
		return 0;
	return is_due(c, &id, now_s) ? ask(c, e) : 0;
}

/* What fails then, fails for the new system. Before its reboot, which may be waited for until a
 * certificate has ended, the old one runs. */
static bool
is_trying(const struct state *s)
{
	const struct pending *p = &s->pending;

	return p->phase != PHASE_NONE && (p->tree_only || p->first_seen_boot_ms != 0);
}

bool
petition_step(struct petition *p, struct net *n, struct poller *poller, int64_t now_s,
	const struct keep_going *keep_going)
{
	bool news = p->looked != poller_snapshot(poller), changed = false;
	struct err e;

	p->now_s = now_s;
	/* Without reports there is nobody to ask. */
	if (!p->conf->report_url || !p->conf->report_key || poller_polled(poller) == POLL_NONE)
		return false;
	if (is_trying(p->state) || doubt_is_open(p->state))
		return false;
	/* Of others that fail the site may be at fault, and reports tell. */
	if (poller_polled(poller) != POLL_SUCCEEDED)
		return poller_polled(poller) == POLL_REFUSED &&
		       petition_hear(p, n, COURIER_REFUSED);
	if (news && authorities_fetch(p->conf, poller, keep_going, &changed, &e) < 0)
		log_warning("%s", e.text);
	if (certificate_step(p, poller, now_s, keep_going, &changed, &e) < 0)
		log_warning("%s", e.text);
	p->looked = poller_snapshot(poller);
	if (changed)
		net_restart(n);
	return changed;
}

/* Where the pair on trial goes, or the one that is shelved; NULL: nowhere, it is given up. */
static const char *
next_place(struct petition *p, bool on_trial, bool through)
{
	if (on_trial)
		return through ? IDENTITY_PROVEN : IDENTITY_SHELVED;
	if (!through)
		return IDENTITY_TRIAL;
	return ++p->refused < REFUSALS ? IDENTITY_TRIAL : NULL;
}

/* What cannot be used is not what was tried, and must not take the place of what works. */
static bool
trial_drop_damaged(const struct conf *c)
{
	struct identity id;
	struct err e;

	identity_choose(c, &id);
	if (id.on_trial)
		return false;
	log_error("the new certificate is damaged, and given up");
	if (remove_pem(c, IDENTITY_TRIAL, &e) < 0)
		log_error("%s", e.text);
	return true;
}

/* Whether it is no loss: it has ended, or is of a CA that is no longer the fleet's. */
static bool
is_spent(struct petition *p, const char *name)
{
	AUTO_BUF struct buf pem = BUF_INIT(TLS_PEM_MAX);
	struct x509_info info;
	struct err e;

	return identity_read(p->conf, name, &info, &e) < 0 || p->now_s >= info.until_s ||
	       read_pem(p->conf, name, &pem, &e) < 0 ||
	       issuer_check(p->conf, buf_span(&pem), &e) < 0;
}

/* The pair on trial is kept, and what it takes the place of as well. Cut off anywhere, each of them
 * has one name or the other, and the rest is done next time. */
static int
trial_keep(struct petition *p, struct err *e)
{
	const struct conf *c = p->conf;
	struct x509_info info;
	struct err unusable;

	if (identity_read(c, IDENTITY_PROVEN, &info, &unusable) == 0) {
		if (has(c, IDENTITY_OLDER) && is_spent(p, IDENTITY_OLDEST) &&
			rename_pem(c, IDENTITY_OLDER, IDENTITY_OLDEST, e) < 0)
			return -1;
		if (rename_pem(c, IDENTITY_PROVEN, IDENTITY_OLDER, e) < 0)
			return -1;
	}
	return rename_pem(c, IDENTITY_TRIAL, IDENTITY_PROVEN, e);
}

/* What works may be the server, and not the older pair. While something else is tried it is left
 * alone. */
static bool
come_back(struct petition *p, struct net *n)
{
	bool turned = false;
	struct err e;

	p->heard = true;
	if (clock_boot_ms() < p->back_from_ms || is_trying(p->state) || doubt_is_open(p->state))
		return false;
	if (identity_forgive(p->conf, p->now_s, &turned, &e) < 0)
		log_error("%s", e.text);
	if (!turned)
		return false;
	p->back_from_ms = clock_boot_ms() + BACK_MS;
	log_notice("reports get through: the newest certificate is tried again");
	net_restart(n);
	return true;
}

/* Nothing is on trial. */
static bool
turn(struct petition *p, struct net *n, enum courier_end end)
{
	bool turned = false;
	struct err e;

	if (end == COURIER_THROUGH) {
		p->turns = 0;
		return come_back(p, n);
	}
	if (end != COURIER_REFUSED || ++p->turns < REFUSALS)
		return false;
	p->turns = 0;
	p->heard = false;
	if (identity_refuse(p->conf, p->now_s, &turned, &e) < 0)
		log_error("%s", e.text);
	if (!turned)
		return false;
	log_error("the server refuses this box's certificate: another of its own is tried");
	net_restart(n);
	return true;
}

/* Of what is on trial, or shelved. */
static int
move(struct petition *p, bool on_trial, const char *to, struct err *e)
{
	const char *from = on_trial ? IDENTITY_TRIAL : IDENTITY_SHELVED;

	if (!to)
		return remove_pem(p->conf, from, e);
	return strcmp(to, IDENTITY_PROVEN) == 0 ? trial_keep(p, e)
						: rename_pem(p->conf, from, to, e);
}

bool
petition_hear(struct petition *p, struct net *n, enum courier_end end)
{
	bool on_trial = has(p->conf, IDENTITY_TRIAL), through = end == COURIER_THROUGH;
	const char *to;
	struct err e;

	if (end == COURIER_IDLE || end == COURIER_STOPPED)
		return false;
	if (!on_trial && !has(p->conf, IDENTITY_SHELVED))
		return turn(p, n, end);
	if (on_trial && (trial_drop_damaged(p->conf) || end == COURIER_HELD))
		return false;
	to = next_place(p, on_trial, through);
	if (move(p, on_trial, to, &e) < 0) {
		log_error("%s", e.text);
		return false;
	}
	if (!through || (!on_trial && to)) {
		log_info("trying the %s certificate", on_trial ? "older" : "new");
		net_restart(n);
		return true;
	}
	p->refused = 0;
	if (on_trial)
		log_notice("the new certificate gets through, and is kept");
	else
		log_error("the new certificate is given up: only with the older one do reports get "
			  "through");
	return false;
}
