/* Every maximum of Sluice, each with its reason. Nothing from outside is read past one of these.
 *
 * Only what is refused, cut or dropped when there is more of it is a maximum. What our own code
 * fills (a line, a table of constants) is named by what it has: _SIZE, _BYTES, _SHOWN. */
#ifndef SLUICE_LIMITS_H
#define SLUICE_LIMITS_H

/* JSON nests 5 deep in TUF and 6 in our own formats; 32 leaves room and costs no stack. */
#define JSON_DEPTH_MAX 32

/* Integers up to here survive every JSON reader there is (RFC 8259 section 6). */
#define FIELD_INT_MAX ((uint64_t)1 << 53)
#define FILE_NAME_MAX 255  /* on every file system that we know */
#define NAME_PLAIN_MAX 128 /* a name of ours: a digest has 64 digits, a role 64 letters */
/* A version's parts and the digits of each: nobody has more, and each fits 32 bits. */
#define VERSION_PARTS_MAX 8
#define VERSION_DIGITS_MAX 9

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
#define HAND_KEYS_MAX (4 * ROLE_KEYS_MAX) /* roots old and new and targets, of everybody */
#define DOCTOR_ROLES_MAX 256		  /* as many as may wait in incoming/ */
#define KEY_FILES_MAX 10000		  /* in keys/: two for each of 5000 people */
#define INCOMING_FILES_MAX 256		  /* roles that wait for the publisher at once */
#define INCOMING_ENTRIES_MAX 100000	  /* with all that was set aside or never finished */

/* Plans: one with 10 000 named boxes is about 300 KiB. */
#define PLAN_BYTES_MAX (1024 * 1024)
#define ROLLOUT_BYTES_MAX (2 * PLAN_BYTES_MAX) /* in YAML, with comments */
/* So many boxes do not fit into PLAN_BYTES_MAX; the limit is for the array's own sake. */
#define PLAN_BOXES_MAX ((size_t)PLAN_BYTES_MAX / 4)
#define WAVES_MAX 64		  /* a wave a day for two months */
#define FROM_MAX 16		  /* ranges of old versions; people read them */
#define ROLLOUT_COMPLAINTS_MAX 20 /* of one try: more than fit a screen beside the file */
#define MATCH_KEYS_MAX 32	  /* tags asked for: half of what a box may have */
#define MATCH_VALUES_MAX 1024	  /* sites, customers: a fleet's lists of those are that long */
#define FIELD_TAGS_MAX 64	  /* of one box: more than anybody can choose boxes by */
/* Nothing in a plan lasts longer; a figure beyond it is a slip of the pen. */
#define PLAN_SPAN_MAX_S ((uint64_t)366 * 86400)
#define PLAN_STOP_POLL_MAX_S ((uint64_t)86400) /* a stop that takes longer is none */
#define WINDOW_HOURS_MAX 16		       /* "02:00-05:00" is 11 */
#define ZONE_MAX_S (26 * 3600)		       /* POSIX: a zone is up to 24:59:59 from UTC */
/* Counts of boxes above this would overflow the comparison. A tenth of all people have one then. */
#define TALLY_MAX 1000000000ULL
#define PLAN_NOTES_MAX 48	/* lines: two screens; what is longer belongs elsewhere */
#define PLAN_NOTE_BYTES_MAX 256 /* of one line: 80 columns of three bytes each */
#define PLAN_BUDGET_MAX (PAYLOADS_MAX * PAYLOAD_BYTES_MAX) /* no bundle has more */

/* Gates. */
#define GATE_BYTES_MAX (64 * 1024) /* 64 long waves need 5 KiB, 64 stops with reasons 25 */
#define STOPS_MAX 64	    /* in force at once; whoever has more has one trouble, not many */
#define STOP_REASON_MAX 256 /* a sentence or two */

