"""What a plan's rule for stopping comes to, beside hawkBit's in the same simulation: boxes touched
by a bad release, and good releases that are stopped. 1000 boxes over 24 hours, a threshold of 5%,
60 seeds; the same figures on every machine."""
import json
import os
import subprocess

from figure import Figure

BOXES = 1000
SEEDS = 60
PLAN = """rollout: gateway-2.4.0
bundle: gateway-2.4.0.ota
compatible: [acme-gw3]
waves: [{name: everyone, percent: 100}]
stop: {failures: 5%, at_least: 3, overdue_after: 45m}
deadline: 10m
"""
# What boxes do, with shares in hundredths of a percent: how many fail and fall silent.
CASES = (("10% failing", 1000, 0, 130), ("30% silent", 0, 3000, 65), ("2.5% failing", 250, 0, None))


def said(argv):
    return json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)


def touched(stopped, median):
    return f"{median} boxes" if stopped == SEEDS else \
        f"stopped {stopped} of {SEEDS} times" if stopped else "never stopped"


def run(build, folder):
    path = os.path.join(folder, "simulate.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write(PLAN)
    for name, failing, silent, touched_max in CASES:
        ours = said([os.path.join(build, "sluice"), "simulate", path, "--json", "--boxes",
                     str(BOXES), "--seeds", str(SEEDS), "--over", "24h", "--failing",
                     f"{failing / 100:g}%", "--bricking", f"{silent / 100:g}%"])
        theirs = said([os.path.join(build, "tests", "tools", "rival"), path, str(BOXES),
                       str(failing), str(silent), str(SEEDS)])
        stopped, median = ours["stopped"], ours["started"]["median"]
        if touched_max:
            yield Figure(f"{name}: touched, median", touched(stopped, median),
                         f"always stopped, at most {touched_max}",
                         stopped == SEEDS and median <= touched_max)
            yield Figure("  to compare: hawkBit's rule",
                         touched(theirs["stopped"], theirs["median"]))
        else:
            yield Figure(f"{name}: stopped by mistake", f"{100 * stopped / SEEDS:.1f}%",
                         "at most 3%", 100 * stopped <= 3 * SEEDS)
            yield Figure("  to compare: hawkBit's rule", f"{100 * theirs['stopped'] / SEEDS:.1f}%")
