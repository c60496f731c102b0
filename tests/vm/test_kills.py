"""Power that goes at any moment of an install and of what follows it (GRUB under SeaBIOS)."""
import os
import random
import time

from vm.loaders import GrubBios
from vm.scene import OLD, Scene

TAKES_S = 200
KILLS, VERSIONS_MAX = 12, 6
# What a machine says, and how long it goes on after it at most: in boots, so that a slow machine is
# cut off in the same places. Where the cut before came late, the new version boots already.
INSTALL = "updating: |GUEST version {new} "
MOMENTS = ((INSTALL, 0.2), (INSTALL, 0.4), (INSTALL, 0.6),
           ("installed and activated|sluice: side {side}, copy", 0.03),
           ("sluice: side {side}, copy", 1.0), ("GUEST version {new} ", 0.3))


class ManyTries(GrubBios):
    BOOT, TRIES = "backend = grub\nfile = /dev/nvme0n1p3\ntries = 9", 9


class Kills(Scene):
    LOADER = ManyTries

    def no_dead_end(self):
        self.assertEqual(self.machine.find("no kernel that loads|Kernel panic|GUEST no data"), [])

    def until_said(self, pattern):
        def said():
            self.no_dead_end()
            return self.machine.find(pattern)
        self.machine.until(said, lambda: repr(pattern))

    def kill_after(self, pattern, delay_s, new):
        """Not later than the update is confirmed; returns what the machine said last."""
        if not self.machine.process:
            self.machine.start()
        self.until_said(pattern)
        end_s = time.monotonic() + delay_s
        self.machine.until(lambda: time.monotonic() >= end_s or self.machine.find(f"{new}: conf"),
                           lambda: "time goes by")
        self.no_dead_end()
        self.machine.kill()
        said = [line for line in self.machine.said().split("\n") if line.strip()]
        return said[-2][:70]

    def test_power_that_goes_at_any_moment_leaves_the_old_or_the_new(self):
        seed = int(os.environ.get("SLUICE_SEED", random.randrange(1 << 32)))
        rng = random.Random(seed)
        print(f"\n    seed {seed}: SLUICE_SEED={seed} chooses the same moments")
        self.machine.start()
        self.until_said(f"GUEST version {OLD} ")
        boot_s = time.monotonic() - self.machine.boot_s
        old, side, kills, rounds = OLD, "A", 0, 0
        there = []  # what a side that is not switched off yet still holds
        while kills < KILLS and rounds < VERSIONS_MAX:
            rounds += 1
            new, side = f"{rounds + 1}.0.0", "B" if side == "A" else "A"
            self.roll_out(new)
            for pattern, boots in MOMENTS:
                last = self.kill_after(pattern.format(side=side, new=new),
                                       rng.uniform(0, boots * boot_s), new)
                kills += 1
                print(f"    {kills:2}: {last}", flush=True)
                self.assert_boots_whole(self.disk, self.loader, (old, new, *there))
                if self.loader.boots_next() == (side, True, True):
                    break
            self.machine.start()
            self.until_said(f"GUEST version {new} ")
            self.wait_outcome("ok", rounds)
            old, there = new, [old]
        self.assert_settled(side, old)
        self.assertGreaterEqual(kills, KILLS)
        print(f"    {kills} kills, {kills} came back to the old or the new")
