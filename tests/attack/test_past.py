"""What has happened to systems of this kind before, by its name (DESIGN.md, section 10)."""
import hashlib
import os
import resource
import secrets
import signal
import unittest

from fleet import run, wait_until
from forge import sealed, sha256
from siege import NEW, Siege

GIB4 = 1 << 32
CHUNK = 65536


class Past(Siege):
    def kept_bytes(self):
        """Everything that the agent keeps."""
        found = b""
        for folder, _, names in os.walk(self.box.path("state")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    found += f.read()
        return found

    def test_a_rejected_file_left_in_the_cache(self):
        """Of each role a document that fails its last check, and a bundle: no trace of any."""
        for role in ("timestamp", "snapshot", "targets", "releases", "rollouts", "gates"):
            with self.subTest(role):
                mark = secrets.token_hex(16)
                if role in ("timestamp", "snapshot"):
                    self.forger.publish(keys={role: []}, **{role: lambda signed, m=mark:
                                                            signed.update(mark=m)})
                else:
                    self.forger.publish({**self.forger.next(role), "mark": mark}, keys={role: []})
                self.assertRegex(self.check(1), f"{role}.*: 0 of 1 signatures needed")
                self.assertNotIn(mark.encode(), self.kept_bytes())
                self.assertEqual(self.state_files(), self.rest[2])
                self.assert_untouched()
                self.put_back("boxes", "site")
                self.forger.look()
        bundle = self.new_bundle()
        bundle.signed.update(version="9.0.0", mark="mark of a bundle")
        self.refuse_over_https(bundle.seal(self.release_key).tar(), "mark", "malformed")
        self.end_agent()
        self.assertNotIn(b"mark of a bundle", self.kept_bytes())
        self.assert_mends()

    def test_a_rejected_root_left_in_the_cache(self):
        mark = secrets.token_hex(16)
        root = {**self.forger.next("root"), "mark": mark}
        self.forger.publish_root(root, self.stranger())
        self.assert_refused("0 of 1 signatures needed", "root", "timestamp", "snapshot")
        self.assertNotIn(mark.encode(), self.kept_bytes())
        self.assert_recovers()

    def reboot(self):
        run([self.box.programs.tool("power"), "--dir", self.box.dir, "--once"])

    def full_disk(self):
        """In the agent, before it starts: whatever it writes to a file fails."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    def test_mark_good_that_reports_success_though_the_write_failed(self):
        self.box.agent("install", self.bundles[NEW], "--no-reboot", "--metadata",
                       self.kept("site", "metadata"))
        self.reboot()
        side = self.box.booted().lower()
        self.box.script("health.d/10-ill", "exit 1\n")
        self.box.agent("confirm", check=1)  # the state has taken note of this boot
        os.unlink(self.box.path("health.d", "10-ill"))
        before = self.box.env()
        done = self.box.agent("confirm", check=1, preexec_fn=self.full_disk)
        self.assertRegex(done.stderr, "boot.env.*File too large")
        self.assertNotIn("is confirmed", done.stdout)
        self.assertEqual(self.box.env(), before)
        self.assertEqual(before[f"{side}_confirmed"], "no")
        self.assertEqual(self.box.status()["pending"]["phase"], "activated")
        self.assertIn("is confirmed", self.box.agent("confirm").stdout)
        self.assertEqual(self.box.env()[f"{side}_confirmed"], "yes")

    def test_an_activation_that_could_not_be_written_is_none(self):
        """The same for the switch to the new side."""
        done = self.box.agent("install", self.bundles[NEW], "--no-reboot", "--metadata",
                              self.kept("site", "metadata"), check=1, preexec_fn=self.full_disk)
        self.assertIn("File too large", done.stderr)
        self.assert_untouched()
        self.assert_recovers()

    def test_the_same_broken_release_installed_again_after_each_fallback(self):
        bundle = self.new_bundle()
        bundle.signed["version"] = "9.0.0"
        bundle.payload["sha256"] = hashlib.sha256(b"another").hexdigest()
        self.forger.roll_out(bundle.seal(self.release_key).tar())
        self.addCleanup(self.box.stop)
        self.box.start()

        def outcomes():
            return [r["outcome"] for r in self.workspace.reports(self.box.name)
                    if "-9.0.0" in r["bundle"] and r["outcome"] != "none"]

        wait_until(outcomes, 40, lambda: f"it comes back\n{self.box.log()[-2000:]}")
        self.assertEqual(outcomes(), ["reverted"])
        self.assertRegex(self.check(), "failed: gateway 9.0.0 failed here before")
        self.box.stop()
        self.agent_polls_often()
        self.assertEqual(outcomes(), ["reverted"])
        self.assertEqual(self.box.env()["booted"], self.rest[1]["booted"])
        self.assertEqual(self.box.slot_digests()[self.rest[1]["booted"]],
                         self.rest[0][self.rest[1]["booted"]])
        self.start_agent()
        self.assert_mends()

    def agent_polls_often(self):
        """Several polls, in none of which it starts over."""
        for _ in range(3):
            self.assertRegex(self.check(), "failed: gateway 9.0.0 failed here before")

    def test_32_bit_sizes(self):
        """An image of 4 GiB and a chunk: its last chunk lies where 32 bits begin anew."""
        bundle, noise = self.new_bundle(), secrets.token_bytes(CHUNK)
        bundle.drop("rootfs.hints")
        bundle.signed["version"] = "9.0.0"
        index = bundle.index()
        digest = hashlib.sha256(noise).digest()
        index.entries = [[bytes(32), bytes(32), GIB4 // CHUNK, 0], [digest, digest, CHUNK, CHUNK]]
        index.plain = GIB4 + CHUNK
        bundle.payload["size"] = index.plain
        bundle.put("rootfs.data", noise)
        bundle.uncut()
        bundle.put_index(index)
        other = self.box.slot(self.box.other_side())
        with open(other, "r+b") as f:
            f.truncate(0)
            f.truncate(GIB4 + CHUNK)
        with open(os.path.join(self.folder, "stick.ota"), "wb") as f:
            f.write(bundle.seal(self.release_key).tar())
        self.box.agent("install", f.name, "--no-reboot", "--metadata",
                       self.kept("site", "metadata"))
        with open(other, "rb") as f:
            self.assertEqual(f.read(2 * CHUNK), bytes(2 * CHUNK))
            f.seek(GIB4)
            self.assertEqual(f.read(), noise)
        with open(other, "r+b") as f:
            f.truncate(GIB4)
        self.box.agent("rollback", "--no-reboot")
        done = self.box.agent("install", os.path.join(self.folder, "stick.ota"), "--no-reboot",
                              check=1)
        self.assertIn(f"holds {GIB4} bytes, and the payload needs {GIB4 + CHUNK}", done.stderr)

    def test_names_used_as_paths(self):
        """A role's name is a file's name in the box's store, and would be a path out of it."""
        name = "sub/../evil"
        key = self.forger.keys["releases"]
        targets = self.forger.next("targets")
        targets["delegations"]["roles"].insert(0, {
            "name": name, "keyids": [key.id], "threshold": 1, "paths": ["bundles/*"],
            "terminating": False})
        data = sealed({**self.pristine["releases"], "version": 1, "targets": {}}, key)
        listed = {"version": 1, "length": len(data), "hashes": {"sha256": sha256(data)}}
        self.forger.write("evil.json", data)  # what a web server takes that name for
        self.forger.publish(targets, snapshot=lambda signed: signed["meta"].update(
            {name + ".json": listed}))
        self.assertIn("update: gateway 2.0.0", self.check())
        self.assert_untouched()
        found = [os.path.relpath(os.path.join(folder, name), self.box.dir)
                 for folder, _, names in os.walk(self.box.dir) for name in names
                 if "evil" in name]
        self.assertEqual(found, ["state/metadata/sub%2F..%2Fevil.json"])
        self.forger.docs["snapshot"]["meta"][name + ".json"] = listed
        self.assert_mends()


if __name__ == "__main__":
    unittest.main()
