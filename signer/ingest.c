#include "signer/ingest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/alarm.h"
#include "signer/aside.h"
#include "signer/hearing.h"
#include "signer/letter.h"
#include "signer/opener.h"
#include "signer/record.h"
#include "signer/renewal.h"
#include "signer/sql.h"

/* Deleting a file waits for the disk where the file system is mounted with discard, as those of
 * cloud images are: half a millisecond each, and more than all else that is done for a report. */
enum { PRUNED_A_BATCH = 1000, CLEARERS = 8 };

enum fate {
	FATE_STAYS, /* it could not be read, or is gone */
	FATE_GOES,  /* it is in fleet.db */
	FATE_ASIDE,
};

struct batch {
	size_t count;
	struct letter letters[INGEST_BATCH_MAX];
	int64_t boxes[INGEST_BATCH_MAX]; /* rows in table box; 0: of no box that may report */
	enum fate fates[INGEST_BATCH_MAX];
};

/* One of those that clear a batch: every CLEARERSth letter from the first. */
struct clearer {
	pthread_t thread;
	bool runs;
	int spool;
	const struct batch *batch;
	size_t first;
	uint64_t left;
	struct err why; /* of the first of these */
};

struct ingest {
	const struct workspace *workspace;
	struct sql *sql;
	struct hearing *hearing;
	unsigned threads;
	int lock, spool;
	DIR *dir; /* the round that goes on, or NULL */
	struct batch batches[2], *batch;
	struct clearer clearers[CLEARERS]; /* of the other, which lasts */
	struct alarms alarms;
	struct ingest_stats stats; /* of this batch */
	int64_t now_s;
};

static void
leave(struct ingest *i, uint64_t count, const char *why)
{
	if (i->stats.left == 0 && count > 0)
		(void)snprintf(i->stats.why, sizeof(i->stats.why), "%s", why);
	i->stats.left += count;
}

static int
letter_delete(int spool, const char *file, struct err *e)
{
	if (unlinkat(spool, file, 0) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "deleting spool/%s", file);
}

static int
put_away(const struct clearer *c, size_t n, int *aside, struct err *why)
{
	const char *file = c->batch->letters[n].file;

	if (c->batch->fates[n] == FATE_GOES)
		return letter_delete(c->spool, file, why);
	if (c->batch->fates[n] != FATE_ASIDE)
		return 0;
	if (*aside < 0 && aside_open(c->spool, aside, why) < 0)
		return -1;
	return aside_move(c->spool, *aside, file, why);
}

/* All that changes in the spool, once the rest lasts. What cannot be changed comes again, and is
 * known by then; others are not to wait for it. */
static void *
clearer_main(void *arg)
{
	struct clearer *c = arg;
	AUTO_CLOSE int aside = -1;

	for (size_t n = c->first; n < c->batch->count; n += CLEARERS) {
		struct err why;

		if (put_away(c, n, &aside, &why) < 0 && c->left++ == 0)
			c->why = why;
	}
	return NULL;
}

/* Goes on while the caller does. */
static void
clearing_begin(struct ingest *i)
{
	for (size_t k = 0; k < CLEARERS; k++) {
		struct clearer *c = &i->clearers[k];

		*c = (struct clearer){
			.spool = i->spool, .batch = i->batch, .first = k, .why = ERR_INIT};
		c->runs = k < c->batch->count &&
			  pthread_create(&c->thread, NULL, clearer_main, c) == 0;
		if (!c->runs)
			(void)clearer_main(c);
	}
}

static void
clearing_end(struct ingest *i)
{
	for (size_t k = 0; k < CLEARERS; k++) {
		struct clearer *c = &i->clearers[k];

		if (c->runs)
			pthread_join(c->thread, NULL);
		c->runs = false;
		leave(i, c->left, c->why.text);
		c->left = 0;
	}
}

void
ingest_close(struct ingest **i)
{
	if (!*i)
		return;
	clearing_end(*i);
	hearing_free(&(*i)->hearing);
	cleanup_dir(&(*i)->dir);
	cleanup_fd(&(*i)->spool);
	cleanup_fd(&(*i)->lock);
	free(*i);
	*i = NULL;
}

static int
spool_open(const struct workspace *w, int *out, struct err *e)
{
	char path[PATH_MAX];
	AUTO_CLOSE int fd = -1, aside = -1;

	if (workspace_path(w, "spool", path, e) < 0 || dir_make(path, 0770, e) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "opening %s", path);
	if (aside_open(fd, &aside, e) < 0)
		return -1;
	*out = take_fd(&fd);
	return 0;
}

static unsigned
processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)num_min((uint64_t)n, INGEST_THREADS_MAX) : 1;
}

int
ingest_open(const struct workspace *w, struct fleet *f, unsigned threads, struct ingest **out,
	struct err *e)
{
	AUTO_INGEST struct ingest *i = calloc(1, sizeof(*i));

