#include "signer/overlap.h"

#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/crypto/random.h"
#include "common/limits.h"
#include "signer/authority.h"

enum { NAME_BYTES = 4 }; /* of the number behind a CA's name */

/* In tls/ca.crt, above two certificates, so that one rename says both. */
static const char added_mark[] =
	"# sluice: the second of these CAs is the next; the first issues\n";
static const char switched_mark[] = "# sluice: the first of these CAs issues; the second goes\n";

void
overlap_free(struct overlap *o)
{
	x509_bundle_free(&o->cas);
}

static int
census_take(
	struct fleet *f, const struct x509_bundle *cas, struct renewal_census *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(TLS_PEM_MAX);
	char first[DIGEST_HEX_SIZE], all[DIGEST_HEX_SIZE];
	struct digest d;

	if (x509_fingerprint(buf_span(&cas->certs[0]), &d, e) < 0)
		return -1;
	(void)digest_hex(&d, first);
	if (authority_text(cas, &text, e) < 0)
		return -1;
	d = digest_of(buf_span(&text));
	(void)digest_hex(&d, all);
	return renewal_census(f, first, all, out, e);
}

/* Two without a mark are somebody's own, or an older program's: the newer one is the next. */
static int
switched_read(const struct workspace *w, struct overlap *o, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(PEM_BYTES_MAX);
	char path[PATH_MAX];

	if (workspace_path(w, "tls/ca.crt", path, e) < 0 || file_read(path, &text, e) < 0)
		return -1;
	if (o->cas.count == 1 || strstr(buf_str(&text), switched_mark))
		o->switched = true;
	else if (strstr(buf_str(&text), added_mark))
		o->switched = false;
	else
		o->switched = o->infos[0].from_s > o->infos[1].from_s;
	return 0;
}

int
overlap_read(const struct workspace *w, struct fleet *f, struct overlap *out, struct err *e)
{
	AUTO_OVERLAP struct overlap o = {.switched = true};

	if (authority_cas(w, &o.cas, e) < 0)
		return -1;
	for (size_t i = 0; i < o.cas.count; i++) {
		if (x509_info(buf_span(&o.cas.certs[i]), &o.infos[i], e) < 0)
			return err_context(e, "tls/ca.crt");
	}
	if (census_take(f, &o.cas, &o.census, e) < 0)
		return -1;
	if (switched_read(w, &o, e) < 0)
		return -1;
	*out = o;
	o.cas.count = 0;
	return 0;
}

static int
file_write(const struct workspace *w, const char *name, mode_t mode, const struct buf *text,
	struct err *e)
{
	char path[PATH_MAX];

	if (workspace_path(w, name, path, e) < 0)
		return -1;
	return file_replace(path, mode, buf_span(text), e);
}

static int
keys_read(const struct workspace *w, struct buf *out, struct err *e)
{
	char path[PATH_MAX];

	return workspace_path(w, "tls/ca.key", path, e) < 0 ? -1 : file_read(path, out, e);
}

static int
first_key(const struct workspace *w, const struct overlap *o, struct buf *out, struct err *e)
{
	AUTO_BUF struct buf keys = BUF_INIT(PEM_BYTES_MAX);

	return keys_read(w, &keys, e) < 0
		       ? -1
		       : x509_find_key(buf_span(&keys), buf_span(&o->cas.certs[0]), out, e);
}

/* The key first: no certificate stands there without it. What was cut off between them before left
 * a key that is nobody's. */
static int
second_write(const struct workspace *w, const struct overlap *o, int64_t now_s, struct err *e)
{
	AUTO_BUF struct buf keys = BUF_INIT(PEM_BYTES_MAX), key = BUF_INIT(PEM_BYTES_MAX),
			    cas = BUF_INIT(TLS_PEM_MAX), cert = BUF_INIT(PEM_BYTES_MAX);
	char number[2 * NAME_BYTES + 1], name[64];

	random_hex(NAME_BYTES, number);
	(void)snprintf(name, sizeof(name), "Sluice fleet CA %s", number);
	if (first_key(w, o, &keys, e) < 0 || authority_new(name, now_s, &key, &cert, e) < 0 ||
		buf_append(&cas, added_mark, strlen(added_mark), e) < 0 ||
		authority_text(&o->cas, &cas, e) < 0 ||
		buf_append(&keys, key.data, key.len, e) < 0 ||
		buf_append(&cas, cert.data, cert.len, e) < 0 ||
		file_write(w, "tls/ca.key", 0600, &keys, e) < 0)
		return -1;
	return file_write(w, "tls/ca.crt", 0644, &cas, e);
}

