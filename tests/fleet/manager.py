"""A service manager: hears what services say of themselves, as systemd does."""
import os
import socket
import struct
import threading

from fleet.process import wait_until


class Manager:
    """Listens at a socket in this folder. `said` is [(process id, line)], oldest first."""

    def __init__(self, folder, every_ms):
        self.said = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        path = os.path.join(folder, "notify")
        self.socket.bind(path)
        # A quarter of this is when a service has to say that it lives.
        self.environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(4000 * every_ms)}
        self.ended, self.caught_up = False, threading.Event()
        self.thread = threading.Thread(target=self.hear)
        self.thread.start()

    def hear(self):
        while not self.ended:
            line, more, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            pid = struct.unpack("3i", more[0][2])[0]
            if pid == os.getpid():
                self.caught_up.set()
            else:
                self.said.append((pid, line.decode()))

    def catch_up(self):
        """Returns when all that was said before is in `said`: what is said last is heard last."""
        self.caught_up.clear()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"X_TEST=1", self.environ["NOTIFY_SOCKET"])
        self.caught_up.wait(30)

    def stop(self):
        if not self.ended:
            self.ended = True
            self.catch_up()
            self.thread.join()
            self.socket.close()

    def lines(self, pid=None):
        return [line for who, line in list(self.said) if pid in (None, who)]

    def services(self):
        """The processes that spoke, in the order of their first words."""
        return list(dict.fromkeys(pid for pid, _ in list(self.said)))

    def wait_for_signs(self, count=3, timeout_s=30):
        """Waits for so many further signs of life."""
        before = self.lines().count("WATCHDOG=1")
        wait_until(lambda: self.lines().count("WATCHDOG=1") >= before + count, timeout_s,
                   lambda: f"{count} further signs of life; heard: {self.said[-5:]}")
