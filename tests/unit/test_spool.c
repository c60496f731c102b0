#include "tests/unit/sample.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/spool.h"
#include "common/base/file.h"
#include "common/crypto/pubkey.h"
#include "common/crypto/seckey.h"
#include "tests/unit/folder.h"

struct scene {
	char *folder;
	struct conf c;
	struct state *s;
	struct seckey *key;
};

static int
scene_set(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct err e;
	void *folder = NULL;

	assert_non_null(scene);
	assert_int_equal(folder_enter(&folder), 0);
	scene->folder = folder;
	scene->s = calloc(1, sizeof(*scene->s));
	scene->s->next_seq = 1;
	scene->c = (struct conf){.id = "gw-000001",
		.compatible = "acme-gw3",
		.tags = json_pack("{s:s}", "site", "lyon"),
		.state_dir = folder,
		.report_url = (char *)(uintptr_t) "https://127.0.0.1:1/",
		.report_key = (char *)(uintptr_t) "box.key"};
	assert_int_equal(seckey_new(&scene->key, &e), 0);
	assert_int_equal(seckey_save(scene->key, "box.key", NULL, &e), 0);
	*state = scene;
	return 0;
}

static int
scene_clear(void **state)
{
	struct scene *scene = *state;
	void *folder = scene->folder;

	json_decref(scene->c.tags);
	seckey_free(&scene->key);
	free(scene->s);
	free(scene);
	return folder_leave(&folder);
}

static int
add(struct scene *scene, const char *detail, struct err *e)
{
	AUTO_REPORT struct report r = {.at_s = 1795359600,
		.boot_id = "boot-1",
		.state = BOX_CONFIRMED,
		.outcome = OUTCOME_OK,
		.source = "network",
		.class_ = "none"};

	(void)snprintf(r.detail, sizeof(r.detail), "%s", detail);
	return spool_add(&scene->c, scene->s, &r, e);
}

