/* libarchive with scoped ownership and our errors. The only include of archive.h and
 * archive_entry.h: bundles are written, and packers' inputs are read, through it. */
#ifndef SLUICE_FORMAT_ARCHIVE_H
#define SLUICE_FORMAT_ARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

#include "common/base/cleanup.h"
#include "common/base/err.h"

#define AUTO_ARCHIVE_READ CLEANUP(cleanup_archive_read)
#define AUTO_ARCHIVE_ENTRY CLEANUP(cleanup_archive_entry)

/* Closes and frees *a, made by archive_read_new() or archive_read_disk_new(), unless it is NULL. */
void cleanup_archive_read(struct archive **a);

void cleanup_archive_entry(struct archive_entry **entry);

/* Fills in e from the last failure of a, behind a message of the caller's ("reading app.tar:
 * truncated input"): ERR_SYSTEM where the operating system failed, ERR_MALFORMED where the bytes
 * are wrong. Always returns -1. */
int err_archive(struct err *e, struct archive *a, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
