"""A crowd: many real boxes under a real watch, and what is done to them.

Each box is two agent processes with slots of their own behind nginx with mutual TLS. Which boxes
have what is wrong with them is chosen by digests of their names, so it is the same in every run.
"""
import collections
import concurrent.futures
import hashlib
import json
import os
import time

from fleet.box import Box, digest_of_file, make_image
from fleet.nginx import Nginx, free_port
from fleet.process import run, wait_until
from fleet.publisher import Publisher
from fleet.workspace import Workspace

OLD, GOOD, FAILS, BRICKS = "1.0.0", "2.0.0", "3.0.0", "4.0.0"
SHARE = 0.3
PATIENCE_S = 600  # of silence, where it is not silence that is looked for
WATCH = "{gates: keys/gates.key, every: 1s}"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# Seconds: between polls (at most), from a new system's boot until it is sure of itself or goes
# back, that a new system takes to be well, and that a download takes at least.
Pace = collections.namedtuple("Pace", "poll deadline warm fetch")
Forecast = collections.namedtuple("Forecast", "stopped runs median most")
Stopped = collections.namedtuple("Stopped", "seconds waves touched wrong forecast reason")


def seconds_of(pid):
    """Of processor time that a process took."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


class Crowd:
    """`count` boxes that run 1.0.0, switched off."""

    def __init__(self, folder, count, size, pace, programs=None):
        self.folder, self.size, self.pace = folder, size, pace
        self.names = [f"gw-{n:06}" for n in range(1, count + 1)]
        self.workspace = Workspace(os.path.join(folder, "fleet"), free_port(), programs)
        self.workspace.init().ceremony().set(watch=WATCH)
        self.nginx, self.publisher = Nginx(self.workspace), Publisher(self.workspace)
        self.images = {OLD: self.image(OLD)}
        self.bundles, self.digests = {}, {}
        self.weak, self.frail = self.chosen("disk"), self.chosen("watchdog")
        with concurrent.futures.ThreadPoolExecutor(2) as factory:
            self.boxes = list(factory.map(self.make_box, self.names))
        for version in (GOOD, FAILS, BRICKS):
            self.images[version] = self.image(version)
            self.bundles[version] = self.workspace.pack(version, self.images[version])
        for version, image in self.images.items():
            self.digests[digest_of_file(image)] = version
        rate = int(os.path.getsize(self.bundles[GOOD]) / pace.fetch)
        self.nginx.set(f"limit_rate {rate};")

    def image(self, version):
        return make_image(os.path.join(self.folder, version + ".img"), version, self.size)

    def chosen(self, why):
        """The share of boxes that have something wrong with them."""
        order = sorted(self.names, key=lambda name: hashlib.sha256(
            f"{why}/{name}".encode()).digest())
        return set(order[:round(SHARE * len(order))])

    def make_box(self, name):
        box, pace = Box(self.workspace, name, self.images[OLD]), self.pace
        box.set({"intervals": {"poll": f"{pace.poll}s", "stop_poll": f"{pace.poll}s",
                               "retry_max": f"{pace.poll}s", "stall": "20s"},
                 "health": {"deadline": f"{pace.deadline}s", "prompt": f"{pace.deadline}s"}})
        if name in self.weak:
            box.script("health.d/10-disk", f"{box.running_version()}[ $version != {FAILS} ] || "
                       "{ echo no driver for this disk; exit 1; }\n")
        box.script("health.d/20-app", f"sleep {pace.warm}\n")
        if name in self.frail:
            box.hang_in(BRICKS)
        return box

    def start(self):
        self.nginx.start()
        self.publisher.start()
        for box in self.boxes:
            box.start()
        return self

    def stop(self):
        for box in self.boxes:
            if box.process:
                box.process.terminate()
        for box in self.boxes:
            box.stop()
        if self.publisher.process:
            self.publisher.end()
        self.nginx.stop()

    # What is done to it.

    def settings(self, waves, overdue, unit):
        """Two boxes of the first wave may fail: that is not enough for a stop, and it is stops
        that are looked for here, not waves that are held. All of a wave are waited for, for those
        that fail are known last."""
        pace, first = self.pace, len(waves[0][1])
        return {"deadline": f"{pace.deadline}{unit}",
                "advance": f"{{success: {100 * max(first - 2, 1) // first}%, "
                           f"sample: {len(self.names)}}}",
                "stop": f"{{failures: 5%, at_least: 3, overdue_after: {overdue}{unit}}}",
                "stop_poll": "1m"}

    def roll_out(self, version, waves, overdue=PATIENCE_S):
        """The first wave is opened as a person does it; the rest is the watch's."""
        self.workspace.roll_out(self.bundles[version], waves, open_waves=[waves[0][0]],
                                **self.settings(waves, overdue, "s"))

    def forecast(self, version, waves, overdue, *rates):
        """What the simulator expects of this plan, these boxes, this rate and this spread. It
        plays installs of minutes, so a second here is a minute there."""
        plan = self.workspace.plan(self.bundles[version], waves, name="forecast",
                                   **self.settings(waves, overdue, "m"))
        got = json.loads(run([self.workspace.programs.sluice, "simulate", plan, "--boxes",
                              str(len(self.names)), "--over", "0s", "--poll",
                              f"{self.pace.poll}m", "--seeds", "200", "--json", *rates]).stdout)
        return Forecast(got["stopped"], got["runs"], got["started"]["median"],
                        got["started"]["max"])

    def stop_comes(self, version, waves, timeout_s, overdue, *rates):
        """Rolls out what the watch has to stop. Returns once the boxes that still can are at rest:
        how long it took, and how many had started."""
        before, began = set(self.workspace.stop_ids()), time.monotonic()
        self.roll_out(version, waves, overdue)
        wait_until(lambda: set(self.workspace.stop_ids()) - before, timeout_s,
                   lambda: f"the watch stops {version}:\n{self.publisher.said()[-2000:]}", 0.2)
        took = time.monotonic() - began
        frail = self.frail if version == BRICKS else ()
        wait_until(lambda: all(self.rests(box) for box in self.boxes if box.name not in frail),
                   3 * self.pace.poll + 2 * self.pace.deadline + 30, "all are at rest", 0.2)
        gate = self.workspace.target("gates/stable.json")
        wrong = self.weak if version == FAILS else self.frail
        touched = self.touched(version)
        return Stopped(took, gate["open"], len(touched), len(touched & wrong),
                       self.forecast(version, waves, overdue, *rates), gate["stops"][-1]["reason"])

    def wait_until_heard(self, timeout_s):
        """Until each box has reported."""
        def heard():
            boxes = json.loads(self.workspace.sluice("status", "--json").stdout)["boxes"]
            return boxes["count"] == len(self.boxes) and boxes["never"] == 0

        wait_until(heard, timeout_s, "all boxes are heard", 0.5)

    def resume(self):
        """What was stopped is to be followed by something else."""
        for stop in self.workspace.stop_ids():
            self.workspace.resume(stop)

    def pull_the_plug(self):
        """Somebody goes to the boxes that hang and cuts their power, until they come back; returns
        how many hung."""
        hung = [box for box in self.boxes if box.name in self.touched(BRICKS) & self.frail]
        for boots in range(1, int(hung[0].conf["boot"]["tries"]) + 1 if hung else 0):
            want = {box.name: len(box.boots()) + 1 for box in hung}
            for box in hung:
                box.cut_power()
            def late():
                return [box for box in hung if len(box.boots()) < want[box.name]]
            wait_until(lambda: not late(), 120, lambda: f"boxes boot once more, {boots}\n" +
                       "\n".join(f"{box.name}:\n{box.log()[-1500:]}" for box in late()), 0.2)
        wait_until(lambda: all(self.rests(box) for box in hung), 90, "they are at rest", 0.2)
        return len(hung)

    # What is looked at.

    @staticmethod
    def rests(box):
        """Whether nothing is under way, and it has said so."""
        state = box.state()
        return not state or (state["pending"]["phase"] == "none" and state["ended"] is None)

    def stage(self, box, version):
        """Where a box is on its way to a version: DESIGN's five, and on its way back."""
        phase = box.phase_kept()
        if not phase:
            return "confirmed" if self.version_of(box) == version else "not started"
        if phase == "installing":
            return "downloading or writing"
        if phase == "reverting":
            return "going back"
        here = self.version_of(box) == version
        return "booted, unconfirmed" if here else "installed, not rebooted"

    @staticmethod
    def version_of(box):
        """What the booted slot begins with."""
        with open(box.slot(box.booted()), "rb") as f:
            return f.read(64).partition(b"\n")[0].decode().removeprefix("VERSION=")

    def stages(self, version):
        return collections.Counter(self.stage(box, version) for box in self.boxes)

    def touched(self, version):
        """Names of boxes that have begun to install it, as their own logs say."""
        return {box.name for box in self.boxes if f"updating: gateway {version} " in box.log()}

    def condemned(self):
        """Names of boxes that hold a release to have failed there."""
        return {box.name for box in self.boxes if not all(
            failed["inconclusive"] for failed in box.state()["failed"])}

    def inconclusive(self):
        return {box.name for box in self.boxes if box.state()["failed"]}

    def counts(self):
        """All waves of the plan that is published, as the watch counts: {what: boxes}."""
        rollout = json.loads(self.workspace.sluice("status", "--json").stdout)["rollouts"][0]
        sums = collections.Counter()
        for wave in rollout["waves"]:
            sums.update({k: v for k, v in wave.items() if isinstance(v, int) and k != "open"})
        return sums

    def unbootable(self):
        """{name: what is wrong} of boxes whose boot environment does not lead to a slot that is
        confirmed, bootable and, bit for bit, one of the versions."""
        found = {}
        for box in self.boxes:
            boot = json.loads(box.agent("boot", "show", "--json").stdout)
            side = boot["sides"][boot["primary"]]
            digest = digest_of_file(box.slot(boot["primary"]), self.size)
            if not (side["bootable"] and side["confirmed"] and digest in self.digests):
                found[box.name] = f"{boot}, {self.digests.get(digest, 'nothing whole')}"
        return found

    def agent_seconds(self):
        """(processes, seconds of processor time) of all agents that run."""
        pids = [pid for box in self.boxes for pid in box.agent_pids()]
        return len(pids), sum(map(seconds_of, pids))


