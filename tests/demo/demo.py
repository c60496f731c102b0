#!/usr/bin/python3
"""`make demo`: a workspace, a fleet of eight boxes, an update in two waves, an attack, a stop.

Everything is real but the boxes' hardware: Debian packages make the root file systems, nginx serves
them with mutual TLS, and each box is an agent with A/B slots of its own, rebooted by a program that
plays bootloader and power button. What is printed is read from the boxes while it happens; the
demonstration fails when a step was not seen to happen.
"""
import argparse
import concurrent.futures
import os
import random
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from fleet import Box, Nginx, Programs, Workspace, free_port, run, wait_until  # noqa: E402
from fleet import rootfs  # noqa: E402
from fleet.screen import Screen  # noqa: E402

BOXES = [f"gw-{n:06}" for n in range(1, 9)]
CANARIES = BOXES[:2]
SITES = ("lyon", "paris")
WAVES = ("canary", "everyone")  # of manifests/rollouts/demo.yaml
OLD, NEW, BAD, STOPPED = "2.3.0", "2.4.0", "2.5.0", "2.6.0"
SLOW = "limit_rate 300k;"
APP_BYTES = 6 << 20
MIB = 1 << 20


class NotSeen(Exception):
    """A step that should have happened was not seen to."""


def describe(box):
    """One line about a box, from what its agent says."""
    status = box.status()
    pending, side = status["pending"], status["boot"]["current"]
    running, state = status["running"][side], "confirmed"
    if status["stops"] and not (pending and pending["target"] == side):
        state = "stopped"
    elif pending and pending["release"]:
        version = pending["release"]["version"]
        if pending["phase"] == "installing":
            state = f"installing {version}"
        elif pending["target"] == side:
            running, state = pending["release"], "on trial"
        else:
            state = f"{version} installed"
    return {"box": box.name, "side": side, "runs": running["version"] if running else "-",
            "state": state, "says": status["last_result"], "status": status}


