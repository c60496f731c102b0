"""How long a stop takes to reach boxes, by where they are; and what a network that withholds it
wins.

The stop's time is from `sluice stop` returning to the arrival of the report by which a box says
that it has taken it. Boxes poll for it on their own; nobody tells them.
"""
import os
import shutil

from figure import Figure
from fleet import halls

STOP_POLL_S, EACH = 10, 6
LIFE_S, SPREAD_S = 30, 10
SLACK_S = 2  # of a machine that has more to do: a report, a reboot


def halted(folder):
    held = halls.Halls(folder, "ndiuc", EACH, STOP_POLL_S)
    try:
        halls.hold(held)
        bar = STOP_POLL_S + halls.CHUNK_S
        for state, seconds in halls.halt(held):
            yield Figure(f"stop: {state}", f"{EACH} boxes, {min(seconds):.1f} to "
                         f"{max(seconds):.1f} s", f"at most {STOP_POLL_S} + {halls.CHUNK_S} s",
                         max(seconds) <= bar + SLACK_S)
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
    for part in (halted, withheld):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        yield from part(folder)
    shutil.rmtree(folder)
