#include "agent/warden.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/wire.h"
#include "common/base/log.h"
#include "common/base/num.h"

/* A name that nearly every system has, though others run under it, too: better than root. */
static const char nobody[] = "nobody";
enum { LANDLOCK_VERSION = 1 }; /* LANDLOCK_CREATE_RULESET_VERSION */

static const char *
wanted(const struct conf *c)
{
	return c->run_as ? c->run_as : "sluice-net";
}

/* By the file alone: a directory service must not keep a box from its updates. */
static bool
passwd_find(const char *name, uid_t *uid, gid_t *gid)
{
	AUTO_FCLOSE FILE *f = fopen("/etc/passwd", "re");
	struct passwd *entry;

	while (f && (entry = fgetpwent(f))) {
		if (strcmp(entry->pw_name, name) == 0 && entry->pw_uid != 0) {
			*uid = entry->pw_uid;
			*gid = entry->pw_gid;
			return true;
		}
	}
	return false;
}

/* Whether this process may have a child of another user, and end it whatever it does. */
static bool
may_change_users(void)
{
	static const unsigned needed[] = {CAP_SETUID, CAP_SETGID, CAP_KILL};
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {0};
	bool may = geteuid() == 0 && syscall(SYS_capget, &head, caps) == 0;

	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		may &= caps[0].effective >> needed[i] & 1;
	return may;
}

/* The name that a child gets, or NULL. */
static const char *
user_choose(const struct conf *c, uid_t *uid, gid_t *gid)
{
	*uid = *gid = 0;
	if (!may_change_users())
		return NULL;
	if (passwd_find(wanted(c), uid, gid))
		return wanted(c);
	return passwd_find(nobody, uid, gid) ? nobody : NULL;
}

void
warden_user(const struct conf *c, uid_t *uid, gid_t *gid)
{
	(void)user_choose(c, uid, gid);
}

/* Appends who it is, and what is wrong with that. True where something is. */
static bool
user_describe(const struct conf *c, struct buf *out)
{
	uid_t uid;
	gid_t gid;
	const char *name = user_choose(c, &uid, &gid);

	if (geteuid() != 0)
		(void)buf_printf(out, NULL, "as the agent's own user");
	else if (!may_change_users())
		(void)buf_printf(out, NULL, "as root, for the agent may not change users");
	else if (!name)
		(void)buf_printf(out, NULL, "as root, for there is no user %s", wanted(c));
	else if (name == nobody)
		(void)buf_printf(out, NULL, "as nobody, for there is no user %s", wanted(c));
	else
		(void)buf_printf(out, NULL, "as user %s", name);
	return geteuid() == 0 && (!name || name == nobody);
}

static const struct {
	enum wire_layer layer;
	const char *name;
} layer_names[] = {
	{WIRE_LAYER_POWERS, "no capabilities"},
	{WIRE_LAYER_FILES, "Landlock for files"},
	{WIRE_LAYER_PORTS, "for ports"},
	{WIRE_LAYER_SIGNALS, "for signals"},
	{WIRE_LAYER_CALLS, "a filter of system calls"},
};

void
warden_tell(const struct conf *c, bool is_service, uint32_t layers)
{
	AUTO_BUF struct buf said = BUF_INIT(STATUS_BYTES_MAX);
	bool wrong = user_describe(c, &said);

	if (is_service && (layers & WIRE_LAYER_USER)) {
		buf_clear(&said);
		(void)buf_printf(&said, NULL, "as a service of its own");
	} else if (wrong) {
		log_warning("the network process runs %s; sluice-agent(8) says how to mend it",
			buf_str(&said));
	} else if (geteuid() == 0 && !(layers & WIRE_LAYER_USER)) {
		log_warning("the network process did not become another user, and is root");
	}
	for (size_t i = 0; i < ARRAY_LEN(layer_names); i++) {
		if (layers & layer_names[i].layer)
			(void)buf_printf(&said, NULL, ", %s", layer_names[i].name);
	}
	log_detail("the network process runs %s", buf_str(&said));
}

static bool
kernel_filters(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* 0 where the kernel has none. */
static long
kernel_landlock(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);

	return abi > 0 ? abi : 0;
}

int
warden_json(const struct conf *c, json_t **out, struct err *e)
{
	AUTO_BUF struct buf user = BUF_INIT(STATUS_BYTES_MAX);
	bool wrong = user_describe(c, &user);
	json_t *j = json_pack("{s:s, s:b, s:I, s:b}", "runs", buf_str(&user), "own_user",
		(int)(geteuid() == 0 && !wrong), "landlock", (json_int_t)kernel_landlock(),
		"seccomp", (int)kernel_filters());

	if (!j)
		return err_sys(e, ENOMEM, "the status");
	*out = j;
	return 0;
}

int
warden_text(const struct conf *c, struct buf *out, struct err *e)
{
	AUTO_BUF struct buf user = BUF_INIT(STATUS_BYTES_MAX);

	(void)user_describe(c, &user);
	return buf_printf(out, e, "network process: runs %s; Landlock %ld, seccomp %s\n",
		buf_str(&user), kernel_landlock(), kernel_filters() ? "yes" : "no");
}
