"""Reports of a whole fleet into fleet.db beside what sqlite3's .import makes of the same rows,
judging a rollout from the counts that are kept beside counting anew, and looking at it all.

    make bench BENCH=ledger BOXES=1000000

is the size that the bars are for; it takes 10 to 20 minutes and 4 GB of disk, most of it for making
and signing the reports. The shell's .import opens no file for each report, parses none, checks no
signature and keeps no counts: each of these is printed apart.
"""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import time

import disk
import plan
from figure import Figure
from pack import measure

BOXES = int(os.environ.get("BOXES", 50000))
SLICE = 100000  # reports that lie in the spool at once
BATCH = 1000
DISK_BYTES = 2 << 30  # and for each box
BOX_BYTES = 8192
IMPORT_SHARE_MIN = 0.25
EVALUATION_RATIO_MAX = 1 / 20
MEMORY_MIB_MAX = 200
JUDGED_AT = 1000000  # boxes: with fewer, other things count
DAY_S = 86400
TABLES = ("report", "known", "participant")  # where a report leaves a row


class Tool:
    def __init__(self, build, folder):
        self.path = os.path.join(build, "tests", "tools", "ledger")
        self.folder = folder

    def begin(self, command, *numbers):
        return subprocess.Popen([self.path, command, self.folder, *map(str, numbers)],
                                stdout=subprocess.PIPE, text=True)

    def end(self, child):
        said = child.communicate()[0]
        if child.returncode != 0:
            raise SystemExit(f"bench: {' '.join(child.args)}: exit {child.returncode}")
        return json.loads(said) if said else None

    def __call__(self, command, *numbers):
        return self.end(self.begin(command, *numbers))

    def post(self, first, end, seq):
        middle = (first + end) // 2
        for child in [self.begin("post", first, middle, seq), self.begin("post", middle, end, seq)]:
            self.end(child)

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


def fleet_make(build, folder):
    """The workspace of a fleet, and a second one with a database of its own and the same spool."""
    whole, tables = (Tool(build, os.path.join(folder, name)) for name in ("ledger", "tables"))
    for tool in (whole, tables):
        shutil.rmtree(tool.folder, ignore_errors=True)
    measure([os.path.join(build, "sluice"), "init", whole.folder])
    whole("fill", BOXES)
    os.mkdir(tables.folder)
    shutil.copy(whole.database(), tables.database())
    os.symlink(os.path.join(whole.folder, "spool"), os.path.join(tables.folder, "spool"))
    return whole, tables


def ingest(whole, tables):
    """What came of it with signatures looked at, and without."""
    taken, entered = {}, {}
    for first in range(0, BOXES, SLICE):
        whole.post(first, min(first + SLICE, BOXES), 1)
        os.sync()  # what wrote the spool does not write to the disk while it is read
        add(entered, tables("enter"))
        add(taken, whole("drain"))
        whole.empty_spool()
    if (taken["taken"], entered["taken"]) != (BOXES, BOXES):
        raise SystemExit(f"bench: {taken['taken']} and {entered['taken']} of {BOXES} were taken")
    return taken, entered


def shell(database, *statements):
    subprocess.run(["sqlite3", database, *statements], stdout=subprocess.DEVNULL, check=True)


