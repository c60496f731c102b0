"""A stolen key of the people at work: gates, rollouts (all, or one scope), releases."""
import os
import unittest

from fleet.key import Key
from siege import EVIL, INDEX, NEW, OLD
from theft import ALL, CANARY, WAITS, Theft

BUNDLE = f"bundles/gateway-{NEW}.ota"


class GateKey(Theft):
    """It can only stop, or open waves early inside a plan that operators signed."""

    def assert_recovers_gates(self):
        """The targets key gives the role to another key, and that one opens."""
        self.begin_again()
        self.open_waves(self.replace_role("gates"))
        self.assert_would_update()

    def test_it_opens_waves_early_inside_a_published_plan(self):
        self.assert_decides(WAITS)
        self.forger.publish(self.with_gate(open=[CANARY, ALL]))
        self.assert_installs()

    def test_it_opens_no_plan_but_the_one_that_its_gate_names(self):
        for what, value in (("sha256", "0" * 64), ("version", 7), ("rollout", "another")):
            with self.subTest(what):
                self.begin_again()
                self.forger.publish(self.with_gate(
                    open=[CANARY, ALL], edit=lambda g, w=what, v=value: g["plan"].update({w: v})))
                self.assert_decides("held: gates/stable.json is shut: the gate is for ")
        self.assert_recovers_gates()

    def test_it_opens_nothing_to_a_box_that_the_plan_leaves_out(self):
        self.forger.publish(self.with_plan(lambda plan: plan.update(exclude=[self.box.name])))
        self.forger.publish(self.with_bound_gate(open=[CANARY, ALL]))
        self.assert_decides("idle: gateway-2.0.0 is not for this box")

    def test_it_writes_no_plan_and_releases_no_bundle(self):
        evil = self.forger.release(self.bytes_of())["targets"][EVIL]
        self.assert_lists_nothing_else("gates", {
            "rollouts/stable.json":
                self.with_plan_for_all()["targets"]["rollouts/stable.json"], EVIL: evil})
        self.assert_signs_nothing_else("gates", "targets", "releases", "rollouts", "snapshot")
        self.assert_recovers_gates()

    def test_what_it_stopped_goes_on_once_it_is_revoked(self):
        stops = [self.new_stop(), self.new_stop("a second one")]
        self.forger.publish(self.with_gate(open=[CANARY, ALL], stops=stops))
        self.assert_decides(f"held: stopped by gates/stable.json .stop {stops[0]['id']}")
        key = self.replace_role("gates")
        for stop in stops:
            self.workspace.resume(stop["id"], "stable")
        self.open_waves(key)
        self.assert_installs()

    def test_a_stop_of_everything_by_it_is_lifted_by_the_general_rollout_role(self):
        stop = self.new_stop()
        self.forger.publish(self.with_gate("all", stops=[stop]))
        self.assert_decides(f"held: stopped by gates/all.json .stop {stop['id']}")
        key = self.replace_role("gates")
        self.workspace.resume(stop["id"], "--all")
        self.open_waves(key)
        self.assert_would_update()

    def test_it_takes_no_stop_back_from_a_box_that_has_seen_it(self):
        self.workspace.open_gate(ALL)
        stop = self.workspace.stop("stable")
        stopped = f"held: stopped by gates/stable.json .stop {stop}"
        self.assert_decides(stopped)
        self.forger.look()
        gates = self.with_gate(open=[CANARY, ALL], stops=[])
        for entry in gates["targets"].values():
            entry["custom"] = {"resumes": [stop]}
        self.forger.publish(gates)
        self.assert_decides(stopped)
        # The people can lift it all the same, though no gate shows it any more.
        self.workspace.resume(stop, "stable")
        self.assert_would_update()

    def test_it_takes_no_stop_back_past_the_publisher(self):
        """Or boxes that had not heard of it never would. Once it is lifted, it may go."""
        stop = self.workspace.stop("stable")
        self.forger.look()
        without = self.with_gate(open=[CANARY, ALL], stops=[])
        gone = self.forger.next("gates")
        del gone["targets"]["gates/stable.json"]
        nonsense = self.forger.next("gates")
        nonsense["targets"]["gates/stable.json"] = self.forger.serve_target(
            "gates/stable.json", b"{}")
        for gates in (without, gone, nonsense):
            self.workspace.sign_by_hand("gates", gates)
            done = self.workspace.publish(check=1)
            self.assertIn(f"it takes stop {stop} of gates/stable.json back", done.stderr)
        os.unlink(self.workspace.path("incoming", "gates.json"))
        self.assert_decides(f"held: stopped by gates/stable.json .stop {stop}")
        self.workspace.resume(stop)
        self.workspace.sign_by_hand("gates", without)
        self.workspace.publish()
        self.assert_would_update()

    def test_it_takes_no_stop_back_whose_gate_the_publisher_has_lost(self):
        """What it stopped nobody can tell any more."""
        stop = self.workspace.stop("stable")
        self.forger.look()
        without = self.with_gate(open=[CANARY, ALL], stops=[])
        gone = self.forger.next("gates")
        del gone["targets"]["gates/stable.json"]
        lost = self.workspace.target_file("gates/stable.json")
        with open(lost, "rb") as f:
            content = f.read()
        for damage in (lambda: os.unlink(lost), lambda: self.write(lost, content[:-1] + b" ")):
            damage()
            for gates in (without, gone):
                self.workspace.sign_by_hand("gates", gates)
                done = self.workspace.publish(check=1)
                self.assertIn("gates/stable.json that is published cannot be read here",
                              done.stderr)
        # Somebody's stop of something else is not held up.
        os.unlink(self.workspace.path("incoming", "gates.json"))
        self.workspace.sluice("stop", "--all", "--reason", "smoke", "--yes", "--key",
                              self.workspace.key("gates"))
        # Once it is there again all is told; and without it one that stops may follow.
        self.write(lost, content)
        self.forger.look()
        self.workspace.sign_by_hand("gates", self.with_gate(open=[CANARY, ALL], stops=[]))
        self.assertIn(f"it takes stop {stop}", self.workspace.publish(check=1).stderr)
        stops = self.with_gate(open=[CANARY, ALL], stops=[self.new_stop()])
        os.unlink(lost)
        self.workspace.sign_by_hand("gates", stops)
        self.workspace.publish()

    @staticmethod
    def write(path, content):
        with open(path, "wb") as f:
            f.write(content)

    def test_it_shuts_every_gate_by_taking_them_away(self):
        gates = self.forger.next("gates")
        gates["targets"] = {}
        self.forger.publish_as("gates", gates)
        self.assert_decides("held: gates/all.json is missing, and missing is shut")
        self.assert_recovers_gates()

    def test_its_versions_do_not_run_away_past_the_publisher(self):
        gates = self.with_gate(open=[CANARY, ALL])
        gates["version"] += 1000
        self.workspace.sign_by_hand("gates", gates)
        done = self.workspace.publish(check=1)
        self.assertIn("must follow; remove it and sign again", done.stderr)
        self.assert_decides(WAITS)


