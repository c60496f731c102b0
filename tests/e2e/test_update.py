"""An update over real nginx with mutual TLS, and the reasons not to take one."""
import os
import re
import unittest

from fleet import CommandFailed, Workspace, flip, free_port, run, wait_until
from fleet.case import NEW, OLD, FleetCase


class Update(FleetCase):
    def test_a_box_takes_an_update_reboots_confirms_and_reports(self):
        box = self.box(tags={"site": "lyon"})
        self.roll_out()
        report = self.wait_for_outcome(box, "ok")
        self.assert_runs(box, NEW)
        self.assertEqual(box.booted(), "B" if box.first_side == "A" else "A")
        self.assertEqual(report["state"], "confirmed")
        self.assertEqual(report["version"], NEW)
        self.assertEqual(report["wave"], "all")
        self.assertEqual(report["tags"], {"site": "lyon"})
        states = [r["state"] for r in self.workspace.reports(box.name)]
        for state in ("starting", "installed", "unconfirmed", "confirmed"):
            self.assertIn(state, states)
        numbers = [r["seq"] for r in self.workspace.reports(box.name)]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        status = box.status()
        self.assertEqual(status["running"][box.booted()]["version"], NEW)
        self.assertIsNone(status["pending"])

    def test_only_what_the_box_lacks_is_fetched(self):
        box = self.box()
        self.roll_out()
        self.wait_for_outcome(box, "ok")
        size = os.path.getsize(self.bundles[NEW])
        self.assertLess(box.fetched(NEW), size * 3 // 4)
        sent = sum(n for method, path, status, n in self.nginx.requests()
                   if method == "GET" and path.endswith(".ota"))
        self.assertLess(sent, size * 3 // 4)

    def test_boxes_wait_for_the_gate_of_their_wave(self):
        first, second = self.box("gw-000001"), self.box("gw-000002")
        self.workspace.roll_out(self.bundles[NEW], [("canary", ["gw-000001"]),
                                                    ("everyone", "100%")], open_waves=["canary"])
        self.wait_for_outcome(first, "ok")
        self.settle()
        self.assert_runs(second, OLD)
        self.assertIn("everyone", second.agent("check").stdout)
        self.workspace.open_gate("everyone")
        self.wait_for_outcome(second, "ok")
        self.assert_runs(second, NEW)

    def test_a_box_without_anything_new_asks_two_small_questions(self):
        box = self.box()
        self.roll_out()
        self.wait_for_outcome(box, "ok")
        self.settle(2)
        before = len(self.nginx.requests())
        self.settle(4)
        asked = self.nginx.requests()[before:]
        self.assertGreater(len(asked), 1)
        for method, path, status, _ in asked:
            self.assertRegex(path, r"^/metadata/(timestamp|\d+\.root)\.json$")
            self.assertIn(status, (304, 404))
        self.assert_runs(box, NEW)

    def test_check_says_what_it_would_do_and_does_nothing(self):
        box = self.box(start=False)
        self.assertNotIn(NEW, box.agent("check").stdout)
        self.roll_out()
        self.assertIn(NEW, box.agent("check").stdout)
        self.assert_runs(box, OLD)
        self.assertIsNone(box.status()["pending"])


class Refusal(FleetCase):
    def test_a_plan_for_other_hardware_is_not_for_this_box(self):
        box = self.box(compatible="acme-gw4", start=False)
        self.roll_out()
        box.start()
        self.settle()
        self.assert_runs(box, OLD)
        self.assertIn("compatible", box.agent("check", check=None).stdout)

    def test_a_bundle_for_other_hardware_is_refused_whatever_the_plan_says(self):
        self.pack("3.0.0", compatible=("acme-gw4",))
        box = self.box()
        try:
            self.roll_out("3.0.0", compatible="[acme-gw3]")
        except CommandFailed as refused:
            self.assertIn("compatible", str(refused))
        else:
            report = self.wait_for_outcome(box, "failed", "3.0.0")
            self.assertIn("compatible", report["detail"])
        self.assert_runs(box, OLD)
        done = box.agent("install", self.bundles["3.0.0"], "--metadata",
                         self.workspace.path("site", "metadata"), check=None)
        self.assertEqual(done.returncode, 1)
        self.assert_runs(box, OLD)

    def test_a_lower_rollback_index_is_refused(self):
        self.pack("5.0.0", rollback_index=7)
        self.pack("6.0.0", image=self.images[NEW], rollback_index=6)
        box = self.box()
        self.roll_out("5.0.0")
        self.wait_for_outcome(box, "ok", "5.0.0")
        self.assertEqual(box.status()["rollback_floor"], 7)
        self.roll_out("6.0.0")
        self.wait_for_log(box, "rollback")
        self.settle(2)
        self.assert_runs(box, "5.0.0")
        done = box.agent("install", self.bundles["6.0.0"], check=None)
        self.assertEqual(done.returncode, 1)
        self.assertIn("rollback", done.stderr + box.log())

    def test_a_corrupted_chunk_is_refused_and_the_old_system_stays(self):
        box = self.box()
        self.workspace.release(self.bundles[NEW])
        served = self.workspace.target_file(f"bundles/gateway-{NEW}.ota")
        flip(served, self.place_of_news() + 5000)
        self.workspace.publish_plan(self.workspace.plan(self.bundles[NEW], [("all", "100%")]))
        self.workspace.open_gate("all")
        report = self.wait_for_outcome(box, "failed")
        self.assertEqual(report["class"], "untrusted")
        self.assert_runs(box, OLD, other_side_boots=False)
        # What a person sees stays the reason, through the next attempts too.
        tried = self.workspace.outcomes(box.name).count("failed")

        def tried_again_twice():
            self.assertIn("stored bytes", box.status()["last_result"])
            return self.workspace.outcomes(box.name).count("failed") > tried + 1
        wait_until(tried_again_twice, 30)

    def test_a_corrupted_head_is_refused_before_anything_is_written(self):
        box = self.box()
        before = box.slot_digests()
        self.workspace.release(self.bundles[NEW])
        served = self.workspace.target_file(f"bundles/gateway-{NEW}.ota")
        flip(served, 700)
        self.workspace.publish_plan(self.workspace.plan(self.bundles[NEW], [("all", "100%")]))
        self.workspace.open_gate("all")
        report = self.wait_for_outcome(box, "failed")
        self.assertEqual(report["class"], "untrusted")
        self.assertEqual(box.slot_digests(), before)

    def test_a_truncated_bundle_ends_nothing_and_is_taken_once_it_is_whole(self):
        box = self.box()
        self.workspace.release(self.bundles[NEW])
        served = self.workspace.target_file(f"bundles/gateway-{NEW}.ota")
        with open(served, "rb") as f:
            whole = f.read()
        with open(served, "r+b") as f:
            f.truncate(len(whole) // 2)
        self.workspace.publish_plan(self.workspace.plan(self.bundles[NEW], [("all", "100%")]))
        self.workspace.open_gate("all")
        wait_until(lambda: any(p.endswith(".ota") and s in (206, 416)
                               for _, p, s, _ in self.nginx.requests()), 20, "ranges were asked")
        self.settle()
        self.assert_runs(box, OLD)
        self.assertEqual(self.workspace.outcomes(box.name).count("ok"), 0)
        with open(served, "wb") as f:
            f.write(whole)
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)

    def test_a_bundle_signed_by_a_stranger_is_released_by_nobody(self):
        self.workspace.new_key("stranger")
        bundle = self.workspace.pack("7.0.0", self.images[NEW], sign=False)
        self.workspace.sluice("sign", bundle, "--key", self.workspace.key("stranger"))
        for key in ("stranger", "rollouts", "gates", "snapshot"):
            done = self.workspace.sluice("release", bundle, "--key", self.workspace.key(key),
                                         check=None)
            self.assertEqual(done.returncode, 1, key)
        done = self.workspace.sluice("verify", bundle, "--metadata",
                                     self.workspace.path("site", "metadata"), check=None)
        self.assertEqual(done.returncode, 1)
        box = self.box(start=False)
        done = box.agent("install", bundle, check=None)
        self.assertEqual(done.returncode, 1)
        self.assert_runs(box, OLD)

    def test_metadata_of_another_fleet_is_not_believed(self):
        stranger = Workspace(os.path.join(self.folder, "stranger"), free_port()).init().ceremony()
        bundle = stranger.pack(NEW, self.images[NEW])
        stranger.roll_out(bundle, [("all", "100%")])
        box = self.box()
        self.settle(1)
        theirs, ours = stranger.path("site"), self.workspace.path("site")
        run(["cp", "-a", f"{theirs}/targets/.", f"{ours}/targets/"])
        for name in os.listdir(f"{theirs}/metadata"):
            if not re.match(r"1\.root", name):
                run(["cp", "-a", f"{theirs}/metadata/{name}", f"{ours}/metadata/{name}"])
        self.settle()
        self.assert_runs(box, OLD)
        done = box.agent("check", check=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "sign|threshold|older|version")

    def test_a_revoked_box_gets_nothing_where_certificates_are_demanded(self):
        self.nginx.demand_certificates()
        box = self.box(start=False)
        other = self.box("gw-000002", start=False)
        self.roll_out()
        self.workspace.revoke_box(box.name)
        self.nginx.reload()
        box.start()
        other.start()
        self.wait_for_outcome(other, "ok")
        self.settle(2)
        self.assert_runs(box, OLD)
        self.assertEqual(self.workspace.reports(box.name), [])
        self.assertNotEqual(box.agent("check", check=None).returncode, 0)
        served = [s for _, p, s, _ in self.nginx.requests(box.name)]
        self.assertTrue(served)
        self.assertTrue(all(s == 400 for s in served), served)

    def test_a_box_reports_under_its_own_name_only(self):
        box = self.box(start=False)
        self.box("gw-000002", start=False)
        curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert",
                box.path("ca.crt"), "--cert", box.path("box.crt"), "--key", box.path("box.key"),
                "-X", "PUT", "--data-binary", "{}"]
        url = self.workspace.url + "reports/"
        self.assertEqual(run([*curl, url + "gw-000002/1.json"]).stdout, "403")
        self.assertEqual(run([*curl, url + "gw-000001/1.json"]).stdout, "201")
        bare = run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert",
                    box.path("ca.crt"), "-X", "PUT", "--data-binary", "{}",
                    url + "gw-000001/2.json"]).stdout
        self.assertEqual(bare, "403")


