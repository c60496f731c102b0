"""Plans, gates, stops and resumes as people make them with `sluice`, seen in what is published."""
import json
import os
import pty
import shutil
import subprocess
import tempfile
import termios
import unittest

from fleet import Workspace, make_image, wait_until

WAVES = (("canary", ["gw-1"]), ("early", 5), ("everyone", 100))


def setUpModule():
    """One workspace with a released bundle, copied for each test."""
    global base, made
    base = tempfile.mkdtemp(prefix="sluice-rollouts-")
    made = Workspace(os.path.join(base, "made"), 8443).init().ceremony()
    image = make_image(os.path.join(base, "image"), "1", size=1 << 18)
    made.release(made.pack("1.0", image))
    made.release(made.pack("2.0", image))


def tearDownModule():
    shutil.rmtree(base)


class Rollouts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp(dir=base)
        shutil.copytree(made.dir, folder, dirs_exist_ok=True)
        self.ws = Workspace(folder, 8443)

    def plan(self, name="stable", bundle="gateway-1.0.ota", **settings):
        return self.ws.plan(bundle, WAVES, name=name, **settings)

    def publish(self, name="stable", **settings):
        self.ws.publish_plan(self.plan(name, **settings))
        return self.ws.target(f"rollouts/{name}.json")

    def gate(self, name="stable"):
        return self.ws.target(f"gates/{name}.json")

    def entry(self, path):
        role = path.split("/")[0]
        return self.ws.metadata(role)["signed"]["targets"][path]

    def refused(self, status, *args, says=""):
        before = self.site()
        done = self.ws.sluice(*args, check=status)
        self.assertIn(says, done.stderr)
        self.assertEqual(self.site(), before)

    def site(self):
        return sorted(os.path.join(d, f) for d, _, files in os.walk(self.ws.path("site"))
                      for f in files)

    def key(self, name):
        return self.ws.key(name)

    def test_a_plan_is_bound_to_its_bundle(self):
        plan = self.publish()
        listed = self.ws.metadata("releases")["signed"]["targets"]["bundles/gateway-1.0.ota"]
        self.assertEqual(plan["bundle"], {"path": "bundles/gateway-1.0.ota",
                                          "length": listed["length"],
                                          "sha256": listed["hashes"]["sha256"],
                                          "head": listed["custom"]["head"]})
        self.assertEqual((plan["version"], plan["path"]), (1, "rollouts/stable.json"))
        self.assertIn("rollouts/all.json", self.ws.metadata("rollouts")["signed"]["targets"])

    def test_versions_rise_only_when_the_plan_says_something_else(self):
        self.assertEqual(self.publish()["version"], 1)
        self.assertEqual(self.publish()["version"], 1)
        self.assertEqual(self.publish(attempt=2)["version"], 2)
        self.assertEqual(self.publish()["version"], 3)

    def test_a_released_anew_bundle_makes_a_new_plan(self):
        self.publish()
        image = make_image(os.path.join(self.ws.dir, "image"), "other", size=1 << 18)
        self.ws.release(self.ws.pack("1.0", image))
        self.assertEqual(self.publish()["version"], 2)

    def test_an_unreleased_bundle_is_refused(self):
        plan = self.plan(bundle="gateway-9.9.ota")
        self.refused(1, "rollout", "publish", plan, "--key", self.key("rollouts"), "--yes",
                     says="not released")

    def test_a_key_of_another_role_signs_nothing(self):
        plan = self.plan()
        for key in ("releases", "gates", "targets", "timestamp"):
            self.refused(1, "rollout", "publish", plan, "--key", self.key(key), "--yes")
        self.publish()
        for key in ("releases", "rollouts", "targets", "snapshot"):
            self.refused(1, "gate", "open", "stable", "canary", "--key", self.key(key))
            self.refused(1, "stop", "stable", "--reason", "x", "--yes", "--key", self.key(key))

    def test_a_plan_is_not_signed_unasked(self):
        self.refused(2, "rollout", "publish", self.plan(), "--key", self.key("rollouts"),
                     says="--yes")

    def test_a_terminal_is_shown_what_would_change_and_asked(self):
        for answer, status in ((b"n\n", 1), (b"y\n", 0)):
            before = self.site()
            got, said = self.on_a_terminal("rollout", "publish", self.plan(), "--key",
                                           self.key("rollouts"), asks=b"[y/n]", answer=answer)
            self.assertEqual(got, status, said)
            self.assertIn(b"wave canary  1 box by name", said.split(b"Sign and publish")[0])
            self.assertEqual(self.site() == before, status == 1)
        self.assertEqual(self.ws.target("rollouts/stable.json")["version"], 1)

    def test_a_bad_plan_is_told_with_its_line(self):
        path = self.ws.write("rollouts/bad.yaml", "rollout: x\nbundel: y-1.ota\n")
        self.refused(1, "rollout", "check", path, says="bad.yaml:2:1: ")
        self.refused(1, "rollout", "check", path, says="bundle")
        self.refused(1, "rollout", "publish", path, "--key", self.key("rollouts"), "--yes",
                     says="bad.yaml:2:1: ")

    def test_check_prints_what_boxes_read(self):
        plan = json.loads(self.ws.sluice("rollout", "check", self.plan()).stdout)
        published = self.publish()
        for word in ("length", "sha256", "head"):
            published["bundle"].pop(word)
        published.pop("version")
        self.assertEqual(plan, published)

    def test_the_samples_of_init_are_taken(self):
        self.ws.sluice("rollout", "check", "manifests/rollouts/stable.yaml")

    def test_waves_open_in_their_order(self):
        self.publish()
        for wave in ("early", "everyone"):
            self.refused(1, "gate", "open", "stable", wave, "--key", self.key("gates"),
                         says="canary")
        self.refused(2, "gate", "open", "stable", "nobody", "--key", self.key("gates"))
        self.ws.open_gate("canary")
        self.assertEqual(self.gate()["open"], ["canary"])
        self.ws.open_gate("early")
        self.assertEqual(self.gate()["open"], ["canary", "early"])

    def test_a_wave_that_only_waits_is_not_said_to_be_open(self):
        self.publish()
        done = self.ws.open_gate("canary")
        self.assertLess(done.stdout.index("opens wave canary"), done.stdout.index("published"))

    def test_a_key_that_is_public_is_called_so(self):
        self.publish()
        self.refused(2, "gate", "open", "stable", "canary", "--key",
                     self.ws.path("keys", "gates.pub"), says="is a public key")

    def test_a_gate_is_bound_to_its_plan(self):
        plan = self.publish()
        self.ws.open_gate("canary")
        self.assertEqual(self.gate()["plan"], {
            "path": "rollouts/stable.json", "rollout": plan["rollout"], "version": 1,
            "sha256": self.entry("rollouts/stable.json")["hashes"]["sha256"]})

    def test_a_changed_plan_shuts_its_gate(self):
        self.publish()
        self.ws.open_gate("canary")
        self.ws.open_gate("early")
        self.publish(attempt=2)
        self.assertIn("SHUT", self.ws.sluice("gate", "show", "stable").stdout)
        self.refused(1, "gate", "open", "stable", "early", "--key", self.key("gates"))
        self.ws.open_gate("canary")
        self.assertEqual((self.gate()["open"], self.gate()["plan"]["version"]), (["canary"], 2))

    def test_the_first_gate_makes_the_gate_of_all(self):
        self.publish()
        self.assertIn("no gate", self.ws.sluice("gate", "show").stdout)
        self.ws.open_gate("canary")
        self.assertEqual(self.gate("all"), {"format": 1, "path": "gates/all.json", "plan": None,
                                            "open": [], "paused": False, "stops": []})

    def test_a_stop_and_its_resume(self):
        self.publish()
        self.ws.open_gate("canary")
        first = self.ws.stop("stable", reason="smoke")
        second = self.ws.stop("stable", reason="more smoke")
        self.assertNotEqual(first, second)
        self.assertRegex(first, "^[0-9a-f]{32}$")
        gate = self.gate()
        self.assertEqual([s["reason"] for s in gate["stops"]], ["smoke", "more smoke"])
        self.assertEqual(gate["open"], ["canary"])
        self.ws.resume(first)
        self.assertEqual(self.entry("rollouts/stable.json")["custom"]["resumes"], [first])
        self.assertIn(f"STOPPED {second}", self.ws.sluice("gate", "show").stdout)
        self.ws.resume(second)
        self.ws.resume(second)
        self.assertEqual(self.entry("rollouts/stable.json")["custom"]["resumes"], [first, second])
        self.assertNotIn("STOPPED", self.ws.sluice("gate", "show").stdout)
        # The gate binds what it bound: waves are as open as they were.
        self.assertNotIn("SHUT", self.ws.sluice("gate", "show").stdout)

    def test_resumes_outlive_a_new_plan(self):
        self.publish()
        self.ws.open_gate("canary")
        stop = self.ws.stop("stable")
        self.ws.resume(stop)
        self.publish(attempt=2)
        self.assertEqual(self.entry("rollouts/stable.json")["custom"]["resumes"], [stop])

    def test_a_withdrawn_plan_comes_back_as_the_next_version_with_its_gate_shut(self):
        self.publish()
        self.ws.open_gate("canary")
        first = self.ws.stop("stable")
        self.ws.resume(first)
        said = self.ws.withdraw_plan().stdout
        self.assertIn("version 1, gateway-1.0, is withdrawn", said)
        self.assertIn("canary; without the plan that opens nothing", said)
        self.assertNotIn("stopped  ", said)
        self.assertEqual(self.entry("rollouts/stable.json")["custom"],
                         {"resumes": [first], "withdrawn": True})
        self.assertIn("its plan is not published", self.ws.sluice("gate", "show").stdout)
        said = self.ws.sluice("status").stdout
        self.assertIn("nothing is rolled out\nstable: withdrawn", said)
        self.refused(2, "gate", "open", "stable", "canary", "--key", self.key("gates"))
        self.assertIn("new, as version 2; version 1 was withdrawn",
                      self.ws.sluice("rollout", "diff", self.plan()).stdout)
        self.assertEqual(self.publish()["version"], 2)
        self.assertEqual(self.entry("rollouts/stable.json")["custom"], {"resumes": [first]})
        self.assertIn("SHUT", self.ws.sluice("gate", "show").stdout)

    def test_what_stops_a_withdrawn_plan_is_said_and_can_be_lifted(self):
        self.publish()
        self.ws.open_gate("canary")
        stop = self.ws.stop("stable", reason="smoke")
        said = self.ws.withdraw_plan().stdout
        self.assertRegex(said, rf"stopped +smoke\n +by {stop}, which stays until `sluice resume`")
        self.assertIn("STOPPED", self.ws.sluice("gate", "show").stdout)
        self.assertRegex(self.ws.sluice("status").stdout,
                         "stable: withdrawn; no box goes by it\n"
                         "stable: no plan is known here, and stops of its gate stand\n"
                         f"  STOPPED {stop} at .*: smoke\n    0 of 0 boxes have acknowledged\n")
        self.ws.resume(stop)
        self.assertEqual(self.entry("rollouts/stable.json")["custom"],
                         {"resumes": [stop], "withdrawn": True})
        self.assertNotIn("STOPPED", self.ws.sluice("gate", "show").stdout)
        self.assertNotIn("its gate stand", self.ws.sluice("status").stdout)

    def test_what_cannot_be_withdrawn_is_refused(self):
        key = ("--key", self.key("rollouts"), "--yes")
        self.refused(2, "rollout", "withdraw", "stable", *key, says="no plan stable")
        self.publish()
        self.refused(2, "rollout", "withdraw", *key, says="one plan's name")
        self.refused(2, "rollout", "withdraw", "stable", says="a key of the rollouts role")
        self.refused(2, "rollout", "withdraw", "all", *key, says="stop --all")
        self.refused(2, "rollout", "withdraw", "nothing", *key, says="no plan nothing")
        self.refused(2, "rollout", "withdraw", "rollouts/stable.json", *key, says="say stable")
        self.refused(1, "rollout", "withdraw", "stable", "--role", "gates", *key,
                     says="boxes ask role rollouts")
        for other in ("releases", "gates", "targets"):
            self.refused(1, "rollout", "withdraw", "stable", "--key", self.key(other), "--yes",
                         says="is not one of the role rollouts")
        self.assertFalse(os.path.exists(self.ws.path("incoming", "rollouts.json")))
        self.ws.withdraw_plan()
        self.refused(1, "rollout", "withdraw", "stable", *key, says="withdrawn already")

    def test_a_withdrawal_is_not_signed_unasked(self):
        self.publish()
        self.refused(2, "rollout", "withdraw", "stable", "--key", self.key("rollouts"),
                     says="--yes")
        for answer, status in ((b"n\n", 1), (b"y\n", 0)):
            got, said = self.on_a_terminal("rollout", "withdraw", "stable", "--key",
                                           self.key("rollouts"), asks=b"[y/n]", answer=answer)
            self.assertEqual(got, status, said)
            self.assertIn(b"boxes that have it keep it", said.split(b"Sign and publish")[0])
            self.assertEqual("custom" in self.entry("rollouts/stable.json"), status == 0)

    def test_a_plan_of_one_scope_is_withdrawn_by_as_many_as_own_it(self):
        members = []
        for name in ("ann", "ben"):
            self.ws.new_key(name)
            members += ["--member", self.ws.path("keys", name + ".pub")]
        self.ws.sluice("role", "add", "site-a", *members, "--threshold", 2, "--paths",
                       "rollouts/site-a.json", "--before", "rollouts", "--key",
                       self.key("targets"))
        plan = self.plan("site-a")
        withdraw = ("rollout", "withdraw", "site-a", "--yes", "--key")
        for name in ("ann", "ben"):
            self.ws.sluice("rollout", "publish", plan, "--yes", "--key", self.key(name))
        self.refused(1, *withdraw, self.key("rollouts"), says="is not one of the role site-a")
        for name, found in (("ann", None), ("ben", {"withdrawn": True})):
            self.ws.sluice(*withdraw, self.key(name))
            listed = self.ws.metadata("site-a")["signed"]["targets"]["rollouts/site-a.json"]
            self.assertEqual(listed.get("custom"), found)
        self.refused(1, *withdraw, self.key("ann"), says="withdrawn already")

    def test_a_plan_may_be_stopped_before_any_wave_is_open(self):
        self.publish()
        self.ws.sluice("stop", "stable", "--reason", "wait", "--key", self.key("gates"), "--yes")
        self.assertEqual((self.gate()["open"], len(self.gate()["stops"])), ([], 1))

    def test_a_stop_of_all_is_lifted_in_its_own_place(self):
        self.publish()
        self.ws.open_gate("canary")
        stop = self.ws.stop()
        self.assertEqual([s["id"] for s in self.gate("all")["stops"]], [stop])
        self.assertEqual(self.gate()["stops"], [])
        self.refused(1, "resume", stop, "--key", self.key("gates"), "--yes")
        self.ws.resume(stop)
        self.assertEqual(self.entry("rollouts/all.json")["custom"], {"resumes": [stop]})
        self.assertNotIn("custom", self.entry("rollouts/stable.json"))

    def test_a_stop_that_no_gate_shows_is_lifted_where_it_is_said_to_be(self):
        """Boxes remember one that was taken out again, with a stolen gates key, say."""
        self.publish()
        self.ws.open_gate("canary")
        gone, stop = "ab" * 16, self.ws.stop("stable")
        self.refused(2, "resume", gone, "--key", self.key("rollouts"), "--yes",
                     says="ID PLAN`, or --all")
        self.ws.resume(gone, "stable")
        self.ws.resume(gone, "--all")
        self.assertEqual(self.entry("rollouts/stable.json")["custom"], {"resumes": [gone]})
        self.assertEqual(self.entry("rollouts/all.json")["custom"], {"resumes": [gone]})
        self.refused(2, "resume", stop, "--all", "--key", self.key("rollouts"), "--yes",
                     says="is of rollouts/stable.json")
        self.refused(2, "resume", gone, "stable", "--all", "--key", self.key("rollouts"), "--yes")
        self.refused(1, "resume", gone, "nothing", "--key", self.key("rollouts"), "--yes")
        self.ws.resume(stop, "stable")
        self.assertNotIn("STOPPED", self.ws.sluice("gate", "show").stdout)

    def test_everything_can_be_stopped_before_there_is_a_plan(self):
        self.ws.sluice("stop", "--all", "--reason", "x", "--key", self.key("gates"), "--yes")
        stop = self.gate("all")["stops"][0]["id"]
        self.ws.resume(stop)
        self.assertEqual(self.entry("rollouts/all.json")["custom"], {"resumes": [stop]})

    def test_a_key_is_unlocked_once_a_command(self):
        """On a terminal, which would hear of a second time."""
        passphrase = self.ws.write("passphrase", "correct horse\n")
        self.ws.sluice("key", "new", self.ws.path("keys", "oncall"), "--passphrase-file",
                       passphrase)
        self.ws.sluice("role", "remove", "gates", "--key", self.key("targets"))
        self.ws.sluice("role", "add", "gates", "--member", self.ws.path("keys", "oncall.pub"),
                       "--threshold", 1, "--key", self.key("targets"))
        self.publish()
        for argv in (("gate", "open", "stable", "canary"),
                     ("stop", "stable", "--reason", "smoke", "--yes")):
            status, said = self.on_a_terminal(*argv, "--key", self.key("oncall"))
            self.assertEqual((status, said.lower().count(b"passphrase")), (0, 1), said)
        self.assertEqual((self.gate()["open"], len(self.gate()["stops"])), (["canary"], 1))

    def on_a_terminal(self, *argv, asks=b"passphrase", answer=b"correct horse\n"):
        """Runs `sluice`, giving the answer whenever it asks."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(self.ws.programs.sluice,
                     [self.ws.programs.sluice, *argv, "-w", self.ws.dir])
        said, answered = b"", 0
        try:
            while piece := os.read(fd, 4096):
                said += piece
                while answered < said.lower().count(asks):
                    if asks == b"passphrase":
                        wait_until(lambda: not termios.tcgetattr(fd)[3] & termios.ECHO, 20,
                                   "no echo")
                    answered += 1
                    os.write(fd, answer)
        except OSError:
            pass  # it has ended
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said

    def test_what_cannot_be_stopped_or_resumed_is_a_usage_error(self):
        key = ("--key", self.key("gates"), "--yes")
        self.refused(2, "stop", "--reason", "x", *key)
        self.refused(2, "stop", "stable", "--all", "--reason", "x", *key)
        self.refused(2, "stop", "all", "--reason", "x", *key, says="--all")
        self.refused(2, "stop", "stable", *key)
        self.refused(2, "stop", "stable", "--reason", "a\nb", *key)
        self.refused(2, "stop", "stable", "--reason", "x" * 257, *key)
        self.refused(2, "stop", "nothing", "--reason", "x", *key, says="no plan")
        self.refused(2, "stop", "../stable", "--reason", "x", *key)
        self.refused(2, "resume", "0" * 32, "--key", self.key("rollouts"), "--yes")
        self.refused(2, "resume", "0" * 31, "--key", self.key("rollouts"), "--yes")
        self.refused(2, "gate", "open", "all", "canary", "--key", self.key("gates"))
        self.refused(2, "gate", "open", "stable", "canary", "--key", self.key("gates"))
        self.refused(2, "gate", "show", "nothing", says="no plan nothing")
        self.refused(2, "gate", "shut")
        self.refused(2, "rollout")

    def test_two_people_stop_where_two_have_to(self):
        self.publish()
        self.ws.new_key("gates-2")
        self.ws.sluice("role", "remove", "gates", "--key", self.key("targets"))
        self.ws.sluice("role", "add", "gates", "--member", self.ws.path("keys", "gates.pub"),
                       "--member", self.ws.path("keys", "gates-2.pub"), "--threshold", 2,
                       "--paths", "gates/*", "--key", self.key("targets"))
        stop = ("stop", "stable", "--reason", "smoke", "--yes", "--key")
        first = self.ws.sluice(*stop, self.key("gates")).stdout.split()[1]
        self.assertNotIn("gates", self.published_roles())
        again = self.ws.sluice(*stop, self.key("gates-2")).stdout.split()[1]
        self.assertEqual(first, again)
        self.assertEqual([s["id"] for s in self.gate()["stops"]], [first])
        # The next one is a stop of its own, whatever its reason; and so is one that is lifted
        # while its document still waits for a signature.
        third = self.ws.sluice(*stop, self.key("gates")).stdout.split()[1]
        self.assertNotEqual(first, third)
        self.ws.resume(third)
        fourth = self.ws.sluice(*stop, self.key("gates-2")).stdout.split()[1]
        self.assertNotIn(fourth, (first, third))

    def published_roles(self):
        names = os.listdir(self.ws.path("site", "metadata"))
        return {name.split(".")[1] for name in names if name.count(".") == 2}

    def test_two_people_publish_a_plan_where_two_have_to(self):
        self.ws.new_key("rollouts-2")
        self.ws.sluice("role", "remove", "rollouts", "--key", self.key("targets"))
        self.ws.sluice("role", "add", "rollouts", "--member",
                       self.ws.path("keys", "rollouts.pub"), "--member",
                       self.ws.path("keys", "rollouts-2.pub"), "--threshold", 2,
                       "--paths", "rollouts/*", "--key", self.key("targets"))
        plan = self.plan()
        self.ws.publish_plan(plan)
        self.assertNotIn("rollouts", self.published_roles())
        self.ws.sluice("rollout", "publish", plan, "--key", self.key("rollouts-2"), "--yes")
        self.assertEqual(self.ws.target("rollouts/stable.json")["version"], 1)

    def test_a_scope_has_its_own_operators(self):
        self.ws.new_key("lyon")
        self.ws.sluice("role", "add", "rollouts-lyon", "--member",
                       self.ws.path("keys", "lyon.pub"), "--threshold", 1, "--paths",
                       "rollouts/lyon.json", "--before", "rollouts", "--key",
                       self.key("targets"))
        plan, other = self.plan("lyon"), self.plan("paris")
        self.refused(1, "rollout", "publish", plan, "--key", self.key("rollouts"), "--yes")
        self.refused(1, "rollout", "publish", plan, "--key", self.key("rollouts"), "--role",
                     "rollouts", "--yes", says="boxes ask role rollouts-lyon")
        self.refused(1, "rollout", "publish", other, "--key", self.key("lyon"), "--yes")
        self.ws.sluice("rollout", "publish", plan, "--key", self.key("lyon"), "--yes")
        self.assertEqual(list(self.ws.metadata("rollouts-lyon")["signed"]["targets"]),
                         ["rollouts/lyon.json"])
        self.ws.open_gate("canary", plan="lyon")
        stop = self.ws.stop("lyon")
        self.refused(1, "resume", stop, "--key", self.key("rollouts"), "--yes")
        self.ws.sluice("resume", stop, "--key", self.key("lyon"), "--yes")
        stop = self.ws.stop()
        self.refused(1, "resume", stop, "--key", self.key("lyon"), "--yes")
        self.ws.resume(stop)

    def test_help_fits_a_screen(self):
        for command in ("init", "key", "root", "role", "box", "pack", "sign", "verify", "show",
                        "release", "rollout", "gate", "stop", "resume", "publish"):
            text = self.ws.sluice(command, "--help").stdout
            self.assertLessEqual(text.count("\n"), 40, command)
            self.assertLessEqual(max(map(len, text.split("\n"))), 100, command)
            self.assertIn("xample", text)
            self.assertIn("Exit codes: 0 done, 1 failed, 2 usage.", text)


class Boxes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp(dir=base)
        shutil.copytree(made.dir, folder, dirs_exist_ok=True)
        self.ws = Workspace(folder, 8443)

    def test_a_box_gets_all_it_needs(self):
        folder = self.ws.add_box("gw-1", tags={"site": "lyon", "ring": "early"})
        self.assertEqual(sorted(os.listdir(folder)),
                         ["agent.conf", "box.crt", "box.key", "ca.crt", "report.key", "root.json"])
        with open(os.path.join(folder, "agent.conf"), encoding="utf-8") as f:
            conf = f.read()
        for line in ("id = gw-1", "compatible = acme-gw3", "plan = rollouts/stable.json",
                     "site = lyon", "ring = early", "url = https://127.0.0.1:8443/"):
            self.assertIn("\n" + line + "\n", conf)
        done = self.ws.sluice("box", "add", "gw-1", check=1)
        self.assertIn("gw-1", done.stderr)

    def test_a_box_may_keep_its_key(self):
        key, csr = self.ws.path("own.key"), self.ws.path("own.csr")
        subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr, "-subj",
                        "/CN=gw-2/O=evil", "-addext", "basicConstraints=CA:TRUE"], check=True,
                       capture_output=True)
        self.ws.sluice("box", "add", "gw-1", "--csr", csr)
        self.assertNotIn("box.key", os.listdir(self.ws.path("boxes", "gw-1")))
        text = subprocess.run(["openssl", "x509", "-noout", "-text", "-in",
                               self.ws.path("boxes", "gw-1", "box.crt")], check=True,
                              capture_output=True, text=True).stdout
        self.assertIn("Subject: CN = gw-1\n", text)
        self.assertNotIn("CA:TRUE", text)
        public = [subprocess.run(argv, check=True, capture_output=True).stdout for argv in (
            ["openssl", "pkey", "-pubout", "-in", key],
            ["openssl", "x509", "-pubkey", "-noout", "-in",
             self.ws.path("boxes", "gw-1", "box.crt")])]
        self.assertEqual(public[0], public[1])

    def test_names_and_tags_that_cannot_be_are_usage_errors(self):
        for name in ("../x", "a b", "a/b", "", ".a", "-a", "a+b", "x" * 65):
            self.ws.sluice("box", "add", "--", name, check=2)
        for tags in ("site", "=lyon", "site=", "site=a;b", "site=a,site=b", "a b=c"):
            self.ws.sluice("box", "add", "gw-1", "--tags", tags, check=2)
        self.ws.sluice("box", "add", "gw-1", "--etc", "relative", check=2)
        self.ws.sluice("box", "add", "gw-1", "--plan", "all", check=2)
        self.ws.sluice("box", "add", "gw-1", "gw-2", check=2)
        self.ws.sluice("box", "revoke", "gw-1", check=2)
        self.assertEqual(os.listdir(self.ws.path("boxes")), [])

    def test_revoking_runs_what_reloads_the_server(self):
        self.ws.add_box("gw-1")
        self.ws.set(reload="cp tls/crl.pem seen")
        self.ws.revoke_box("gw-1")
        with open(self.ws.path("seen"), "rb") as a, open(self.ws.path("tls", "crl.pem"), "rb") as b:
            self.assertEqual(a.read(), b.read())
        self.ws.set(reload="false")
        done = self.ws.sluice("box", "revoke", "gw-1", check=1)
        self.assertIn("false", done.stderr)

    def test_a_box_comes_back_under_a_new_certificate(self):
        self.ws.add_box("gw-1")
        self.ws.revoke_box("gw-1")
        shutil.rmtree(self.ws.path("boxes", "gw-1"))
        self.ws.add_box("gw-1")
        self.ws.revoke_box("gw-1")
        crl = subprocess.run(["openssl", "crl", "-noout", "-text", "-in",
                              self.ws.path("tls", "crl.pem")], check=True, capture_output=True,
                             text=True).stdout
        self.assertEqual(crl.count("Serial Number:"), 2)


if __name__ == "__main__":
    unittest.main()