static void
a_report_is_kept_signed_by_the_box(void **state)
{
	struct scene *scene = *state;
	AUTO_BUF struct buf bytes = BUF_INIT(REPORT_BYTES_MAX);
	AUTO_VERIFIED struct verified v = {0};
	AUTO_REPORT struct report r = {0};
	AUTO_JSON json_t *key = NULL;
	AUTO_JSON json_t *keys = json_object();
	AUTO_JSON json_t *ids = json_array();
	struct role_keys role = {keys, ids, 1};
	char id[DIGEST_HEX_SIZE];
	uint8_t raw[32];
	struct stat st;
	struct err e = ERR_INIT;

	assert_int_equal(add(scene, "it went well", &e), 0);
	assert_int_equal(file_read("spool/1.json", &bytes, &e), 0);
	seckey_public(scene->key, raw);
	assert_int_equal(pubkey_json_ed25519(raw, &key, &e), 0);
	assert_int_equal(pubkey_id(key, id, &e), 0);
	(void)json_object_set(keys, id, key);
	(void)json_array_append_new(ids, json_string(id));
	assert_int_equal(envelope_verify(buf_span(&bytes), "report", &role, &v, &e), 0);
	assert_int_equal(report_parse(&v, &r, &e), 0);
	assert_string_equal(r.box, "gw-000001");
	assert_string_equal(r.compatible, "acme-gw3");
	assert_string_equal(json_string_value(json_object_get(r.tags, "site")), "lyon");
	assert_string_equal(r.detail, "it went well");
	assert_int_equal(r.seq, 1);
	assert_int_equal(scene->s->next_seq, 2);
	assert_int_equal(stat("spool/1.json", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
a_sequence_number_is_never_used_twice(void **state)
{
	struct scene *scene = *state;
	AUTO_FREE struct state *loaded = calloc(1, sizeof(*loaded));
	struct err e = ERR_INIT;

	assert_int_equal(add(scene, "one", &e), 0);
	assert_int_equal(state_load(scene->c.state_dir, loaded, &e), 0);
	assert_int_equal(loaded->next_seq, 2);
	/* Something is in our way: the number is gone all the same. */
	assert_int_equal(dir_make("spool/2.json", 0700, &e), 0);
	assert_int_equal(add(scene, "two", &e), -1);
	assert_int_equal(state_load(scene->c.state_dir, loaded, &e), 0);
	assert_int_equal(loaded->next_seq, 3);
}

/* As after a power cut that came before it was known to be kept. */
static void
a_report_that_is_made_again_is_the_same_report(void **state)
{
	struct scene *scene = *state;
	AUTO_BUF struct buf first = BUF_INIT(REPORT_BYTES_MAX), again = BUF_INIT(REPORT_BYTES_MAX);
	struct report r = {
		.at_s = 1795359600, .boot_id = "boot-1", .source = "network", .class_ = "none"};
	uint64_t *seq = &scene->s->ended.seq;
	struct err e = ERR_INIT;
	size_t count;

	assert_int_equal(add(scene, "another one", &e), 0);
	assert_int_equal(spool_add_once(&scene->c, scene->s, &r, seq, &e), 0);
	assert_int_equal(*seq, 2);
	assert_int_equal(file_read("spool/2.json", &first, &e), 0);
	r.at_s++;
	assert_int_equal(spool_add_once(&scene->c, scene->s, &r, seq, &e), 0);
	assert_int_equal(file_read("spool/2.json", &again, &e), 0);
	assert_true(span_equal(buf_span(&first), buf_span(&again)));
	/* Sent meanwhile, or never made: again under the number it was given. */
	assert_int_equal(file_remove("spool/2.json", &e), 0);
	assert_int_equal(spool_add_once(&scene->c, scene->s, &r, seq, &e), 0);
	assert_true(file_exists("spool/2.json"));
	assert_int_equal(scene->s->next_seq, 3);
	assert_int_equal(spool_count(&scene->c, &count, &e), 0);
	assert_int_equal(count, 2);
	json_decref(r.tags);
}

/* No server is asked for any of them: there is none. */
static void
damaged_reports_are_set_aside_and_hold_up_nothing(void **state)
{
	struct scene *scene = *state;
	AUTO_BUF struct buf good = BUF_INIT(REPORT_BYTES_MAX);
	struct net_reply reply;
	struct err e = ERR_INIT;
	size_t count;

	assert_int_equal(add(scene, "one", &e), 0);
	assert_int_equal(file_read("spool/1.json", &good, &e), 0);
	for (size_t len = 0; len + 1 < good.len; len++) {
		assert_int_equal(folder_put("spool/1.json", good.data, len), 0);
		if (spool_send(&scene->c, NULL, NULL, &reply, &e) < 0)
			fail_msg("%s", e.text);
		assert_false(file_exists("spool/1.json"));
		assert_true(file_exists("spool/damaged"));
	}
	assert_int_equal(folder_put("spool/7.json", good.data, good.len), 0);
	assert_int_equal(spool_send(&scene->c, NULL, NULL, &reply, &e), 0);
	scene->c.id[8] = '2'; /* the disk of another box */
	assert_int_equal(folder_put("spool/1.json", good.data, good.len), 0);
	assert_int_equal(spool_send(&scene->c, NULL, NULL, &reply, &e), 0);
	assert_int_equal(spool_count(&scene->c, &count, &e), 0);
	assert_int_equal(count, 0);
	assert_int_equal(reply.retry_after_s, -1);
}

static void
what_a_power_cut_left_half_made_is_swept(void **state)
{
	struct scene *scene = *state;
	struct err e = ERR_INIT;
	char name[32];

	assert_int_equal(dir_make("spool", 0700, &e), 0);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "spool/%d.json.Ab3xYz", i);
		assert_int_equal(folder_put(name, "{", 1), 0);
	}
	assert_int_equal(add(scene, "one", &e), 0);
	assert_false(file_exists("spool/0.json.Ab3xYz"));
	assert_false(file_exists("spool/999.json.Ab3xYz"));
	assert_true(file_exists("spool/1.json"));
}

static void
the_oldest_go_when_too_many_wait(void **state)
{
	struct scene *scene = *state;
	struct err e = ERR_INIT;
	size_t count;

	assert_int_equal(dir_make("spool", 0700, &e), 0);
	assert_int_equal(file_create("spool/.tmp", 0600, span_str("x"), &e), 0);
	assert_int_equal(file_create("spool/0.json", 0600, span_str("x"), &e), 0);
	for (int i = 0; i < SPOOL_MAX + 2; i++)
		assert_int_equal(add(scene, "again", &e), 0);
	assert_int_equal(spool_count(&scene->c, &count, &e), 0);
	assert_int_equal(count, SPOOL_MAX);
	assert_false(file_exists("spool/1.json"));
	assert_false(file_exists("spool/2.json"));
	assert_true(file_exists("spool/3.json"));
	assert_true(file_exists("spool/258.json"));
	assert_true(file_exists("spool/.tmp"));
}

/* An agent with another limit ran here. */
static void
however_many_wait_reporting_goes_on(void **state)
{
	enum { WAITING = SPOOL_MAX + 20 };
	struct scene *scene = *state;
	struct err e = ERR_INIT;
	char name[64];
	size_t count;
	int fd;

	assert_int_equal(dir_make("spool", 0700, &e), 0);
	for (int i = 1; i <= WAITING; i++) {
		(void)snprintf(name, sizeof(name), "spool/%d.json", i);
		fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(close(fd), 0);
	}
	assert_int_equal(spool_count(&scene->c, &count, &e), 0);
	assert_int_equal(count, SPOOL_MAX);
	scene->s->next_seq = WAITING + 1;
	assert_int_equal(add(scene, "newest", &e), 0);
	assert_int_equal(spool_count(&scene->c, &count, &e), 0);
	assert_int_equal(count, SPOOL_MAX);
	(void)snprintf(name, sizeof(name), "spool/%d.json", WAITING + 1 - SPOOL_MAX);
	assert_false(file_exists(name));
	(void)snprintf(name, sizeof(name), "spool/%d.json", WAITING + 2 - SPOOL_MAX);
	assert_true(file_exists(name));
	(void)snprintf(name, sizeof(name), "spool/%d.json", WAITING + 1);
	assert_true(file_exists(name));
	assert_false(file_exists("spool/1.json"));
}

static void
a_box_that_reports_nowhere_keeps_nothing(void **state)
{
	struct scene *scene = *state;
	struct net_reply reply;
	struct err e = ERR_INIT;
	size_t count;

	scene->c.report_url = NULL;
	assert_int_equal(add(scene, "one", &e), 0);
	assert_int_equal(spool_count(&scene->c, &count, &e), 0);
	assert_int_equal(count, 0);
	assert_int_equal(spool_send(&scene->c, NULL, NULL, &reply, &e), 0);
}

static void
a_key_that_cannot_be_read_is_an_error_and_uses_no_number(void **state)
{
	struct scene *scene = *state;
	struct err e = ERR_INIT;

	assert_int_equal(unlink("box.key"), 0);
	assert_int_equal(add(scene, "one", &e), -1);
	assert_int_equal(scene->s->next_seq, 1);
	assert_false(file_exists("spool"));
}

#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_set, scene_clear)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_report_is_kept_signed_by_the_box),
		IN_SCENE(a_sequence_number_is_never_used_twice),
		IN_SCENE(a_report_that_is_made_again_is_the_same_report),
		IN_SCENE(damaged_reports_are_set_aside_and_hold_up_nothing),
		IN_SCENE(what_a_power_cut_left_half_made_is_swept),
		IN_SCENE(the_oldest_go_when_too_many_wait),
		IN_SCENE(however_many_wait_reporting_goes_on),
		IN_SCENE(a_box_that_reports_nowhere_keeps_nothing),
		IN_SCENE(a_key_that_cannot_be_read_is_an_error_and_uses_no_number),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
