"""How large the programs are, what they need beside them, and what the agent takes of memory.

A box has the agent and the libraries that `ldd` names: those that its system has anyway cost
nothing more. Memory is PSS, summed over the agent's processes (install.py and poll.py say more).
"""
import os
import re
import shutil
import subprocess

import install
import poll
from figure import Figure
from fleet import Box, Nginx, Workspace, free_port, make_image
from fleet.line import Line, private_network
from fleet.watch import MIB, watched_install

AGENT_MAX = 400_000
PEERS = "as Debian 12 has them, RAUC 1.8 354, SWUpdate 2022.12 613, Mender 3.4 10 275"
SIZE_MIB = 64


def stripped_size(program, folder):
    """As a package has it."""
    copy = os.path.join(folder, os.path.basename(program))
    subprocess.run(["strip", "--strip-unneeded", "-o", copy, program], check=True)
    return os.path.getsize(copy)


def libraries(program):
    """Every shared library that a program is started with, however far behind: {path: bytes}."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    if "not found" in said:
        raise SystemExit(f"bench: {program} cannot start here\n{said}")
    paths = {os.path.realpath(path) for path in re.findall(r"(/\S+) \(0x", said)}
    return {path: os.path.getsize(path) for path in paths}


def weigh(program, folder, most=None):
    name, size = os.path.basename(program), stripped_size(program, folder)
    bar = (f"at most {most // 1000} KB; {PEERS}", size <= most) if most else ()
    yield Figure(f"{name}, stripped", f"{size / 1000:.0f} KB", *bar)
    needed = libraries(program)
    yield Figure("  its shared libraries", f"{len(needed)}, {sum(needed.values()) / 1e6:.1f} MB")


def idle(folder):
    """Of an agent to which nothing is new."""
    with private_network():
        workspace, box = poll.make_fleet(folder)
        with Nginx(workspace) as nginx:
            line = Line(nginx, box)
            try:
                line.start()
                memory = line.idle_pss()
            finally:
                box.stop()
    total = sum(memory.values())
    yield Figure("agent, idle", f"{total / MIB:.1f} MiB PSS", f"at most {poll.PSS_MAX / MIB:.0f} "
                 "MiB", total <= poll.PSS_MAX and len(memory) == 2)


def peak(folder):
    """Of one that installs, from its first poll to the reboot that it asks for."""
    workspace = Workspace(os.path.join(folder, "fleet"), free_port()).init().ceremony()
    image = install.make_mixed(os.path.join(folder, "new.img"), SIZE_MIB)
    old = make_image(os.path.join(folder, "old.img"), "1.0", MIB)
    workspace.roll_out(workspace.pack("2.0", image), [("all", "100%")])
    with Nginx(workspace):
        box = Box(workspace, poll.NAME, old, slot_size=SIZE_MIB * MIB)
        watch = watched_install(box, SIZE_MIB * MIB).watch
    yield Figure(f"agent, installing {SIZE_MIB} MiB", f"{watch.peak / MIB:.1f} MiB PSS at most "
                 f"({watch.share_text()})", f"at most {install.PSS_MAX / MIB:.0f} MiB",
                 watch.peak <= install.PSS_MAX)


def run(build, folder):
    os.environ["SLUICE_BUILD"] = build
    folder = os.path.join(folder, "size")
    os.makedirs(folder, exist_ok=True)
    yield from weigh(os.path.join(build, "sluice"), folder)
    yield from weigh(os.path.join(build, "sluice-agent"), folder, AGENT_MAX)
    yield from weigh(os.path.join(build, "sluice-net"), folder)
    for part in (idle, peak):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        yield from part(folder)
    shutil.rmtree(folder)
