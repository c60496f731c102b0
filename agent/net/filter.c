#include "agent/net/filter.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/num.h"

/* Not of i386: all that the C library does with sockets is one call there, which looks at none of
 * its arguments here. */
#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH AUDIT_ARCH_PPC64LE
#endif

#ifdef ARCH

/* All that are little-endian: the low half of an argument comes first. */
#define AT_NUMBER offsetof(struct seccomp_data, nr)
#define AT_ARCH offsetof(struct seccomp_data, arch)
#define AT_ARG(i) (offsetof(struct seccomp_data, args) + (size_t)(i) * sizeof(uint64_t))

/* Calls that may be made with any argument; the frequent ones first, for kernels before 5.11. */
static const uint32_t allowed[] = {
	__NR_read,
	__NR_write,
	__NR_recvfrom,
	__NR_sendto,
	__NR_recvmsg,
	__NR_sendmsg,
	__NR_futex,
	__NR_ppoll,
	__NR_clock_gettime,
	__NR_madvise,
	__NR_munmap,
	__NR_mprotect,
	__NR_mremap,
	__NR_brk,
	__NR_close,
	__NR_readv,
	__NR_writev,
	__NR_pread64,
	__NR_lseek,
	__NR_fstat,
	__NR_statx,
	__NR_faccessat,
	__NR_readlinkat,
	__NR_getdents64,
	__NR_dup,
	__NR_dup3,
	__NR_pipe2,
	__NR_eventfd2,
	__NR_epoll_create1,
	__NR_epoll_ctl,
	__NR_epoll_pwait,
	__NR_pselect6,
	__NR_socketpair,
	__NR_connect,
	__NR_shutdown,
	__NR_getsockname,
	__NR_getpeername,
	__NR_getsockopt,
	__NR_setsockopt,
	__NR_sendmmsg,
	__NR_recvmmsg,
	__NR_clock_getres,
	__NR_clock_nanosleep,
	__NR_gettimeofday,
	__NR_nanosleep,
	__NR_getrandom,
	__NR_uname,
	__NR_sysinfo,
	__NR_getcpu,
	__NR_getpid,
	__NR_getppid,
	__NR_gettid,
	__NR_getuid,
	__NR_geteuid,
	__NR_getgid,
	__NR_getegid,
	__NR_sched_yield,
	__NR_sched_getaffinity,
	__NR_set_robust_list,
	__NR_rt_sigaction,
	__NR_rt_sigprocmask,
	__NR_rt_sigreturn,
	__NR_sigaltstack,
	__NR_restart_syscall,
	__NR_membarrier,
	__NR_rseq,
	__NR_exit,
	__NR_exit_group,
	439, /* faccessat2 */
	441, /* epoll_pwait2 */
	449, /* futex_waitv */
	453, /* map_shadow_stack */
	454, /* futex_wake */
	455, /* futex_wait */
	456, /* futex_requeue */
	462, /* mseal */
/* Of older architectures. */
#ifdef __NR_poll
	__NR_poll,
#endif
#ifdef __NR_select
	__NR_select,
#endif
#ifdef __NR__newselect
	__NR__newselect,
#endif
#ifdef __NR_epoll_create
	__NR_epoll_create,
#endif
#ifdef __NR_epoll_wait
	__NR_epoll_wait,
#endif
#ifdef __NR_eventfd
	__NR_eventfd,
#endif
#ifdef __NR_pipe
	__NR_pipe,
#endif
#ifdef __NR_dup2
	__NR_dup2,
#endif
#ifdef __NR_stat
	__NR_stat,
#endif
#ifdef __NR_lstat
	__NR_lstat,
#endif
#ifdef __NR_access
	__NR_access,
#endif
#ifdef __NR_readlink
	__NR_readlink,
#endif
#ifdef __NR_time
	__NR_time,
#endif
#ifdef __NR_getrlimit
	__NR_getrlimit,
#endif
#ifdef __NR_ugetrlimit
	__NR_ugetrlimit,
#endif
#ifdef __NR_mmap
	__NR_mmap,
#endif
#ifdef __NR_mmap2
	__NR_mmap2,
#endif
#ifdef __NR_newfstatat
	__NR_newfstatat,
#endif
#ifdef __NR_send
	__NR_send,
	__NR_recv,
#endif
#ifdef __NR_sigreturn
	__NR_sigreturn,
#endif
#ifdef __NR__llseek
	__NR__llseek,
#endif
#ifdef __NR_fstat64
	__NR_fstat64,
	__NR_stat64,
	__NR_lstat64,
	__NR_fstatat64,
	__NR_fcntl64,
	__NR_getuid32,
	__NR_geteuid32,
	__NR_getgid32,
	__NR_getegid32,
#endif
#ifdef __NR_clock_gettime64
	__NR_clock_gettime64,
	__NR_clock_getres_time64,
	__NR_clock_nanosleep_time64,
	__NR_futex_time64,
	__NR_ppoll_time64,
	__NR_pselect6_time64,
	__NR_recvmmsg_time64,
#endif
#ifdef __NR_riscv_flush_icache
	__NR_riscv_flush_icache,
#endif
#ifdef __ARM_NR_cacheflush
	__ARM_NR_cacheflush,
	__ARM_NR_set_tls,
#endif
};

