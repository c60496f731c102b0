/* The only include of zlib; for the files of codec.h, inflow.h and patch.h only. */
#ifndef SLUICE_FORMAT_CODEC_ZLIB_H
#define SLUICE_FORMAT_CODEC_ZLIB_H

#define ZLIB_CONST
#include <zlib.h>

#include "common/base/err.h"

/* A status that zlib gives for no input's fault: ERR_SYSTEM. Returns -1. */
int zlib_failed(const z_stream *z, int status, const char *what, struct err *e);

#endif
