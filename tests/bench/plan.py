"""`sluice plan` over a whole fleet, beside one GROUP BY over the same tables in the sqlite3 shell
and the hashing of as many boxes (which percent waves cannot do without).

BOXES=1000000 is the size that the bars are for. The fleet is written as its rows, not through
reports: what is measured here only reads them.
"""
import json
import os
import random
import shutil
import sqlite3
import subprocess

from figure import Figure
from pack import measure, read_once

BOXES = int(os.environ.get("BOXES", 50000))
JUDGED_AT = 1000000  # boxes: with fewer, what it takes to start a program counts
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


def insert(db, table, rows):
    """rows: dicts; columns that they leave out are empty."""
    columns = [(r[1], 0 if r[2] == "INTEGER" else "") for r in
               db.execute(f"PRAGMA table_info({table})")]
    db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(columns))})",
                   ([row.get(name, empty) for name, empty in columns] for row in rows))


def fleet_make(workspace):
    pick = random.Random(4)
    tags = [json.dumps({"ring": r, "site": s}, sort_keys=True, separators=(",", ":"))
            for r in "abcd" for s in ("lyon", "paris", "nice", "lille", "brest")]
    running = [f"{n:064x}" for n in range(4)]
    db = sqlite3.connect(os.path.join(workspace, "fleet.db"))
    with db:
        insert(db, "box", ({"id": n, "name": f"gw-{n:07d}", "compatible": "acme-gw3",
                            "tags": pick.choice(tags), "report_key": "{}"}
                           for n in range(1, BOXES + 1)))
        insert(db, "known", ({"box": n, "seq": 1, "heard_s": 1, "compatible": "acme-gw3",
                              "tags": pick.choice(tags), "running": pick.choice(running),
                              "version": f"2.{pick.randrange(1, 4)}.0",
                              "plan": "rollouts/stable.json"} for n in range(1, BOXES + 1)))
    db.close()


def best(argv):
    """The least work of some rounds: (seconds of processor, MiB)."""
    runs = [measure(argv) for _ in range(ROUNDS)]
    return min(r.cpu_s for r in runs), max(r.peak_mib for r in runs)


def hashing_s():
    """What libcrypto needs for a bucket of every box."""
    said = subprocess.run(["openssl", "speed", "-seconds", "1", "-bytes", str(HASHED_BYTES), "-evp",
                           "sha256", "-mr"], capture_output=True, text=True, check=True).stdout
    rate = float(next(line for line in said.split("\n") if line.startswith("+F")).split(":")[-1])
    return BOXES * HASHED_BYTES / rate


def run(build, folder):
    workspace = os.path.join(folder, "plan")
    shutil.rmtree(workspace, ignore_errors=True)
    sluice = os.path.join(build, "sluice")
    measure([sluice, "init", workspace])
    fleet_make(workspace)
    path = os.path.join(workspace, "manifests", "rollouts", "bench.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write(PLAN)
    database = os.path.join(workspace, "fleet.db")
    read_once(database)
    name = f"plan, {BOXES} boxes"
    ours_s, peak_mib = best([sluice, "plan", path, "-w", workspace])
    grouped_s, _ = best(["sqlite3", database, GROUPED])
    hashed_s = hashing_s()
    allowed_s = FACTOR_MAX * grouped_s + hashed_s
    judged = BOXES >= JUDGED_AT
    yield Figure(name, f"{ours_s:.2f} s of processor",
                 f"at most {allowed_s:.2f} s" if judged else "",
                 ours_s <= allowed_s if judged else None)
    yield Figure("  to compare: GROUP BY, sqlite3", f"{grouped_s:.2f} s")
    yield Figure("  to compare: hashing", f"{hashed_s:.2f} s")
    yield Figure(f"{name}, memory", f"{peak_mib:.1f} MiB RSS", f"at most {MEMORY_MIB_MAX} MiB",
                 peak_mib <= MEMORY_MIB_MAX)
    shutil.rmtree(workspace)
