/* A plan that has every part it must have, as a box reads it. */
#ifndef SLUICE_TESTS_PLAN_SAMPLE_H
#define SLUICE_TESTS_PLAN_SAMPLE_H

#include <stdio.h>

#include "common/format/plan.h"
#include "tests/unit/sample.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char sample[] =
	"{\"format\":1,\"rollout\":\"gateway-2.4.0\",\"version\":3,\"path\":\"rollouts/"
	"stable.json\",\"bundle\":{\"path\":\"bundles/"
	"gateway-2.4.0.ota\",\"length\":12345,\"sha256\":\"" SHA
	"\",\"head\":{\"length\":512,\"sha256\":\"" SHA
	"\"}},\"compatible\":[\"acme-gw3\",\"acme-gw4\"],\"attempt\":2,\"from\":[\">=2.1.0\",\"<"
	"3\"],\"match\":{\"site\":[\"lyon\",\"paris\"]},\"exclude\":[\"gw-000017\"],"
	"\"stop_poll_s\":60,\"deadline_s\":3600,\"waves\":[{\"name\":\"canary\",\"boxes\":[\"gw-"
	"000001\",\"gw-000017\"],\"soak_s\":14400},{\"name\":\"early\",\"percent_bp\":500},{"
	"\"name\":\"half\",\"percent_bp\":5000,\"soak_s\":60}],\"advance\":{\"success_bp\":9800,"
	"\"sample\":30,\"coverage_bp\":8000},\"stop\":{\"failures_bp\":500,\"at_least\":3,"
	"\"overdue_s\":86400}}";

static inline int
parse(const char *text, struct plan *out, struct err *e)
{
	AUTO_JSON json_t *root = sample_json(text);
	struct verified v = sample_verified(root);

	return plan_parse(&v, out, e);
}

#endif
