"""Reports as they lie in the spool, and whether a box has signed them, as its fleet knows it."""
import contextlib
import ctypes
import json
import os
import sqlite3

from fleet.key import SODIUM, canonical


def spooled(workspace):
    """Whole reports, signatures and all: {file name: report}."""
    found = {}
    for name in os.listdir(workspace.path("spool")):
        try:
            with open(workspace.path("spool", name), encoding="utf-8") as f:
                found[name] = json.load(f)
        except (OSError, ValueError):
            continue  # it is being written
    return found


def report_key(workspace, box):
    """The public report key that the fleet's data base has of a box, raw."""
    with contextlib.closing(sqlite3.connect(workspace.path("fleet.db"))) as db:
        (key,), = db.execute("SELECT report_key FROM box WHERE name = ?", (box,))
    return bytes.fromhex(json.loads(key)["keyval"]["public"])


def is_signed_by(workspace, report, box):
    """Whether one of its signatures is by the box that it says it is of."""
    message = canonical(report["signed"]).encode()
    return report["signed"]["box"] == box and any(
        SODIUM.crypto_sign_verify_detached(bytes.fromhex(s["sig"]), message,
                                           ctypes.c_ulonglong(len(message)),
                                           report_key(workspace, box)) == 0
        for s in report["signatures"])
