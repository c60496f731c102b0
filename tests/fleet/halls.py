"""Boxes that are held in each of the states that a stop may find them in, and what becomes of them:
when a stop goes out, and when the network keeps it from them until the timestamp expires."""
import calendar
import collections
import os
import shutil
import time

from fleet.box import Box, make_image
from fleet.nginx import Nginx, free_port
from fleet.process import wait_until
from fleet.workspace import Workspace

OLD, NEW = "1.0.0", "2.0.0"
# DESIGN section 6, and what may keep a box in its middle. Names of boxes begin with the letter.
STATES = {"n": "not started", "h": "waiting for its hours", "d": "downloading or writing",
          "s": "its download stalled", "r": "its download limited", "w": "writing",
          "i": "installed, not rebooted", "u": "booted, unconfirmed", "c": "confirmed"}
# What each is held in: the side that was booted, and the phase.
HELD = {"n": ("A", None), "h": ("A", None), "d": ("A", "installing"), "s": ("A", "installing"),
        "r": ("A", "installing"), "w": ("A", "installing"), "i": ("A", "activated"),
        "u": ("B", "activated"), "c": ("B", None)}
# Bytes a second of what is longer than metadata: 2.8 MB take 22 s, and a MB is written every 4. So
# these start when all others are in their state.
RATE, STALLED = 128 << 10, 1
LATE = "dr"
CHUNK_S = 1
SLOW = 'limit_rate_after 64k; ' \
    f'if ($sluice_box ~ "^[dw]") {{ set $limit_rate {RATE}; }} ' \
    f'if ($sluice_box ~ "^s") {{ set $limit_rate {STALLED}; }}'

# Seconds from the command's return to each box having stopped, and to the last write to each slot
# (nothing where there was none since).
Halted = collections.namedtuple("Halted", "state seconds writes")
# In seconds after the expiry: when boxes that were let go before it went on; how many were let go
# before and after it, and how many of the latter went on.
Withheld = collections.namedtuple("Withheld", "went_on before after late")


class Halls:
    """`each` boxes for each state, under one plan; switched off."""

    def __init__(self, folder, states, each, stop_poll_s, programs=None, size=8 << 20):
        self.each, self.stop_poll_s = each, stop_poll_s
        self.workspace = Workspace(os.path.join(folder, "fleet"), free_port(), programs)
        self.workspace.init().ceremony()
        self.nginx = Nginx(self.workspace)
        self.images = {v: make_image(os.path.join(folder, v), v, size, seed=v)
                       for v in (OLD, NEW)}  # with nothing in common
        self.bundle = self.workspace.pack(NEW, self.images[NEW])
        self.boxes = {s: [self.make_box(f"{s}-{n:02}") for n in range(each)] for s in states}
        self.released = {}

    def make_box(self, name):
        box, interval = Box(self.workspace, name, self.images[OLD]), f"{self.stop_poll_s}s"
        box.set({"intervals": {"poll": interval, "stop_poll": interval, "retry_max": interval},
                 "health": {"timeout": "300s", "deadline": "300s"}})
        if name[0] == "s":
            box.set({"intervals": {"stall": "300s"}})
        elif name[0] == "r":
            box.set({"downloads": {"rate": "16KiB"}})
        elif name[0] == "h":
            box.set({"downloads": {"hours": hours_away()}})
        return box

    def all(self):
        return [box for boxes in self.boxes.values() for box in boxes]

    def roll_out(self, open_waves):
        waves = [(wave, names) for wave, names in (
            ("now", [box.name for box in self.all() if box.name[0] != "n"]),
            ("later", [box.name for box in self.boxes.get("n", ())])) if names]
        self.workspace.roll_out(self.bundle, waves, open_waves=open_waves, stop_poll="5m",
                                deadline="300s")

    def stop(self):
        for box in self.all():
            if box.process:
                box.process.terminate()
        for box in self.all():
            box.stop()
        self.nginx.stop()

    @staticmethod
    def rests_on(box, side, phase):
        return box.phase_kept() == phase and box.booted() == side

    def wait_for(self, what, condition, timeout_s):
        wait_until(condition, timeout_s, lambda: f"{what}:\n" + "\n".join(
            f"--- {box.name} {box.env()}\n{box.log()[-600:]}" for box in self.all()), 0.2)


