"""A box to which nothing is new: what its polls cost on the line, what memory its agent holds
meanwhile, and how the polls of many boxes that were started together are spread.

Bytes are IP bytes both ways, as the counters of a network interface have them (fleet/line.py), from
the first packet of a connection to its last where it is a new one.
"""
import contextlib
import os
import shutil
import signal
import statistics
import struct
import subprocess
import time

from figure import Figure
from fleet import Box, Nginx, Workspace, free_port, make_image, wait_until
from fleet.chi import evenness
from fleet.line import Line, private_network
from fleet.watch import MIB

KEPT_MAX, RESUMED_MAX, PSS_MAX = 900, 3200, 8 * MIB
POLLS = 10
P_MIN = 1e-6
BOXES, POLL_S, BINS = 1000, 900, 50
AGENTS, AGENTS_POLL_S, AGENTS_BINS = 100, 60, 10
NAME = "gw-000001"


def make_fleet(folder):
    """A workspace, and a box that runs what is rolled out."""
    workspace = Workspace(os.path.join(folder, "fleet"), free_port()).init().ceremony()
    image = make_image(os.path.join(folder, "1.0.0.img"), "1.0.0")
    bundle = workspace.pack("1.0.0", image)
    workspace.roll_out(bundle, [("all", "100%")])
    box = Box(workspace, NAME, image)
    box.factory_install(bundle)
    return workspace, box


def bytes_figure(name, polls, most=None, peers=""):
    sizes = [poll.bytes for poll in polls]
    value = f"{statistics.mean(sizes):.0f} bytes, at most {max(sizes)}; " \
        f"{statistics.mean(poll.packets for poll in polls):.0f} packets"
    if any(poll.requests != [404, 304] for poll in polls):
        raise SystemExit(f"bench: polls were not about nothing new: {polls}")
    if most is None:
        return Figure(name, value)
    return Figure(name, value, f"at most {most}; {peers}", max(sizes) <= most)


@contextlib.contextmanager
def served(nginx, box, directives, without=""):
    """A line between the box and a server with these directives, and some less."""
    made = nginx.made
    nginx.made = made.replace(without, "")
    nginx.set(directives)
    line = Line(nginx, box)
    try:
        with nginx:
            line.start()
            yield line
    finally:
        box.stop()
        nginx.made = made


