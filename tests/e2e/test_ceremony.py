"""Ceremonies across machines that never meet: stage, sign, merge."""
import base64
import json
import os
import shutil
import unittest

from machines import Machines
from publishing import canonical, public_key


def reverse(value):
    """The same JSON, its objects' members in another order."""
    if isinstance(value, dict):
        return {key: reverse(value[key]) for key in reversed(value)}
    return [reverse(v) for v in value] if isinstance(value, list) else value


class FirstRoot(Machines):
    def test_signers_who_never_meet_make_the_first_root(self):
        done = self.init()
        self.assertIn("metadata stage root", done.stdout)
        self.assertFalse(os.path.exists(self.path("site/metadata/timestamp.json")))
        self.assertIn("1 of 2", self.ceremony_of_one())
        self.carry("ben")
        self.sign("ben")
        self.merge("ben")
        self.assertEqual(self.walk()["root"]["version"], 1)
        self.assertEqual(self.incoming(), [])
        self.assertEqual(os.listdir(self.path("drafts")), [])

    def ceremony_of_one(self):
        self.stage("root")
        self.carry("anna")
        self.sign("anna")
        done = self.merge("anna")
        self.assertIn("nothing to publish before", done.stderr)
        self.sluice("publish", code=1)
        self.assertFalse(os.path.exists(self.path("site/metadata/timestamp.json")))
        return done.stdout

    def test_a_public_key_that_is_not_there_is_said_to_be_missing(self):
        done = self.init("--root", self.key("missing", "pub"), code=1)
        self.assertIn("missing.pub", done.stderr)
        self.assertIn("No such file", done.stderr)
        self.assertNotIn("its secret one signs", done.stderr)

    def test_a_root_that_waits_is_not_begun_twice(self):
        self.init()
        done = self.init(code=1)
        self.assertIn("begin anew", done.stderr)


