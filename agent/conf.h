/* agent.conf: what a box is, where it asks, and where it may write (INI, libinih). */
#ifndef SLUICE_AGENT_CONF_H
#define SLUICE_AGENT_CONF_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"
#include "common/base/json.h"
#include "common/format/window.h"
#include "common/limits.h"

enum slot_type { SLOT_BLOCK, SLOT_FILE, SLOT_DIR };
enum side { SIDE_A, SIDE_B, SIDES };

/* One slot class: a pair of places. */
struct slot_class {
	char name[NAME_BYTES_MAX + 1];
	enum slot_type type;
	char *path[SIDES];
	char *current;	/* dir only: the symbolic link that a tree-only bundle swaps, or NULL */
	bool read_only; /* the running slot is mounted read-only, so its digest can be checked */
};

/* Owns its strings. Every field has a value once conf_load succeeded; NULL where a path is optional
 * and not given. */
struct conf {
	char id[NAME_BYTES_MAX + 1], compatible[NAME_BYTES_MAX + 1];
	json_t *tags;	   /* object of strings */
	char *state_dir;   /* ours alone, 0700: state, metadata, spool */
	char *site_url;	   /* ends in '/'; or NULL: a box that only installs from files */
	char *targets_url; /* of a copy of its targets/, asked first for bundles; or NULL */
	char *mirrors;	   /* more of them with the same content, blanks between; or NULL */
	char *report_url;  /* ends in '/'; or NULL */
	char *proxy;	   /* "http://host:port/", which all connections go through; or NULL */
	char *tls_ca, *tls_cert, *tls_key; /* cert and key may be NULL */
	char *run_as;	  /* the user that the network child becomes; or NULL: sluice-net */
	char *report_key; /* minisign secret key, not encrypted; or NULL */
	char *plan;	  /* "rollouts/stable.json" */
	bool trust_clock; /* the wall clock is right though the kernel does not say so (a battery, a
			   * hypervisor) */
	size_t class_count;
	struct slot_class classes[SLOT_CLASSES_MAX];
	char *boot_backend;		   /* "grub" */
	char *boot_file;		   /* where its variables are */
	char *boot_entry_a, *boot_entry_b; /* Boot#### of each side, for EFI */
	char *boot_cmdline;    /* what the kernel was started with; or NULL: /proc/cmdline */
	uint64_t boot_tries;   /* what activating grants a new slot */
	char *boot_trial_note; /* for sluice-trial; or NULL: where that looks (trial_note.h) */
	char *reboot;	       /* command line, split at blanks; or NULL: a person reboots */
	char *health_dir, *hooks_dir, *inhibit_dir; /* or NULL */
	char *watchdog_device; /* "/dev/watchdog0"; or NULL: none guards an unconfirmed system */
	uint64_t watchdog_timeout_s;
	bool watchdog_always; /* it guards confirmed systems, too */
	uint64_t poll_s, stop_poll_s, retry_max_s, health_timeout_s, confirm_deadline_s;
	uint64_t prompt_s; /* in which the old system, gone back to for lack of network, has to
			    * reach the server for the new one to be at fault (doubt.h) */
	uint64_t stall_s;  /* a transfer below NET_BYTES_PER_S_MIN for this long has failed */
	uint64_t audit_s;  /* between two audits of what is installed; 0: none but by hand */
	uint64_t rate;	   /* bytes a second that bundles take; 0: as fast as they come */
	struct window downloads;   /* when bundles are fetched; length_s 0: at any time */
	uint64_t inconclusive_max; /* tries of a release that ended inconclusive before it rests */
};

void conf_free(struct conf *c);
#define AUTO_CONF CLEANUP(conf_free)

/* Reads the whole file (lines of up to 198 bytes: inih's buffer). Unknown sections or keys, keys
 * given twice, missing ones and values out of range are ERR_USAGE with "agent.conf:LINE: ...". */
int conf_load(const char *path, struct conf *out, struct err *e);

/* The class of that name, or NULL. */
const struct slot_class *conf_class(const struct conf *c, const char *name);

static inline enum side
side_other(enum side s)
{
	return s == SIDE_A ? SIDE_B : SIDE_A;
}

/* "A" or "B". */
const char *side_name(enum side s);

#endif
