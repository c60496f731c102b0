#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/num.h"
#include "common/crypto/random.h"
#include "signer/command.h"
#include "signer/courier.h"
#include "signer/fleet.h"
#include "signer/outbox.h"
#include "signer/workspace.h"

/* Another begins rounds for WEBHOOK_RUN_MAX_S, and the last of them ends in time. The watch gives
 * one that waits for one by hand twice that. */
enum { DELIVER_WAIT_MS = (WEBHOOK_RUN_MAX_S + 2 * WEBHOOK_TIMEOUT_S) * 1000 };

static const char help[] =
	"usage: sluice webhook {list | test [URL] | retry [ID] | deliver} [-w DIR]\n"
	"\n"
	"`webhooks` in workspace.yaml lists who hears of what `sluice watch` sees:\n"
	"  - {url: https://chat.example.com/x, secret_file: keys/chat.secret}\n"
	"with `events: [stopped, held]` where it is not all of published, wave_opened,\n"
	"held, stopped, finished, box_offline, audit_failed; `ca_file` for a CA of your\n"
	"own. Each is a POST of JSON with Sluice-Timestamp, and Sluice-Signature: v1= and\n"
	"HMAC-SHA256(secret, timestamp \".\" body) in hexadecimal. Refuse old timestamps.\n"
	"What is not answered by 2xx is tried again for 3 days, 410 ends it at once; then\n"
	"it is a dead letter. An event may come twice, under the same \"id\". More than 20\n"
	"boxes that go offline at once are one event, and nobody does while the watch\n"
	"itself could not hear them.\n"
	"\n"
	"  list      how each webhook does, and the dead letters\n"
	"  test      sends one event of its own (\"test\") and says what was answered\n"
	"  retry     puts dead letters back, all or those of an event\n"
	"  deliver   sends what is due, and ends: the watch runs it; waits for others\n"
	"\n"
	"example: openssl rand -hex 32 | install -m 600 /dev/stdin keys/chat.secret\n"
	"         sluice webhook test\n";

struct webhook_options {
	const char *workspace, *word;
};

/* word is what may stand behind the verb. */
static int
options_read(int argc, char **argv, bool word, struct webhook_options *o, struct err *e)
{
	static const struct option known[] = {{NULL, 0, NULL, 0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "w:", known, NULL)) != -1) {
		if (option != 'w')
			return err_set(e, ERR_USAGE, "see `sluice webhook --help`");
		o->workspace = optarg;
	}
	if (word && optind < argc)
		o->word = argv[optind++];
	if (optind < argc)
		return err_set(e, ERR_USAGE, "'%s' is one argument too many", argv[optind]);
	return 0;
}

static int
dead_show(void *arg, const struct outbox_delivery *d, struct err *e)
{
	char at[CLOCK_TEXT_SIZE], label[WEBHOOK_LABEL_SIZE];
	uint64_t *count = arg;

	(void)e;
	if ((*count)++ == 0)
		(void)printf("dead letters, newest first:\n");
	(void)printf("  %s %-12s %s to %s: %" PRIu64 " tries, last: %s\n",
		clock_format(d->at_s, at), d->kind, d->name, webhook_label(d->url, label), d->tries,
		d->answer);
	return 0;
}

