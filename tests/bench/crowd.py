"""200 real boxes under a real watch: an outage, a release that fails, and one that bricks.

Each box is two agent processes with a certificate of its own and slots of 16 MiB on disk (32 MiB a
box), all on this machine, so times are of a fleet in which everybody does everything at once on a
few processors: intervals are seconds where they are minutes in earnest. BOXES says how many.
"""
import os
import shutil
import time

from figure import Figure
from fleet.crowd import BRICKS, FAILS, Crowd, Pace, outage
from fleet.halls import STATES

BOXES = min(int(os.environ.get("BOXES", 200)), 500)  # more than that, and it measures swapping
SIZE = 16 << 20
PACE = Pace(poll=15, deadline=20, warm=3, fetch=3)
OVERDUE_S = 45
CANARY, EARLY = max(BOXES // 20, 6), max(BOXES // 4, 12)
TIMEOUT_S = 240
IDLE_S = 20


def load():
    """Of the processors, so far: (busy seconds, seconds)."""
    with open("/proc/stat", encoding="ascii") as f:
        ticks = [int(n) for n in f.readline().split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


class Clock:
    """How long something took, and how busy this machine was meanwhile."""

    def __init__(self):
        self.began, self.load = time.monotonic(), load()

    def __str__(self):
        busy, whole = (now - then for now, then in zip(load(), self.load))
        took = time.monotonic() - self.began
        return (f"{took:.0f} s, processors {100 * busy / whole:.0f}% busy, "
                f"load {os.getloadavg()[0]:.1f}")


def waves(names):
    return [("canary", names[:CANARY]), ("early", names[CANARY:EARLY]), ("everyone", 100)]


def idle(crowd):
    """What the agents take while they only poll."""
    count, before = crowd.agent_seconds()
    began, polls = time.monotonic(), len(crowd.nginx.requests())
    time.sleep(IDLE_S)
    took = time.monotonic() - began
    after = crowd.agent_seconds()[1]
    polls = max(len(crowd.nginx.requests()) - polls, 1)
    return Figure("agents that only poll", f"{count} processes, {polls / took:.0f} requests/s, "
                  f"{100 * (after - before) / took:.1f}% of a processor, "
                  f"{1000 * (after - before) / polls:.1f} ms a request")


def say_stages(stages):
    return ", ".join(f"{stages[s]} {s}" for s in (*STATES.values(), "going back")
                     if stages[s])


def through_outage(crowd):
    clock = Clock()
    before, away_s, after, back_s = outage(crowd, waves(crowd.names), TIMEOUT_S)
    counts = crowd.counts()
    bad = counts["failed"] + counts["reverted"] + counts["overdue"] + len(crowd.condemned())
    return [
        Figure("outage: when the server went", say_stages(before)),
        Figure(f"outage: {away_s:.0f} s later", f"{say_stages(after)}; deadline {PACE.deadline} s"),
        Figure("outage: condemned or counted bad", str(bad), "none", bad == 0),
        Figure("outage: went back, inconclusive", str(len(crowd.inconclusive()))),
        Figure("outage: run the release", f"{counts['ok']} of {BOXES}, the last {back_s:.0f} s "
               "after the server was back", "all", counts["ok"] == BOXES),
        Figure("outage: all of it", str(clock))]


def stopped(crowd, name, version, rate):
    clock = Clock()
    got = crowd.stop_comes(version, waves(crowd.names), TIMEOUT_S, OVERDUE_S, rate, "30%")
    hung = crowd.pull_the_plug() if version == BRICKS else 0
    wrong = crowd.unbootable()
    forecast = got.forecast
    figures = [
        Figure(f"{name}: stopped", f"after {got.seconds:.0f} s, in wave {got.waves[-1]}",
               "canary or early", got.waves[-1] != "everyone"),
        Figure(f"{name}: touched", f"{got.touched} boxes, {got.wrong} of them to fail; simulated: "
               f"median {forecast.median}, at most {forecast.most}, stopped {forecast.stopped} of "
               f"{forecast.runs} times"),
        Figure(f"{name}: the reason", got.reason)]
    if hung:
        figures.append(Figure(f"{name}: came back", f"{hung} boxes that hung, once their power was "
                              f"cut {crowd.boxes[0].conf['boot']['tries']} times"))
    return [*figures,
            Figure(f"{name}: unbootable, or not whole", f"{len(wrong)} of {BOXES} {wrong or ''}",
                   "none", not wrong),
            Figure(f"{name}: all of it", str(clock))]


def roll_out(folder):
    clock = Clock()
    crowd = Crowd(folder, BOXES, SIZE, PACE)
    yield Figure("boxes", f"{BOXES}, of 2 x {SIZE >> 20} MiB; made in {clock}")
    try:
        clock = Clock()
        crowd.start()
        crowd.wait_until_heard(TIMEOUT_S)
        yield Figure("all started and heard", str(clock))
        yield idle(crowd)
        yield from through_outage(crowd)
        yield from stopped(crowd, "fails", FAILS, "--failing")
        crowd.resume()
        yield from stopped(crowd, "bricks", BRICKS, "--bricking")
        yield Figure("refused for haste (429)", str(sum(
            status == 429 for _, _, status, _ in crowd.nginx.requests())))
    finally:
        crowd.stop()


def run(build, folder):
    os.environ["SLUICE_BUILD"] = build
    folder = os.path.join(folder, "crowd")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    yield from roll_out(folder)
    shutil.rmtree(folder)
