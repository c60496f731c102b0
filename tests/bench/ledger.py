"""Reports of a whole fleet into fleet.db beside what sqlite3's .import makes of the same rows, and
judging a rollout from the counts that are kept beside counting anew.

BOXES=1000000 is the size that the bars are for. The shell's .import neither opens a file for each
report nor parses one, checks no signature and keeps nothing up to date beside the rows: what it is
comparable with is the part of ingest that writes the tables. The whole of it is printed too.
"""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import time

from figure import Figure

BOXES = int(os.environ.get("BOXES", 50000))
SLICE = 100000  # reports that lie in the spool at once
BATCH = 1000
IMPORT_SHARE_MIN = 0.25
EVALUATION_RATIO_MAX = 1 / 20
MEMORY_MIB_MAX = 200
JUDGED_AT = 1000000  # boxes: fewer are counted anew in no time


class Tool:
    def __init__(self, build, folder):
        self.path = os.path.join(build, "tests", "tools", "ledger")
        self.folder = folder

    def __call__(self, command, *numbers):
        done = subprocess.run([self.path, command, self.folder, *map(str, numbers)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"bench: ledger {command}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout else None

    def empty_spool(self):
        shutil.rmtree(os.path.join(self.folder, "spool"))
        os.mkdir(os.path.join(self.folder, "spool"))

    def database(self):
        return os.path.join(self.folder, "fleet.db")


def add(sum_of, result):
    """Adds up times and counts; of memory the most counts."""
    for name, value in result.items():
        sum_of[name] = max(sum_of.get(name, 0), value) if name == "peak_mib" else (
            sum_of.get(name, 0) + value)


def fresh(build, folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    tool = Tool(build, folder)
    tool("fill", BOXES)
    return tool


def ingest(tool, seq, command="drain"):
    sums = {}
    for first in range(0, BOXES, SLICE):
        tool("post", first, min(first + SLICE, BOXES), seq)
        add(sums, tool(command))
        tool.empty_spool()
    if sums["taken"] != BOXES:
        raise SystemExit(f"bench: {sums['taken']} of {BOXES} reports were taken")
    return sums


def shell_import(database, folder):
    """Seconds that the sqlite3 shell takes for the rows of table report, in the order in which they
    came, into a table like it."""
    rows, copy = os.path.join(folder, "rows.csv"), os.path.join(folder, "import.db")
    with contextlib.closing(sqlite3.connect(database)) as db:
        (table,), = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'report'")
    with open(rows, "wb") as f:
        subprocess.run(["sqlite3", "-csv", database, "SELECT * FROM report ORDER BY id"], stdout=f,
                       check=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(copy)
    subprocess.run(["sqlite3", copy, "PRAGMA journal_mode = WAL", table],
                   stdout=subprocess.DEVNULL, check=True)
    started = time.monotonic()
    subprocess.run(["sqlite3", copy, ".mode csv", f".import {rows} report"], check=True)
    seconds = time.monotonic() - started
    with contextlib.closing(sqlite3.connect(copy)) as db:
        (count,), = db.execute("SELECT count(*) FROM report")
    if count != BOXES:
        raise SystemExit(f"bench: .import took {count} of {BOXES} rows")
    return seconds


def speed(count, seconds):
    return f"{count / seconds:.0f} a second"


def run(build, folder):
    if not shutil.which("sqlite3"):
        raise SystemExit("bench: the sqlite3 shell is missing: apt-get install sqlite3")
    unchecked = fresh(build, os.path.join(folder, "ledger-unchecked"))
    tables = ingest(unchecked, 1, "enter")
    import_s = shell_import(unchecked.database(), folder)
    shutil.rmtree(unchecked.folder)

    whole = fresh(build, os.path.join(folder, "ledger"))
    sums = ingest(whole, 1)
    whole("post", 0, BATCH, 2)
    batch = whole("enter")
    whole.empty_spool()
    judged = whole("judge")
    kept_s = judged["kept_s"] + batch["hearing_s"]
    ratio = kept_s / judged["counted_s"]
    peak = max(sums["peak_mib"], judged["peak_mib"])
    shutil.rmtree(whole.folder)
    share = import_s / tables["tables_s"]
    return [
        Figure(f"{BOXES} rows by the shell's .import", speed(BOXES, import_s)),
        Figure("reports into all tables", f"{speed(BOXES, tables['tables_s'])}, "
               f"{100 * share:.0f}% of that", f"at least {100 * IMPORT_SHARE_MIN:.0f}%",
               share >= IMPORT_SHARE_MIN),
        Figure("with files and JSON, one thread", f"{speed(BOXES, tables['wall_s'])}, "
               f"{100 * import_s / tables['wall_s']:.0f}%"),
        Figure("all of it, signatures too", f"{speed(BOXES, sums['wall_s'])}, "
               f"{100 * import_s / sums['wall_s']:.0f}%, "
               f"{1e6 * sums['cpu_s'] / BOXES:.0f} µs of CPU each"),
        Figure(f"judging after {BATCH} reports", f"{1000 * kept_s:.1f} ms; counting anew "
               f"{1000 * judged['counted_s']:.1f} ms, {100 * ratio:.1f}%",
               *([f"at most {100 * EVALUATION_RATIO_MAX:.0f}%", ratio <= EVALUATION_RATIO_MAX]
                 if BOXES >= JUDGED_AT else [])),
        Figure("memory", f"{peak:.0f} MiB", f"at most {MEMORY_MIB_MAX} MiB",
               peak <= MEMORY_MIB_MAX),
    ]
