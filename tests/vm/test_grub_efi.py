"""GRUB under OVMF."""
from vm.loaders import GrubEfi
from vm.scene import Scene, Walk

TAKES_S = 150


class GrubOvmf(Walk, Scene):
    LOADER = GrubEfi
