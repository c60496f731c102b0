/* A network child that has been taken over, to be put beside sluice-agent as its sluice-net: what
 * runs holds what the child holds, the socket to the agent (descriptor 3) and the network.
 *
 * It runs the line of sh in the file "deed" beside it, with SITE_URL and REPORT_URL in its
 * environment, and CA, CERT and KEY, which are the paths of files that only it can see. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/net/papers.h"
#include "common/base/file.h"

static void
tell(const char *name, const char *value)
{
	if (setenv(name, value, 1) < 0)
		_exit(1);
}

static void
show(const char *name, const struct buf *pem)
{
	char path[64];
	struct err e;
	int fd = memfd_create(name, 0);

	if (fd < 0 || file_pwrite_full(fd, name, pem->data, pem->len, 0, &e) < 0)
		_exit(1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	tell(name, path);
}

static void
deed_read(struct buf *out)
{
	char self[PATH_MAX], folder[PATH_MAX], path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct err e;

	if (len < 0)
		_exit(1);
	self[len] = 0;
	if (path_parent(self, folder, sizeof(folder), &e) < 0 ||
		path_join(path, sizeof(path), folder, "deed", &e) < 0 ||
		file_read(path, out, &e) < 0)
		_exit(1);
}

int
main(void)
{
	struct papers p;
	AUTO_BUF struct buf deed = BUF_INIT(REPORT_BYTES_MAX);
	struct err e;

	if (papers_receive(WIRE_CHILD_SOCKET, &p, &e) < 0)
		return 1;
	deed_read(&deed);
	tell("SITE_URL", buf_str(&p.url[WIRE_URL_SITE]));
	tell("REPORT_URL", buf_str(&p.url[WIRE_URL_REPORTS]));
	show("CA", &p.paper[WIRE_PAPER_CA]);
	show("CERT", &p.paper[WIRE_PAPER_CERT]);
	show("KEY", &p.paper[WIRE_PAPER_KEY]);
	(void)execl("/bin/sh", "sh", "-c", buf_str(&deed), (char *)NULL);
	return 1;
}
