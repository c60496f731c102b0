"""Roles, ceremonies and the publisher, by the command line.

The publisher is killed at every step on the way; a reader must never see half a site."""
import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
import unittest

from publishing import SLUICE, Reader, Workspace, canonical, public_key


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

    def lose_timestamp(self):
        """What is left is like a first publication that was interrupted."""
        self.root_init()
        os.unlink(self.path("site/metadata/timestamp.json"))
        before, signed = {}, {}
        for role in ("root", "targets"):
            with open(self.path(f"site/metadata/1.{role}.json"), "rb") as f:
                before[role] = f.read()
            signed[role] = json.loads(before[role])["signed"]
        return before, signed

    def test_a_published_root_is_not_replaced_by_another(self):
        before, signed = self.lose_timestamp()
        self.drop_in("root", {**signed["root"], "expires": "2038-01-01T00:00:00Z"}, "root1",
                     "root2")
        self.drop_in("targets", {**signed["targets"], "expires": "2038-01-01T00:00:00Z"},
                     "targets")
        done = self.sluice("publish", code=1)
        self.assertRegex(done.stderr, "1.root.json is another root than incoming/root.json")
        for role, data in before.items():
            with open(self.path(f"site/metadata/1.{role}.json"), "rb") as f:
                self.assertEqual(f.read(), data)

    def test_a_root_may_get_more_signatures_when_it_is_published_again(self):
        before, signed = self.lose_timestamp()
        self.drop_in("root", signed["root"], "root2", "root1")
        self.drop_in("targets", signed["targets"], "targets")
        self.sluice("publish")
        self.assertEqual(self.walk()["root"], signed["root"])
        with open(self.path("site/metadata/1.root.json"), "rb") as f:
            self.assertNotEqual(f.read(), before["root"])

    def test_one_key_cannot_fill_a_threshold_of_two(self):
        self.sluice("root", "init", "--root", self.key("root1"), "--root", self.key("root1"),
                    "--threshold", "2", "--targets", self.key("targets"), "--snapshot",
                    self.key("snapshot"), "--timestamp", self.key("timestamp"), code=2)

    def test_a_threshold_that_nobody_can_reach_is_refused(self):
        self.sluice("root", "init", "--root", self.key("root1"), "--threshold", "2", "--targets",
                    self.key("targets"), "--snapshot", self.key("snapshot"), "--timestamp",
                    self.key("timestamp"), code=2)

    def test_a_root_below_its_threshold_is_not_published(self):
        self.sluice("root", "init", "--root", self.key("root1"), "--root",
                    self.key("root2", "pub"), "--threshold", "2", "--targets",
                    self.key("targets"), "--snapshot", self.key("snapshot", "pub"),
                    "--timestamp", self.key("timestamp", "pub"))
        self.sluice("publish", code=1)
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


