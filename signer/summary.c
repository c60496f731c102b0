#include "signer/summary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"

enum { WORD_SHOWN = 160, LINE_SIZE = 1024 };

/* A summary in the making. The first failure stays in e. */
struct summary {
	struct buf *out;
	struct err *e;
	const struct keyring *names;
	bool failed;
	size_t changes; /* beside version and expiry */
};

static void __attribute__((format(printf, 2, 3))) say(struct summary *s, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	s->failed = s->failed || buf_append(s->out, line, strlen(line), s->e) < 0;
}

/* Text of the document for a terminal: all but printable ASCII as \xNN, long words cut. */
static const char *
shown(const char *text, char out[WORD_SHOWN + 8])
{
	size_t at = 0;

	for (const char *p = text ? text : "(none)"; *p; p++) {
		bool plain = *p >= ' ' && *p <= '~' && *p != '\\';

		if (at + (plain ? 1 : 4) > WORD_SHOWN) {
			(void)snprintf(out + at, 4, "...");
			return out;
		}
		at += (size_t)snprintf(out + at, 5, plain ? "%c" : "\\x%02x", (unsigned char)*p);
	}
	out[at] = '\0';
	return out;
}

/* Any value, on one line. */
static const char *
value_shown(const json_t *value, char out[WORD_SHOWN + 8])
{
	AUTO_FREE char *text = json_dumps(
		value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

	return shown(text, out);
}

static void
key_line(struct summary *s, const char *mark, const char *id, const json_t *keys)
{
	const char *name = keyring_name(s->names, id),
		   *type = json_text(json_object_get(keys, id), "keytype");
	char a[WORD_SHOWN + 8], b[WORD_SHOWN + 8], c[WORD_SHOWN + 8];

	say(s, "    %s %-16.40s %.16s %s\n", mark, name ? shown(name, a) : "(no name here)",
		shown(id, b), type ? shown(type, c) : "no such key is listed: it can sign nothing");
}

/* The keys of a role, with those that come and go. */
static void
key_lines(struct summary *s, const json_t *before, const json_t *old_keys, const json_t *after,
	const json_t *keys)
{
	const json_t *was = json_object_get(before, "keyids"),
		     *is = json_object_get(after, "keyids");
	const json_t *id;
	size_t i;

	json_array_foreach (is, i, id) {
		bool comes = before && !json_has_text(was, json_string_value(id));

		key_line(s, comes ? "+" : " ", json_string_value(id), keys);
		s->changes += comes;
	}
	json_array_foreach (was, i, id) {
		if (after && json_has_text(is, json_string_value(id)))
			continue;
		key_line(s, "-", json_string_value(id), old_keys);
		s->changes++;
	}
}

/* Fields of an object that have no words of their own here, where they differ. */
static void
other_fields(struct summary *s, const char *indent, const json_t *before, const json_t *after,
	const char *const *known)
{
	char name[WORD_SHOWN + 8], was[WORD_SHOWN + 8], is[WORD_SHOWN + 8];
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)after, key, value) {
		const json_t *old = json_object_get(before, key);
		size_t i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (known[i] || (old && json_equal(old, value)))
			continue;
		say(s, "%s%s: %s", indent, shown(key, name), value_shown(value, is));
		say(s, old ? " (was %s)\n" : "%s\n", old ? value_shown(old, was) : "");
		s->changes++;
	}
	json_object_foreach ((json_t *)(uintptr_t)before, key, value) {
		size_t i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (known[i] || json_object_get(after, key))
			continue;
		say(s, "%s%s: gone (was %s)\n", indent, shown(key, name), value_shown(value, was));
		s->changes++;
	}
}

static json_int_t
threshold_of(const json_t *role)
{
	return json_integer_value(json_object_get(role, "threshold"));
}

static size_t
key_count(const json_t *keyids)
{
	AUTO_JSON json_t *once = json_texts(keyids);

	return json_array_size(once);
}

/* What a delegated role speaks for. */
static void
path_lines(struct summary *s, const json_t *before, const json_t *after)
{
	static const char *const lists[] = {"paths", "path_hash_prefixes"};
	char word[WORD_SHOWN + 8];

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		const json_t *was = json_object_get(before, lists[l]);
		const json_t *is = json_object_get(after, lists[l]), *each;
		const char *what = l == 0 ? "speaks for" : "speaks for digests";
		size_t i;

		json_array_foreach (is, i, each) {
			bool comes = before && !json_has_text(was, json_string_value(each));

			say(s, "    %s %s %s\n", comes ? "+" : " ", what,
				shown(json_string_value(each), word));
			s->changes += comes;
		}
		json_array_foreach (was, i, each) {
			if (json_has_text(is, json_string_value(each)))
				continue;
			say(s, "    - %s %s\n", what, shown(json_string_value(each), word));
			s->changes++;
		}
	}
}

