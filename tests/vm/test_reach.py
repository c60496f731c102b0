"""What a stop, or a server that does not answer, does to a box that is on its way (GRUB under
SeaBIOS)."""
from vm.scene import LONG, NEW, OLD, SHORT_S, Scene

TAKES_S = 150
UNHEALTHY = [("/etc/health.d/10-no", "#!/bin/sh\necho GUEST unhealthy\nexit 1\n")]
CUT_OFF = [("/etc/start", "ifconfig eth0 down\n")]


class Unreached(Scene):
    PROMPT = SHORT_S

    def waits_for_an_outage(self):
        """A system that starts its agent once the server is down."""
        return [("/etc/start", f"while nc -w 5 10.0.2.2 {self.workspace.port} < /dev/null; "
                 "do sleep 1; done\necho GUEST no server\n")]

    def test_outage_condemns_nothing_but_a_system_that_has_no_network_where_the_old_one_has(self):
        self.roll_out(NEW, self.waits_for_an_outage(), deadline=SHORT_S)
        self.machine.start()
        self.wait_version(NEW)
        self.nginx.stop()
        self.machine.wait("GUEST no server")
        self.wait_version(OLD, 2)
        self.machine.wait("2.0.0: inconclusive: ")
        self.roll_out("2.1.0", CUT_OFF, deadline=SHORT_S)
        self.nginx.start()
        self.wait_version("2.1.0")
        self.wait_version(OLD, 3)
        self.wait_outcome("reverted")
        self.assertEqual(self.workspace.outcomes(self.BOX), ["inconclusive", "reverted"])
        self.assert_settled("A", OLD)


class StoppedBeforeItsReboot(Scene):
    REBOOT = ""  # a person's task

    def test_stop_of_what_is_installed_keeps_the_old_side(self):
        self.roll_out(NEW)
        self.machine.start()
        self.machine.wait("2.0.0: installed and activated")
        self.assertEqual(self.loader.boots_next(), ("B", False, True))
        self.workspace.stop("stable")
        self.wait_outcome("stopped")
        self.assert_settled("A", OLD)
        self.machine.start()
        self.wait_version(OLD)
        self.assertTrue(self.machine.find("sluice: side A, copy"))
        self.assertFalse(self.machine.find("sluice: side B, copy"))


class StoppedUnconfirmed(Scene):
    def test_stop_of_what_runs_unconfirmed_takes_it_back(self):
        self.roll_out(NEW, UNHEALTHY, deadline=LONG)
        self.machine.start()
        self.machine.wait("GUEST unhealthy|not confirmed yet: unhealthy")
        self.workspace.stop("stable")
        self.wait_version(OLD, 2)
        self.wait_outcome("stopped")
        self.assert_settled("A", OLD)
