"""`sluice release`: what it lists of a bundle, who may sign it, and what is never taken over."""
import hashlib
import json
import os
import subprocess
import unittest

from fleet import flip
from publishing import SLUICE, Workspace


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
        flip(self.bundle, os.path.getsize(self.bundle) - 3000)
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
        with open(self.path("incoming/releases.json"), encoding="utf-8") as f:
            self.assertEqual(len(json.load(f)["signatures"]), 1)
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

    def test_what_was_overtaken_in_incoming_is_not_built_upon(self):
        self.release("--no-publish")
        waiting = self.path("incoming/releases.json")
        os.rename(waiting, self.path("overtaken"))
        self.bundle = self.pack(b"version two" * 30000, "2.5.0")
        self.release()
        os.rename(self.path("overtaken"), waiting)
        done = self.release(code=1)
        self.assertIn("version 1 is published; remove it and sign again", done.stderr)

    def test_what_expired_while_it_waited_is_dated_anew(self):
        self.release("--no-publish")
        with open(self.path("incoming/releases.json"), encoding="utf-8") as f:
            signed = json.load(f)["signed"]
        signed["expires"] = "2020-01-01T00:00:00Z"
        self.drop_in("releases", signed, "releases")
        self.release()
        self.assertEqual(self.walk()["releases"]["version"], 1)

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
