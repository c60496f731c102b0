"""Every fault of a kind in a phase, on several boxes at once, and how many were survived."""
import collections
import concurrent.futures
import os
import queue
import random

import fault
from scene import Broken

WHOLE = os.environ.get("SLUICE_CRASH") == "whole"
SEED = int(os.environ.get("SLUICE_SEED", "6"))
FEW = 1           # faults of a kind in the short form
CALLS_MAX = 2000  # of one name in one thread; a run makes some dozens
AT_ONCE = 4 if WHOLE else 2
SHOWN = 12    # failures of one phase

# What is done to a box: name; words for its agent, given the subject; the kept folder that it
# begins with; the subject's methods for what exit 0 promised and for what must be true after any
# fault.
Phase = collections.namedtuple("Phase", "name words start promised survives")


# Left out of the short form and over the network: a folder that is there already, and a mode.
PLAIN = ("mkdir", "fchmod", "fchmodat")


def chosen(phase, call, effect, most):
    """Where the fault is put in, most calls having been counted: at each of them, or, in the short
    form, at few that are the same in each run."""
    if WHOLE:
        return range(1, most + 1)
    few = min(most, FEW if call not in PLAIN else 0)
    return sorted(random.Random(f"{SEED} {phase} {call} {effect}").sample(range(1, most + 1), few))


class NotMet(Exception):
    """A run in which the fault's turn did not come."""


class Tally:
    """How many faults of each kind were met, and what went wrong."""

    def __init__(self):
        self.met, self.wrong = collections.Counter(), []

    def line(self, phase, effect):
        """"install, killed: write 12 of 12, fsync 26 of 26" """
        bad = collections.Counter(w[0] for w in self.wrong)
        parts = [f"{call} {n - bad[p, e, call]} of {n}" for (p, e, call), n in
                 sorted(self.met.items()) if (p, e) == (phase, effect)]
        return ", ".join(parts)


class Trier:
    """Tries phases on subjects, all alike, that make() gives."""

    def __init__(self, make, try_one, count):
        self.free = queue.SimpleQueue()
        self.subjects = [make(n) for n in range(AT_ONCE)]
        for subject in self.subjects:
            self.free.put(subject)
        self.try_one, self.count_calls = try_one, count

    def one(self, phase, call, effect, when):
        """(whether the fault was met, what broke)"""
        subject = self.free.get()
        try:
            self.try_one(subject, phase, call, effect, when)
            return True, None
        except Broken as broken:
            return True, str(broken)
        except NotMet:
            return False, None
        finally:
            self.free.put(subject)

    def all_of(self, phase, effects=tuple(fault.EFFECTS)):
        """Puts in every fault there is in a phase; returns the Tally."""
        subject = self.free.get()
        subject.put_back(os.path.join(subject.kept, phase.start))
        counts = self.count_calls(subject, phase)
        self.free.put(subject)
        tally = Tally()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = [pool.submit(self.series, tally, phase, call, effect, most)
                    for effect in effects for call, most in counts.items()]
            for job in jobs:
                job.result()
        return tally

    def series(self, tally, phase, call, effect, most):
        """Puts one kind of fault in at each call, until a run makes no more of them."""
        for when in chosen(phase.name, call, effect, most):
            if not self.count(tally, phase, call, effect, when):
                return
        while WHOLE and self.count(tally, phase, call, effect, most := most + 1):
            pass

    def count(self, tally, phase, call, effect, when):
        met, broken = self.one(phase, call, effect, when)
        if when > CALLS_MAX:
            raise RuntimeError(f"{phase.name}: {call} has no end: {broken}")
        if not met:
            return False
        key = (phase.name, effect, call)
        tally.met[key] += 1
        if broken:
            tally.wrong.append((key, f"{phase.name}: {effect} at {call} number {when}: {broken}"))
        return True


def report(test, tally, phase):
    """Prints "N of N", and fails where something broke."""
    for effect in fault.EFFECTS:
        line = tally.line(phase.name, effect)
        if line:
            print(f"\n    {phase.name}, {effect}: {line}", end="", flush=True)
    print(" ... ", end="", flush=True)
    test.assertGreater(len(tally.met), 0)
    if tally.wrong:
        test.fail("\n".join([f"{len(tally.wrong)} broke:"] +
                            [text for _, text in tally.wrong[:SHOWN]]))
