/* An install of a tree, most of which comes out of the folder that runs, by a delta. */
#include "tests/unit/rig.h"

#include "agent/delta.h"
#include "agent/shelf.h"
#include "agent/tree.h"
#include "signer/bundle_file.h"
#include "signer/delta_file.h"

static const char APP[] = "[slot app]\ntype = dir\na = @/a\nb = @/b\n";

enum { PROGRAM_CHUNKS = 6, DATA_CHUNKS = 3, MOVED_CHUNKS = 2, FRESH_CHUNKS = 1 };
/* A record has what is fresh, too. */
enum { TOLD_CHUNKS = PROGRAM_CHUNKS + FRESH_CHUNKS };
enum { CHUNKS = TOLD_CHUNKS + DATA_CHUNKS + MOVED_CHUNKS };

/* Noise that does not compress, as text. */
static char program[2][PROGRAM_CHUNKS * CHUNK_BYTES + 1], data[DATA_CHUNKS * CHUNK_BYTES + 1],
	moved[MOVED_CHUNKS * CHUNK_BYTES + 1], fresh[FRESH_CHUNKS * CHUNK_BYTES + 1];

/* Side A runs the old tree, and the shelf has its head. */
struct scene {
	struct rig rig;
	struct made made[2];
	struct buf files[2];
	struct delta_made of_delta;
	struct delta delta;
	struct buf file;
	struct memory_source memory;
	struct source source; /* of the delta */
};

static void
scene_free(struct scene *s)
{
	delta_drop(&s->delta);
	for (int i = 0; i < 2; i++) {
		made_free(&s->made[i]);
		buf_free(&s->files[i]);
	}
	buf_free(&s->file);
	rig_free(&s->rig);
}

static void
text_fill(char *out, size_t size, uint64_t seed)
{
	noise((uint8_t *)out, size - 1, seed);
	for (size_t i = 0; i < size - 1; i++)
		out[i] = (char)(out[i] ? out[i] : 1);
}

/* Something is different in every chunk of the program. */
static int
texts_make(void **state)
{
	(void)state;
	text_fill(program[0], sizeof(program[0]), 1);
	text_fill(data, sizeof(data), 2);
	text_fill(moved, sizeof(moved), 3);
	text_fill(fresh, sizeof(fresh), 4);
	memcpy(program[1], program[0], sizeof(program[0]));
	for (size_t at = 700; at + 1 < sizeof(program[1]); at += 9000)
		program[1][at] = (char)(program[1][at] == 'x' ? 'y' : 'x');
	return 0;
}

static void
bundles_write(struct scene *s)
{
	const struct rig_entry old[] = {
		{.path = "bin", .mode = 0755},
		{.path = "bin/program", .content = program[0], .mode = 0755},
		{.path = "data", .content = data, .mode = 0644},
		{.path = "was", .content = moved, .mode = 0644},
	};
	const struct rig_entry new[] = {
		{.path = "bin", .mode = 0755},
		{.path = "bin/fresh", .content = fresh, .mode = 0755},
		{.path = "bin/program", .content = program[1], .mode = 0755},
		{.path = "data", .content = data, .mode = 0644},
		{.path = "is", .content = moved, .mode = 0644},
	};

	rig_tree(&s->made[0], &s->files[0], "app", "app", old, ARRAY_LEN(old));
	rig_tree(&s->made[1], &s->files[1], "app", "app", new, ARRAY_LEN(new));
	for (int i = 0; i < 2; i++) {
		struct rig_bundle b = {.version = i == 0 ? "1.0" : "2.0",
			.count = 1,
			.made = {&s->made[i]},
			.files = {&s->files[i]}};

		rig_write(&s->rig, &b, i == 0 ? "old.ota" : "new.ota");
	}
}

