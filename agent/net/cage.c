#include "agent/net/cage.h"

#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/net/fence.h"
#include "agent/net/filter.h"
#include "common/limits.h"

/* PR_SET_MDWE of Linux 6.3: memory that can be written to never becomes code. */
enum { SET_MDWE = 65, REFUSE_EXEC_GAIN = 1 };

/* Newer kernels have more; asking for one that a kernel does not have harms nobody. */
enum { CAPABILITIES = 64 };

/* Those that it may never get back. Only who has CAP_SETPCAP can. */
static void
bounds_drop(void)
{
	for (unsigned long i = 0; i < CAPABILITIES; i++)
		(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

static void
person_become(const struct papers *p)
{
	if (geteuid() != 0 || p->uid == 0)
		return;
	if (setgroups(0, NULL) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 ||
		setresuid(p->uid, p->uid, p->uid) < 0)
		return; /* person_is_root() looks what came of it */
}

static bool
person_is_root(void)
{
	uid_t real, effective, saved;

	return getresuid(&real, &effective, &saved) < 0 || real == 0 || effective == 0 ||
	       saved == 0;
}

/* True where nothing is left of them. */
static bool
capabilities_drop(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)syscall(SYS_capset, &head, caps);
	/* Whoever had none may not have been let say so. */
	return syscall(SYS_capget, &head, caps) == 0 &&
	       (caps[0].permitted | caps[1].permitted | caps[0].inheritable |
		       caps[1].inheritable) == 0 &&
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static void
limit(int what, rlim_t most)
{
	struct rlimit r = {.rlim_cur = most, .rlim_max = most};

	(void)setrlimit((__rlimit_resource_t)what, &r);
}

/* What it could use up. Its threads count as processes of its user, who may have several children
 * on a machine that plays a fleet. */
static void
limits_set(void)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NOFILE, NET_FILES_MAX);
	limit(RLIMIT_DATA, NET_DATA_MAX);
	if (!person_is_root())
		limit(RLIMIT_NPROC, NET_THREADS_MAX);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

uint32_t
cage_enter(const struct papers *papers)
{
	uint32_t layers = 0;

#ifdef __SANITIZE_ADDRESS__
	/* What a sanitizer finds goes into files, and it looks into /proc. */
	(void)limits_set, (void)bounds_drop, (void)person_become, (void)capabilities_drop;
	return layers;
#endif
	bounds_drop();
	person_become(papers);
	if (capabilities_drop())
		layers |= WIRE_LAYER_POWERS;
	if (!person_is_root())
		layers |= WIRE_LAYER_USER;
	limits_set();
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)prctl(SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0);
	/* A change of user clears this. Its parent's end closes the socket, too, but who was taken
	 * over need not care. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	layers |= fence_enter();
	/* Who is still root could have the service manager do for it what it may not do itself. */
	if (filter_enter(!person_is_root()))
		layers |= WIRE_LAYER_CALLS;
	return layers;
}
