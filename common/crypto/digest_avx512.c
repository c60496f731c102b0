#define LANES_WIDE 16
#include "common/crypto/digest_lanes.h"

#ifdef __x86_64__
__attribute__((target("avx512f"))) void
lanes_run_avx512(struct lanes *l, uint64_t blocks)
{
	lanes_some(l, 0, blocks);
}
#endif
