/* The boot backend over UEFI's own variables (libefivar; UEFI 2.10 section 3.3): each side has a
 * Boot#### entry. A side on trial is BootNext, which the firmware forgets as it boots it, so one
 * try is all it can count; a confirmed side stands in BootOrder; one that is in neither is off.
 * Every change is the write of one variable. Firmware that takes an entry away, or out of the
 * order, is not unheard of: check() and make() are for that. */
#include "agent/boot_efi.h"

#include <efivar.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/boot_vars.h"
#include "common/base/num.h"

static const uint32_t ATTRIBUTES =
	EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS;

struct efi {
	uint16_t entry[SIDES]; /* the number of Boot#### */
	uint16_t order[EFI_ORDER_MAX];
	size_t order_count;
	bool boots[SIDES]; /* it is there, and active: else the firmware passes it over */
	bool has_next, has_current;
	uint16_t next, current;
};

static int
entry_parse(const char *text, const char *key, uint16_t *out, struct err *e)
{
	char *end;
	unsigned long n;

	if (!text || strlen(text) != 4 || strspn(text, "0123456789abcdefABCDEF") != 4)
		return err_set(e, ERR_USAGE,
			"agent.conf: [boot] %s is missing or not four hexadecimal digits, as in "
			"Boot0001 of `efibootmgr`",
			key);
	n = strtoul(text, &end, 16);
	*out = (uint16_t)n;
	return 0;
}

/* 16-bit numbers, little endian. A variable that is not there is none of them. */
static int
numbers_read(const char *name, uint16_t *out, size_t max, size_t *count, struct err *e)
{
	AUTO_FREE uint8_t *data = NULL;
	uint32_t attributes;
	size_t len;

	if (efi_get_variable(efi_guid_global, name, &data, &len, &attributes) < 0) {
		if (errno != ENOENT)
			return err_sys(e, errno, "reading the EFI variable %s", name);
		*count = 0;
		return 0;
	}
	if (len % 2 != 0 || len / 2 > max)
		return err_set(e, ERR_SYSTEM, "the EFI variable %s has %zu bytes", name, len);
	for (size_t i = 0; i < len / 2; i++)
		out[i] = (uint16_t)(data[2 * i] | data[2 * i + 1] << 8);
	*count = len / 2;
	return 0;
}

static int
numbers_write(const char *name, const uint16_t *numbers, size_t count, struct err *e)
{
	uint8_t data[2 * EFI_ORDER_MAX];

	for (size_t i = 0; i < count; i++) {
		data[2 * i] = (uint8_t)numbers[i];
		data[2 * i + 1] = (uint8_t)(numbers[i] >> 8);
	}
	if (efi_set_variable(efi_guid_global, name, data, 2 * count, ATTRIBUTES, 0600) < 0)
		return err_sys(e, errno, "writing the EFI variable %s", name);
	return 0;
}

static int
one_read(const char *name, bool *there, uint16_t *out, struct err *e)
{
	size_t count;

	if (numbers_read(name, out, 1, &count, e) < 0)
		return -1;
	*there = count == 1;
	return 0;
}

/* BootNext with the number of an entry that is gone would look like a system that did not start. */
static int
entry_check(const struct efi *efi, enum side side, struct err *e)
{
	AUTO_FREE uint8_t *data = NULL;
	const char *key = side == SIDE_A ? "entry_a" : "entry_b";
	uint32_t attributes;
	char name[16];
	size_t len;

	(void)snprintf(name, sizeof(name), "Boot%04X", efi->entry[side]);
	if (efi_get_variable(efi_guid_global, name, &data, &len, &attributes) < 0)
		return err_sys(e, errno,
			"%s is %s, and the firmware has none, or not any more (make one: "
			"`efibootmgr "
			"--create --label sluice-%s --disk DISK --part NUMBER --loader PATH`, and "
			"write "
			"its number into agent.conf)",
			key, name, side_name(side));
	/* EFI_LOAD_OPTION begins with its attributes; LOAD_OPTION_ACTIVE is the first. */
	if (len < sizeof(uint32_t) || !(data[0] & 1))
		return err_set(e, ERR_SYSTEM,
			"%s is %s, which is not active: `efibootmgr --bootnum %04X --active`", key,
			name, efi->entry[side]);
	return 0;
}

