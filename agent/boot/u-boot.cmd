# U-Boot's half of the boot environment that sluice-agent keeps (agent/boot_uboot.c): which side
# boots, and how often a new one is tried. `mkimage -A arm -T script -d u-boot.cmd boot.scr` makes
# what bootcmd runs with `source`. U-Boot needs hush, test, saveenv, and its environment in two places
# (CONFIG_SYS_REDUNDAND_ENVIRONMENT); fw_env.config says where they are.
#
# Set these four for your box. What has no setenv is the script's own, and is not saved.
setenv sluice_start 'load mmc 0:${part} ${kernel_addr_r} /boot/zImage && load mmc 0:${part} ${fdt_addr_r} /boot/board.dtb && bootz ${kernel_addr_r} - ${fdt_addr_r}'
setenv sluice_arguments 'ro panic=5'
part_A=2
part_B=3

# Comes back only if the kernel does not start. A try (trial=1) is what sluice-trial guards.
setenv sluice_boot 'if test ${side} = A; then part=${part_A}; else part=${part_B}; fi; echo "sluice: side ${side}"; setenv bootargs "root=PARTLABEL=rootfs-${side} ${sluice_arguments} sluice.slot=${side} sluice.trial=${trial}"; run sluice_start; echo "sluice: side ${side} does not start"'

if test "${sluice_primary}" = B; then order="B A"; else order="A B"; fi
for side in ${order}; do
    if test ${side} = A; then state="${sluice_a}"; left="${sluice_a_tries}"
    else state="${sluice_b}"; left="${sluice_b_tries}"; fi
    may=no
    if test "${state}" = good; then may=yes; fi
    # One try less, and on the medium: a count that cannot be written is no count. Not by setexpr,
    # which not every U-Boot has.
    trial=0
    less=none
    if test "${state}" = try; then
        if test "${left}" = 1; then less=0
        elif test "${left}" = 2; then less=1
        elif test "${left}" = 3; then less=2
        elif test "${left}" = 4; then less=3
        elif test "${left}" = 5; then less=4
        elif test "${left}" = 6; then less=5
        elif test "${left}" = 7; then less=6
        elif test "${left}" = 8; then less=7
        elif test "${left}" = 9; then less=8; fi
    fi
    if test "${less}" != none; then
        trial=1
        if test ${side} = A; then setenv sluice_a_tries ${less}
        else setenv sluice_b_tries ${less}; fi
        if saveenv; then may=yes; fi
    fi
    if test ${may} = yes; then run sluice_boot; fi
done

# Nothing says that a side may boot, as where the environment was lost and U-Boot made a new one. A
# box that boots something can still be helped: each side in turn, so that one that does not come up
# is not the only one ever tried.
if test "${sluice_lost}" = A; then order="B A"; setenv sluice_lost B
else order="A B"; setenv sluice_lost A; fi
saveenv
trial=0
for side in ${order}; do run sluice_boot; done
echo "sluice: neither side starts; once more in a minute"
sleep 60
reset
