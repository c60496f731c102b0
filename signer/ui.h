/* Talking to the person at the terminal. */
#ifndef SLUICE_SIGNER_UI_H
#define SLUICE_SIGNER_UI_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/json.h"

/* Where a passphrase comes from: --passphrase-file PATH, whose one line is the passphrase of every
 * key that is opened; --passphrase-fd N, which has one line for each key in the order in which they
 * are opened; else the terminal. */
struct passphrase_source {
	const char *file; /* or NULL */
	int fd;		  /* or -1 */
};

/* A seckey_ask_fn; arg is a struct passphrase_source. Asks /dev/tty without echo; ERR_USAGE when
 * there is no terminal and no other source, or when the source has not the one line that it should.
 * The newline is cut off. */
int passphrase_ask(void *arg, const char *path, char *pass, struct err *e);

/* For a new key: asks twice on a terminal. An empty passphrase is ERR_USAGE. */
int passphrase_ask_new(void *arg, const char *path, char *pass, struct err *e);

/* Asks a yes-or-no question on the terminal. ERR_REFUSED for no; ERR_USAGE without a terminal,
 * saying to give --yes. */
int ui_confirm(const char *question, struct err *e);

/* Prints a document on standard output, for programs: --json. */
int ui_json_print(const json_t *j, struct err *e);

/* A bar on a terminal for what takes over a second; plain lines every 10 s where standard error is
 * no terminal. total and done are bytes; label is borrowed. */
struct progress {
	const char *label;
	uint64_t total, done;
	int64_t started_ms, shown_ms;
	bool shown;
};
void progress_start(struct progress *p, const char *label, uint64_t total);
void progress_set(struct progress *p, uint64_t done);
void progress_end(struct progress *p);

#endif
