"""A watch that is killed, one that cannot hear, and one that real boxes report to."""
import glob
import json
import os
import random
import time
import unittest

from fleet.case import NEW, FleetCase
from fleet.process import wait_until
from watching import WATCH, Watch, Watched

KILLS = 12


class Killed(Watched):
    def gates(self):
        """(open waves, number of stops) of each published gates.json, one after the other."""
        found = []
        paths = glob.glob(self.ws.path("site", "metadata", "*.gates.json"))
        for path in sorted(paths, key=lambda p: int(os.path.basename(p).split(".")[0])):
            with open(path, encoding="utf-8") as f:
                entry = json.load(f)["signed"]["targets"]["gates/stable.json"]
            name = f"{entry['hashes']['sha256']}.stable.json"
            with open(self.ws.path("site", "targets", "gates", name), encoding="utf-8") as f:
                gate = json.load(f)
            found.append((gate["open"], len(gate["stops"])))
        return found

    def reported(self):
        return sum(box.seq for box in self.boxes.values())

    def kept(self):
        (count,), = self.rows("SELECT count(*) FROM report")
        return count

    def kill_often(self, rng):
        for _ in range(KILLS):
            for number in rng.sample(range(1, 9), 3):
                self.box(number).hold()
            with Watch(self.ws):
                time.sleep(rng.random() * 0.5)

    def test_killed_at_any_moment_it_loses_no_report_and_does_nothing_twice(self):
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        with self.subTest(seed=seed):
            self.succeed(1, 2, 3, 4)
            self.kill_often(rng)
            self.watch()
            self.assertEqual(self.kept(), self.reported())
            self.assertEqual(self.gates(), [(["canary"], 0), (["canary", "early"], 0)],
                             self.stops())
            self.go_wrong(5, 6, 7)
            self.kill_often(rng)
            self.watch()
            self.assertEqual(self.kept(), self.reported())
            self.assertEqual(self.gates()[2:], [(["canary", "early"], 1)])

    def kill_at(self, script):
        """A script that kills who runs it, the first time."""
        path = self.ws.path("killer")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\ncat > /dev/null\ntest -e {path}.done || {script}\nexit 0\n")
        os.chmod(path, 0o755)
        return path

    def test_killed_while_it_publishes_it_does_so_once(self):
        for word in ("immutable", "timestamp"):
            with self.subTest(word=word):
                self.setUp()
                self.ws.set(push=self.kill_at(f'[ "$1" != {word} ] || '
                                              '{ touch $0.done; kill -9 $PPID; }'))
                self.go_wrong(1, 2, 3)
                self.watch(check=-9)
                self.watch()
                self.watch()
                self.assertEqual(self.gates(), [(["canary"], 0), (["canary"], 1)])
                self.assertEqual(self.kept(), self.reported())

    def test_told_to_end_it_does_so_and_exits_well(self):
        with Watch(self.ws) as watch:
            watch.wait_for("wait:")
            self.assertEqual(watch.end(), 0)


class Silent(Watched):
    settings = {"stop": "{failures: 5%, at_least: 3, overdue_after: 3s}"}

    def test_boxes_that_start_and_fall_silent_stop_the_plan(self):
        with Watch(self.ws) as watch:
            for number in (1, 2, 3):
                self.box(number).start()
            watch.wait_for("STOPS")
            watch.wait_for("stopped by")
        self.assertIn("3 overdue", self.stops()[0]["reason"])

    def test_while_the_server_is_down_nobody_is_overdue(self):
        self.nginx.stop()
        self.addCleanup(lambda: self.nginx.process or self.nginx.start())
        for number in (1, 2, 3):
            self.box(number).start()
        with Watch(self.ws) as watch:
            watch.wait_for("does not answer")
            time.sleep(7)
            self.assertNotIn("silent", watch.said())
            self.assertEqual(watch.said().count("does not answer"), 1)
            self.nginx.start()
            self.succeed(1, 2, 3, 4)
            watch.wait_for("wave early is open")
        self.assertEqual(self.stops(), [])


class Real(FleetCase):
    def test_real_boxes_are_led_from_wave_to_wave(self):
        ws = self.workspace
        ws.set(watch=WATCH % "")
        boxes = [self.box(name) for name in ("gw-1", "gw-2", "gw-3")]
        ws.roll_out(self.bundles[NEW], (("canary", ["gw-1"]), ("everyone", 100)),
                    open_waves=["canary"], advance="{success: 98%, sample: 30, coverage: 60%}")
        with Watch(ws) as watch:
            watch.wait_for("stable: finished: ", 90)
            for box in boxes:
                wait_until(lambda b=box: b.runs(self.images[NEW]), 60, f"{box.name} runs {NEW}")
            self.assertEqual(watch.said().count("opens wave everyone"), 1)
            self.assertNotIn("problem", watch.said())
            self.assertEqual(watch.end(), 0)


if __name__ == "__main__":
    unittest.main()
