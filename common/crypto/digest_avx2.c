#define LANES_WIDE 8
#include "common/crypto/digest_lanes.h"

#ifdef __x86_64__
__attribute__((target("avx2"))) void
lanes_run_avx2(struct lanes *l, uint64_t blocks)
{
	for (size_t first = 0; first < DIGEST_LANES; first += LANES_WIDE)
		lanes_some(l, first, blocks);
}
#endif
