"""What was verified is replaced before it is written: on the server, on a stick, in a slot."""
import os
import unittest

from attack import SIZE, AttackCase
from fleet import run, wait_until
from fleet.case import NEW, OLD

BUNDLE = r"\.ota"

# The slot's last sync before it is read back is when somebody else writes to it.
SYNC = """#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void spoil(int fd)
{
	char path[64], name[4096];
	ssize_t n;
	int slot;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	if (n < 0)
		return;
	name[n] = 0;
	if (strcmp(name, getenv("SLUICE_TEST_SLOT")) != 0 ||
		access(getenv("SLUICE_TEST_ARMED"), F_OK) != 0)
		return;
	slot = open(name, O_WRONLY);
	if (pwrite(slot, "evil", 4, 4096) != 4)
		abort();
	close(slot);
}
int fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
	spoil(fd);
	return real(fd);
}
int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	spoil(fd);
	return real(fd);
}
"""


class Server(AttackCase):
    """past: check then re-read. The head of a bundle is verified; what comes after it may be from
    another bundle, and a good one at that: signed by the same people."""

    def setUp(self):
        super().setUp()
        self.other = self.pack("3.0.0")
        with open(self.other, "rb") as f:
            self.other_bytes = f.read()
        self.workspace.release(self.other)

    def assert_refused_as_untrusted(self, box):
        report = self.wait_for_outcome(box, "failed")
        self.assertEqual(report["class"], "untrusted")
        self.assert_boots_as_before(box)
        side = box.other_side()
        self.assertFalse(box.holds(side, self.images["3.0.0"]))
        return report

    def test_a_bundle_replaced_between_its_head_and_its_chunks_is_refused(self):
        box = self.box(start=False)

        def answer(x):
            """The head is what it should be, and then another bundle has its name."""
            first = x.wanted(x.file())[0]
            return x.serve(x.file() if first == 0 else self.other_bytes)

        self.server.on(BUNDLE, answer)
        self.roll_out()
        box.start()
        self.assert_refused_as_untrusted(box)
        self.assert_updates(box)

    def test_two_bundles_swapped_on_the_server_are_refused_before_anything_is_written(self):
        box = self.box(start=False)
        self.server.on(BUNDLE, lambda x: x.serve(self.other_bytes))
        self.roll_out()
        box.start()
        self.assert_refused_as_untrusted(box)
        self.assert_untouched(box, False)
        self.assert_updates(box)

    def test_chunks_in_another_order_are_refused(self):
        """Every byte was signed; each comes from the place of another."""
        box = self.box(start=False)

        def answer(x):
            data = x.file()
            first, last = x.wanted(data)
            if first == 0:
                return x.serve(data)
            x.head_of_part(last - first + 1)
            x.send(data[first:last + 1][::-1])
            return None

        self.server.on(BUNDLE, answer)
        self.roll_out()
        box.start()
        self.assert_refused_as_untrusted(box)
        self.assert_updates(box)


class Stick(AttackCase):
    """The box maker's own programs run between verifying and writing: here they are the attacker's,
    or fall into the moment that he waits for."""

    def setUp(self):
        super().setUp()
        self.evil = self.pack("3.0.0", compatible=("acme-gw4",))
        self.stick = os.path.join(self.workspace.dir, "stick.ota")
        run(["cp", self.bundles[NEW], self.stick])
        self.one = self.box(start=False)

    def install(self, hook, status):
        """Installs from the stick; the hook runs once all of it was verified."""
        self.one.script("hooks.d/pre.d/10-swap", hook)
        return self.one.agent("install", self.stick, "--no-reboot", "--metadata",
                              self.workspace.path("site", "metadata"), check=status).stderr

    def assert_installs_from_the_honest_stick(self):
        os.unlink(self.one.path("hooks.d", "pre.d", "10-swap"))
        self.one.agent("install", self.bundles[NEW], "--no-reboot")
        self.assertTrue(self.one.holds(self.one.other_side(), self.images[NEW]))

    def test_a_stick_that_changes_between_verifying_and_writing_is_refused(self):
        said = self.install(f'cat "{self.evil}" > "{self.stick}"\n', 1)
        self.assertRegex(said, "stored bytes|SHA-256|digest|not the one that was sealed")
        self.assert_boots_as_before(self.one)
        self.assert_installs_from_the_honest_stick()

    def test_another_file_under_the_name_of_the_stick_is_not_even_looked_at(self):
        """The file is opened once: what is under its name later is not what is installed."""
        self.install(f'cp "{self.evil}" "{self.stick}.new" && mv "{self.stick}.new" '
                     f'"{self.stick}"\n', 0)
        self.assertTrue(self.one.holds(self.one.other_side(), self.images[NEW]))

    def test_a_stick_that_is_cut_short_after_verifying_is_refused(self):
        said = self.install(f'truncate -s 20000 "{self.stick}"\n', 1)
        self.assertRegex(said, "ends at byte|index|changed")
        self.assert_boots_as_before(self.one)
        self.assert_installs_from_the_honest_stick()

    def test_a_link_in_place_of_the_stick_after_verifying_is_not_followed(self):
        self.install(f'ln -sf "{self.evil}" "{self.stick}"\n', 0)
        self.assertTrue(self.one.holds(self.one.other_side(), self.images[NEW]))


