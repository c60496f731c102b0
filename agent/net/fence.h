/* The files, ports and processes that the network child can reach: Landlock, as far as this kernel
 * has it (5.13 files, 6.7 ports, 6.12 signals and abstract sockets). */
#ifndef SLUICE_AGENT_NET_FENCE_H
#define SLUICE_AGENT_NET_FENCE_H

#include <stdint.h>

/* From now on this process reads what name resolution and TLS need, and no other file; writes,
 * makes and runs none; binds no TCP port; and signals nobody outside. What is in force of enum
 * wire_layer. The fence is about the files that are there now: where one is replaced (a new
 * /etc/resolv.conf), the parent starts another child (resolver.h). */
uint32_t fence_enter(void);

#endif
