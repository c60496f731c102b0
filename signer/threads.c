#include "signer/threads.h"

#include <unistd.h>

#include "common/base/num.h"
#include "common/limits.h"

unsigned
threads_default(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	return online < 1 ? 1 : (unsigned)num_min((uint64_t)online, PIPELINE_THREADS_MAX);
}

int
threads_parse(const char *text, unsigned *out, struct err *e)
{
	uint64_t n;

	if (num_parse(text, 1, PIPELINE_THREADS_MAX, &n, e) < 0) {
		(void)err_context(e, "--threads");
		e->class = ERR_USAGE;
		return -1;
	}
	*out = (unsigned)n;
	return 0;
}
