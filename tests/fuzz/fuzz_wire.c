/* One packet between the agent's processes, in either direction: what is taken is written as it
 * came, and the parent takes no more from its child than the child may say. */
#include "agent/wire.h"
#include "tests/fuzz/harness.h"

static void
check_message(const struct wire_message *m, struct span packet)
{
	AUTO_BUF struct buf again = BUF_INIT(WIRE_MESSAGE_BYTES);
	struct err e = ERR_INIT;

	MUST(wire_encode(m, &again, &e) == 0);
	MUST(span_equal(buf_span(&again), packet));
	MUST(m->text.len <= WIRE_TEXT_MAX && m->etag.len <= WIRE_ETAG_MAX);
	MUST(m->type != WIRE_DATA || (m->body.len > 0 && m->body.len <= WIRE_DATA_MAX));
	MUST(m->type != WIRE_REQUEST || wire_path_valid(m->text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span packet = span_of(data, size);
	struct wire_message m;
	struct err e = ERR_INIT;
	int taken = 0;

	for (enum wire_to to = WIRE_TO_CHILD; to <= WIRE_TO_PARENT; to++) {
		if (wire_decode(packet, to, &m, &e) < 0) {
			fuzz_check_err(&e);
			continue;
		}
		taken++;
		fuzz_deep();
		check_message(&m, packet);
	}
	MUST(taken <= 1);
	if (wire_path_valid(packet))
		MUST(packet.len > 0 && packet.data[0] != '/' && !memchr(data, 0, size));
	return 0;
}