def outage(crowd, waves, timeout_s):
    """Rolls out a good release, and ends the server for longer than a confirm deadline, while boxes
    are on trial, downloading, and done. Where this machine keeps up, others have not started yet,
    or wait for their reboot. Returns (stages when it went, seconds it was away, stages when it came
    back, seconds until all boxes run the release)."""
    few = max(1, len(crowd.boxes) // 40)

    def on_trial():
        if len(crowd.workspace.target("gates/stable.json")["open"]) < len(waves):
            return None
        stages = crowd.stages(GOOD)
        return stages if stages["booted, unconfirmed"] >= few and stages["confirmed"] and \
            stages["downloading or writing"] else None

    crowd.roll_out(GOOD, waves)
    before = wait_until(on_trial, timeout_s, lambda: f"boxes are on trial: "
                        f"{crowd.stages(GOOD)}\n{crowd.publisher.said()[-2000:]}")
    crowd.nginx.stop()
    went = time.monotonic()
    time.sleep(crowd.pace.deadline + 3)
    after = crowd.stages(GOOD)
    crowd.nginx.start()
    back = time.monotonic()
    wait_until(lambda: crowd.stages(GOOD)["confirmed"] == len(crowd.boxes), timeout_s,
               lambda: f"all confirm: {crowd.stages(GOOD)}\n{crowd.publisher.said()[-2000:]}", 0.2)
    done = time.monotonic()
    crowd.publisher.wait_for("stable: finished", 60)
    return before, back - went, after, done - back