/* Reports, and what is kept of them. */
#define REPORT_BYTES_MAX (64 * 1024) /* nginx's client_max_body_size for reports is the same */
#define REPORT_DETAIL_MAX 1024	     /* an error's text with all its context */
#define REPORT_LOG_MAX 8192	     /* a hundred lines: the tail is what tells */
#define BOOT_ID_MAX 64		     /* Linux has 36 */
#define ASIDE_MAX 1000		     /* what made no sense; the oldest goes */
#define SPOOL_WRITING_MAX_S 3600     /* nobody takes longer to write one */
/* The larger a batch, the more rows of it share a page of fleet.db; and the longer others wait. */
#define INGEST_BATCH_MAX 16384
#define INGEST_THREADS_MAX 64 /* one thread writes what they check; more would wait for it */
#define LISTEN_GAP_MAX_S 180  /* between two looks; silence in a longer one may be ours */
#define OUTAGE_GAP_MAX_S 3600 /* the same, for boxes that are silent for hours: a timer's hour */
#define WATCH_EVERY_MAX_S 120 /* longer, and LISTEN_GAP_MAX_S would stop the clock of silence */
#define WATCH_BACKOFF_MAX_MS 60000	 /* it looks once a minute anyway */
#define ACKNOWLEDGEMENT_WAIT_MAX_S 86400 /* for boxes to take a stop; `sluice status` says more */

/* Fleets that are made up. */
#define SIMULATED_BOXES_MAX 1000000 /* what fleet.db is tested with */
#define SEEDS_MAX 100000	    /* runs; more change no figure that is printed */

/* Bundles. */
#define MANIFEST_BYTES_MAX (256 * 1024) /* 16 payloads need 20 KiB, 64 signatures 16 KiB more */
#define PAYLOADS_MAX 16			/* more components than any box we heard of has */
#define COMPATIBLE_MAX 64
#define REQUIRES_MAX 16
#define NAME_BYTES_MAX 64 /* names of bundles, payloads, slots, waves, boxes */
#define VERSION_BYTES_MAX 64
#define CHUNK_BYTES 65536	       /* format 1 has this one size for images and trees */
#define CHUNK_STORED_MAX CHUNK_BYTES   /* what does not shrink is stored raw */
#define PAYLOAD_BYTES_MAX (1ULL << 40) /* 1 TiB: beyond any flash, below any overflow */
#define INDEX_ENTRIES_MAX (PAYLOAD_BYTES_MAX / CHUNK_BYTES + TREE_FILES_MAX)
#define INDEX_PAGES_MAX (INDEX_ENTRIES_MAX / 64 + 1) /* of so many entries: format/pages.h */
#define TREE_FILES_MAX 1000000ULL		     /* a full Debian desktop has about 400 000 */
#define TREE_LINE_MAX (128 * 1024) /* one line of PAYLOAD.files; xattrs may be 64 KiB in hex */
#define TREE_PATH_MAX 1024
/* What a payload is said to hold, for people who compare two. Trees have fewer files, and a file of
 * an image that is in more pieces than this on average was not written by mke2fs. */
#define CONTENTS_OWNERS_MAX ((size_t)1 << 22)
#define CONTENTS_EXTENTS_MAX ((size_t)1 << 23)
#define CONTENTS_PATHS_MAX ((size_t)256 << 20)	   /* a million paths of 256 bytes */
#define UNCOMPRESSED_BYTES_MAX ((size_t)256 << 20) /* of one file; a kernel has 50 MiB */
#define EXT4_INODES_MAX (1 << 26)		   /* what mke2fs makes for 1 TiB */
#define EXT4_NAMES_MAX (1 << 24)	 /* in folders; hard links and deleted ones, too */
#define TREE_XATTR_NAME_MAX 255		 /* as Linux has it, like the two sizes below */
#define TREE_MTIME_MAX_S 253402300799ULL /* the end of the year 9999 */
#define XATTR_NAMES_MAX (64 * 1024)	 /* XATTR_LIST_MAX of Linux */
#define XATTR_VALUE_MAX (64 * 1024)	 /* XATTR_SIZE_MAX of Linux */
#define LINK_CHAIN_MAX 8		 /* hard links that name hard links; tar makes none */
#define PIPELINE_THREADS_MAX 256	 /* more cores than this wait for the disk */
#define HINTS_BYTES_MAX (PAYLOAD_BYTES_MAX / 4096 * 8) /* 8 bytes a block of 4 KiB */
#define PATCH_BYTES_MAX (4U << 20)		       /* that one patch makes: 64 chunks */
#define PATCH_STORED_MAX (256U * 1024) /* and what it may take, which a box has in memory */
#define RELEASE_DELTAS_MAX 16 /* of one release: so many old versions are not in use at once */
#define DELTA_RECORD_CHUNKS_MAX (PATCH_BYTES_MAX / CHUNK_BYTES)
#define DELTA_RUNS_MAX 17	       /* of a chunk: its 16 blocks, and one that is cut in two */
#define HEAD_BYTES_MAX (2ULL << 30)    /* index, seals and file list of the largest payload */
#define SHELF_SPARE_BYTES (1ULL << 20) /* of the state folder: metadata, reports and the state */

