"""Agents that are killed, told to end, or watched for doors that they leave open."""
import os
import signal
import socket
import unittest

from fleet import wait_until
from fleet.case import NEW, OLD, FleetCase


class Interruption(FleetCase):
    SIZE = 4 << 20

    def slow_down(self, directives):
        self.nginx.set(directives)
        self.nginx.reload()

    def two_processes(self, box, but_not=None):
        """The agent and its network child, once both run."""
        def both():
            pids = box.agent_pids()
            return pids if len(pids) == 2 and but_not not in pids else None

        return wait_until(both, 20, "the agent and its child run")

    def test_an_agent_killed_during_an_install_goes_on_where_it_was(self):
        self.slow_down("limit_rate 40k;")  # of each of several ranges at once
        box = self.box()
        before = box.slot_digests()
        self.roll_out()
        box.wait_for_phase("installing")
        wait_until(lambda: box.slot_digests() != before, 60, "something has been written")
        box.kill()
        self.assert_runs(box, OLD, other_side_boots=False)
        self.slow_down("")
        box.start()
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)
        self.assertIn("in place", box.log())

    def test_a_killed_network_child_is_started_again(self):
        box = self.box()
        parent, child = self.two_processes(box)
        os.kill(child, signal.SIGKILL)
        again = self.two_processes(box, but_not=child)
        self.assertEqual(again[0], parent)
        self.roll_out()
        self.wait_for_outcome(box, "ok", timeout_s=60)

    def test_the_child_ends_with_its_parent(self):
        box = self.box()
        parent, child = self.two_processes(box)
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/proc/{child}"), 20, "the child has ended")

    def test_sigterm_ends_it_at_a_safe_point(self):
        self.slow_down("limit_rate 40k;")
        box = self.box()
        self.roll_out()
        box.wait_for_phase("installing")
        box.stop(expect=0)
        self.assert_runs(box, OLD, other_side_boots=False)
        self.slow_down("")
        box.start()
        self.wait_for_outcome(box, "ok", timeout_s=60)

    def polls(self, box):
        """How its first release came to it is reported without any poll."""
        return [r for r in self.nginx.requests(box.name) if r[0] != "PUT"]

    def test_sighup_polls_now(self):
        box = self.box(start=False)
        box.set({"intervals": {"poll": "1h"}})
        box.start()
        self.wait_for_log(box, "follows rollouts/stable.json")
        self.settle(1)
        self.assertEqual(self.polls(box), [])  # it waits, at random, up to an hour
        os.kill(box.agent_pids()[0], signal.SIGHUP)
        wait_until(lambda: self.polls(box), 10, "it polls now")

    def test_a_second_agent_is_refused_while_one_works(self):
        self.slow_down("limit_rate 100k;")
        box = self.box()
        self.roll_out()
        box.wait_for_phase("installing")
        done = box.agent("rollback", check=None)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another", done.stderr)

    def test_no_socket_ever_listens(self):
        self.slow_down("limit_rate 200k;")
        box = self.box()
        self.roll_out()
        seen = 0

        def done():
            nonlocal seen
            for pid in box.agent_pids():
                found = listening(pid)
                self.assertFalse(found, pid)
                seen += found is not None
            return self.last_report(box)

        wait_until(done, 40, "the update has ended", every_s=0.02)
        self.assertGreater(seen, 30)
        self.assert_runs(box, NEW)


def sockets_of(pid):
    """Inodes of a process's sockets."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes


def rows_of(pid, table):
    with open(f"/proc/{pid}/net/{table}", encoding="utf-8") as f:
        return [line.split() for line in f.read().splitlines()[1:]]


def listening(pid):
    """Sockets of a process that wait for others to connect, TCP, UDP and UNIX, by the kernel's own
    tables; None when the process has ended."""
    try:
        inodes = sockets_of(pid)
        found = [(table, row) for table, state in
                 (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07"))
                 for row in rows_of(pid, table) if row[3] == state and row[9] in inodes]
        return found + [("unix", row) for row in rows_of(pid, "unix")
                        if int(row[3], 16) & 0x10000 and row[6] in inodes]  # __SO_ACCEPTCON
    except (FileNotFoundError, ProcessLookupError):
        return None


class ListeningIsSeen(unittest.TestCase):
    """The check above sees what it looks for."""

    def test_sockets_that_listen_are_seen_and_others_are_not(self):
        self.assertEqual(listening(os.getpid()), [])
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            self.assertEqual(len(listening(os.getpid())), 1)
            with socket.create_connection(s.getsockname()):
                self.assertEqual(len(listening(os.getpid())), 1)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
            self.assertEqual(len(listening(os.getpid())), 1)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind("\0sluice-test")
            s.listen()
            self.assertEqual(len(listening(os.getpid())), 1)


if __name__ == "__main__":
    unittest.main()
