"""Roles, ceremonies and the publisher, by the command line, and what securesystemslib says of the
result. The publisher is killed at every step on the way; a reader must never see half a site."""
import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from securesystemslib import formats, keys

BUILD = os.environ.get("SLUICE_BUILD", "build/release")
SLUICE = os.path.join(BUILD, "sluice")
ROLES = ("root1", "root2", "targets", "targets2", "snapshot", "timestamp", "releases", "other")


def canonical(value):
    return formats.encode_canonical(value).encode()


def signers(envelope, known, role):
    """The role's key ids that signed, as securesystemslib sees it."""
    good = set()
    for signature in envelope["signatures"]:
        keyid = signature["keyid"]
        if keyid not in role["keyids"]:
            continue
        key = dict(known[keyid], keyid=keyid)
        if keys.verify_signature(key, signature, canonical(envelope["signed"])):
            good.add(keyid)
    return good


class Reader:
    """Walks a site from timestamp.json, as a client does; any break raises AssertionError."""

    def __init__(self, site):
        self.site = site

    def load(self, name):
        with open(os.path.join(self.site, "metadata", name), "rb") as f:
            raw = f.read()
        return raw, json.loads(raw)

    def check(self, envelope, known, role, name):
        count = len(signers(envelope, known, role))
        assert count >= role["threshold"], f"{name}: {count} of {role['threshold']}"
        return envelope["signed"]

    def listed(self, meta, role, known, keyring):
        raw, envelope = self.load(f"{meta['version']}.{role}.json")
        assert len(raw) == meta["length"], role
        assert hashlib.sha256(raw).hexdigest() == meta["hashes"]["sha256"], role
        signed = self.check(envelope, known, keyring, role)
        assert signed["version"] == meta["version"], role
        return signed

    def content(self, signed):
        for path, entry in signed["targets"].items():
            folder, name = os.path.split(path)
            digest = entry["hashes"]["sha256"]
            full = os.path.join(self.site, "targets", folder, f"{digest}.{name}")
            with open(full, "rb") as f:
                data = f.read()
            assert hashlib.sha256(data).hexdigest() == digest, path
            assert len(data) == entry["length"], path

    def walk(self):
        """Returns {role: signed} of everything that a client would reach."""
        version = 0
        while os.path.exists(f"{self.site}/metadata/{version + 1}.root.json"):
            version += 1
        _, envelope = self.load(f"{version}.root.json")
        root = envelope["signed"]
        self.check(envelope, root["keys"], root["roles"]["root"], "root")
        _, envelope = self.load("timestamp.json")
        timestamp = self.check(envelope, root["keys"], root["roles"]["timestamp"], "timestamp")
        snapshot = self.listed(timestamp["meta"]["snapshot.json"], "snapshot", root["keys"],
                               root["roles"]["snapshot"])
        targets = self.listed(snapshot["meta"]["targets.json"], "targets", root["keys"],
                              root["roles"]["targets"])
        found = {"root": root, "timestamp": timestamp, "snapshot": snapshot, "targets": targets}
        self.content(targets)
        delegations = targets.get("delegations", {"roles": [], "keys": {}})
        for role in delegations["roles"]:
            meta = snapshot["meta"].get(role["name"] + ".json")
            if meta:
                found[role["name"]] = self.listed(meta, role["name"], delegations["keys"], role)
                self.content(found[role["name"]])
        return found


