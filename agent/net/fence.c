#include "agent/net/fence.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/wire.h"
#include "common/base/cleanup.h"
#include "common/base/num.h"

/* As in the kernel's linux/landlock.h, of which the C library's headers may have an older one. */
struct ruleset {
	uint64_t files, ports, scopes;
};
enum { PORT_BIND = 1, SCOPE_ABSTRACT = 1, SCOPE_SIGNAL = 2 };
enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_PORTS = 4, ABI_IOCTL = 5, ABI_SCOPES = 6 };
enum { FILE_RIGHTS_FIRST = 13 }; /* of the first ABI; each later one has the next bit */

/* What getaddrinfo, the C library's loader and OpenSSL read. Folders stand here only where files in
 * them are replaced while the child runs, or are not known by name: never one with secrets. */
static const char *const readable[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf",
	"/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/ld.so.cache",
	"/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/etc/crypto-policies",
	"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager", "/run/connman",
	"/run/nscd", "/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64", "/usr/lib32",
	"/usr/local/lib", "/dev/null", "/dev/urandom", "/dev/random", "/sys/devices/system/cpu",
	"/proc/sys/crypto", "/proc/sys/kernel/random"};

static uint64_t
file_rights(long abi)
{
	unsigned bits = FILE_RIGHTS_FIRST;

	bits += abi >= ABI_REFER;
	bits += abi >= ABI_TRUNCATE;
	bits += abi >= ABI_IOCTL;
	return (1ULL << bits) - 1;
}

/* What is not there needs no rule. */
static void
allow_reading(int rules, const char *path)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE};
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat info;

	if (fd < 0 || fstat(fd, &info) < 0)
		return;
	if (S_ISDIR(info.st_mode))
		rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
	rule.parent_fd = fd;
	(void)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static uint32_t
layers_of(long abi)
{
	return (uint32_t)(WIRE_LAYER_FILES | (abi >= ABI_PORTS ? WIRE_LAYER_PORTS : 0) |
			  (abi >= ABI_SCOPES ? WIRE_LAYER_SIGNALS : 0));
}

uint32_t
fence_enter(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset set = {.files = file_rights(abi),
		.ports = abi >= ABI_PORTS ? PORT_BIND : 0,
		.scopes = abi >= ABI_SCOPES ? SCOPE_ABSTRACT | SCOPE_SIGNAL : 0};
	size_t size = abi >= ABI_SCOPES ? sizeof(set) : abi >= ABI_PORTS ? 16 : 8;
	AUTO_CLOSE int rules = -1;

	if (abi < 1)
		return 0;
	rules = (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
	if (rules < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(readable); i++)
		allow_reading(rules, readable[i]);
	if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return 0;
	return layers_of(abi);
}
