/* What other backends ask of UEFI's variables. */
#ifndef SLUICE_AGENT_BOOT_EFI_H
#define SLUICE_AGENT_BOOT_EFI_H

#include <stddef.h>

#include "common/base/err.h"

/* LoaderEntryDefault, the entry that systemd-boot is told to prefer ("Boot Loader Interface");
 * "" where there is none, or no EFI. A character beyond ASCII becomes '?'. */
int boot_efi_loader_default(char *out, size_t size, struct err *e);

#endif
