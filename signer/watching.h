/* Inside the watch: for watch.c and watch_*.c. */
#ifndef SLUICE_SIGNER_WATCHING_H
#define SLUICE_SIGNER_WATCHING_H

#include <sys/stat.h>

#include "signer/course.h"
#include "signer/fleet.h"
#include "signer/gatekeeper.h"
#include "signer/ingest.h"
#include "signer/publish.h"
#include "signer/signing.h"
#include "signer/verdict.h"
#include "signer/watch.h"

/* Things that fail apart from each other. */
enum watch_job {
	JOB_SPOOL,
	JOB_ROWS,
	JOB_SITE,
	JOB_SERVER,
	JOB_FOLLOW,
	JOB_JUDGE,
	JOB_GATE,
	JOB_PUBLISH,
	JOB_REFUSED,
	JOB_KEYS,
	JOB_BULK,
	JOB_TIMESTAMP,
	JOB_RENEW,
	JOB_CRL,
	JOB_RELOAD,
	JOB_CERTIFICATES,
	JOB_ASKED,
	JOB_OFFLINE,
	JOB_EXPIRY,
	JOB_DELIVER,
	WATCH_JOBS
};

/* Tried again after a second, two, four, up to a minute. */
struct backoff {
	int64_t wait_ms, at_ms;
};

/* What was last said of a rollout. */
struct said {
	int64_t following;
	enum judgement_kind kind;
	enum deed deed;
	size_t wave;
};

struct watch {
	const struct workspace *workspace;
	struct workspace writer; /* the same with sets_aside; borrows */
	struct watch_settings settings;
	int lock;
	struct fleet *fleet;
	struct ingest *ingest;
	struct opened_key gates_key;
	struct gatekeeper keeper;
	bool has_gates;
	struct opened_key certificates_key;
	bool has_certificates;
	struct publisher *publisher; /* NULL: the online keys are not here */

	int64_t now_s, now_ms; /* of this look */
	bool full;
	bool behind; /* reports still wait in the spool: what is missing in counts may be there */
	bool deaf;   /* what lies in the spool could not be read */
	uint64_t taken; /* reports since the server was last asked whether it answers */
	struct courses courses;
	struct stat seen; /* timestamp.json, when courses were read */
	int64_t timestamp_expires_s, timestamp_signed_s; /* signed: 0 where it does not say */
	bool judge_again;
	uint64_t waiting; /* what incoming/ looked like at the last attempt to publish */
	int64_t busy_ms;  /* since when another publisher is at work; 0: none is */
	int64_t crl_busy_ms, reload_busy_ms; /* likewise, whoever else has the CRL's lock */
	struct backoff publish, act, certify, deliver, carry, reload;
	pid_t carrier;	    /* `sluice publish --carry` at work, or 0 */
	int carrier_said;   /* a file without a name, or -1 */
	char deferred[256]; /* the roles that wait for it, or "" */
	char carries[256];  /* those of them that it was told of */
	pid_t courier;	    /* `sluice webhook deliver` at work, or 0 */
	int64_t courier_ms; /* when it began */
	int64_t hourly_ms, census_ms;
	int64_t kept_ms; /* when what is due with the time was last seen to */
	struct said *said;
	size_t said_count;
	char problems[WATCH_JOBS][ERR_TEXT_SIZE]; /* as they were told */
	unsigned failures;
};

/* Tells of something, with the parts of x that are set. */
void watch_tell(struct watch *w, struct watch_event x, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Tells of what went wrong, once for as long as it is the same. Always -1. */
int watch_problem(struct watch *w, enum watch_job job, const struct err *e);
void watch_well(struct watch *w, enum watch_job job);

bool backoff_is_due(const struct backoff *b, int64_t now_ms);
void backoff_failed(struct backoff *b, int64_t now_ms);
void backoff_reset(struct backoff *b);

/* Plans: which are followed, how they stand, and what that asks for. */
void watch_follow(struct watch *w);
void watch_judge(struct watch *w);
void watch_listen(struct watch *w);

/* Boxes' next certificates. */
void watch_certify(struct watch *w);

/* Events for webhooks, each into the outbox: before the watch notes that it has seen the fact, or,
 * where it notes it itself (held, published, offline: *mark of no rollout becomes told_s), in one
 * transaction with that. The same fact again makes no second event. */
struct alarms;
struct site;
int news_wave_opened(
	struct watch *w, const struct course *c, size_t wave, uint64_t boxes, struct err *e);
int news_held(struct watch *w, const struct course *c, const struct verdict *v, struct err *e);
int news_stops(struct watch *w, struct err *e); /* of all courses, and of every box */
int news_finished(struct watch *w, const struct course *c, struct err *e);
int news_published(struct watch *w, const struct site *site, struct err *e);
int news_offline(
	struct watch *w, const struct alarms *a, const char *mark, int64_t told_s, struct err *e);

/* Sees to it that what is due is on its way, without waiting for it. */
void watch_deliver(struct watch *w);

/* Large content, beside all this: takes up what was carried, and sees to it that what is deferred,
 * or may be missing where it is served, is on its way. */
void watch_carried(struct watch *w);
void watch_carry(struct watch *w);

/* The site: what waits, and what would expire. */
bool watch_timestamp_is_due(const struct watch *w);

/* Takes the online keys that workspace.yaml names now, if root wants them; else tells why it
 * should. True where it did. */
bool watch_rekey(struct watch *w, const struct err *why);
void watch_publish(struct watch *w);

/* The same for what waits alone: before something that takes its time. */
void watch_publish_news(struct watch *w);
void watch_renew(struct watch *w);

/* Has the web server read a CRL that it could not be told of. */
void watch_reload(struct watch *w);
void watch_offline(struct watch *w);

#endif
