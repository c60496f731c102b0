/* One file of TUF metadata: raw, as a mirror may send it, and sealed, as who holds a key may. */
#include "common/base/num.h"
#include "common/tuf/document.h"
#include "tests/fuzz/harness.h"

static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};

/* All that a client asks of a document that it has read. */
static void
ask(struct document *d)
{
	const json_t *delegations = document_delegations(d), *delegation;
	struct role_keys keys = fuzz_role();
	struct metafile file;
	struct digest sum;
	struct err e = ERR_INIT;
	size_t i;

	MUST(d->version > 0);
	(void)document_check_expiry(d, 1800000000, &e);
	for (i = 0; i < ARRAY_LEN(roles); i++) {
		struct role_keys held;

		if (d->type == DOCUMENT_ROOT) {
			MUST(document_root_role(d, roles[i], &held, &e) == 0);
			MUST(held.threshold > 0 && role_keys_digest(&held, &sum, &e) == 0);
		}
		if (document_metafile(d, roles[i], &file, &e) == 0)
			MUST(document_lists(d, roles[i]) && file.version > 0);
	}
	json_array_foreach (delegations, i, delegation) {
		struct role_keys held;

		if (document_delegation_keys(d, delegation, &held, &e) == 0)
			MUST(held.threshold > 0);
	}
	(void)document_check(d, &keys, &e);
	(void)role_keys_digest(&keys, &sum, &e);
}

static bool
read_as(struct span bytes, enum document_type type)
{
	AUTO_DOCUMENT struct document *d = NULL;
	struct role_keys keys = fuzz_role();
	struct err e = ERR_INIT;

	if (document_read(bytes, roles[type], type, &keys, &d, &e) < 0) {
		fuzz_check_err(&e);
		MUST(!d);
		return false;
	}
	MUST(d->type == type && d->length == bytes.len);
	fuzz_deep();
	ask(d);
	return true;
}

static void
read_anchor(struct span bytes)
{
	AUTO_DOCUMENT struct document *d = NULL;
	struct err e = ERR_INIT;

	if (document_read_anchor(bytes, &d, &e) == 0)
		ask(d);
	else
		fuzz_check_err(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF struct buf sealed = BUF_INIT(1 << 24);
	struct span raw = span_of(data, size);
	int good = 0;

	/* Whoever is not in the role signs nothing. */
	for (enum document_type t = DOCUMENT_ROOT; t <= DOCUMENT_TARGETS; t++)
		(void)read_as(raw, t);
	read_anchor(raw);
	if (!fuzz_seal(raw, 1, &sealed))
		return 0;
	for (enum document_type t = DOCUMENT_ROOT; t <= DOCUMENT_TARGETS; t++)
		good += read_as(buf_span(&sealed), t);
	MUST(good <= 1); /* one file cannot pass for another kind's */
	read_anchor(buf_span(&sealed));
	return 0;
}