def table_import(database, table, order, folder):
    """Seconds that the sqlite3 shell takes for the rows of a table, in the order in which they
    came, into one like it."""
    rows, copy = os.path.join(folder, "rows.csv"), os.path.join(folder, "import.db")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(copy)
    with contextlib.closing(sqlite3.connect(database)) as db:
        made = [sql for (sql,) in db.execute(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL", (table,))]
    with open(rows, "wb") as f:
        subprocess.run(["sqlite3", "-csv", database, f"SELECT * FROM {table} ORDER BY {order}"],
                       stdout=f, check=True)
    shell(copy, "PRAGMA journal_mode = WAL", *made)
    started = time.monotonic()
    shell(copy, ".mode csv", f".import {rows} {table}")
    seconds = time.monotonic() - started
    with contextlib.closing(sqlite3.connect(copy)) as db:
        (count,), = db.execute(f"SELECT count(*) FROM {table}")
    os.unlink(copy)
    os.unlink(rows)
    if count != BOXES:
        raise SystemExit(f"bench: .import took {count} of {BOXES} rows of {table}")
    return seconds


def tables_import(database, folder):
    """The better of two times counts."""
    came = "(SELECT id FROM report WHERE report.box = {}.box)"
    return {t: min(table_import(database, t, "id" if t == "report" else came.format(t), folder)
                   for _ in range(2)) for t in TABLES}


def speed(seconds):
    return f"{BOXES / seconds:.0f} a second"


def ingest_figures(whole, tables, folder):
    taken, entered = ingest(whole, tables)
    shutil.rmtree(tables.folder)
    imported = tables_import(whole.database(), folder)
    all_s, one_s = sum(imported.values()), imported["report"]
    share = all_s / taken["wall_s"]
    verify_s = whole("verify")["verify_s"]
    yield Figure(f"{BOXES} reports' rows by .import", f"{speed(all_s)}; of table report alone "
                 f"{speed(one_s)}")
    yield Figure("ingest, signatures checked", f"{speed(taken['wall_s'])}, {100 * share:.0f}% of "
                 f"that; of table report alone {100 * one_s / taken['wall_s']:.0f}%",
                 *([f"at least {100 * IMPORT_SHARE_MIN:.0f}%", share >= IMPORT_SHARE_MIN]
                   if BOXES >= JUDGED_AT else []))
    yield Figure("  its processor, a report", f"{1e6 * taken['cpu_s'] / BOXES:.0f} µs, the "
                 f"signature {1e6 * verify_s:.0f} µs; {len(os.sched_getaffinity(0))} processors")
    yield Figure("  without signatures, one thread", speed(entered["wall_s"]))
    yield Figure("  writing tables alone", f"{speed(entered['tables_s'])}, "
                 f"{100 * one_s / entered['tables_s']:.0f}% of table report alone")
    yield Figure("  what one report a day asks for", f"{BOXES / DAY_S:.1f} a second")
    yield memory("ingest, memory", taken["peak_mib"])


def memory(name, peak_mib):
    return Figure(name, f"{peak_mib:.0f} MiB", f"at most {MEMORY_MIB_MAX} MiB",
                  peak_mib <= MEMORY_MIB_MAX)


def judging_figures(whole):
    whole.post(0, BATCH, 2)
    batch = whole("enter")
    whole.empty_spool()
    judged = whole("judge")
    kept_s = judged["kept_s"] + batch["hearing_s"]
    ratio = kept_s / judged["counted_s"]
    yield Figure(f"judging after {BATCH} reports", f"{1000 * kept_s:.1f} ms; counting anew "
                 f"{1000 * judged['counted_s']:.1f} ms, {100 * ratio:.1f}%",
                 *([f"at most {100 * EVALUATION_RATIO_MAX:.0f}%", ratio <= EVALUATION_RATIO_MAX]
                   if BOXES >= JUDGED_AT else []))


def looking_figures(build, whole):
    sluice, name = os.path.join(build, "sluice"), f"gw-{BOXES // 2:07d}"
    for argv in (["status"], ["boxes"], ["boxes", "--state", "confirmed"], ["box", "show", name]):
        done = measure([sluice, *argv, "-w", whole.folder])
        yield Figure(f"sluice {' '.join(argv)}", f"{done.wall_s:.2f} s, {done.peak_mib:.0f} MiB",
                     f"at most {MEMORY_MIB_MAX} MiB", done.peak_mib <= MEMORY_MIB_MAX)
    yield from plan.figures(sluice, whole.folder, BOXES, BOXES >= JUDGED_AT)


def run(build, folder):
    if not shutil.which("sqlite3"):
        raise SystemExit("bench: the sqlite3 shell is missing: apt-get install sqlite3")
    with disk.made(folder, DISK_BYTES + BOXES * BOX_BYTES) as (there, what):
        yield Figure("fleet.db and the spool lie on", what)
        yield from figures(build, there)


def figures(build, folder):
    whole, tables = fleet_make(build, folder)
    yield from ingest_figures(whole, tables, folder)
    yield from judging_figures(whole)
    yield from looking_figures(build, whole)
    begun = whole("begin")
    yield Figure("a plan followed after its reports", f"{begun['wall_s']:.1f} s")
    yield memory("  its memory", begun["peak_mib"])
    shutil.rmtree(whole.folder)
