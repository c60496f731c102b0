"""A system that boots and gets no further: it hangs, and the watchdog resets it, or its agent never
starts, and sluice-trial has it start anew (GRUB under SeaBIOS)."""
from vm.guest import LIBRARIES
from vm.loaders import GrubBios
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


class OneTry(GrubBios):
    BOOT, TRIES = "backend = grub\nfile = /dev/nvme0n1p3\ntries = 1", 1


# Without its shared libraries.
NO_AGENT = [("/etc/start", f"umount {LIBRARIES}\n"
             "/usr/bin/sluice-agent --version || echo GUEST no agent starts\npatience=10\n")]


class NoAgent(Scene):
    LOADER = OneTry

    def test_system_in_which_no_agent_starts_is_started_anew_and_falls_back(self):
        self.roll_out("2.1.0", NO_AGENT, deadline=LONG)
        self.machine.start()
        self.machine.wait("GUEST no agent starts")
        self.machine.wait("sluice-trial: .* the box is started anew")
        self.wait_version(OLD, 2)
        self.wait_outcome("reverted")
        self.assertEqual(len(self.machine.find("sluice-trial: a new system is tried")), 1)
        self.assert_settled("A", OLD)
