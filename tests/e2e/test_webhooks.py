"""Webhooks: what the watch sees reaches an HTTPS server, signed, at least once, and holds nothing
up."""
import fcntl
import json
import os
import random
import socket
import subprocess
import time
import unittest

from fleet import wait_until
from fleet.receiver import Receiver, is_signed
from watching import WATCH, Watch, Watched

SECRET = "5f" * 32


class Webhooks(Watched):
    def setUp(self):
        super().setUp()
        self.receiver = Receiver(self.ws)
        self.addCleanup(self.receiver.stop)
        self.secret(SECRET)

    def secret(self, text, name="hook.secret"):
        path = self.ws.path("keys", name)
        with open(path, "w", encoding="ascii") as f:
            f.write(text + "\n")
        os.chmod(path, 0o600)

    def hook(self, path="/", **more):
        """A webhook of workspace.yaml."""
        settings = {"url": f'"{self.receiver.url}{path}"', "secret_file": "keys/hook.secret",
                    "ca_file": "tls/ca.crt", **more}
        return "{" + ", ".join(f"{k}: {v}" for k, v in settings.items() if v) + "}"

    def use(self, *hooks):
        self.ws.set(webhooks="[" + ", ".join(hooks or [self.hook()]) + "]")

    def webhook(self, *args, **kwargs):
        return self.ws.sluice("webhook", *args, **kwargs)

    def kinds(self, **kwargs):
        return [event["event"] for event in self.receiver.events(**kwargs)]

    def dead(self):
        """Ids of the dead letters."""
        lines = self.webhook("list").stdout.split("\n")
        return [line.split()[2] for line in lines if line.startswith("  ")]

    # What is told.

    def test_a_rollout_is_told_from_its_first_wave_to_its_stop(self):
        self.use()
        self.watch()
        opened, = self.receiver.events()
        self.assertEqual([opened[k] for k in ("event", "plan", "rollout", "version", "wave",
                                              "boxes", "site")],
                         ["wave_opened", "stable", "gateway-2.0.0", 1, "canary", 4, self.ws.url])
        self.succeed(1, 2, 3, 4)
        self.watch()
        self.assertEqual(sorted(self.kinds()[1:]), ["published", "wave_opened"])
        roles, = [event["roles"] for event in self.receiver.events("published")]
        self.assertEqual(roles, [{"role": "gates", "version": self.version(),
                                  "before": self.version() - 1}])
        self.go_wrong(5, 6, 7)
        self.watch()
        stop, = self.stops()
        stopped, = self.receiver.events("stopped")
        self.assertEqual((stopped["stop"], stopped["scope"], stopped["reason"], stopped["lifted"]),
                         (stop["id"], "stable", stop["reason"], False))
        self.assertEqual({k: n for k, n in stopped["counts"].items() if n},
                         {"boxes": 8, "started": 7, "ok": 4, "failed": 3})
        # Each once, whoever looks again; and a stop of every box by a person, too.
        before = len(self.receiver.posts)
        self.watch()
        self.assertEqual(len(self.receiver.posts), before)
        everything = self.ws.stop(reason="smoke everywhere")
        self.watch()
        said = [e for e in self.receiver.events("stopped") if e["stop"] == everything]
        self.assertEqual([(e["scope"], e["reason"]) for e in said], [("all", "smoke everywhere")])

    def test_each_is_signed_with_its_time_and_nothing_secret_is_on_a_command_line(self):
        self.use(self.hook("/?token=s3cret"))
        self.watch()
        post, = self.receiver.posts
        self.assertEqual(post.path, "/?token=s3cret")
        self.assertEqual(post.headers["Content-Type"], "application/json")
        self.assertEqual(post.headers["Sluice-Event"], "wave_opened")
        self.assertEqual(post.headers["Sluice-Id"], post.event["id"])
        sent = int(post.headers["Sluice-Timestamp"])
        self.assertLess(abs(time.time() - sent), 30)
        self.assertTrue(is_signed(post, SECRET.encode()))
        self.assertFalse(is_signed(post, b"5e" * 32))
        # Replayed with a fresh time, or changed, it is not.
        self.assertFalse(is_signed(post, SECRET.encode(), timestamp=str(sent + 600)))
        self.assertFalse(is_signed(post._replace(body=post.body + b" "), SECRET.encode()))

    def test_held_each_time_that_it_is_and_finished_once(self):
        self.use(self.hook(events="[held, finished]"))
        self.succeed(1, 2, 3, 4)
        for verb in ("pause", "unpause"):
            self.ws.sluice("gate", verb, "stable", "--key", self.ws.key("gates"))
            self.watch()
        self.assertEqual(self.opened(), ["canary", "early"])
        self.succeed(5, 6, 7, 8)
        self.ws.sluice("gate", "pause", "stable", "--key", self.ws.key("gates"))
        self.watch()
        self.ws.clock_s = 60
        self.watch()
        held = self.receiver.events("held")
        self.assertEqual([(e["wave"], e["counts"]["ok"]) for e in held],
                         [("canary", 4), ("early", 8)])
        self.assertIn("paused", held[0]["reason"])
        self.ws.sluice("gate", "unpause", "stable", "--key", self.ws.key("gates"))
        for _ in range(3):
            self.watch()
        self.assertEqual(self.kinds(), ["held", "held", "finished"])
        self.assertEqual(len(self.receiver.posts), 3)

    def test_a_box_is_offline_once_and_nobody_is_while_the_watch_is_deaf(self):
        self.ws.set(watch=WATCH % ", offline_after: 2h")
        self.use(self.hook(events="[box_offline]"))
        self.box(1).hold()
        self.box(2).hold()
        for minutes in (0, 50, 100):
            self.ws.clock_s = 60 * minutes
            self.watch()
        # Five hours in which nobody looked may have been ours.
        self.ws.clock_s = 60 * 400
        self.watch()
        self.assertEqual(self.receiver.posts, [])
        self.ws.clock_s = 60 * 425
        self.watch()
        self.watch()
        events = self.receiver.events()
        self.assertEqual(sorted(e["box"] for e in events), ["gw-01", "gw-02"])
        self.assertEqual([(e["report"], e["version"]) for e in events], [(1, "1.0.0")] * 2)
        self.ws.clock_s = 60 * 470
        self.watch()
        self.assertEqual(len(self.receiver.posts), 2)

    def test_a_box_whose_audit_fails_is_told_once(self):
        self.use(self.hook(events="[audit_failed]"))
        self.box(1).say("idle", authentic="yes")
        self.box(2).say("idle", authentic="unknown")
        self.watch()
        self.assertEqual(self.receiver.posts, [])
        self.box(1).say("idle", authentic="no")
        self.box(1).say("idle", authentic="no")
        self.assertIn("what is installed is not what was signed", self.watch())
        event, = self.receiver.events("audit_failed")
        self.assertEqual((event["box"], event["report"], event["version"]), ("gw-01", 2, "1.0.0"))
        self.box(1).say("idle", authentic="yes")
        self.box(1).say("idle", authentic="no")
        self.watch()
        self.assertEqual(len(self.receiver.posts), 1)

    # How it gets there.

    def test_what_fails_is_tried_again_when_the_receiver_says_and_signed_anew(self):
        self.use()
        self.receiver.answers["/"] = [(503, {"Retry-After": "1"}), (500, {}), (200, {})]
        with Watch(self.ws) as watch:
            wait_until(lambda: len(self.receiver.posts) == 3, 20, watch.said)
            watch.wait_for("tried again: HTTP status 503")
            # Killed before it is noted, it would be sent once more.
            wait_until(lambda: ": 1 delivered, 0 waiting, 0 dead" in self.webhook("list").stdout,
                       20, watch.said, 0.2)
        posts = self.receiver.posts
        self.assertEqual(len({post.body for post in posts}), 1)
        self.assertTrue(all(is_signed(post, SECRET.encode()) for post in posts))
        times = [int(post.headers["Sluice-Timestamp"]) for post in posts]
        self.assertGreaterEqual(times[1] - times[0], 1)
        self.assertGreater(times[2], times[1])

    def test_dead_letters_are_kept_listed_and_put_back(self):
        self.use(self.hook("/gone"), self.hook("/well"))
        self.receiver.answers["/gone"] = [(410, {}), (204, {})]
        self.assertIn("is a dead letter: HTTP status 410",
                      self.ws.sluice("watch", "--once").stderr)
        said = self.webhook("list").stdout
        self.assertIn(f"{self.receiver.url}/gone: 0 delivered, 0 waiting, 1 dead\n", said)
        self.assertIn(f"{self.receiver.url}/well: 1 delivered, 0 waiting, 0 dead\n", said)
        letter, = self.dead()
        self.assertEqual(letter, self.receiver.events()[0]["id"])
        self.assertIn("no dead letter", self.webhook("retry", "0" * 32, check=2).stderr)
        self.assertIn("1 dead letters", self.webhook("retry", letter).stdout)
        self.webhook("deliver")
        self.assertEqual(self.dead(), [])
        self.assertEqual([p.path for p in self.receiver.posts].count("/gone"), 2)
        self.assertEqual(len(self.receiver.events()), 1)
        # Three days of failures are the end, too; and no webhook at all.
        self.receiver.answers["/gone"] = [(500, {})]
        self.ws.stop()
        self.watch()
        self.assertEqual(self.dead(), [])
        self.ws.clock_s = 3 * 86400 + 60
        self.webhook("deliver")
        self.assertEqual(len(self.dead()), len(self.receiver.events(path="/gone")) - 1)
        before = len(self.dead())
        self.receiver.answers["/well"] = [(500, {})]
        self.ws.stop("stable")
        self.watch(check=None)
        self.use(self.hook("/gone"))
        self.webhook("deliver")
        self.assertGreater(len(self.dead()), before)
        self.assertIn("workspace.yaml has no such webhook", self.webhook("list").stdout)

    def test_a_secret_in_a_url_is_in_no_log_and_no_list(self):
        token = "T00000000/B11111111/abcdefghijklmnopqrstuvwx"
        self.use(self.hook(f"/services/{token}"))
        self.receiver.answers[f"/services/{token}"] = [(500, {}), (410, {})]
        label = f"{self.receiver.url}/service...uvwx"
        said = self.ws.sluice("watch", "--once", check=None)
        self.assertIn(f"webhook {label}: wave_opened", said.stdout + said.stderr)
        self.ws.clock_s = 60
        shown = [said, self.webhook("deliver"), self.webhook("list"),
                 self.webhook("test", check=1),
                 self.webhook("test", f"{self.receiver.url}/{token}", check=2)]
        os.chmod(self.ws.path("keys", "hook.secret"), 0o644)
        shown.append(self.webhook("test", check=1))
        self.assertIn(f"{label}: 0 delivered, 0 waiting, 1 dead", shown[2].stdout)
        self.assertIn(f"to {label}: ", shown[2].stdout)
        self.assertIn(f"{label}: HTTP status", shown[3].stdout)
        self.assertIn(f"the secret of {label}", shown[5].stdout)
        for each in shown:
            self.assertNotIn("B11111111", each.stdout + each.stderr)

    def test_who_delivers_by_hand_waits_for_who_is_at_it(self):
        """And finds nothing left to send, which is no failure."""
        self.use(self.hook(events="[stopped]"))
        self.watch()
        with open(self.ws.path("webhook.lock"), "w", encoding="ascii") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            by_hand = subprocess.Popen([self.ws.programs.sluice, "webhook", "deliver", "-w",
                                        self.ws.dir], stderr=subprocess.PIPE, text=True)
            self.addCleanup(by_hand.stderr.close)
            self.addCleanup(by_hand.kill)
            self.assertIn("another sluice webhook deliver, as the watch runs, is at work; "
                          "waiting for it", by_hand.stderr.readline())
        self.assertEqual(by_hand.wait(60), 0)

    def test_only_whom_its_ca_vouches_for_hears_and_nothing_is_redirected(self):
        self.use(self.hook("/moved"), self.hook("/strange", ca_file=None), self.hook("/well"))
        self.receiver.answers["/moved"] = [(307, {"Location": f"{self.receiver.url}/well"})]
        done = self.webhook("test", check=1)
        self.assertIn("/moved: HTTP status 307\n", done.stdout)
        self.assertRegex(done.stdout, r"/strange: .*certificate")
        self.assertIn("/well: HTTP status 204\n", done.stdout)
        self.assertIn("2 of 3 webhooks did not take it", done.stderr)
        self.assertEqual(sorted(p.path for p in self.receiver.posts), ["/moved", "/well"])
        self.assertTrue(all(is_signed(p, SECRET.encode()) for p in self.receiver.posts))
        self.webhook("test", f"{self.receiver.url}/well")
        self.webhook("test", "https://elsewhere.example.com/", check=2)

    def test_a_secret_that_others_can_read_is_refused_at_once(self):
        self.use()
        os.chmod(self.ws.path("keys", "hook.secret"), 0o640)
        self.assertIn("chmod 600", self.ws.sluice("watch", "--once", check=1).stderr)
        self.assertIn("chmod 600", self.webhook("test", check=1).stdout)
        self.secret("short")
        self.assertIn("32 to", self.ws.sluice("watch", "--once", check=1).stderr)
        self.assertEqual(self.receiver.posts, [])

    def test_one_that_never_answers_holds_up_no_stop_and_no_other(self):
        deaf = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(deaf.close)
        silent = f'"https://127.0.0.1:{deaf.getsockname()[1]}/"'
        self.use(self.hook("/hang"), self.hook(url=silent), self.hook("/well"))
        with Watch(self.ws) as watch:
            wait_until(lambda: len(self.receiver.posts) >= 2, 20, watch.said)
            begun = time.monotonic()
            self.go_wrong(1, 2, 3)
            wait_until(self.stops, 20, watch.said, every_s=0.02)
            # The two that hang have ten seconds each.
            self.assertLess(time.monotonic() - begun, 5)
            self.assertEqual(watch.end(), 0)
        self.assertEqual(self.kinds(path="/well")[0], "wave_opened")

    def test_killed_at_any_moment_it_loses_no_event_and_makes_no_second_one(self):
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        self.use()
        self.receiver.answers["/"] = [(status, {}) for status in (503, 204, 500, 204, 204)]
        deeds = [lambda: self.succeed(1, 2, 3, 4), lambda: None,
                 lambda: self.box(5).say("idle", authentic="no"), lambda: None,
                 lambda: self.go_wrong(5, 6, 7), lambda: None, lambda: self.ws.stop(), lambda: None]
        with self.subTest(seed=seed):
            for deed in deeds:
                deed()
                with Watch(self.ws):
                    time.sleep(rng.random() * 0.6)
            with Watch(self.ws) as watch:
                wait_until(lambda: " 0 waiting, 0 dead" in self.webhook("list").stdout
                           and len(self.receiver.events("stopped")) == 2, 20, watch.said, 0.2)
            told = {}
            for post in self.receiver.posts:
                self.assertTrue(is_signed(post, SECRET.encode()))
                self.assertEqual(told.setdefault(post.event["id"], post.body), post.body)
            events = [json.loads(body) for body in told.values()]
            self.assertEqual(sorted(e["wave"] for e in events if e["event"] == "wave_opened"),
                             ["canary", "early"])
            self.assertEqual(sorted(e["scope"] for e in events if e["event"] == "stopped"),
                             ["all", "stable"])
            self.assertEqual([e["box"] for e in events if e["event"] == "audit_failed"], ["gw-05"])
            # What was published is told without a gap, and no version twice.
            steps = sorted((r["before"], r["version"]) for e in events
                           if e["event"] == "published" for r in e["roles"] if r["role"] == "gates")
            self.assertEqual([before for before, _ in steps[1:]], [v for _, v in steps[:-1]])
            self.assertEqual(steps[-1][1], self.version())


if __name__ == "__main__":
    unittest.main()