class RolloutKey(Theft):
    """It can only choose among released bundles, never below the floor, and opens nothing."""
    SIZE = 1 << 18

    @classmethod
    def roll_out(cls):
        super().roll_out()
        for version, settings in (("1.5.0", {}), ("0.9.0", {"rollback_index": INDEX - 1}),
                                  ("3.0.0", {"compatible": ("acme-gw4",)})):
            cls.pack(version, **settings)
            cls.workspace.release(cls.bundles[version])

    def plans(self, path, entry=None):
        """The next rollouts metadata with a plan for everybody, of a bundle so listed."""
        entry = entry or self.forger.docs["releases"]["targets"][path]

        def edit(plan):
            plan["bundle"] = {"path": path, "length": entry["length"],
                              "sha256": entry["hashes"]["sha256"],
                              "head": entry["custom"]["head"]}
            plan["waves"] = plan["waves"][-1:]
        return self.with_plan(edit)

    def plans_and_opens(self, *how):
        """As with a gate key beside it: the worst that can come of its plans."""
        self.forger.publish(self.plans(*how))
        self.forger.publish(self.with_bound_gate(open=[ALL]))

    def assert_recovers_rollouts(self):
        self.begin_again()
        key = self.replace_role("rollouts")
        self.workspace.sluice("rollout", "publish", self.workspace.path(
            "manifests", "rollouts", "stable.yaml"), "--key", key, "--yes")
        self.open_waves(self.workspace.key("gates"))
        self.assert_would_update()

    def test_it_opens_nothing(self):
        for bundle in (BUNDLE, "bundles/gateway-1.5.0.ota"):
            with self.subTest(bundle):
                self.begin_again()
                self.forger.publish(self.plans(bundle))
                self.assert_decides("held: gates/stable.json is shut: ")
        self.assert_recovers_rollouts()

    def test_it_chooses_among_what_was_released(self):
        """And whoever opens the gate for it gets that and nothing else."""
        self.plans_and_opens("bundles/gateway-1.5.0.ota")
        self.assertRegex(self.check(), "^update: gateway 1.5.0 by gateway-2.0.0, wave all")

    def test_it_goes_never_below_the_rollback_index(self):
        self.plans_and_opens("bundles/gateway-0.9.0.ota")
        self.assert_decides("failed: gateway 0.9.0 has rollback index 4, .* none below 5")

    def test_it_gives_no_box_what_is_for_other_hardware(self):
        self.plans_and_opens("bundles/gateway-3.0.0.ota")
        self.start_agent()
        report = self.wait_for_report(lambda r: r["outcome"] == "failed", "refused")
        self.assertRegex(report["detail"], "acme-gw4|compatible|hardware")
        self.assert_untouched()

    def test_it_installs_nothing_that_was_not_released(self):
        """Not by listing a bundle itself, under whatever path."""
        evil = self.forger.release(self.bytes_of())["targets"][EVIL]
        for path in (EVIL, "rollouts/evil-9.0.0.ota", "gates/evil.ota", "evil.ota"):
            with self.subTest(path):
                self.begin_again()
                self.forger.serve_target(path, self.bytes_of())
                rollouts = self.plans(path, evil)
                rollouts["targets"][path] = evil
                self.forger.publish_as("rollouts", rollouts)
                self.forger.publish(self.with_bound_gate(open=[ALL]))
                done = self.box.agent("check", check=None)
                self.assertRegex(done.stdout + done.stderr,
                                 f"held: {EVIL} is not released|bundle: 'path'")
                self.assert_untouched()
        self.assert_recovers_rollouts()

    def test_it_opens_no_gate_and_releases_nothing(self):
        gates = self.with_gate(open=[CANARY, ALL])
        self.assert_lists_nothing_else("rollouts", {
            "gates/stable.json": gates["targets"]["gates/stable.json"],
            BUNDLE: self.forger.release(self.bytes_of(OLD))["targets"][EVIL]})
        self.assert_signs_nothing_else("rollouts", "targets", "releases", "gates", "snapshot")

    def test_it_withdraws_plans(self):
        rollouts = self.forger.next("rollouts")
        del rollouts["targets"]["rollouts/stable.json"]
        self.forger.publish_as("rollouts", rollouts)
        self.assert_decides("idle: there is no plan for this box")
        self.assert_recovers_rollouts()

    def test_it_lifts_stops_and_the_next_stop_holds_again(self):
        """The role owns that. What it lifts opens no wave that was not open."""
        stop = self.workspace.stop("stable")
        self.assert_decides(f"held: stopped by gates/stable.json .stop {stop}")
        self.workspace.resume(stop)
        self.assert_decides(WAITS)
        stop = self.workspace.stop("stable")
        self.assert_decides(f"held: stopped by gates/stable.json .stop {stop}")


