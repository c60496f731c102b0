"""GRUB under OVMF."""
from vm.loaders import GrubEfi
from vm.scene import Scene, Walk

TAKES_S = 90


class GrubOvmf(Walk, Scene):
    LOADER = GrubEfi
