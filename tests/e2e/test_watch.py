"""What `sluice watch` does by itself, and what it leaves to people."""
import contextlib
import fcntl
import hashlib
import json
import os
import sqlite3
import time
import unittest

from fleet import make_image, wait_until
from watching import OTHERS, WATCH, Watch, Watched


class Judging(Watched):
    def test_a_wave_that_has_passed_is_followed_by_the_next(self):
        self.succeed(1, 2, 3, 4)
        said = self.watch()
        self.assertIn("stable: opens wave early: 4 of 4 boxes decided are well", said)
        self.assertEqual(self.opened(), ["canary", "early"])
        version = self.version()
        # The next wave is judged by its own boxes.
        self.watch()
        self.assertEqual((self.opened(), self.version()), (["canary", "early"], version))
        self.succeed(5, 6, 7, 8)
        self.watch()
        self.assertEqual(self.opened(), ["canary", "early", "everyone"])
        self.assertEqual(os.listdir(self.ws.path("spool")), ["aside"])

    def test_the_first_wave_is_opened_by_people_alone(self):
        self.ws.publish_plan(self.ws.plan("gateway-2.0.0.ota", (("all", 100),), rollout="again"))
        said = self.watch()
        self.assertNotIn("opens", said)
        self.assertEqual(self.opened(), ["canary"])  # of the plan before: it is shut
        self.assertEqual(self.gate()["plan"]["version"], 1)
        # Nor where the gate speaks of the plan already.
        for verb in ("pause", "unpause"):
            self.ws.sluice("gate", verb, "stable", "--key", self.ws.key("gates"))
        self.ws.publish_plan(self.ws.plan("gateway-2.0.0.ota", (("all", 100),), name="new"))
        for verb in ("pause", "unpause"):
            self.ws.sluice("gate", verb, "new", "--key", self.ws.key("gates"))
        self.assertIn("new: wait: no wave is open", self.watch())
        self.assertEqual(self.ws.target("gates/new.json")["open"], [])

    def test_a_stop_does_not_wait_for_the_rest_of_a_full_spool(self):
        count = 16384 + 20  # INGEST_BATCH_MAX, and some
        for n in range(count):
            if n == count // 2:
                self.go_wrong(1, 2, 3, 4)
            os.close(os.open(self.ws.path("spool", f"nobody@{n + 1}.json"),
                             os.O_CREAT | os.O_WRONLY, 0o600))
        said = self.watch()
        self.assertEqual(said.count("were set aside"), 2)
        self.assertLess(said.index("STOPS"), said.rindex("were set aside"))
        self.assertEqual(len(self.stops()), 1)
        self.assertEqual(os.listdir(self.ws.path("spool")), ["aside"])

    def test_a_wave_that_is_not_decided_waits(self):
        self.succeed(1, 2, 3)
        self.assertIn("stable: wait: 3 of 4 boxes are decided, and 4 are needed", self.watch())
        self.assertEqual(self.opened(), ["canary"])

    def test_waves_without_a_box_show_nothing(self):
        waves = (("canary", ["gw-O1"]), ("everyone", 100))
        self.ws.publish_plan(self.ws.plan("gateway-2.0.0.ota", waves, rollout="misspelt"))
        self.ws.open_gate("canary")
        self.assertIn("no box at all has shown that it works", self.watch())
        self.assertEqual(self.opened(), ["canary"])

    def test_time_in_which_nobody_can_be_heard_is_no_soak(self):
        self.ws.set(watch=WATCH % ", soak_min: 2s")
        self.succeed(1, 2, 3, 4)
        self.assertIn("stable: soak", self.watch())
        self.ws.set(report_url="https://127.0.0.1:9/")
        time.sleep(2.5)
        self.watch(check=1)
        self.assertEqual(self.opened(), ["canary"])
        self.ws.set(report_url=f"https://127.0.0.1:{self.ws.port}/")
        self.watch()
        self.assertEqual(self.opened(), ["canary"])
        time.sleep(2.5)
        self.watch()
        self.assertEqual(self.opened(), ["canary", "early"])

    def test_nothing_opens_while_nobody_can_be_heard(self):
        self.succeed(1, 2, 3)
        self.watch()
        self.ws.set(report_url="https://127.0.0.1:9/")
        self.succeed(4)
        self.ws.set(watch="{every: 1s}")
        self.watch()  # takes the report, and holds no key
        self.ws.set(watch=WATCH % "")
        self.watch(check=1)
        self.assertEqual(self.opened(), ["canary"])
        self.ws.set(report_url=f"https://127.0.0.1:{self.ws.port}/")
        self.watch()
        self.assertEqual(self.opened(), ["canary", "early"])

    def test_boxes_that_only_claim_success_open_nothing(self):
        for number in (1, 2, 3, 4):
            self.box(number).start().say("confirmed", "ok")  # in the same boot, from the old system
        self.watch()
        self.assertEqual(self.opened(), ["canary"])

    def test_boxes_that_fail_stop_the_plan_once_with_reason_and_numbers(self):
        self.succeed(1)
        self.go_wrong(2, 3)
        self.assertNotIn("STOPS", self.watch())
        self.assertEqual(self.stops(), [])
        self.go_wrong(4, outcome="reverted")
        self.assertIn("stable: STOPS: 3 of 4 boxes decided in wave canary went wrong", self.watch())
        stop, = self.stops()
        self.assertIn("(2 failed, 1 reverted, 0 overdue)", stop["reason"])
        self.watch()
        self.assertEqual(self.stops(), [stop])

    def test_a_plan_that_somebody_stopped_is_stopped_by_nobody_else(self):
        stop = self.ws.stop("stable")
        self.go_wrong(1, 2, 3)
        self.assertIn(f"stable: stop: stopped by {stop}", self.watch())
        self.assertEqual([s["id"] for s in self.stops()], [stop])

    def test_a_resume_accepts_what_failed_before_and_nothing_after(self):
        self.go_wrong(1, 2, 3)
        self.watch()
        first, = self.stops()
        self.ws.resume(first["id"])
        self.succeed(4)
        self.watch()
        self.assertEqual(self.stops(), [first])
        self.assertEqual(self.opened(), ["canary"])  # what failed still counts against going on
        self.ws.open_gate("early")
        self.go_wrong(5, 6, 7)
        self.watch()
        self.assertEqual(len(self.stops()), 2)

    def test_a_paused_plan_is_stopped_and_goes_no_further(self):
        for paused in ("stable", "all"):
            with self.subTest(paused=paused):
                self.setUp()
                self.ws.sluice("gate", "pause", paused, "--key", self.ws.key("gates"))
                self.succeed(1, 2, 3, 4)
                self.assertIn("is paused", self.watch())
                self.assertEqual(self.opened(), ["canary"])
                self.ws.sluice("gate", "unpause", paused, "--key", self.ws.key("gates"))
                self.watch()
                self.assertEqual(self.opened(), ["canary", "early"])

    def test_nothing_opens_while_every_box_is_stopped(self):
        stop = self.ws.stop()
        self.succeed(1, 2, 3, 4)
        self.assertIn("every box is stopped", self.watch())
        self.assertEqual(self.opened(), ["canary"])
        self.ws.resume(stop)
        self.watch()
        self.assertEqual(self.opened(), ["canary", "early"])

    def test_no_plan_gets_further_than_the_host_allows(self):
        self.succeed(1, 2, 3, 4)
        self.ws.set(watch=WATCH % ", first_wave_max: 3")
        self.assertIn("this host opens nothing behind one of over 3", self.watch())
        self.assertEqual(self.opened(), ["canary"])
        self.ws.set(watch=WATCH % ", soak_min: 5m")
        self.assertIn("stable: soak: 4 of 4 boxes decided are well", self.watch())
        self.at(150, 290)
        self.assertEqual(self.opened(), ["canary"])
        self.at(330)
        self.assertEqual(self.opened(), ["canary", "early"])

    def at(self, *clocks):
        """Looks of a watch that listens all the while."""
        for self.ws.clock_s in clocks:
            self.watch()

    def test_time_in_which_no_watch_ran_is_no_soak(self):
        self.ws.set(watch=WATCH % ", soak_min: 5m")
        self.succeed(1, 2, 3, 4)
        self.at(0, 150, 290)
        # It comes back, and boxes that could not complain meanwhile have their say first.
        day = 86400
        self.at(day, day + 150, day + 290)
        self.assertEqual(self.opened(), ["canary"])
        self.at(day + 330)
        self.assertEqual(self.opened(), ["canary", "early"])

    def test_without_a_gates_key_it_says_what_it_would_do(self):
        self.ws.set(watch="{every: 1s}")
        self.succeed(1, 2, 3, 4)
        self.assertIn("would open the wave behind, but has no gates key", self.watch())
        self.go_wrong(5, 6, 7)
        self.ws.open_gate("early")
        self.assertIn("WOULD STOP, but has no gates key", self.watch())
        self.assertEqual((self.opened(), self.stops()), (["canary", "early"], []))

    def test_a_plan_that_is_withdrawn_is_followed_no_more(self):
        self.watch()
        self.ws.withdraw_plan("--no-publish")
        self.assertIn("published rollouts", self.watch())
        self.assertIn(("rollouts/stable.json", 1),
                      self.rows("SELECT path, ended_s > 0 FROM rollout"))