/* As an install into the side that runs now has left it. */
static void
old_install(struct scene *s)
{
	struct err e = ERR_INIT;

	if (rig_install(&s->rig, "old.ota", NULL, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(rename("b", "a"), 0);
	assert_int_equal(shelf_keep(s->rig.c, false, SIDE_A, &s->rig.head, &e), 0);
	s->delta.from = s->rig.head.release.manifest;
}

static void
bundle_open(const char *path, struct bundle_file *out)
{
	struct err e = ERR_INIT;

	if (bundle_file_open(path, out, &e) < 0 || bundle_file_check_members(out, &e) < 0)
		fail_msg("%s", e.text);
}

static void
delta_bring_in(struct scene *s)
{
	AUTO_BUNDLE_FILE struct bundle_file from = BUNDLE_FILE_INIT;
	AUTO_BUNDLE_FILE struct bundle_file to = BUNDLE_FILE_INIT;
	AUTO_CLOSE int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	AUTO_BUF struct buf json = BUF_INIT(MANIFEST_BYTES_MAX);
	struct err e = ERR_INIT;
	size_t head;

	bundle_open("old.ota", &from);
	bundle_open("new.ota", &to);
	if (delta_file_make(&from, &to, 1, ".", fd, "the delta", &s->of_delta, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(s->of_delta.pays);
	assert_int_equal(buf_reserve(&s->file, (size_t)s->of_delta.size, &e), 0);
	s->file.len = (size_t)s->of_delta.size;
	assert_int_equal(file_pread_full(fd, "delta", s->file.data, s->file.len, 0, &e), 0);
	head = (size_t)s->of_delta.listing.head_length;
	s->delta.fd = memory_file(span_of(s->file.data, head));
	(void)snprintf(s->delta.name, sizeof(s->delta.name), "the delta");
	assert_int_equal(delta_head_read(s->delta.fd, "delta", head, &s->delta.head, &json, &e), 0);
	assert_int_equal(delta_head_place("delta", &s->delta.head, to.manifest, &e), 0);
	s->memory = (struct memory_source){.bytes = buf_span(&s->file)};
	s->source = memory_source(&s->memory);
}

static void
scene_make(struct scene *s, const char *folder)
{
	*s = (struct scene){.delta = DELTA_INIT,
		.file = BUF_INIT(1 << 24),
		.files = {BUF_INIT(1 << 20), BUF_INIT(1 << 20)}};
	rig_make(&s->rig, folder, APP);
	bundles_write(s);
	old_install(s);
	delta_bring_in(s);
}

static uint64_t
records(const struct scene *s)
{
	return s->of_delta.size - s->of_delta.listing.head_length;
}

static int
scene_install(struct scene *s, struct err *e)
{
	struct pending p = {.local = true, .deadline_s = 900};
	struct rig *r = &s->rig;
	AUTO_INTAKE struct intake *i = NULL;
	struct source bundle;
	struct intake_job j = {.c = r->c,
		.h = &r->head,
		.source = &bundle,
		.delta = &s->delta,
		.delta_source = &s->source,
		.stats = &r->stats};

	r->stats = (struct install_stats){0};
	s->memory.given = 0;
	if (rig_verify(r, "new.ota", e) < 0 || install_check(r->c, r->s, &r->head, e) < 0)
		return -1;
	bundle = source_file(&r->file);
	if (install_look(r->c, r->boot, r->s, &j, &i, e) < 0)
		return -1;
	assert_int_equal(s->memory.given, 0);
	return install_write(r->c, r->boot, r->s, i, &p, e);
}

/* Whatever ran there, this is what it has to come to; and so much of it by the delta. */
static void
assert_installed(struct scene *s, uint64_t running, uint64_t told, uint64_t network)
{
	const struct head *h = &s->rig.head;
	struct err e = ERR_INIT, why = ERR_INIT;
	struct tree_list list;
	bool same;

	if (scene_install(s, &e) < 0)
		fail_msg("%s", e.text);
	list = (struct tree_list){
		h->fd, h->name, &h->manifest->payloads[0], h->layout.offset[0][MEMBER_FILES]};
	assert_int_equal(tree_check("b", &list, NULL, &same, &why, &e), 0);
	assert_true(same);
	assert_int_equal(s->rig.stats.bytes_running, running * CHUNK_BYTES);
	assert_int_equal(s->rig.stats.bytes_delta, told * CHUNK_BYTES);
	assert_int_equal(s->rig.stats.bytes_fetched - s->memory.given,
		network == 0 ? 0 : network * CHUNK_BYTES + pages_stored_bytes(CHUNKS));
}

static void
a_tree_is_made_of_what_runs_and_of_records(void **state)
{
	CLEANUP(scene_free) struct scene s;
	const struct haul *h;

	scene_make(&s, *state);
	assert_int_equal(s.of_delta.full, 0);
	assert_in_range(records(&s), FRESH_CHUNKS * CHUNK_BYTES, 2 * FRESH_CHUNKS * CHUNK_BYTES);
	assert_installed(&s, DATA_CHUNKS + MOVED_CHUNKS, TOLD_CHUNKS, 0);
	assert_int_equal(s.memory.given, records(&s));
	h = &s.rig.s->intake.haul;
	assert_int_equal(h->in_place, 0);
	assert_int_equal(h->running, (DATA_CHUNKS + MOVED_CHUNKS) * CHUNK_BYTES);
	assert_int_equal(h->delta, TOLD_CHUNKS * CHUNK_BYTES);
	assert_int_equal(h->network, 0);
	assert_int_equal(h->records, records(&s));
	assert_int_equal(h->stored, records(&s));
}

static void
edit(const char *path, off_t at)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "edited here", 11, at), 11);
}

static void
what_somebody_edited_costs_the_chunks_concerned(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state);
	edit("a/data", CHUNK_BYTES + 5);
	edit("a/bin/program", 4 * CHUNK_BYTES + 5);
	assert_installed(&s, DATA_CHUNKS - 1 + MOVED_CHUNKS, TOLD_CHUNKS - 1, 2);
}