class Freshness(FleetCase):
    def test_metadata_that_the_disk_has_lost_is_fetched_anew_and_the_fleet_is_told(self):
        box = self.box()
        snapshot = box.path("state", "metadata", "snapshot.json")
        wait_until(lambda: os.path.exists(snapshot), 20, "it has polled")
        box.stop()
        # As nearly as a sector that cannot be read can be had.
        os.unlink(snapshot)
        os.mkfifo(snapshot)
        self.roll_out()
        box.start()
        self.wait_for_outcome(box, "ok")
        self.assertTrue(os.path.isfile(snapshot))
        told = [r for r in self.workspace.reports(box.name)
                if "lost on the disk" in r["detail"] and r["class"] != "none"]
        self.assertEqual(len(told), 1)
        self.assertIn("snapshot.json", told[0]["detail"])
        self.assertEqual(told[0]["rollout"], "")

    def test_an_expired_timestamp_holds_and_a_newer_one_lets_go(self):
        box = self.box(start=False)
        self.workspace.clock_s = -25 * 3600  # a timestamp lives for a day
        self.roll_out()
        self.workspace.clock_s = 0
        box.start()
        self.settle()
        self.assert_runs(box, OLD)
        done = box.agent("check", check=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("expired", done.stderr)
        self.workspace.publish()
        self.wait_for_outcome(box, "ok")
        self.assert_runs(box, NEW)


if __name__ == "__main__":
    unittest.main()
