/* Every maximum of Sluice, each with its reason. Nothing from outside is read past one of these. */
#ifndef SLUICE_LIMITS_H
#define SLUICE_LIMITS_H

/* JSON nests 5 deep in TUF and 6 in our own formats; 32 leaves room and costs no stack. */
#define JSON_DEPTH_MAX 32

/* TUF metadata. The specification leaves these to the application (5.3.3 and following); ours are
 * what python-tuf's client uses, but for targets: 10 000 targets of 400 bytes fit. */
#define TUF_ROOT_BYTES_MAX (512 * 1024)
#define TUF_TIMESTAMP_BYTES_MAX (16 * 1024)
#define TUF_SNAPSHOT_BYTES_MAX (2 * 1024 * 1024)
#define TUF_TARGETS_BYTES_MAX (5 * 1024 * 1024)
#define TUF_ROOT_ROTATIONS_MAX                                                                     \
	256			/* root files followed in one refresh: a key a month for 20 years */
#define TUF_DELEGATIONS_MAX 32	/* roles visited in one search, as python-tuf has it */
#define TUF_KEYS_MAX 1024	/* keys in one document */
#define TUF_SIGNATURES_MAX 1024 /* signatures on one document */
#define TUF_PATH_MAX 512	/* a target path */
#define ROLE_NAME_MAX 64	/* with ".json" and quoting, still a file name */
#define ROLE_KEYS_MAX 32	/* keys of one role that our commands take; people, not machines */
#define ROLE_PATHS_MAX 32	/* and path patterns */
#define INCOMING_FILES_MAX 256	/* roles that wait for the publisher at once */
#define INCOMING_ENTRIES_MAX 100000 /* with all that was set aside or never finished */

/* A box's own small documents: a plan with 10 000 named boxes is about 300 KiB. */
#define PLAN_BYTES_MAX (1024 * 1024)
#define PLAN_NOTES_MAX 48	/* lines: two screens; what is longer belongs elsewhere */
#define PLAN_NOTE_BYTES_MAX 256 /* of one line: 80 columns of three bytes each */
#define PLAN_BUDGET_MAX (PAYLOADS_MAX * PAYLOAD_BYTES_MAX) /* no bundle has more */
#define GATE_BYTES_MAX (64 * 1024)
#define REPORT_BYTES_MAX (64 * 1024) /* nginx's client_max_body_size for reports is the same */

/* Bundles. */
#define MANIFEST_BYTES_MAX (256 * 1024) /* 16 payloads need 20 KiB, 64 signatures 16 KiB more */
#define PAYLOADS_MAX 16			/* more components than any box we heard of has */
#define MEMBERS_MAX (4 * PAYLOADS_MAX + 1)
#define COMPATIBLE_MAX 64
#define REQUIRES_MAX 16
#define NAME_BYTES_MAX 64 /* names of bundles, payloads, slots, waves, boxes */
#define VERSION_BYTES_MAX 64
#define CHUNK_BYTES 65536	       /* format 1 has this one size for images and trees */
#define CHUNK_STORED_MAX CHUNK_BYTES   /* what does not shrink is stored raw */
#define PAYLOAD_BYTES_MAX (1ULL << 40) /* 1 TiB: beyond any flash, below any overflow */
#define INDEX_ENTRIES_MAX (PAYLOAD_BYTES_MAX / CHUNK_BYTES + TREE_FILES_MAX)
#define TREE_FILES_MAX 1000000ULL  /* a full Debian desktop has about 400 000 */
#define TREE_LINE_MAX (128 * 1024) /* one line of PAYLOAD.files; xattrs may be 64 KiB in hex */
#define TREE_PATH_MAX 1024
#define HINTS_BYTES_MAX (PAYLOAD_BYTES_MAX / 4096 * 8) /* 8 bytes a block of 4 KiB */
#define HEAD_BYTES_MAX (2ULL << 30) /* index and file list of the largest payload */

/* Talking to servers. */
#define NET_REQUESTS_MAX 8	      /* a bundle, a stop poll, a report, and room */
#define NET_WINDOW_BYTES (256 * 1024) /* sent ahead per request: 20 ms at 100 Mbit/s */
#define NET_SKIP_MAX (1ULL << 30)     /* before a range that a server answers with the whole file */
#define NET_BYTES_PER_S_MIN 1024      /* less is a stall: GPRS, the slowest there is, gives 3000 */
#define NET_IGNORED_MAX (16 * 1024)   /* of an error's body, read so that the connection lasts */
#define NET_RETRY_AFTER_MAX_S 86400   /* a server that says more is not believed */
/* A CA file with overlapping CAs; a system's bundle is 220 KiB. */
#define TLS_PEM_MAX (256 * 1024)
#define SPOOL_MAX 256 /* reports kept on a box: months of its own decisions */

/* Certificates. */
#define PEM_BYTES_MAX (64 * 1024)	 /* one certificate, key or request; ours are under 2 KiB */
#define CRL_BYTES_MAX (64 * 1024 * 1024) /* 40 bytes a revoked box, and a third more in PEM */

/* Programs we run. */
#define HOOK_OUTPUT_MAX (64 * 1024)
#define HOOKS_MAX 64
#define PUSH_TIMEOUT_MS (3600 * 1000) /* a 2 GiB bundle over 5 Mbit/s */
/* Metadata, plans and gates: 10 MiB over 1 Mbit/s. A stop waits for the one before it. */
#define PUSH_SMALL_TIMEOUT_MS (120 * 1000)
#define PUBLISHER_WAIT_MS (3 * PUSH_SMALL_TIMEOUT_MS) /* both pushes before, and room */
#define INCOMING_WAIT_MS (30 * 1000) /* for whoever renames a file; more is a broken disk */
#define BULK_WAIT_MS (2 * PUSH_TIMEOUT_MS)
#define BULK_BYTES_MIN (PLAN_BYTES_MAX + 1)    /* a target that is larger holds up no stop */
#define PUSH_LIST_BYTES_MAX (64 * 1024 * 1024) /* 100 000 targets of 200 bytes, thrice */
#define HOOK_TIMEOUT_S 600   /* a hook may migrate a data base, but not hang the box */
#define REBOOT_TIMEOUT_S 120 /* the command asks init for a reboot and returns */

/* Text that people write. */
#define CONF_BYTES_MAX (64 * 1024)
#define RECIPE_BYTES_MAX (256 * 1024)
#define CSV_RECORD_BYTES_MAX (64 * 1024) /* a box with 64 tags of 64 bytes has 8 KiB */
#define CSV_FIELDS_MAX 256		 /* an inventory of ours has up to 68 */
#define KEY_FILE_MAX 4096
#define PASSPHRASE_MAX 1024
#define RSA_BITS_MIN 2048	 /* the shortest that NIST still allows */
#define RSA_BITS_MAX 8192	 /* each verification takes time with its square */
#define SIGNATURE_BYTES_MAX 1024 /* RSA of 8192 bits, the largest key we verify with */

/* A request for signatures: a targets.json before and after, the one above it, and the roots. */
#define REQUEST_BYTES_MAX (4 * TUF_TARGETS_BYTES_MAX)

#endif