/* One role: before NULL is a new one, after NULL one that goes. */
static void
role_lines(struct summary *s, const char *name, const json_t *before, const json_t *old_keys,
	const json_t *after, const json_t *keys)
{
	static const char *const known[] = {
		"name", "keyids", "threshold", "paths", "path_hash_prefixes", NULL};
	char word[WORD_SHOWN + 8];

	if (!after) {
		say(s, "  - role %s goes: nobody speaks for it any more\n", shown(name, word));
		key_lines(s, before, old_keys, NULL, NULL);
		s->changes++;
		return;
	}
	say(s, "  %s%s: %" JSON_INTEGER_FORMAT " of %zu keys must sign", before ? "" : "+ ",
		shown(name, word), threshold_of(after),
		key_count(json_object_get(after, "keyids")));
	if (!before)
		s->changes++;
	if (before && (threshold_of(before) != threshold_of(after) ||
			      key_count(json_object_get(before, "keyids")) !=
				      key_count(json_object_get(after, "keyids")))) {
		say(s, " (was %" JSON_INTEGER_FORMAT " of %zu)", threshold_of(before),
			key_count(json_object_get(before, "keyids")));
		s->changes++;
	}
	say(s, "\n");
	path_lines(s, before, after);
	key_lines(s, before, old_keys, after, keys);
	other_fields(s, "      ", before, after, known);
}

static void
root_lines(struct summary *s, const json_t *before, const json_t *after)
{
	const json_t *was = json_object_get(before, "roles"),
		     *old_keys = json_object_get(before, "keys");
	const char *name;
	json_t *role;

	json_object_foreach (json_object_get(after, "roles"), name, role) {
		role_lines(s, name, json_object_get(was, name), old_keys, role,
			json_object_get(after, "keys"));
	}
	json_object_foreach (json_object_get(before, "roles"), name, role) {
		if (!json_object_get(json_object_get(after, "roles"), name))
			role_lines(s, name, role, old_keys, NULL, NULL);
	}
}

/* Whether the roles that both have stand in another order. */
static bool
is_reordered(const json_t *was, const json_t *is)
{
	const json_t *each;
	size_t i, at = 0;

	json_array_foreach (is, i, each) {
		const char *name = json_text(each, "name");

		if (!delegation_find(was, name))
			continue;
		while (at < json_array_size(was) &&
			!delegation_find(is, json_text(json_array_get(was, at), "name")))
			at++;
		if (delegation_find(was, name) != json_array_get(was, at++))
			return true;
	}
	return false;
}

static void
order_line(struct summary *s, const char *lead, const json_t *roles)
{
	char word[WORD_SHOWN + 8];
	const json_t *each;
	size_t i;

	say(s, "%s", lead);
	json_array_foreach (roles, i, each) {
		say(s, "%s%s", i ? ", " : "", shown(json_text(each, "name"), word));
	}
	say(s, "\n");
}

static void
delegation_lines(struct summary *s, const json_t *before, const json_t *after)
{
	static const char *const known[] = {"keys", "roles", NULL};
	const json_t *old = json_object_get(before, "delegations");
	const json_t *new = json_object_get(after, "delegations");
	const json_t *was = json_object_get(old, "roles"), *is = json_object_get(new, "roles"),
		     *each;
	size_t i;

	if (!old && !new)
		return;
	say(s, "delegations, of which the first that covers a path has the last word:\n");
	json_array_foreach (is, i, each) {
		role_lines(s, json_text(each, "name"),
			delegation_find(was, json_text(each, "name")), json_object_get(old, "keys"),
			each, json_object_get(new, "keys"));
	}
	json_array_foreach (was, i, each) {
		if (!delegation_find(is, json_text(each, "name")))
			role_lines(s, json_text(each, "name"), each, json_object_get(old, "keys"),
				NULL, NULL);
	}
	if (is_reordered(was, is)) {
		order_line(s, "  their order was:   ", was);
		order_line(s, "  their order is:    ", is);
		s->changes++;
	}
	other_fields(s, "  ", old, new, known);
}

/* What a target's custom words say, those that people know first. */
static void
custom_words(struct summary *s, const json_t *entry)
{
	static const char *const known[] = {"version", "rollback_index", NULL};
	const json_t *custom = json_object_get(entry, "custom");
	char name[WORD_SHOWN + 8], word[WORD_SHOWN + 8];
	const char *key;
	json_t *value;

	if (json_object_get(custom, "version"))
		say(s, ", version %s", value_shown(json_object_get(custom, "version"), word));
	if (json_object_get(custom, "rollback_index"))
		say(s, ", rollback index %s",
			value_shown(json_object_get(custom, "rollback_index"), word));
	json_object_foreach ((json_t *)(uintptr_t)custom, key, value) {
		size_t i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (!known[i])
			say(s, ",\n        %s %s", shown(key, name), value_shown(value, word));
	}
}

