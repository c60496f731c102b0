#include "signer/ceremony.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "signer/publish.h"
#include "signer/summary.h"
#include "signer/ui.h"

void
ceremony_end(struct ceremony *c)
{
	hand_close(&c->hand);
}

int
ceremony_expiry(const char *text, int64_t now_s, int64_t *out_s, struct err *e)
{
	char full[64];
	uint64_t life_s;
	int64_t at_s;

	(void)snprintf(full, sizeof(full), "%.40s%s", text, strlen(text) == 10 ? "T00:00:00Z" : "");
	if (num_parse_duration(text, EXPIRY_MAX_S, &life_s, NULL) == 0)
		at_s = now_s + (int64_t)life_s;
	else if (clock_parse(full, &at_s, NULL) < 0)
		return err_set(e, ERR_USAGE,
			"--expires takes a life like 400d or a date like 2027-12-31, not '%.40s'",
			text);
	if (at_s <= now_s || at_s - now_s > (int64_t)EXPIRY_MAX_S)
		return err_set(e, ERR_USAGE, "--expires %.40s: that is %s", text,
			at_s <= now_s ? "past" : "more than 20 years ahead");
	*out_s = at_s;
	return 0;
}

int
ceremony_option(struct ceremony *c, int option, const char *argument, struct err *e)
{
	switch (option) {
	case OPT_KEY:
		return hand_add(&c->hand, argument, e);
	case OPT_SIGN_WITH:
		return hand_sign_with(&c->hand, argument, e);
	case OPT_EXPIRES:
		return ceremony_expiry(argument, clock_wall_s(), &c->expires_s, e);
	default:
		return signing_option(&c->signing, option, argument, e);
	}
}

int
ceremony_check(const struct ceremony *c, const char *whose, struct err *e)
{
	if (c->signing.draft && c->hand.count > 0)
		return err_set(e, ERR_USAGE,
			"--draft means that nobody signs here, but there are keys to sign with");
	if (!c->signing.draft && c->hand.count == 0)
		return err_set(e, ERR_USAGE,
			"--key is missing: %s; or --draft, where the keys are elsewhere", whose);
	return 0;
}

int
ceremony_names(const struct workspace *w, struct keyring *names, struct err *e)
{
	char dir[PATH_MAX];

	return workspace_path(w, "keys", dir, e) < 0 ? -1 : keyring_add(names, dir, e);
}

int
ceremony_show(const struct request *r, const char *root_path, bool own, const struct keyring *names,
	struct change *out, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(SIZE_MAX / 2);
	AUTO_CHANGE struct change c = {0};
	AUTO_JSON json_t *good = NULL;

	if (request_check(r, root_path, &c, e) < 0)
		return -1;
	c.anchored = c.anchored || own;
	if (request_signers(&c, &good, e) < 0 ||
		summary_write(&c, good, names, clock_wall_s(), &text, e) < 0)
		return -1;
	(void)fputs(buf_str(&text), stdout);
	(void)fflush(stdout);
	*out = c;
	c = (struct change){0};
	return 0;
}

int
ceremony_agree(struct ceremony *c, const struct workspace *w, struct metadata *m, struct err *e)
{
	AUTO_KEYRING struct keyring names = {0};
	AUTO_REQUEST struct request r = {0};
	AUTO_CHANGE struct change change = {0};
	char question[128];

	m->expires_s = c->expires_s;
	if (metadata_prepare(w, m, e) < 0 || request_make(w, m, &r, e) < 0 ||
		ceremony_names(w, &names, e) < 0 ||
		ceremony_show(&r, NULL, true, &names, &change, e) < 0)
		return -1;
	if (c->signing.yes || c->hand.opened == 0)
		return 0;
	(void)snprintf(question, sizeof(question), "Sign this %s.json?", m->role);
	return ui_confirm(question, e);
}

int
ceremony_sign(struct ceremony *c, const struct workspace *w, struct metadata *m, struct err *e)
{
	if (hand_sign(&c->hand, w, m, e) < 0)
		return -1;
	if (json_array_size(json_object_get(m->root, "signatures")) == 0)
		(void)printf("%s.json is a draft that nobody has signed: `sluice metadata stage %s "
			     "-o FILE` takes it to those who sign\n",
			m->role, m->role);
	return 0;
}

/* Whether the published targets.json stands under the next root as it is. */
static bool
stands(const struct metadata *targets)
{
	struct verified v = {
		.root = targets->in_force, .body = json_object_get(targets->in_force, "signed")};
	struct role_keys keys;

	return targets->in_force && metadata_keys(targets, &keys, NULL) == 0 &&
	       verified_check(&v, "targets", &keys, NULL) == 0;
}

int
ceremony_root(struct ceremony *c, const struct workspace *w, struct metadata *root,
	struct metadata *targets, bool always_targets, struct err *e)
{
	AUTO_METADATA struct metadata loaded = {0};

	if (root && (ceremony_agree(c, w, root, e) < 0 || ceremony_sign(c, w, root, e) < 0))
		return -1;
	if (!targets) {
		if (metadata_load(w, "targets", &loaded, e) < 0)
			return -1;
		targets = &loaded;
	}
	/* The root's expiry is its own. */
	c->expires_s = 0;
	if (always_targets || !stands(targets)) {
		if (ceremony_agree(c, w, targets, e) < 0 || ceremony_sign(c, w, targets, e) < 0)
			return -1;
	}
	if (c->hand.opened == 0)
		return 0;
	return publish_here(w, NULL, &c->signing, e);
}
