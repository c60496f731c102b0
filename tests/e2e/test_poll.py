"""What a box learns from a poll that goes wrong half-way, and what it holds back."""
import ctypes
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from fleet import Box, Nginx, Workspace, free_port, make_image, wait_until

OLD, NEW = "1.0.0", "2.0.0"
TIME_ERROR, STA_UNSYNC = 5, 0x40


def clock_is_synchronised():
    """What the kernel says (adjtimex(2)); the status is the fifth long of struct timex."""
    timex = (ctypes.c_long * 64)()
    state = ctypes.CDLL(None).adjtimex(timex)
    return 0 <= state != TIME_ERROR and not ctypes.c_int(timex[5]).value & STA_UNSYNC


class Poll(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp(prefix="sluice-poll-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.workspace = Workspace(os.path.join(folder, "fleet"), free_port()).init()
        self.workspace.ceremony()
        self.nginx = Nginx(self.workspace).start()
        self.addCleanup(self.nginx.stop)
        images = {v: make_image(os.path.join(folder, v), v, 4 << 20) for v in (OLD, NEW)}
        self.bundle = self.workspace.pack(NEW, images[NEW])
        self.box = Box(self.workspace, "gw-000001", images[OLD])
        self.box.set({"boot": {"reboot": None}})

    def roll_out(self):
        self.workspace.roll_out(self.bundle, [("all", "100%")])

    def start(self):
        self.log = open(self.box.path("log"), "ab")
        self.addCleanup(self.log.close)
        agent = subprocess.Popen(self.box.agent_argv("run"), stderr=self.log)

        def end():
            agent.terminate()
            self.assertEqual(agent.wait(20), 0)

        self.addCleanup(end)

    def set_server(self, directives):
        self.nginx.set(directives)
        self.nginx.reload()

    def text(self):
        with open(self.box.path("log"), encoding="utf-8") as f:
            return f.read()

    def phase(self):
        return (self.box.status()["pending"] or {}).get("phase")

    def wait_for_outcome(self, outcome, timeout_s):
        wait_until(lambda: outcome in self.workspace.outcomes(self.box.name), timeout_s,
                   lambda: f"{outcome}:\n{self.text()}")

    def test_a_stop_counts_although_the_rest_of_the_poll_fails(self):
        self.roll_out()
        stop = self.workspace.stop("stable")
        os.remove(self.workspace.target_file("rollouts/stable.json"))
        done = self.box.agent("check", check=1)
        self.assertIn("404", done.stderr)
        self.assertEqual([s["id"] for s in self.box.status()["stops"]], [stop])

    def test_a_stop_counts_although_the_role_of_its_plan_cannot_be_read(self):
        slow = 'if ($uri ~ "[.]ota$") { set $limit_rate 3k; } '
        self.set_server(slow)
        self.roll_out()
        self.start()
        wait_until(lambda: self.phase() == "installing", 60, self.text)
        self.set_server(slow + 'if ($uri ~ "[.]rollouts[.]json$") { return 503; }')
        self.workspace.publish_plan(self.workspace.plan(self.bundle, [("all", "100%")],
                                                        name="other"))
        self.workspace.stop("stable")
        self.wait_for_outcome("stopped", 15)

    def test_a_lifted_stop_stays_lifted_although_the_role_of_its_plan_cannot_be_read(self):
        slow = 'if ($uri ~ "[.]ota$") { set $limit_rate 3k; } '
        self.set_server(slow)
        self.roll_out()
        self.workspace.resume(self.workspace.stop("stable"))
        self.start()
        wait_until(lambda: self.phase() == "installing", 60, self.text)
        self.set_server(slow + 'if ($uri ~ "[.]rollouts[.]json$") { return 503; }')
        self.workspace.publish_plan(self.workspace.plan(self.bundle, [("all", "100%")],
                                                        name="other"))
        wait_until(lambda: "asking for a stop" in self.text(), 15, self.text)
        self.assertEqual(self.box.status()["stops"], [])
        self.assertEqual(self.phase(), "installing")

    def test_a_stop_is_seen_while_the_download_stands_still(self):
        self.set_server('if ($uri ~ "[.]ota$") { set $limit_rate 3k; }')
        self.box.set({"intervals": {"stall": "60s"}})
        self.roll_out()
        self.start()
        wait_until(lambda: self.phase() == "installing", 60, self.text)
        began = time.monotonic()
        self.workspace.stop("stable")
        self.wait_for_outcome("stopped", 15)
        self.assertLess(time.monotonic() - began, 10)

    def test_a_stop_follows_another_publication_within_the_same_second(self):
        self.roll_out()
        self.box.script("inhibit.d/10-never", "exit 1\n")
        self.start()
        wait_until(lambda: "inhibit.d" in self.text(), 20, self.text)
        for round_ in range(3):
            # The file's size is the same, and so is the second of its change, most of the time.
            self.workspace.publish()
            time.sleep(0.3)
            stop = self.workspace.stop("stable", reason=f"round {round_}")
            wait_until(lambda: stop in [s["id"] for s in self.box.status()["stops"]], 10,
                       self.text)
            self.workspace.resume(stop)
            wait_until(lambda: not self.box.status()["stops"], 10, self.text)

    def test_reports_wait_for_the_server_and_come_in_order(self):
        self.set_server("if ($request_method = PUT) { return 503; }")
        self.roll_out()
        self.start()
        wait_until(lambda: self.phase() == "activated", 30, self.text)
        self.assertEqual(self.workspace.reports(), [])
        self.assertIn("reports wait", self.text())
        self.set_server("")
        wait_until(lambda: "installed" in [r["state"] for r in self.workspace.reports()], 20,
                   self.text)
        self.assertEqual([r["seq"] for r in self.workspace.reports()],
                         list(range(1, len(self.workspace.reports()) + 1)))
        puts = [p for m, p, s, _ in self.nginx.requests() if m == "PUT" and s == 201]
        numbers = [int(p.rsplit("/", 1)[1].split(".")[0]) for p in puts]
        self.assertEqual(numbers, sorted(numbers))

    def reports_put(self):
        with open(self.workspace.path("nginx", "access.log"), encoding="utf-8") as f:
            return f.read().count('"PUT ')

    def test_reports_wait_as_long_as_their_server_asks(self):
        self.box.set({"intervals": {"retry_max": "60s"}})
        self.set_server('set $busy $request_method$uri;\n'
                        'if ($busy ~ ^PUT) { return 503; }\n'
                        'add_header Retry-After 8 always;')
        self.start()
        wait_until(self.reports_put, 20, "a report is offered")
        time.sleep(6)  # some ten polls
        self.assertEqual(self.reports_put(), 1)
        wait_until(lambda: self.reports_put() > 1, 30, "it is offered again")

    def test_an_untrusted_clock_wants_a_newer_timestamp_before_anything_starts(self):
        self.box.set({"box": {"trust_clock": "no"}})
        self.roll_out()
        self.assertIn("update:", self.box.agent("check").stdout)  # nothing older is known
        again = self.box.agent("check").stdout
        if clock_is_synchronised():
            self.assertIn("update:", again)
            return
        self.assertIn("clock is not trusted", again)
        self.workspace.publish()
        self.assertIn("update:", self.box.agent("check").stdout)

    def test_a_server_that_is_too_busy_for_a_bundle_is_left_alone_as_long_as_it_asks(self):
        self.set_server('location ^~ /targets/bundles/ { add_header Retry-After 30 always; '
                        'return 503; }')
        self.box.set({"intervals": {"retry_max": "60s"}})
        self.roll_out()
        self.start()
        wait_until(lambda: "answered 503" in self.text(), 30, self.text)
        time.sleep(8)
        asked = [p for _, p, _, _ in self.nginx.requests() if p.endswith(".ota")]
        self.assertEqual(len(asked), 1)

    def test_a_bundle_behind_a_server_without_ranges_is_still_taken(self):
        self.set_server("max_ranges 0;")
        self.roll_out()
        self.start()
        wait_until(lambda: self.phase() == "activated", 40, self.text)
        self.assertNotIn(206, [s for _, _, s, _ in self.nginx.requests()])


if __name__ == "__main__":
    unittest.main()
