"""How long a stop takes to reach boxes, by where they are; and what a network that withholds it
wins.

The stop's time is from `sluice stop` returning to the arrival of the report by which a box says
that it has taken it, and to the last write to its slot. Boxes poll for it on their own; nobody
tells them.
"""
import os
import shutil

from figure import Figure
from fleet import halls

STOP_POLL_S, EACH = 10, 6
WRITTEN_MIB = 64
LIFE_S, SPREAD_S = 30, 10
SLACK_S = 2  # of a machine that has more to do: a report, a reboot


def stop_figures(held):
    for h in halls.halt(held):
        last = f"the last write after {max(h.writes):.1f} s" if h.writes else "nothing written"
        slowest = max(h.seconds + h.writes)
        yield Figure(f"stop: {h.state}", f"{len(h.seconds)} boxes, {min(h.seconds):.1f} to "
                     f"{max(h.seconds):.1f} s; {last}",
                     f"at most {STOP_POLL_S} + {halls.CHUNK_S} s",
                     slowest <= STOP_POLL_S + halls.CHUNK_S + SLACK_S)


def halted(folder):
    held = halls.Halls(folder, "nhdsriuc", EACH, STOP_POLL_S)
    try:
        halls.hold(held)
        yield from stop_figures(held)
    finally:
        held.stop()


def writing(folder):
    """They would go on for minutes."""
    held = halls.Halls(folder, "w", EACH, STOP_POLL_S, size=WRITTEN_MIB << 20)
    try:
        halls.write(held)
        yield from stop_figures(held)
    finally:
        held.stop()


def withheld(folder):
    held = halls.Halls(folder, "ndiu", EACH, 2)
    try:
        halls.hold_until_released(held)
        states, left_s = halls.withhold(held, LIFE_S, SPREAD_S)
        yield Figure("withheld stop", f"{left_s:.1f} s of the timestamp's {LIFE_S} s are left")
        for state, w in states.items():
            last = f", the last {left_s + max(w.went_on):.1f} s after the stop" if w.went_on else ""
            yield Figure(f"withheld: {halls.STATES[state]}", f"{len(w.went_on)} of {w.before} let "
                         f"go before the expiry went on{last}; {w.late} of {w.after} after it",
                         "none after it", w.late == 0)
    finally:
        held.stop()


def run(build, folder):
    os.environ["SLUICE_BUILD"] = build
    folder = os.path.join(folder, "halt")
    for part in (halted, writing, withheld):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        yield from part(folder)
    shutil.rmtree(folder)