class Slot(AttackCase):
    def spoiler(self, box):
        """Lets somebody write to the other slot, just before it is synced, once armed."""
        library = os.path.join(self.folder, "sync.so")
        run(["gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, "-x", "c", "-",
             "-ldl"], input=SYNC)
        armed = box.path("armed")
        box.environ = {"LD_PRELOAD": library, "SLUICE_TEST_ARMED": armed,
                       "SLUICE_TEST_SLOT": os.path.realpath(box.slot(box.other_side())),
                       "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")
                       + ":verify_asan_link_order=0"}
        with open(armed, "w", encoding="ascii"):
            pass
        return armed

    def test_a_slot_that_changes_between_writing_and_reading_back_is_not_activated(self):
        box = self.box(start=False)
        armed = self.spoiler(box)
        self.roll_out()
        box.start()
        wait_until(lambda: "read back other than they were written" in box.log(), 30, box.log)
        self.assert_boots_as_before(box)
        os.unlink(armed)
        self.assert_updates(box)

    def test_a_slot_that_changes_after_it_was_read_back_is_not_confirmed(self):
        """Between reading back and the reboot: the new system looks at what it runs from, and goes
        back. That release is not tried again by itself: what a box cannot hold is no transient."""
        box = self.box(start=False)
        side = box.other_side()
        box.script("hooks.d/post.d/10-evil",
                   f'printf evil | dd of="{box.slot(side)}" bs=1 seek=4096 conv=notrunc\n')
        self.roll_out()
        box.start()
        report = self.wait_for_outcome(box, "reverted", timeout_s=60)
        self.assertIn("not what was signed", report["detail"])
        self.assertEqual(box.boots()[-1], box.first_side)
        self.assert_runs(box, OLD, other_side_boots=False)
        os.unlink(box.path("hooks.d", "post.d", "10-evil"))
        self.workspace.publish_plan(self.workspace.plan(self.bundles[NEW], [("all", "100%")],
                                                        attempt=2))
        self.workspace.open_gate("all")
        self.wait_for_outcome(box, "ok", timeout_s=60)
        self.assert_runs(box, NEW)

    def test_a_kept_chunk_that_decayed_is_fetched_again(self):
        """The agent is ended in the middle of an install, and the slot changes before it goes on:
        what is in place already counts only if it is still right."""
        box = self.box(start=False)
        self.server.on(BUNDLE, self.answer_slowly)
        self.roll_out()
        box.start()
        wait_until(lambda: "planned: " in box.log(), 20, box.log)
        box.stop()
        self.assertEqual(box.phase(), "installing")
        with open(box.slot(box.other_side()), "r+b") as f:
            for at in range(0, SIZE, 65536):
                f.seek(at)
                f.write(b"evil")
        self.server.honest()
        box.start()
        self.wait_for_outcome(box, "ok")
        self.assert_runs(box, NEW)

    @staticmethod
    def answer_slowly(x):
        data = x.part()
        x.head_of_part(len(data))
        for at in range(0, len(data), 70000):
            x.send(data[at:at + 70000])
            x.wait(10)


if __name__ == "__main__":
    unittest.main()
