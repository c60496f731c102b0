#include "signer/nginx.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/limits.h"

/* The templates' @WORDS@ are filled in by expand(). */

static const char http_part[] =
	"# The server side of this workspace, made by `sluice init`; yours to edit from here on.\n"
	"#\n"
	"# Try it:     nginx -p @DIR@ -c nginx/nginx.conf\n"
	"# In earnest: include @DIR@/nginx/sluice.conf in the http block of the web server, and "
	"let\n"
	"#             its workers' group (www-data) write spool/ and nginx/tmp/body.\n"
	"\n"
	"# A box is who its certificate says. Only this fleet's CA is believed (below), and it\n"
	"# issues nothing but CN=NAME.\n"
	"map $ssl_client_s_dn $sluice_box {\n"
	"    default \"\";\n"
	"    \"~^CN=(?<sluice_cn>[A-Za-z0-9_][A-Za-z0-9._-]*)\\z\" $sluice_cn;\n"
	"}\n"
	"\n"
	"# A session that is resumed is not judged again, and TLS 1.3 gives a new one each time. "
	"So on\n"
	"# its last day a certificate has to be shown on every connection.\n"
	"map \"$ssl_session_reused$ssl_client_v_remain\" $sluice_unjudged {\n"
	"    default 0;\n"
	"    r0 1;\n"
	"}\n"
	"\n"
	"# Everything keeps its content for ever under its name but this one file.\n"
	"map $uri $sluice_cache {\n"
	"    default \"public, max-age=31536000, immutable\";\n"
	"    \"~/timestamp\\.json$\" \"no-cache\";\n"
	"}\n"
	"\n"
	"# A box that goes mad fills neither the disk nor the processor. Boxes behind one address\n"
	"# count apart where they show a certificate.\n"
	"limit_req_zone $ssl_client_s_dn zone=sluice_reports:10m rate=5r/s;\n"
	"limit_req_zone $binary_remote_addr$sluice_box zone=sluice_site:10m rate=50r/s;\n"
	"limit_conn_zone $binary_remote_addr zone=sluice_conn:10m;\n";

static const char server_part[] =
	"\n"
	"server {\n"
	"    listen @LISTEN@ ssl;\n"
	"@LISTEN6@"
	"    server_name @NAME@;\n"
	"    server_tokens off;\n"
	"\n"
	"    ssl_certificate @DIR@/tls/server.crt;\n"
	"    ssl_certificate_key @DIR@/tls/server.key;\n"
	"    ssl_protocols TLSv1.2 TLSv1.3;\n"
	"    ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;\n"
	"\n"
	"    # The site works with and without a certificate; set this to `on` to serve boxes "
	"only.\n"
	"    # A certificate that is shown has to be good: else a box is refused, and asks again "
	"without.\n"
	"    ssl_verify_client optional;\n"
	"    ssl_verify_depth 1;\n"
	"    ssl_client_certificate @DIR@/tls/ca.crt;\n"
	"    ssl_crl @DIR@/tls/crl.pem;\n"
	"\n"
	"    # Sessions are kept in memory that has the CRL's number in its name (sessions.conf "
	"is\n"
	"    # written with the CRL): none outlives a reload with a new CRL. A connection that "
	"stays\n"
	"    # open is not judged again, so it does not for long. Polls are 15 minutes apart, or "
	"less.\n"
	"    include @DIR@/nginx/sessions.conf;\n"
	"    ssl_session_timeout 20m;\n"
	"    ssl_session_tickets off;\n"
	"    ssl_conf_command NumTickets 1;\n"
	"    keepalive_time 5m;\n"
	"    if ($sluice_unjudged) {\n"
	"        return 495;\n"
	"    }\n"
	"\n"
	"    client_header_timeout 20s;\n"
	"    client_body_timeout 20s;\n"
	"    client_max_body_size 1k;\n"
	"    limit_req_status 429;\n"
	"    limit_conn_status 429;\n"
	"    limit_conn sluice_conn 512;\n"
	"    autoindex off;\n"
	"    absolute_redirect off;\n"
	"    disable_symlinks on from=@DIR@;\n"
	"\n"
	"    location / {\n"
	"        return 404;\n"
	"    }\n"
	"\n"
	"    # Every poll asks for a root that is not there yet: no page about it, which costs "
	"bytes.\n"
	"    location @none {\n"
	"        default_type text/plain;\n"
	"        return 404 \"\\n\";\n"
	"    }\n";