class ScopedRolloutKey(Theft):
    """The key of rollouts/site-a.json: nothing beyond site A."""

    @classmethod
    def ceremony(cls):
        super().ceremony()
        key = cls.workspace.new_key("site-a")
        cls.workspace.sluice("role", "add", "site-a", "--member", key[:-4] + ".pub",
                             "--threshold", 1, "--paths", "rollouts/site-a.json", "--before",
                             "rollouts", "--key", cls.workspace.key("targets"))

    @classmethod
    def roll_out(cls):
        super().roll_out()
        cls.workspace.sluice("rollout", "publish", cls.workspace.plan(
            cls.bundles[NEW], [(ALL, "100%")], name="site-a"), "--key",
            cls.workspace.key("site-a"), "--yes")

    def publish_site_a(self, edit):
        version = self.forger.docs["snapshot"]["meta"]["site-a.json"]["version"]
        signed = self.forger.load(f"{version}.site-a.json")
        signed["version"] += 1
        edit(signed)
        self.forger.keys["site-a"] = Key(self.workspace.key("site-a"))
        self.forger.publish_as("site-a", signed)

    def test_it_writes_nobody_elses_plan(self):
        self.publish_site_a(lambda signed: signed["targets"].update({
            "rollouts/stable.json":
                self.with_plan_for_all()["targets"]["rollouts/stable.json"],
            "gates/stable.json": self.with_gate(open=[CANARY, ALL])["targets"][
                "gates/stable.json"]}))
        self.assert_decides(WAITS)

    def test_it_is_refused_where_another_plan_is_published(self):
        plan = self.workspace.path("manifests", "rollouts", "stable.yaml")
        done = self.workspace.sluice("rollout", "publish", plan, "--key",
                                     self.workspace.key("site-a"), "--yes", check=1)
        self.assertIn("is not one of the role rollouts", done.stderr)
        self.assertFalse(os.path.exists(self.workspace.path("incoming", "rollouts.json")))

    def test_it_lifts_no_stop_but_its_own(self):
        stops = {name: self.workspace.stop(name) for name in ("stable", "site-a")}
        stops["all"] = self.workspace.stop()
        of_all = f"held: stopped by gates/all.json .stop {stops['all']}"
        self.check()
        self.forger.look()

        def lift_all(signed):
            entry = signed["targets"]["rollouts/site-a.json"]
            for name in stops:
                signed["targets"][f"rollouts/{name}.json"] = {
                    **entry, "custom": {"resumes": list(stops.values())}}
        self.publish_site_a(lift_all)
        self.check()
        self.assert_remembers(stops["all"], stops["stable"])
        # On a box of its own site it lifts its own stop, as it may, and not that of everything.
        self.box.set({"box": {"plan": "rollouts/site-a.json"}})
        self.addCleanup(self.box.set, {"box": {"plan": "rollouts/stable.json"}})
        self.assert_decides(of_all)
        self.assert_remembers(stops["all"], stops["stable"])
        # The general role lifts the others, each in its place; that opens nothing.
        self.workspace.resume(stops["all"])
        self.assert_decides(WAITS)
        self.box.set({"box": {"plan": "rollouts/stable.json"}})
        self.assert_decides(f"held: stopped by gates/stable.json .stop {stops['stable']}")
        self.workspace.resume(stops["stable"])
        self.assert_decides(WAITS)
        self.assert_remembers()

    def assert_remembers(self, *stops):
        self.assertEqual({stop["id"] for stop in self.box.status()["stops"]}, set(stops))


