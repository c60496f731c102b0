/* An install of a bundle whose chunks a delta tells. */
#include "tests/unit/delta_box_scene.h"
#include "tests/unit/rig.h"

#include "common/format/hints.h"

static const char ROOTFS[] = "[slot rootfs]\ntype = file\na = @/a.img\nb = @/b.img\n";

/* Side A runs the old image. */
struct scene {
	struct rig rig;
	struct two two;
	struct made made;
	struct told told;
	struct buf records, file;
	struct delta delta;
	struct memory_source memory;
	struct source source; /* of the delta */
	uint64_t from_bundle; /* bytes */
};

static void
scene_free(struct scene *s)
{
	delta_drop(&s->delta);
	told_free(&s->told);
	made_free(&s->made);
	buf_free(&s->records);
	buf_free(&s->file);
	two_free(&s->two);
	rig_free(&s->rig);
}

static void
image_put(const char *path, const uint8_t *bytes, size_t len)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	struct err e = ERR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(file_pwrite_full(fd, path, bytes, len, 0, &e), 0);
}

static void
image_hints(const struct scene *s, struct buf *out)
{
	struct err e = ERR_INIT;

	for (size_t at = 0; at < s->two.bytes; at += CHUNK_BYTES) {
		uint8_t hints[HINTS_CHUNK_BYTES];
		size_t n = hints_of(span_of(s->two.fresh + at, CHUNK_BYTES), hints);

		assert_int_equal(buf_append(out, hints, n, &e), 0);
	}
}

static void
bundle_make(struct scene *s)
{
	AUTO_BUF struct buf hints = BUF_INIT(1 << 20);
	struct rig_bundle b = {.version = "2.0", .count = 1, .made = {&s->made}, .hints = {&hints}};

	image_hints(s, &hints);
	made_image(&s->made, "rootfs", "rootfs", span_of(s->two.fresh, s->two.bytes));
	s->made.p.members[MEMBER_HINTS] =
		(struct member){true, hints.len, digest_of(buf_span(&hints))};
	rig_write(&s->rig, &b, "new.ota");
}

static void
delta_place(struct scene *s)
{
	struct manifest m = {.payload_count = 1};
	struct digest none = {{0}};
	struct err e = ERR_INIT;

	two_tell(&s->two, &s->told, &s->records);
	delta_make(&s->told, &s->records, 1, "{}", &none, &s->file, &s->delta);
	m.payloads[0] = s->made.p;
	m.payloads[0].members[MEMBER_SEALS].size = 0;
	assert_int_equal(delta_head_place("the delta", &s->delta.head, &m, &e), 0);
	s->memory = (struct memory_source){.bytes = buf_span(&s->file)};
	s->source = memory_source(&s->memory);
}

static void
scene_make(struct scene *s, const char *folder, const char *told)
{
	*s = (struct scene){
		.delta = DELTA_INIT, .file = BUF_INIT(1 << 24), .records = BUF_INIT(1 << 24)};
	rig_make(&s->rig, folder, ROOTFS);
	rig_slot("a.img");
	rig_slot("b.img");
	two_make(&s->two, told);
	told_init(&s->told);
	image_put("a.img", s->two.old, s->two.old_bytes);
	bundle_make(s);
	delta_place(s);
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
	if (rig_verify(r, "new.ota", e) < 0 || install_check(r->c, r->s, &r->head, e) < 0)
		return -1;
	bundle = source_file(&r->file);
	if (install_look(r->c, r->boot, r->s, &j, &i, e) < 0)
		return -1;
	assert_int_equal(s->memory.given, 0);
	return install_write(r->c, r->boot, r->s, i, &p, e);
}

