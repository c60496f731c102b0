/* A workspace: the host folder that holds keys/, manifests/, incoming/, site/ and workspace.yaml.
 */
#ifndef SLUICE_SIGNER_WORKSPACE_H
#define SLUICE_SIGNER_WORKSPACE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "signer/watch_conf.h"
#include "signer/webhook.h"

#define WORKSPACE_FILE "workspace.yaml"

struct workspace {
	char dir[PATH_MAX];  /* absolute, no links in it */
	bool sets_aside;     /* for a stop: what lies in incoming/ in vain does not hold it up */
	bool published_only; /* for whoever looks at what boxes see: incoming/ and drafts/ count not
			      */
	bool stays_in_group; /* for whoever is killed by its process group: commands are, too */
	char *push;   /* a command that copies site/ to where it is served, or NULL; see push.h */
	char *reload; /* a command like push, run after tls/crl.pem has changed; or NULL */
	char *site_url, *report_url;		  /* what boxes are told; end in '/' */
	char *online_snapshot, *online_timestamp; /* key files, absolute; need not be here */
	uint64_t timestamp_life_s, snapshot_life_s, gates_life_s, rollouts_life_s, releases_life_s,
		targets_life_s, root_life_s, crl_life_s, box_cert_life_s;
	struct watch_conf watch;
	struct webhooks webhooks;
};

void workspace_free(struct workspace *w);
#define AUTO_WORKSPACE CLEANUP(workspace_free)

/* Opens the workspace at dir, or, for NULL, the one that $SLUICE_WORKSPACE names or that this
 * folder is in (going up, like git). Reads workspace.yaml. ERR_USAGE when there is none. */
int workspace_open(const char *dir, struct workspace *out, struct err *e);

/* dir + "/" + relative path into out. An absolute path stays what it is. */
int workspace_path(
	const struct workspace *w, const char *relative, char out[PATH_MAX], struct err *e);

/* Takes the lock of a file in dir (see file_lock), waiting for wait_ms at most; the first wait is
 * told on standard error. ERR_REFUSED with EBUSY when somebody else has it all that time. */
int workspace_lock(const struct workspace *w, const char *file, const char *what, int64_t wait_ms,
	int *lock, struct err *e);

/* Runs a command line of workspace.yaml in the workspace's folder: split at blanks, no shell, with
 * word (or NULL) behind it and input as its standard input. Its output goes to standard error.
 * ERR_REFUSED when it exits other than 0 or takes longer than timeout_ms. */
int workspace_run(const struct workspace *w, const char *command, const char *word,
	struct span input, int64_t timeout_ms, struct err *e);

/* How a URL that boxes are told is taken apart. */
struct site_url {
	char host[256]; /* a name or an IPv4 address, or an IPv6 address without its brackets */
	uint16_t port;	/* 443 where none is given */
	char path[PATH_MAX]; /* "/" or "/fleet/" */
};

/* Reads an https URL that ends in '/', of plain characters (what nginx.conf and agent.conf take
 * without quoting). ERR_USAGE saying what is wrong with it. */
int site_url_parse(const char *url, struct site_url *out, struct err *e);

#endif
