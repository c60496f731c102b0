"""A machine with GRUB under SeaBIOS: what a box lives through at a boot."""
from vm.scene import NEW, OLD, Scene


class Grub(Scene):
    def test_update_is_installed_booted_and_confirmed(self):
        self.roll_out(NEW)
        self.machine.start()
        self.wait_version(OLD)
        self.wait_version(NEW)
        self.wait_outcome("ok")
        self.machine.kill()
        self.assertEqual(self.boots_next(), ("B", True))
