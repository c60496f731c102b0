#include "agent/spool.h"

#include <limits.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/num.h"
#include "common/crypto/envelope.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/limits.h"

enum { PUT_DEADLINE_MS = 60 * 1000, HTTP_TOO_LARGE = 413 };

/* The sequence numbers that are kept, in order; of more, the newest. */
struct kept {
	size_t count;
	uint64_t seq[SPOOL_MAX];
};

static int
spool_path(const struct conf *c, uint64_t seq, char out[PATH_MAX], struct err *e)
{
	char name[32 + sizeof("spool/.json")];

	(void)snprintf(name, sizeof(name), "spool/%llu.json", (unsigned long long)seq);
	return path_join(out, PATH_MAX, c->state_dir, name, e);
}

/* "17.json" gives 17. Other names are not ours: left over by a power cut, or somebody's. */
static bool
seq_of(const char *name, uint64_t *seq)
{
	size_t digits = strspn(name, "0123456789");
	char text[24];

	if (digits == 0 || digits >= sizeof(text) || strcmp(name + digits, ".json") != 0)
		return false;
	memcpy(text, name, digits);
	text[digits] = 0;
	return num_parse(text, 1, UINT64_MAX, seq, NULL) == 0;
}

static int
kept_add(void *arg, const char *name, struct err *e)
{
	struct kept *k = arg;
	uint64_t seq;
	size_t at;

	(void)e;
	if (!seq_of(name, &seq))
		return 0;
	if (k->count == ARRAY_LEN(k->seq)) {
		if (seq < k->seq[0])
			return 0;
		memmove(k->seq, k->seq + 1, --k->count * sizeof(k->seq[0]));
	}
	/* Names come sorted as text: 10 before 9. */
	for (at = k->count; at > 0 && k->seq[at - 1] > seq; at--)
		k->seq[at] = k->seq[at - 1];
	k->seq[at] = seq;
	k->count++;
	return 0;
}

static int
kept_list(const struct conf *c, struct kept *out, struct err *e)
{
	char dir[PATH_MAX];
	struct kept k = {0};

	if (path_join(dir, sizeof(dir), c->state_dir, "spool", e) < 0)
		return -1;
	if (file_exists(dir) && dir_each(dir, SPOOL_ENTRIES_MAX, kept_add, &k, e) < 0)
		return err_context(e, "%s", dir);
	*out = k;
	return 0;
}

/* "17.json.Ab3xYz": what a power cut left of file_replace(). */
static int
leftover_remove(void *arg, const char *name, struct err *e)
{
	size_t digits = strspn(name, "0123456789");
	char path[PATH_MAX];

	if (digits == 0 || strncmp(name + digits, ".json.", 6) != 0)
		return 0;
	if (path_join(path, sizeof(path), arg, name, e) < 0)
		return -1;
	return file_remove(path, e);
}

/* Those before a number go. */
struct trim {
	const char *dir;
	uint64_t before;
};

static int
older_remove(void *arg, const char *name, struct err *e)
{
	const struct trim *t = arg;
	char path[PATH_MAX];
	uint64_t seq;

	if (!seq_of(name, &seq) || seq >= t->before)
		return 0;
	log_warning("report %llu is given up: %d newer ones are waiting", (unsigned long long)seq,
		SPOOL_MAX - 1);
	if (path_join(path, sizeof(path), t->dir, name, e) < 0)
		return -1;
	return file_remove(path, e);
}

/* Makes room for one more. However many there are (an agent with another limit ran here, say), the
 * newest stay: what a box says last is what it is. */
static int
kept_trim(const struct conf *c, const char *dir, struct err *e)
{
	struct kept k;

	if (kept_list(c, &k, e) < 0)
		return -1;
	if (k.count < SPOOL_MAX)
		return 0;
	return dir_each(dir, SPOOL_ENTRIES_MAX, older_remove, &(struct trim){dir, k.seq[1]}, e);
}

/* The report as it goes over the wire. The key is in memory for as long as this takes. */
static int
report_seal(const struct conf *c, const struct report *r, struct buf *out, struct err *e)
{
	AUTO_SECKEY struct seckey *key = NULL;
	AUTO_JSON json_t *body = NULL;
	AUTO_JSON json_t *public = NULL;
	AUTO_JSON json_t *root = NULL;
	struct signer signer = {0};
	uint8_t raw[32];

	if (report_build(r, &body, e) < 0 || seckey_load(c->report_key, NULL, NULL, &key, e) < 0)
		return -1;
	seckey_public(key, raw);
	signer.seckey = key;
	if (pubkey_json_ed25519(raw, &public, e) < 0 || pubkey_id(public, signer.keyid, e) < 0)
		return -1;
	signer.key = public;
	root = envelope_new(body);
	if (!root)
		return err_set(e, ERR_SYSTEM, "no memory for a report");
	if (envelope_sign(root, &signer, e) < 0)
		return -1;
	return json_compact(root, out, e);
}

static void
report_fill(const struct conf *c, uint64_t seq, struct report *r)
{
	r->seq = seq;
	(void)snprintf(r->box, sizeof(r->box), "%s", c->id);
	(void)snprintf(r->compatible, sizeof(r->compatible), "%s", c->compatible);
	json_decref(r->tags);
	r->tags = json_incref(c->tags);
}