# A stop that boxes hear.

def hours_away():
    """Hours of the day that are not now."""
    return "-".join(time.strftime("%H:%M", time.localtime(time.time() + h * 3600)) for h in (6, 7))


def wait_held(halls, states):
    for state in states:
        side, phase = HELD[state]
        halls.wait_for(f"boxes are {STATES[state]}", lambda s=state, at=(side, phase): all(
            halls.rests_on(box, *at) for box in halls.boxes[s]), 120)


def held_back(halls):
    """Boxes that said that they do not start."""
    return {r["box"] for r in halls.workspace.reports() if r["state"] == "held"}


def hold(halls):
    """Until each box is in its state, and stays there."""
    for box in halls.boxes.get("i", ()):
        box.set({"boot": {"reboot": None}})
    for box in halls.boxes.get("u", ()):
        box.script("health.d/10-app", "echo not up yet\nexit 1\n")
    halls.nginx.set(SLOW)
    halls.nginx.start()
    halls.roll_out(["now"])
    for box in halls.all():
        if box.name[0] not in LATE:
            box.start()
    wait_held(halls, [s for s in halls.boxes if s not in LATE])
    halls.wait_for("boxes wait", lambda: held_back(halls) >= {
        box.name for box in halls.all() if box.name[0] in "nh"}, 60)
    start_late(halls, [s for s in halls.boxes if s in LATE])


def start_late(halls, states):
    """Starts those, until they are in their state and, but for limited ones, have written."""
    boxes = [box for s in states for box in halls.boxes[s]]
    before = {box.name: written_at(box) for box in boxes if box.name[0] != "r"}
    for box in boxes:
        box.start()
    wait_held(halls, states)
    halls.wait_for("boxes write", lambda: all(
        written_at(box) > before[box.name] for box in boxes if box.name in before), 120)


def taken_at(halls, stop_id, box):
    """When the first report came that says that a box has taken a stop: it stops before that."""
    found = [r["seq"] for r in halls.workspace.reports(box.name) if stop_id in r.get("stops", [])]
    path = halls.workspace.path("spool", f"{box.name}@{min(found, default=0)}.json")
    return os.stat(path).st_mtime if found else None


def written_at(box):
    """When the slot that is installed into was last written to."""
    return os.stat(box.slot("B")).st_mtime


def write(halls):
    """Until each box has written something, and has most of it before it."""
    halls.nginx.set(SLOW)
    halls.nginx.start()
    halls.roll_out(["now"])
    start_late(halls, "w")


def halt(halls):
    """A stop, and all boxes stopped: [Halted]. The fleet was held before."""
    stop_id = halls.workspace.stop("stable", reason="smoke")
    began = time.time()
    taken = {}

    def all_taken():
        for box in halls.all():
            if box.name not in taken and (at := taken_at(halls, stop_id, box)):
                taken[box.name] = at - began
        return len(taken) == len(halls.all())

    halls.wait_for("all have taken the stop", all_taken, 3 * halls.stop_poll_s + 60)
    halls.wait_for("all are at rest", lambda: all(
        box.phase_kept() is None and not os.path.exists(box.path("reboot-requested"))
        for box in halls.all()), 60)
    return [Halted(STATES[s], [taken[box.name] for box in boxes],
                   [at for box in boxes if (at := written_at(box) - began) > 0])
            for s, boxes in halls.boxes.items()]


# A stop that the network withholds.

