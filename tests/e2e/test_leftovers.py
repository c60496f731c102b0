"""What lies in incoming/ that nobody will ever publish, and what it must not hold up."""
import json
import os
import shutil
import tempfile
import unittest

from fleet import Workspace, make_image

WAVES = (("canary", ["gw-1"]), ("everyone", 100))


def setUpModule():
    global base, made
    base = tempfile.mkdtemp(prefix="sluice-leftovers-")
    made = Workspace(os.path.join(base, "made"), 8443).init().ceremony()
    made.roll_out(made.pack("1.0", make_image(os.path.join(base, "image"), "1", size=1 << 18)),
                  WAVES, open_waves=["canary"])


def tearDownModule():
    shutil.rmtree(base)


class Leftovers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp(dir=base)
        shutil.copytree(made.dir, folder, dirs_exist_ok=True)
        self.ws = Workspace(folder, 8443)

    def published(self, role):
        """An envelope, as it is in the site."""
        return self.ws.metadata(role)

    def leave(self, role, envelope):
        with open(self.ws.path("incoming", f"{role}.json"), "w", encoding="utf-8") as f:
            f.write(envelope if isinstance(envelope, str) else json.dumps(envelope))

    def sign_aside(self, *args):
        """What a command signs where it does not publish; incoming/targets/ is taken away."""
        self.ws.sluice(*args, "--no-publish")
        shutil.rmtree(self.ws.path("incoming", "targets"))

    def stopped(self, *says):
        done = self.ws.sluice("stop", "stable", "--reason", "smoke", "--key",
                              self.ws.key("gates"), "--yes")
        self.assertEqual([s["reason"] for s in self.ws.target("gates/stable.json")["stops"]],
                         ["smoke"])
        for words in says:
            self.assertIn(words, done.stderr)
        return done

    def set_aside(self):
        return [n for n in os.listdir(self.ws.path("incoming")) if n.startswith("gates.json.")]

    def test_a_stop_goes_out_past_a_gates_json_whose_version_is_gone(self):
        stale = self.published("gates")
        self.ws.open_gate("everyone")
        self.leave("gates", stale)
        self.stopped("set aside")
        name, = self.set_aside()
        with open(self.ws.path("incoming", name), encoding="utf-8") as f:
            self.assertEqual(json.load(f), stale)
        self.assertEqual(self.ws.target("gates/stable.json")["open"], ["canary", "everyone"])

    def test_a_stop_goes_out_past_a_gates_json_that_is_no_metadata(self):
        self.leave("gates", "{")
        self.stopped("set aside")

    def test_a_stop_goes_out_past_a_gates_json_of_strangers(self):
        stranger = self.published("gates")
        stranger["signed"]["version"] += 1
        self.leave("gates", stranger)
        self.stopped("set aside")

    def test_a_stop_goes_out_past_a_gates_json_whose_content_is_not_there(self):
        self.sign_aside("gate", "open", "stable", "everyone", "--key", self.ws.key("gates"))
        self.stopped("set aside")
        self.assertEqual(self.ws.target("gates/stable.json")["open"], ["canary"])

    def test_a_stop_builds_on_what_waits_and_is_in_order(self):
        self.ws.sluice("gate", "open", "stable", "everyone", "--key", self.ws.key("gates"),
                       "--no-publish")
        self.stopped()
        self.assertEqual(self.set_aside(), [])
        self.assertEqual(self.ws.target("gates/stable.json")["open"], ["canary", "everyone"])

    def test_a_stop_goes_out_past_whatever_else_waits(self):
        for role in ("root", "targets", "rollouts", "releases"):
            self.leave(role, self.published(role) if role == "rollouts" else "{")
        self.stopped("targets is refused")

    def test_a_first_gate_is_stopped_past_a_broken_rollouts_json(self):
        self.ws.publish_plan(self.ws.plan("gateway-1.0.ota", WAVES, name="lyon"))
        self.leave("rollouts", "{")
        self.ws.stop("lyon")
        self.assertEqual(len(self.ws.target("gates/lyon.json")["stops"]), 1)

    def test_who_may_stop_is_not_changed_by_who_signed_too_little(self):
        """One of two targets keys has signed the gates role away: that is not in force."""
        ws = Workspace(tempfile.mkdtemp(dir=base), 8443)
        os.rmdir(ws.dir)
        ws.init()
        for name in ("root", "targets", "targets-2", "snapshot", "timestamp", "gates"):
            ws.new_key(name)
        ws.sluice("root", "init", "--root", ws.key("root"), "--threshold", 1, "--targets",
                  ws.key("targets"), "--targets", ws.key("targets-2"), "--targets-threshold", 2,
                  "--snapshot", ws.key("snapshot"), "--timestamp", ws.key("timestamp"))
        for key in ("targets", "targets-2"):
            ws.sluice("role", "add", "gates", "--member", ws.path("keys", "gates.pub"),
                      "--threshold", 1, "--key", ws.key(key))
        ws.sluice("role", "remove", "gates", "--key", ws.key("targets"))
        ws.sluice("stop", "--all", "--reason", "x", "--key", ws.key("gates"), "--yes")
        self.assertEqual(len(ws.target("gates/all.json")["stops"]), 1)

    def test_what_others_left_makes_nobody_elses_command_fail(self):
        self.leave("releases", "{")
        done = self.ws.open_gate("everyone")
        self.assertIn("releases is refused", done.stderr)

    def test_a_wrong_key_leaves_nothing_behind(self):
        before = sorted(os.walk(self.ws.path("incoming")))
        plan = self.ws.plan("gateway-1.0.ota", WAVES, attempt=2)
        wrong = ("--key", self.ws.key("targets"))
        for command in (("stop", "stable", "--reason", "x", "--yes"),
                        ("gate", "open", "stable", "everyone"),
                        ("rollout", "publish", plan, "--yes"),
                        ("release", self.ws.path("gateway-1.0.ota"))):
            self.ws.sluice(*command, *wrong, check=1)
            self.assertEqual(sorted(os.walk(self.ws.path("incoming"))), before, command)

    def test_gates_are_shown_whatever_is_broken_in_incoming(self):
        self.stopped()
        for role in ("root", "targets", "rollouts", "releases", "gates"):
            self.leave(role, "{")
            for argv in (("gate", "show"), ("gate", "show", "stable")):
                done = self.ws.sluice(*argv)
                self.assertIn("STOPPED", done.stdout)
                self.assertIn("open   canary", done.stdout)
                if role in ("rollouts", "releases", "gates"):
                    self.assertIn(f"incoming/{role}.json is passed over", done.stderr)
        self.ws.open_gate("everyone", check=1)  # who builds on what is broken is told so

    def test_a_stop_is_lifted_whatever_is_broken_in_incoming(self):
        stop = self.ws.stop("stable")
        for role in ("rollouts", "releases", "gates", "targets", "root"):
            self.leave(role, "{")
        done = self.ws.sluice("resume", stop, "--key", self.ws.key("rollouts"), "--yes")
        self.assertIn("rollouts.json.aside-", done.stderr)
        entry = self.published("rollouts")["signed"]["targets"]["rollouts/stable.json"]
        self.assertEqual(entry["custom"]["resumes"], [stop])

    def test_a_pipe_in_incoming_blocks_nobody(self):
        for name in ("gates", "targets", "other"):
            os.mkfifo(self.ws.path("incoming", f"{name}.json"))
        self.stopped("set aside", "not a regular file")

    def test_old_files_in_incoming_block_nobody(self):
        for i in range(300):
            with open(self.ws.path("incoming", f"gates.json.aside-{i}"), "wb"):
                pass
        self.stopped()