static void
assert_installed(struct scene *s)
{
	AUTO_CLOSE int fd = open("b.img", O_RDONLY | O_CLOEXEC);
	AUTO_FREE uint8_t *got = malloc(s->two.bytes);
	struct err e = ERR_INIT;

	assert_true(fd >= 0 && got);
	s->memory.given = 0;
	if (scene_install(s, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(file_pread_full(fd, "b.img", got, s->two.bytes, 0, &e), 0);
	assert_memory_equal(got, s->two.fresh, s->two.bytes);
}

static void
the_plan_says_what_a_delta_gives_and_it_comes_so(void **state)
{
	CLEANUP(scene_free) struct scene s;
	const struct haul *h;
	char text[HAUL_TEXT_SIZE];

	scene_make(&s, *state, "CSRRFZR");
	assert_installed(&s);
	h = &s.rig.s->intake.haul;
	assert_int_equal(h->in_place, CHUNK_BYTES); /* zeros, which a new slot has */
	assert_int_equal(h->running, 2 * CHUNK_BYTES);
	assert_int_equal(h->delta, 3 * CHUNK_BYTES);
	assert_int_equal(h->network, CHUNK_BYTES);
	assert_int_equal(h->records, s.records.len);
	assert_int_equal(h->stored, s.records.len + CHUNK_BYTES);
	assert_int_equal(h->ranges, 2);
	assert_non_null(strstr(haul_text(h, text), "192.0 KiB told by a delta in "));
	assert_int_equal(s.rig.stats.bytes_delta, 3 * CHUNK_BYTES);
	assert_int_equal(s.rig.stats.bytes_running, 2 * CHUNK_BYTES);
	/* No hints, and of the page that says as what chunks are stored only the one. */
	assert_int_equal(
		s.rig.stats.bytes_fetched, s.records.len + CHUNK_BYTES + pages_stored_bytes(7));
	assert_int_equal(s.memory.given, s.records.len);
	assert_memory_equal(&s.rig.s->intake.stats, &s.rig.stats, sizeof(s.rig.stats));
}

static void
a_chunk_that_does_not_come_out_right_is_fetched(void **state)
{
	CLEANUP(scene_free) struct scene s;
	uint8_t spoilt[2 * CHUNK_BYTES];

	scene_make(&s, *state, "CSRRFCR");
	memcpy(spoilt, s.two.old, sizeof(spoilt));
	spoilt[CHUNK_BYTES + SHIFT_BYTES] ^= 1;
	image_put("a.img", spoilt, sizeof(spoilt));
	assert_installed(&s);
	assert_int_equal(s.rig.stats.bytes_delta, 3 * CHUNK_BYTES);
	assert_int_equal(s.rig.stats.bytes_running, 2 * CHUNK_BYTES);
	assert_int_equal(
		s.rig.stats.bytes_fetched, s.records.len + 2 * CHUNK_BYTES + pages_stored_bytes(7));
}

/* What the delta does not find is found by hints: the running image has it elsewhere. */
static void
without_records_the_rest_is_planned_anew(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state, "RCSSSSS");
	s.memory.broken_always = true;
	assert_installed(&s);
	assert_int_equal(s.rig.stats.bytes_delta, 0);
	assert_true(s.rig.stats.bytes_running > 6 * CHUNK_BYTES);
	assert_true(s.rig.stats.bytes_fetched < CHUNK_BYTES);
}

static void
what_was_interrupted_needs_the_rest_only(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct err e = ERR_INIT;

	scene_make(&s, *state, "RRRRRRR");
	s.memory.broken_always = true;
	s.memory.broken_as = ERR_REFUSED;
	image_put("b.img", s.two.fresh, 4 * CHUNK_BYTES);
	assert_int_equal(scene_install(&s, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	s.memory.broken_always = false;
	assert_installed(&s);
	assert_int_equal(s.rig.s->intake.haul.in_place, 4 * CHUNK_BYTES);
	assert_int_equal(s.rig.stats.bytes_delta, 3 * CHUNK_BYTES);
	assert_in_range(s.memory.given, 1, s.records.len - 1);
}

/* Its pieces are sound, and what they make is not what was signed. */
static void
a_delta_that_makes_something_else_is_not_believed(void **state)
{
	CLEANUP(scene_free) struct scene s;
	CLEANUP(two_free) struct two other;

	scene_make(&s, *state, "RRRRRRR");
	two_make(&other, "RRRRRRR");
	for (size_t at = 0; at < other.bytes; at += CHUNK_BYTES)
		other.fresh[at + 7] ^= 9;
	told_free(&s.told);
	buf_clear(&s.records);
	buf_clear(&s.file);
	delta_drop(&s.delta);
	two_free(&s.two);
	s.two = other;
	other = (struct two){0};
	told_init(&s.told);
	delta_place(&s);
	two_free(&s.two);
	two_make(&s.two, "RRRRRRR");
	assert_installed(&s);
	assert_int_equal(s.rig.stats.bytes_delta, 0);
}

static void
a_slot_smaller_than_the_old_image_is_no_base(void **state)
{
	CLEANUP(scene_free) struct scene s;

	scene_make(&s, *state, "RRRRRRR");
	assert_int_equal(truncate("a.img", (off_t)s.two.old_bytes - 1), 0);
	assert_installed(&s);
	assert_int_equal(s.rig.stats.bytes_delta, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_plan_says_what_a_delta_gives_and_it_comes_so,
			folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(a_chunk_that_does_not_come_out_right_is_fetched,
			folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			without_records_the_rest_is_planned_anew, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			what_was_interrupted_needs_the_rest_only, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(a_delta_that_makes_something_else_is_not_believed,
			folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_slot_smaller_than_the_old_image_is_no_base, folder_enter, folder_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
