/* What a box keeps for itself: state.json and the simulated boot environment. Whoever came to its
 * disk, or the disk itself, may have changed them.
 *
 * Input: 'b' and a boot environment, or anything else and a state. */
#include <sys/stat.h>
#include <unistd.h>

#include "agent/boot_env.h"
#include "agent/state.h"
#include "common/base/file.h"
#include "tests/fuzz/harness.h"

static const char *
path_in(const char *name, char out[128])
{
	(void)snprintf(out, 128, "%s/%s", fuzz_folder(), name);
	return out;
}

static void
put(const char *path, struct span bytes)
{
	FILE *f = fopen(path, "wb");

	MUST(f && fwrite(bytes.data, 1, bytes.len, f) == bytes.len);
	(void)fclose(f);
}

static struct digest
digest_of_file(const char *path)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	struct err e = ERR_INIT;

	MUST(file_read(path, &text, &e) == 0);
	return digest_of(buf_span(&text));
}

/* What is saved is read again as it is, to the byte. */
static void
state(struct span text)
{
	static struct state s;
	struct digest first, second;
	struct err e = ERR_INIT;
	char path[128];

	put(path_in("state.copy.json", path), text);
	put(path_in("state.json", path), text);
	if (state_load(fuzz_folder(), &s, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	fuzz_deep();
	MUST(s.failed_count <= FAILED_MAX && s.stop_count <= STOPS_MAX);
	MUST(phase_name(s.pending.phase)[0]);
	MUST(state_save(fuzz_folder(), &s, &e) == 0);
	first = digest_of_file(path);
	MUST(state_load(fuzz_folder(), &s, &e) == 0 && state_save(fuzz_folder(), &s, &e) == 0);
	second = digest_of_file(path);
	MUST(digest_equal(&first, &second));
}

static void
boot_env(struct span text)
{
	struct boot_env env, again;
	struct err e = ERR_INIT;
	char path[128];

	put(path_in("boot.env", path), text);
	if (boot_env_load(path, &env, &e) < 0) {
		fuzz_check_err(&e);
		return;
	}
	MUST(boot_env_save(path, &env, &e) == 0 && boot_env_load(path, &again, &e) == 0);
	MUST(env.vars.primary == again.vars.primary && env.booted == again.booted);
	MUST(strcmp(env.boot_id, again.boot_id) == 0);
	for (enum side side = SIDE_A; side < SIDES; side++)
		MUST(env.vars.side[side].bootable == again.vars.side[side].bootable &&
			env.vars.side[side].confirmed == again.vars.side[side].confirmed &&
			env.vars.side[side].tries_left == again.vars.side[side].tries_left);
	if (boot_env_power_on(&env, "next", &e) == 0)
		MUST(env.vars.side[env.booted].bootable && boot_env_save(path, &env, &e) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	if (in.len > 0 && in.data[0] == 'b') {
		(void)fuzz_take8(&in);
		boot_env(in);
	} else {
		state(in);
	}
	return 0;
}
