/* Installing a verified bundle into the inactive side: make each slot equal its index. */
#ifndef SLUICE_AGENT_INSTALL_H
#define SLUICE_AGENT_INSTALL_H

#include "agent/boot.h"
#include "agent/conf.h"
#include "agent/engine.h"
#include "agent/source.h"
#include "agent/state.h"
#include "common/base/err.h"
#include "common/format/bundle.h"
#include "common/format/manifest.h"

/* A head whose every byte was verified: by a release threshold over the manifest and its digests
 * (local), or by the digest of the whole head that signed TUF metadata names (network). Only
 * head_verify_local() and head_verify_target() make one. */
struct head {
	int fd; /* a file that holds the head at offset 0: the bundle itself, or the spooled head */
	char name[64]; /* for messages */
	struct manifest *manifest;
	struct bundle_layout layout;
	struct release release;
};
void head_free(struct head *h);
#define AUTO_HEAD CLEANUP(head_free)

/* From a bundle file: the manifest under the release role's threshold, the layout, and each index
 * and file list against the manifest. fd is taken over on success. */
int head_verify_local(int fd, const char *name, const struct role_keys *releases, struct head *out,
	struct err *e);

/* From a spooled head (fd, len bytes): digest first, then layout. fd is taken over on success. */
int head_verify_target(int fd, const char *name, uint64_t len, const struct digest *sha256,
	struct head *out, struct err *e);

/* The rules that every install obeys, local or not: compatible, rollback index at or above the
 * floor, every slot class there, every slot large enough. Nothing has been written when this says
 * no. ERR_REFUSED. */
int install_check(const struct conf *c, const struct state *s, const struct head *h, struct err *e);

/* Marks the target not bootable (and reads that back), records PHASE_INSTALLING, then makes every
 * slot of the target side equal to its index: compare, fetch what is wrong, verify stored bytes,
 * inflate, verify plain bytes, write, sync, drop caches, read back and compare again. *stats is
 * kept up to date. On failure the target stays not bootable and right chunks stay where they are.
 * p is the pending record to begin (release and target are filled in here). */
int install_write(const struct conf *c, const struct boot_backend *boot, struct state *s,
	const struct head *h, const struct source *source, const struct keep_going *keep_going,
	const struct pending *p, struct install_stats *stats, struct err *e);

/* Records PHASE_ACTIVATED, then switches: the one commit point. */
int install_activate(
	const struct conf *c, const struct boot_backend *boot, struct state *s, struct err *e);

#endif
