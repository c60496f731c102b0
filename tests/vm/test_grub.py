"""A machine with GRUB under SeaBIOS: what a box lives through at a boot."""
from vm.disk import SLOT_BYTES
from vm.scene import NEW, OLD, Scene

PANICS = [("/etc/broken", "echo GUEST panics\necho c > /proc/sysrq-trigger\n")]
UNHEALTHY = [("/etc/health.d/10-no", "#!/bin/sh\necho no\nexit 1\n")]


class Grub(Scene):
    DEADLINE = "30s"

    def assert_boots_old(self):
        """The environment, and what is on the side it leads to."""
        self.assertEqual(self.boots_next(), ("A", True))
        self.assertEqual(self.disk.digest(4, SLOT_BYTES), self.digest(OLD))

    def test_update_is_installed_booted_and_confirmed(self):
        self.roll_out(NEW)
        self.machine.start()
        self.wait_version(OLD)
        self.wait_version(NEW)
        self.wait_outcome("ok")
        self.machine.kill()
        self.assertEqual(self.boots_next(), ("B", True))
        self.assertEqual(self.disk.digest(5, SLOT_BYTES), self.digest(NEW))

    def test_system_that_panics_at_its_start_falls_back_after_its_tries(self):
        self.roll_out("2.1.0", PANICS)
        self.machine.start()
        self.wait_version(OLD)
        self.machine.wait("GUEST panics", 240, 2)
        self.wait_version(OLD, count=2)
        self.wait_outcome("reverted")
        self.assertEqual(len(self.machine.find("sluice: side B, copy")), 2)
        self.machine.kill()
        self.assert_boots_old()

    def test_system_that_is_unhealthy_is_rolled_back(self):
        self.roll_out("2.2.0", UNHEALTHY)
        self.machine.start()
        self.wait_version("2.2.0")
        self.wait_version(OLD, count=2)
        self.wait_outcome("reverted")
        self.machine.kill()
        self.assert_boots_old()

    def test_zeroed_environment_boots_what_worked_last_and_is_written_anew(self):
        self.machine.start()
        self.wait_version(OLD)
        self.machine.kill()
        for copy in (1, 3):
            self.disk.put(3, bytes(4096), copy * 4096)
        self.roll_out(NEW)
        self.machine.start()
        self.wait_version(OLD)
        self.assertTrue(self.machine.find("sluice: side A, copy good"))
        self.wait_version(NEW)
        self.wait_outcome("ok")
        self.machine.kill()
        self.assertEqual(self.boots_next(), ("B", True))