class Workspace(unittest.TestCase):
    """One key of each role, made once: making them costs nothing, but the tests are many."""

    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="sluice-publish-")
        cls.addClassCleanup(shutil.rmtree, cls.top)
        cls.template = os.path.join(cls.top, "template")
        subprocess.run([SLUICE, "init", cls.template], check=True, capture_output=True)
        for name in ROLES:
            subprocess.run([SLUICE, "key", "new", f"{cls.template}/keys/{name}",
                            "--no-passphrase"], check=True, capture_output=True)

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=self.top)
        os.rmdir(self.dir)
        shutil.copytree(self.template, self.dir)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def key(self, name, end="key"):
        return self.path("keys", f"{name}.{end}")

    def sluice(self, *args, code=0, prefix=()):
        # The leak sanitizer cannot work under strace.
        env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0") if prefix else None
        done = subprocess.run([*prefix, SLUICE, *args, "-w", self.dir], capture_output=True,
                              text=True, errors="replace", timeout=60, env=env)
        if code is not None:
            self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done

    def root_init(self, *extra, code=0):
        return self.sluice("root", "init", "--root", self.key("root1"), "--root",
                           self.key("root2"), "--threshold", "2", "--targets",
                           self.key("targets"), "--snapshot", self.key("snapshot"),
                           "--timestamp", self.key("timestamp"), *extra, code=code)

    def role_add(self, name, *extra, member="releases", code=0):
        return self.sluice("role", "add", name, "--member", self.key(member, "pub"),
                           "--threshold", "1", "--key", self.key("targets"), *extra, code=code)

    def walk(self):
        return Reader(self.path("site")).walk()

    def incoming(self):
        return sorted(n for n in os.listdir(self.path("incoming")) if n.endswith(".json"))

    def set_push(self, command):
        with open(self.path("workspace.yaml"), "a", encoding="utf-8") as f:
            f.write(f"push: {command}\n")