class ReleasedAnew(Watched):
    """Another bundle has the name of the one that boxes are at."""

    def setUp(self):
        super().setUp()
        for number in range(1, 5):
            self.box(number).start()
        self.watch()

    def release_anew(self):
        image = make_image(os.path.join(self.ws.dir, "image"), "anew", size=1 << 18)
        self.ws.release(self.ws.pack("2.0.0", image))

    def test_what_boxes_have_begun_still_stops_it(self):
        self.release_anew()
        for number in range(1, 5):
            self.box(number).say("idle", "failed", **{"class": "refused"})
        said = self.watch(check=1)
        self.assertIn("stable cannot be followed", said)
        self.assertIn("stable: STOPS", said)
        self.assertEqual(len(self.stops()), 1)
        self.ws.resume(self.stops()[0]["id"], "stable")
        self.assertNotIn("STOPS", self.watch(check=1))

    def test_nothing_of_it_opens(self):
        self.succeed(1, 2, 3, 4)
        self.release_anew()
        self.assertNotIn("opens", self.watch(check=1))
        self.assertEqual(self.opened(), ["canary"])


class Failing(Watched):
    """What goes wrong with one plan, and with another."""

    def setUp(self):
        super().setUp()
        waves = (("canary", ["gw-01"]), ("everyone", 100))
        for name in ("first", "second"):
            self.ws.publish_plan(self.ws.plan("gateway-2.0.0.ota", waves, name=name, rollout=name))
            self.ws.open_gate("canary", plan=name)

    def test_a_plan_that_cannot_be_judged_is_told_though_another_is_signed_meanwhile(self):
        self.ws.set(watch="{every: 1s}")
        self.succeed(1, 2, 3, 4)
        self.watch()
        with contextlib.closing(sqlite3.connect(self.ws.path("fleet.db"))) as db:
            db.execute("UPDATE rollout SET manifest = '' WHERE path = 'rollouts/first.json'")
            db.commit()
        device = self.ws.device("gates", "gate", "pause", "second", "--no-publish", "--key",
                                self.ws.key("gates"))
        self.ws.set(watch=f"{{gates: keys/gates.pub, every: 1s, sign_with: {device}}}")
        # At the first look: in the second, if it comes to that, nobody signs beside it.
        said, _, _ = self.watch(check=1).partition("opens wave early")
        self.assertIn("judging first", said)

    def test_a_plan_that_could_not_be_read_is_tried_again_whatever_another_has(self):
        path = self.ws.target_file("rollouts/first.json")
        os.rename(path, path + ".away")
        os.symlink(path, path)
        refused = self.ws.target_file("rollouts/second.json")
        with open(refused, "w", encoding="ascii") as f:
            f.write("{}")
        with Watch(self.ws) as watch:
            watch.wait_for("cannot be followed")
            os.unlink(path)
            os.rename(path + ".away", path)
            watch.wait_for("first: wave canary is open")