class Demo:
    def __init__(self, build, keep):
        self.programs = Programs(build)
        self.keep = keep
        self.root = os.path.join(os.path.dirname(os.path.abspath(build)), "demo")
        self.screen = Screen()
        self.boxes, self.nginx, self.workspace = [], None, None
        self.figures = []

    # What people do, in the order in which they do it.

    def play(self):
        self.make_root_file_systems()
        self.make_workspace()
        self.make_boxes()
        self.update_in_two_waves()
        self.flip_a_byte()
        self.stop_while_downloading()

    def make_root_file_systems(self):
        self.screen.step("Two root file systems are made of Debian packages")
        folder = os.path.join(os.path.dirname(self.root), "rootfs")
        os.makedirs(folder, exist_ok=True)
        self.images = dict(zip((OLD, NEW), rootfs.make(folder)))
        for version, image in self.images.items():
            self.screen.say(f"{version}: ext4, {os.path.getsize(image) // MIB} MiB"
                            + (f", with {rootfs.ADDED}" if version == NEW else ""))

    def make_workspace(self):
        self.screen.step("A workspace: keys, roles, a certificate authority, a web server")
        shutil.rmtree(self.root, ignore_errors=True)
        os.makedirs(self.root)
        self.workspace = Workspace(os.path.join(self.root, "fleet"), free_port(), self.programs)
        self.workspace.init().ceremony()
        self.nginx = Nginx(self.workspace).start()
        self.workspace.set(reload=" ".join(self.nginx.argv("-s", "reload")))
        self.screen.say(f"nginx serves {self.workspace.url} with mutual TLS")
        self.bundles = {OLD: self.pack(OLD, self.images[OLD])}
        self.workspace.release(self.bundles[OLD])

    def manifest(self, name, to, **words):
        """Fills in one of manifests/ for this workspace; returns its path."""
        with open(os.path.join(ROOT, "manifests", name), encoding="utf-8") as f:
            text = f.read()
        for word, value in words.items():
            text = text.replace(word, value)
        return self.workspace.write(to, text)

    def pack(self, version, image):
        started = time.monotonic()
        recipe = self.manifest("bundles/demo.yaml", f"bundles/gateway-{version}.yaml",
                               VERSION=version, IMAGE=image)
        bundle = self.workspace.pack_recipe(
            recipe, self.workspace.path(f"gateway-{version}.ota"))
        self.workspace.sluice("verify", bundle, "--metadata",
                              self.workspace.path("site", "metadata"))
        self.screen.say(f"{os.path.basename(bundle)}: {os.path.getsize(image) // MIB} MiB packed, "
                        f"signed and verified as {os.path.getsize(bundle) / MIB:.1f} MiB "
                        f"in {time.monotonic() - started:.1f} s")
        return bundle

    def publish_plan(self, version):
        self.workspace.publish_plan(
            self.manifest("rollouts/demo.yaml", "rollouts/stable.yaml", VERSION=version))

    def open_both_waves(self):
        for wave in WAVES:
            self.workspace.open_gate(wave)

    def make_boxes(self):
        self.screen.step(f"Eight boxes, with {OLD} on them")
        started = time.monotonic()
        blank = os.path.join(self.root, "blank.img")
        with open(blank, "wb") as f:
            f.truncate(os.path.getsize(self.images[OLD]))
        self.boxes = [Box(self.workspace, name, blank, tags={"site": SITES[i % 2]})
                      for i, name in enumerate(BOXES)]
        with concurrent.futures.ThreadPoolExecutor(4) as factory:
            list(factory.map(lambda box: box.factory_install(self.bundles[OLD]), self.boxes))
        for box in self.boxes:
            box.start()
        self.watch("all boxes run and have asked for updates", self.all_run(OLD), 60)
        self.figures.append(f"{len(self.boxes)} boxes installed {OLD} from a file in "
                            f"{time.monotonic() - started:.1f} s")

    def update_in_two_waves(self):
        self.screen.step(f"{NEW} is packed, released, and rolled out in two waves")
        self.bundles[NEW] = self.pack(NEW, self.images[NEW])
        self.workspace.release(self.bundles[NEW])
        self.publish_plan(NEW)
        self.workspace.open_gate("canary")
        self.screen.say(f"the gate is open for the canaries: {', '.join(CANARIES)}")
        started = time.monotonic()
        self.watch(f"the canaries run {NEW}", lambda rows: all(
            self.runs(row, NEW) for row in rows if row["box"] in CANARIES), 90)
        if any(self.runs(row, NEW) for row in self.rows() if row["box"] not in CANARIES):
            raise NotSeen("a box updated before its wave was open")
        self.workspace.open_gate("everyone")
        self.screen.say("the gate is open for everyone")
        self.watch(f"all boxes run {NEW}", self.all_run(NEW), 120)
        took = time.monotonic() - started
        self.check_slots(NEW)
        self.wait_for_reports(NEW, "ok")
        fetched = [box.fetched(NEW) for box in self.boxes]
        full = os.path.getsize(self.bundles[NEW])
        self.figures.append(
            f"{len(self.boxes)} boxes went to {NEW} in {took:.1f} s, canaries first; each fetched "
            f"{min(fetched) / MIB:.1f} to {max(fetched) / MIB:.1f} MiB of a "
            f"{full / MIB:.1f} MiB bundle")

    def flip_a_byte(self):
        self.screen.step("An attack: one byte of a bundle is flipped on the server")
        bundle, noise = self.next_version(BAD)
        self.workspace.release(bundle)
        served = self.workspace.target_file(f"bundles/{os.path.basename(bundle)}")
        with open(served, "r+b") as f:
            place = f.read().index(noise[APP_BYTES // 2:][:4096])
            f.seek(place)
            byte = f.read(1)
            f.seek(place)
            f.write(bytes([byte[0] ^ 1]))
        self.screen.say(f"byte {place} of {os.path.basename(served)} is {byte[0] ^ 1}, was "
                        f"{byte[0]}; the gate is open for everyone")
        self.publish_plan(BAD)
        self.open_both_waves()
        self.watch("all boxes have refused it", lambda rows: all(
            self.outcome(row["box"], BAD) == "failed" for row in rows), 120)
        self.check_running(NEW)
        reasons = {self.report(name, BAD)["class"] for name in BOXES}
        if reasons != {"untrusted"}:
            raise NotSeen(f"refused, but as {', '.join(sorted(reasons))}")
        self.figures.append(f"{len(self.boxes)} boxes refused {BAD} as untrusted and still run "
                            f"{NEW}")

    def stop_while_downloading(self):
        self.screen.step("A stop, while boxes are downloading")
        bundle, _ = self.next_version(STOPPED)
        self.nginx.set(SLOW)
        self.nginx.reload()
        self.workspace.release(bundle)
        self.publish_plan(STOPPED)
        self.open_both_waves()
        self.watch("all boxes are downloading", lambda rows: all(
            row["state"] == f"installing {STOPPED}" for row in rows), 60)
        stopped = time.monotonic()
        stop_id = self.workspace.stop("stable", reason="the demonstration says so")
        self.screen.say(f"stop {stop_id} is published")
        self.watch("all boxes have stopped", lambda rows: all(
            self.outcome(row["box"], STOPPED) == "stopped" and
            [s["id"] for s in row["status"]["stops"]] == [stop_id] for row in rows), 60)
        took = time.monotonic() - stopped
        self.check_running(NEW)
        self.figures.append(f"{len(self.boxes)} boxes stopped within {took:.1f} s of the stop, "
                            f"none of them with {STOPPED} on a side that can boot")

    # What is looked at.

    def rows(self):
        return [describe(box) for box in self.boxes]

    def watch(self, what, condition, timeout_s):
        """Shows the fleet until condition(rows) holds."""
        started = time.monotonic()
        while True:
            rows = self.rows()
            self.screen.table(rows)
            if condition(rows):
                break
            if time.monotonic() - started > timeout_s:
                raise NotSeen(f"not within {timeout_s} s: {what}")
            time.sleep(0.3)
        self.screen.end_table()
        self.screen.seen(f"{what} ({time.monotonic() - started:.1f} s)")

    @staticmethod
    def runs(row, version):
        return row["runs"] == version and row["state"] in ("confirmed", "stopped")

    def all_run(self, version):
        return lambda rows: all(self.runs(row, version) for row in rows)

    def check_slots(self, version):
        """Not what the boxes say: what is in the slot that they boot."""
        wrong = [box.name for box in self.boxes if not box.runs(self.images[version])]
        if wrong:
            raise NotSeen(f"the slots of {', '.join(wrong)} do not hold {version}")
        self.screen.seen(f"all slots that boot hold {version}, bit for bit")

    def check_running(self, version):
        """All boxes boot `version` now and next, and nothing else can boot but what was good."""
        self.check_slots(version)
        for box in self.boxes:
            env = box.env()
            other = "b" if env["booted"] == "A" else "a"
            if env[f"{other}_bootable"] != "no":
                raise NotSeen(f"the other side of {box.name} can boot")
        self.screen.seen("the sides that were being written cannot boot")

    def report(self, name, version):
        """The box's last word on a version, as it reached the server."""
        found = [r for r in self.workspace.reports(name)
                 if r["outcome"] != "none" and f"-{version}.ota" in r["bundle"]]
        return found[-1] if found else None

    def outcome(self, name, version):
        report = self.report(name, version)
        return report["outcome"] if report else None

    def wait_for_reports(self, version, outcome):
        wait_until(lambda: all(self.outcome(name, version) == outcome for name in BOXES), 30,
                   f"all boxes have reported {outcome}")
        self.screen.seen(f"all boxes have reported: {version} {outcome}")

    def next_version(self, version):
        """Version 2.4.0 with an application in it that does not compress: something to fetch.
        Returns the bundle and the application."""
        noise = random.Random(version).randbytes(APP_BYTES)
        app, image = (os.path.join(self.root, f"{version}.{kind}") for kind in ("app", "ext4"))
        with open(app, "wb") as f:
            f.write(noise)
        shutil.copyfile(self.images[NEW], image)
        run(["debugfs", "-w", "-R", f"write {app} app", image])
        return self.pack(version, image), noise

    # The end.

    def summary(self):
        self.screen.step("Summary, of what was seen")
        for figure in self.figures:
            self.screen.say(figure)

    def leave_running(self):
        box = self.boxes[0]
        pids = [str(self.nginx.process.pid), *(str(b.process.pid) for b in self.boxes)]
        path = os.path.join(self.root, "stop-demo")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\nkill {' '.join(pids)}\n")
        os.chmod(path, 0o755)
        self.screen.step("It goes on running. Look around:")
        self.screen.say(f"{self.programs.agent} -c {box.path('agent.conf')} status")
        self.screen.say(f"{self.programs.agent} -c {box.path('agent.conf')} boot show")
        self.screen.say(f"tail -f {box.path('agent.log')}")
        self.screen.say(f"cd {self.workspace.dir} && {self.programs.sluice} gate show stable")
        self.screen.say(f"ls {self.workspace.path('spool')}   # reports as they came in")
        self.screen.say(f"{path}   # ends it")

    def close(self):
        for box in self.boxes:
            box.stop()
        if self.nginx:
            self.nginx.stop()

    def explain(self):
        """What there is to look at when something went wrong."""
        for box in self.boxes:
            lines = box.log().splitlines()[-5:]
            print(f"--- {box.name}", *lines, sep="\n", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, help="build/VARIANT")
    parser.add_argument("--keep", action="store_true", help="leave it running at the end")
    args = parser.parse_args()
    demo = Demo(args.build, args.keep)
    started = time.monotonic()
    kept = False
    try:
        demo.play()
        demo.figures.append(f"all of it took {time.monotonic() - started:.0f} s")
        demo.summary()
        if args.keep:
            demo.leave_running()
            kept = True
        return 0
    except (NotSeen, TimeoutError, OSError, ValueError, KeyError, rootfs.RootfsFailed,
            subprocess.SubprocessError, RuntimeError) as problem:
        demo.screen.end_table()
        demo.explain()
        print(f"demo: {problem}", file=sys.stderr)
        return 1
    finally:
        if not kept:
            demo.close()


if __name__ == "__main__":
    sys.exit(main())