/* One that cannot be read is the firmware's to answer for, and holds up neither side: who relies on
 * it asks check(). */
static void
entries_look(struct efi *efi)
{
	struct err why;

	for (size_t i = 0; i < SIDES; i++)
		efi->boots[i] = entry_check(efi, (enum side)i, &why) == 0;
}

static int
efi_read(const struct conf *c, struct efi *out, struct err *e)
{
	struct efi efi = {0};

	if (!efi_variables_supported())
		return err_set(e, ERR_SYSTEM,
			"no EFI variables: not started by EFI, or efivarfs is not mounted at "
			"/sys/firmware/efi/efivars");
	if (entry_parse(c->boot_entry_a, "entry_a", &efi.entry[SIDE_A], e) < 0 ||
		entry_parse(c->boot_entry_b, "entry_b", &efi.entry[SIDE_B], e) < 0 ||
		numbers_read("BootOrder", efi.order, EFI_ORDER_MAX, &efi.order_count, e) < 0 ||
		one_read("BootNext", &efi.has_next, &efi.next, e) < 0 ||
		one_read("BootCurrent", &efi.has_current, &efi.current, e) < 0)
		return -1;
	entries_look(&efi);
	if (efi.entry[SIDE_A] == efi.entry[SIDE_B])
		return err_set(e, ERR_USAGE, "agent.conf: [boot] entry_a and entry_b are the same");
	*out = efi;
	return 0;
}

static bool
side_of(const struct efi *efi, uint16_t number, enum side *out)
{
	for (size_t i = 0; i < SIDES; i++) {
		if (efi->entry[i] == number) {
			*out = (enum side)i;
			return true;
		}
	}
	return false;
}

static int
efi_current(const struct boot_backend *b, const struct conf *c, enum side *out, struct err *e)
{
	struct efi efi;

	(void)b;
	if (efi_read(c, &efi, e) < 0)
		return -1;
	if (!efi.has_current || !side_of(&efi, efi.current, out))
		return err_set(e, ERR_SYSTEM,
			"the firmware booted neither entry_a nor entry_b: see `efibootmgr`");
	return 0;
}

static bool
in_order(const struct efi *efi, uint16_t number, size_t *at)
{
	for (size_t i = 0; i < efi->order_count; i++) {
		if (efi->order[i] == number) {
			*at = i;
			return true;
		}
	}
	return false;
}

static bool
primary_pick(const struct efi *efi, bool that_boots, enum side *out)
{
	enum side side;

	for (size_t i = 0; i <= efi->order_count; i++) {
		/* BootNext comes before the order. */
		if ((i > 0 || efi->has_next) &&
			side_of(efi, i > 0 ? efi->order[i - 1] : efi->next, &side) &&
			(efi->boots[side] || !that_boots)) {
			*out = side;
			return true;
		}
	}
	return false;
}

static int
primary_find(const struct efi *efi, enum side *out, struct err *e)
{
	if (primary_pick(efi, true, out) || primary_pick(efi, false, out))
		return 0;
	return err_set(e, ERR_SYSTEM,
		"neither entry_a nor entry_b is in BootOrder, as `efibootmgr` shows: if the "
		"running system is the right one, `sluice-agent boot init` puts it there");
}

static int
efi_load(const struct conf *c, struct boot_vars *out, struct err *e)
{
	struct boot_vars vars = {0};
	struct efi efi;
	size_t at;

	if (efi_read(c, &efi, e) < 0 || primary_find(&efi, &vars.primary, e) < 0)
		return -1;
	for (size_t i = 0; i < SIDES; i++) {
		uint16_t number = efi.entry[i];
		struct boot_side *s = &vars.side[i];

		if (!efi.boots[i])
			continue;
		s->confirmed = in_order(&efi, number, &at);
		s->tries_left = !s->confirmed && efi.has_next && efi.next == number;
		/* What runs has used up its try, and may still be confirmed. */
		s->bootable = s->confirmed || s->tries_left > 0 ||
			      (efi.has_current && efi.current == number);
	}
	*out = vars;
	return 0;
}

/* Ours stand where the first of ours stood, or before all others, the primary one first; what
 * others put into the order stays as it is. */