/* Descriptors that are closed one by one: a limit may be a thousand million. */
#define SEALED_MAX (64 * 1024)

/* Talking to servers. */
#define NET_REQUESTS_MAX 8	      /* a bundle, a stop poll, a report, and room */
#define NET_WINDOW_BYTES (256 * 1024) /* sent ahead per request: 20 ms at 100 Mbit/s */
#define NET_AHEAD_MAX 4		      /* ranges opened before their turn; browsers take 6 in all */
#define NET_AHEAD_BYTES (256 * 1024)  /* under way, above which none is: 100 ms at 20 Mbit/s */
#define NET_BYTES_PER_S_MIN 1024      /* less is a stall: GPRS, the slowest there is, gives 3000 */
#define NET_IGNORED_MAX (16 * 1024)   /* of an error's body, read so that the connection lasts */
#define NET_RETRY_AFTER_MAX_S 86400   /* a server that says more is not believed */
#define NET_RATE_MIN (16 * 1024)      /* less: a chunk takes many seconds, an image days */
#define NET_CONNECT_MAX_S 30	      /* TCP and TLS; a server that takes longer is not there */
#define NET_FILES_MAX 256	      /* descriptors: a request has about six */
#define NET_DATA_MAX (256ULL << 20)   /* memory, with the stacks of threads that resolve names */
#define NET_THREADS_MAX 4096	      /* of all children of one user: machines that play fleets */
#define URL_BYTES_MAX 4096	      /* half of what nginx takes as a request line */
/* Messages between the agent and its network child. */
#define WIRE_TEXT_MAX (3 * TUF_PATH_MAX + 128) /* a quoted path with its digest, or a message */
#define WIRE_ETAG_MAX 127		       /* nginx's have about 20 */
#define WIRE_DATA_MAX (16 * 1024)	       /* what libcurl hands over at once */
#define WIRE_STEPS_MAX 32 /* three ways to ask, and for each libcurl may connect six times */
/* A CA file with overlapping CAs; a system's bundle is 220 KiB. */
#define TLS_PEM_MAX (256 * 1024)
#define SPOOL_MAX 256		/* reports kept on a box: months of its own decisions */
#define SPOOL_ENTRIES_MAX 65536 /* more is nothing that an agent of any age has left there */

