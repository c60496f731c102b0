"""A run of the agent, recorded, and its disk in every state that a power cut could have left."""
import random
import re

import model
import recorder
from scene import Broken


def place(events, i):
    """Where in its walk the agent makes event i: the same in every scenario."""
    def bare(e):
        return re.sub(r"\.[A-Za-z0-9]{6}$", "", f"{e.kind} {e.to or e.path}")
    return f"{bare(events[i])} after {bare(events[i - 1]) if i else 'nothing'}"


def with_its_copy(events, i):
    """The state is written twice, and each of the two makes up for the other: so the fsyncs of both
    are left out together."""
    def syncs(name, found):
        return [j for j in found if events[j].kind == "sync" and name in events[j].path]
    if syncs("state/state.json", [i]):
        return frozenset((i, syncs("state/state.copy.json", range(i))[-1]))
    if syncs("state/state.copy.json", [i]):
        return frozenset((i, syncs("state/state.json", range(i, len(events)))[0]))
    return frozenset((i,))


class Replay:
    """For a test case that has the subject."""

    few = None     # states that are tried after each event at most; None: all
    chosen = None  # and of a whole run; None: all

    def record(self, *args):
        code, said, events = recorder.record(self.box.agent_argv(*args), self.box.dir,
                                             cwd=self.box.dir)
        self.assertEqual(code, 0, said)
        return events

    def replay(self, start, events, acknowledged, survives="survive"):
        """Tries the states of the disk, and then those that a missing fsync would add."""
        seen = set()
        self.try_states(start, events, acknowledged, survives, seen)
        missed, known = {}, {}
        for i, e in enumerate(events):
            if e.kind in ("sync", "sync_all"):
                skip = with_its_copy(events, i)
                if skip not in known:
                    known[skip] = self.is_missed(start, events, skip, acknowledged, survives,
                                                 set(seen))
                missed[place(events, i)] = known[skip]
        return missed

    def try_states(self, start, events, acknowledged, survives="survive", seen=None):
        """seen: what model.crash_images() takes."""
        states = model.crash_images(start, events, seen=seen, few=self.few)
        if self.chosen is not None:
            states = list(states)
            some = random.Random(6).sample(states, min(self.chosen, len(states)))
            states = some + states[-1:]    # of which all was acknowledged
        count = 0
        for i, image in states:
            count += 1
            try:
                self.try_state(image, survives, acknowledged if i == len(events) else None)
            except Broken as broken:
                before = events[i - 1] if i else "nothing"
                self.fail(f"power cut after {i} of {len(events)} events ({before}): {broken}")
        print(f"{count} of {count} states after {len(events) + 1} prefixes are consistent ... ",
              end="", flush=True)

    def try_state(self, image, survives, acknowledged):
        if acknowledged:
            model.write_image(image, self.box.dir)
            acknowledged()
        model.write_image(image, self.box.dir)
        getattr(self.subject, survives)()

    def is_missed(self, start, events, skip, acknowledged, survives, seen):
        for i, image in model.crash_images(start, events, skip=skip, seen=seen, few=self.few):
            if i <= min(skip):
                continue    # it is not missing yet
            try:
                self.try_state(image, survives, acknowledged if i == len(events) else None)
            except Broken:
                return True
        return False