	if (!i)
		return err_sys(e, ENOMEM, "reading reports");
	i->workspace = w;
	i->lock = i->spool = -1;
	i->threads = threads ? threads : processors();
	if (workspace_lock(
		    w, "spool.lock", "another process that reads the spool", 0, &i->lock, e) < 0 ||
		fleet_sql(f, &i->sql, e) < 0 || spool_open(w, &i->spool, e) < 0 ||
		sql_bulk(i->sql, e) < 0 || hearing_new(i->sql, &i->hearing, e) < 0)
		return -1;
	*out = TAKE_PTR(i);
	return 0;
}

static int
round_begin(struct ingest *i, struct err *e)
{
	AUTO_CLOSE int fd = openat(i->spool, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "opening the spool");
	i->dir = fdopendir(fd);
	if (!i->dir)
		return err_sys(e, errno, "opening the spool");
	(void)take_fd(&fd);
	return 0;
}

static void
round_end(struct ingest *i)
{
	cleanup_dir(&i->dir);
	i->dir = NULL;
}

/* nginx copies a report under another name first where its temporary files are on another file
 * system. What has another name for long is nobody's. */
static bool
is_being_written(const struct ingest *i, const struct letter *l)
{
	return !l->box[0] && i->now_s - l->came_s < SPOOL_WRITING_MAX_S;
}

static void
letter_add(struct ingest *i, const char *file, bool is_file)
{
	struct letter *l = &i->batch->letters[i->batch->count];
	struct err why;

	if (!letter_address(file, l)) {
		*l = (struct letter){0};
		(void)snprintf(l->file, sizeof(l->file), "%s", file);
	} else if (is_file) {
		i->batch->count++;
		return;
	}
	if (letter_look(i->spool, l, &why) < 0 || is_being_written(i, l))
		return;
	if (l->is_folder) {
		(void)err_set(&why, ERR_REFUSED,
			"spool/%s is a folder, and no report is in it: move it away", file);
		leave(i, 1, why.text);
		return;
	}
	i->batch->count++;
}

/* In slices: a spool may have a million entries. */
static int
slice_read(struct ingest *i, bool *more, struct err *e)
{
	const struct dirent *entry;

	if (!i->dir && round_begin(i, e) < 0)
		return -1;
	while (i->batch->count < INGEST_BATCH_MAX) {
		errno = 0;
		entry = readdir(i->dir);
		if (!entry)
			break;
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, ASIDE_DIR) != 0)
			letter_add(i, entry->d_name, entry->d_type == DT_REG);
	}
	if (i->batch->count < INGEST_BATCH_MAX && errno != 0)
		return err_sys(e, errno, "reading the spool");
	*more = i->batch->count == INGEST_BATCH_MAX;
	if (!*more)
		round_end(i);
	return 0;
}

static int
letter_order(const void *a, const void *b)
{
	const struct letter *x = a, *y = b;
	int by_box = strcmp(x->box, y->box);

	return by_box ? by_box : (x->seq > y->seq) - (x->seq < y->seq);
}

/* Which key the fleet has of the box that a letter is from. */
static int
sender_find(void *arg, size_t n, char **report_key, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	struct ingest *i = arg;
	bool row = false;

	i->batch->boxes[n] = 0;
	i->batch->fates[n] = FATE_STAYS;
	if (!i->batch->letters[n].box[0])
		return 0;
	if (query_begin(i->sql, &q, e,
		    "SELECT id, report_key FROM box WHERE name = ?1 AND revoked_s = 0", "s",
		    i->batch->letters[n].box) < 0 ||
		query_next(q, &row, e) < 0)
		return -1;
	if (!row)
		return 0;
	*report_key = strdup(query_text(q, 1));
	if (!*report_key)
		return err_sys(e, ENOMEM, "reading reports");
	i->batch->boxes[n] = query_int(q, 0);
	return 0;
}

static int
put_aside(struct ingest *i, size_t n, const char *reason, struct err *e)
{
	struct letter *l = &i->batch->letters[n];
	struct err gone = ERR_INIT;
	bool fresh;

	if (l->inode == 0 && letter_look(i->spool, l, &gone) < 0)
		return 0;
	if (aside_note(i->sql, l, i->now_s, reason, &fresh, e) < 0)
		return -1;
	i->batch->fates[n] = FATE_ASIDE;
	i->stats.aside += fresh;
	return 0;
}

static int
put_down(struct ingest *i, size_t n, const struct report *r, struct err *e)
{
	const int64_t box = i->batch->boxes[n], came_s = i->batch->letters[n].came_s;
	const int64_t heard_s = came_s < i->now_s ? came_s : i->now_s;
	enum recorded recorded;
	struct err why;
	bool alarm;

	if (record_add(i->sql, box, r, heard_s, &recorded, &alarm, &why) < 0)
		return why.class == ERR_SYSTEM ? err_set(e, why.class, "%s", why.text)
					       : put_aside(i, n, why.text, e);
	if (alarm)
		alarms_add(&i->alarms, r->box, r->version, heard_s, r->seq);
	i->batch->fates[n] = FATE_GOES;
	if (recorded == RECORD_NEW) {
		i->stats.taken++;
		if (renewal_hear(i->sql, box, r, e) < 0)
			return -1;
		return hearing_take(i->hearing, box, r, heard_s, e);
	}
	i->stats.duplicates++;
	i->stats.clashes += recorded == RECORD_CLASH;
	return 0;
}

