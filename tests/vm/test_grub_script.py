"""agent/boot/grub.cfg in GRUB itself, without a kernel: which side it would boot, and whether it
takes a copy of the environment where the agent does."""
import json
import os
import re
import shutil
import tempfile
import unittest

from fleet.process import Programs, run
from vm.script import COPIES, GROUP, MIB, Script, block, functions

TAKES_S = 60
A, B = ("hd0,gpt4", "A", "0"), ("hd0,gpt5", "B", "0")
TRY = ("hd0,gpt5", "B", "1")
TRIED = block(seq=100000007, primary="B", b=("try", 3))


def text(*lines, rest=b"#"):
    return b"".join((b"# GRUB Environment Block\n", *lines)).ljust(GROUP, rest)[:GROUP]


VARS = (b"sluice_seq=100000000\n", b"sluice_primary=B\n", b"sluice_a=good\n",
        b"sluice_a_tries=0\n", b"sluice_b=try\n", b"sluice_b_tries=3\n",
        b"sluice_end=100000000\n")


def cases():
    """Blocks of every kind, each once with and once without what makes the difference."""
    found = [block(), TRIED, bytes(GROUP), b"\xff" * GROUP, b"#" * GROUP, block()[1:] + b"#",
             text(*VARS), text(*VARS[::-1]), text(*VARS, rest=b"\0"), text(*VARS, rest=b"\n"),
             text(b"saved_entry=x\n", *VARS), text(b"x\n", *VARS), text(*VARS, b"x\n"),
             text(*VARS, b"x=\\\n"), text(b"# \\\n", *VARS), text(b"\n", *VARS),
             text(*VARS).replace(b"100000000", b"10000\\0000", 1),
             text(*VARS).replace(b"=good", b"=go\0d"), text(*VARS).replace(b"=good", b"=good\0x"),
             text(*VARS).replace(b"sluice_a=", b"sluice_a\0="), text(*VARS)[:-1] + b"\\",
             text(*VARS, b"sluice_b_tries=2\n"), text(*VARS, b"sluice_b_tries=\n"),
             text(*VARS, b"sluice_end=100000001\n"), text(b"a" * 3000 + b"=1\n", *VARS),
             text(*VARS).replace(b"\n", b"\r\n", 8)]
    for i in range(len(VARS)):
        found.append(text(*VARS[:i], *VARS[i + 1:]))
        found.append(text(*VARS[:i]))
        found.append(text(*VARS[:i], VARS[i][:-1]))
    for old, news in ((b"=try", (b"=tri", b"=tryy", b"=", b"=TRY", b"=-", b"=try off")),
                      (b"tries=3", (b"tries=9", b"tries=10", b"tries=03", b"tries=-1",
                                    b"tries=x", b"tries= 3", b"tries=3 ")),
                      (b"=B", (b"=C", b"=!", b"=(", b"=AB", b"=--help", b"=\\B")),
                      (b"100000000", (b"99999999", b"1000000000", b"0100000000", b"999999999",
                                      b"10000000x", b"0x1000000", b"+00000000"))):
        found += [text(*VARS).replace(old, new) for new in news]
    return found