/* The file's place, in a folder with room for it. */
static int
place_make(const struct conf *c, uint64_t seq, char path[PATH_MAX], struct err *e)
{
	char dir[PATH_MAX];

	if (path_join(dir, sizeof(dir), c->state_dir, "spool", e) < 0 ||
		dir_make(dir, 0700, e) < 0 ||
		dir_each(dir, SPOOL_ENTRIES_MAX, leftover_remove, dir, e) < 0 ||
		kept_trim(c, dir, e) < 0)
		return -1;
	return spool_path(c, seq, path, e);
}

static int
number_take(const struct conf *c, struct state *s, uint64_t *seq, struct err *e)
{
	*seq = s->next_seq++;
	if (state_save(c->state_dir, s, e) == 0)
		return 0;
	s->next_seq--;
	*seq = 0;
	return -1;
}

int
spool_add_once(
	const struct conf *c, struct state *s, struct report *r, uint64_t *seq, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(REPORT_BYTES_MAX);
	uint64_t number = *seq ? *seq : s->next_seq;
	char path[PATH_MAX];

	if (!c->report_url || !c->report_key)
		return 0;
	report_fill(c, number, r);
	if (report_seal(c, r, &bytes, e) < 0)
		return err_context(e, "report %llu", (unsigned long long)number);
	if (place_make(c, number, path, e) < 0)
		return -1;
	/* What was kept under this number before is the same report. */
	if (*seq && file_exists(path))
		return 0;
	if (*seq == 0 && number_take(c, s, seq, e) < 0)
		return -1;
	return file_replace(path, 0600, buf_span(&bytes), e);
}

int
spool_add(const struct conf *c, struct state *s, struct report *r, struct err *e)
{
	uint64_t seq = 0;

	return spool_add_once(c, s, r, &seq, e);
}

/* Whether the server has said that it will never take this report, whenever it comes. 400 is not
 * that: nginx says so to a box whose certificate it does not believe, and to all of them while its
 * CRL is out of date. */
static bool
is_refused_for_good(const struct err *e)
{
	return e->class == ERR_NETWORK && e->errnum == HTTP_TOO_LARGE;
}

/* Whether a file is a whole report of this box's. It was made whole, but disks decay. */
static bool
is_sound(const struct conf *c, uint64_t seq, const char *path, struct span bytes, struct err *e)
{
	AUTO_JSON json_t *root = NULL;
	json_t *body;
	const char *box;
	uint64_t said;

	if (json_parse(bytes, path, &root, e) < 0 ||
		json_get_object(root, "signed", &body, e) < 0 ||
		json_get_string(body, "box", NAME_BYTES_MAX, &box, e) < 0 ||
		json_get_uint(body, "seq", 1, INT64_MAX, &said, e) < 0)
		return false;
	if (strcmp(box, c->id) == 0 && said == seq)
		return true;
	err_set(e, ERR_MALFORMED, "%s is another report", path);
	return false;
}

static int
set_aside(const struct conf *c, const char *path, const struct err *why, struct err *e)
{
	char to[PATH_MAX];

	log_error("a report is set aside as spool/damaged: %s", why->text);
	if (path_join(to, sizeof(to), c->state_dir, "spool/damaged", e) < 0)
		return -1;
	return file_rename(path, to, e);
}

static int
put(const struct conf *c, struct net *n, uint64_t seq, struct span bytes,
	const struct keep_going *keep_going, struct net_reply *reply, struct err *e)
{
	AUTO_BUF struct buf answer = BUF_INIT(0);
	char url[2 * NAME_BYTES_MAX + 32];
	struct net_request r = {
		.base = NET_REPORTS, .path = url, .put = bytes, .deadline_ms = PUT_DEADLINE_MS};

	(void)snprintf(url, sizeof(url), "reports/%s/%llu.json", c->id, (unsigned long long)seq);
	if (net_fetch(n, &r, &answer, reply, keep_going, e) == 0)
		return 0;
	if (!is_refused_for_good(e))
		return -1;
	log_error("report %llu is given up: %s", (unsigned long long)seq, e->text);
	return 0;
}

static int
spool_send_one(const struct conf *c, struct net *n, uint64_t seq,
	const struct keep_going *keep_going, struct net_reply *reply, struct err *e)
{
	AUTO_BUF struct buf bytes = BUF_INIT(REPORT_BYTES_MAX);
	struct err unsound;
	char path[PATH_MAX];

	if (spool_path(c, seq, path, e) < 0)
		return -1;
	if (file_read(path, &bytes, &unsound) < 0 ||
		!is_sound(c, seq, path, buf_span(&bytes), &unsound))
		return set_aside(c, path, &unsound, e);
	if (put(c, n, seq, buf_span(&bytes), keep_going, reply, e) < 0)
		return -1;
	return file_remove(path, e);
}

int
spool_send(const struct conf *c, struct net *n, const struct keep_going *keep_going,
	struct net_reply *reply, struct err *e)
{
	struct kept k;

	*reply = (struct net_reply){.retry_after_s = -1};
	if (!c->report_url)
		return 0;
	if (kept_list(c, &k, e) < 0)
		return -1;
	for (size_t i = 0; i < k.count; i++) {
		if (spool_send_one(c, n, k.seq[i], keep_going, reply, e) < 0)
			return err_context(e, "report %llu", (unsigned long long)k.seq[i]);
	}
	return 0;
}

int
spool_count(const struct conf *c, size_t *count, struct err *e)
{
	struct kept k;

	if (kept_list(c, &k, e) < 0)
		return -1;
	*count = k.count;
	return 0;
}
