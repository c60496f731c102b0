/* A file in the making: it has no name until it is whole, so that neither a power cut nor a killed
 * command leaves half a file, or a temporary one, behind. */
#ifndef SLUICE_SIGNER_OUTPUT_H
#define SLUICE_SIGNER_OUTPUT_H

#include <limits.h>
#include <stdbool.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

struct output {
	int fd;
	char path[PATH_MAX];
	char temporary[PATH_MAX]; /* "" while it has no name */
};

#define OUTPUT_INIT ((struct output){.fd = -1})

/* Begins a file that is to be at path (mode 0666 less the umask), in path's folder. Where the file
 * system knows no files without names it has a temporary one beside path. */
int output_begin(const char *path, struct output *out, struct err *e);

/* Makes it last and puts it at path, in place of what is there. o->fd stays open. */
int output_commit(struct output *o, struct err *e);

/* Drops what was not committed. */
void output_end(struct output *o);
#define AUTO_OUTPUT CLEANUP(output_end)

/* A file without a name in dir, for reading and writing, gone when it is closed. */
int scratch_open(const char *dir, int *fd, struct err *e);

/* The folder that path is in: "." for a bare name. */
int folder_of(const char *path, char out[PATH_MAX], struct err *e);

#endif
