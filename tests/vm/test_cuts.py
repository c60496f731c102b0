"""Every write of an update to the disk, with the power cut between any two flushes, and with any
that were not flushed lost or torn (GRUB under SeaBIOS)."""
import json
import os
import random

from vm import writelog
from vm.disk import AT, DATA, ENVIRONMENT, SLOT_A, SLOT_B, SLOTS, Disk
from vm.scene import NEW, OLD, Scene

TAKES_S = 300
PREFIXES_MIN = 200


class Cuts(Scene):
    def replay(self, log):
        """Yields each prefix, as what it is; the disk is as it says until the next is asked for."""
        seed = int(os.environ.get("SLUICE_SEED", random.randrange(1 << 32)))
        rng = random.Random(seed)
        epochs = list(writelog.read(log))
        each = -(-PREFIXES_MIN // len(epochs))
        print(f"\n    {sum(map(len, epochs))} writes, {len(epochs) - 1} flushes, seed {seed}: "
              f"SLUICE_SEED={seed} loses the same writes")
        with writelog.Replay(self.again.path) as disk:
            for number, epoch in enumerate(epochs):
                yield f"after flush {number}"
                for i in range(each if epoch else 0):
                    undo = disk.write(self.touch(writelog.cut(epoch, rng)))
                    yield f"cut {i} after flush {number}"
                    disk.write(self.touch(undo))
                disk.write(self.touch(epoch))
            yield "the end"

    def touch(self, writes):
        """Notes which partitions are other than when they were looked at."""
        for w in writes:
            self.touched |= {n for n, (at, size) in AT.items() if at <= w.at < at + size}
        return writes

    def phase(self):
        """What the agent makes of what is there; it fails where that makes no sense."""
        if self.touched & {ENVIRONMENT, SLOT_A, SLOT_B}:
            self.assert_boots_whole(self.again, self.offline, (OLD, NEW))
        if DATA in self.touched:
            done = self.offline.agent.run(("grub", self.again.part(ENVIRONMENT)),
                                          self.again.state(), "status", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            pending = json.loads(done.stdout)["pending"]
            self.seen_phase = pending["phase"] if pending else "none"
        self.touched = set()
        return self.seen_phase

    def test_update_that_is_cut_off_between_any_two_writes_is_whole(self):
        log = os.path.join(self.folder, "writes")
        open(log, "wb").close()
        folder = os.path.join(self.folder, "again")
        os.makedirs(folder)
        self.again = self.disk.copy(os.path.join(folder, "disk.img"))
        self.again = Disk(self.again.path, folder)
        self.offline = self.LOADER(self.again, self.programs.agent, self.kernel.image)
        self.machine = self.machine_make(self.disk, self.log, write_log=log)
        self.roll_out(NEW)
        self.machine.start()
        self.wait_version(NEW)
        self.wait_outcome("ok")
        self.machine.kill()
        self.touched, found, kept = {ENVIRONMENT, SLOT_A, SLOT_B, DATA}, [], {}
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