class Damaged(Watched):
    """A role of its own speaks for one plan, and what it has signed is lost here."""

    def setUp(self):
        super().setUp()
        self.ws.sluice("role", "add", "lyon", "--member", self.ws.path("keys", "rollouts.pub"),
                       "--threshold", 1, "--paths", "rollouts/lyon.json", "--before", "rollouts",
                       "--key", self.ws.key("targets"))
        self.ws.publish_plan(self.ws.plan("gateway-2.0.0.ota", (("canary", OTHERS),
                                                                ("everyone", 100)),
                                          name="lyon", rollout="lyon"))
        self.ws.open_gate("canary", plan="lyon")
        self.damaged = self.ws.path("site/metadata/1.lyon.json")
        self.read = self.ws.target
        digest = self.ws.metadata("lyon")["signed"]["targets"]["rollouts/lyon.json"]["hashes"]
        with open(self.ws.path(f"site/targets/rollouts/{digest['sha256']}.lyon.json"),
                  encoding="utf-8") as f:
            plan = json.load(f)
        self.ws.target = lambda path: plan if path == "rollouts/lyon.json" else self.read(path)
        for name in OTHERS:
            self.boxes[name].plan = "lyon"

    def followed(self):
        return self.rows("SELECT path FROM rollout WHERE ended_s = 0 ORDER BY path")

    def has_seen_the_stop(self):
        return self.read("gates/lyon.json")["stops"] and self.rows(
            "SELECT version FROM told_role WHERE role = 'gates'") == [(self.version(),)]

    def test_it_costs_its_own_plan_alone_and_is_told(self):
        both = [("rollouts/lyon.json",), ("rollouts/stable.json",)]
        self.watch()
        os.rename(self.damaged, self.damaged + ".away")
        self.go_wrong(1, 2, 3)
        said = self.watch(check=1)
        self.assertIn("problem: the role lyon: ", said)
        self.assertIn("stable: STOPS", said)
        # Nobody can say that it is withdrawn.
        self.assertEqual(self.followed(), both)
        said = self.ws.sluice("status").stdout
        self.assertIn("problem: the role lyon: ", said)
        self.assertIn("stable: gateway-2.0.0", said)
        os.rename(self.damaged + ".away", self.damaged)
        self.go_wrong(5, 6, 7)
        self.assertIn("lyon: STOPS", self.watch())
        self.assertNotIn("problem", self.ws.sluice("status").stdout)

    def test_it_hides_no_other_gate_and_keeps_no_stop(self):
        stops = {name: self.ws.stop(name, reason="smoke") for name in ("lyon", "stable")}
        os.rename(self.damaged, self.damaged + ".away")
        shown = self.ws.sluice("gate", "show", check=1)
        self.assertIn("the role lyon: ", shown.stderr)
        # Behind it, and what is known of its own.
        for says in ("all: the gate of every box\n",
                     f"lyon: what it speaks of cannot be read here\n  STOPPED {stops['lyon']}",
                     "stable: gateway-2.0.0, version 1", f"STOPPED {stops['stable']}"):
            self.assertIn(says, shown.stdout)
        self.assertIn(f"STOPPED {stops['lyon']}", self.ws.sluice("gate", "show", "lyon",
                                                                 check=1).stdout)
        said = self.ws.resume("0" * 32, check=1).stderr
        self.assertIn("no gate that can be read here has stop", said)
        self.ws.resume(stops["stable"])
        self.assertIn(f"stopped, and resumed, {stops['stable']}",
                      self.ws.sluice("gate", "show", "stable").stdout)

    def test_who_has_seen_it_before_still_stops_it(self):
        with Watch(self.ws) as watch:
            watch.wait_for("lyon: wait:")
            os.rename(self.damaged, self.damaged + ".away")
            with open(self.damaged, "w", encoding="ascii") as f:
                f.write("{}")
            self.go_wrong(1, 2, 3)
            watch.wait_for("stable: STOPS")
            watch.wait_for("lyon cannot be followed: the role lyon")
            self.go_wrong(5, 6, 7)
            watch.wait_for("lyon: STOPS")
            wait_until(self.has_seen_the_stop, 30, "it has seen that published")
            time.sleep(0.5)
            # Whoever mends it publishes nothing.
            os.rename(self.damaged + ".away", self.damaged)
            watch.wait_for("lyon: stop: stopped by")


