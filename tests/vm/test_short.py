"""The short form, for `make test`: GRUB under SeaBIOS, one update and one fallback."""
from vm.scene import Scene, Walk

SHORT = True
TAKES_S = 50


class Short(Walk, Scene):
    pass