static void
a_file_that_is_gone_or_a_link_costs_its_chunks(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state);
	assert_int_equal(unlink("a/was"), 0);
	/* With the right bytes behind it, and all the same. */
	assert_int_equal(rename("a/bin", "bin"), 0);
	assert_int_equal(symlink("../bin", "a/bin"), 0);
	assert_installed(&s, DATA_CHUNKS, FRESH_CHUNKS, CHUNKS - DATA_CHUNKS - FRESH_CHUNKS);
}

/* What lies at the same path comes first, whatever a delta says. */
static void
nothing_is_fetched_for_a_file_that_is_new_already(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state);
	assert_int_equal(folder_put("a/bin/program", program[1], sizeof(program[1]) - 1), 0);
	assert_installed(&s, DATA_CHUNKS + MOVED_CHUNKS + PROGRAM_CHUNKS, 0, FRESH_CHUNKS);
	assert_int_equal(s.rig.s->intake.haul.records, 0);
	assert_int_equal(s.memory.given, 0);
}

static void
what_was_interrupted_needs_the_rest_only(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	scene_make(&s, *state);
	s.memory.broken_always = true;
	s.memory.broken_as = ERR_REFUSED;
	assert_int_equal(scene_install(&s, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(access("b", F_OK), -1);
	edit("b.new/data", 5);
	s.memory.broken_always = false;
	/* What has the same path was there before the first record. */
	assert_installed(&s, 1 + MOVED_CHUNKS, TOLD_CHUNKS, 0);
	assert_int_equal(s.rig.s->intake.haul.in_place, (DATA_CHUNKS - 1) * CHUNK_BYTES);
}

static void
a_record_that_lies_there_is_not_fetched_again(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state);
	assert_int_equal(mkdir("b.new", 0755), 0);
	assert_int_equal(mkdir("b.new/bin", 0755), 0);
	assert_int_equal(folder_put("b.new/bin/program", program[1], sizeof(program[1]) - 1), 0);
	assert_installed(&s, DATA_CHUNKS + MOVED_CHUNKS, 0, FRESH_CHUNKS);
	assert_int_equal(s.rig.s->intake.haul.in_place, PROGRAM_CHUNKS * CHUNK_BYTES);
	assert_int_equal(s.memory.given, 0);
}

static void
records_that_are_spoilt_or_cannot_be_had_come_from_the_bundle(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state);
	s.memory.spoilt_at = s.of_delta.listing.head_length + 3;
	s.memory.all_spoil = true;
	assert_installed(&s, DATA_CHUNKS + MOVED_CHUNKS, 0, TOLD_CHUNKS);
	assert_int_equal(s.memory.given, records(&s));
	assert_int_equal(system("rm -r b"), 0);
	s.memory.broken_always = true;
	/* Given up there, so what would have been copied behind it is not. */
	assert_installed(&s, DATA_CHUNKS, 0, CHUNKS - DATA_CHUNKS);
}

static void
without_the_list_of_what_runs_there_are_no_records(void **state)
{
	CLEANUP(scene_free) struct scene s;
	char path[PATH_MAX];
	struct err e = ERR_INIT;

	scene_make(&s, *state);
	assert_int_equal(shelf_path(s.rig.c, false, SIDE_A, path, &e), 0);
	assert_int_equal(unlink(path), 0);
	assert_installed(&s, DATA_CHUNKS, 0, CHUNKS - DATA_CHUNKS);
	assert_int_equal(s.memory.given, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_enter, folder_leave)
		IN_FOLDER(a_tree_is_made_of_what_runs_and_of_records),
		IN_FOLDER(what_somebody_edited_costs_the_chunks_concerned),
		IN_FOLDER(a_file_that_is_gone_or_a_link_costs_its_chunks),
		IN_FOLDER(nothing_is_fetched_for_a_file_that_is_new_already),
		IN_FOLDER(what_was_interrupted_needs_the_rest_only),
		IN_FOLDER(a_record_that_lies_there_is_not_fetched_again),
		IN_FOLDER(records_that_are_spoilt_or_cannot_be_had_come_from_the_bundle),
		IN_FOLDER(without_the_list_of_what_runs_there_are_no_records),
	};

	return cmocka_run_group_tests(tests, texts_make, NULL);
}
