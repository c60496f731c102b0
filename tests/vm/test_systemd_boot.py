"""systemd-boot under OVMF, which counts tries in the names of its entries."""
from vm.loaders import SystemdBoot
from vm.scene import Scene, Walk

TAKES_S = 150


class SystemdBootOvmf(Walk, Scene):
    LOADER = SystemdBoot
