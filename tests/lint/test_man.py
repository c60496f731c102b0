"""The pages in */man/ say what there is, and nothing else: commands, options, keys and words are
compared with the programs and with the sources that read them."""
import glob
import os
import re
import tempfile
import unittest

from fleet import Programs, run
from fleet.process import ROOT

PAGES = {os.path.basename(path): path
         for path in glob.glob(os.path.join(ROOT, "*", "man", "*.[1-8]"))}
# Which sources read the words of which format.
READ_BY = {
    "sluice-bundle.5": ("common/format/manifest.c", "common/format/files.c"),
    "sluice-gate.5": ("common/format/plan.c", "common/format/gate.c", "common/format/window.c"),
    "sluice-recipe.5": ("signer/recipe.c",),
    "sluice-report.5": ("common/format/report.c",),
    "sluice-rollout.5": ("signer/rollout.c", "signer/rollout_timing.c", "signer/rollout_waves.c"),
    "sluice-workspace.5": ("signer/workspace.c", "signer/watch_conf.c", "signer/webhook.c"),
}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def source(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def page(name):
    with open(PAGES[name], encoding="utf-8") as f:
        return f.read()


def marked(text):
    """What a page marks as words of its format."""
    return {word for line in text.split("\n") if line.startswith(".")
            for words in re.findall(r"\bCm ((?:[a-z_0-9]+ ?)+)", line)
            for word in words.split()}


def block(text, start):
    """From a text in a source to the end of what it begins."""
    return text[text.index(start):].split("};", 1)[0]


def quoted(text):
    return set(re.findall(r'"([a-z_0-9]+)"', text))


def options_in(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text))


def seconds(text):
    found = re.fullmatch(r"(\d+)([smhd]?)", text)
    return int(found[1]) * UNITS.get(found[2], 1)