def hold_until_released(halls):
    """Each box waits at the door to its next state until a file of its own goes away; those that
    have not started are switched off."""
    halls.nginx.start()
    held = "while [ -e {0} ]; do sleep 0.1; done\n"
    for state, boxes in halls.boxes.items():
        for box in boxes:
            with open(box.path("held"), "w", encoding="ascii"):
                pass
            here = held.format(box.path("held"))
            if state == "d":
                box.script("hooks.d/post.d/10-wait", here)
            elif state == "i":
                # The first time it asks whether it may activate, the second whether it may reboot.
                box.script("inhibit.d/10-wait", f'[ "$SLUICE_STEP" = reboot ] || exit 0\n'
                           f'if [ -e {box.path("asked")} ]; then {here.strip()}; fi\n'
                           f'touch {box.path("asked")}\n')
            elif state == "u":
                box.script("health.d/10-wait", here)
    halls.roll_out(["now", "later"])
    for state in "diu":
        for box in halls.boxes[state]:
            box.start()
    for state, side, phase in (("d", "A", "installing"), ("i", "A", "activated"),
                               ("u", "B", "activated")):
        halls.wait_for(f"boxes wait, {STATES[state]}", lambda at=(state, side, phase): all(
            halls.rests_on(box, *at[1:]) for box in halls.boxes[at[0]]), 120)


def freeze(halls, life_s):
    """From now on boxes are shown what is published now, whatever is published later. Returns when
    that expires."""
    ws = halls.workspace
    ws.set_life("timestamp", f"{life_s}s")
    ws.publish()
    shutil.copytree(ws.path("site"), ws.path("frozen"))
    halls.nginx.made = halls.nginx.made.replace(ws.path("site") + "/", ws.path("frozen") + "/")
    halls.nginx.set("")
    halls.nginx.reload()
    return calendar.timegm(time.strptime(ws.metadata("timestamp")["signed"]["expires"],
                                         "%Y-%m-%dT%H:%M:%SZ"))


def went_on(state, box):
    """Whether it has started, activated, rebooted or confirmed: what was next for it."""
    if state == "n":
        return box.phase_kept() is not None or len(box.boots()) > 1
    if state == "d":
        return box.phase_kept() == "activated" or box.booted() == "B"
    if state == "i":
        return box.booted() == "B"
    return box.phase_kept() is None and box.booted() == "B"


def moments_of(halls, spread_s):
    """When to let each go: half of them well before the expiry, the others after it."""
    half = (halls.each + 1) // 2
    return {box.name: -spread_s + n * spread_s / 2 / half if n < half else
            1 + (n - half) * spread_s / half
            for boxes in halls.boxes.values() for n, box in enumerate(boxes)}


def let_go(state, box):
    os.unlink(box.path("held"))
    if state == "n":
        box.start()


def summary(boxes, moments, seen):
    before = [box.name for box in boxes if moments[box.name] < 0]
    return Withheld([seen[name] for name in before if name in seen], len(before),
                    len(boxes) - len(before),
                    sum(box.name in seen for box in boxes if box.name not in before))


def withhold(halls, life_s, spread_s):
    """Lets boxes go at moments from spread_s before the expiry to as long after it, and sees who
    goes on: ({state: Withheld}, seconds from the stop to the expiry)."""
    expires = freeze(halls, life_s)
    halls.workspace.stop("stable", reason="smoke")
    stopped = time.time()
    moments = moments_of(halls, spread_s)
    gone, seen = set(), {}
    while time.time() < expires + spread_s + 2 * halls.stop_poll_s + 4:
        now = time.time() - expires
        for state, boxes in halls.boxes.items():
            for box in boxes:
                if box.name not in gone and now >= moments[box.name]:
                    gone.add(box.name)
                    let_go(state, box)
                if box.name in gone and box.name not in seen and went_on(state, box):
                    seen[box.name] = time.time() - expires
        time.sleep(0.1)
    return {s: summary(boxes, moments, seen) for s, boxes in halls.boxes.items()}, \
        expires - stopped
