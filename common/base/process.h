/* Running other programs: hooks, health checks, signing commands. Never through a shell. */
#ifndef SLUICE_BASE_PROCESS_H
#define SLUICE_BASE_PROCESS_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

struct process {
	const char *const *argv; /* NULL-terminated; argv[0] is a path or found in PATH */
	const char *const *env;	 /* extra "NAME=value", NULL-terminated; may be NULL */
	struct span input;	 /* what it reads on standard input; empty means /dev/null */
	struct buf
		*output; /* where its standard output goes, up to output->max; NULL: our stderr */
	int64_t timeout_ms; /* then its whole process group is killed */
};

/* Runs it to its end. 0 with the exit status (0 to 255) in *status. ERR_SYSTEM when it cannot be
 * started or dies of a signal, ERR_REFUSED when it is killed for its time, ERR_LIMIT when it prints
 * more than output->max. It inherits no descriptor but 0, 1, 2. */
int process_run(const struct process *p, int *status, struct err *e);

/* Runs the executables of dir in the order of their names, each with these extra arguments, and
 * stops at the first that exits other than 0: ERR_REFUSED naming it and the last line it printed. A
 * folder that is not there (or dir NULL) counts as empty. Names not plain (name_is_plain) and files
 * without the execute bit are passed over, as run-parts(8) does. */
int process_run_parts(const char *dir, const char *const *args, const char *const *env,
	int64_t timeout_each_ms, struct err *e);

#endif