/* Used for metadata and for targets. ETag, If-None-Match and ranges are nginx's own. */
static const char site_part[] = "\n"
				"    location ^~ @PATH@@FOLDER@/ {\n"
				"        if ($request_method !~ \"^(GET|HEAD)$\") {\n"
				"            return 405;\n"
				"        }\n"
				"        if ($uri ~ \"(/\\.|/$)\") {\n"
				"            return 404;\n"
				"        }\n"
				"@LIMIT@"
				"        alias @DIR@/site/@FOLDER@/;\n"
				"        types {\n"
				"            application/json json;\n"
				"        }\n"
				"        default_type application/octet-stream;\n"
				"        error_page 404 @none;\n"
				"        add_header Cache-Control $sluice_cache;\n"
				"    }\n";

static const char reports_part[] =
	"\n"
	"    # Reports: put there by the box that they are of, into one flat folder; read by "
	"nobody\n"
	"    # through this server.\n"
	"    location ~ \"^@REGEX@reports/(?<sluice_who>[A-Za-z0-9_][A-Za-z0-9._-]{0,63})/"
	"(?<sluice_seq>[1-9][0-9]{0,15})\\.json\\z\" {\n"
	"        if ($request_method != PUT) {\n"
	"            return 405;\n"
	"        }\n"
	"        if ($ssl_client_verify != SUCCESS) {\n"
	"            return 403;\n"
	"        }\n"
	"        if ($sluice_who != $sluice_box) {\n"
	"            return 403;\n"
	"        }\n"
	"        limit_req zone=sluice_reports burst=50 nodelay;\n"
	"        client_max_body_size @BODY@;\n"
	"        client_body_temp_path @DIR@/nginx/tmp/body;\n"
	"        dav_methods PUT;\n"
	"        dav_access user:rw group:rw;\n"
	"        create_full_put_path off;\n"
	"        alias @DIR@/spool/$sluice_who@$sluice_seq.json;\n"
	"    }\n";

static const char main_part[] =
	"# A whole web server for this workspace: nginx -p @DIR@ -c nginx/nginx.conf\n"
	"# To end it: nginx -p @DIR@ -c nginx/nginx.conf -s quit\n"
	"@USER@"
	"worker_processes auto;\n"
	"pid @DIR@/nginx/nginx.pid;\n"
	"error_log @DIR@/nginx/error.log;\n"
	"\n"
	"events {\n"
	"    worker_connections 4096;\n"
	"}\n"
	"\n"
	"http {\n"
	"    access_log @DIR@/nginx/access.log;\n"
	"    client_body_temp_path @DIR@/nginx/tmp/body;\n"
	"    proxy_temp_path @DIR@/nginx/tmp/proxy;\n"
	"    fastcgi_temp_path @DIR@/nginx/tmp/fastcgi;\n"
	"    uwsgi_temp_path @DIR@/nginx/tmp/uwsgi;\n"
	"    scgi_temp_path @DIR@/nginx/tmp/scgi;\n"
	"    sendfile on;\n"
	"    tcp_nopush on;\n"
	"    include @DIR@/nginx/sluice.conf;\n"
	"}\n";

struct word {
	const char *name, *value;
};

/* Appends a template with each @NAME@ of the list (ended by a NULL name) replaced. A '@' that
 * begins no such word stands for itself. */
static int
expand(const char *template, const struct word *words, struct buf *out, struct err *e)
{
	while (*template) {
		size_t plain = strcspn(template, "@");
		const struct word *w = words;

		if (buf_append(out, template, plain, e) < 0)
			return -1;
		template += plain;
		if (!*template)
			return 0;
		for (; w->name; w++) {
			size_t len = strlen(w->name);

			if (strncmp(template + 1, w->name, len) == 0 && template[len + 1] == '@')
				break;
		}
		if (buf_append(out, w->name ? w->value : "@", w->name ? strlen(w->value) : 1, e) <
			0)
			return -1;
		template += w->name ? strlen(w->name) + 2 : 1;
	}
	return 0;
}

