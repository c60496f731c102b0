#include "tests/unit/rig.h"

#include "agent/order.h"

/* A plan may ask for more haste than a box is set to, and not for less. */
static void
an_order_has_the_shorter_deadline(void **state)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct world *w = world_new("rollouts/stable.json");
	struct decision d = {.wave = "canary"};
	struct order o;
	struct err e = ERR_INIT;

	(void)state;
	assert_true(c && w);
	w->bundle_url = strdup("bundles/x.ota");
	c->confirm_deadline_s = 900;
	w->plan.deadline_s = 3600;
	assert_int_equal(order_take(w, &d, c, &o, &e), 0);
	assert_int_equal(order_pending(&o).deadline_s, 900);
	order_free(&o);
	w->plan.deadline_s = 60;
	assert_int_equal(order_take(w, &d, c, &o, &e), 0);
	assert_int_equal(order_pending(&o).deadline_s, 60);
	assert_string_equal(order_pending(&o).wave, "canary");
	order_free(&o);
	world_free(&w);
	free(c);
}

/* The network is played here, by a file. */
struct net_source {
	struct file_source file;
};
static int served_fd, mirror_fd;
static size_t sites, mirrors_asked;

size_t
net_sources(const struct net *n)
{
	(void)n;
	return sites;
}

bool
net_next_source(struct net *n, const struct err *left_for)
{
	int other = mirror_fd;

	(void)n;
	assert_int_equal(left_for->class, ERR_UNTRUSTED);
	mirror_fd = served_fd;
	served_fd = other;
	mirrors_asked++;
	return sites > 1;
}

int
net_source_new(struct net *n, const char *path, uint64_t bytes, const struct keep_going *keep_going,
	struct net_source **out, struct err *e)
{
	static struct net_source only;

	(void)n;
	(void)bytes;
	(void)keep_going;
	(void)e;
	only.file = (struct file_source){.fd = served_fd, .name = path};
	*out = &only;
	return 0;
}

void
net_source_free(struct net_source **s)
{
	*s = NULL;
}

struct source
net_source_of(struct net_source *s)
{
	return source_file(&s->file);
}

enum { HEAD_BUDGET = 1 << 20 };

static int
bring_head(const struct rig *r, const struct order *o, struct kept_head *kept, struct err *e)
{
	AUTO_HEAD struct head h = HEAD_INIT;
	struct budget b = budget_begin(".", r->s, &o->listing.manifest_sha256, 1, HEAD_BUDGET);

	*e = ERR_INIT;
	return order_bring_head(o, r->c, NULL, &b, kept, NULL, &h, e);
}

static int
fetch_head(const struct rig *r, const struct order *o, struct err *e)
{
	struct kept_head kept = KEPT_HEAD_INIT;
	int rc = bring_head(r, o, &kept, e);

	kept_head_drop(&kept);
	return rc;
}

/* An order for x.ota, which is served. */
static struct order
order_served(struct rig *r)
{
	static const uint8_t image[CHUNK_BYTES + 9] = {1};
	AUTO_BUF struct buf whole = BUF_INIT(1 << 20);
	struct order o = {.bundle_url = (char *)(uintptr_t) "bundles/x.ota"};
	struct err e = ERR_INIT;

	rig_write_image(r, span_of(image, sizeof(image)), "2", 0, "x.ota");
	assert_int_equal(rig_verify(r, "x.ota", &e), 0);
	assert_int_equal(file_read("x.ota", &whole, &e), 0);
	served_fd = r->file.fd;
	sites = 1;
	mirrors_asked = 0;
	o.bundle_length = whole.len;
	o.listing.head_length = r->head.layout.head_size;
	o.listing.head_sha256 = digest_of(span_of(whole.data, o.listing.head_length));
	o.listing.manifest_sha256 = r->head.release.manifest;
	return o;
}