class Elsewhere(Machines):
    """The next root, by people on machines that never meet."""

    def setUp(self):
        super().setUp()
        self.begin()
        done = self.sluice("root", "rotate", "--root", self.key("anna", "pub"), "--root",
                           self.key("eve", "pub"), "--threshold", "2", "--draft")
        self.assertIn("metadata stage root", done.stdout)
        self.stage("root")

    def test_root_passes_on_by_both_thresholds(self):
        for machine in ("anna", "ben"):
            self.carry(machine)
            self.sign(machine)
        done = self.merge("anna", "ben")
        self.assertIn("2 of 2 signatures of the root in force", done.stdout)
        self.assertIn("1 of 2 signatures of the new root", done.stdout)
        self.assertEqual(self.walk()["root"]["version"], 1)
        self.carry("eve")
        self.sign("eve")
        self.merge("eve")
        root = self.walk()["root"]
        self.assertEqual(root["version"], 2)
        self.assertEqual(sorted(root["roles"]["root"]["keyids"]),
                         sorted((self.keyid("anna"), self.keyid("eve"))))
        self.assertEqual(os.listdir(self.path("drafts")), [])

    def test_new_holders_may_sign_before_the_old_ones(self):
        self.carry("eve")
        self.sign("eve")
        self.merge("eve")
        self.assertEqual(self.walk()["root"]["version"], 1)
        self.stage("root")  # carries eve's signature to anna
        self.carry("anna")
        self.assertIn("1 signed so far", self.sign("anna").stdout)
        self.carry("ben")
        self.sign("ben")
        self.merge("anna", "ben")
        self.assertEqual(self.walk()["root"]["version"], 2)

    def test_signers_may_pass_one_file_on(self):
        self.carry("anna")
        self.sign("anna")
        shutil.copy(self.at("anna", "request.json"), self.at("ben"))
        self.sign("ben")
        shutil.copy(self.at("ben", "request.json"), self.at("eve"))
        self.sign("eve")
        self.merge("eve")
        self.assertEqual(self.walk()["root"]["version"], 2)

    def test_a_signer_reads_what_changes_and_is_asked(self):
        self.carry("ben")
        shutil.copy(self.key("eve", "pub"), self.at("ben"))
        with open(self.at("ben", "root.json"), "w", encoding="utf-8") as f:
            json.dump(self.signed_root(), f)
        done = self.run_at("ben", "metadata", "sign", "request.json", "--key", "ben.key",
                           "--root", "root.json", code=2)
        self.assertIn("give --yes", done.stderr)  # no terminal to ask
        out = done.stdout
        self.assertRegex(out, r"^root\.json, version 2, in place of version 1\n")
        self.assertRegex(out, r"\+ eve +" + self.keyid("eve")[:16])
        self.assertRegex(out, r"- ben +" + self.keyid("ben")[:16])
        self.assertRegex(out, r"- \(no name here\) +" + self.keyid("carol")[:16])
        self.assertIn("root: 2 of 2 keys must sign (was 2 of 3)", out)
        self.assertRegex(out, r"expires 20\d\d-.*, in 36\d days")
        self.assertIn("needs 2 of 3 keys of the root in force", out)
        self.assertNotIn("NOTE", out)
        with open(self.at("ben", "request.json"), encoding="utf-8") as f:
            self.assertEqual(json.load(f)["document"]["signatures"], [])

    def test_the_exact_bytes_are_there_for_other_tools(self):
        self.carry("anna")
        done = self.run_at("anna", "metadata", "show", "request.json", "--bytes")
        document = self.carry("anna")["document"]["signed"]
        self.assertEqual(done.stdout.encode(), canonical(document))

    def test_without_a_root_to_trust_that_is_said(self):
        self.carry("anna")
        self.assertIn("NOTE", self.run_at("anna", "metadata", "show", "request.json").stdout)

    def test_another_fleets_root_is_no_anchor(self):
        self.carry("anna")
        root = self.signed_root()
        root["signed"]["expires"] = "2099-01-01T00:00:00Z"
        with open(self.at("anna", "root.json"), "w", encoding="utf-8") as f:
            json.dump(root, f)
        done = self.sign("anna", "request.json", "--root", "root.json", code=1)
        self.assertIn("another fleet's, or a forgery", done.stderr)

    def test_a_forged_version_in_force_is_refused(self):
        request = self.carry("anna")
        request["roots"][0]["signed"]["roles"]["root"]["keyids"].pop()
        self.carry("anna", roots=request["roots"])
        done = self.sign("anna", code=1)
        self.assertIn("the roots that came along", done.stderr)

    def test_edited_bytes_void_the_signatures(self):
        self.carry("anna")
        self.sign("anna")
        with open(self.at("anna", "request.json"), encoding="utf-8") as f:
            document = json.load(f)["document"]
        document["signed"]["expires"] = "2099-01-01T00:00:00Z"
        self.carry("ben", document=document)
        self.assertIn("not over these bytes", self.sign("ben", code=1).stderr)
        self.carry("anna", document=document)
        done = self.merge("anna", code=1)
        self.assertIn("other bytes than the next version of root", done.stderr)
        self.assertEqual(self.incoming(), [])

    def test_other_bytes_that_are_signed_well_do_not_mix(self):
        self.carry("anna")
        self.sign("anna")
        with open(self.path("request.json"), encoding="utf-8") as f:
            document = json.load(f)["document"]
        document["signed"]["expires"] = "2030-01-01T00:00:00Z"
        self.carry("ben", document=document)
        self.sign("ben")
        done = self.merge("anna", "ben", code=1)
        self.assertIn("do not go together", done.stderr)
        self.assertEqual(self.incoming(), [])

    def test_a_stranger_cannot_sign(self):
        os.makedirs(self.at("mallory"))
        self.run_at("mallory", "key", "new", "mallory", "--no-passphrase")
        self.carry("mallory")
        done = self.sign("mallory", code=1)
        self.assertIn("not one of those that may sign root.json", done.stderr)

    def test_a_strangers_signature_is_refused_by_name(self):
        request = self.carry("anna")
        keyid, _ = self.secret("other")
        document = request["document"]
        document["signatures"] = [{"keyid": keyid, "sig": "00" * 64}]
        self.carry("anna", document=document)
        done = self.merge("anna", code=1)
        self.assertIn(keyid[:16], done.stderr)
        self.assertIn("not one of the role root", done.stderr)
        self.assertEqual(self.incoming(), [])

    def test_a_damaged_signature_is_heard_of_behind_a_good_one_of_the_same_key(self):
        self.carry("anna")
        self.sign("anna")
        with open(self.at("anna", "request.json"), encoding="utf-8") as f:
            document = json.load(f)["document"]
        document["signatures"][0]["sig"] = "00" * 64
        self.carry("ben", document=document)
        done = self.merge("anna", "ben", code=1)
        self.assertIn("not over these bytes", done.stderr)
        self.assertIn(self.at("ben", "request.json"), done.stderr)
        self.assertEqual(self.incoming(), [])

    def test_one_person_twice_counts_once(self):
        for name in ("request.json", "again.json"):
            shutil.copy(self.path("request.json"), self.at("anna", name))
            self.sign("anna", name)
        shutil.copy(self.at("anna", "again.json"), self.at("ben", "request.json"))
        done = self.merge("anna", "ben")
        self.assertIn("1 of 2 signatures of the root in force", done.stdout)
        self.assertEqual(self.walk()["root"]["version"], 1)

    def test_the_order_of_members_in_the_file_is_no_other_content(self):
        request = self.carry("anna")
        self.carry("anna", document=reverse(request["document"]))
        self.sign("anna")
        self.carry("ben")
        self.sign("ben")
        self.carry("eve")
        self.sign("eve")
        self.merge("anna", "ben", "eve")
        self.assertEqual(self.walk()["root"]["version"], 2)

    def test_a_stale_version_is_refused(self):
        for machine in ("anna", "ben", "eve"):
            self.carry(machine)
            self.sign(machine)
        self.merge("anna", "ben", "eve")
        done = self.merge("anna", code=1)
        self.assertIn("would be the next", done.stderr)
        self.assertEqual(self.incoming(), [])
        self.assertIn("no next version of root", self.stage("root", code=2).stderr)

    def test_a_request_for_another_role_is_refused(self):
        self.carry("anna", role="targets")
        self.assertEqual(self.sign("anna", code=1).returncode, 1)
        self.carry("anna", role="../root")
        self.assertIn("cannot be a role's name", self.sign("anna", code=1).stderr)

    def test_files_for_two_roles_do_not_mix(self):
        for machine in ("anna", "ben", "eve"):
            self.carry(machine)
            self.sign(machine)
        self.sluice("metadata", "renew", "targets", "--draft")
        self.stage("targets", "targets.json")
        shutil.copy(self.path("targets.json"), self.at("ben", "request.json"))
        done = self.merge("anna", "ben", code=1)
        self.assertIn("for the role targets", done.stderr)

    def test_files_that_nobody_signed_are_not_merged(self):
        self.carry("anna")
        done = self.merge("anna", code=1)
        self.assertIn("none of the files carries a signature", done.stderr)
        self.assertEqual(self.incoming(), [])

    def test_names_cannot_speak_to_the_terminal(self):
        request = self.carry("anna")
        signed = request["document"]["signed"]
        signed["\x1b[2Jx\nroot: 9 of 9"] = "\x1b]0;owned\x07 \u202etxt"
        self.carry("anna", document=request["document"])
        out = self.run_at("anna", "metadata", "show", "request.json").stdout
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\u202e", out)
        self.assertIn("\\x1b[2Jx\\x0aroot: 9 of 9: ", out)

    def test_a_root_that_was_not_made_here_needs_its_holders(self):
        """Whoever brings a file cannot make it the base of the next ceremony."""
        os.unlink(self.path("drafts/root.json"))
        self.carry("eve")
        self.sign("eve")
        done = self.merge("eve", code=1)
        self.assertIn("no key of the root in force has signed it", done.stderr)
        self.assertFalse(os.path.exists(self.path("drafts/root.json")))
        self.carry("anna")
        self.sign("anna")
        self.merge("anna", "eve")
        self.assertEqual(self.incoming(), ["root.json"])

    def test_a_foreign_root_in_incoming_is_no_base(self):
        os.unlink(self.path("drafts/root.json"))
        root = self.walk()["root"]
        keyid, _ = self.secret("other")
        with open(self.key("other", "pub"), encoding="ascii") as f:
            root["keys"][keyid] = public_key(base64.b64decode(f.read().splitlines()[1])[10:])
        root["version"], root["roles"]["root"] = 2, {"keyids": [keyid], "threshold": 1}
        self.drop_in("root", root, "other")
        done = self.sluice("root", "rotate", "--timestamp", self.key("other", "pub"), "--draft",
                           code=1)
        self.assertIn("not signed by any key of the role root", done.stderr)

    def test_bytes_that_are_no_request_are_refused(self):
        for text in ("", "{}", "[]", '{"sluice-request": 2}', "\0" * 100,
                     '{"sluice-request": 1, "role": "root", "document": {}, "roots": [1]}'):
            with open(self.at("anna", "request.json"), "w", encoding="utf-8") as f:
                f.write(text)
            self.sign("anna", code=1)

    def test_a_draft_and_something_else_that_waits_are_not_confused(self):
        root = self.walk()["root"]
        root["version"] = 2
        self.drop_in("root", root, "root1")
        done = self.stage("root", code=1)
        self.assertIn("another next version than drafts/root.json", done.stderr)


