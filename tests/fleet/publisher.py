"""`sluice watch` as a process beside the test."""
import os
import signal
import subprocess

from fleet.process import wait_until
from fleet.workspace import clock_preload


class Publisher:
    """The watch over a workspace. What it says goes to watch.log."""

    def __init__(self, workspace, *args):
        self.log = workspace.path("watch.log")
        self.env = dict(os.environ, SLUICE_WORKSPACE=workspace.dir)
        if workspace.clock_s:
            self.env.update(clock_preload(workspace.dir, workspace.clock_s))
        self.argv = [workspace.programs.sluice, "watch", *args]
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdout=log, stderr=log, env=self.env,
                                            stdin=subprocess.DEVNULL)
        return self

    def said(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def wait_for(self, text, timeout_s=30):
        wait_until(lambda: text in self.said(), timeout_s,
                   lambda: f"the watch says '{text}':\n{self.said()}")

    def end(self, number=signal.SIGTERM):
        """Returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end(signal.SIGKILL)