class Man(unittest.TestCase):
    def test_mandoc_has_nothing_to_say(self):
        self.assertGreater(len(PAGES), 8)
        for name, path in sorted(PAGES.items()):
            with self.subTest(page=name):
                done = run(["mandoc", "-T", "lint", "-W", "warning", path], check=None)
                self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_references_lead_somewhere(self):
        for name, path in sorted(PAGES.items()):
            for other, section in re.findall(r"^\.Xr (\S+) (\d)", page(name), re.M):
                if "sluice" in other or other == "agent.conf":
                    self.assertIn(f"{other}.{section}", PAGES, path)

    def check_program(self, program, room, verbs_of, name):
        """verbs_of(command) gives those of a command, none where it has none."""
        names = {found for path in glob.glob(os.path.join(ROOT, room, "cmd_*.c"))
                 for found in re.findall(r'struct command \w+ = \{\s+(?:\.name = )?"([a-z]+)"',
                                         source(path))}
        commands, options = set(), options_in(run([program, "--help"]).stdout)
        for command in names:
            verbs = verbs_of(command)
            commands |= {f"{command} {verb}" for verb in verbs} or {command}
            for words in ([command], *([command, verb] for verb in verbs)):
                options |= options_in(run([program, *words, "--help"]).stdout)
        text = page(name)
        self.assertEqual(set(re.findall(r"^\.It Cm ([a-z]+(?: [a-z]+)*)", text, re.M)), commands,
                         PAGES[name])
        self.assertEqual(set(re.findall(r"\bFl Fl ([a-z][a-z-]*)", text)), options, PAGES[name])
        return commands

    def test_the_host_tool_is_described(self):
        program = Programs().sluice
        environ = {k: v for k, v in os.environ.items() if k != "SLUICE_WORKSPACE"}
        with tempfile.TemporaryDirectory() as empty:
            def verbs_of(command):
                """Without a verb, a command that has some names them."""
                said = run([program, command], check=None, cwd=empty, env=environ).stderr
                words = re.search(r": say what: ([a-z, ]+);", said)
                return words[1].split(", ") if words else \
                    re.findall(rf"`{command} ([a-z]+)`", said)

            commands = self.check_program(program, "signer", verbs_of, "sluice.1")
        self.assertGreater(len(commands), 40)

    def test_the_agent_is_described(self):
        program = Programs().agent

        def verbs_of(command):
            """Its usage has a line for each."""
            usage = run([program, command, "--help"]).stdout
            return re.findall(rf"sluice-agent \[-c FILE\] {command} ([a-z]+)\b", usage)

        commands = self.check_program(program, "agent", verbs_of, "sluice-agent.8")
        self.assertIn("boot init", commands)

    def test_keys_of_agent_conf_are_described(self):
        """With what they are when not said: times and numbers."""
        text, keys, section = page("agent.conf.5"), {}, None
        for line in text[:text.index(".Sh BOOTLOADERS")].split("\n"):
            found = re.match(r"\.Ss \[(.+)\]$|\.It Cm (\w+) = (.*)", line)
            if found and found[1]:
                section = found[1]
            elif found:
                keys[section, found[2]] = found[3]
        conf = source("agent/conf.c")
        table = block(conf, "struct key KEYS[] = {")
        read = set(re.findall(r'[({]"(\w+)", "(\w+)"', table))
        self.assertGreater(len(read), 20)
        slot = quoted(block(conf, "SLOT_KEY_NAMES[SLOT_KEYS] = {"))
        self.assertEqual(set(keys), read | {("slot NAME", key) for key in slot},
                         PAGES["agent.conf.5"])
        presets = re.findall(r'[({]"(\w+)", "(\w+)", [^"]*, (\d+)[)}]', table)
        self.assertGreater(len(presets), 8)
        for group, key, preset in presets:
            value = re.fullmatch(r"Li (\w+)", keys[group, key])
            self.assertIsNotNone(value, f"[{group}] {key} = {preset}")
            self.assertEqual(seconds(value[1]), int(preset), f"[{group}] {key}")

    def test_bootloaders_are_described(self):
        names = {found for path in glob.glob(os.path.join(ROOT, "agent", "boot_*.c"))
                 for found in re.findall(r'\.name = "([a-z-]+)"', source(path))} - {"links"}
        self.assertGreater(len(names), 5)
        described = re.findall(r"^\.It Li ([a-z-]+)$", page("agent.conf.5"), re.M)
        self.assertEqual(set(described), names)

    def test_the_environment_is_described(self):
        for name, room in (("sluice.1", "signer"), ("sluice-agent.8", "agent")):
            read = {found for folder in (room, "common/*")
                    for path in glob.glob(os.path.join(ROOT, folder, "*.c"))
                    for found in re.findall(r'getenv\("(\w+)"\)', source(path))}
            said = set(re.findall(r"\bEv (\w+)", page(name)))
            self.assertEqual(said, read, PAGES[name])

    def test_examples_are_taken(self):
        """By the programs, which name the line of what they do not take."""
        sluice, agent = Programs().sluice, Programs().agent
        for name, file, argv in (
                ("agent.conf.5", "agent.conf", [agent, "-c", "agent.conf", "status"]),
                ("sluice-recipe.5", "gateway.yaml", [sluice, "pack", "gateway.yaml", "-o", "x"]),
                ("sluice-rollout.5", "stable.yaml", [sluice, "rollout", "check", "stable.yaml"]),
                ("sluice-workspace.5", "workspace.yaml", [sluice, "boxes", "-w", "."])):
            example = re.search(r"^\.Sh EXAMPLES\n\.Bd .*\n((?:[^.].*\n|\n)+)\.Ed", page(name),
                                re.M)
            with self.subTest(page=name), tempfile.TemporaryDirectory() as folder:
                for text, wanted in ((example[1], False), (example[1] + "no such word", True)):
                    with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
                        f.write(text)
                    said = run(argv, check=None, cwd=folder).stderr
                    refused = re.search(rf"{file}:\d+:(?:\d+:)? (?!warning)", said)
                    self.assertEqual(bool(refused), wanted, said)

    def test_words_of_formats_are_described(self):
        for name, paths in READ_BY.items():
            with self.subTest(page=name):
                read = set()
                for path in paths:
                    for words in re.findall(r"char \*const (?:known|words)\w*\[\] = \{(.*?)\};",
                                            source(path), re.S):
                        read |= quoted(words)
                if name == "sluice-workspace.5":
                    read |= quoted(block(source("signer/workspace.c"), "} lives[] = {"))
                self.assertGreater(len(read), 5)
                self.assertEqual(marked(page(name)), read, PAGES[name])


if __name__ == "__main__":
    unittest.main()
