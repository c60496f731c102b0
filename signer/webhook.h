/* The `webhooks` section of workspace.yaml: who hears of events, and under which secret. */
#ifndef SLUICE_SIGNER_WEBHOOK_H
#define SLUICE_SIGNER_WEBHOOK_H

#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/limits.h"

enum webhook_kind {
	WEBHOOK_PUBLISHED,
	WEBHOOK_WAVE_OPENED,
	WEBHOOK_HELD,
	WEBHOOK_STOPPED,
	WEBHOOK_FINISHED,
	WEBHOOK_BOX_OFFLINE,
	WEBHOOK_AUDIT_FAILED,
	WEBHOOK_KINDS
};

/* "wave_opened" and so on; NULL for what is none. Static storage. */
const char *webhook_kind_name(enum webhook_kind kind);

struct webhook {
	char *url;	   /* https, and printable; no two have the same */
	char *secret_file; /* absolute */
	char *ca_file;	   /* absolute; NULL: the system's CAs */
	unsigned kinds;	   /* 1 << webhook_kind, of those that it wants */
};

struct webhooks {
	size_t count;
	struct webhook list[WEBHOOKS_MAX];
};

void webhooks_free(struct webhooks *h);

/* The one of this URL, or NULL. */
const struct webhook *webhook_find(const struct webhooks *h, const char *url);

/* A URL as it may be shown and logged: scheme, host, port, and of path and query, which are the
 * secret of many receivers, the beginning and the end. */
enum { WEBHOOK_LABEL_SIZE = WEBHOOK_URL_MAX + 1 };
const char *webhook_label(const char *url, char out[WEBHOOK_LABEL_SIZE]);

struct workspace;
struct yaml;
struct yaml_node;

/* list may be NULL: there are none. *out, all zeros before, is to be freed on failure, too. No
 * secret is read here: most commands have no use for them. */
int webhooks_read(const struct workspace *w, const struct yaml *y, const struct yaml_node *list,
	struct webhooks *out, struct err *e);

/* What is shared with a receiver, in memory for secrets: text of WEBHOOK_SECRET_MIN bytes or more,
 * without the newline at its end. */
struct webhook_secret {
	size_t len;
	char text[WEBHOOK_SECRET_MAX + 3]; /* a newline, and a byte more, which is one too many */
};

/* Reads the file of a webhook; *out is freed with secret_free. ERR_REFUSED for a file that others
 * may read, ERR_LIMIT for a secret that is too short or too long, ERR_MALFORMED for what is none.
 */
int webhook_secret_load(const struct webhook *h, struct webhook_secret **out, struct err *e);

#endif
