/* The boot backend over U-Boot's environment (libubootenv), with U-Boot's half in
 * agent/boot/u-boot.cmd. Where fw_env.config names two places, libubootenv writes the one that is
 * not in force, whole, with a CRC and a counter: a power cut leaves the old or the new. */
#include <errno.h>
#include <fcntl.h>
#include <libuboot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/boot_place.h"
#include "agent/boot_vars.h"
#include "common/base/file.h"
#include "common/base/log.h"

static const char *const CONFIG_PATH = "/etc/fw_env.config";
/* Where libubootenv takes its lock, and goes on without it where it cannot. */
static const char *const LOCK_PATH = "/var/lock/fw_printenv.lock";
static const char BLANKS[] = " \t\r";
enum { UBOOT_PLACES = 2 };
enum { VAR_PRIMARY, VAR_A, VAR_A_TRIES, VAR_B, VAR_B_TRIES, VARS };
static const char *const NAMES[VARS] = {
	"sluice_primary", "sluice_a", "sluice_a_tries", "sluice_b", "sluice_b_tries"};

static const char *
config_path(const struct conf *c)
{
	return c->boot_file ? c->boot_file : CONFIG_PATH;
}

static void
context_close(struct uboot_ctx **ctx)
{
	if (!*ctx)
		return;
	libuboot_close(*ctx);
	libuboot_exit(*ctx);
}

/* A freshly read environment; one whose CRC is wrong in all its places is refused. */
static int
context_open(const struct conf *c, struct uboot_ctx **out, struct err *e)
{
	CLEANUP(context_close) struct uboot_ctx *ctx = NULL;
	int rc = libuboot_initialize(&ctx, NULL);

	if (rc < 0)
		return err_sys(e, -rc, "the U-Boot environment");
	rc = libuboot_read_config(ctx, config_path(c));
	if (rc < 0)
		return err_set(e, ERR_SYSTEM,
			"%s does not say where the U-Boot environment is, or it is not there: a "
			"line for each of its places: DEVICE OFFSET SIZE",
			config_path(c));
	rc = libuboot_open(ctx);
	if (rc < 0)
		return err_set(e, ERR_SYSTEM,
			"no U-Boot environment with a right CRC where %s says (%s): `saveenv` in "
			"U-Boot makes one",
			config_path(c), strerror(-rc));
	*out = ctx;
	ctx = NULL;
	return 0;
}

static int
vars_parse(char *const values[VARS], struct boot_vars *out, struct err *e)
{
	struct boot_vars v;

	for (size_t i = 0; i < VARS; i++) {
		if (!values[i])
			return err_set(e, ERR_SYSTEM,
				"%s is not set: `sluice-agent boot init` sets it", NAMES[i]);
	}
	if (boot_side_parse(values[VAR_PRIMARY], &v.primary, e) < 0 ||
		boot_state_parse(values[VAR_A], values[VAR_A_TRIES], UBOOT_TRIES_MAX,
			&v.side[SIDE_A], e) < 0 ||
		boot_state_parse(values[VAR_B], values[VAR_B_TRIES], UBOOT_TRIES_MAX,
			&v.side[SIDE_B], e) < 0)
		return err_own(e);
	*out = v;
	return 0;
}

static int
context_read(struct uboot_ctx *ctx, struct boot_vars *out, struct err *e)
{
	char *values[VARS];
	int rc;

	for (size_t i = 0; i < VARS; i++)
		values[i] = libuboot_get_env(ctx, NAMES[i]);
	rc = vars_parse(values, out, e);
	for (size_t i = 0; i < VARS; i++)
		free(values[i]);
	return rc < 0 ? err_context(e, "the U-Boot environment") : 0;
}

static int
uboot_load(const struct conf *c, struct boot_vars *out, struct err *e)
{
	CLEANUP(context_close) struct uboot_ctx *ctx = NULL;

	if (context_open(c, &ctx, e) < 0)
		return -1;
	return context_read(ctx, out, e);
}

/* One line of fw_env.config. */
struct place {
	char *device;
	int64_t offset; /* below 0: from the end */
	uint64_t bytes;
};

/* As libubootenv reads it: the first two lines with three words are the places, a line that begins
 * with # is none. config is cut up, and the places point into it. */
static size_t
places_parse(char *config, struct place out[UBOOT_PLACES])
{
	size_t count = 0;
	char *lines = NULL;

	for (char *line = strtok_r(config, "\n", &lines); line && count < UBOOT_PLACES;
		line = strtok_r(NULL, "\n", &lines)) {
		char *words = NULL, *device, *offset, *bytes;

		if (line[0] == '#')
			continue;
		device = strtok_r(line, BLANKS, &words);
		offset = strtok_r(NULL, BLANKS, &words);
		bytes = strtok_r(NULL, BLANKS, &words);
		if (bytes)
			out[count++] = (struct place){
				device, strtoll(offset, NULL, 0), strtoull(bytes, NULL, 16)};
	}
	return count;
}

static int
config_read(const struct conf *c, struct buf *text, struct place out[UBOOT_PLACES], size_t *count,
	struct err *e)
{
	if (file_read(config_path(c), text, e) < 0)
		return err_own(e);
	*count = text->len > 0 ? places_parse((char *)text->data, out) : 0;
	return 0;
}

static bool
places_overlap(const struct place *a, const struct place *b)
{
	const struct place *low = a->offset < b->offset ? a : b, *high = low == a ? b : a;

	return strcmp(a->device, b->device) == 0 && (low->offset < 0) == (high->offset < 0) &&
	       (uint64_t)high->offset - (uint64_t)low->offset < low->bytes;
}