def alone_bytes(pids):
    """What the processes would take if nothing else used their libraries: each page of memory that
    one of them has, once."""
    page, frames = os.sysconf("SC_PAGESIZE"), set()
    for pid in pids:
        with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
                open(f"/proc/{pid}/pagemap", "rb") as pagemap:
            for line in maps:
                first, last = (int(n, 16) // page for n in line.split()[0].split("-"))
                if last >= 1 << 48:  # the kernel's own page
                    continue
                pagemap.seek(first * 8)
                found = pagemap.read((last - first) * 8)
                frames |= {n & (1 << 55) - 1 for n, in struct.iter_unpack("Q", found) if n >> 63}
    return len(frames) * page


def cost(folder):
    with private_network():
        workspace, box = make_fleet(folder)
        nginx = Nginx(workspace)
        with served(nginx, box, "") as line:
            yield bytes_figure("poll, kept connection", line.polls(POLLS), KEPT_MAX,
                               "SWUpdate 600, mender 1100")
            memory = line.idle_pss()
            total, shares = sum(memory.values()), sorted(memory.values(), reverse=True)
            yield Figure("idle agent, memory", f"{total / MIB:.1f} MiB PSS ("
                         f"{' + '.join(f'{share / MIB:.1f}' for share in shares)})",
                         f"at most {PSS_MAX / MIB:.0f} MiB; RAUC's service 11, SWUpdate 15, "
                         "mender 28", total <= PSS_MAX and len(shares) == 2)
            yield Figure("  were its libraries nobody else's", f"{alone_bytes(memory) / MIB:.1f} "
                         "MiB")
        with served(nginx, box, "keepalive_timeout 1s;") as line:
            polls = line.polls(POLLS, idle_s=1)
            if not all(nginx.resumed()[-2 * POLLS:]):
                raise SystemExit("bench: not every session was resumed")
            yield bytes_figure("poll, new connection, TLS resumed", polls, RESUMED_MAX,
                               "SWUpdate 2900 without client certificate, mender 3700")
        sessions = f"    include {workspace.path('nginx', 'sessions.conf')};\n"
        with served(nginx, box, "keepalive_timeout 1s; ssl_session_cache off;", sessions) as line:
            yield bytes_figure("  with a whole handshake", line.polls(POLLS, idle_s=1))


def spread_figure(name, values, end, bins):
    e = evenness(values, end, bins)
    return Figure(name, f"chi-square {e.chi_square:.1f} with {e.freedom} degrees of freedom, p = "
                  f"{e.p:.3g}", f"p at least {P_MIN:g}", e.p >= P_MIN)


def spread(build):
    """By the agent's own arithmetic. A sum of waits that are even over the interval is even over it
    again, once whole intervals are taken off: so later polls are judged like the first."""
    said = subprocess.run([os.path.join(build, "tests", "tools", "pace"), str(BOXES), str(POLL_S),
                           "20"], capture_output=True, text=True, check=True).stdout
    boxes = [[int(n) / 1000 for n in line.split()] for line in said.splitlines()]
    name = f"polls of {BOXES} boxes, started together"
    yield spread_figure(f"{name}, first", [box[0] for box in boxes], POLL_S, BINS)
    for k in (1, 19):
        yield spread_figure(f"  number {k + 1}", [box[k] % POLL_S for box in boxes], POLL_S, BINS)
    late = [at for box in boxes for at in box if 4 * POLL_S <= at < 5 * POLL_S]
    busiest = max(sum(1 for at in late if second <= at - 4 * POLL_S < second + 10)
                  for second in range(0, POLL_S, 10))
    yield Figure("  busiest 10 s of the fifth interval", f"{busiest} polls, "
                 f"{len(late) * 10 / POLL_S:.0f} on average")


def clone(box, folder):
    """Another box like this one, of the same name: its agent has a state of its own."""
    shutil.copytree(box.dir, folder, symlinks=True)
    for name in ("agent.conf", "boot.env"):
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8") as f:
            text = f.read().replace(box.dir, folder)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return [box.programs.agent, "-c", os.path.join(folder, "agent.conf"), "run"]


def first_polls(nginx):
    """When each connection asked first, as seconds since the epoch."""
    first = {}
    for line in nginx.log().splitlines():
        connection, at = line.split()[-2:]
        first.setdefault(connection, float(at))
    return list(first.values())


def agents(folder):
    workspace, box = make_fleet(folder)
    box.set({"intervals": {"poll": f"{AGENTS_POLL_S}s"}})
    commands = [clone(box, os.path.join(folder, f"box-{i}")) for i in range(AGENTS)]
    running = []
    with Nginx(workspace, "keepalive_timeout 5m;") as nginx:
        began = time.time()
        try:
            for argv in commands:
                running.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
            took = time.time() - began
            wait_until(lambda: len(first_polls(nginx)) >= AGENTS, AGENTS_POLL_S + 20)
        finally:
            for agent in running:
                agent.send_signal(signal.SIGTERM)
            for agent in running:
                agent.wait(30)
        polls = [at - began for at in first_polls(nginx)]
    yield spread_figure(f"first requests of {AGENTS} agents, a report waiting in each", polls,
                        AGENTS_POLL_S + took, AGENTS_BINS)


def run(build, folder):
    os.environ["SLUICE_BUILD"] = build
    folder = os.path.join(folder, "poll")
    for part in (cost, agents):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        yield from part(folder)
    yield from spread(build)
    shutil.rmtree(folder)
