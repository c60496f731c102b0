#include "signer/inventory.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/num.h"
#include "signer/csv.h"
#include "tests/unit/sample.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char folder[] = "/tmp/sluice-test-XXXXXX", path[64];

static int
folder_make(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/boxes.csv", folder);
	return 0;
}

static int
folder_remove(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(folder);
}

static void
file_write_span(struct span bytes)
{
	struct err e = ERR_INIT;

	assert_int_equal(file_replace(path, 0600, bytes, &e), 0);
}

/* All that the records hold, each field in brackets, each record in a line. */
static int
records(struct span bytes, char *out, size_t size, struct err *e)
{
	AUTO_CSV struct csv *c = NULL;
	bool record = true;
	size_t len = 0;

	file_write_span(bytes);
	out[0] = 0;
	assert_int_equal(csv_open(path, &c, e), 0);
	for (;;) {
		if (csv_next(c, &record, e) < 0)
			return -1;
		if (!record)
			return 0;
		for (size_t i = 0; i < csv_count(c); i++)
			len += (size_t)snprintf(out + len, size - len, "[%s]", csv_field(c, i));
		len += (size_t)snprintf(out + len, size - len, "\n");
	}
}

static void
records_are_read_as_rfc_4180_has_them(void **state)
{
	static const struct {
		const char *text, *out;
	} cases[] = {
		{"", ""},
		{"a,b,c\r\nd,e,f\r\n", "[a][b][c]\n[d][e][f]\n"},
		{"a,b\nc,d", "[a][b]\n[c][d]\n"},
		{"a,,\n,,\n", "[a][][]\n[][][]\n"},
		{"\n\r\na\n\n\nb\n\n", "[a]\n[b]\n"},
		{"\"a\",\"b,c\",\"d \"\"e\"\"\"\n", "[a][b,c][d \"e\"]\n"},
		{"\"a\r\nb\",c\n", "[a\r\nb][c]\n"},
		{"\"\",\"\"\n", "[][]\n"},
		{" a , b\n", "[ a ][ b]\n"},
		{"\xef\xbb\xbf"
		 "a,b\n",
			"[a][b]\n"},
		{"\xef\xbb", "[\xef\xbb]\n"},
		{"a\rb\n", "[a\rb]\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = ERR_INIT;
		char out[256];

		if (records(span_str(cases[i].text), out, sizeof(out), &e) < 0)
			fail_msg("%zu: %s", i, e.text);
		assert_string_equal(out, cases[i].out);
	}
}

static void
what_is_no_csv_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{"a,b\n\"c,d\n\ne\n", ":2: a quote is opened"},
		{"a\nb\n\"c\nd\"\n\"e\" f\n", ":5: text stands behind"},
		{"a\nb\"c\"\n", ":2: a quote stands inside"},
		{"a\n\n\n\"b\"\"\n", ":4: a quote is opened"},
	};
	struct err e = ERR_INIT;
	char out[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(records(span_str(cases[i].text), out, sizeof(out), &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		if (!strstr(e.text, cases[i].says))
			fail_msg("%s: not %s", e.text, cases[i].says);
	}
	assert_int_equal(records(span_of("a\0b", 3), out, sizeof(out), &e), -1);
	assert_non_null(strstr(e.text, "zero byte"));
}

static void
a_record_and_its_columns_have_limits(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	char out[256];
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < CSV_RECORD_BYTES_MAX; i++)
		assert_int_equal(buf_append(&text, "x", 1, &e), 0);
	assert_int_equal(records(buf_span(&text), out, sizeof(out), &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	buf_clear(&text);
	for (int i = 0; i < CSV_FIELDS_MAX; i++)
		assert_int_equal(buf_append(&text, ",", 1, &e), 0);
	assert_int_equal(records(buf_span(&text), out, sizeof(out), &e), -1);
	assert_int_equal(e.class, ERR_LIMIT);
	assert_non_null(strstr(e.text, "columns"));
}

struct seen {
	char text[512];
	size_t len, boxes, end_at;
};

static int
see(void *arg, const struct fleet_member *m, struct err *e)
{
	AUTO_BUF struct buf tags = BUF_INIT(4096);
	struct seen *s = arg;

	assert_int_equal(json_canonical(m->facts.tags, &tags, e), 0);
	s->len += (size_t)snprintf(s->text + s->len, sizeof(s->text) - s->len, "%s %s '%s' %s %s\n",
		m->facts.id, m->facts.compatible, m->facts.version,
		m->facts.running[0] ? "known" : "unknown", buf_str(&tags));
	assert_true(!m->facts.running[1] && !*m->plan && !m->revoked);
	return ++s->boxes == s->end_at;
}

static void
an_inventory_gives_boxes_with_their_tags(void **state)
{
	struct seen s = {0};
	struct err e = ERR_INIT;

	(void)state;
	file_write_span(span_str("site,name,running_sha256,compatible,version,ring\n"
				 "lyon,gw-1," SHA ",acme-gw3,2.3.9,a\n"
				 "lyon,gw-2,,acme-gw3,,a\n"
				 ",gw-3,,,2.4.0,\n"
				 "paris,gw-4,,acme-gw3,2.4,b\n"));
	assert_int_equal(inventory_each(path, see, &s, &e), 0);
	assert_string_equal(s.text,
		"gw-1 acme-gw3 '2.3.9' known {\"ring\":\"a\",\"site\":\"lyon\"}\n"
		"gw-2 acme-gw3 '' unknown {\"ring\":\"a\",\"site\":\"lyon\"}\n"
		"gw-3  '2.4.0' unknown {}\n"
		"gw-4 acme-gw3 '2.4' unknown {\"ring\":\"b\",\"site\":\"paris\"}\n");
	s = (struct seen){.end_at = 2};
	assert_int_equal(inventory_each(path, see, &s, &e), 1);
	assert_int_equal(s.boxes, 2);
}

static void
an_inventory_needs_a_name_and_a_class_only(void **state)
{
	struct seen s = {0};
	struct err e = ERR_INIT;

	(void)state;
	file_write_span(span_str("compatible,name\nacme-gw3,gw-1\n"));
	assert_int_equal(inventory_each(path, see, &s, &e), 0);
	assert_string_equal(s.text, "gw-1 acme-gw3 '' unknown {}\n");
}

static void
what_is_wrong_in_an_inventory_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", ":1: nothing is in this file"},
		{"name\ngw-1\n", ":1: no column is called compatible"},
		{"compatible,site\n", ":1: no column is called name"},
		{"name,compatible,name\n", ":1: two columns are called name"},
		{"name,compatible,\n", ":1: column 3"},
		{"name,compatible\ngw-1,a\ngw-2\n", ":3: 1 fields where the first line has 2"},
		{"name,compatible\ngw-1,a,b\n", ":2: 3 fields"},
		{"name,compatible\n\ngw 1,a\n", ":3: 'gw 1' is not a box's name"},
		{"name,compatible\n,a\n", ":2: '' is not a box's name"},
		{"name,compatible\ngw-1,a\ngw-2,a\ngw-1,a\n", ":4: gw-1 is there twice"},
		{"name,compatible\ngw-1,a b\n", ":2: 'a b' is not a class"},
		{"name,compatible,running_sha256\ngw-1,a,12\n", ":2: running_sha256"},
		{"name,compatible,site\ngw-1,a,\"\x01\"\n", ":2: site"},
		{"name,compatible,version\ngw-1,a,\"2\n4\"\n", ":2: '2"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct seen s = {0};
		struct err e = ERR_INIT;

		file_write_span(span_str(cases[i].text));
		assert_int_equal(inventory_each(path, see, &s, &e), -1);
		assert_int_equal(e.class, ERR_MALFORMED);
		if (strncmp(e.text, path, strlen(path)) != 0 || !strstr(e.text, cases[i].says))
			fail_msg("%s: not %s", e.text, cases[i].says);
	}
}

static void
a_file_that_is_not_there_is_a_system_error(void **state)
{
	struct seen s = {0};
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(inventory_each("/nowhere/boxes.csv", see, &s, &e), -1);
	assert_int_equal(e.class, ERR_SYSTEM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_read_as_rfc_4180_has_them),
		cmocka_unit_test(what_is_no_csv_is_told_with_its_line),
		cmocka_unit_test(a_record_and_its_columns_have_limits),
		cmocka_unit_test(an_inventory_gives_boxes_with_their_tags),
		cmocka_unit_test(an_inventory_needs_a_name_and_a_class_only),
		cmocka_unit_test(what_is_wrong_in_an_inventory_is_told_with_its_line),
		cmocka_unit_test(a_file_that_is_not_there_is_a_system_error),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
