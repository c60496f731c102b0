"""`sluice-agent audit`: what rots or is changed from outside is named, to people and the fleet."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import unittest

from fleet import flip, wait_until
from fleet.case import NEW, FleetCase
from fleet.receiver import Receiver
from test_install_local import APP, LINKED, ROOTFS, LocalInstall, image

CHUNK = 65536
AUDIT = {"audit": {"interval": "1s"}}


class Audit(LocalInstall):
    def audit(self, code, *args):
        return self.agent("audit", *args, code=code)

    def json(self, code):
        done = subprocess.run([*self.agent_argv(), "audit", "--json"], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def agent_argv(self):
        return [os.path.join(os.path.abspath(os.environ["SLUICE_BUILD"]), "sluice-agent"), "-c",
                f"{self.box}/agent.conf"]

    def kept(self, name="head.B"):
        return f"{self.box}/state/{name}"

    def test_a_byte_that_changed_is_named_by_its_chunk(self):
        self.update(self.v1)
        said = self.audit(0)
        self.assertIn("side B, which runs: gateway 1.0.0: authentic: yes\n", said)
        self.assertIn("installed software authentic: yes\n", said)
        flip(f"{self.box}/rootfs.b", 5 * CHUNK + 77)
        # A byte where there were zeros, and one behind the image, which nobody signed.
        flip(f"{self.box}/rootfs.b", 9 * CHUNK)
        flip(f"{self.box}/rootfs.b", len(image(1)) + 1)
        said = self.audit(1)
        line = "payload rootfs, slot rootfs B: chunk {0}, 65536 bytes at {1}: it differs\n"
        self.assertEqual(re.findall("^payload.*\n", said, re.M),
                         [line.format(n, n * CHUNK) for n in (5, 9)])
        self.assertIn("authentic: no: 2 differences", said)
        self.assertIn("what runs is not what was signed", said)
        status = self.status()["audit"]
        self.assertEqual((status["authentic"], status["differences"]), ("no", 2))
        self.assertIn("chunk 5,", status["why"])
        self.assertIn("installed software authentic: no, at 20", self.agent("status"))

    def test_programs_read_it_as_json(self):
        self.update(self.v1)
        flip(f"{self.box}/rootfs.b", len(image(1)) - 1)
        said = self.json(1)
        self.assertEqual(said["authentic"], "no")
        runs, other = said["sides"]
        last = len(image(1)) // CHUNK
        self.assertEqual(runs["differences"], [
            {"payload": "rootfs", "slot": "rootfs B", "what": "it differs", "chunk": last,
             "offset": last * CHUNK, "length": len(image(1)) % CHUNK}])
        self.assertEqual((runs["side"], runs["running"], runs["linked"], runs["count"]),
                         ("B", True, False, 1))
        self.assertEqual(runs["release"]["version"], "1.0.0")
        self.assertEqual((other["authentic"], other["release"], other["differences"]),
                         ("unknown", None, []))

    def test_the_other_side_is_told_apart(self):
        self.update(self.v1)
        self.update(self.v2)
        self.audit(0)
        flip(f"{self.box}/rootfs.b", 3)
        said = self.audit(1)
        self.assertIn("side A, which runs: gateway 2.0.0: authentic: yes\n", said)
        self.assertIn("side B: gateway 1.0.0: authentic: no: 1 differences\n", said)
        self.assertIn("installed software authentic: yes\n", said)
        self.assertIn("what this box would go back to is not what was signed", said)
        self.assertEqual(self.status()["audit"]["other"], "no")

    def test_files_of_a_tree_are_named(self):
        self.make(ROOTFS + APP)
        files = {"bin/app": "x" * (CHUNK + 10), "bin/b": "b", "etc/conf": "a = b\n", "gone": "g"}
        bundle = self.factory.bundle("3.0.0", {
            "rootfs": image(3), "app": self.factory.tree("3.0.0", files)})
        self.update(bundle)
        self.audit(0)
        top = f"{self.box}/app.b"
        flip(f"{top}/bin/app", CHUNK + 3)
        os.chmod(f"{top}/bin/b", 0o777)
        with open(f"{top}/etc/conf", "a", encoding="ascii") as f:
            f.write("c = d\n")
        os.unlink(f"{top}/gone")
        with open(f"{top}/etc/\033[31mnew\n", "w", encoding="ascii"):
            pass
        said = self.audit(1)
        found = set(re.findall(r"^payload app, slot app B, (.*?): (.*)$", said, re.M))
        for wanted in (("bin/app", f"chunk 1, 10 bytes at {CHUNK}: it differs"),
                       ("bin/b", "its mode differs"), ("etc/conf", "its size differs"),
                       ("gone", "it is missing"), ("etc/?[31mnew?", "it is not in the list")):
            self.assertIn(wanted, found)
        self.assertNotIn("\033", said)
        self.assertNotIn("payload rootfs", said)

    def test_folders_that_a_link_switches_are_looked_at(self):
        self.make(LINKED)
        for folder in "12":
            os.makedirs(f"{self.box}/{folder}")
        os.symlink(f"{self.box}/1", f"{self.box}/now")
        bundle = self.factory.bundle("3.1.0", {
            name: self.factory.tree(f"3.1.0-{name}", {"a": name}) for name in ("app", "web")})
        self.install(bundle)
        self.agent("confirm")
        self.assertIn("folder B, which runs: gateway 3.1.0: authentic: yes", self.audit(0))
        flip(f"{self.box}/2/web/a", 0)
        self.assertIn("payload web, slot web B, a: chunk 0, 3 bytes at 0: it differs",
                      self.audit(1))
        shutil.rmtree(f"{self.box}/2/web")
        self.assertIn("payload web, slot web B, .: there is no such folder", self.audit(1))

    def test_without_a_sound_index_nobody_can_say_and_nothing_else_needs_it(self):
        self.update(self.v1)
        with open(self.kept(), "rb") as f:
            good = f.read()
        for spoil in (lambda: flip(self.kept(), len(good) - 600), lambda: flip(self.kept(), 700),
                      lambda: os.truncate(self.kept(), len(good) // 2),
                      lambda: os.truncate(self.kept(), 0), lambda: os.unlink(self.kept())):
            spoil()
            said = self.audit(1)
            self.assertIn("installed software authentic: unknown\n", said)
            with open(self.kept(), "wb") as f:
                f.write(good)
        self.audit(0)
        # One of another release, as an older agent leaves it.
        for end in ("rollback", "confirm"):
            self.install(self.v2, "--no-reboot")
            with open(self.kept("head.A"), "wb") as f:
                f.write(good)
            self.power()
            self.assertEqual(self.json(1)["authentic"], "unknown")
            self.agent(end)
            if end == "rollback":
                self.power()
                self.audit(0)
        self.assertEqual([s["authentic"] for s in self.json(1)["sides"]], ["unknown", "yes"])

    def test_a_box_whose_index_nobody_kept_is_known_from_its_next_update_on(self):
        self.update(self.v1)
        os.unlink(self.kept())
        self.assertIn("its index was not kept", self.audit(1))
        self.update(self.v2)
        said = self.json(0)
        self.assertEqual([s["authentic"] for s in said["sides"]], ["yes", "unknown"])

    def test_a_slot_that_is_written_to_is_no_evidence(self):
        self.make(ROOTFS.replace("yes", "no"))
        self.update(self.v1)
        self.assertIn("installed software authentic: yes\n", self.audit(0))
        self.assertIn("is not read_only in agent.conf", self.audit(1, "--gently"))
        flip(f"{self.box}/rootfs.b", 3)
        said = self.audit(1)
        self.assertIn("chunk 0, 65536 bytes at 0: it differs", said)
        self.assertIn("installed software authentic: unknown\n", said)
        self.assertNotIn("chunk", self.audit(1, "--gently"))

    def test_of_very_many_differences_a_thousand_are_told(self):
        self.make(APP)
        bundle = self.factory.bundle("3.2.0", {
            "app": self.factory.tree("3.2.0", {f"f{n}": "" for n in range(1003)})})
        self.update(bundle)
        for n in range(1003):
            os.chmod(f"{self.box}/app.b/f{n}", 0o600)
        said = self.audit(1)
        self.assertEqual(len(re.findall("^payload", said, re.M)), 1000)
        self.assertIn("... and 3 more on side B\n", said)
        side = self.json(1)["sides"][0]
        self.assertEqual((side["count"], len(side["differences"])), (1003, 1000))

    def test_cut_off_anywhere_the_index_is_the_old_one_or_the_new(self):
        self.update(self.v1)
        self.install(self.v2, "--no-reboot")
        with open(self.kept("head.A"), "rb") as f:
            whole = f.read()
        for call in ("openat", "pwrite64", "fsync", "rename"):
            done = subprocess.run(
                ["strace", "-f", "-qq", "-o", "/dev/null", "-P", self.kept("head.A"), "-P",
                 self.kept("head.A.new"), "-e", f"trace={call}", "-e",
                 f"inject={call}:signal=KILL:when=1", *self.agent_argv(), "install", self.v2,
                 "--no-reboot", "--metadata", self.factory.metadata],
                capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, -signal.SIGKILL, call)
            with open(self.kept("head.A"), "rb") as f:
                self.assertEqual(f.read(), whole, call)
            self.assertEqual([s["authentic"] for s in self.json(0)["sides"]], ["yes", "unknown"])
        self.install(self.v2, "--no-reboot")
        self.assertEqual([s["authentic"] for s in self.json(0)["sides"]], ["yes", "yes"])
        self.assertEqual(glob.glob(f"{self.box}/state/*.new"), [])

    def test_a_bad_command_line_is_told_apart(self):
        self.audit(2, "--shout")
        self.audit(2, "rootfs")


class Fleet(FleetCase):
    def audited_box(self):
        box = self.box(start=False)
        box.set(AUDIT)
        box.start()
        return box

    def wait_for_answer(self, box, answer):
        def last():
            found = self.workspace.reports(box.name)
            return found and found[-1].get("authentic") == answer and found[-1]
        return wait_until(last, 30, lambda: f"{box.name} says {answer}\n{box.log()[-2000:]}")

    def catch_audit(self, box):
        """The process of an audit under way, stopped in the middle."""
        def catch():
            for pid in box.agent_pids()[1:]:
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as f:
                        if b"\0audit\0" not in f.read():
                            continue
                    os.kill(pid, signal.SIGSTOP)
                    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                        if f.read().rsplit(")", 1)[1].split()[0] in "tT":
                            return pid
                except OSError:
                    continue
            return None
        return wait_until(catch, 30, lambda: f"an audit runs\n{box.log()[-2000:]}", 0.005)

    def test_what_rots_is_known_to_the_fleet(self):
        receiver = Receiver(self.workspace)
        self.addCleanup(receiver.stop)
        secret = self.workspace.path("keys", "hook.secret")
        with open(secret, "w", encoding="ascii") as f:
            f.write("5f" * 32 + "\n")
        os.chmod(secret, 0o600)
        self.workspace.set(webhooks=f'[{{url: "{receiver.url}/", secret_file: keys/hook.secret, '
                           'ca_file: tls/ca.crt, events: [audit_failed]}]')
        box = self.audited_box()
        self.roll_out()
        self.wait_for_outcome(box, "ok")
        self.wait_for_answer(box, "yes")
        self.assertNotIn("not authentic", self.workspace.sluice("status").stdout)
        place = 3 * CHUNK + 5
        flip(box.slot(box.booted()), place)
        report = self.wait_for_answer(box, "no")
        self.assertIn(f"chunk 3, 65536 bytes at {3 * CHUNK}: it differs", report["detail"])
        self.workspace.sluice("watch", "--once")
        event, = receiver.events("audit_failed")
        self.assertEqual((event["box"], event["version"]), (box.name, NEW))
        self.assertIn("authentic: no 1", self.workspace.sluice("status").stdout)
        self.assertIn("installed software authentic: no",
                      self.workspace.sluice("box", "show", box.name).stdout)
        self.assertIn(f"{box.name} ", self.workspace.sluice("boxes", "--authentic", "no").stdout)
        flip(box.slot(box.booted()), place)
        self.wait_for_answer(box, "yes")

    def test_a_stop_waits_for_no_audit(self):
        box = self.audited_box()
        self.workspace.add_box("gw-000009")
        self.workspace.roll_out(self.bundles[NEW], [("first", ["gw-000009"]), ("all", "100%")],
                                open_waves=["first"])
        pid = self.catch_audit(box)
        stop = self.workspace.stop(reason="smoke")
        wait_until(lambda: [s["id"] for s in box.status()["stops"]] == [stop], 30,
                   lambda: f"it has taken the stop\n{box.log()[-2000:]}")
        self.assertTrue(os.path.exists(f"/proc/{pid}/cmdline"))

    def test_an_update_cuts_an_audit_off(self):
        box = self.audited_box()
        pid = self.catch_audit(box)
        self.roll_out()
        self.wait_for_outcome(box, "ok")
        self.assertIn("an audit is cut off, and starts over later", box.log())
        self.assertFalse(os.path.exists(f"/proc/{pid}/cmdline"))
        self.wait_for_answer(box, "yes")

    def test_an_agent_that_ends_leaves_no_audit_behind(self):
        box = self.audited_box()
        pid = self.catch_audit(box)
        box.stop()
        self.assertFalse(os.path.exists(f"/proc/{pid}/cmdline"))


if __name__ == "__main__":
    unittest.main()