class ReleaseKey(Theft):
    """It says what may run, and on nobody's box: that takes a plan and a gate of others."""

    def assert_recovers_releases(self):
        self.begin_again()
        key = self.replace_role("releases")
        self.workspace.sluice("sign", self.bundles[NEW], "--key", key)
        self.workspace.sluice("release", self.bundles[NEW], "--key", key)
        self.workspace.publish_plan(self.workspace.path("manifests", "rollouts", "stable.yaml"))
        self.open_waves(self.workspace.key("gates"))
        self.assert_would_update()

    def stick(self, data):
        path = self.box.path("stick.ota")
        with open(path, "wb") as f:
            f.write(data)
        return path

    def test_a_bundle_that_it_released_runs_nowhere(self):
        self.forger.publish(self.forger.release(self.new_bundle().seal(self.release_key).tar()))
        self.assert_decides(WAITS)

    def test_another_bundle_under_a_planned_name_is_not_installed(self):
        """Though all waves are open."""
        self.workspace.open_gate(ALL)
        self.forger.look()
        data = bytearray(self.bytes_of())
        data[-3000] ^= 1  # in the last chunk: the head, the length and the name stay
        for other in (self.bytes_of(OLD), bytes(data)):
            self.forger.publish(self.forger.release(other, BUNDLE))
            self.assert_decides(f"held: {BUNDLE} is not released with the length and digest")
        self.assert_recovers_releases()

    def test_it_writes_no_plan_and_opens_no_gate(self):
        self.assert_lists_nothing_else("releases", {
            "gates/stable.json": self.with_gate(open=[CANARY, ALL])["targets"][
                "gates/stable.json"],
            "rollouts/stable.json":
                self.with_plan_for_all()["targets"]["rollouts/stable.json"]})
        self.assert_signs_nothing_else("releases", "targets", "rollouts", "gates", "snapshot")

    def test_from_a_stick_it_installs_by_the_hand_of_root_and_not_below_the_floor(self):
        """What DESIGN grants a stick: the release threshold, and root on the box who asks."""
        bundle = self.new_bundle()
        bundle.signed["rollback_index"] = INDEX - 1
        self.refuse_from_stick(bundle.seal(self.release_key).tar(), "rollback index 4")
        bundle.signed["rollback_index"] = INDEX
        self.box.agent("install", self.stick(bundle.seal(self.release_key).tar()), "--no-reboot")
        self.assertEqual(self.box.env()["primary"], self.box.other_side())

    def test_from_a_stick_it_passes_no_stop(self):
        stop = self.workspace.stop()
        self.assert_decides("held: stopped by gates/all.json")
        done = self.box.agent("install", self.stick(self.bytes_of()), "--no-reboot", check=1)
        self.assertIn(f"stop {stop}", done.stderr)
        self.assert_untouched()

    def test_revoked_it_is_worth_nothing_on_a_stick_either(self):
        self.replace_role("releases")
        self.assertIn("releases", self.check(1))
        done = self.box.agent("install", self.stick(self.bytes_of()), "--no-reboot", check=1)
        self.assertIn("0 of 1 signatures needed", done.stderr)
        self.assert_untouched()


if __name__ == "__main__":
    unittest.main()