class GrubScript(unittest.TestCase):
    def setUp(self):
        self.programs = Programs()
        self.folder = tempfile.mkdtemp(prefix="sluice-grub-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.script = Script(self.folder, self.programs.agent)

    def assert_boots(self, expected, prelude="", **kwargs):
        found, said = self.script.boots(prelude, **kwargs)
        self.assertEqual(found, expected, said)

    def test_a_try_is_counted_before_it_is_made(self):
        self.script.copy_put("b", TRIED)
        for left in b"210":
            self.assert_boots([TRY])
            self.assertEqual(self.script.copy_get("b"), TRIED.replace(
                b"b_tries=3", b"b_tries=" + bytes([left])))
        self.assert_boots([A])
        self.assertEqual(self.script.copy_get("a")[:4], b"# GR")

    def test_a_try_that_cannot_be_counted_is_not_made(self):
        self.script.copy_put("b", TRIED)
        self.assert_boots([A], options=",readonly=on")

    def test_a_kernel_that_does_not_load_costs_its_try_and_the_other_side_boots(self):
        self.script.copy_put("b", TRIED)
        self.assert_boots([TRY, A], "set broken=B\n")
        self.assertIn(b"sluice_b_tries=2", self.script.copy_get("b"))

    def test_a_stick_with_an_environment_takes_nothing_over(self):
        stick = os.path.join(self.folder, "stick")
        shutil.copy(self.script.disk, stick)
        for copy in COPIES:
            self.script.put(stick, 6 * MIB + COPIES[copy] * GROUP, TRIED)
        self.assert_boots([A], others=[stick])
        for copy in COPIES:
            self.script.copy_put(copy, bytes(GROUP))
        self.assert_boots([A], others=[stick])
        whole = os.path.join(self.folder, "whole")
        with open(whole, "wb") as f:
            f.write(self.script.environment())
        self.assert_boots([B], others=[whole])

    @staticmethod
    def turn_block(turn):
        return text(b"sluice_turn=%d\n" % turn)

    def copies_lose(self):
        for copy in COPIES:
            self.script.copy_put(copy, bytes(GROUP))

    def test_where_nothing_is_known_the_sides_take_turns(self):
        self.copies_lose()
        self.assert_boots([A])
        self.assert_boots([B, A], "set broken=B\n")
        self.assertEqual(self.script.turn(), 2)
        said = self.script.run(functions() + """for n in 1 2 3 4 5 6 7 8 9; do
    turn_take
    echo "TURN $turn."
done
reboot
""")
        self.assertEqual(re.findall(r"TURN (\d*)\.", said), list("345678901"))
        self.assertEqual(self.script.turn(), 1)

    def test_where_turns_are_lost_or_not_written_the_clock_decides(self):
        self.copies_lose()
        self.assert_boots([B], "set SECOND=04\n", options=",readonly=on")
        self.script.turn_put(bytes(GROUP))
        self.assert_boots([A])
        self.assert_boots([A, B], "set SECOND=7\nset broken='A B'\n")

    def test_where_neither_side_may_boot_mostly_the_one_that_worked_last_does(self):
        self.script.copy_put("b", block(seq=100000009, a=("off", 0), b=("try", 0)))
        self.script.copy_put("good", block(primary="B", a=("off", 0), b=("good", 0)))
        for turn, side in ((8, A), (9, A), (0, B)):
            self.script.turn_put(self.turn_block(turn))
            self.assert_boots([side])
        self.script.copy_put("good", bytes(GROUP))
        self.script.turn_put(bytes(GROUP))
        self.assert_boots([B], "set SECOND=50\n")

    def test_a_stale_copy_does_not_outrank_what_worked_last(self):
        self.script.copy_put("a", block(seq=100000003))
        self.script.copy_put("good", block(seq=100000004, primary="B", a=("off", 0),
                                           b=("good", 0)))
        self.assert_boots([B])
        self.script.copy_put("b", block(seq=100000005))
        self.assert_boots([A])

    def agent_takes(self, environment, data):
        """What the agent says of a copy of which all else is lost: None where it is damaged."""
        path = os.path.join(self.folder, "case")
        with open(path, "wb") as f:
            f.write(environment)
        for copy, group in COPIES.items():
            self.script.put(path, group * GROUP, data if copy == "a" else bytes(GROUP))
        done = run([self.programs.agent, "-c", self.script.conf(path), "boot", "show", "--json"],
                   check=None)
        if done.returncode:
            self.assertIn("no copy makes sense", done.stderr)
            return None
        shown = json.loads(done.stdout)
        return shown["primary"], shown["sides"]["B"]["tries_left"]

    def test_grub_and_the_agent_take_the_same_blocks(self):
        """All in one tar on a disk of its own, read by one start of GRUB."""
        folder = os.path.join(self.folder, "tar", "sluice")
        os.makedirs(folder)
        blocks = cases()
        for i, data in enumerate(blocks):
            with open(os.path.join(folder, f"c{i}"), "wb") as f:
                f.write(data)
        tar = os.path.join(self.folder, "blocks")
        run(["tar", "-C", os.path.dirname(folder), "--format=ustar", "-cf", tar, "sluice"])
        loop = "set env=hd1\nfor n in " + " ".join(str(i) for i in range(len(blocks))) + """; do
    env_read c$n
    if [ $ok = yes ]; then echo "CASE $n $sluice_primary $sluice_b_tries."
    else echo "CASE $n no."; fi
done
reboot
"""
        said = self.script.run(functions() + loop, others=[tar])
        environment = self.script.environment()
        taken = 0
        for i, data in enumerate(blocks):
            agent = self.agent_takes(environment, data)
            word = f"{agent[0]} {agent[1]}" if agent else "no"
            self.assertIn(f"CASE {i} {word}.", said, data.rstrip(b"#\0"))
            taken += agent is not None
        self.assertGreater(taken, 10)
        self.assertGreater(len(blocks) - taken, 40)


if __name__ == "__main__":
    unittest.main()
