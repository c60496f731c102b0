"""The network child taken over after it was confined: tests/tools/taken.c tries what an attacker
would, with the agent as it is for a parent, and says what came of it. All of it fails; each part of
the cage is tried alone, too, and without any of it the same attempts work, so they are real.

What this kernel lacks is named: `layers` says what is in force, and is what the kernel has."""
import ctypes
import errno
import os
import shutil
import signal
import subprocess
import time
import unittest

from fleet import Programs, wait_until
from siege import Siege

USER, POWERS, FILES, PORTS, SIGNALS, CALLS = 1, 2, 4, 8, 16, 32
ROOT = os.geteuid() == 0
# A sanitizer looks into /proc and writes what it found: there a child is not confined.
CONFINED = "asan" not in os.path.basename(Programs().build)
LIBC = ctypes.CDLL(None, use_errno=True)
REFUSED = (errno.EACCES, errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT, errno.ESRCH)
# Memory that becomes code: from Linux 6.3 on (PR_GET_MDWE).
NOT_REFUSED = set() if LIBC.prctl(66, 0, 0, 0, 0) >= 0 else {"makes code"}


def landlock():
    """The version that this kernel has; 0: none."""
    return max(0, LIBC.syscall(444, None, 0, 1))


def layers_there_should_be():
    abi = landlock()
    return (USER | POWERS | CALLS | (FILES if abi else 0) | (PORTS if abi >= 4 else 0) |
            (SIGNALS if abi >= 6 else 0))


