/* What a YAML document is made of: for yaml.c, which reads it, and yaml_node.c, which answers. */
#ifndef SLUICE_SIGNER_YAML_NODE_H
#define SLUICE_SIGNER_YAML_NODE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

/* More of a key than this is not shown in messages. */
enum { YAML_KEY_SHOWN = 48 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct yaml_node {
	enum node_kind kind;
	bool plain; /* a scalar without quotes */
	unsigned line, column;
	char *text;		    /* scalars */
	struct yaml_node **members; /* lists; of mappings the values */
	struct yaml_node **keys;    /* mappings */
	size_t count, capacity;
};

struct yaml {
	char *name;
	struct yaml_node *root;
};

/* Frees n and all below it; the recursion ends where yaml.c's limit on depth does. NULL is
 * allowed. */
void yaml_node_free(struct yaml_node *n);

/* All errors over a document pass here. Line 0 stands for "no place known". Always -1. */
int yaml_place_error(const char *name, unsigned line, unsigned column, struct err *e,
	const char *format, va_list args) __attribute__((format(printf, 5, 0)));

#endif
