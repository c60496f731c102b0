"""How the network child starts, and what is said where it does not (agent/net_child.c)."""
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import test_net
from test_net import BUILD, Probe, Server, sha

HELLO = ["ok", "200", "5", sha(b"hello")]
NET = os.path.join(BUILD, "sluice-net")
HEADER = "<BBBBIQQQQIIII"
END, VERSION = 8, 1


class Child(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certificates = tempfile.mkdtemp(prefix="sluice-child-")
        cls.addClassCleanup(shutil.rmtree, cls.certificates)
        test_net.make_certificates(cls.certificates)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-child-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.server = Server(self.certificates)
        self.addCleanup(self.server.close)

    def path(self, name):
        return os.path.join(self.folder, name)

    def probe(self, net=None, mode=0o755, environ=None):
        """The tool with a sluice-net of its own beside it, or none."""
        class Own(Probe):
            pass

        Own.program, Own.environ = self.path("net_probe"), environ
        shutil.copy(Probe.program, Own.program)
        if net is not None:
            shutil.copy(net, self.path("sluice-net"))
            os.chmod(self.path("sluice-net"), mode)
        return Own(self.server.url, self.certificates)

    def ask(self, probe):
        """The answer to one request, or what kept the tool from its start."""
        try:
            probe.process.stdin.write("get targets plain 100 10000 -\n")
            probe.process.stdin.flush()
        except BrokenPipeError:
            pass
        return probe.process.stdout.readline().strip()

    def end(self, probe):
        try:
            probe.process.stdin.close()
        except BrokenPipeError:
            pass
        probe.process.wait(30)
        probe.process.stdout.close()

    def assert_says(self, probe, *texts):
        answer = self.ask(probe)
        self.end(probe)
        self.assertEqual(answer.split()[0], "err", answer)
        for text in texts:
            self.assertIn(text, answer)


class Own(Child):
    """The agent starts it."""

    def test_one_that_is_missing_is_named_and_so_is_what_to_do(self):
        self.assert_says(self.probe(), "sluice-net", self.folder, "No such file",
                         "install sluice-agent again")

    def test_one_that_may_not_be_run_is_named_and_so_is_what_to_do(self):
        self.assert_says(self.probe(NET, 0o644), self.path("sluice-net"), "Permission denied",
                         "install sluice-agent again")

    def test_one_that_is_no_program_is_named(self):
        self.assert_says(self.probe(__file__), self.path("sluice-net"), "cannot be run: ")

    def test_one_that_ends_at_once_is_named_with_its_status(self):
        self.assert_says(self.probe(shutil.which("false")),
                         f"{self.path('sluice-net')} ended with status 1; ")

    def test_one_that_dies_is_named_with_its_signal(self):
        probe = self.probe(NET)
        self.addCleanup(self.end, probe)
        child = probe.child() if self.ask(probe).split()[:4] == HELLO else None
        killer = threading.Timer(0.5, os.kill, (child, signal.SIGSEGV))
        killer.start()
        self.assertIn(f"{self.path('sluice-net')} died of signal 11 (Segmentation fault)",
                      probe.ask("get", "targets", "silent", 100, 60000, "-"))
        killer.join()


class Service(Child):
    """The service manager starts it: what plays that here hands each connection to a program, or
    answers it as one of another version would."""

    def setUp(self):
        super().setUp()
        self.programs = []
        self.addCleanup(lambda: [program.wait(30) for program in self.programs])

    def kill_programs(self):
        """Those that are still there; the agent learns of it as it would."""
        for program in self.programs:
            program.kill()
            program.wait(30)

    def manage(self, *deeds):
        """One deed for each connection, the last for all that follow."""
        self.connections = 0
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(listener.close)
        listener.bind(self.path("net.sock"))
        listener.listen(8)

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                deed = deeds[min(self.connections, len(deeds) - 1)]
                self.connections += 1
                with connection:
                    deed(connection)

        threading.Thread(target=serve, daemon=True).start()
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)
        return {**os.environ, "RUNTIME_DIRECTORY": self.folder}

    def start(self, connection):
        """Closed here, it is the program's alone."""
        with socket.socket(fileno=fcntl.fcntl(connection, fcntl.F_DUPFD, 10)) as other:
            number = other.fileno()
            self.programs.append(subprocess.Popen(
                ["bash", "-c", f"exec {NET} 3<&{number} {number}<&-"], pass_fds=[number],
                stdin=subprocess.DEVNULL))

    @staticmethod
    def hang_up(connection):
        """As one whose user there is not."""

    @staticmethod
    def end_later(connection):
        """It takes what it is told first, and its time."""
        while len(packet := connection.recv(1 << 20)) > 0 and packet[0] != 12:
            pass
        time.sleep(0.5)

    @staticmethod
    def speak_the_next_version(connection):
        """It refuses what it is told, and says so."""
        packet = connection.recv(1 << 20)
        assert packet[3] == VERSION
        text = b"of two versions"
        connection.send(struct.pack(HEADER, END, 0, 0, VERSION + 1, 0, 9, 0, 0, 0, len(text), 0,
                                    0, 0) + text)
        while connection.recv(1 << 20):
            pass

    def test_one_that_fails_first_costs_no_interval(self):
        for deed in (self.hang_up, self.end_later):
            with self.subTest(deed.__name__):
                probe = self.probe(NET, environ=self.manage(deed))
                self.assertEqual(self.ask(probe).split()[:4], HELLO)
                self.assertEqual(self.connections, 1)
                self.end(probe)
                os.unlink(self.path("net.sock"))

    def test_one_that_worked_is_asked_once_more(self):
        """And by no program of the agent's own, however often it fails later."""
        environ = self.manage(self.start, self.hang_up, self.start, self.hang_up, self.hang_up,
                              self.start)
        probe = self.probe(NET, environ=environ)
        self.addCleanup(self.end, probe)
        self.assertEqual(self.ask(probe).split()[:4], HELLO)
        self.kill_programs()
        self.assertEqual(self.ask(probe).split()[:4], HELLO)
        self.assertEqual(self.connections, 3)
        self.kill_programs()
        self.assertRegex(self.ask(probe), "err network .*sluice-net@.service ended; journalctl")
        self.assertEqual(self.connections, 5)
        self.assertEqual(self.ask(probe).split()[:4], HELLO)

    def test_one_of_another_version_is_refused_with_what_to_do(self):
        probe = self.probe(environ=self.manage(self.start, self.speak_the_next_version,
                                               self.speak_the_next_version, self.start))
        self.addCleanup(self.end, probe)
        self.assertEqual(self.ask(probe).split()[:4], HELLO)
        self.kill_programs()
        answer = self.ask(probe)
        self.assertIn("err network", answer)
        self.assertIn("restart sluice-agent", answer)
        self.assertEqual(self.connections, 3)
        self.assertEqual(self.ask(probe).split()[:4], HELLO)

    def test_an_agent_of_another_version_is_told_what_to_do(self):
        """The program itself, told something by an agent that speaks another protocol."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                self.start(theirs)
            for _ in range(3):
                ours.send(struct.pack(HEADER, 10, 0, 0, VERSION + 1, *[0] * 9))
            ours.settimeout(20)
            packet = ours.recv(1 << 20)
            self.assertEqual((packet[0], packet[3]), (END, VERSION))
            self.assertIn(b"restart sluice-agent", packet)


if __name__ == "__main__":
    unittest.main()
