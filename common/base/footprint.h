/* What a process holds of memory while it waits. */
#ifndef SLUICE_BASE_FOOTPRINT_H
#define SLUICE_BASE_FOOTPRINT_H

/* Gives back what only work needs: free heap, and the pages of programs and libraries that are as
 * in their files, most of which only starting needed. What is used again comes back by itself, from
 * the page cache. Takes less than a millisecond; for a process of one thread. */
void footprint_trim(void);

#endif
