"""OVMF alone, which boots a side on trial once (BootNext)."""
from vm.loaders import BootNext
from vm.scene import Scene, Walk

TAKES_S = 90


class BootNextOvmf(Walk, Scene):
    LOADER = BootNext