static void
target_line(struct summary *s, const char *mark, const char *path, const json_t *entry)
{
	char word[WORD_SHOWN + 8], name[WORD_SHOWN + 8];
	const char *algorithm;
	json_t *hash;

	say(s, "  %s %s:", mark, shown(path, word));
	say(s, " %" JSON_INTEGER_FORMAT " bytes",
		json_integer_value(json_object_get(entry, "length")));
	json_object_foreach (json_object_get(entry, "hashes"), algorithm, hash) {
		say(s, ", %s %s", shown(algorithm, name), shown(json_string_value(hash), word));
	}
	custom_words(s, entry);
	say(s, "\n");
}

static void
target_lines(struct summary *s, const json_t *before, const json_t *after)
{
	static const char *const known[] = {"length", "hashes", "custom", NULL};
	json_t *was = json_object_get(before, "targets"), *is = json_object_get(after, "targets");
	size_t same = 0;
	const char *path;
	json_t *entry;

	say(s, "targets:\n");
	json_object_foreach (is, path, entry) {
		const json_t *old = json_object_get(was, path);

		if (old && json_equal(old, entry)) {
			same++;
			continue;
		}
		if (old)
			target_line(s, "was", path, old);
		target_line(s, old ? "is " : "+", path, entry);
		other_fields(s, "        ", old, entry, known);
		s->changes++;
	}
	json_object_foreach (was, path, entry) {
		if (json_object_get(is, path))
			continue;
		target_line(s, "-", path, entry);
		s->changes++;
	}
	if (before || same)
		say(s, "  %zu as before\n", same);
	else if (json_object_size(is) == 0)
		say(s, "  none\n");
}

static void
expiry_line(struct summary *s, const struct change *c, int64_t now_s)
{
	const char *was = json_text(c->before, "expires"), *is = json_text(c->after, "expires");
	int64_t expires_s = 0;
	char word[WORD_SHOWN + 8];

	say(s, "expires %s", shown(is, word));
	if (clock_parse(is ? is : "", &expires_s, NULL) == 0 && expires_s > now_s)
		say(s, ", in %" PRId64 " days", (expires_s - now_s) / 86400);
	else
		say(s, ", which is PAST by this machine's clock");
	if (was)
		say(s, " (the version in force: %s)", shown(was, word));
	say(s, "\n");
}

static void
signer_lines(struct summary *s, const struct role_keys *role, const char *whose, const json_t *good)
{
	const uint64_t count = request_count(role, good);
	const json_t *id;
	size_t i;

	say(s, "needs %" PRIu64 " of %zu keys of %s: %" PRIu64 " signed so far\n", role->threshold,
		key_count(role->keyids), whose, count);
	json_array_foreach (role->keyids, i, id) {
		if (json_has_text(good, json_string_value(id)))
			key_line(s, "*", json_string_value(id), role->keys);
	}
}

static void
trust_lines(struct summary *s, const struct change *c, const json_t *good)
{
	char whose[ROLE_NAME_MAX + 64];

	if (c->former.threshold) {
		(void)snprintf(whose, sizeof(whose), "the root in force (version %" PRIu64 ")",
			c->version - 1);
		signer_lines(s, &c->former, whose, good);
	}
	(void)snprintf(whose, sizeof(whose), c->former.threshold ? "this new root" : "the role %s",
		c->role);
	signer_lines(s, &c->keys, whose, good);
	if (c->authority_pending)
		say(s, "NOTE: who may sign it is itself not in force yet (a next %s).\n",
			strcmp(c->role, "targets") == 0 ? "root" : "targets.json");
	if (!c->anchored)
		say(s, "NOTE: that the version in force is the fleet's is not checked; give --root "
		       "with "
		       "a\nroot.json that you trust (the last one that you signed, or a box's).\n");
}

int
summary_write(const struct change *c, const json_t *good, const struct keyring *names,
	int64_t now_s, struct buf *out, struct err *e)
{
	static const char *const known[] = {
		"_type", "version", "expires", "keys", "roles", "targets", "delegations", NULL};
	struct summary s = {.out = out, .e = e, .names = names};
	bool is_root = strcmp(c->role, "root") == 0;
	uint64_t now = 0;

	(void)json_get_uint(c->before, "version", 0, INT64_MAX, &now, NULL);
	say(&s, "%s.json, version %" PRIu64, c->role, c->version);
	if (c->before)
		say(&s, ", in place of version %" PRIu64 "\n", now);
	else
		say(&s, "; nothing is in force that it could be compared with\n");
	expiry_line(&s, c, now_s);
	if (is_root)
		root_lines(&s, c->before, c->after);
	else
		delegation_lines(&s, c->before, c->after);
	if (!is_root)
		target_lines(&s, c->before, c->after);
	other_fields(&s, "", c->before, c->after, known);
	if (c->before && s.changes == 0)
		say(&s, "Nothing else changes: this renews what is in force.\n");
	trust_lines(&s, c, good);
	return s.failed ? -1 : 0;
}
