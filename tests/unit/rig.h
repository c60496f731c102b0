/* A whole box in a folder, and bundles for it: for tests of installing. folder_enter() comes first.
 */
#ifndef SLUICE_TESTS_UNIT_RIG_H
#define SLUICE_TESTS_UNIT_RIG_H

#include "tests/unit/folder.h"
#include "tests/unit/payload.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "agent/boot_env.h"
#include "agent/box.h"
#include "agent/head.h"
#include "agent/install.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "common/format/bundle.h"
#include "common/format/files.h"

enum { RIG_SLOT_BYTES = 8 * CHUNK_BYTES };

struct rig {
	struct box box;
	struct conf *c;
	struct state *s;
	const struct boot_backend *boot;
	struct seckey *key;
	json_t *key_json, *keys, *keyids;
	struct signer signer;
	struct role_keys releases;
	struct install_stats stats;
	bool far; /* bundles come as over a network */
	struct head head;
	struct file_source file; /* the bundle that head was read from */
};

static inline void
rig_file(const char *path, const char *text)
{
	struct err e = ERR_INIT;

	assert_int_equal(file_replace(path, 0755, span_str(text), &e), 0);
}

static inline void
rig_slot(const char *path)
{
	rig_file(path, "");
	assert_int_equal(truncate(path, RIG_SLOT_BYTES), 0);
}

/* Appends text to agent.conf with every '@' replaced by the folder. */
static inline void
rig_conf(const char *folder, const char *text, struct buf *out)
{
	struct err e = ERR_INIT;

	for (; *text; text++) {
		if (*text == '@')
			assert_int_equal(buf_printf(out, &e, "%s", folder), 0);
		else
			assert_int_equal(buf_append(out, text, 1, &e), 0);
	}
}

static inline void
rig_key(struct rig *r)
{
	struct err e = ERR_INIT;
	uint8_t raw[32];

	assert_int_equal(seckey_new(&r->key, &e), 0);
	seckey_public(r->key, raw);
	assert_int_equal(pubkey_json_ed25519(raw, &r->key_json, &e), 0);
	r->signer = (struct signer){.seckey = r->key, .key = r->key_json};
	assert_int_equal(pubkey_id(r->key_json, r->signer.keyid, &e), 0);
	r->keys = json_pack("{s:O}", r->signer.keyid, r->key_json);
	r->keyids = json_pack("[s]", r->signer.keyid);
	r->releases = (struct role_keys){r->keys, r->keyids, 1};
}

/* slots: the [slot ...] sections, and whatever else agent.conf should have. Side A runs. */
static inline void
rig_make(struct rig *r, const char *folder, const char *slots)
{
	AUTO_BUF struct buf text = BUF_INIT(CONF_BYTES_MAX);
	struct err e = ERR_INIT;

	*r = (struct rig){.head = HEAD_INIT, .file.fd = -1};
	rig_conf(folder,
		"[box]\nid = box-1\ncompatible = acme\nstate_dir = @/state\n"
		"[boot]\nbackend = simulated\nfile = @/boot\n",
		&text);
	rig_conf(folder, slots, &text);
	rig_file("agent.conf", buf_str(&text));
	rig_file("boot", "primary=A\na_bootable=yes\na_confirmed=yes\na_tries=0\n"
			 "b_bootable=yes\nb_confirmed=yes\nb_tries=0\nbooted=A\nboot_id=boot-0\n");
	r->box = BOX_INIT;
	if (box_open("agent.conf", &r->box, &e) < 0)
		fail_msg("%s", e.text);
	r->c = &r->box.conf;
	assert_int_equal(dir_make(r->c->state_dir, 0700, &e), 0);
	r->s = r->box.state;
	r->boot = r->box.boot;
	rig_key(r);
}

static inline void
rig_free(struct rig *r)
{
	head_free(&r->head);
	cleanup_fd(&r->file.fd);
	box_close(&r->box);
	seckey_free(&r->key);
	json_decref(r->key_json);
	json_decref(r->keys);
	json_decref(r->keyids);
}

/* What a power cycle does: the bootloader's pick, a new boot id, and the state read anew. */
static inline void
rig_power_on(struct rig *r, const char *boot_id)
{
	struct boot_env env;
	struct err e = ERR_INIT;

	assert_int_equal(boot_env_load(r->c->boot_file, &env, &e), 0);
	assert_int_equal(boot_env_power_on(&env, boot_id, &e), 0);
	assert_int_equal(boot_env_save(r->c->boot_file, &env, &e), 0);
	if (state_load(r->c->state_dir, r->s, &e) < 0)
		fail_msg("%s", e.text);
}

static inline struct boot_env
rig_env(struct rig *r)
{
	struct boot_env env = {0};
	struct err e = ERR_INIT;

	assert_int_equal(boot_env_load(r->c->boot_file, &env, &e), 0);
	return env;
}

/* A file of a tree, for rig_tree(): content NULL is a folder, link a symbolic link. */
struct rig_entry {
	const char *path, *content, *link, *hardlink;
	uint32_t mode;
	const char *colour; /* the attribute user.colour, as hex; or NULL */
};