int
nginx_dir_check(const char *dir, struct err *e)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-/,=";

	if (dir[strspn(dir, plain)] == 0)
		return 0;
	return err_set(e, ERR_USAGE,
		"%s: nginx.conf cannot name a folder with '%c' in it; take one of letters, digits "
		"and . _ + - , =",
		dir, dir[strspn(dir, plain)]);
}

static int
server_begin(const struct workspace *w, const struct site_url *url, struct buf *out, struct err *e)
{
	bool six = strchr(url->host, ':') != NULL;
	char listen[32], listen6[96], name[300];
	const struct word words[] = {{"DIR", w->dir}, {"LISTEN", listen}, {"LISTEN6", listen6},
		{"NAME", name}, {NULL, NULL}};

	(void)snprintf(listen, sizeof(listen), six ? "[::]:%u" : "%u", url->port);
	(void)snprintf(listen6, sizeof(listen6),
		"    #listen [::]:%u ssl;    # where the host has IPv6\n", url->port);
	if (six)
		listen6[0] = 0;
	(void)snprintf(name, sizeof(name), six ? "[%s]" : "%s", url->host);
	return expand(server_part, words, out, e);
}

static int
site_locations(
	const struct workspace *w, const struct site_url *url, struct buf *out, struct err *e)
{
	struct word words[] = {{"DIR", w->dir}, {"PATH", url->path}, {"FOLDER", "metadata"},
		{"LIMIT", "        limit_req zone=sluice_site burst=500 nodelay;\n"}, {NULL, NULL}};

	if (expand(site_part, words, out, e) < 0)
		return -1;
	/* A bundle comes in many ranges, as fast as the line takes them. */
	words[2].value = "targets";
	words[3].value = "";
	return expand(site_part, words, out, e);
}

static int
reports_location(
	const struct workspace *w, const struct site_url *url, struct buf *out, struct err *e)
{
	char regex[2 * PATH_MAX], *p = regex, body[24];
	const struct word words[] = {
		{"DIR", w->dir}, {"REGEX", regex}, {"BODY", body}, {NULL, NULL}};

	(void)snprintf(body, sizeof(body), "%d", REPORT_BYTES_MAX);
	for (const char *c = url->path; *c; c++) {
		if (*c == '.')
			*p++ = '\\';
		*p++ = *c;
	}
	*p = 0;
	return expand(reports_part, words, out, e);
}

int
nginx_sluice_conf(const struct workspace *w, struct buf *out, struct err *e)
{
	const struct word words[] = {{"DIR", w->dir}, {NULL, NULL}};
	struct site_url site, report;
	bool same;

	if (nginx_dir_check(w->dir, e) < 0 || site_url_parse(w->site_url, &site, e) < 0 ||
		site_url_parse(w->report_url, &report, e) < 0)
		return -1;
	same = strcmp(site.host, report.host) == 0 && site.port == report.port;
	if (expand(http_part, words, out, e) < 0 || server_begin(w, &site, out, e) < 0 ||
		site_locations(w, &site, out, e) < 0)
		return -1;
	if (!same && (buf_append(out, "}\n", 2, e) < 0 || server_begin(w, &report, out, e) < 0))
		return -1;
	if (reports_location(w, &report, out, e) < 0)
		return -1;
	return buf_append(out, "}\n", 2, e);
}

int
nginx_sessions_conf(uint64_t crl_number, struct buf *out, struct err *e)
{
	return buf_printf(out, e,
		"# Written with tls/crl.pem: a new CRL, new sessions (sluice.conf).\n"
		"ssl_session_cache shared:sluice_%" PRIu64 ":64m;\n",
		crl_number);
}

int
nginx_main_conf(const struct workspace *w, const char *user, struct buf *out, struct err *e)
{
	char line[128];
	const struct word words[] = {{"DIR", w->dir}, {"USER", line}, {NULL, NULL}};

	if (nginx_dir_check(w->dir, e) < 0)
		return -1;
	(void)snprintf(line, sizeof(line), "user %s;\n", user ? user : "");
	if (!user)
		line[0] = 0;
	return expand(main_part, words, out, e);
}
