#include <stdio.h>

#include "agent/conf.h"
#include "common/base/file.h"
#include "signer/box_conf.h"
#include "tests/unit/folder.h"
#include "tests/unit/sample.h"

static char site_url[] = "https://updates.example.com/",
	    report_url[] = "https://r.example.com:8443/";

/* Writes agent.conf as `box add` does and reads it as the agent does. */
static int
conf_of(const char *compatible, struct conf *out, struct err *e)
{
	AUTO_JSON json_t *tags = json_pack("{s:s, s:s}", "site", "lyon", "ring", "very early");
	AUTO_BUF struct buf text = BUF_INIT(CONF_BYTES_MAX);
	const struct workspace w = {.site_url = site_url, .report_url = report_url};
	const struct box_conf c = {.name = "gw-1",
		.compatible = compatible,
		.plan = "lyon",
		.etc = "/etc/sluice",
		.state = "/data/sluice",
		.tags = tags};

	assert_int_equal(box_conf_write(&w, &c, &text, e), 0);
	assert_int_equal(file_replace("agent.conf", 0644, buf_span(&text), e), 0);
	return conf_load("agent.conf", out, e);
}

static void
the_agent_reads_what_a_box_is_given(void **state)
{
	AUTO_CONF struct conf c = {0};
	struct err e = ERR_INIT;

	(void)state;
	if (conf_of("acme-gw3", &c, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(c.id, "gw-1");
	assert_string_equal(c.compatible, "acme-gw3");
	assert_string_equal(c.plan, "rollouts/lyon.json");
	assert_string_equal(c.state_dir, "/data/sluice");
	assert_string_equal(c.site_url, site_url);
	assert_string_equal(c.report_url, report_url);
	assert_string_equal(c.tls_ca, "/etc/sluice/ca.crt");
	assert_string_equal(c.tls_cert, "/etc/sluice/box.crt");
	assert_string_equal(c.tls_key, "/etc/sluice/box.key");
	assert_string_equal(c.report_key, "/etc/sluice/report.key");
	assert_string_equal(json_string_value(json_object_get(c.tags, "site")), "lyon");
	assert_string_equal(json_string_value(json_object_get(c.tags, "ring")), "very early");
}

static void
what_is_left_to_be_filled_in_is_asked_for_by_the_agent(void **state)
{
	struct conf c;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(conf_of("", &c, &e), -1);
	assert_non_null(strstr(e.text, "compatible"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_agent_reads_what_a_box_is_given, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(
			what_is_left_to_be_filled_in_is_asked_for_by_the_agent, folder_enter,
			folder_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
