/* Reads one JSON value from standard input and writes its canonical form: for comparing ours with
 * another's. */
#include <stdio.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/json.h"

int
main(void)
{
	AUTO_BUF struct buf in = BUF_INIT(1 << 24), out = BUF_INIT(1 << 24);
	AUTO_JSON json_t *j = NULL;
	struct err e = ERR_INIT;

	if (file_read_fd(STDIN_FILENO, "standard input", &in, &e) < 0 ||
		json_parse(buf_span(&in), "standard input", &j, &e) < 0 ||
		json_canonical(j, &out, &e) < 0 ||
		file_write_full(STDOUT_FILENO, "standard output", out.data, out.len, &e) < 0) {
		(void)fprintf(stderr, "canonical: %s\n", e.text);
		return 1;
	}
	return 0;
}
