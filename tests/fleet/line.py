"""What a box's polls cost on the line, in a network of their own: a network namespace in which
nothing runs but one web server and one box, so that its counters count them and nobody else."""
import collections
import contextlib
import ctypes
import os
import signal
import time

from fleet.process import run, wait_until
from fleet.watch import memory_of

CLONE_NEWNET = 0x40000000
ETHERNET_HEADER = 14
QUIET_S = 0.3  # longer than any acknowledgement is put off

Poll = collections.namedtuple("Poll", "bytes packets requests")


def libc_call(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


@contextlib.contextmanager
def private_network():
    """This process and what it starts have a network of their own meanwhile: an interface to
    themselves, with the packets of an Ethernet. Only root can have that."""
    with open("/proc/self/ns/net", "rb") as before:
        libc_call("unshare", CLONE_NEWNET)
        try:
            run(["ip", "link", "set", "lo", "mtu", "1500", "gso_max_segs", "1", "up"])
            yield
        finally:
            libc_call("setns", before.fileno(), CLONE_NEWNET)


def counters():
    """(IP bytes, packets) so far, both ways: what is sent here is received here, too."""
    with open("/proc/thread-self/net/dev", encoding="ascii") as f:
        fields = next(line for line in f if line.strip().startswith("lo:")).split()
    packets = int(fields[2])
    return int(fields[1]) - ETHERNET_HEADER * packets, packets


class Line:
    """Between an agent that polls when told to, and its server."""

    def __init__(self, nginx, box):
        self.nginx, self.box = nginx, box

    def start(self):
        """Turns the box on, and lets it poll until there is nothing new."""
        self.box.set({"intervals": {"poll": "1d"}})
        before = self.box.log().count(" follows ")
        self.box.start()
        wait_until(lambda: self.box.log().count(" follows ") > before, 30, self.box.log)
        wait_until(lambda: self.poll_once()[-1:] == [304], 30, self.box.log)

    def poll_once(self):
        """Statuses of the requests that a poll made."""
        before = len(self.nginx.requests())
        os.kill(self.box.agent_pids()[0], signal.SIGHUP)
        wait_until(lambda: any("timestamp" in path
                               for _, path, _, _ in self.nginx.requests()[before:]), 30,
                   self.box.log)
        self.wait_for_quiet()
        return [status for _, _, status, _ in self.nginx.requests()[before:]]

    def wait_for_quiet(self):
        last = None
        while last != (last := counters()):
            time.sleep(QUIET_S)

    def polls(self, count, idle_s=0):
        """What each of some polls cost, the connection's end included. idle_s: before each."""
        found = []
        time.sleep(idle_s)
        for _ in range(count):
            before = counters()
            statuses = self.poll_once()
            time.sleep(idle_s)
            self.wait_for_quiet()
            after = counters()
            found.append(Poll(after[0] - before[0], after[1] - before[1], statuses))
        return found

    def idle_pss(self):
        """{process: bytes}, once it has gone to sleep."""
        time.sleep(2)
        return {pid: memory_of(pid)[0] for pid in self.box.agent_pids()}