/* Room for them, two instructions each, and for what looks at arguments. */
enum { INSTRUCTIONS = 2 * ARRAY_LEN(allowed) + 128 };

struct program {
	struct sock_filter code[INSTRUCTIONS];
	unsigned short len;
};

static void
add(struct program *p, struct sock_filter instruction)
{
	p->code[p->len++] = instruction;
}

#define LOAD(at) ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(at)))
#define MASK(bits) ((struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (uint32_t)(bits)))
#define RETURN(what) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, (uint32_t)(what)))
#define SKIP_UNLESS(value, count)                                                                  \
	((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, count))
#define FAIL(number) RETURN(SECCOMP_RET_ERRNO | (uint32_t)(number))
#define ALLOW RETURN(SECCOMP_RET_ALLOW)

static void
add_allowed(struct program *p, uint32_t call)
{
	add(p, SKIP_UNLESS(call, 1));
	add(p, ALLOW);
}

/* call: allowed where an argument, as far as mask goes, is one of values; else it fails so. */
static void
add_judged(struct program *p, uint32_t call, int argument, uint32_t mask, const uint32_t *values,
	size_t count, int failure)
{
	add(p, SKIP_UNLESS(call, (uint8_t)(2 * count + 3)));
	add(p, LOAD(AT_ARG(argument)));
	add(p, MASK(mask));
	for (size_t i = 0; i < count; i++) {
		add(p, SKIP_UNLESS(values[i], 1));
		add(p, ALLOW);
	}
	add(p, FAIL(failure));
}

#define JUDGED(p, call, argument, mask, failure, ...)                                              \
	add_judged(p, call, argument, mask, (const uint32_t[]){__VA_ARGS__},                       \
		sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), failure)

/* Flags of open() that change something. O_TMPFILE has a bit of O_DIRECTORY. */
enum { OPEN_CHANGES = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY) };

static void
add_files(struct program *p)
{
	JUDGED(p, __NR_openat, 2, OPEN_CHANGES, EACCES, O_RDONLY);
#ifdef __NR_open
	JUDGED(p, __NR_open, 1, OPEN_CHANGES, EACCES, O_RDONLY);
#endif
	JUDGED(p, __NR_fcntl, 1, ~0U, EPERM, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD,
		F_DUPFD_CLOEXEC);
	JUDGED(p, __NR_ioctl, 1, ~0U, ENOTTY, FIONBIO, FIONREAD);
}

static void
add_processes(struct program *p)
{
	JUDGED(p, __NR_clone, 0, CLONE_THREAD, EPERM, CLONE_THREAD);
	/* abort() does. */
	JUDGED(p, __NR_tgkill, 0, ~0U, EPERM, (uint32_t)getpid());
	JUDGED(p, __NR_prctl, 0, ~0U, EPERM, PR_SET_NAME, PR_GET_NAME, PR_SET_VMA);
	/* Asking is no change: the third argument is where a new limit would stand. */
	add(p, SKIP_UNLESS(__NR_prlimit64, 6));
	add(p, LOAD(AT_ARG(2)));
	add(p, SKIP_UNLESS(0, 3));
	add(p, LOAD(AT_ARG(2) + sizeof(uint32_t)));
	add(p, SKIP_UNLESS(0, 1));
	add(p, ALLOW);
	add(p, FAIL(EPERM));
}

bool
filter_enter(bool local)
{
	static struct program p;
	struct sock_fprog all = {.filter = p.code};

	add(&p, LOAD(AT_ARCH));
	add(&p, SKIP_UNLESS(ARCH, 1));
	add(&p, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
	add(&p, FAIL(ENOSYS));
	add(&p, LOAD(AT_NUMBER));
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		add_allowed(&p, allowed[i]);
	JUDGED(&p, __NR_socket, 0, ~0U, EAFNOSUPPORT, AF_INET, AF_INET6, local ? AF_UNIX : AF_INET);
	add_files(&p);
	add_processes(&p);
	add(&p, FAIL(ENOSYS));
	all.len = p.len;
	/* It runs no code from outside, so nothing has to be slowed down for its sake. */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		       &all) == 0 ||
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &all) == 0;
}

#else

bool
filter_enter(bool local)
{
	(void)local;
	return false;
}

#endif