/* With one place, each change writes over all there is, and a power cut in it loses the lot: U-Boot
 * starts with what was compiled in, and knows neither side. */
static int
places_check(const struct conf *c, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(UBOOT_CONFIG_MAX);
	struct place places[UBOOT_PLACES];
	size_t count = 0;

	if (config_read(c, &text, places, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (boot_place_check(c, places[i].device, e) < 0)
			return -1;
	}
	if (count == UBOOT_PLACES && !places_overlap(&places[0], &places[1]))
		return 0;
	return err_set(e, ERR_SYSTEM,
		"%s names %s, and a power cut while that is written would lose the environment: "
		"build U-Boot with CONFIG_SYS_REDUNDAND_ENVIRONMENT and CONFIG_ENV_OFFSET_REDUND, "
		"and write a line for each of the two places",
		config_path(c),
		count < UBOOT_PLACES ? "no second place" : "two places that overlap");
}

/* fw_setenv, or U-Boot's other tools, may be at work at the same time. Who is not root only looks.
 */
static int
lock_check(struct err *e)
{
	AUTO_CLOSE int fd = open(LOCK_PATH, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	if (fd >= 0 || geteuid() != 0)
		return 0;
	return err_sys(e, errno,
		"opening %s, without which others may write to the U-Boot environment at the same "
		"time (the folder has to be there, and writable for the agent)",
		LOCK_PATH);
}

static int
uboot_check(const struct conf *c, struct err *e)
{
	return places_check(c, e) < 0 ? -1 : lock_check(e);
}

/* On the medium, and read from there the next time. Flash that is written past the cache (MTD) has
 * nothing to sync. */
static int
device_settle(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_sys(e, errno, "opening %s", path);
	if (fsync(fd) < 0 && errno != EINVAL && errno != ENOSYS)
		return err_sys(e, errno, "syncing %s", path);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static int
devices_settle(const struct conf *c, struct err *e)
{
	AUTO_BUF struct buf text = BUF_INIT(UBOOT_CONFIG_MAX);
	struct place places[UBOOT_PLACES];
	size_t count = 0;

	if (config_read(c, &text, places, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		/* A volume of UBI has its name behind the device's. */
		places[i].device[strcspn(places[i].device, ":")] = 0;
		if (device_settle(places[i].device, e) < 0)
			return err_own(e);
	}
	return 0;
}

static int
vars_store(const struct conf *c, struct uboot_ctx *ctx, const struct boot_vars *vars, struct err *e)
{
	char tries[SIDES][32];
	const char *const values[VARS] = {side_name(vars->primary),
		boot_state_word(&vars->side[SIDE_A]), tries[SIDE_A],
		boot_state_word(&vars->side[SIDE_B]), tries[SIDE_B]};
	int rc = 0;

	for (size_t i = 0; i < SIDES; i++)
		(void)snprintf(tries[i], sizeof(tries[i]), "%llu",
			(unsigned long long)vars->side[i].tries_left);
	for (size_t i = 0; i < VARS && rc == 0; i++)
		rc = libuboot_set_env(ctx, NAMES[i], values[i]);
	if (rc == 0)
		rc = libuboot_env_store(ctx);
	if (rc < 0)
		return err_sys(e, -rc, "storing the U-Boot environment");
	return devices_settle(c, e);
}

static int
place_write(const struct conf *c, const struct boot_vars *vars, struct err *e)
{
	CLEANUP(context_close) struct uboot_ctx *ctx = NULL;

	if (context_open(c, &ctx, e) < 0)
		return -1;
	return vars_store(c, ctx, vars, e);
}

/* U-Boot goes by the older place where the newer one is lost. What was settled stands in both, or
 * that would lead back to a trial that is over. Each write goes to the place that is not in force;
 * the second has to wait until the first is proved. */
static int
uboot_save(const struct conf *c, const struct boot_vars *vars, struct err *e)
{
	struct boot_vars back;
	struct err bad;

	if (place_write(c, vars, e) < 0)
		return -1;
	if (!boot_vars_settled(vars))
		return 0;
	if (uboot_load(c, &back, e) < 0)
		return -1;
	if (boot_vars_same(&back, vars) && place_write(c, vars, &bad) < 0)
		log_warning("the older place of the U-Boot environment is not as the newer: %s",
			bad.text);
	return 0;
}

/* Any environment will do, with a right CRC and without our variables. Its lock is let go again. */
static int
blank_check(const struct conf *c, struct err *e)
{
	CLEANUP(context_close) struct uboot_ctx *ctx = NULL;
	struct boot_vars before;
	struct err none;

	if (context_open(c, &ctx, e) < 0)
		return -1;
	if (context_read(ctx, &before, &none) == 0)
		return err_set(e, ERR_REFUSED,
			"the U-Boot environment is set up already: see `sluice-agent boot show`");
	return 0;
}

static int
uboot_make(const struct conf *c, enum side s, struct err *e)
{
	struct boot_vars vars = {.primary = s};

	vars.side[s] = (struct boot_side){.bootable = true, .confirmed = true};
	return blank_check(c, e) < 0 ? -1 : uboot_save(c, &vars, e);
}

const struct boot_backend boot_uboot = {
	BOOT_BY_VARS,
	.name = "u-boot",
	.tries_max = UBOOT_TRIES_MAX,
	.current = boot_kernel_current,
	.boot_id = boot_kernel_boot_id,
	.load = uboot_load,
	.save = uboot_save,
	.make = uboot_make,
	.check = uboot_check,
};
