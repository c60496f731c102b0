/* Running other programs: hooks, health checks, signing commands. Never through a shell. */
#ifndef SLUICE_BASE_PROCESS_H
#define SLUICE_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/keep_going.h"

struct process {
	const char *const *argv; /* NULL-terminated; argv[0] is a path or found in PATH */
	const char *const *env;	 /* extra "NAME=value", NULL-terminated; may be NULL */
	struct span input;	 /* what it reads on standard input; empty means /dev/null */
	struct buf
		*output; /* where its standard output goes, up to output->max; NULL: our stderr */
	int output_fd;	 /* of process_begin(): its standard output; 0: our standard error */
	int64_t timeout_ms; /* then its whole process group is killed */
	/* Asked all the while, or NULL. When it says no, the group gets SIGTERM, and SIGKILL what
	 * is left of it after PROCESS_GRACE_MS; the answer's error is the result. */
	const struct keep_going *keep_going;
	/* It stays in our process group, so that it may ask a person at our terminal (the kernel
	 * stops whoever reads there from another group). After timeout_ms it alone is killed. */
	bool asks_at_terminal;
};
enum { PROCESS_GRACE_MS = 5000 };

/* Runs it to its end. 0 with the exit status (0 to 255) in *status. ERR_SYSTEM when it cannot be
 * started or dies of a signal, ERR_REFUSED when it is killed for its time, ERR_LIMIT when it prints
 * more than output->max. It inherits no descriptor but 0, 1, 2. */
int process_run(const struct process *p, int *status, struct err *e);

/* Runs it beside us: argv, env and output_fd alone count, and it gets SIGTERM when we die. The
 * caller sees to its end. Errors as above. */
int process_begin(const struct process *p, pid_t *pid, struct err *e);

/* Whether it has ended; *pid is 0 then, and *status its exit status (-1: of a signal). */
bool process_has_ended(pid_t *pid, int *status);

/* Kills it with its process group, if *pid is not 0, and waits for that. */
void process_end(pid_t *pid);

/* Between fork and exec: has an exec close first and all descriptors after it. Async-signal-safe.
 * For every kernel: one call does it since Linux 5.11, where no sandbox forbids that. */
int process_seal(int first);

/* A folder of programs. */
struct process_parts {
	const char *dir;		      /* or NULL: none */
	const char *const *args, *const *env; /* of each; NULL-terminated, or NULL */
	int64_t timeout_each_ms;
	const struct keep_going *keep_going; /* as above */
};

/* Runs the executables of a folder in the order of their names, and stops at the first that exits
 * other than 0: ERR_REFUSED naming it and the last line it printed. A folder that is not there
 * counts as empty. Names not plain (name_is_plain) and files without the execute bit are passed
 * over, as run-parts(8) does. */
int process_run_parts(const struct process_parts *p, struct err *e);

#endif