int
overlap_add(const struct workspace *w, struct fleet *f, int64_t now_s, struct err *e)
{
	AUTO_OVERLAP struct overlap o = {0};
	AUTO_AUTHORITY struct authority a = {0};

	if (overlap_read(w, f, &o, e) < 0)
		return -1;
	if (o.cas.count > 1 && o.switched)
		return err_set(e, ERR_REFUSED,
			"there are two CAs already: `sluice tls ca` says how far it is");
	if (o.cas.count > 1)
		return authority_renew_crl(w, f, now_s, e);
	if (authority_open(w, &a, e) < 0 || renewal_name_issuer(f, a.issuer, e) < 0 ||
		second_write(w, &o, now_s, e) < 0)
		return -1;
	return authority_renew_crl(w, f, now_s, e);
}

static int
switch_check(const struct overlap *o, bool force, struct err *e)
{
	if (o->cas.count == 1)
		return err_set(
			e, ERR_REFUSED, "there is but one CA: `sluice tls ca add` makes the next");
	if (o->switched || force || (o->census.unaware == 0 && o->census.unheard == 0))
		return 0;
	if (o->census.unaware == 0)
		return err_set(e, ERR_REFUSED,
			"%llu boxes have never been heard of (%s, for one): those made before the "
			"new CA would not believe the server; wait for them, or say --force",
			(unsigned long long)o->census.unheard, o->census.unheard_box);
	return err_set(e, ERR_REFUSED,
		"%llu boxes have not said that they know the new CA (%s, for one), and %llu have "
		"never been heard of: they would not believe the server any more; wait for them, "
		"or say --force",
		(unsigned long long)o->census.unaware, o->census.unaware_box,
		(unsigned long long)o->census.unheard);
}

static int
order_turn(const struct workspace *w, const struct overlap *o, struct err *e)
{
	AUTO_BUF struct buf cas = BUF_INIT(TLS_PEM_MAX);

	if (o->switched)
		return 0;
	if (buf_append(&cas, switched_mark, strlen(switched_mark), e) < 0 ||
		buf_append(&cas, o->cas.certs[1].data, o->cas.certs[1].len, e) < 0 ||
		buf_append(&cas, o->cas.certs[0].data, o->cas.certs[0].len, e) < 0)
		return -1;
	return file_write(w, "tls/ca.crt", 0644, &cas, e);
}

int
overlap_switch(const struct workspace *w, struct fleet *f, bool force, int64_t now_s, bool *server,
	struct err *e)
{
	AUTO_OVERLAP struct overlap o = {0};
	struct err why = ERR_INIT;
	int64_t until_s;

	if (overlap_read(w, f, &o, e) < 0 || switch_check(&o, force, e) < 0 ||
		order_turn(w, &o, e) < 0 || authority_renew_crl(w, f, now_s, e) < 0)
		return -1;
	*server = authority_renew_server(w, now_s, &until_s, &why) == 0;
	if (!*server && why.class != ERR_REFUSED)
		return err_set(e, why.class, "%s", why.text);
	return 0;
}

/* The key of a CA that is gone goes last, so it is there until all of a drop is done. */
static bool
key_is_left(const struct workspace *w)
{
	static const char mark[] = "PRIVATE KEY-----";
	AUTO_BUF struct buf keys = BUF_INIT(PEM_BYTES_MAX);
	size_t marks = 0;
	struct err e;

	if (keys_read(w, &keys, &e) < 0)
		return false;
	for (const char *at = buf_str(&keys); (at = strstr(at, mark)); at += strlen(mark))
		marks++;
	return marks > 2; /* each key has two: where it begins, and where it ends */
}

/* left: see key_is_left(). */
static int
drop_check(const struct overlap *o, bool left, bool force, struct err *e)
{
	if (o->cas.count == 1)
		return left ? 0 : err_set(e, ERR_REFUSED, "there is but one CA, and it stays");
	if (!o->switched)
		return err_set(e, ERR_REFUSED,
			"the new CA does not issue yet: `sluice tls ca switch` comes first");
	if (force || o->census.strangers == 0)
		return 0;
	return err_set(e, ERR_REFUSED,
		"%llu boxes have certificates of the old CA (%s, for one), and would be locked "
		"out; wait for them, revoke those that are gone, or say --force",
		(unsigned long long)o->census.strangers, o->census.stranger);
}

int
overlap_drop(const struct workspace *w, struct fleet *f, bool force, int64_t now_s, struct err *e)
{
	AUTO_OVERLAP struct overlap o = {0};
	AUTO_BUF struct buf key = BUF_INIT(PEM_BYTES_MAX);

	if (overlap_read(w, f, &o, e) < 0 || drop_check(&o, key_is_left(w), force, e) < 0 ||
		first_key(w, &o, &key, e) < 0 ||
		file_write(w, "tls/ca.crt", 0644, &o.cas.certs[0], e) < 0 ||
		authority_renew_crl(w, f, now_s, e) < 0)
		return -1;
	return file_write(w, "tls/ca.key", 0600, &key, e);
}
