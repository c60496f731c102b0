/* Scoped ownership: CLEANUP(fn) calls fn(&variable) when the variable leaves its scope. */
#ifndef SLUICE_BASE_CLEANUP_H
#define SLUICE_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define AUTO_FREE CLEANUP(cleanup_free)
#define AUTO_CLOSE CLEANUP(cleanup_fd)
#define AUTO_FCLOSE CLEANUP(cleanup_file)
#define AUTO_DIR CLEANUP(cleanup_dir)

/* Frees *(void **)p. */
static inline void
cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Closes *fd unless it is negative. For descriptors whose close() can lose nothing: data that
 * must last has been fsynced, and checked, before. */
static inline void
cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* Closes *f unless it is NULL. Only for streams that were read from. */
static inline void
cleanup_file(FILE *const *f)
{
	if (*f)
		(void)fclose(*f);
}

/* Closes *d unless it is NULL. */
static inline void
cleanup_dir(DIR *const *d)
{
	if (*d)
		(void)closedir(*d);
}

/* Hands *slot to the caller and leaves NULL behind, so that the scope no longer owns it. */
#define TAKE_PTR(slot)                                                                             \
	__extension__({                                                                            \
		__typeof__(slot) take_ptr_ = (slot);                                               \
		(slot) = NULL;                                                                     \
		take_ptr_;                                                                         \
	})

/* The same for a descriptor, which becomes -1. */
static inline int
take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
