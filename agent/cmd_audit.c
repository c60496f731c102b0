#include <getopt.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/audit.h"
#include "agent/audit_record.h"
#include "agent/command.h"
#include "agent/local.h"
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"

/* Not every sandbox lets it lower its priority, and not every disk's queue knows of any. */
enum { REST_EVERY_MS = 20, RESTS_A_WORK = 3, DRAW_EVERY_MS = 200 };

struct show {
	bool json, gently, terminal;
	const struct audit_side *side; /* whose differences come now */
	uint64_t shown;		       /* of them */
	json_t *found[2 * SIDES];      /* arrays, one for each side; owned */
	const struct audit *audit;
	int64_t drawn_ms, rested_ms;
};

static void
show_free(struct show *s)
{
	for (size_t i = 0; i < 2 * SIDES; i++)
		json_decref(s->found[i]);
}

static int
options_read(int argc, char **argv, struct show *s, struct err *e)
{
	static const struct option known[] = {
		{"json", no_argument, NULL, 'j'}, {"gently", no_argument, NULL, 'g'}, {0}};

	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (option != 'j' && option != 'g')
			return err_set(e, ERR_USAGE, "see `sluice-agent audit --help`");
		s->json = s->json || option == 'j';
		s->gently = s->gently || option == 'g';
	}
	if (optind != argc)
		return err_set(e, ERR_USAGE, "see `sluice-agent audit --help`");
	s->terminal = !s->gently && isatty(STDERR_FILENO) == 1;
	return 0;
}

static void
bar_clear(struct show *s)
{
	if (s->terminal && s->drawn_ms != 0)
		(void)fputs("\r\033[K", stderr);
}

static void
looked(void *arg, const struct audit_side *side, uint64_t done, uint64_t total)
{
	struct show *s = arg;
	int64_t now_ms = clock_boot_ms();

	if (!s->terminal || now_ms - s->drawn_ms < DRAW_EVERY_MS)
		return;
	s->drawn_ms = now_ms;
	(void)fprintf(stderr, "\rside %s: %3u%%\033[K", side_name(side->side),
		(unsigned)(done / (total / 100 + 1)));
}

static json_t *
difference_json(const struct audit_difference *d)
{
	json_t *j = json_pack(
		"{s:s, s:s, s:s}", "payload", d->payload, "slot", d->slot, "what", d->what);

	if (d->path)
		(void)json_object_set_new(j, "path", json_string(d->path));
	if (d->is_chunk) {
		(void)json_object_set_new(j, "chunk", json_integer((json_int_t)d->chunk));
		(void)json_object_set_new(j, "offset", json_integer((json_int_t)d->offset));
		(void)json_object_set_new(j, "length", json_integer((json_int_t)d->length));
	}
	return j;
}

static void
differs(void *arg, const struct audit_side *side, const struct audit_difference *d)
{
	AUTO_BUF struct buf line = BUF_INIT(2 * PATH_MAX);
	struct show *s = arg;

	if (s->side != side)
		s->shown = 0;
	s->side = side;
	if (s->shown++ >= AUDIT_SHOWN_MAX)
		return;
	if (s->json) {
		json_t **list = &s->found[side - s->audit->sides];

		if (!*list)
			*list = json_array();
		(void)json_array_append_new(*list, difference_json(d));
		return;
	}
	bar_clear(s);
	if (audit_line(d, &line, NULL) == 0)
		(void)printf("%s\n", buf_str(&line));
}

static int
ask_rest(void *arg, struct err *e)
{
	struct show *s = arg;
	int64_t worked_ms = clock_boot_ms() - s->rested_ms;

	(void)e;
	if (worked_ms < REST_EVERY_MS)
		return 0;
	clock_sleep_ms(RESTS_A_WORK * worked_ms);
	s->rested_ms = clock_boot_ms();
	return 0;
}

