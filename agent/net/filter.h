/* The system calls that the network child can make: a seccomp filter, as short as it can be.
 *
 * Written out here rather than with libseccomp: it is a table and forty lines, and a library more
 * would have to be mapped, and its rules compiled, at each start of a box.
 *
 * It outlives C libraries. What is not listed fails as if the kernel were older (ENOSYS), and never
 * kills: a C library that comes to use a newer call has to fall back to what it used before, for
 * kernels without it. Calls that do what listed ones do are listed already, by number where today's
 * headers do not know them (numbers are the same on all architectures since 5.1). Should a system
 * image bring a C library that lives with none of that, its agent reaches no server on its first
 * boot, and the box goes back: an update is confirmed through this very filter. */
#ifndef SLUICE_AGENT_NET_FILTER_H
#define SLUICE_AGENT_NET_FILTER_H

#include <stdbool.h>

/* Enters it: no program is run, no process started (threads are: a resolver is one), watched or
 * signalled; no file opened for writing; no socket bound, or of another family than IPv4, IPv6 and,
 * where local is true, AF_UNIX, by which the resolver asks local services. False where the kernel
 * has no such thing, or on an architecture that is not known here. Needs PR_SET_NO_NEW_PRIVS. */
bool filter_enter(bool local);

#endif
