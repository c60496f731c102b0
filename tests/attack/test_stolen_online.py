"""Stolen keys of machines: timestamp, snapshot, both, and the whole watch host with gates too."""
import copy
import json
import os
import time
import unittest

from forge import sealed
from siege import INDEX, NEW
from theft import ALL, CANARY, UPDATES, WAITS, Theft

IN_TEN_YEARS = "2036-01-01T00:00:00Z"
SOON_S = 600


def in_seconds(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class TimestampKey(Theft):
    """It can freeze what boxes see until the snapshot expires, and nothing else."""

    def stamp(self, signed):
        self.forger.put("timestamp", sealed(signed, self.forger.keys["timestamp"]),
                        signed["version"])

    def test_it_freezes_until_the_snapshot_expires(self):
        """Together with the web server: for all that people sign, boxes see none of it."""
        self.forger.publish(snapshot=lambda signed: signed.update(expires=in_seconds(SOON_S)))
        frozen = self.forger.next("timestamp")
        frozen.update(version=frozen["version"] + 1000, expires=IN_TEN_YEARS)
        self.workspace.open_gate(ALL)
        self.stamp(frozen)
        self.assert_decides(WAITS)
        self.assert_expires("snapshot metadata, version .* expired", 2 * SOON_S)
        # Root gives the role to another key: what people had signed is seen, whatever its version.
        self.forger.look()
        self.replace_online_keys("timestamp")
        self.forger.docs["timestamp"]["version"] = 1
        self.forger.docs["snapshot"]["version"] += 2
        gates = self.forger.load(f"{self.forger.docs['gates']['version'] + 1}.gates.json")
        self.forger.publish(gates, snapshot=lambda signed: signed.update(expires=IN_TEN_YEARS))
        self.assertRegex(self.check(), UPDATES)

    def test_it_takes_no_snapshot_back_and_makes_none(self):
        old = copy.deepcopy(self.forger.docs["timestamp"]["meta"])
        self.forger.publish()
        self.assertIn("held", self.check())
        back = self.forger.next("timestamp")
        back["meta"] = old
        self.stamp(back)
        self.assertRegex(self.check(1), "takes the snapshot back")
        self.begin_again()
        self.assert_signs_nothing_else("timestamp", "snapshot", "targets", "releases",
                                       "rollouts", "gates")

    def test_it_does_not_hold_the_time_of_a_box_without_a_clock(self):
        """Dated ever the same day, its timestamps would let nothing expire: time goes on."""
        self.box.set({"box": {"trust_clock": "no"}})
        self.addCleanup(self.box.set, {"box": {"trust_clock": "yes"}})
        self.forger.publish(timestamp=lambda signed: signed.update(signed_at=in_seconds(3600)))
        self.check(None)
        before = self.floor()
        self.forger.publish(timestamp=lambda signed: signed.update(
            signed_at="2020-01-01T00:00:00Z"))
        self.check(None)
        self.assertEqual(self.floor(), before)

    def floor(self):
        with open(self.box.path("state", "state.json"), encoding="utf-8") as f:
            return json.load(f)["floor_s"]


class SnapshotKey(Theft):
    """Alone it is worth nothing: the timestamp names the snapshot's digest."""

    def test_what_it_signs_is_not_what_the_timestamp_lists(self):
        listing = self.forger.docs["snapshot"]
        evil = copy.deepcopy(listing)
        del evil["meta"]["gates.json"]
        for version in (listing["version"], listing["version"] + 1):
            evil["version"] = version
            self.forger.put("snapshot", sealed(evil, self.forger.keys["snapshot"]), version)
        self.assert_decides(WAITS)
        # A box that has none yet finds it wrong.
        os.unlink(self.box.path("state", "metadata", "snapshot.json"))
        self.assertRegex(self.check(1), "snapshot.json (is not the file whose digest|has .* byte)")
        self.assert_untouched()
        self.put_back("site")
        self.assert_decides(WAITS)

    def test_it_signs_nothing_else(self):
        self.assert_signs_nothing_else("snapshot", "timestamp", "targets", "releases",
                                       "rollouts", "gates")


class OnlineKeys(Theft):
    """Timestamp and snapshot keys: single roles are held back, until these expire."""

    @classmethod
    def roll_out(cls):
        super().roll_out()
        cls.workspace.open_gate(ALL)

    def hold_back_gates(self, expires):
        """Honest gates of before a stop, dated so; then the stop, which the snapshot leaves out."""
        self.forger.publish({**self.forger.next("gates"), "expires": expires})
        held = copy.deepcopy(self.forger.docs)
        self.workspace.stop("stable")
        self.forger.docs = held
        self.forger.docs["snapshot"]["version"] += 1000
        self.forger.docs["timestamp"]["version"] += 1000
        self.forger.publish()

    def test_they_hide_a_stop_until_the_gates_expire(self):
        self.hold_back_gates(in_seconds(SOON_S))
        self.assertRegex(self.check(), UPDATES)
        self.assert_expires("gates metadata, version .* expired", 2 * SOON_S)

    def test_new_keys_bring_the_hidden_stop(self):
        """Not even a snapshot that ran ahead by a thousand versions is in their way."""
        self.hold_back_gates(IN_TEN_YEARS)
        self.assertRegex(self.check(), UPDATES)
        self.replace_online_keys("timestamp", "snapshot")
        for role in ("timestamp", "snapshot"):
            self.forger.docs[role]["version"] = 1
        version = self.forger.docs["gates"]["version"] + 1
        self.forger.publish(self.forger.load(f"{version}.gates.json"))
        self.assert_decides("held: stopped by gates/stable.json")

    def test_they_take_no_role_back_and_drop_none(self):
        old = copy.deepcopy(self.forger.docs["snapshot"]["meta"])
        self.workspace.stop("stable")
        self.assert_decides("held: stopped by gates/stable.json")
        self.forger.look()
        self.forger.publish(snapshot=lambda signed: signed.update(meta=old))
        self.assertRegex(self.check(1), "takes gates.json back")
        self.forger.docs["snapshot"]["meta"].pop("gates.json")
        self.forger.publish()
        self.assertRegex(self.check(1), "no longer lists gates.json")
        self.assert_untouched()

    def test_they_sign_nothing_else(self):
        for thing in ("timestamp", "snapshot"):
            self.assert_signs_nothing_else(thing, "root", "targets", "releases", "rollouts",
                                           "gates")

    def assert_signs_nothing_else(self, thing, *roles):
        super().assert_signs_nothing_else(thing, *[r for r in roles if r != "root"])
        self.forger.publish_root(self.forger.next("root"), self.forger.keys[thing])
        self.assert_refused("root.* 0 of 1 signatures needed", "root")
        self.begin_again()


class WatchHost(Theft):
    """Gates, snapshot and timestamp keys, and the workspace where site/ is written."""

    def test_it_opens_every_wave_of_published_plans(self):
        self.assert_decides(WAITS)
        self.forger.publish(self.with_gate(open=[CANARY, ALL]))
        self.assert_installs()

    def test_it_hides_a_stop_for_as_long_as_it_signs_gates(self):
        """With the gates key there is no honest date to wait for: new keys end it, or the expiry
        of what it cannot sign."""
        waits = self.forger.next("targets")
        waits["expires"] = in_seconds(SOON_S)
        self.forger.publish(waits)
        theirs = copy.deepcopy(self.forger.docs)
        self.workspace.stop("stable")
        self.forger.docs = theirs
        for role in ("snapshot", "timestamp", "gates"):
            self.forger.docs[role]["version"] += 1000
        self.forger.publish({**self.with_gate(open=[CANARY, ALL]), "expires": IN_TEN_YEARS},
                            snapshot=lambda signed: signed.update(expires=IN_TEN_YEARS),
                            timestamp=lambda signed: signed.update(expires=IN_TEN_YEARS))
        self.assertRegex(self.check(), UPDATES)
        self.assert_expires("targets metadata, version .* expired", 2 * SOON_S)

    def test_new_online_and_gates_keys_end_it(self):
        """At another host: a root that replaces snapshot and timestamp keys, a targets.json that
        replaces the gates key. Boxes that were shown anything come back."""
        self.forger.docs["gates"]["version"] += 1000
        self.forger.publish({**self.with_gate(open=[CANARY, ALL]), "expires": IN_TEN_YEARS},
                            snapshot=lambda signed: signed.update(version=10 ** 6),
                            timestamp=lambda signed: signed.update(version=10 ** 6))
        self.assertRegex(self.check(), UPDATES)
        self.forger.docs = copy.deepcopy(self.pristine)
        self.replace_online_keys("timestamp", "snapshot")
        key = self.forger.keys["gates"] = self.new_role_key("gates")
        targets = self.forger.next("targets")
        targets["delegations"]["keys"][key.id] = key.public
        for role in targets["delegations"]["roles"]:
            if role["name"] == "gates":
                role["keyids"] = [key.id]
        stop = self.new_stop()
        self.forger.publish(targets, self.with_gate(stops=[stop]))
        self.assert_decides(f"held: stopped by gates/stable.json .stop {stop['id']}")
        rollouts = self.forger.next("rollouts")
        rollouts["targets"]["rollouts/stable.json"]["custom"] = {"resumes": [stop["id"]]}
        self.forger.publish(rollouts, self.with_gate(open=[CANARY, ALL], stops=[stop]))
        self.assert_installs()

    def test_the_commands_that_people_have_end_it(self):
        """The same, typed: on another host, with the site as it was before the theft."""
        self.forger.docs["gates"]["version"] += 1000
        self.forger.publish(self.with_gate(open=[CANARY, ALL]),
                            snapshot=lambda signed: signed.update(version=10 ** 6),
                            timestamp=lambda signed: signed.update(version=10 ** 6))
        self.assertRegex(self.check(), UPDATES)
        self.put_back("site")
        run, key = self.workspace.sluice, self.workspace.key
        new = {role: self.workspace.new_key(role + "-new")
               for role in ("snapshot", "timestamp", "gates")}
        self.change_settings("snapshot.key", "snapshot-new.key", "timestamp.key",
                             "timestamp-new.key")
        run("root", "rotate", "--snapshot", new["snapshot"], "--timestamp", new["timestamp"],
            "--key", key("root"), "--yes")
        run("key", "revoke", self.workspace.path("keys", "gates.pub"), "--replace-by",
            self.workspace.path("keys", "gates-new.pub"), "--key", key("targets"), "--yes")
        run("stop", "stable", "--reason", "thieves", "--key", new["gates"], "--yes")
        stop, = self.workspace.stop_ids()
        self.assert_decides(f"held: stopped by gates/stable.json .stop {stop}")
        self.workspace.resume(stop)
        self.open_waves(new["gates"])
        self.assert_installs()

    def change_settings(self, *words):
        """Replaces words of workspace.yaml, in pairs, for this test."""
        path = self.workspace.path("workspace.yaml")
        with open(path, encoding="utf-8") as f:
            was = text = f.read()
        for old, new in zip(words[::2], words[1::2]):
            self.assertIn(old, text)
            text = text.replace(old, new)

        def write(text):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        write(text)
        self.addCleanup(write, was)

    def test_it_installs_nothing_that_others_did_not_sign(self):
        """All three keys at once, over a bundle, a plan and a role of its own."""
        key = self.stranger()
        thief = [self.forger.keys[name] for name in ("gates", "snapshot", "timestamp")] + [key]
        data = self.new_bundle().seal(*thief).tar()
        for role in ("releases", "rollouts", "targets"):
            with self.subTest(role):
                self.begin_again()
                releases = self.forger.release(data)
                rollouts, gates = self.forger.order(releases)
                targets = self.forger.next("targets")
                targets["delegations"]["keys"].update({k.id: k.public for k in thief})
                for each in targets["delegations"]["roles"]:
                    each["keyids"] += [k.id for k in thief]
                evil = {"releases": [releases, rollouts, gates], "rollouts": [rollouts, gates],
                        "targets": [targets, releases, rollouts, gates]}[role]
                self.forger.publish(*evil, keys={
                    name: thief for name in ("releases", "rollouts", "targets")})
                self.assert_refused("0 of 1 signatures needed", role)

    def test_it_offers_an_older_plan_to_a_new_box_and_not_below_its_floor(self):
        """A box from the factory has seen no metadata, so older metadata that has not expired is
        as good as any: what was once released, planned and opened. The floor holds even then."""
        self.forger.publish(self.with_gate(open=[CANARY, ALL]))
        before = copy.deepcopy(self.forger.docs)
        rollouts = self.forger.next("rollouts")
        del rollouts["targets"]["rollouts/stable.json"]
        self.forger.publish_as("rollouts", rollouts)
        self.assertIn("idle: there is no plan", self.check())
        versions = {role: self.forger.docs[role]["version"] for role in ("snapshot", "timestamp")}
        self.forger.docs = before
        for role, version in versions.items():
            self.forger.docs[role]["version"] = version
        self.forger.publish()
        self.assertRegex(self.check(1), "takes rollouts.json back")  # it has seen the newer one
        self.forget_metadata()
        self.assertRegex(self.check(), UPDATES)
        self.set_floor(INDEX + 1)
        self.assertRegex(self.check(), f"failed: gateway {NEW} has rollback index {INDEX}")

    def forget_metadata(self):
        folder = self.box.path("state", "metadata")
        for name in os.listdir(folder):
            if name != "root.json":
                os.unlink(os.path.join(folder, name))

    def set_floor(self, index):
        path = self.box.path("state", "state.json")
        with open(path, encoding="utf-8") as f:
            state = json.load(f)
        state["rollback_floor"] = index
        del state["check"]
        with open(path, "w", encoding="utf-8") as f:
            json.dump(state, f)


if __name__ == "__main__":
    unittest.main()