/* A box. */
#define SLOT_CLASSES_MAX PAYLOADS_MAX
#define CONF_SECTIONS_MAX (12 + SLOT_CLASSES_MAX)
#define CONF_SPAN_MAX_S (30 * 24 * 3600) /* a box that stays away for longer is given up */
#define WATCHDOG_TIMEOUT_MIN_S 10	 /* one slow write takes seconds, and is no hang */
#define WATCHDOG_TIMEOUT_MAX_S 3600	 /* a box that hangs for an hour is missed */
#define INI_NAME_MAX 48 /* inih cuts longer ones without a word, so they are refused before */
#define STATE_BYTES_MAX (256 * 1024)  /* 32 failures and 64 stops with their texts are 100 KiB */
#define STATUS_BYTES_MAX (256 * 1024) /* the same, in other words */
#define AUDIT_SHOWN_MAX 1000	      /* differences of a side; more say nothing new */
#define FAILED_MAX 32		      /* releases that failed here; the oldest is forgotten */
#define BOOT_ENV_BYTES_MAX 1024 /* what a simulated bootloader's file or a custom program says */
#define BOOT_COMMAND_LINE_MAX (64 * 1024) /* the kernel's, 2 KiB on most machines */
#define GRUB_TRIES_MAX 9		  /* grub.cfg counts one digit */
#define GRUB_SEQ_MAX 999999999		  /* GRUB compares as 32 bits */
#define UBOOT_TRIES_MAX 9		  /* setexpr counts in hexadecimal */
#define UBOOT_CONFIG_MAX (16 * 1024)	  /* fw_env.config: two lines and a page of comments */
#define EFI_ORDER_MAX 256		  /* entries; firmware writers stop at some dozens */
#define ENTRY_BYTES_MAX (64 * 1024)	  /* a boot loader entry: ten lines */
#define ENTRY_TRIES_MAX 99		  /* systemd-boot counts in two digits of ours */
#define ENTRY_VERSION_MAX UINT32_MAX	  /* rises with each update */
#define ENTRY_FOLDER_MAX 1024		  /* entries of everybody */
#define ENTRY_SIDE_MAX 4		  /* of one side: as many as cuts between changes leave */
#define BOOT_TRIES_MAX 100	      /* starts of one slot before the box goes back; 3 are usual */
#define METADATA_FILES_MAX 100000     /* in a folder that an install by hand is given */
#define TRIAL_WAIT_MAX_MS (30 * 1000) /* between looks for the server; a trial lasts minutes */

/* Certificates. */
#define PEM_BYTES_MAX (64 * 1024)	 /* one certificate, key or request; ours are under 2 KiB */
#define CRL_BYTES_MAX (64 * 1024 * 1024) /* 40 bytes a revoked box, and a third more in PEM */
/* Boxes' certificates on the site at once: each box that waits for its own fetches a list of them
 * all, of 250 KB. A million boxes with certificates of two years need 90 an hour. */
#define ANSWERS_MAX 1000
#define CSR_PEM_MAX 1024	 /* a request in a report; for a key of P-256 400 bytes */
#define X509_BUNDLE_MAX 2	 /* CAs of a fleet: the one, and the next */
#define X509_SERIAL_BYTES_MAX 20 /* RFC 5280 section 4.1.2.2 */

/* Programs we run. */
#define HOOK_OUTPUT_MAX (64 * 1024)
#define HOOKS_MAX 64
#define HOOK_ARGS_MAX 16       /* what a hook is told; ours give 3 at most */
#define COMMAND_BYTES_MAX 4096 /* in workspace.yaml; what is longer belongs into a script */
#define COMMAND_WORDS_MAX 64
#define REBOOT_WORDS_MAX 16		   /* a program and its options */
#define PUSH_TIMEOUT_MS (3600 * 1000)	   /* a 2 GiB bundle over 5 Mbit/s */
#define PUSH_RUN_BYTES (UINT64_C(2) << 30) /* large content in one run, or one that is larger */
/* Metadata, plans and gates: 10 MiB over 1 Mbit/s. A stop waits for the one before it. */
#define PUSH_SMALL_TIMEOUT_MS (120 * 1000)
#define PUBLISHER_BUSY_MS (5 * 1000) /* somebody's own publication; one that lasts is told of */
#define PUBLISHER_WAIT_MS (3 * PUSH_SMALL_TIMEOUT_MS) /* both pushes before, and room */
#define INCOMING_WAIT_MS (30 * 1000) /* for whoever renames a file; more is a broken disk */
#define BULK_WAIT_MS (2 * PUSH_TIMEOUT_MS)
#define BULK_BYTES_MIN (PLAN_BYTES_MAX + 1)    /* a target that is larger holds up no stop */
#define WAITING_BYTES_MAX (256 * 1024 * 1024)  /* all in incoming/ and drafts/; more is kept */
#define PUSH_LIST_BYTES_MAX (64 * 1024 * 1024) /* 100 000 targets of 200 bytes, thrice */
#define RELOAD_TIMEOUT_MS (20 * 1000)	       /* the watch does nothing else meanwhile */
#define CRL_WAIT_MS (2 * RELOAD_TIMEOUT_MS)    /* whoever writes one reloads, too */
#define CRL_BUSY_MS (3 * RELOAD_TIMEOUT_MS)    /* likewise; more is a process that hangs */
#define HOOK_TIMEOUT_S 600   /* a hook may migrate a data base, but not hang the box */
#define REBOOT_TIMEOUT_S 120 /* the command asks init for a reboot and returns */