static void
a_head_is_of_the_release_that_was_ordered(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct order o;
	struct err e = ERR_INIT;
	uint64_t whole;

	rig_make(&r, *state, "[slot rootfs]\ntype = file\na = @/a\nb = @/b\n");
	o = order_served(&r);
	whole = o.bundle_length;
	if (fetch_head(&r, &o, &e) < 0)
		fail_msg("%s", e.text);
	for (int i = -1; i <= 1; i += 2) {
		o.bundle_length = whole + (uint64_t)i;
		assert_int_equal(fetch_head(&r, &o, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
	}
	o.bundle_length = whole;
	o.listing.manifest_sha256.b[0] ^= 1;
	assert_int_equal(fetch_head(&r, &o, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
}

/* An inhibitor says no for hours, say. */
static void
a_head_is_fetched_and_counted_once_however_often_it_is_asked_for(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct kept_head kept = KEPT_HEAD_INIT;
	struct order o;
	struct err e = ERR_INIT;
	int spoilt;

	rig_make(&r, *state, "[slot rootfs]\ntype = file\na = @/a\nb = @/b\n");
	o = order_served(&r);
	assert_int_equal(bring_head(&r, &o, &kept, &e), 0);
	assert_int_equal(r.s->spent.bytes, o.listing.head_length);
	served_fd = -1;
	assert_int_equal(bring_head(&r, &o, &kept, &e), 0);
	assert_int_equal(bring_head(&r, &o, &kept, &e), 0);
	assert_int_equal(r.s->spent.bytes, o.listing.head_length);
	/* The disk has spoilt it. */
	spoilt = kept.fd;
	assert_int_equal(ftruncate(spoilt, 5), 0);
	served_fd = r.file.fd;
	assert_int_equal(bring_head(&r, &o, &kept, &e), 0);
	assert_int_equal(r.s->spent.bytes, 2 * o.listing.head_length);
	assert_int_equal(r.s->spent.wasted_bytes, 0);
	/* Another one is fetched. */
	o.listing.head_sha256.b[0] ^= 1;
	assert_int_equal(bring_head(&r, &o, &kept, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(kept.fd, -1);
	assert_int_equal(mirrors_asked, 0);
}

/* A file with other bytes than these. */
static int
open_spoilt(uint64_t len)
{
	AUTO_FREE char *zeros = calloc(1, len);
	struct err e = ERR_INIT;
	int fd;

	assert_non_null(zeros);
	assert_int_equal(folder_put("spoilt", zeros, len), 0);
	assert_int_equal(file_open_read("spoilt", &fd, &e), 0);
	return fd;
}

static void
a_head_that_one_server_has_wrong_comes_from_another(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct order o;
	struct err e = ERR_INIT;
	int bad;

	rig_make(&r, *state, "[slot rootfs]\ntype = file\na = @/a\nb = @/b\n");
	o = order_served(&r);
	bad = open_spoilt(o.bundle_length);
	sites = 2;
	served_fd = bad;
	mirror_fd = r.file.fd;
	if (fetch_head(&r, &o, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(mirrors_asked, 1);
	/* What came wrong takes nothing from what the release may take. */
	assert_int_equal(r.s->spent.bytes, o.listing.head_length);
	assert_int_equal(r.s->spent.wasted_bytes, o.listing.head_length);
	/* Each is asked once. */
	served_fd = mirror_fd = bad;
	assert_int_equal(fetch_head(&r, &o, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	assert_int_equal(mirrors_asked, 2);
	assert_int_equal(r.s->spent.wasted_bytes, 3 * o.listing.head_length);
	assert_int_equal(r.s->spent.bytes, o.listing.head_length);
	close(bad);
}

static void
servers_that_have_it_wrong_use_up_so_much_and_no_more(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct order o;
	struct err e = ERR_INIT;
	int bad;

	rig_make(&r, *state, "[slot rootfs]\ntype = file\na = @/a\nb = @/b\n");
	o = order_served(&r);
	served_fd = bad = open_spoilt(o.bundle_length);
	r.s->spent = (struct spending){.manifest = o.listing.manifest_sha256,
		.attempt = 1,
		.wasted_bytes = HEAD_BUDGET - 1};
	assert_int_equal(fetch_head(&r, &o, &e), -1);
	assert_int_equal(e.class, ERR_UNTRUSTED);
	served_fd = r.file.fd;
	assert_int_equal(fetch_head(&r, &o, &e), -1);
	assert_int_equal(e.class, ERR_REFUSED);
	assert_int_equal(r.s->spent.wasted_bytes, HEAD_BUDGET - 1 + o.listing.head_length);
	close(bad);
}

static void
a_head_that_does_not_come_is_not_counted(void **state)
{
	CLEANUP(rig_free) struct rig r;
	struct order o;
	struct err e = ERR_INIT;

	rig_make(&r, *state, "[slot rootfs]\ntype = file\na = @/a\nb = @/b\n");
	o = order_served(&r);
	served_fd = -1;
	assert_int_equal(fetch_head(&r, &o, &e), -1);
	assert_int_equal(r.s->spent.bytes, 0);
	served_fd = r.file.fd;
	assert_int_equal(fetch_head(&r, &o, &e), 0);
	assert_int_equal(r.s->spent.bytes, o.listing.head_length);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_order_has_the_shorter_deadline),
		cmocka_unit_test_setup_teardown(
			a_head_is_fetched_and_counted_once_however_often_it_is_asked_for,
			folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(a_head_that_one_server_has_wrong_comes_from_another,
			folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(
			servers_that_have_it_wrong_use_up_so_much_and_no_more, folder_enter_memory,
			folder_leave),
		cmocka_unit_test_setup_teardown(a_head_that_does_not_come_is_not_counted,
			folder_enter_memory, folder_leave),
		cmocka_unit_test_setup_teardown(a_head_is_of_the_release_that_was_ordered,
			folder_enter_memory, folder_leave),
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