class RootChange(Workspace):
    """The next root, as a ceremony elsewhere would drop it in."""

    def setUp(self):
        super().setUp()
        self.root_init()
        self.root = self.walk()["root"]
        self.root["version"] = 2

    def give(self, role, *names):
        """Makes these keys the only ones of a role."""
        ids = []
        for name in names:
            keyid, _ = self.secret(name)
            with open(self.key(name, "pub"), encoding="ascii") as f:
                self.root["keys"][keyid] = public_key(
                    base64.b64decode(f.read().splitlines()[1])[10:])
            ids.append(keyid)
        self.root["roles"][role] = {"keyids": ids, "threshold": len(ids)}

    def waits(self, why):
        done = self.sluice("publish")
        self.assertRegex(done.stderr, why)
        self.assertEqual(self.walk()["root"]["version"], 1)
        self.assertIn("root.json", self.incoming())

    def test_the_next_root_needs_the_old_threshold(self):
        self.drop_in("root", self.root, "root1")
        self.waits("1 of 2 signatures")

    def test_the_next_root_needs_its_own_threshold(self):
        self.give("root", "other")
        self.drop_in("root", self.root, "root1", "root2")
        self.waits("0 of 1 signatures")

    def test_new_root_keys_alone_publish_nothing(self):
        self.give("root", "other")
        self.drop_in("root", self.root, "other")
        done = self.sluice("publish", code=1)
        self.assertIn("0 of 2 signatures", done.stderr)
        self.assertEqual(self.walk()["root"]["version"], 1)

    def test_a_root_that_boxes_may_have_followed_holds_up_itself_alone(self):
        """A publication was cut off between 2.root.json and a timestamp by its new key."""
        there = self.path("site/metadata/2.root.json")
        before = json.loads(json.dumps(self.root))
        self.give("timestamp", "other")
        self.drop_in("root", self.root, "root1", "root2")
        os.rename(self.path("incoming/root.json"), there)
        self.drop_in("root", before, "root1", "root2")
        done = self.sluice("publish", code=1)
        self.assertIn("2.root.json is another root", done.stderr)
        _, timestamp = Reader(self.path("site")).load("timestamp.json")
        self.assertEqual(timestamp["signed"]["version"], 2)
        shutil.copy(there, self.path("incoming/root.json"))
        shutil.copy(self.key("other"), self.key("timestamp"))
        self.sluice("publish")
        self.assertEqual(self.walk()["root"], self.root)

    def test_the_next_root_is_published_by_both_thresholds(self):
        self.give("root", "other")
        self.drop_in("root", self.root, "root1", "root2", "other")
        self.sluice("publish")
        self.assertEqual(self.walk()["root"]["version"], 2)
        self.assertEqual(self.incoming(), [])

    def test_new_targets_keys_wait_for_a_targets_json_of_theirs(self):
        self.give("targets", "targets2")
        self.drop_in("root", self.root, "root1", "root2")
        self.waits("published together")
        targets = self.walk()["targets"]
        targets["version"] = 2
        self.drop_in("targets", targets, "targets2")
        self.sluice("publish")
        self.assertEqual(self.walk()["root"]["version"], 2)
        self.assertEqual(self.walk()["targets"]["version"], 2)

    def test_new_online_keys_sign_a_new_snapshot_at_once(self):
        self.give("snapshot", "other")
        self.drop_in("root", self.root, "root1", "root2")
        done = self.sluice("publish")  # the new key is not here yet
        self.assertIn("put the path of the new secret key", done.stderr)
        self.assertEqual(self.walk()["root"]["version"], 1)
        shutil.copy(self.key("other"), self.key("snapshot"))
        self.sluice("publish")
        self.assertEqual(self.walk()["root"]["version"], 2)

    def test_a_root_without_consistent_snapshots_is_refused(self):
        self.root["consistent_snapshot"] = False
        self.drop_in("root", self.root, "root1", "root2")
        done = self.sluice("publish", code=1)
        self.assertIn("consistent_snapshot", done.stderr)


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

    def test_another_length_than_signed_is_refused(self):
        hashes = {"sha256": hashlib.sha256(b"hello").hexdigest()}
        self.stage(targets={"bundles/x-1.ota": {"length": 6, "hashes": hashes}})
        self.refused("not what was signed")

    def test_content_without_a_sha256_is_refused(self):
        hashes = {"sha512": hashlib.sha512(b"hello").hexdigest()}
        self.stage(targets={"bundles/x-1.ota": {"length": 5, "hashes": hashes}})
        self.refused("no sha256")

    def test_content_that_is_cut_in_the_site_is_put_there_anew(self):
        self.stage()
        self.sluice("publish")
        digest = hashlib.sha256(b"hello").hexdigest()
        os.truncate(self.path(f"site/targets/bundles/{digest}.x-1.ota"), 3)
        entry = {"length": 5, "hashes": {"sha256": digest}, "custom": {"x": 1}}
        self.stage(version=2, targets={"bundles/x-1.ota": entry})
        self.sluice("publish")
        self.assertEqual(self.walk()["releases"]["version"], 2)

    def test_a_path_that_leaves_the_site_is_refused(self):
        self.stage(path="bundles/../../x")
        self.refused("plain names")

    def test_a_path_of_large_content_that_leaves_the_site_is_refused(self):
        self.stage(content=b"x" * ((1 << 20) + 1), path="bundles/../../x")
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

    def test_delegations_of_another_tool_that_make_no_sense_crash_nothing(self):
        targets = self.walk()["targets"]
        targets["version"] += 1
        for role in ({}, dict(targets["delegations"]["roles"][0], name=1, keyids=[1])):
            targets["delegations"]["roles"] = [role]
            self.drop_in("targets", targets, "targets")
            for command in (("role", "list"), ("publish",),
                            ("role", "remove", "releases", "--key", self.key("targets"))):
                self.assertIn(self.sluice(*command, code=None).returncode, (0, 1, 2), command)
            self.assertIn(self.role_add("gates", member="other", code=None).returncode, (0, 1, 2))

    def test_what_was_just_signed_waits_for_the_publisher_before(self):
        argv = [SLUICE, "role", "add", "gates", "--member", self.key("other", "pub"),
                "--threshold", "1", "--key", self.key("targets"), "-w", self.dir]
        with open(self.path("publisher.lock"), "w", encoding="ascii") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True) as waiting:
                said = waiting.stderr.readline()
                fcntl.flock(f, fcntl.LOCK_UN)
                waiting.communicate(timeout=60)
        self.assertIn("waiting for it", said)
        self.assertEqual(waiting.returncode, 0)
        self.assertEqual(len(self.walk()["targets"]["delegations"]["roles"]), 2)

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
        seen = {}
        for content, version in ((b"hello", 1), (b"hello", 1), (b"another", 2)):
            self.stage(content, version=version)
            done = self.sluice("publish", code=1)
            self.assertIn("the old site stays in force", done.stderr)
            self.assertEqual(self.walk(), before)
            self.assertEqual(self.incoming(), ["releases.json"])
            self.check_unchanged(seen)
        # Whoever tries again and again leaves one; what says something else has another name.
        self.assertEqual(sum("snapshot" in n for n in seen), before["snapshot"]["version"] + 2)

    def check_unchanged(self, seen):
        for name in os.listdir(self.path("site/metadata")):
            if name[0].isdigit() and name.endswith(".json"):
                with open(self.path("site/metadata", name), "rb") as f:
                    data = f.read()
                self.assertEqual(seen.setdefault(name, data), data, name)

    def test_what_changes_in_incoming_meanwhile_stays_there(self):
        self.stage()
        with open(self.path("incoming/releases.json"), "ab") as f:
            f.write(b"\n")
        os.rename(self.path("incoming/releases.json"), self.path("newer"))
        self.stage()
        self.set_push("sh -c cp${IFS}newer${IFS}incoming/releases.json")
        self.sluice("publish")
        self.assertEqual(self.walk()["releases"]["version"], 1)
        self.assertEqual(self.incoming(), ["releases.json"])

    def test_a_push_that_fails_at_the_timestamp_can_be_made_up_for(self):
        self.set_push("sh tools/push.sh")
        os.makedirs(self.path("tools"), exist_ok=True)
        with open(self.path("tools/push.sh"), "w", encoding="ascii") as f:
            f.write("[ $1 = immutable ] || [ -e network ]\n")
        self.stage()
        done = self.sluice("publish", code=1)
        self.assertIn("where it is served the old one stays in force", done.stderr)
        with open(self.path("network"), "w", encoding="ascii"):
            pass
        self.sluice("publish")
        self.assertEqual(self.walk()["releases"]["version"], 1)
        self.assertEqual(self.incoming(), [])

    def test_what_a_killed_publisher_left_half_written_is_swept_up_once_it_is_old(self):
        """And nothing else is: not what is new, has another name, is a link or a folder."""
        digest = "0" * 64
        rubbish = ["incoming/releases.json.a1B2c3", "incoming/targets/gates/all.json.a1B2c3",
                   "incoming/targets/bundles/x-1.ota.0123456789abcdef.part",
                   "site/metadata/timestamp.json.a1B2c3", "site/metadata/7.root.json.a1B2c3",
                   f"incoming/targets/gates/{digest}.all.json",
                   f"site/targets/bundles/{digest}.x-1.ota.part"]
        keep = ["incoming/releases.json.aside-0123abcd", "incoming/notes.part",
                "incoming/targets/bundles/x-1.ota", "incoming/targets/bundles/part",
                "incoming/targets/bundles/x-1.ota.part", "incoming/x.json.a1B2c",
                f"site/targets/bundles/{digest}.x-1.ota", "site/targets/index.html"]
        # What waits, or is a draft, may list it.
        os.makedirs(self.path("drafts"), exist_ok=True)
        for listed, role in (("1" * 64, "incoming/waits"), ("2" * 64, "drafts/drafted")):
            with open(self.path(role + ".json"), "w", encoding="ascii") as f:
                json.dump({"hashes": {"sha256": listed}}, f)
            keep.append(f"incoming/targets/gates/{listed}.all.json")
        linked = self.path("incoming/link.json.a1B2c3")
        folder = self.path("incoming/folder.json.a1B2c3")
        os.mkdir(folder)
        os.symlink(self.path("workspace.yaml"), linked)
        old = time.time() - 2 * 86400
        for name in rubbish + keep:
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            with open(self.path(name), "wb"):
                pass
        self.sluice("publish")
        for name in rubbish + keep:
            self.assertTrue(os.path.exists(self.path(name)), name)
            os.utime(self.path(name), (old, old))
        self.sluice("publish")
        for name in rubbish:
            self.assertFalse(os.path.exists(self.path(name)), name)
        self.assertEqual([n for n in keep if not os.path.exists(self.path(n))], [])
        self.assertTrue(os.path.islink(linked) and os.path.isdir(folder))

    def test_what_another_signed_at_the_moment_of_clearing_stays(self):
        """The publisher finds what it has published in incoming/ and takes it away: a stop that is
        signed at that very moment must not go with it."""
        self.stage()
        trace = ["strace", "-f", "-qq", "-o", self.path("trace"), "-e", "trace=rename"]
        self.sluice("publish", prefix=trace)
        with open(self.path("trace"), encoding="utf-8") as f:
            renames = [line for line in f if "rename(" in line]
        taken, = (i for i, line in enumerate(renames, 1)
                  if 'incoming/releases.json", "' in line and ".part" in line)
        # Again, with that rename delayed for so long that the other one is first.
        self.stage(content=b"next", version=2)
        with open(self.path("incoming/releases.json"), "rb") as f:
            waiting = f.read()
        argv = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=rename", "-e",
                f"inject=rename:delay_enter=3000000:when={taken}", SLUICE, "publish", "-w",
                self.dir]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0")) as publisher:
            for _ in range(600):
                if self.walk()["releases"]["version"] == 2:
                    break
                time.sleep(0.05)
            time.sleep(1)
            with open(self.path("incoming/x"), "wb") as f:
                f.write(waiting + b"\n")
            os.rename(self.path("incoming/x"), self.path("incoming/releases.json"))
            publisher.communicate(timeout=60)
        self.assertEqual(publisher.returncode, 0)
        with open(self.path("incoming/releases.json"), "rb") as f:
            self.assertEqual(f.read(), waiting + b"\n")
        self.assertEqual([n for n in os.listdir(self.path("incoming")) if ".part" in n], [])

    def test_what_could_not_be_printed_is_an_error(self):
        for argv in (("role", "list"), ("doctor", "--json"), ("publish",), ("role", "--help")):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([SLUICE, *argv, *([] if "--help" in argv else
                                                        ["-w", self.dir])], stdout=full,
                                      stderr=subprocess.PIPE, check=False, timeout=60)
            self.assertEqual(done.returncode, 1, argv)
            self.assertIn(b"No space left", done.stderr)

    def test_a_snapshot_is_renewed_in_the_second_half_of_its_life(self):
        with open(self.path("workspace.yaml"), encoding="utf-8") as f:
            settings = f.read()
        with open(self.path("workspace.yaml"), "w", encoding="utf-8") as f:
            f.write(settings.replace("snapshot: 7d", "snapshot: 30d"))
        before = self.walk()["snapshot"]["version"]
        self.sluice("publish")  # of 30 days, 7 are left
        self.assertEqual(self.walk()["snapshot"]["version"], before + 1)
        self.sluice("publish")
        self.assertEqual(self.walk()["snapshot"]["version"], before + 1)

    def test_a_publisher_killed_at_any_step_leaves_a_whole_site(self):
        """Kills it before the Nth rename, fsync or unlink, for each N that there is. A file that
        a reader may have seen never changes, either."""
        seen = {}
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
                    self.check_unchanged(seen)
                if done.returncode == 0:
                    break
            else:
                self.fail(f"more than {n} times {call}")
            self.assertGreater(n, 1)
        self.stage(version=self.walk()["releases"]["version"] + 1)
        self.sluice("publish")
        self.walk()


if __name__ == "__main__":
    unittest.main()