/* A tree payload, and its list. Entries must be in order. */
static inline void
rig_tree(struct made *m, struct buf *files, const char *name, const char *slot_class,
	const struct rig_entry *entries, size_t count)
{
	struct err e = ERR_INIT;

	made_begin(m, name, slot_class, PAYLOAD_TREE);
	for (size_t i = 0; i < count; i++) {
		const struct rig_entry *r = &entries[i];
		struct tree_entry t = {.type = r->hardlink  ? TREE_HARDLINK
					       : r->link    ? TREE_SYMLINK
					       : r->content ? TREE_FILE
							    : TREE_DIR,
			.mode = r->link ? 0777 : r->mode,
			.uid = getuid(),
			.gid = getgid(),
			.mtime_s = 1600000000};

		(void)snprintf(t.path, sizeof(t.path), "%s", r->path);
		(void)snprintf(t.target, sizeof(t.target), "%s",
			r->link	      ? r->link
			: r->hardlink ? r->hardlink
				      : "");
		if (t.type == TREE_FILE) {
			struct span bytes = span_str(r->content);

			t.size = bytes.len;
			t.sha256 = digest_of(bytes);
			made_add(m, bytes);
		}
		t.xattrs = r->colour ? json_pack("{s:s}", "user.colour", r->colour) : NULL;
		if (files_put(&t, files, &e) < 0)
			fail_msg("%s", e.text);
		json_decref(t.xattrs);
	}
	made_end(m);
	m->p.digest = digest_of(buf_span(files));
	m->p.members[MEMBER_FILES] = (struct member){true, files->len, m->p.digest};
}

/* Writes a signed bundle of these payloads; files[i] is the list of a tree. */
struct rig_bundle {
	const char *version, *compatible;
	uint64_t rollback_index;
	size_t count;
	struct made *made[PAYLOADS_MAX];
	struct buf *files[PAYLOADS_MAX];
	struct buf *hints[PAYLOADS_MAX]; /* of an image that has them */
};

static inline void
rig_parts(const struct rig_bundle *b, struct manifest *m,
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES])
{
	struct span empty = span_of("", 0);

	for (size_t i = 0; i < b->count; i++) {
		m->payloads[i] = b->made[i]->p;
		parts[i][MEMBER_INDEX].fd = memory_file(buf_span(&b->made[i]->index));
		parts[i][MEMBER_DATA].fd = memory_file(buf_span(&b->made[i]->data));
		parts[i][MEMBER_FILES].fd =
			memory_file(b->files[i] ? buf_span(b->files[i]) : empty);
		parts[i][MEMBER_SEALS].fd = memory_file(buf_span(&b->made[i]->seals));
		parts[i][MEMBER_STORED].fd = memory_file(buf_span(&b->made[i]->stored));
		parts[i][MEMBER_HINTS].fd =
			memory_file(b->hints[i] ? buf_span(b->hints[i]) : empty);
		parts[i][MEMBER_CUTS].fd = memory_file(buf_span(&b->made[i]->cuts));
	}
}

static inline void
rig_write(const struct rig *r, const struct rig_bundle *b, const char *path)
{
	AUTO_FREE struct manifest *m = calloc(1, sizeof(*m));
	AUTO_BUF struct buf text = BUF_INIT(MANIFEST_BYTES_MAX);
	struct bundle_part parts[PAYLOADS_MAX][MEMBER_ROLES] = {0};
	AUTO_JSON json_t *body = NULL;
	AUTO_JSON json_t *root = NULL;
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct err e = ERR_INIT;

	assert_non_null(m);
	assert_true(fd >= 0);
	m->format = 1;
	(void)snprintf(m->name, sizeof(m->name), "gateway");
	(void)snprintf(m->version, sizeof(m->version), "%s", b->version);
	m->rollback_index = b->rollback_index;
	m->compatible_count = 1;
	(void)snprintf(m->compatible[0], sizeof(m->compatible[0]), "%s",
		b->compatible ? b->compatible : "acme");
	m->payload_count = b->count;
	(void)snprintf(m->zlib_version, sizeof(m->zlib_version), "1.2.13");
	m->zlib_level = 6;
	rig_parts(b, m, parts);
	if (manifest_build(m, &body, &e) < 0)
		fail_msg("%s", e.text);
	root = envelope_new(body);
	assert_int_equal(envelope_sign(root, &r->signer, &e), 0);
	assert_int_equal(json_canonical(root, &text, &e), 0);
	if (bundle_write(fd, path, m, buf_span(&text), parts, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < b->count; i++) {
		for (size_t j = 0; j < MEMBER_ROLES; j++)
			(void)close(parts[i][j].fd);
	}
}

/* A bundle of one image. */
static inline void
rig_write_image(const struct rig *r, struct span image, const char *version, uint64_t index,
	const char *path)
{
	CLEANUP(made_free) struct made made;
	struct rig_bundle b = {.version = version, .rollback_index = index, .count = 1};

	made_image(&made, "rootfs", "rootfs", image);
	b.made[0] = &made;
	rig_write(r, &b, path);
}

static inline int
rig_verify(struct rig *r, const char *path, struct err *e)
{
	head_free(&r->head);
	cleanup_fd(&r->file.fd);
	r->file = (struct file_source){.fd = -1, .name = path};
	assert_int_equal(file_open_read(path, &r->file.fd, e), 0);
	return head_verify_local(r->file.fd, path, r->c->state_dir, &r->releases, &r->head, e);
}

/* From a bundle file to written, all rules asked; not activated. */
static inline int
rig_install(struct rig *r, const char *path, const struct keep_going *keep_going, struct err *e)
{
	struct pending p = {.local = true, .deadline_s = 900};
	AUTO_INTAKE struct intake *i = NULL;
	struct source source;
	struct intake_job j = {.c = r->c,
		.h = &r->head,
		.source = &source,
		.keep_going = keep_going,
		.near = !r->far,
		.stats = &r->stats};

	r->stats = (struct install_stats){0};
	if (rig_verify(r, path, e) < 0 || install_check(r->c, r->s, &r->head, e) < 0)
		return -1;
	source = source_file(&r->file);
	if (install_look(r->c, r->boot, r->s, &j, &i, e) < 0)
		return -1;
	return install_write(r->c, r->boot, r->s, i, &p, e);
}

#endif
