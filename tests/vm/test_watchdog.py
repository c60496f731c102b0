"""A system that boots and hangs: nothing in it comes to going back, and the watchdog resets it
(GRUB under SeaBIOS)."""
from vm.scene import LONG, OLD, Scene

TAKES_S = 120
# The first health check stops its own agent, and all that would pet a watchdog with it.
HANGS = [("/etc/start", "for module in $(cat /lib/modules/watchdog); do\n"
          "    insmod /lib/modules/$module\ndone\n"),
         ("/etc/health.d/10-hang", "#!/bin/sh\necho GUEST hangs > /dev/console\n"
          "kill -STOP $(pidof sluice-agent)\n")]


class Watchdog(Scene):
    MORE = "[watchdog]\ndevice = /dev/watchdog0\ntimeout = 10s\n"

    def test_system_that_hangs_is_reset_by_the_watchdog_and_falls_back(self):
        self.roll_out("2.1.0", HANGS, deadline=LONG)
        self.machine.start()
        self.wait_version(OLD)
        self.machine.wait("GUEST hangs", self.LOADER.TRIES)
        self.wait_version(OLD, 2)
        self.wait_outcome("reverted")
        self.assertEqual(len(self.machine.find("/dev/watchdog0 guards: Software Watchdog")),
                         self.LOADER.TRIES)
        self.assert_settled("A", OLD)
