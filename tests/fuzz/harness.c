#include "tests/fuzz/harness.h"

#include <errno.h>
#include <ftw.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/crypto/minisign.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"

void
must_have(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "%s:%d: this must hold: %s\n", file, line, what);
	abort();
}

static uint64_t deep;

void
fuzz_deep(void)
{
	deep++;
}

uint64_t
fuzz_deep_count(void)
{
	return deep;
}

/* Seed, then public key. The seeds are 0x50 to 0x53, 32 times: nobody's secrets. */
static const char *const key_pairs[FUZZ_KEYS] = {
	"5050505050505050505050505050505050505050505050505050505050505050"
	"3ef08959033028c8fc6fc6d491a12548e78df6aefb2d7c2c190c3f78cef3f50b",
	"5151515151515151515151515151515151515151515151515151515151515151"
	"c050c5637a44fa8629fff3cccce2300cb362a63d99d95fc54145266f4332445a",
	"5252525252525252525252525252525252525252525252525252525252525252"
	"2012cb90ca60e8e5d8daf66e2272d2233e0486d557e8c66141ed8920177d7eb7",
	"5353535353535353535353535353535353535353535353535353535353535353"
	"f80cccdce4ae1c07ae208a2adf99a310ae4207e0306fa0236110b06827bbb8d0",
};

static struct {
	struct seckey secret[FUZZ_KEYS];
	struct signer signer[FUZZ_KEYS];
	json_t *public[FUZZ_KEYS];
	json_t *keys, *keyids; /* of the first alone */
} ring;

static void
ring_free(void)
{
	for (size_t i = 0; i < FUZZ_KEYS; i++)
		json_decref(ring.public[i]);
	json_decref(ring.keys);
	json_decref(ring.keyids);
}

static void
ring_fill(void)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < FUZZ_KEYS; i++) {
		struct signer *s = &ring.signer[i];
		uint8_t raw[32];

		MUST(hex_decode(key_pairs[i], ring.secret[i].sk, MINISIGN_SK_BYTES, &e) == 0);
		seckey_public(&ring.secret[i], raw);
		MUST(pubkey_json_ed25519(raw, &ring.public[i], &e) == 0);
		*s = (struct signer){.seckey = &ring.secret[i], .key = ring.public[i]};
		MUST(pubkey_id(s->key, s->keyid, &e) == 0);
	}
	ring.keys = json_pack("{s:O}", ring.signer[0].keyid, ring.public[0]);
	ring.keyids = json_pack("[s]", ring.signer[0].keyid);
	MUST(ring.keys && ring.keyids && atexit(ring_free) == 0);
}

const struct signer *
fuzz_signer(size_t i)
{
	if (!ring.keys)
		ring_fill();
	return &ring.signer[i];
}

struct role_keys
fuzz_role(void)
{
	(void)fuzz_signer(0);
	return (struct role_keys){.keys = ring.keys, .keyids = ring.keyids, .threshold = 1};
}

bool
fuzz_seal(struct span body, unsigned keys, struct buf *out)
{
	AUTO_JSON json_t *j = NULL, *envelope = NULL;
	AUTO_FREE char *text = NULL;
	struct err e = ERR_INIT;

	if (json_parse(body, "sealed", &j, &e) < 0 || !json_is_object(j))
		return false;
	envelope = envelope_new(j);
	MUST(envelope);
	for (size_t i = 0; i < FUZZ_KEYS; i++) {
		if (keys & 1U << i && envelope_sign(envelope, fuzz_signer(i), &e) < 0)
			return false;
	}
	text = json_dumps(envelope, JSON_COMPACT);
	MUST(text && buf_append(out, text, strlen(text), &e) == 0);
	return true;
}

bool
fuzz_verified(struct span bytes, struct verified *out)
{
	struct digest d = digest_of(bytes);
	struct err e = ERR_INIT;

	return verified_by_digest(bytes, "fuzz", bytes.len, &d, out, &e) == 0;
}

static struct {
	int fd; /* one more than the descriptor: 0 is none */
	char path[32];
} files[FUZZ_FILES];

int
fuzz_file(size_t number, struct span bytes)
{
	int fd = files[number].fd - 1;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		MUST(fd >= 0);
		files[number].fd = fd + 1;
		(void)snprintf(
			files[number].path, sizeof(files[number].path), "/proc/self/fd/%d", fd);
	}
	MUST(ftruncate(fd, 0) == 0);
	MUST(pwrite(fd, bytes.data, bytes.len, 0) == (ssize_t)bytes.len);
	MUST(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

const char *
fuzz_file_path(size_t number, struct span bytes)
{
	(void)fuzz_file(number, bytes);
	return files[number].path;
}

static char folder[64];

static int
folder_remove_one(const char *path, const struct stat *st, int flag, struct FTW *walk)
{
	(void)st;
	(void)flag;
	(void)walk;
	return remove(path);
}

static void
folder_remove(void)
{
	(void)nftw(folder, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
fuzz_folder(void)
{
	if (folder[0])
		return folder;
	(void)snprintf(folder, sizeof(folder), "%s/sluice-fuzz.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	MUST(mkdtemp(folder) && atexit(folder_remove) == 0);
	return folder;
}

char *
fuzz_text(struct span bytes)
{
	size_t len = strnlen((const char *)bytes.data, bytes.len);
	char *text = malloc(len + 1);

	MUST(text);
	memcpy(text, bytes.data, len);
	text[len] = 0;
	return text;
}

struct span
fuzz_take(struct span *in, size_t len)
{
	struct span front = {in->data, (size_t)num_min(len, in->len)};

	in->data += front.len;
	in->len -= front.len;
	return front;
}

uint64_t
fuzz_take64(struct span *in)
{
	struct span front = fuzz_take(in, 8);
	uint8_t number[8] = {0};

	memcpy(number, front.data, front.len);
	return num_get_le64(number);
}

uint32_t
fuzz_take32(struct span *in)
{
	struct span front = fuzz_take(in, 4);
	uint8_t number[4] = {0};

	memcpy(number, front.data, front.len);
	return num_get_le32(number);
}

uint8_t
fuzz_take8(struct span *in)
{
	struct span front = fuzz_take(in, 1);

	return front.len ? front.data[0] : 0;
}

struct span
fuzz_take_part(struct span *in, const char *mark)
{
	size_t mark_len = strlen(mark);
	const uint8_t *start = in->data, *at = start;

	while (at && (at = memmem(at, in->len - (size_t)(at - start), mark, mark_len))) {
		size_t before = (size_t)(at - start), behind = before + mark_len;

		if ((before == 0 || at[-1] == '\n') &&
			(behind == in->len || start[behind] == '\n')) {
			(void)fuzz_take(in, behind + (behind < in->len));
			return span_of(start, before ? before - 1 : 0);
		}
		at++;
	}
	return fuzz_take(in, in->len);
}

void
fuzz_check_err(const struct err *e)
{
	MUST(e->class > ERR_NONE && e->class <= ERR_SYSTEM);
	MUST(e->text[0] != 0 && memchr(e->text, 0, sizeof(e->text)));
}