class Publishing(Watched):
    def test_what_waits_in_incoming_is_published(self):
        self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--no-publish", "--key",
                       self.ws.key("gates"))
        self.assertEqual(self.stops(), [])
        self.assertIn("published gates", self.watch())
        self.assertEqual([s["reason"] for s in self.stops()], ["smoke"])

    def test_a_wave_that_waits_for_a_second_signature_is_not_open(self):
        self.ws.sluice("gate", "open", "stable", "early", "--key", self.ws.key("gates"),
                       "--no-publish")
        os.rename(self.ws.key("timestamp"), self.ws.path("elsewhere"))
        self.assertNotIn("wave early is open", self.watch())
        os.rename(self.ws.path("elsewhere"), self.ws.key("timestamp"))
        self.assertIn("wave early is open", self.watch())

    def test_nothing_new_signs_nothing(self):
        self.watch()
        before = self.version("timestamp"), self.version("snapshot"), self.version()
        self.watch()
        self.assertEqual((self.version("timestamp"), self.version("snapshot"), self.version()),
                         before)

    def test_what_is_refused_is_told_once_and_holds_up_nothing(self):
        signed = self.ws.metadata("releases")["signed"]
        signed["version"] += 5
        self.ws.sign_by_hand("releases", signed)
        before = self.version("timestamp")
        with Watch(self.ws) as watch:
            watch.wait_for("releases.json was not published")
            time.sleep(4)
            self.assertEqual(self.version("timestamp"), before)
            self.assertEqual(watch.said().count("was not published"), 1)
            self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--no-publish",
                           "--key", self.ws.key("gates"))
            watch.wait_for("published gates")

    def test_the_timestamp_is_signed_hourly(self):
        before = self.version("timestamp")
        self.ws.clock_s = 3000
        self.watch()
        self.assertEqual(self.version("timestamp"), before)
        self.ws.clock_s = 3700
        self.watch()
        self.assertEqual(self.version("timestamp"), before + 1)

    def test_gates_and_crl_are_renewed_in_the_second_half_of_their_lives(self):
        with open(self.ws.path("tls", "crl.pem"), encoding="ascii") as f:
            crl = f.read()
        before = self.version()
        self.ws.clock_s = 4 * 86400
        said = self.watch("--json")
        self.assertIn("signed gates again, for longer", said)
        self.assertIn("renewed the CRL", said)
        self.assertEqual(self.version(), before + 1)
        with open(self.ws.path("tls", "crl.pem"), encoding="ascii") as f:
            self.assertNotEqual(f.read(), crl)

    def test_sessions_that_could_not_be_ended_are_ended_later(self):
        conf = self.ws.path("nginx", "sessions.conf")
        with open(conf, encoding="utf-8") as f:
            before = f.read()
        os.rename(self.ws.path("nginx"), self.ws.path("elsewhere"))
        self.ws.sluice("box", "revoke", "gw-08", check=1)
        self.assertIn("TLS sessions of before it go on", self.watch(check=1))
        os.rename(self.ws.path("elsewhere"), self.ws.path("nginx"))
        self.assertIn("ends the TLS sessions of before the last", self.watch())
        with open(conf, encoding="utf-8") as f:
            self.assertNotEqual(f.read(), before)
        self.assertNotIn("TLS sessions", self.watch())

    def test_a_reload_that_failed_is_tried_until_it_succeeds(self):
        self.ws.set(reload="cp tls/crl.pem there/seen")
        self.ws.sluice("box", "revoke", "gw-08", check=1)
        self.assertRegex(self.ws.sluice("status").stdout, r"(?m)^CRL \d+ is not read by the web ")
        with Watch(self.ws) as watch:
            watch.wait_for("the web server believes revoked boxes")
            os.mkdir(self.ws.path("there"))
            watch.wait_for("the web server has read the last CRL")
        with open(self.ws.path("there/seen"), "rb") as a, open(self.ws.path("tls/crl.pem"),
                                                              "rb") as b:
            self.assertEqual(a.read(), b.read())
        self.assertNotIn("is not read", self.ws.sluice("status").stdout)
        self.assertNotIn("has read", self.watch())

    def test_a_role_that_cannot_be_loaded_holds_up_no_renewal_of_gates(self):
        before = self.version()
        lost = f"{self.version('releases')}.releases.json"
        os.unlink(self.ws.path("site/metadata", lost))
        self.ws.clock_s = 4 * 86400
        said = self.watch(check=1)
        self.assertIn("signed gates again, for longer", said)
        self.assertIn(lost, said)
        self.assertEqual(self.version(), before + 1)

    def test_what_needs_a_key_that_is_not_here_is_told(self):
        os.rename(self.ws.key("timestamp"), self.ws.path("elsewhere"))
        self.ws.clock_s = 7200
        self.succeed(1, 2, 3, 4)
        said = self.watch(check=1)
        self.assertIn("the keys of snapshot and timestamp are not here", said)
        self.assertEqual(self.opened(), ["canary"])
        # What it signed waits for whoever has them.
        os.rename(self.ws.path("elsewhere"), self.ws.key("timestamp"))
        self.ws.publish()
        self.assertEqual(self.opened(), ["canary", "early"])

    def test_what_expires_and_is_not_renewed_here_is_told(self):
        self.ws.clock_s = 85 * 86400
        self.assertIn("rollouts at", self.watch(check=1))

    def test_a_stop_goes_out_though_a_publication_fails(self):
        self.ws.set(push=self.ws.path("push"))
        with open(self.ws.path("push"), "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\n[ "$1" = timestamp ] || exit 0\n'
                    f"echo x >> {self.ws.path('pushes')}\n"
                    f"[ $(wc -l < {self.ws.path('pushes')}) -gt 2 ] && touch served\n")
        os.chmod(f.name, 0o755)
        with Watch(self.ws) as watch:
            self.go_wrong(1, 2, 3)
            watch.wait_for("problem: ")
            watch.wait_for("stable: stop: stopped by")
            wait_until(lambda: os.path.exists(self.ws.path("served")), 30, "it is pushed")
            self.assertEqual(len(self.stops()), 1)
            self.assertEqual(watch.said().count("STOPS"), 1)

    def push_by(self, script):
        with open(self.ws.path("push"), "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\ncat > names\n" + script)
        os.chmod(f.name, 0o755)
        self.ws.set(push=f.name)

    def test_a_stop_that_was_not_pushed_is_pushed_by_the_next_watch(self):
        self.push_by('[ "$1" = immutable ] || exit 1')
        self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--key",
                       self.ws.key("gates"), check=1)
        self.assertEqual(len(self.stops()), 1)
        self.push_by("touch pushed-$1")
        self.watch()
        self.assertTrue(os.path.exists(self.ws.path("pushed-timestamp")))
        os.unlink(self.ws.path("pushed-timestamp"))
        self.watch()
        self.assertFalse(os.path.exists(self.ws.path("pushed-timestamp")))

    def test_a_timestamp_that_was_not_pushed_is_pushed_again(self):
        self.push_by('[ "$1" = immutable ] || [ -e up ] || exit 1\ntouch pushed-$1')
        self.ws.clock_s = 3700
        with Watch(self.ws) as watch:
            watch.wait_for("where it is served the old one stays")
            with open(self.ws.path("up"), "w", encoding="ascii"):
                pass
            wait_until(lambda: os.path.exists(self.ws.path("pushed-timestamp")), 20, "it is pushed")

    def test_what_comes_while_it_publishes_is_published_next(self):
        self.push_by("touch begun\nwhile [ -e slow ]; do sleep 0.05; done")
        with open(self.ws.path("slow"), "w", encoding="ascii"):
            pass
        with Watch(self.ws, "--every", "60s") as watch:
            watch.wait_for("wait:")
            signed = self.ws.metadata("releases")["signed"]
            signed["version"] += 1
            self.ws.sign_by_hand("releases", signed)
            wait_until(lambda: os.path.exists(self.ws.path("begun")), 20, "it is being pushed")
            self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--no-publish",
                           "--key", self.ws.key("gates"))
            os.unlink(self.ws.path("slow"))
            watch.wait_for("published releases")
            watch.wait_for("published gates")

    def test_incoming_that_cannot_be_read_is_told(self):
        os.rename(self.ws.path("incoming"), self.ws.path("elsewhere"))
        with open(self.ws.path("incoming"), "w", encoding="ascii"):
            pass
        self.assertIn("incoming", self.watch(check=1))

    def test_a_gate_of_every_box_that_makes_no_sense_holds_up_no_timestamp_and_no_stop(self):
        content = b"{}"
        signed = self.ws.metadata("gates")["signed"]
        signed["targets"]["gates/all.json"] = {
            "length": len(content), "hashes": {"sha256": hashlib.sha256(content).hexdigest()}}
        signed["version"] += 1
        with open(self.ws.path("incoming", "targets", "gates", "all.json"), "wb") as f:
            f.write(content)
        self.ws.sign_by_hand("gates", signed)
        self.ws.publish()
        before = self.version("timestamp")
        self.ws.clock_s = 3700
        self.watch()
        self.assertEqual(self.version("timestamp"), before + 1)
        self.go_wrong(1, 2, 3)
        self.assertIn("stable: STOPS", self.watch(check=None))

    def test_somebody_who_publishes_at_the_same_moment_is_no_problem(self):
        self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--no-publish",
                       "--key", self.ws.key("gates"))
        with open(self.ws.path("publisher.lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with Watch(self.ws) as watch:
                watch.wait_for("wait:")
                # It has tried by now.
                time.sleep(1.5)
                fcntl.flock(lock, fcntl.LOCK_UN)
                watch.wait_for("published gates", 5)
                self.assertNotIn("problem", watch.said())

    def test_a_publisher_that_does_not_end_is_told(self):
        self.ws.sluice("stop", "stable", "--reason", "smoke", "--yes", "--no-publish",
                       "--key", self.ws.key("gates"))
        with open(self.ws.path("publisher.lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertEqual(self.watch(check=1).count("problem: another sluice publisher"), 1)

    def test_two_watches_of_one_workspace_are_refused(self):
        with Watch(self.ws) as watch:
            watch.wait_for("wait:")
            self.assertIn("another sluice watch", self.ws.sluice("watch", "--once",
                                                                 check=1).stderr)
            self.assertEqual(watch.end(), 0)
        self.watch()

    def test_a_key_that_it_is_to_hold_and_does_not_is_an_error(self):
        self.ws.set(watch="{gates: keys/nobody.key}")
        self.assertIn("nobody.key", self.ws.sluice("watch", "--once", check=1).stderr)
        self.ws.set(watch="{gates: keys/rollouts.key}")
        self.succeed(1, 2, 3, 4)
        self.assertIn("is not one of the role gates", self.watch(check=1))
        self.assertEqual(self.opened(), ["canary"])


if __name__ == "__main__":
    unittest.main()