class Ceremony(Workspace):
    def test_root_init_publishes_what_securesystemslib_verifies(self):
        self.root_init()
        site = self.walk()
        self.assertEqual(site["root"]["version"], 1)
        self.assertTrue(site["root"]["consistent_snapshot"])
        self.assertEqual(site["targets"]["targets"], {})
        self.assertEqual(self.incoming(), [])
        self.assertRegex(site["timestamp"]["signed_at"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_key_ids_are_what_securesystemslib_computes(self):
        self.root_init()
        for keyid, key in self.walk()["root"]["keys"].items():
            self.assertEqual(keyid, hashlib.sha256(canonical(key)).hexdigest())

    def test_a_second_root_is_refused(self):
        self.root_init()
        self.root_init(code=1)

    def test_one_key_cannot_fill_a_threshold_of_two(self):
        self.sluice("root", "init", "--root", self.key("root1"), "--root", self.key("root1"),
                    "--threshold", "2", "--targets", self.key("targets"), "--snapshot",
                    self.key("snapshot"), "--timestamp", self.key("timestamp"), code=2)

    def test_a_root_below_its_threshold_is_not_published(self):
        self.sluice("root", "init", "--root", self.key("root1"), "--root",
                    self.key("root2", "pub"), "--threshold", "2", "--targets",
                    self.key("targets"), "--snapshot", self.key("snapshot", "pub"),
                    "--timestamp", self.key("timestamp", "pub"), code=1)
        self.assertFalse(os.path.exists(self.path("site/metadata/timestamp.json")))
        self.assertEqual(self.incoming(), ["root.json", "targets.json"])

    def test_roles_get_their_usual_scopes(self):
        self.root_init()
        for name in ("releases", "rollouts", "gates"):
            self.role_add(name)
        roles = self.walk()["targets"]["delegations"]["roles"]
        self.assertEqual([r["paths"] for r in roles],
                         [["bundles/*"], ["rollouts/*"], ["gates/*"]])
        self.assertTrue(all(r["terminating"] for r in roles))

    def test_a_narrow_scope_goes_before_the_general_one(self):
        self.root_init()
        self.role_add("rollouts")
        done = self.role_add("lyon", "--paths", "rollouts/lyon.json", code=2)
        self.assertIn("--before rollouts", done.stderr)
        self.role_add("lyon", "--paths", "rollouts/lyon.json", "--before", "rollouts")
        roles = self.walk()["targets"]["delegations"]["roles"]
        self.assertEqual([r["name"] for r in roles], ["lyon", "rollouts"])

    def test_a_role_that_exists_is_not_changed_by_adding(self):
        self.root_init()
        self.role_add("releases")
        self.role_add("releases", member="other", code=1)

    def test_a_removed_role_takes_its_key_along(self):
        self.root_init()
        self.role_add("releases")
        self.role_add("gates", member="other")
        self.sluice("role", "remove", "releases", "--key", self.key("targets"))
        delegations = self.walk()["targets"]["delegations"]
        self.assertEqual([r["name"] for r in delegations["roles"]], ["gates"])
        self.assertEqual(len(delegations["keys"]), 1)

    def test_another_roles_key_cannot_sign(self):
        self.root_init()
        done = self.sluice("role", "add", "releases", "--member", self.key("releases", "pub"),
                           "--threshold", "1", "--key", self.key("releases"), code=1)
        self.assertIn("not one of the role targets", done.stderr)
        self.assertEqual(self.incoming(), [])

    def test_role_list_names_roles_and_scopes(self):
        self.root_init()
        self.role_add("releases")
        out = self.sluice("role", "list").stdout
        self.assertRegex(out, r"(?m)^root +2 of 2")
        self.assertRegex(out, r"(?m)^releases +1 of 1 +bundles/\*$")

    def test_two_targets_keys_sign_one_after_the_other(self):
        self.sluice("root", "init", "--root", self.key("root1"), "--threshold", "1", "--targets",
                    self.key("targets"), "--targets", self.key("targets2"),
                    "--targets-threshold", "2", "--snapshot", self.key("snapshot"),
                    "--timestamp", self.key("timestamp"))
        done = self.role_add("releases")
        self.assertIn("waits in incoming/", done.stderr)
        self.assertNotIn("delegations", self.walk()["targets"])
        self.sluice("role", "add", "releases", "--member", self.key("releases", "pub"),
                    "--threshold", "1", "--key", self.key("targets2"))
        self.assertEqual(self.walk()["targets"]["version"], 2)
        self.assertEqual(len(self.walk()["targets"]["delegations"]["roles"]), 1)
        self.assertEqual(self.incoming(), [])


class Publisher(Workspace):
    def setUp(self):
        super().setUp()
        self.root_init()
        self.role_add("releases")

    def stage(self, content=b"hello", path="bundles/x-1.ota", version=1, key="releases",
              **change):
        """Signs releases by hand, as a release engineer's own tool might."""
        staged = self.path("incoming/targets", path)
        os.makedirs(os.path.dirname(staged), exist_ok=True)
        if content is not None:
            with open(staged, "wb") as f:
                f.write(content)
        digest = hashlib.sha256(content or b"hello").hexdigest()
        signed = {"_type": "targets", "spec_version": "1.0.34", "version": version,
                  "expires": "2099-01-01T00:00:00Z",
                  "targets": {path: {"length": len(content or b"hello"),
                                     "hashes": {"sha256": digest}}}}
        signed.update(change)
        self.drop_in("releases", signed, key)

    def drop_in(self, role, signed, key):
        """Signed by openssl, so that no code of ours has a part in it."""
        keyid, pem = self.secret(key)
        with open(self.path("message"), "wb") as f:
            f.write(canonical(signed))
        done = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", "/dev/stdin", "-rawin",
                               "-in", self.path("message")], input=pem, check=True,
                              capture_output=True)
        signatures = [{"keyid": keyid, "sig": done.stdout.hex()}]
        with open(self.path("incoming", f"{role}.json"), "w", encoding="utf-8") as f:
            json.dump({"signed": signed, "signatures": signatures}, f)

    def secret(self, name):
        """An unencrypted minisign secret key: its key id, and the key as openssl reads it."""
        with open(self.key(name), encoding="ascii") as f:
            raw = base64.b64decode(f.read().splitlines()[1])
        seed, public = raw[62:94], raw[94:126]
        key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public.hex()}}
        der = bytes.fromhex("302e020100300506032b657004220420") + seed
        pem = (b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(der) +
               b"\n-----END PRIVATE KEY-----\n")
        return hashlib.sha256(canonical(key)).hexdigest(), pem

    def test_what_another_tool_signed_is_published(self):
        self.stage()
        self.sluice("publish")
        site = self.walk()
        self.assertEqual(list(site["releases"]["targets"]), ["bundles/x-1.ota"])
        self.assertEqual(self.incoming(), [])
        self.assertFalse(os.path.exists(self.path("incoming/targets/bundles/x-1.ota")))

    def test_nothing_new_makes_a_new_timestamp_only(self):
        before = self.walk()
        self.sluice("publish")
        after = self.walk()
        self.assertEqual(after["snapshot"], before["snapshot"])
        self.assertEqual(after["timestamp"]["version"], before["timestamp"]["version"] + 1)

    def refused(self, why):
        before = self.walk()
        done = self.sluice("publish", code=1)
        self.assertRegex(done.stderr, why)
        after = self.walk()
        self.assertEqual(after.get("releases"), before.get("releases"))
        self.assertEqual(after["snapshot"], before["snapshot"])
        # Still, the site was kept fresh.
        self.assertEqual(after["timestamp"]["version"], before["timestamp"]["version"] + 1)
        self.assertIn("releases.json", self.incoming())

    def test_a_wrong_key_is_refused(self):
        self.stage(key="other")
        self.refused("0 of 1 signatures")

    def test_a_skipped_version_is_refused(self):
        self.stage(version=2)
        self.refused("version 2, but 1 must follow")

    def test_an_old_version_is_refused(self):
        self.stage()
        self.sluice("publish")
        self.stage(content=b"other")
        self.refused("version 1, but 2 must follow")

    def test_an_expired_role_is_refused(self):
        self.stage(expires="2020-01-01T00:00:00Z")
        self.refused("expired")

    def test_content_that_is_not_there_is_refused(self):
        self.stage(content=None)
        self.refused("its content is not there")

    def test_other_content_than_signed_is_refused(self):
        self.stage()
        with open(self.path("incoming/targets/bundles/x-1.ota"), "wb") as f:
            f.write(b"hallo")
        self.refused("not what was signed")
        self.assertEqual([f for _, _, fs in os.walk(self.path("site/targets")) for f in fs], [])

    def test_a_path_that_leaves_the_site_is_refused(self):
        self.stage(path="bundles/../../x")
        self.refused("plain names")

    def test_a_role_of_another_type_is_refused(self):
        self.stage(_type="snapshot", meta={"targets.json": {"version": 1}})
        self.refused("_type")

    def test_bytes_that_are_no_metadata_are_refused(self):
        with open(self.path("incoming/releases.json"), "wb") as f:
            f.write(b"\x00{")
        self.refused("releases")

    def test_one_broken_role_does_not_hold_up_another(self):
        self.role_add("gates", member="other")
        self.stage(key="other")
        signed = {"_type": "targets", "spec_version": "1.0.34", "version": 1,
                  "expires": "2099-01-01T00:00:00Z", "targets": {}}
        self.drop_in("gates", signed, "other")
        self.sluice("publish", code=1)
        self.assertEqual(self.walk()["gates"]["version"], 1)
        self.assertEqual(self.incoming(), ["releases.json"])

    def test_a_role_below_its_threshold_waits(self):
        self.sluice("role", "remove", "releases", "--key", self.key("targets"))
        self.sluice("role", "add", "releases", "--member", self.key("releases", "pub"),
                    "--member", self.key("other", "pub"), "--threshold", "2", "--key",
                    self.key("targets"))
        self.stage()
        done = self.sluice("publish")
        self.assertIn("1 of 2 signatures", done.stderr)
        self.assertNotIn("releases", self.walk())
        self.assertEqual(self.incoming(), ["releases.json"])

    def test_a_snapshot_key_that_root_does_not_name_publishes_nothing(self):
        shutil.copy(self.key("other"), self.key("snapshot"))
        self.stage()
        before = self.walk()
        done = self.sluice("publish", code=1)
        self.assertIn("snapshot", done.stderr)
        self.assertEqual(self.walk(), before)

    def test_a_second_publisher_waits_its_turn(self):
        with open(self.path("publisher.lock"), "w", encoding="ascii") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            done = self.sluice("publish", code=1)
        self.assertIn("another sluice publisher", done.stderr)

    def test_without_online_keys_signing_leaves_it_in_incoming(self):
        os.rename(self.key("timestamp"), self.path("elsewhere.key"))
        self.role_add("gates", member="other")
        self.assertEqual(self.incoming(), ["targets.json"])
        os.rename(self.path("elsewhere.key"), self.key("timestamp"))
        self.sluice("publish")
        self.assertEqual(len(self.walk()["targets"]["delegations"]["roles"]), 2)

    def test_the_push_command_gets_immutable_files_before_the_timestamp(self):
        self.set_push("sh tools/push.sh")
        os.makedirs(self.path("tools"), exist_ok=True)
        with open(self.path("tools/push.sh"), "w", encoding="ascii") as f:
            f.write("set -e\nif [ $1 = immutable ]; then\n"
                    "  rm -rf served.new; cp -r site served.new\n"
                    "  rm -f served.new/metadata/timestamp.json\n"
                    "  mkdir -p served; cp -r served.new/. served\n"
                    "else cp site/metadata/timestamp.json served/metadata/; fi\n")
        self.stage()
        self.sluice("publish")
        self.assertEqual(Reader(self.path("served")).walk(), self.walk())

    def test_a_push_that_fails_leaves_the_old_site_in_force_and_says_so(self):
        before = self.walk()
        self.set_push("false")
        self.stage()
        done = self.sluice("publish", code=1)
        self.assertIn("the old site stays in force", done.stderr)
        self.assertEqual(self.walk(), before)
        self.assertEqual(self.incoming(), ["releases.json"])

    def test_a_publisher_killed_at_any_step_leaves_a_whole_site(self):
        """Kills it before the Nth rename, fsync or unlink, for each N that there is."""
        for call in ("rename", "fsync", "unlink"):
            for n in range(1, 60):
                with self.subTest(call=call, n=n):
                    version = self.walk().get("releases", {"version": 0})["version"]
                    if not self.incoming():
                        self.stage(content=b"%d %s" % (n, call.encode()), version=version + 1)
                    done = self.sluice(
                        "publish", code=None,
                        prefix=("strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                                "-e", f"inject={call}:signal=SIGKILL:when={n}"))
                    self.walk()
                if done.returncode == 0:
                    break
            else:
                self.fail(f"more than {n} times {call}")
            self.assertGreater(n, 1)
        self.stage(version=self.walk()["releases"]["version"] + 1)
        self.sluice("publish")
        self.walk()


class Release(Workspace):
    def setUp(self):
        super().setUp()
        self.root_init()
        self.role_add("releases")
        self.bundle = self.pack(b"version one" * 30000)

    def pack(self, content, version="2.4.0", name="g.ota"):
        with open(self.path("image"), "wb") as f:
            f.write(content)
        with open(self.path("recipe.yaml"), "w", encoding="ascii") as f:
            f.write(f"name: gateway\nversion: {version}\nrollback_index: 4\n"
                    "compatible: [acme-gw3]\npayloads:\n"
                    "  - {name: rootfs, slot: rootfs, kind: image, source: image}\n")
        subprocess.run([SLUICE, "pack", self.path("recipe.yaml"), "-o", self.path(name)],
                       check=True, capture_output=True)
        return self.path(name)

    def release(self, *extra, key="releases", code=0):
        return self.sluice("release", self.bundle, "--key", self.key(key), *extra, code=code)

    def test_a_bundle_is_listed_with_its_head(self):
        self.release()
        targets = self.walk()["releases"]["targets"]
        self.assertEqual(list(targets), ["bundles/gateway-2.4.0.ota"])
        entry = targets["bundles/gateway-2.4.0.ota"]
        with open(self.bundle, "rb") as f:
            data = f.read()
        custom = entry["custom"]
        head = data[:custom["head"]["length"]]
        self.assertEqual(custom["head"]["sha256"], hashlib.sha256(head).hexdigest())
        self.assertEqual(entry["length"], len(data))
        self.assertEqual((custom["name"], custom["version"], custom["rollback_index"]),
                         ("gateway", "2.4.0", 4))
        self.assertEqual(self.incoming(), [])

    def test_older_releases_stay_listed(self):
        self.release()
        self.bundle = self.pack(b"version two" * 30000, "2.5.0")
        self.release()
        self.assertEqual(sorted(self.walk()["releases"]["targets"]),
                         ["bundles/gateway-2.4.0.ota", "bundles/gateway-2.5.0.ota"])

    def test_a_damaged_bundle_is_not_released(self):
        with open(self.bundle, "r+b") as f:
            f.seek(-3000, os.SEEK_END)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 1]))
        self.release(code=1)
        self.assertEqual(self.incoming(), [])
        self.assertNotIn("releases", self.walk())

    def test_another_roles_key_cannot_release(self):
        done = self.release(key="other", code=1)
        self.assertIn("not one of the role releases", done.stderr)

    def test_a_role_without_a_right_to_bundles_cannot_release(self):
        self.role_add("rollouts")
        done = self.release("--role", "rollouts", code=1)
        self.assertIn("no right to bundles/gateway-2.4.0.ota", done.stderr)

    def test_a_role_that_does_not_exist_cannot_release(self):
        done = self.release("--role", "nobody", code=2)
        self.assertIn("no role 'nobody'", done.stderr)

    def test_an_unsigned_bundle_is_released_with_a_note(self):
        self.assertIn("from the site only", self.release().stderr)
        subprocess.run([SLUICE, "sign", self.bundle, "--key", self.key("releases")],
                       check=True, capture_output=True)
        self.assertNotIn("from the site only", self.release().stderr)

    def test_two_release_engineers_sign_one_after_the_other(self):
        self.sluice("role", "remove", "releases", "--key", self.key("targets"))
        self.sluice("role", "add", "releases", "--member", self.key("releases", "pub"),
                    "--member", self.key("other", "pub"), "--threshold", "2", "--key",
                    self.key("targets"))
        self.release()
        self.assertNotIn("releases", self.walk())
        self.release(key="other")
        site = self.walk()
        self.assertEqual(site["releases"]["version"], 1)
        self.assertEqual(self.incoming(), [])

    def test_a_change_in_between_takes_older_signatures_away(self):
        self.test_two_release_engineers_sign_one_after_the_other()
        self.bundle = self.pack(b"version two" * 30000, "2.5.0")
        self.release()
        self.bundle = self.pack(b"version three" * 30000, "2.6.0")
        self.release(key="other")
        # One signature is on 2.5.0 alone, the other on both: neither list has two.
        self.assertEqual(list(self.walk()["releases"]["targets"]),
                         ["bundles/gateway-2.4.0.ota"])
        self.release()
        self.assertEqual(len(self.walk()["releases"]["targets"]), 3)

    def test_signatures_of_strangers_in_incoming_are_not_built_upon(self):
        self.release("--no-publish")
        with open(self.path("incoming/releases.json"), encoding="utf-8") as f:
            waiting = json.load(f)
        waiting["signed"]["targets"]["bundles/evil-1.ota"] = {
            "length": 1, "hashes": {"sha256": "0" * 64}}
        with open(self.path("incoming/releases.json"), "w", encoding="utf-8") as f:
            json.dump(waiting, f)
        done = self.release(code=1)
        self.assertIn("not signed by any key of the role", done.stderr)

    def test_new_keys_take_nothing_over_from_old_ones(self):
        self.release()
        self.sluice("role", "remove", "releases", "--key", self.key("targets"), "--no-publish")
        done = self.role_add("releases", member="other")
        self.assertIn("is not signed by its present keys", done.stderr)
        self.bundle = self.pack(b"version two" * 30000, "2.5.0")
        self.release(key="other")
        site = self.walk()
        self.assertEqual(list(site["releases"]["targets"]), ["bundles/gateway-2.5.0.ota"])
        self.assertEqual(site["releases"]["version"], 2)

    def test_a_damaged_site_is_not_signed_over(self):
        self.release()
        name = self.path("site/metadata/1.releases.json")
        with open(name, "ab") as f:
            f.write(b" ")
        done = self.release(code=1)
        self.assertIn("1.releases.json", done.stderr)


if __name__ == "__main__":
    unittest.main()
