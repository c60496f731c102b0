"""What a box costs while there is nothing new: `make bench` says it of more polls."""
import contextlib
import os
import shutil
import signal
import tempfile
import time
import unittest

from fleet import Box, Nginx, Workspace, free_port, make_image, wait_until
from fleet.line import Line, private_network
from fleet.watch import MIB
from web import certificate

ALONE = True  # what libraries take is shared among all agents that run

KEPT_MAX, RESUMED_MAX = 900, 3200  # bytes
PSS_MAX = 8 * MIB
NAME = "gw-000001"


class Cost(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        folder = tempfile.mkdtemp(prefix="sluice-e2e-")
        self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self.stack.enter_context(private_network())
        self.folder = folder
        workspace = self.workspace = Workspace(os.path.join(folder, "fleet"), free_port())
        workspace.init().ceremony()
        image = make_image(os.path.join(folder, "1.0.0.img"), "1.0.0")
        bundle = workspace.pack("1.0.0", image)
        workspace.roll_out(bundle, [("all", "100%")])
        self.nginx = Nginx(workspace)
        self.box = Box(workspace, NAME, image)
        self.box.factory_install(bundle)
        self.stack.callback(self.box.stop)

    def line(self, directives):
        self.nginx.set(directives)
        self.stack.enter_context(self.nginx)
        line = Line(self.nginx, self.box)
        line.start()
        return line

    def assert_cheap(self, polls, most):
        for poll in polls:
            self.assertEqual(poll.requests, [404, 304])
            self.assertLessEqual(poll.bytes, most, polls)

    def test_a_poll_on_a_kept_connection_is_cheap_and_an_idle_agent_is_small(self):
        line = self.line("")
        self.assert_cheap(line.polls(2), KEPT_MAX)
        memory = line.idle_pss()
        self.assertEqual(len(memory), 2, "the agent and its network child")
        if "asan" not in self.workspace.programs.build:  # its shadow is not ours
            self.assertLessEqual(sum(memory.values()), PSS_MAX, memory)
        self.assert_cheap(line.polls(1), KEPT_MAX)

    def test_a_box_that_was_started_sends_nothing_at_once(self):
        """Nor do all those that were started with it: what is left to report goes with the first
        poll."""
        self.nginx.set("")
        self.stack.enter_context(self.nginx)
        self.box.set({"intervals": {"poll": "1d"}})
        self.box.start()
        wait_until(lambda: " follows " in self.box.log(), 30, self.box.log)
        time.sleep(1)
        self.assertEqual(len(os.listdir(self.box.path("state", "spool"))), 1, "of the factory")
        self.assertEqual(self.nginx.requests(), [])
        os.kill(self.box.agent_pids()[0], signal.SIGHUP)
        wait_until(lambda: self.workspace.reports(NAME), 20, self.box.log)
        self.assertEqual({method for method, *_ in self.nginx.requests()}, {"GET", "PUT"})

    def test_a_poll_on_a_new_connection_resumes_its_session_and_is_cheap(self):
        line = self.line("keepalive_timeout 1s;")
        self.assert_cheap(line.polls(2, idle_s=1), RESUMED_MAX)
        self.assertEqual(self.nginx.resumed()[-4:], [True] * 4)

    def test_a_certificate_on_its_last_day_is_shown_on_each_connection(self):
        """The server resumes no session of it: that costs a box one poll, and no more."""
        pair = certificate(self.workspace, self.folder, f"/CN={NAME}", left_s=3600)
        for name, path in zip(("crt", "key"), pair):
            shutil.copy(path, self.box.path("box." + name))
        line = self.line("keepalive_timeout 0;")
        self.assertEqual([poll.requests for poll in line.polls(2)], [[404, 304]] * 2)
        statuses = [status for _, _, status, _ in self.nginx.requests()]
        self.assertEqual(statuses.count(400), 1)
        self.assertEqual(self.nginx.resumed()[-4:], [False] * 4)


if __name__ == "__main__":
    unittest.main()
