/* The commands of `sluice`: one cmd_*.c each, listed in main.c. */
#ifndef SLUICE_SIGNER_COMMAND_H
#define SLUICE_SIGNER_COMMAND_H

#include "common/base/err.h"

enum exit_status { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum { COMMAND_SUMMARY_COLUMNS = 28 };

struct command {
	const char *name;    /* "pack"; or "key" with its own verbs behind it */
	const char *summary; /* for `sluice --help`: up to COMMAND_SUMMARY_COLUMNS characters */
	const char *help;    /* for `sluice NAME --help`: fits a screen, has an example */
	/* argv[0] is the command's name. Returns 0 or -1 with e; ERR_USAGE exits 2, all else 1. */
	int (*run)(int argc, char **argv, struct err *e);
	/* Instead of run: `sluice NAME VERB`, up to one without a name. */
	const struct verb *verbs;
};

struct verb {
	const char *name;
	const char *help; /* for `sluice NAME VERB --help`; NULL: the command's serves */
	int (*run)(int argc, char **argv, struct err *e); /* argv[0] is the verb */
};

/* `key revoke`, a file of its own. */
extern const char key_revoke_help[];
int key_revoke(int argc, char **argv, struct err *e);

/* `rollout withdraw`, likewise. */
extern const char rollout_withdraw_help[];
int rollout_withdraw(int argc, char **argv, struct err *e);

/* `box show`, too. */
int box_history(int argc, char **argv, struct err *e);

extern const struct command cmd_init;
extern const struct command cmd_key;
extern const struct command cmd_root;
extern const struct command cmd_role;
extern const struct command cmd_metadata;
extern const struct command cmd_release;
extern const struct command cmd_publish;
extern const struct command cmd_watch;
extern const struct command cmd_webhook;
extern const struct command cmd_box;
extern const struct command cmd_pack;
extern const struct command cmd_sign;
extern const struct command cmd_verify;
extern const struct command cmd_show;
extern const struct command cmd_diff;
extern const struct command cmd_delta;
extern const struct command cmd_rollout;
extern const struct command cmd_plan;
extern const struct command cmd_simulate;
extern const struct command cmd_gate;
extern const struct command cmd_stop;
extern const struct command cmd_resume;
extern const struct command cmd_status;
extern const struct command cmd_boxes;
extern const struct command cmd_backup;
extern const struct command cmd_site;
extern const struct command cmd_doctor;
extern const struct command cmd_tls;

#endif
