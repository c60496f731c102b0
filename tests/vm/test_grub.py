"""GRUB under SeaBIOS: what a box lives through at a boot."""
from vm.disk import ENVIRONMENT
from vm.scene import NEW, OLD, SHORT_S, Scene

TAKES_S = 400
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

    def test_update_after_an_update_goes_back_to_side_a(self):
        for version, side in ((NEW, "B"), ("3.0.0", "A")):
            self.roll_out(version)
            if not self.machine.process:
                self.machine.start()
            self.machine.wait(f"sluice: side {side}", 2 if side == "A" else 1)
            self.wait_version(version)
            self.wait_outcome("ok", 2 if side == "A" else 1)
        self.assert_settled("A", "3.0.0")
        self.assertEqual(self.held(self.disk, "B"), self.digest(NEW))

    def test_zeroed_environment_boots_what_worked_last_and_is_written_anew(self):
        self.machine.start()
        self.wait_version(OLD)
        self.machine.kill()
        for copy in (1, 3):
            self.disk.put(ENVIRONMENT, bytes(4096), copy * 4096)
        self.roll_out(NEW)
        self.machine.start()
        self.wait_version(OLD)
        self.assertTrue(self.machine.find("sluice: side A, copy good"))
        self.wait_version(NEW)
        self.wait_outcome("ok")
        self.assert_settled("B", NEW)

    def test_system_that_is_unhealthy_is_rolled_back(self):
        self.roll_out("2.2.0", UNHEALTHY, deadline=SHORT_S)
        self.machine.start()
        self.wait_version("2.2.0")
        self.wait_version(OLD, 2)
        self.wait_outcome("reverted")
        self.assert_settled("A", OLD)

    def test_kernel_that_does_not_load_or_halts_falls_back(self):
        self.roll_out("2.3.0", NO_KERNEL)
        self.machine.start()
        self.machine.wait("sluice: side B has no kernel that loads")
        self.wait_version(OLD, 2)
        self.wait_outcome("reverted")
        self.roll_out("2.4.0", self.half_a_kernel())
        for _ in range(self.LOADER.TRIES):
            self.machine.wait("(?s)sluice: side B, copy.*System halted")
            self.machine.kill()
            self.machine.start()
        self.wait_version(OLD)
        self.wait_outcome("reverted", 2)
        self.assert_settled("A", OLD)