/* Webhooks. */
#define WEBHOOKS_MAX 8 /* a chat, a pager, an archive, and room */
#define WEBHOOK_URL_MAX 1024
#define WEBHOOK_SECRET_MIN 32 /* bytes: as long as what HMAC-SHA256 gives */
#define WEBHOOK_SECRET_MAX 1024
#define WEBHOOK_BODY_MAX (16 * 1024) /* twenty names of boxes and a reason need 3 KiB */
#define WEBHOOK_TIMEOUT_S 10	     /* a receiver that does more than take it in does so later */
#define WEBHOOK_ROUND_MAX 16	     /* sent at once, and of these to one receiver: */
#define WEBHOOK_ROUND_EACH 4
#define WEBHOOK_RUN_MAX_S 60	      /* rounds begin until then, so that what hangs is replaced */
#define WEBHOOK_WAIT_MAX_S 3600	      /* between two tries, whatever Retry-After says */
#define WEBHOOK_AGE_MAX_S (3 * 86400) /* a weekend, and a day: then it is a dead letter */
#define WEBHOOK_EVENTS_MAX 10000      /* kept, whatever became of them: months, at 12 KiB most */
#define WEBHOOK_LASTING_MAX 1000      /* older ones that may be found again: stops that stand */
#define WEBHOOK_DEAD_MAX 1000	      /* dead letters kept; nobody reads more */

/* Text that people write. */
#define CONF_BYTES_MAX (64 * 1024)
#define RECIPE_BYTES_MAX (256 * 1024)
#define CSV_RECORD_BYTES_MAX (64 * 1024) /* a box with 64 tags of 64 bytes has 8 KiB */
#define CSV_FIELDS_MAX 256		 /* an inventory of ours has up to 68 */
/* YAML: what we read nests 4 deep. A plan may list 10 000 boxes; a mapping's keys are words of ours
 * or of a fleet's tags, and being compared pairwise there must not be many of them. */
#define YAML_DEPTH_MAX 16
#define YAML_NODES_MAX 200000
#define YAML_KEYS_MAX 1000
/* libfyaml 0.7.12 takes a time that grows with the square of the blank lines in a row inside a
 * block scalar: a minute for 256 KiB of them. */
#define YAML_BLANK_LINES_MAX 1000
/* The longest that what is signed may live: it has to be judged again some day. */
#define EXPIRY_MAX_S ((uint64_t)20 * 366 * 86400)
#define ASKED_SPAN_MAX_S ((uint64_t)100 * 366 * 86400) /* times that people ask about */
#define KEY_FILE_MAX 4096
/* The cost of a passphrase: what minisign itself writes; a file that asks for more asks for our
 * memory. */
#define KDF_OPS_MAX 33554432ULL
#define KDF_BYTES_MAX (1ULL << 30)
#define PASSPHRASE_MAX 1024
#define RSA_BITS_MIN 2048	 /* the shortest that NIST still allows */
#define RSA_BITS_MAX 8192	 /* each verification takes time with its square */
#define SIGNATURE_BYTES_MAX 1024 /* RSA of 8192 bits, the largest key we verify with */
#define ANSWER_BYTES_MAX (4 * SIGNATURE_BYTES_MAX) /* of --sign-with: hexadecimal, line breaks */

/* Folders of a workspace. */
#define FOLDER_ENTRIES_MAX 10000000 /* a file for each of a million boxes, ten times */
#define FOLDER_DEPTH_MAX 16	    /* targets/ is as deep as target paths; ours are 3 */

/* A request for signatures: a targets.json before and after, the one above it, and the roots. */
#define REQUEST_BYTES_MAX (4 * TUF_TARGETS_BYTES_MAX)

#endif