static int
order_write(const struct efi *efi, const struct boot_vars *vars, struct err *e)
{
	const enum side turn[SIDES] = {vars->primary, side_other(vars->primary)};
	uint16_t order[EFI_ORDER_MAX + SIDES];
	size_t count = 0, first = 0;
	enum side ignored;

	for (size_t i = efi->order_count; i > 0; i--) {
		if (side_of(efi, efi->order[i - 1], &ignored))
			first = i - 1;
	}
	for (size_t i = 0; i <= efi->order_count; i++) {
		for (size_t t = 0; t < SIDES && i == first; t++) {
			if (vars->side[turn[t]].bootable && vars->side[turn[t]].confirmed)
				order[count++] = efi->entry[turn[t]];
		}
		if (i < efi->order_count && !side_of(efi, efi->order[i], &ignored))
			order[count++] = efi->order[i];
	}
	if (count > EFI_ORDER_MAX)
		return err_set(e, ERR_SYSTEM, "BootOrder is full");
	if (count == efi->order_count && memcmp(order, efi->order, count * sizeof(order[0])) == 0)
		return 0;
	return numbers_write("BootOrder", order, count, e);
}

static int
next_write(const struct efi *efi, const struct boot_vars *vars, struct err *e)
{
	const struct boot_side *s = &vars->side[vars->primary];
	bool wanted = s->bootable && !s->confirmed && s->tries_left > 0;
	enum side ignored;

	if (wanted && efi->has_next && efi->next == efi->entry[vars->primary])
		return 0;
	if (wanted)
		return numbers_write("BootNext", &efi->entry[vars->primary], 1, e);
	if (efi->has_next && side_of(efi, efi->next, &ignored) &&
		efi_del_variable(efi_guid_global, "BootNext") < 0)
		return err_sys(e, errno, "removing the EFI variable BootNext");
	return 0;
}

static int
efi_save(const struct conf *c, const struct boot_vars *vars, struct err *e)
{
	struct efi efi;

	if (efi_read(c, &efi, e) < 0 || order_write(&efi, vars, e) < 0)
		return -1;
	return next_write(&efi, vars, e);
}

static int
efi_check(const struct conf *c, struct err *e)
{
	struct efi efi;

	if (efi_read(c, &efi, e) < 0 || entry_check(&efi, SIDE_A, e) < 0)
		return -1;
	return entry_check(&efi, SIDE_B, e);
}

static int
efi_make(const struct conf *c, enum side s, struct err *e)
{
	struct boot_vars vars = {.primary = s};
	struct efi efi;
	enum side primary;
	struct err none;

	vars.side[s] = (struct boot_side){.bootable = true, .confirmed = true};
	if (efi_read(c, &efi, e) < 0)
		return -1;
	if (primary_find(&efi, &primary, &none) == 0)
		return err_set(e, ERR_REFUSED,
			"BootOrder or BootNext names a side already: see `sluice-agent boot show`");
	return order_write(&efi, &vars, e);
}

int
boot_efi_loader_default(char *out, size_t size, struct err *e)
{
	static const char name[] = "LoaderEntryDefault";
	const efi_guid_t loader =
		EFI_GUID(0x4a67b082, 0x0a4c, 0x41cf, 0xb6c7, 0x44, 0x0b, 0x29, 0xbb, 0x8c, 0x4f);
	AUTO_FREE uint8_t *data = NULL;
	uint32_t attributes;
	size_t len, n = 0;

	out[0] = 0;
	if (!efi_variables_supported())
		return 0;
	if (efi_get_variable(loader, name, &data, &len, &attributes) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "reading the EFI variable %s", name);
	while (2 * n + 1 < len && (data[2 * n] || data[2 * n + 1])) {
		if (n + 1 >= size)
			return err_set(
				e, ERR_SYSTEM, "the EFI variable %s has %zu bytes", name, len);
		out[n] = data[2 * n + 1] || data[2 * n] > 126 ? '?' : (char)data[2 * n];
		n++;
	}
	out[n] = 0;
	return 0;
}

const struct boot_backend boot_efi = {
	BOOT_BY_VARS,
	.name = "efi",
	.tries_max = 1,
	.forgets_tries = true,
	.current = efi_current,
	.boot_id = boot_kernel_boot_id,
	.load = efi_load,
	.save = efi_save,
	.make = efi_make,
	.check = efi_check,
};
