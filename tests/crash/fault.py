"""One run of a program with one fault put into it by strace.

The fault is put in at the N-th call of one name, counted in each thread by itself (strace does):
where several make such calls, each of them that comes to its N-th meets the fault. KILL comes
before the call is made; an error stands for the call, which is not made.
"""
import collections
import os
import re
import subprocess
import tempfile

from recorder import environment, joined

# All by which a program changes what is on a disk, or makes a change last.
CALLS = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range", "sendfile",
         "fsync", "fdatasync", "syncfs", "sync_file_range", "rename", "renameat", "renameat2",
         "unlink", "unlinkat", "rmdir", "ioctl", "fallocate", "ftruncate", "mkdir", "mkdirat",
         "symlink", "symlinkat", "linkat", "fchmod", "fchmodat", "fchown", "fchownat", "fsetxattr",
         "utimensat")
BATCHES = ("pwritev2", "pwritev", "pwrite64")    # how slots are written, whichever it is
KILL, EIO, ENOSPC = "KILL", "EIO", "ENOSPC"
EFFECTS = {KILL: "signal=KILL", EIO: "error=EIO", ENOSPC: "error=ENOSPC"}
SAYS = {EIO: "Input/output error", ENOSPC: "No space left on device"}
FAR_S = 120    # the end of a program that hangs; how fast the machine is does not matter

Ended = collections.namedtuple("Ended", "status said hits")


def strace(log, call=None, effect=None, when=1):
    """The words before a program's own. Faults in no call: only counts."""
    if call is None:
        return ["strace", "-f", "-q", "--seccomp-bpf", "-y", "-s", "0", "-e", "signal=none", "-e",
                "trace=" + ",".join(CALLS), "-o", log, "--"]
    # Under --seccomp-bpf strace 6.1 delivers no signal.
    quick = [] if effect == KILL else ["--seccomp-bpf"]
    return ["strace", "-f", "-q", *quick, "-y", "-s", "0", "-e", "trace=" + call, "-e",
            f"inject={call}:{EFFECTS[effect]}:when={when}", "-o", log, "--"]


def count(lines):
    """{call: the most that one thread made of it}"""
    each = collections.Counter()
    for line in lines:
        match = re.match(r"^(\d+) +(\w+)\(", line)
        if match:
            each[match[1], match[2]] += 1
    most = {}
    for (_, call), n in each.items():
        most[call] = max(most.get(call, 0), n)
    return {call: most[call] for call in CALLS if call in most}


def hits(lines):
    """The calls that met the fault, as strace wrote them. A call that a process was killed before
    has no result; one that others kill, as an agent ends its network child, was in none of them."""
    found = [line for line in joined(lines) if "(INJECTED)" in line]
    lines = [line.strip() for line in lines]
    for pid in {line.split()[0] for line in lines if line.endswith("+++ killed by SIGKILL +++")}:
        last = [line for line in lines if line.split()[0] == pid and "(" in line][-1:]
        found += [line for line in last if line.endswith(("= ?", "<unfinished ...>"))]
    return found


def places(hit):
    """What a call was made on, as a message may name it: a file, its folder, a slot."""
    found = set()
    for path in re.findall(r'(?:"|<)(/[^">]*)', hit):
        name = re.sub(r"\.[A-Za-z0-9]{6}$", "", os.path.basename(path))
        found |= {name, os.path.dirname(path), path}
        if re.search(r"rootfs-b\.img$|^/dev/loop", path):
            found.add("rootfs B")
    return found | set(re.findall(r'"([^/"]+)"', hit))


def run(argv, cwd, env, call=None, effect=None, when=1):
    """Runs it to its end."""
    with tempfile.NamedTemporaryFile("r", errors="surrogateescape",
                                     dir=os.path.dirname(cwd)) as log:
        done = subprocess.run(strace(log.name, call, effect, when) + argv, cwd=cwd,
                              env=environment(env), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", timeout=FAR_S, check=False)
        lines = log.readlines()
    if call is None:
        return count(lines)
    return Ended(done.returncode, done.stderr, hits(lines))
