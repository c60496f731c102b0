"""GRUB under SeaBIOS: what a box lives through at a boot."""
from vm.disk import ENVIRONMENT
from vm.scene import NEW, OLD, SHORT_S, Scene
from vm.script import COPIES, GROUP

TAKES_S = 120
UNHEALTHY = [("/etc/health.d/10-no", "#!/bin/sh\necho no\nexit 1\n")]
# GRUB finds no kernel in it; or it does, and the kernel's own unpacking ends in the middle.
NO_KERNEL = [("/boot/vmlinuz", b"\xff" * 4096)]


class Grub(Scene):
    def half_a_kernel(self):
        with open(self.kernel.image, "rb") as f:
            text = bytearray(f.read())
        middle = len(text) // 2
        text[middle:middle + 65536] = b"\xff" * 65536
        return [("/boot/vmlinuz", bytes(text))]

    def test_next_update_goes_back_to_a_after_a_zeroed_environment_booted_what_worked_last(self):
        self.roll_out(NEW)
        self.machine.start()
        self.machine.wait("sluice: side B, copy")
        self.wait_outcome("ok")
        self.machine.kill()
        for copy in ("a", "b"):
            self.disk.put(ENVIRONMENT, bytes(GROUP), COPIES[copy] * GROUP)
        self.machine.start()
        self.machine.wait("sluice: side B, copy good")
        self.wait_version(NEW)
        self.roll_out("3.0.0")
        self.machine.wait("sluice: side A, copy")
        self.wait_version("3.0.0")
        self.wait_outcome("ok", 2)
        self.assert_settled("A", "3.0.0")
        self.assertEqual(self.held(self.disk, "B"), self.digest(NEW))

    def test_system_that_is_unhealthy_or_whose_kernel_does_not_load_or_halts_is_left(self):
        self.roll_out("2.2.0", UNHEALTHY, deadline=SHORT_S)
        self.machine.start()
        self.wait_version("2.2.0")
        self.wait_version(OLD, 2)
        self.wait_outcome("reverted")
        self.roll_out("2.3.0", NO_KERNEL)
        self.machine.wait("sluice: side B has no kernel that loads")
        self.wait_version(OLD, 3)
        self.wait_outcome("reverted", 2)
        self.roll_out("2.4.0", self.half_a_kernel())
        for _ in range(self.LOADER.TRIES):
            self.machine.wait("(?s)sluice: side B, copy.*System halted")
            self.machine.kill()
            self.machine.start()
        self.wait_version(OLD)
        self.wait_outcome("reverted", 3)
        self.assert_settled("A", OLD)
