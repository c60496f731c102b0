/* How the head of an ordered bundle is brought where there is a delta. */
#include "tests/unit/delta_head_scene.h"

#include "agent/order.h"
#include "agent/shelf.h"

/* The network is played here: a file for each of two paths, and others for the delta on a mirror.
 */
struct net_source {
	struct file_source file;
	struct source inner;
};
static int bundle_fd, delta_fd, mirror_fd;
static size_t sites, mirrors_asked;
static uint64_t of_bundle, of_delta; /* bytes given */
static bool refused;		     /* the delta is */

size_t
net_sources(const struct net *n)
{
	(void)n;
	return sites;
}

bool
net_next_source(struct net *n, const struct err *left_for)
{
	(void)n;
	assert_int_equal(left_for->class, ERR_UNTRUSTED);
	delta_fd = mirror_fd;
	mirrors_asked++;
	return sites > 1;
}

int
net_source_new(struct net *n, const char *path, uint64_t bytes, const struct keep_going *keep_going,
	struct net_source **out, struct err *e)
{
	struct net_source *s = calloc(1, sizeof(*s));

	(void)n;
	(void)bytes;
	(void)keep_going;
	(void)e;
	assert_non_null(s);
	s->file = (struct file_source){
		.fd = strcmp(path, "the delta") == 0 ? delta_fd : bundle_fd, .name = path};
	s->inner = source_file(&s->file);
	*out = s;
	return 0;
}

void
net_source_free(struct net_source **s)
{
	free(*s);
	*s = NULL;
}

static int
played_open(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct net_source *s = arg;

	if (refused && s->file.fd == delta_fd)
		return err_set(e, ERR_NETWORK, "404");
	return s->inner.open(&s->file, offset, len, e);
}

static ssize_t
played_read(void *arg, void *data, size_t len, struct err *e)
{
	struct net_source *s = arg;
	ssize_t n = s->inner.read(&s->file, data, len, e);

	if (n > 0)
		*(s->file.fd == bundle_fd ? &of_bundle : &of_delta) += (uint64_t)n;
	return n;
}

static void
played_close(void *arg)
{
	struct net_source *s = arg;

	s->inner.close(&s->file);
}

struct source
net_source_of(struct net_source *s)
{
	return (struct source){
		.arg = s, .open = played_open, .read = played_read, .close = played_close};
}

/* What the order says, and what was brought. */
struct bringing {
	struct scene s;
	struct order o;
	struct kept_head kept;
	struct head head;
	uint64_t budget;
};

static void
bringing_end(struct bringing *b)
{
	head_free(&b->head);
	kept_head_drop(&b->kept);
	scene_free(&b->s);
}

static void
bringing_begin(struct bringing *b, const char *folder)
{
	struct err e = ERR_INIT;

	memset(b, 0, sizeof(*b));
	b->head = HEAD_INIT;
	b->kept = KEPT_HEAD_INIT;
	b->budget = 1 << 20;
	scene_make(&b->s, folder, "CSRFCS");
	b->o.bundle_url = (char *)(uintptr_t) "the bundle";
	b->o.bundle_length = b->s.rig.head.layout.total_size;
	b->o.listing = b->s.listing;
	b->o.delta = (struct delta_offer){.url = (char *)(uintptr_t) "the delta",
		.length = b->s.file.len,
		.listing = {.head_length = b->s.delta.head.size,
			.head_sha256 =
				digest_of(span_of(b->s.file.data, (size_t)b->s.delta.head.size)),
			.from = b->s.old.release.manifest,
			.to = b->s.listing.manifest_sha256},
		.side = SIDE_A};
	assert_int_equal(shelf_keep(b->s.rig.c, false, SIDE_A, &b->s.old, &e), 0);
	bundle_fd = b->s.rig.file.fd;
	delta_fd = b->s.delta.fd;
	mirror_fd = -1;
	sites = 1;
	mirrors_asked = of_bundle = of_delta = 0;
	refused = false;
}

static int
bring(struct bringing *b, struct err *e)
{
	struct budget budget =
		budget_begin(".", b->s.rig.s, &b->o.listing.manifest_sha256, 1, b->budget);

	*e = ERR_INIT;
	head_free(&b->head);
	return order_bring_head(&b->o, b->s.rig.c, NULL, &budget, &b->kept, NULL, &b->head, e);
}