class Confined(Siege):
    def take_over(self, cage, *wrapper):
        """{deed: errno, 0 where it worked}, once the child has tried everything."""
        folder = self.box.path("taken")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        path = {name: os.path.join(folder, name) for name in
                ("sluice-agent", "sluice-net", "cage", "victims", "result", "spare")}
        shutil.copy(self.box.programs.agent, path["sluice-agent"])
        shutil.copy(self.box.programs.tool("taken"), path["sluice-net"])
        victims = (self.box.slot("B"), self.box.path("state", "state.json"),
                   self.box.conf["box"]["report_key"])
        for name, text in (("cage", cage + "\n"), ("spare", ""),
                           ("victims", "".join(f"{v}\n" for v in victims))):
            with open(path[name], "w", encoding="utf-8") as f:
                f.write(text)
        os.chmod(path["victims"], 0o755)
        os.mkfifo(path["result"])
        argv = [*wrapper, path["sluice-agent"], *self.box.agent_argv("run")[1:]]
        with open(self.box.path("agent.log"), "wb") as log:
            self.agent = subprocess.Popen(argv, cwd=self.box.dir, stdout=log, stderr=log,
                                          stdin=subprocess.DEVNULL)
        with open(path["result"], encoding="ascii") as f:
            lines = f.read().splitlines()
        self.assertEqual(lines[-1:], ["end"], lines)
        self.layers = int(lines[0].split()[1])
        return {name: int(number) for name, number in
                (line.rsplit(": ", 1) for line in lines[1:-1])}

    def child(self):
        with open(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children", encoding="ascii") as f:
            return int(f.read().split()[0])

    def assert_failed(self, came_of, *deeds):
        for deed in deeds:
            with self.subTest(deed):
                self.assertIn(came_of[deed], REFUSED, deed)

    def assert_gone(self, child):
        self.assertIsNone(self.agent.poll())
        started = time.monotonic()
        self.end_agent()
        self.assertLess(time.monotonic() - started, 10)
        wait_until(lambda: not os.path.exists(f"/proc/{child}"), 10, "the child is gone")

    def test_it_gets_nothing_done(self):
        came_of = self.take_over("all")
        self.assertEqual(self.layers, layers_there_should_be(), f"Landlock {landlock()}")
        self.assertGreater(len(came_of), 20)
        self.assert_failed(came_of, *(set(came_of) - NOT_REFUSED))
        self.assert_gone(self.child())
        self.assert_untouched(True)

    def test_it_is_nobodys_process_that_it_could_ask_a_favour_of(self):
        """Another user's without capabilities, who gains none, and is not to be looked into; in
        none of the agent's groups."""
        self.take_over("all", "setpriv", "--groups", "4")
        with open(f"/proc/{self.child()}/status", encoding="ascii") as f:
            said = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        self.assertNotIn("0", said["Uid"].split() + said["Gid"].split())
        self.assertEqual(said["Groups"].strip(), "")
        self.assertEqual({int(said[f"Cap{name}"], 16)
                          for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}, {0})
        self.assertEqual((said["NoNewPrivs"], said["Seccomp"]), ("1", "2"))
        self.assertEqual(os.stat(f"/proc/{self.child()}/mem").st_uid, 0)  # not dumpable

    def test_it_is_root_without_power_where_users_cannot_be_changed(self):
        """An agent that could not end another user's process has none, and says so."""
        came_of = self.take_over("all", "setpriv", "--bounding-set", "-kill", "--inh-caps",
                                 "-kill")
        self.assertEqual(self.layers, layers_there_should_be() & ~USER)
        self.assert_failed(came_of, *(set(came_of) - NOT_REFUSED - {"becomes root"} -
                                      (set() if landlock() else {
                                          "reads a slot", "reads the report key",
                                          "reads /etc/shadow"})))
        self.assert_gone(self.child())

    def test_an_agent_that_dies_takes_it_along(self):
        self.take_over("all")
        child = self.child()
        self.agent.kill()
        wait_until(lambda: not os.path.exists(f"/proc/{child}"), 10, "the child is gone")

    def test_the_filter_alone_lets_it_change_nothing(self):
        came_of = self.take_over("filter")
        self.assertEqual(self.layers, CALLS)
        self.assert_failed(came_of, "opens a slot", "writes state", "removes state",
                           "makes a file", "makes a file in /tmp", "signals its parent",
                           "traces its parent", "reads its parent's memory",
                           "runs a program", "becomes a program", "starts a process",
                           "binds a port", "binds a datagram port", "listens",
                           "sees packets", "speaks netlink", "has an io_uring",
                           "becomes root", "becomes root of a namespace")

    def test_the_fence_alone_keeps_it_from_files(self):
        came_of = self.take_over("fence")
        self.assertEqual(self.layers, layers_there_should_be() & (FILES | PORTS | SIGNALS))
        kept = ["opens a slot", "reads a slot", "writes state", "removes state",
                "makes a file", "makes a file in /tmp", "reads the report key",
                "reads /etc/shadow", "traces its parent", "reads its parent's memory",
                "runs a program", "becomes a program"] if landlock() else []
        kept += ["binds a port"] if landlock() >= 4 else []
        kept += ["signals its parent"] if landlock() >= 6 else []
        self.assert_failed(came_of, *kept)

    def test_without_a_cage_it_gets_it_all_done(self):
        came_of = self.take_over("none")
        self.assertEqual(self.layers, 0)
        for deed in ("opens a slot", "reads a slot", "writes state", "removes state",
                     "makes a file", "reads the report key", "signals its parent",
                     "traces its parent", "reads its parent's memory", "runs a program",
                     "becomes a program", "starts a process", "binds a port",
                     "binds a datagram port", "listens", "speaks netlink", "becomes root"):
            with self.subTest(deed):
                self.assertEqual(came_of[deed], 0, deed)

    def test_as_anybody_it_is_fenced_in_and_filtered(self):
        came_of = self.take_over("all")
        self.assertEqual(self.layers, layers_there_should_be())
        self.assert_failed(came_of, "opens a slot", "writes state", "runs a program",
                           "binds a port", "signals its parent")
        self.assert_gone(self.child())

    def test_a_child_that_is_looked_into_says_that_it_is_not_confined(self):
        self.take_over("all")
        self.assertEqual(self.layers, 0)

    def test_a_child_that_hears_nothing_goes_with_its_parent(self):
        self.take_over("none")
        child = self.child()
        os.kill(child, signal.SIGTERM)
        self.assert_gone(child)


AS_ROOT = ("test_it_gets_nothing_done", "test_an_agent_that_dies_takes_it_along",
           "test_it_is_nobodys_process_that_it_could_ask_a_favour_of",
           "test_it_is_root_without_power_where_users_cannot_be_changed",
           "test_the_filter_alone_lets_it_change_nothing",
           "test_the_fence_alone_keeps_it_from_files", "test_without_a_cage_it_gets_it_all_done")
AS_ANYBODY = ("test_as_anybody_it_is_fenced_in_and_filtered",)
UNCONFINED = ("test_a_child_that_is_looked_into_says_that_it_is_not_confined",)
# What is not about this machine, or about these programs, is no test here.
for name in (UNCONFINED + (AS_ANYBODY if ROOT else AS_ROOT) if CONFINED
             else AS_ROOT + AS_ANYBODY):
    delattr(Confined, name)


if __name__ == "__main__":
    unittest.main()
