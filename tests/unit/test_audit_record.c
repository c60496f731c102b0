#include "tests/unit/audit_scene.h"

#include "agent/audit_record.h"

static void
save(struct scene *s)
{
	struct err e = ERR_INIT;

	(void)found(s);
	if (audit_record_save(&s->rig.box, &s->audit, &e) < 0)
		fail_msg("%s", e.text);
}

static void
the_answer_is_remembered_as_long_as_it_is_about_what_runs(void **state)
{
	CLEANUP(scene_free) struct scene s;
	struct audit_record r;
	char why[AUDIT_WHY_SIZE];
	struct err e = ERR_INIT;

	scene_image(&s, *state, ROOTFS);
	assert_int_equal(audit_record_load(&s.rig.box, &r), AUDIT_NEVER);
	assert_int_equal(audit_record_answer(&s.rig.box, why), AUTHENTIC_UNKNOWN);
	s.rig.c->audit_s = 0;
	assert_int_equal(audit_record_answer(&s.rig.box, why), AUTHENTIC_UNSAID);
	put("b.img", 5, 'z');
	save(&s);
	assert_int_equal(audit_record_load(&s.rig.box, &r), AUDIT_KNOWN);
	assert_int_equal(r.running, AUTHENTIC_NO);
	assert_int_equal(r.other, AUTHENTIC_UNKNOWN);
	assert_int_equal(r.differences, 1);
	assert_true(r.at_s > 1700000000);
	assert_int_equal(audit_record_answer(&s.rig.box, why), AUTHENTIC_NO);
	assert_non_null(strstr(why, "chunk 0,"));
	put("b.img", 5, 'a');
	save(&s);
	assert_int_equal(audit_record_answer(&s.rig.box, why), AUTHENTIC_YES);
	assert_string_equal(why, "");
	rig_write_image(&s.rig, span_of(image, IMAGE_BYTES), "2.1", 0, "y.ota");
	assert_int_equal(rig_install(&s.rig, "y.ota", NULL, &e), 0);
	assert_int_equal(audit_record_answer(&s.rig.box, why), AUTHENTIC_YES);
	confirm(&s.rig, "boot-2");
	assert_int_equal(audit_record_load(&s.rig.box, &r), AUDIT_OUTDATED);
	assert_int_equal(audit_record_answer(&s.rig.box, why), AUTHENTIC_UNKNOWN);
}

static void
a_damaged_record_is_unknown(void **state)
{
	static const char *const texts[] = {"", "{}", "[]", "{\"format\":1}",
		"{\"format\":2,\"at_s\":1,\"running\":\"yes\",\"other\":\"yes\",\"differences\":0,"
		"\"why\":\"\",\"other_why\":\"\",\"running_sha256\":\"\",\"linked_sha256\":\"\"}",
		"{\"format\":1,\"at_s\":1,\"running\":\"sure\",\"other\":\"yes\",\"differences\":0,"
		"\"why\":\"\",\"other_why\":\"\",\"running_sha256\":\"\",\"linked_sha256\":\"\"}"};
	CLEANUP(scene_free) struct scene s;
	struct audit_record r;
	char why[AUDIT_WHY_SIZE];

	scene_make(&s, *state, ROOTFS);
	rig_file("state/audit.json",
		"{\"format\":1,\"at_s\":1,\"running\":\"yes\",\"other\":\"yes\",\"differences\":0,"
		"\"why\":\"\",\"other_why\":\"\",\"running_sha256\":\"\",\"linked_sha256\":\"\"}");
	assert_int_equal(audit_record_load(&s.rig.box, &r), AUDIT_KNOWN);
	s.rig.c->audit_s = 0;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		rig_file("state/audit.json", texts[i]);
		assert_int_equal(audit_record_load(&s.rig.box, &r), AUDIT_OUTDATED);
		assert_int_equal(audit_record_answer(&s.rig.box, why), AUTHENTIC_UNKNOWN);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_enter_memory, folder_leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_answer_is_remembered_as_long_as_it_is_about_what_runs),
		TEST(a_damaged_record_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
