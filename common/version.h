/* The version of both programs; `make deb` makes that of their packages of it. */
#ifndef SLUICE_VERSION_H
#define SLUICE_VERSION_H

#define SLUICE_VERSION "0.5.0"

#endif
