"""Digests that are not there: an empty one never means "whatever it is"."""
import unittest

from fleet.key import canonical
from siege import NEW, Siege

HONEST = f"bundles/gateway-{NEW}.ota"
NOTHING = ("", "00", "ab" * 31, "ab" * 33, "zz" * 32, None, 0, [])


class Digests(Siege):
    def refuse_each(self, documents, why):
        """For every digest that is none: the documents with it are refused."""
        for digest in NOTHING:
            with self.subTest(digest):
                self.forger.publish(*documents(digest))
                self.assert_refused(why)
        self.assert_mends()

    def listed(self, role, path):
        def documents(digest):
            signed = self.forger.next(role)
            signed["targets"][path]["hashes"]["sha256"] = digest
            return [signed]

        return documents

    def test_a_plan_listed_without_its_digest_is_refused(self):
        self.refuse_each(self.listed("rollouts", "rollouts/stable.json"), "rollouts.*sha256")

    def test_a_gate_listed_without_its_digest_is_refused(self):
        self.refuse_each(self.listed("gates", "gates/stable.json"), "gates.*sha256")

    def test_a_bundle_listed_without_its_digest_is_refused(self):
        self.refuse_each(self.listed("releases", HONEST), "releases.*sha256")

    def test_a_target_listed_with_no_digest_at_all_is_refused(self):
        for hashes in ({}, {"md5": "ab" * 16}, None, [], ""):
            with self.subTest(hashes):
                signed = self.forger.next("rollouts")
                signed["targets"]["rollouts/stable.json"]["hashes"] = hashes
                self.forger.publish(signed)
                self.assert_refused("rollouts.*hashes")
        self.assert_mends()

    def custom(self, name):
        def documents(digest):
            signed = self.forger.next("releases")
            signed["targets"][HONEST]["custom"][name]["sha256"] = digest
            return [signed]

        return documents

    def test_a_bundle_listed_without_the_digest_of_its_head_is_refused(self):
        self.refuse_each(self.custom("head"), f"{HONEST}.*head|{HONEST}.*sha256")

    def test_a_bundle_listed_without_the_digest_of_its_manifest_is_refused(self):
        self.refuse_each(self.custom("manifest"), f"{HONEST}.*manifest|{HONEST}.*sha256")

    def test_a_bundle_listed_without_more_than_a_file_has_is_refused(self):
        for name in ("head", "manifest", "rollback_index", "name", "version", None):
            with self.subTest(name):
                signed = self.forger.next("releases")
                entry = signed["targets"][HONEST]
                if name:
                    del entry["custom"][name]
                else:
                    del entry["custom"]
                self.forger.publish(signed)
                self.assert_refused(HONEST)
                self.forger.publish(*self.mended("releases"))
        self.assert_mends()

    def planned(self, *names):
        """A plan that names no digest there, and a gate that is bound to that plan."""
        def documents(digest):
            def edit(plan):
                at = plan
                for name in names:
                    at = at[name]
                at["sha256"] = digest

            return self.forger.order(self.forger.docs["releases"], HONEST, edit)

        return documents

    def test_a_plan_without_the_digest_of_its_bundle_is_refused(self):
        self.refuse_each(self.planned("bundle"), "rollouts/stable.json.*bundle|sha256")

    def test_a_plan_without_the_digest_of_its_bundles_head_is_refused(self):
        self.refuse_each(self.planned("bundle", "head"), "rollouts/stable.json.*head|sha256")

    def test_a_plan_of_another_bundles_digest_installs_nothing(self):
        rollouts, gates = self.forger.order(
            self.forger.docs["releases"], HONEST,
            lambda plan: plan["bundle"].update(sha256="00" * 32))
        self.forger.publish(rollouts, gates)
        self.assert_decides(f"held: {HONEST} is not released with the length and digest")
        self.assert_mends()

    def test_metadata_listed_without_its_digest_is_refused(self):
        for role in ("targets", "releases", "rollouts", "gates"):
            for digest in NOTHING[:5]:
                with self.subTest((role, digest)):
                    def without(signed, role=role, digest=digest):
                        signed["meta"][role + ".json"]["hashes"] = {"sha256": digest}

                    self.forger.docs["snapshot"]["meta"] = dict(self.pristine["snapshot"]["meta"])
                    self.forger.publish(self.forger.next(role), snapshot=without)
                    self.assert_refused("sha256", "snapshot", role)
        self.assert_mends()

    def test_a_snapshot_listed_without_its_digest_is_refused(self):
        for digest in NOTHING:
            with self.subTest(digest):
                self.forger.publish(timestamp=lambda signed, d=digest: signed["meta"][
                    "snapshot.json"].update(hashes={"sha256": d}))
                self.assert_refused("sha256", "timestamp", "snapshot")
        self.assert_mends()

    def test_an_evil_file_of_no_bytes_is_no_plan(self):
        """The digest is right, of nothing."""
        for data in (b"", b"null", b"[]", b"{}", b'{"signed":{},"signatures":[]}'):
            with self.subTest(data):
                signed = self.forger.next("rollouts")
                signed["targets"]["rollouts/stable.json"] = self.forger.serve_target(
                    "rollouts/stable.json", data)
                self.forger.publish(signed)
                self.assert_refused("rollouts/stable.json")
        self.assert_mends()

    def test_a_sha512_that_differs_beside_a_sha256_that_is_right_is_refused(self):
        """Every digest that is listed counts."""
        signed = self.forger.next("rollouts")
        data = canonical(self.forger.target("rollouts/stable.json")).encode()
        entry = self.forger.serve_target("rollouts/stable.json", data)
        entry["hashes"]["sha512"] = "ab" * 64
        signed["targets"]["rollouts/stable.json"] = entry
        self.forger.publish(signed)
        self.assert_refused("rollouts/stable.json is not the file that rollouts signed for")
        self.assert_mends()


if __name__ == "__main__":
    unittest.main()
