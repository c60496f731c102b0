/* The reference server's configuration: the site over HTTPS, and reports under a box's own name. */
#ifndef SLUICE_SIGNER_NGINX_H
#define SLUICE_SIGNER_NGINX_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "signer/workspace.h"

/* Whether nginx's configuration can name this folder: ERR_USAGE for characters that it would need
 * quoting for. */
int nginx_dir_check(const char *dir, struct err *e);

/* What goes into an http block: maps, limits and the server (or the two of them, where reports go
 * to another host or port). Appended to out. */
int nginx_sluice_conf(const struct workspace *w, struct buf *out, struct err *e);

/* What belongs to one CRL and is replaced with it, nginx/sessions.conf: a server that has read it
 * again resumes no session of before. Appended to out. */
int nginx_sessions_conf(uint64_t crl_number, struct buf *out, struct err *e);

/* A whole configuration around it, for `nginx -p DIR -c nginx/nginx.conf`; all of its files are in
 * the workspace. user is whom its workers run as, or NULL where it is not started by root. */
int nginx_main_conf(const struct workspace *w, const char *user, struct buf *out, struct err *e);

#endif
