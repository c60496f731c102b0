/* A network child that was taken over after it was confined: the child's own objects, and then code
 * of an attacker's. To be put beside sluice-agent as its sluice-net, with these files:
 *
 *     cage     what it is confined by: "all", as a child is; "fence", "filter" or "none"
 *     victims  a slot, a state file, a secret key, each a path on a line
 *     result   a named pipe: "layers N" comes out, then a line "DEED: ERRNO" for each attempt, 0
 *              where it worked, then "end"
 *
 * It stays, and ignores everything, until it is killed. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/net/cage.h"
#include "agent/net/fence.h"
#include "agent/net/filter.h"
#include "common/base/file.h"

enum { VICTIMS = 3 };
static char *victims[VICTIMS];
static char folder[PATH_MAX];

static int
opened(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd >= 0)
		(void)close(fd);
	return fd;
}

static int
opens_a_slot(void)
{
	return opened(victims[0], O_RDWR);
}

static int
reads_a_slot(void)
{
	return opened(victims[0], O_RDONLY);
}

static int
writes_state(void)
{
	return opened(victims[1], O_WRONLY);
}

static int
makes_a_file(void)
{
	char path[PATH_MAX];

	if (path_join(path, sizeof(path), folder, "made", NULL) < 0)
		return -1;
	return opened(path, O_WRONLY | O_CREAT | O_TRUNC);
}

static int
makes_a_file_in_tmp(void)
{
	return opened("/tmp", O_WRONLY | O_TMPFILE);
}

static int
removes_state(void)
{
	char path[PATH_MAX];

	if (path_join(path, sizeof(path), folder, "spare", NULL) < 0)
		return -1;
	return rename(path, path) < 0 ? -1 : unlink(path);
}

static int
reads_the_report_key(void)
{
	return opened(victims[2], O_RDONLY);
}

static int
reads_shadow(void)
{
	return opened("/etc/shadow", O_RDONLY);
}

static int
signals_its_parent(void)
{
	return kill(getppid(), 0);
}

static int
traces_its_parent(void)
{
	pid_t parent = getppid();

	if (ptrace(PTRACE_SEIZE, parent, NULL, NULL) < 0)
		return -1;
	(void)ptrace(PTRACE_INTERRUPT, parent, NULL, NULL);
	(void)waitpid(parent, NULL, __WALL);
	return (int)ptrace(PTRACE_DETACH, parent, NULL, NULL);
}

static int
reads_its_parents_memory(void)
{
	char path[64], byte;
	struct iovec here = {&byte, 1}, there = {(void *)(uintptr_t)opens_a_slot, 1};

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	if (opened(path, O_RDONLY) < 0)
		return -1;
	/* What is nowhere there is no refusal. */
	return process_vm_readv(getppid(), &here, 1, &there, 1, 0) < 0 && errno != EFAULT ? -1 : 0;
}

static int
runs_a_program(void)
{
	pid_t child = vfork();
	int status = 0;

	if (child < 0)
		return -1;
	if (child == 0) {
		(void)execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	if (waitpid(child, &status, 0) < 0 || status != 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

static int
becomes_a_program(void)
{
	char path[PATH_MAX], *argv[] = {path, NULL};

	/* A file that is none: ENOEXEC says that it was let try. */
	if (path_join(path, sizeof(path), folder, "victims", NULL) < 0)
		return -1;
	return execve(path, argv, argv + 1) < 0 && errno == ENOEXEC ? 0 : -1;
}

static int
starts_a_process(void)
{
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (child == 0)
		_exit(0);
	/* It is started, whether or not it may be waited for. */
	if (child > 0)
		(void)waitpid(child, NULL, 0);
	return child < 0 ? -1 : 0;
}

static int
bound(int type)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, type, 0);
	int rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&any, sizeof(any)), why = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = why;
	return rc;
}

static int
binds_a_port(void)
{
	return bound(SOCK_STREAM);
}

static int
binds_a_datagram_port(void)
{
	return bound(SOCK_DGRAM);
}

static int
listens(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int rc = fd < 0 ? -1 : listen(fd, 1), why = errno;

	if (fd >= 0)
		(void)close(fd);
	errno = why;
	return rc;
}