static int
list(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_FLEET struct fleet *f = NULL;
	struct webhook_options o = {0};
	struct sql *s = NULL;
	uint64_t dead = 0;

	if (options_read(argc, argv, false, &o, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		fleet_open_read(&w, &f, e) < 0 || fleet_sql(f, &s, e) < 0)
		return -1;
	if (w.webhooks.count == 0)
		(void)printf("no webhooks in workspace.yaml\n");
	for (size_t i = 0; i < w.webhooks.count; i++) {
		char label[WEBHOOK_LABEL_SIZE];
		struct outbox_census c;

		if (outbox_census(s, w.webhooks.list[i].url, &c, e) < 0)
			return -1;
		(void)printf("%s: %" PRIu64 " delivered, %" PRIu64 " waiting, %" PRIu64 " dead\n",
			webhook_label(w.webhooks.list[i].url, label), c.taken, c.waiting, c.dead);
	}
	return outbox_each_dead(s, dead_show, &dead, e);
}

static int
retry(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_FLEET struct fleet *f = NULL;
	struct webhook_options o = {0};
	struct sql *s = NULL;
	uint64_t count;

	if (options_read(argc, argv, true, &o, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		fleet_open(&w, &f, e) < 0 || fleet_sql(f, &s, e) < 0 ||
		outbox_revive(s, &w, o.word, clock_wall_s(), &count, e) < 0)
		return -1;
	if (o.word && count == 0)
		return err_set(e, ERR_USAGE,
			"%.64s is no dead letter to a webhook of "
			"workspace.yaml; see `sluice webhook list`",
			o.word);
	(void)printf("%" PRIu64 " dead letters are to be delivered again\n", count);
	return 0;
}

/* An event that nobody waits for, with a name of its own. */
static int
test_write(const struct workspace *w, char name[OUTBOX_NAME_SIZE], struct buf *body, struct err *e)
{
	AUTO_JSON json_t *fields = json_pack("{s:s}", "text", "a test: nothing has happened");

	random_hex((OUTBOX_NAME_SIZE - 1) / 2, name);
	return outbox_body(w, "test", name, clock_wall_s(), fields, body, e);
}

static int
test_send(const struct workspace *w, const char *url, struct err *e)
{
	AUTO_BUF struct buf body = BUF_INIT(WEBHOOK_BODY_MAX);
	struct courier_post posts[WEBHOOKS_MAX];
	char name[OUTBOX_NAME_SIZE], label[WEBHOOK_LABEL_SIZE];
	size_t count = 0, bad = 0;

	if (test_write(w, name, &body, e) < 0)
		return -1;
	for (size_t i = 0; i < w->webhooks.count; i++) {
		if (!url || strcmp(w->webhooks.list[i].url, url) == 0)
			posts[count++] = (struct courier_post){.webhook = &w->webhooks.list[i],
				.name = name,
				.kind = "test",
				.body = buf_str(&body)};
	}
	if (count == 0)
		return err_set(e, ERR_USAGE, "workspace.yaml has no %s",
			url ? "webhook of that URL" : "webhooks");
	if (courier_send(posts, count, clock_wall_s(), e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		(void)printf("%s: %s\n", webhook_label(posts[i].webhook->url, label),
			posts[i].answer.text);
		bad += posts[i].answer.status < 200 || posts[i].answer.status > 299;
	}
	return bad ? err_set(e, ERR_NETWORK, "%zu of %zu webhooks did not take it", bad, count) : 0;
}

static int
test(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	struct webhook_options o = {0};

	if (options_read(argc, argv, true, &o, e) < 0 || workspace_open(o.workspace, &w, e) < 0)
		return -1;
	return test_send(&w, o.word, e);
}

/* First tries that fail and last ones are told; those in between are in `webhook list`. */
static void
fate_say(const struct outbox_delivery *d, const struct outbox_answer *a, enum outbox_fate fate)
{
	char label[WEBHOOK_LABEL_SIZE];

	(void)webhook_label(d->url, label);
	if (fate == OUTBOX_DEAD)
		(void)fprintf(stderr, "webhook %s: %s %s is a dead letter: %s\n", label, d->kind,
			d->name, a->text);
	else if (fate == OUTBOX_AGAIN && d->tries == 0)
		(void)fprintf(stderr, "webhook %s: %s %s is tried again: %s\n", label, d->kind,
			d->name, a->text);
}

static int
round_send(const struct workspace *w, struct sql *s, const struct outbox_batch *b, struct err *e)
{
	struct courier_post posts[WEBHOOK_ROUND_MAX];
	enum outbox_fate fate;

	for (size_t i = 0; i < b->count; i++)
		posts[i] =
			(struct courier_post){.webhook = webhook_find(&w->webhooks, b->list[i].url),
				.name = b->list[i].name,
				.kind = b->list[i].kind,
				.body = b->list[i].body};
	if (courier_send(posts, b->count, clock_wall_s(), e) < 0)
		return -1;
	for (size_t i = 0; i < b->count; i++) {
		if (outbox_settle(s, &b->list[i], &posts[i].answer, clock_wall_s(), &fate, e) < 0)
			return -1;
		fate_say(&b->list[i], &posts[i].answer, fate);
	}
	return 0;
}

static int
rounds_send(const struct workspace *w, struct sql *s, struct err *e)
{
	int64_t until_ms = clock_boot_ms() + (int64_t)WEBHOOK_RUN_MAX_S * 1000;

	while (clock_boot_ms() < until_ms) {
		AUTO_OUTBOX_BATCH struct outbox_batch b = {0};

		if (outbox_next(s, w, clock_wall_s(), &b, e) < 0)
			return -1;
		if (b.count == 0)
			return 0;
		if (round_send(w, s, &b, e) < 0)
			return -1;
	}
	return 0;
}

static int
deliver(int argc, char **argv, struct err *e)
{
	AUTO_WORKSPACE struct workspace w = {0};
	AUTO_FLEET struct fleet *f = NULL;
	AUTO_CLOSE int lock = -1;
	struct webhook_options o = {0};
	struct sql *s = NULL;

	if (options_read(argc, argv, false, &o, e) < 0 || workspace_open(o.workspace, &w, e) < 0 ||
		workspace_lock(&w, "webhook.lock",
			"another sluice webhook deliver, as the watch runs,", DELIVER_WAIT_MS,
			&lock, e) < 0 ||
		fleet_open(&w, &f, e) < 0 || fleet_sql(f, &s, e) < 0 || outbox_bury(s, &w, e) < 0)
		return -1;
	return rounds_send(&w, s, e);
}

static const struct verb verbs[] = {
	{"list", NULL, list},
	{"test", NULL, test},
	{"retry", NULL, retry},
	{"deliver", NULL, deliver},
	{NULL, NULL, NULL},
};

const struct command cmd_webhook = {
	.name = "webhook",
	.summary = "tell others what happens",
	.help = help,
	.verbs = verbs,
};
