"""Every write of an update to the disk, with the power cut between any two flushes, and with any
that were not flushed lost or torn (GRUB under SeaBIOS)."""
import json
import os
import random

from vm import writelog
from vm.disk import AT, DATA, ENVIRONMENT, SLOT_A, SLOT_B, SLOTS, Disk
from vm.scene import NEW, OLD, Scene
from vm.script import COPIES, GROUP, block

TAKES_S = 110
PREFIXES_MIN, TEARS = 200, 4
OLDER = "0.9.0"


class Cuts(Scene):
    def older_put(self):
        """Side B as an earlier update left it: it may boot, too, until it is written over."""
        kernel = bytes(255 - b for b in range(256))
        with open(self.kernel.image, "rb") as f:
            kernel = f.read().translate(kernel)
        self.disk.write(SLOT_B, self.image(OLDER, [("/boot/vmlinuz", kernel)]))
        for copy in ("a", "good"):
            self.disk.put(ENVIRONMENT, block(b=("good", 0)), COPIES[copy] * GROUP)

    def again_make(self):
        """The disk on which all is done again."""
        folder = os.path.join(self.folder, "again")
        os.makedirs(folder)
        self.again = Disk(self.disk.copy(os.path.join(folder, "disk.img")).path, folder)
        self.offline = self.LOADER(self.again, self.programs.agent, self.kernel.image)
        self.touched, self.known = set(AT), {}

    def replay(self, log):
        """Yields each prefix, as what it is; the disk is as it says until the next is asked for."""
        seed = int(os.environ.get("SLUICE_SEED", random.randrange(1 << 32)))
        rng = random.Random(seed)
        epochs = list(writelog.read(log))
        each = -(-PREFIXES_MIN // len(epochs))
        print(f"\n    {sum(map(len, epochs))} writes, {len(epochs) - 1} flushes, seed {seed}: "
              f"SLUICE_SEED={seed} loses the same writes")
        with writelog.Replay(self.again.path, self.touch) as disk:
            for number, epoch in enumerate(epochs):
                yield f"after flush {number}"
                for i in range(each if epoch else 0):
                    with disk.tried(writelog.cut(epoch, rng, self.atom)):
                        yield f"cut {i} after flush {number}"
                for i, write in enumerate(epoch):
                    if AT[ENVIRONMENT][0] <= write.at < sum(AT[ENVIRONMENT]):
                        with disk.tried(epoch[:i]):
                            yield from self.tear(disk, write, rng)
                disk.write(epoch)
            yield "the end"

    @staticmethod
    def atom(write):
        """ext4 has no answer to a superblock of which half is old, and in so small a partition no
        second one: it counts on its blocks to be written as a whole."""
        return 4096 if AT[DATA][0] <= write.at < sum(AT[DATA]) else 512

    @staticmethod
    def tear(disk, write, rng):
        """The environment's groups, unlike all else, have no one to mend them: whatever becomes of
        the one that is being written, the others are enough."""
        for torn in writelog.tears(disk.read(write.at, len(write.data)), write, rng, TEARS):
            with disk.tried([torn]):
                yield f"{torn.data[:300]} at byte {write.at}"

    def touch(self, writes):
        """Notes which partitions are other than when they were looked at."""
        for w in writes:
            self.touched |= {n for n, (at, size) in AT.items() if at <= w.at < at + size}
        for side, number in SLOTS.items():
            if number in self.touched:
                self.known.pop(side, None)

    def held(self, disk, side):
        """Read anew only where it was written to."""
        if disk is not self.again:
            return super().held(disk, side)
        if side not in self.known:
            self.known[side] = super().held(disk, side)
        return self.known[side]

    def phase(self):
        """What the agent makes of what is there; it fails where that makes no sense."""
        if self.touched & {ENVIRONMENT, SLOT_A, SLOT_B}:
            self.shown = self.assert_boots_whole(self.again, self.offline, (OLDER, OLD, NEW))
        if DATA in self.touched:
            done = self.offline.agent.run(("grub", self.again.part(ENVIRONMENT)),
                                          self.again.state(), "status", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            pending = json.loads(done.stdout)["pending"]
            self.seen_phase = pending["phase"] if pending else "none"
        self.touched = set()
        self.assert_agree(self.shown["sides"]["B"], self.seen_phase)
        return self.seen_phase

    def assert_agree(self, side, phase):
        """What is written to is off, and of what is tried the agent knows, from before its first
        boot."""
        if side["bootable"]:
            self.assertNotEqual(phase, "installing")
            self.assertTrue(side["confirmed"] or phase == "activated", side)

    def test_update_that_is_cut_off_between_any_two_writes_is_whole(self):
        log = os.path.join(self.folder, "writes")
        open(log, "wb").close()
        self.older_put()
        self.again_make()
        self.machine = self.machine_make(self.disk, self.log, write_log=log)
        self.roll_out(NEW)
        self.machine.start()
        self.wait_version(NEW)
        self.wait_outcome("ok")
        self.machine.kill()
        found, kept = [], {}
        rng, count = random.Random(0), 0
        for what in self.replay(log):
            count += 1
            with self.subTest(what):
                found.append(self.phase())
                if rng.random() < 1 / found.count(found[-1]):
                    kept[found[-1]] = self.again.copy(
                        os.path.join(self.folder, f"{found[-1]}.img"))
        self.assertGreaterEqual(len(found), PREFIXES_MIN)
        for side in SLOTS:
            self.assertEqual(self.held(self.again, side), self.held(self.disk, side))
        print(f"    {len(found)} of {count} prefixes consistent: "
              f"{', '.join(f'{found.count(p)} {p}' for p in sorted(set(found)))}")
        self.assertEqual(set(found), {"none", "installing", "activated"})
        self.boot_for_real(kept)

    def boot_for_real(self, kept):
        for phase, disk in kept.items():
            machine = self.machine_make(disk, f"{self.log[:-4]}.{phase}.log")
            with self.subTest(f"booted while {phase}"):
                machine.start()
                machine.wait(f"{NEW}: confirmed|gateway {NEW} runs already")
                machine.kill()
                self.assertEqual(
                    self.LOADER(disk, self.programs.agent, None).boots_next()[:2], ("B", True))
                self.assertEqual(self.held(disk, "B"), self.digest(NEW))
