/* Snapshot and timestamp of a publication, as the online keys sign them. */
#ifndef SLUICE_SIGNER_ONLINE_H
#define SLUICE_SIGNER_ONLINE_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/crypto/seckey.h"
#include "signer/incoming.h"
#include "signer/site.h"
#include "signer/workspace.h"

/* Borrows what is above the line. */
struct online {
	const struct workspace *workspace;
	const struct site *site;	 /* as it is published */
	const struct incoming *incoming; /* judged */
	const struct signer *snapshot_signer, *timestamp_signer;
	int64_t now_s;

	json_t *snapshot_body;		/* its "signed": the new one, or the old one that stays */
	struct buf snapshot, timestamp; /* bytes to be written; snapshot empty: the old one stays */
	uint64_t snapshot_version, timestamp_version;
};

void online_free(struct online *p);

/* Whether who publishes with keys of these ids could do so now: root, or the next one that would be
 * published with it, names them. Nothing is changed. */
int online_fits(const struct workspace *w, const char *snapshot_id, const char *timestamp_id,
	bool *out, struct err *e);

/* A new snapshot where there are new roles or new keys, and in good time before the old one
 * expires; one that was signed for that already, and never published, is taken as it is.
 * ERR_UNTRUSTED for a key that root does not name, which the fleet would find else. */
int online_snapshot(struct online *p, struct err *e);

/* A new timestamp for that. */
int online_timestamp(struct online *p, struct err *e);

#endif
