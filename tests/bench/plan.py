"""`sluice plan` over a whole fleet, beside one GROUP BY over the same tables in the sqlite3 shell
and the hashing of as many boxes (which percent waves cannot do without). Part of ledger.py, whose
fleet it looks at."""
import os
import subprocess

from figure import Figure
from pack import measure, read_once

ROUNDS = 3
FACTOR_MAX = 2
MEMORY_MIB_MAX = 200
HASHED_BYTES = 48  # salt, rollout and box

PLAN = """rollout: gateway-2.4.0
bundle: gateway-2.4.0.ota
compatible: [acme-gw3]
from: [">=2.1.0"]
match: {site: [lyon, paris, nice, lille]}
waves:
  - {name: canary, boxes: [gw-0000001, gw-0000002, gw-0000003], soak: 4h}
  - {name: early, percent: 5, soak: 24h}
  - {name: everyone, percent: 100}
"""
GROUPED = ("SELECT known.version, count(*) FROM box LEFT JOIN known ON known.box = box.id "
           "GROUP BY known.version")


def best(argv):
    """The least work of some rounds: (seconds of processor, MiB)."""
    runs = [measure(argv) for _ in range(ROUNDS)]
    return min(r.cpu_s for r in runs), max(r.peak_mib for r in runs)


def hashing_s(boxes):
    """What libcrypto needs for a bucket of every box."""
    said = subprocess.run(["openssl", "speed", "-seconds", "1", "-bytes", str(HASHED_BYTES), "-evp",
                           "sha256", "-mr"], capture_output=True, text=True, check=True).stdout
    rate = float(next(line for line in said.split("\n") if line.startswith("+F")).split(":")[-1])
    return boxes * HASHED_BYTES / rate


def figures(sluice, workspace, boxes, judged):
    """judged: with few boxes, what it takes to start a program counts."""
    path = os.path.join(workspace, "manifests", "rollouts", "bench.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write(PLAN)
    database = os.path.join(workspace, "fleet.db")
    read_once(database)
    name = f"sluice plan, {boxes} boxes"
    ours_s, peak_mib = best([sluice, "plan", path, "-w", workspace])
    grouped_s, _ = best(["sqlite3", database, GROUPED])
    hashed_s = hashing_s(boxes)
    allowed_s = FACTOR_MAX * grouped_s + hashed_s
    yield Figure(name, f"{ours_s:.2f} s of processor",
                 f"at most {allowed_s:.2f} s" if judged else "",
                 ours_s <= allowed_s if judged else None)
    yield Figure("  to compare: GROUP BY, sqlite3", f"{grouped_s:.2f} s")
    yield Figure("  to compare: hashing", f"{hashed_s:.2f} s")
    yield Figure("  its memory", f"{peak_mib:.0f} MiB", f"at most {MEMORY_MIB_MAX} MiB",
                 peak_mib <= MEMORY_MIB_MAX)