static int
letter_take(void *arg, size_t n, const struct report *r, const struct err *why, struct err *e)
{
	struct ingest *i = arg;

	if (r)
		return put_down(i, n, r, e);
	if (!i->batch->letters[n].box[0])
		return put_aside(i, n, "its name is none of a report", e);
	if (!i->batch->boxes[n])
		return put_aside(i, n, "the fleet has no such box, or has revoked it", e);
	if (why->class != ERR_SYSTEM)
		return put_aside(i, n, why->text, e);
	if (why->errnum == ENOENT)
		return 0;
	leave(i, 1, why->text);
	i->stats.unread++;
	return 0;
}

static int
counter_add(struct ingest *i, const char *name, uint64_t n, struct err *e)
{
	return n == 0 ? 0
		      : sql_do(i->sql, e, "UPDATE counter SET value = value + ?2 WHERE name = ?1",
				"si", name, (int64_t)n);
}

static int
counters_add(struct ingest *i, struct err *e)
{
	if (counter_add(i, "reports", i->stats.taken, e) < 0 ||
		counter_add(i, "duplicates", i->stats.duplicates, e) < 0 ||
		counter_add(i, "clashes", i->stats.clashes, e) < 0)
		return -1;
	return counter_add(i, "aside", i->stats.aside, e);
}

/* All that changes in fleet.db. */
static int
batch_write(struct ingest *i, bool round_ends, struct err *e)
{
	struct opener o = {.spool = i->spool,
		.threads = i->threads,
		.letters = i->batch->letters,
		.count = i->batch->count,
		.find = sender_find,
		.take = letter_take,
		.arg = i};

	i->alarms.count = 0;
	if (hearing_begin(i->hearing, e) < 0 || opener_run(&o, e) < 0 ||
		hearing_end(i->hearing, e) < 0 || counters_add(i, e) < 0 ||
		alarms_put(i->sql, i->workspace, WEBHOOK_AUDIT_FAILED, &i->alarms, i->now_s, e) < 0)
		return -1;
	(void)snprintf(
		i->stats.damage, sizeof(i->stats.damage), "%s", hearing_damage(i->hearing)->text);
	i->stats.alarms = i->alarms.count;
	if (i->alarms.count > 0)
		memcpy(i->stats.alarm, i->alarms.list[0].box, sizeof(i->stats.alarm));
	/* Not before: within a round a box's reports come in no order, and of one that is older
	 * than what was deleted nobody could say whether it is new. */
	return round_ends ? record_prune(i->sql, PRUNED_A_BATCH, e) : 0;
}

static int
batch_take(struct ingest *i, bool round_ends, struct err *e)
{
	/* Neighbours in the tables one after the other, and each box's reports in their order. */
	qsort(i->batch->letters, i->batch->count, sizeof(i->batch->letters[0]), letter_order);
	return sql_begin(i->sql, e) < 0 ? -1 : sql_end(i->sql, batch_write(i, round_ends, e), e);
}

/* Not in the batch's transaction: until that lasts, its own files are not where they are deleted.
 */
static int
asides_prune(struct ingest *i, struct err *e)
{
	struct err why = ERR_INIT;
	uint64_t left = 0;

	if (i->stats.aside == 0)
		return 0;
	clearing_end(i);
	if (sql_begin(i->sql, e) < 0 ||
		sql_end(i->sql, aside_prune(i->spool, i->sql, &left, &why, e), e) < 0)
		return -1;
	leave(i, left, why.text);
	return 0;
}

int
ingest_batch(struct ingest *i, int64_t now_s, struct ingest_stats *out, bool *more, struct err *e)
{
	bool goes_on = false;
	int rc;

	i->now_s = now_s;
	i->stats = (struct ingest_stats){0};
	i->batch = &i->batches[i->batch == i->batches];
	i->batch->count = 0;
	rc = slice_read(i, &goes_on, e);
	if (rc == 0 && i->batch->count > 0)
		rc = batch_take(i, !goes_on, e);
	clearing_end(i);
	if (rc < 0) {
		/* What was not taken is for the next round. */
		round_end(i);
		return -1;
	}
	clearing_begin(i);
	/* The next round is not to find these again. */
	if (!goes_on)
		clearing_end(i);
	if (asides_prune(i, e) < 0)
		return -1;
	*out = i->stats;
	*more = goes_on;
	return 0;
}

int
ingest_each_aside(struct fleet *f,
	int (*each)(void *arg, const char *file, int64_t at_s, const char *reason, struct err *e),
	void *arg, struct err *e)
{
	AUTO_QUERY struct query *q = NULL;
	struct sql *s = NULL;
	bool row = false;
	int rc;

	if (fleet_sql(f, &s, e) < 0)
		return -1;
	rc = query_begin(s, &q, e,
		"SELECT file, at_s, reason FROM aside ORDER BY at_s DESC, rowid DESC", "");
	while (rc == 0 && (rc = query_next(q, &row, e)) == 0 && row)
		rc = each(arg, query_text(q, 0), query_int(q, 1), query_text(q, 2), e);
	return rc;
}