/* Whatever of it a sandbox forbids, the rests remain. */
static void
be_gentle(struct show *s)
{
	struct sched_param none = {0};

	(void)setpriority(PRIO_PROCESS, 0, 19);
	(void)sched_setscheduler(0, SCHED_IDLE, &none);
	(void)syscall(
		SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
	s->rested_ms = clock_boot_ms();
}

static void
side_print(const struct audit_side *s)
{
	if (s->differences > AUDIT_SHOWN_MAX)
		(void)printf("... and %llu more on side %s\n",
			(unsigned long long)(s->differences - AUDIT_SHOWN_MAX), side_name(s->side));
	(void)printf("%s %s%s: %s%s%s: authentic: %s", s->linked ? "folder" : "side",
		side_name(s->side), s->running ? ", which runs" : "",
		s->release.known ? s->release.name : "nothing that is known",
		s->release.known ? " " : "", s->release.version, authentic_name(s->answer));
	if (s->answer == AUTHENTIC_NO)
		(void)printf(": %llu differences", (unsigned long long)s->differences);
	else if (s->answer != AUTHENTIC_YES)
		(void)printf(": %s", s->why);
	(void)putchar('\n');
}

static json_t *
side_json(const struct audit_side *s, json_t *found)
{
	char hex[DIGEST_HEX_SIZE];
	json_t *release = json_null();

	if (s->release.known)
		release = json_pack("{s:s, s:s, s:s}", "name", s->release.name, "version",
			s->release.version, "manifest_sha256",
			digest_hex(&s->release.manifest, hex));
	return json_pack("{s:s, s:b, s:b, s:o, s:s, s:s, s:I, s:o}", "side", side_name(s->side),
		"linked", (int)s->linked, "running", (int)s->running, "release", release,
		"authentic", authentic_name(s->answer), "why", s->why, "count",
		(json_int_t)s->differences, "differences",
		found ? json_incref(found) : json_array());
}

static int
json_show(const struct audit *a, const struct show *s, enum authentic running, struct err *e)
{
	AUTO_BUF struct buf out = BUF_INIT(SIZE_MAX);
	AUTO_JSON json_t *j = NULL;
	json_t *sides = json_array();

	for (size_t i = 0; i < a->count; i++)
		(void)json_array_append_new(sides, side_json(&a->sides[i], s->found[i]));
	j = json_pack("{s:s, s:o}", "authentic", authentic_name(running), "sides", sides);
	if (!j || json_array_size(sides) != a->count)
		return err_set(e, ERR_SYSTEM, "no memory for the audit");
	if (json_pretty(j, &out, e) < 0)
		return -1;
	(void)fputs(buf_str(&out), stdout);
	return 0;
}

static int
verdict(const struct audit *a, struct err *e)
{
	const struct audit_side *why;
	enum authentic running = audit_running(a, &why);

	if (running == AUTHENTIC_NO)
		return err_set(e, ERR_UNTRUSTED,
			"what runs is not what was signed and installed: %.400s", why->why);
	if (running != AUTHENTIC_YES)
		return err_set(e, ERR_SYSTEM,
			"nobody can say whether what runs is what was signed: %.400s",
			why ? why->why : "nothing is installed");
	if (audit_other(a, &why) == AUTHENTIC_NO)
		return err_set(e, ERR_UNTRUSTED,
			"what this box would go back to is not what was signed: %.400s", why->why);
	return 0;
}

static int
look(const struct box *b, struct show *s, struct audit *out, struct err *e)
{
	AUTO_TUF struct tuf_client *client = NULL;
	struct tuf_floor seen = b->state->seen;
	const struct keep_going rests = {ask_rest, s};
	const struct audit_ears ears = {.arg = s,
		.differs = differs,
		.looked = looked,
		.keep_going = s->gently ? &rests : NULL,
		.skip_writable = s->gently};
	struct role_keys releases;
	struct tuf_store store;
	char dir[PATH_MAX];
	struct err stranger;
	bool known;

	if (local_metadata_dir(&b->conf, dir, e) < 0)
		return -1;
	store = tuf_store_dir(dir);
	known = local_releases(&store, NULL, &seen, &client, &releases, &stranger) == 0;
	if (!known)
		log_warning("%s", stranger.text);
	s->audit = out;
	return audit_run(b, known ? &releases : NULL, &ears, out, e);
}

static int
run(const char *conf_path, int argc, char **argv, struct err *e)
{
	AUTO_BOX struct box b = BOX_INIT;
	CLEANUP(show_free) struct show s = {0};
	const struct audit_side *first;
	struct audit a;
	struct err lost;

	if (options_read(argc, argv, &s, e) < 0 || box_open(conf_path, &b, e) < 0)
		return -1;
	if (s.gently)
		be_gentle(&s);
	if (look(&b, &s, &a, e) < 0)
		return -1;
	bar_clear(&s);
	if (audit_record_save(&b, &a, &lost) < 0)
		log_warning("what came out is not remembered: %s", lost.text);
	if (s.json && json_show(&a, &s, audit_running(&a, &first), e) < 0)
		return -1;
	for (size_t i = 0; !s.json && i < a.count; i++)
		side_print(&a.sides[i]);
	if (!s.json)
		(void)printf("installed software authentic: %s\n",
			authentic_name(audit_running(&a, &first)));
	return verdict(&a, e);
}

const struct command command_audit = {
	.name = "audit",
	.summary = "read back what is installed: is it what was signed?",
	.help = "usage: sluice-agent [-c FILE] audit [--json] [--gently]\n\n"
		"Reads every byte of what is installed past the cache, and names each chunk, and\n"
		"each file of a tree, that is not what was signed. Both sides are looked at; what\n"
		"runs has the last word. A slot that is not read_only in agent.conf is `unknown`\n"
		"where it differs, for what runs may have written to it. Changes nothing but the\n"
		"answer that `status` and reports give. It shows what rots, and what was changed\n"
		"from outside; who is root on this box can have it say anything.\n\n"
		"  --json    for programs\n"
		"  --gently  as the daemon does it (agent.conf, [audit] interval): idle for three\n"
		"            quarters of the time, and without slots that are not read_only\n\n"
		"Exits 0 where all is authentic, 1 where something is not, or nobody can say.\n\n"
		"Example:\n"
		"  $ sluice-agent audit\n"
		"  payload rootfs, slot rootfs B: chunk 17, 65536 bytes at 1114112: it differs\n",
	.run = run,
};