static void
assert_brought(struct bringing *b)
{
	struct err e;

	if (bring(b, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(digest_equal(&b->head.release.manifest, &b->o.listing.manifest_sha256));
}

static void
a_delta_spares_the_head_of_the_bundle(void **state)
{
	CLEANUP(bringing_end) struct bringing b;

	bringing_begin(&b, *state);
	assert_brought(&b);
	assert_int_equal(of_bundle, 0);
	assert_int_equal(of_delta, b.o.delta.listing.head_length);
	assert_true(b.kept.delta.fd >= 0);
	assert_int_equal(b.s.rig.s->spent.bytes, of_delta);
	assert_int_equal(b.s.rig.s->spent.wasted_bytes, 0);
}

static void
both_are_kept_and_fetched_once(void **state)
{
	CLEANUP(bringing_end) struct bringing b;

	bringing_begin(&b, *state);
	assert_brought(&b);
	assert_brought(&b);
	assert_int_equal(of_bundle, 0);
	assert_int_equal(of_delta, b.o.delta.listing.head_length);
	assert_true(b.kept.delta.fd >= 0);
	/* And not for another release that runs. */
	b.o.delta.listing.from.b[0] ^= 1;
	assert_brought(&b);
	assert_int_equal(b.kept.delta.fd, -1);
	assert_int_equal(of_delta, b.o.delta.listing.head_length);
}

static void
a_head_that_is_not_what_was_signed_is_not_looked_into(void **state)
{
	CLEANUP(bringing_end) struct bringing b;
	uint64_t len;

	bringing_begin(&b, *state);
	len = b.o.delta.listing.head_length;
	b.o.delta.listing.head_sha256.b[3] ^= 1;
	assert_brought(&b);
	assert_int_equal(of_delta, len);
	assert_int_equal(of_bundle, b.o.listing.head_length);
	assert_int_equal(b.kept.delta.fd, -1);
	/* What came of it came for nothing. */
	assert_int_equal(b.s.rig.s->spent.bytes, of_bundle);
	assert_int_equal(b.s.rig.s->spent.wasted_bytes, of_delta);
}

static void
another_server_is_asked_for_a_head_that_is_wrong(void **state)
{
	CLEANUP(bringing_end) struct bringing b;
	AUTO_CLOSE int spoilt = memory_file(span_str("not this"));
	struct err e = ERR_INIT;

	bringing_begin(&b, *state);
	assert_int_equal(ftruncate(spoilt, (off_t)b.s.file.len), 0);
	mirror_fd = delta_fd;
	delta_fd = spoilt;
	sites = 2;
	assert_brought(&b);
	assert_int_equal(mirrors_asked, 1);
	assert_int_equal(of_bundle, 0);
	assert_int_equal(e.class, ERR_NONE);
}

static void
without_a_delta_at_the_server_it_is_as_ever(void **state)
{
	CLEANUP(bringing_end) struct bringing b;

	bringing_begin(&b, *state);
	refused = true;
	assert_brought(&b);
	assert_int_equal(of_bundle, b.o.listing.head_length);
	assert_int_equal(b.kept.delta.fd, -1);
}

static void
a_lost_shelf_costs_pages_at_most(void **state)
{
	CLEANUP(bringing_end) struct bringing b;
	char path[PATH_MAX];
	struct err e = ERR_INIT;

	bringing_begin(&b, *state);
	assert_int_equal(shelf_path(b.s.rig.c, false, SIDE_A, path, &e), 0);
	assert_int_equal(unlink(path), 0);
	assert_brought(&b);
	/* The tree's page: chunks of trees are told by the old index alone. */
	assert_int_equal(of_bundle, 3 * INDEX_ENTRY_BYTES);
	assert_true(b.kept.delta.fd >= 0);
}

static void
a_delta_whose_head_is_no_smaller_is_not_fetched(void **state)
{
	CLEANUP(bringing_end) struct bringing b;

	bringing_begin(&b, *state);
	b.o.delta.listing.head_length = b.o.listing.head_length;
	b.o.delta.length = 1 << 20;
	assert_brought(&b);
	assert_int_equal(of_delta, 0);
	assert_int_equal(of_bundle, b.o.listing.head_length);
}

static void
a_head_over_the_budget_holds_the_update(void **state)
{
	CLEANUP(bringing_end) struct bringing b;
	struct err e;

	bringing_begin(&b, *state);
	b.budget = b.o.delta.listing.head_length - 1;
	assert_int_equal(bring(&b, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(of_delta + of_bundle, 0);
}

/* Signed for this pair of releases, and made from another build. */
static void
a_delta_from_another_build_costs_its_head(void **state)
{
	CLEANUP(bringing_end) struct bringing b;
	uint8_t other[3 * CHUNK_BYTES];

	bringing_begin(&b, *state);
	b.s.old.release.manifest.b[0] ^= 1;
	noise(other, sizeof(other), 77);
	image_put("a.img", other, sizeof(other));
	assert_brought(&b);
	/* A page of six chunks is fetched; the rest is for whoever writes. */
	assert_int_equal(of_bundle, 6 * INDEX_ENTRY_BYTES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_delta_spares_the_head_of_the_bundle, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			both_are_kept_and_fetched_once, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_head_that_is_not_what_was_signed_is_not_looked_into, folder_enter,
			folder_leave),
		cmocka_unit_test_setup_teardown(another_server_is_asked_for_a_head_that_is_wrong,
			folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			without_a_delta_at_the_server_it_is_as_ever, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_lost_shelf_costs_pages_at_most, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(a_delta_whose_head_is_no_smaller_is_not_fetched,
			folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_head_over_the_budget_holds_the_update, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			a_delta_from_another_build_costs_its_head, folder_enter, folder_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
