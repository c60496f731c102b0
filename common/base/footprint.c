#include "common/base/footprint.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

/* Text that was relocated is not as in its file. */
static bool
has_relocated_text(const struct dl_phdr_info *object, const ElfW(Phdr) * dynamic)
{
	const ElfW(Dyn) *d = (const ElfW(Dyn) *)(object->dlpi_addr + dynamic->p_vaddr);

	for (; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_TEXTREL ||
			(d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL)))
			return true;
	}
	return false;
}

static void
drop(const struct dl_phdr_info *object, const ElfW(Phdr) * segment)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = object->dlpi_addr + segment->p_vaddr, to = from + segment->p_filesz;

	from -= from % page;
	(void)madvise((void *)from, to - from, MADV_DONTNEED);
}

static int
drop_segments(struct dl_phdr_info *object, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (ElfW(Half) i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];

		if (p->p_type == PT_DYNAMIC && has_relocated_text(object, p))
			return 0;
	}
	for (ElfW(Half) i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
			drop(object, p);
	}
	return 0;
}

void
footprint_trim(void)
{
	(void)malloc_trim(0);
	(void)dl_iterate_phdr(drop_segments, NULL);
}