static int
has_socket(int family, int type)
{
	int fd = socket(family, type, 0);

	if (fd >= 0)
		(void)close(fd);
	return fd;
}

static int
sees_packets(void)
{
	return has_socket(AF_PACKET, SOCK_RAW);
}

static int
speaks_netlink(void)
{
	return has_socket(AF_NETLINK, SOCK_RAW);
}

static int
becomes_root_of_a_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static int
becomes_root(void)
{
	return setresuid(0, 0, 0);
}

static int
makes_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc = p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);

	return rc;
}

static int
has_a_ring(void)
{
	return (int)syscall(SYS_io_uring_setup, 0, NULL) < 0 && errno == EINVAL ? 0 : -1;
}

static const struct deed {
	const char *name;
	int (*try)(void);
} deeds[] = {
	{"opens a slot", opens_a_slot},
	{"reads a slot", reads_a_slot},
	{"writes state", writes_state},
	{"removes state", removes_state},
	{"makes a file", makes_a_file},
	{"makes a file in /tmp", makes_a_file_in_tmp},
	{"reads the report key", reads_the_report_key},
	{"reads /etc/shadow", reads_shadow},
	{"signals its parent", signals_its_parent},
	{"traces its parent", traces_its_parent},
	{"reads its parent's memory", reads_its_parents_memory},
	{"runs a program", runs_a_program},
	{"becomes a program", becomes_a_program},
	{"starts a process", starts_a_process},
	{"binds a port", binds_a_port},
	{"binds a datagram port", binds_a_datagram_port},
	{"listens", listens},
	{"sees packets", sees_packets},
	{"speaks netlink", speaks_netlink},
	{"has an io_uring", has_a_ring},
	{"becomes root", becomes_root},
	{"makes code", makes_code},
	{"becomes root of a namespace", becomes_root_of_a_namespace},
};

static FILE *
beside(const char *name, const char *mode)
{
	char path[PATH_MAX];
	FILE *f = path_join(path, sizeof(path), folder, name, NULL) < 0 ? NULL : fopen(path, mode);

	if (!f)
		_exit(1);
	return f;
}

static void
line_read(FILE *f, char **out)
{
	size_t size = 0;
	ssize_t len = getline(out, &size, f);

	if (len < 1)
		_exit(1);
	(*out)[strcspn(*out, "\n")] = 0;
}

static void
folder_find(void)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		_exit(1);
	self[len] = 0;
	if (path_parent(self, folder, sizeof(folder), NULL) < 0)
		_exit(1);
}

static uint32_t
confine(const struct papers *p, const char *by)
{
	if (strcmp(by, "all") == 0)
		return cage_enter(p);
	if (strcmp(by, "fence") == 0)
		return fence_enter();
	return strcmp(by, "filter") == 0 && filter_enter(true) ? WIRE_LAYER_CALLS : 0;
}

int
main(void)
{
	struct papers p;
	struct err e;
	char *by = NULL;
	FILE *result, *f;
	static uint8_t rest[WIRE_MESSAGE_BYTES];

	if (papers_receive(WIRE_CHILD_SOCKET, &p, &e) < 0)
		return 1;
	folder_find();
	f = beside("cage", "r");
	line_read(f, &by);
	(void)fclose(f);
	f = beside("victims", "r");
	for (size_t i = 0; i < VICTIMS; i++)
		line_read(f, &victims[i]);
	(void)fclose(f);
	result = beside("result", "w");
	(void)fprintf(result, "layers %u\n", confine(&p, by));
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		int rc;

		errno = 0;
		rc = deeds[i].try();
		(void)fprintf(result, "%s: %d\n", deeds[i].name, rc < 0 ? errno : 0);
		(void)fflush(result);
	}
	(void)fputs("end\n", result);
	(void)fclose(result);
	/* The cage refuses to let it just wait; and without its agent it ends, whatever it did to
	 * the signal for that. */
	while (recv(WIRE_CHILD_SOCKET, rest, sizeof(rest), 0) > 0)
		;
	return 0;
}