class Targets(Machines):
    """Delegations and targets, in the words of a summary."""

    def setUp(self):
        super().setUp()
        self.root_init()

    def test_delegations_are_told_before_and_after(self):
        self.role_add("releases")
        self.sluice("role", "change", "releases", "--member", self.key("anna", "pub"),
                    "--member", self.key("ben", "pub"), "--threshold", "2", "--paths",
                    "bundles/*", "--paths", "apps/*", "--draft")
        self.sluice("role", "add", "gates", "--member", self.key("carol", "pub"), "--threshold",
                    "1", "--draft")
        out = self.stage("targets").stdout
        self.assertIn("releases: 2 of 2 keys must sign (was 1 of 1)", out)
        self.assertIn("+ speaks for apps/*", out)
        self.assertRegex(out, r"\+ anna ")
        self.assertRegex(out, r"- releases ")
        self.assertIn("+ gates: 1 of 1", out)
        self.assertEqual(self.walk()["targets"]["version"], 2)

    def test_a_forged_targets_json_in_force_is_refused(self):
        """What a signer is shown as the present state was signed by those who may."""
        self.role_add("releases")
        self.sluice("metadata", "renew", "targets", "--draft")
        self.stage("targets")
        request = self.carry("anna")
        self.run_at("anna", "metadata", "show", "request.json")
        del request["current"]["signed"]["delegations"]
        self.carry("anna", current=request["current"])
        done = self.run_at("anna", "metadata", "show", "request.json", code=1)
        self.assertIn("the version in force that came along", done.stderr)

    def test_members_sign_where_they_are(self):
        self.sluice("role", "add", "releases", "--member", self.key("anna", "pub"), "--member",
                    self.key("ben", "pub"), "--threshold", "2", "--key", self.key("targets"))
        self.sluice("metadata", "renew", "releases", "--draft", code=2)  # nothing yet
        self.put_release()
        out = self.stage("releases").stdout
        self.assertRegex(out, r'\+ bundles/x-1\.ota: 5 bytes, sha256 [0-9a-f]{64}, version '
                              r'"1", rollback index 7')
        for machine in ("anna", "ben"):
            self.carry(machine)
            self.sign(machine)
        self.merge("anna")
        self.assertNotIn("releases", self.walk())
        self.merge("ben")
        self.assertEqual(self.walk()["releases"]["version"], 1)

    def test_a_stop_overtakes_a_draft_which_then_comes_too_late(self):
        self.role_add("gates", member="other")
        signed = {"_type": "targets", "spec_version": "1.0.34", "version": 1,
                  "expires": "2099-01-01T00:00:00Z", "targets": {}}
        os.makedirs(self.path("drafts"), exist_ok=True)
        with open(self.path("drafts/gates.json"), "w", encoding="utf-8") as f:
            json.dump({"signed": signed, "signatures": []}, f)
        self.sluice("stop", "--all", "--reason", "smoke", "--key", self.key("other"), "--yes")
        self.assertIn("gates/all.json", self.walk()["gates"]["targets"])
        done = self.stage("gates", code=1)
        self.assertRegex(done.stderr, r"drafts/gates\.json has version 1, .* remove it")

    def put_release(self):
        """A next version that another tool has made, unsigned."""
        os.makedirs(self.path("incoming/targets/bundles"), exist_ok=True)
        os.makedirs(self.path("drafts"), exist_ok=True)
        with open(self.path("incoming/targets/bundles/x-1.ota"), "w", encoding="ascii") as f:
            f.write("hello")
        target = {"length": 5, "hashes": {"sha256":
                  "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
                  "custom": {"name": "x", "version": "1", "rollback_index": 7}}
        signed = {"_type": "targets", "spec_version": "1.0.34", "version": 1,
                  "expires": "2099-01-01T00:00:00Z", "targets": {"bundles/x-1.ota": target}}
        with open(self.path("drafts/releases.json"), "w", encoding="utf-8") as f:
            json.dump({"signed": signed, "signatures": []}, f)

    def test_a_role_in_the_wrong_hands_cannot_be_merged(self):
        self.role_add("releases")
        self.put_release()
        self.stage("releases")
        self.carry("anna")
        self.assertIn("not one of those", self.sign("anna", code=1).stderr)

    def test_renewal_changes_the_expiry_alone(self):
        self.role_add("releases")
        before = self.walk()["targets"]
        done = self.sluice("metadata", "renew", "targets", "--key", self.key("targets"),
                           "--expires", "2030-05-01", "--yes")
        self.assertIn("Nothing else changes", done.stdout)
        after = self.walk()["targets"]
        self.assertEqual(after["expires"], "2030-05-01T00:00:00Z")
        self.assertEqual(after["version"], before["version"] + 1)
        self.assertEqual(after["delegations"], before["delegations"])

    def test_an_expiry_that_makes_no_sense_is_refused(self):
        for word in ("2001-01-01", "yesterday", "9999d", "2099-13-01", "0d", ""):
            self.sluice("metadata", "renew", "targets", "--key", self.key("targets"),
                        "--expires", word, "--yes", code=2)

    def test_a_renewal_wants_a_key_of_the_role(self):
        done = self.sluice("metadata", "renew", "targets", "--key", self.key("other"), "--yes",
                           code=1)
        self.assertIn("has no say here", done.stderr)
        self.assertEqual(self.incoming(), [])


if __name__ == "__main__":
    unittest.main()
