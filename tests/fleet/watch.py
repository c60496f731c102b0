"""What a program's processes hold while they run: memory, and files outside their place."""
import collections
import os
import signal
import stat
import threading
import time

MIB = 1 << 20


def tree_of(pid):
    """A process and all below it, as they are now."""
    found, below = [], [pid]
    while below:
        pid = below.pop()
        found.append(pid)
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                below += [int(child) for child in f.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def memory_of(pid):
    """(PSS, RSS) of a process in bytes; nothing of one that has gone."""
    pss = rss = 0
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            for line in f:
                if line.startswith("Pss:"):
                    pss = int(line.split()[1]) << 10
                elif line.startswith("Rss:"):
                    rss = int(line.split()[1]) << 10
    except (FileNotFoundError, ProcessLookupError):
        pass
    return pss, rss


def files_of(pid):
    """(name, size) of the regular files that a process has open, those without a name too."""
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
    except (FileNotFoundError, ProcessLookupError):
        return
    for number in numbers:
        try:
            info = os.stat(f"{folder}/{number}")
            if stat.S_ISREG(info.st_mode):
                yield os.readlink(f"{folder}/{number}"), info.st_size
        except OSError:
            continue


def files_below(folder):
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            try:
                info = os.lstat(path)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(info.st_mode):
                yield path, info.st_size


class Watch(threading.Thread):
    """Looks at a process and its children every few milliseconds until it is told to stop.

    peak     the most PSS of all of them at one moment, and shares: {pid: its part of that}
    rss      the most RSS of all of them, which counts shared pages once for each
    most     the most processes that there were at one moment; one may have been alone at the peak
    samples  how often it looked
    large    {name: size} of files of at least large_min bytes that were seen outside `allowed`:
             open in one of the processes, or lying in `folders`
    """

    def __init__(self, pid, folders, allowed, large_min, every_s=0.005):
        super().__init__(daemon=True)
        self.pid, self.folders, self.large_min, self.every_s = pid, folders, large_min, every_s
        self.allowed = {os.path.realpath(path) for path in allowed}
        self.peak = self.rss = self.most = self.samples = 0
        self.shares, self.large = {}, {}
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(self.every_s):
            self.look()

    def look(self):
        pids = tree_of(self.pid)
        memory = {pid: memory_of(pid) for pid in pids}
        total = sum(pss for pss, _ in memory.values())
        if total > self.peak:
            self.peak = total
            self.shares = {pid: pss for pid, (pss, _) in memory.items() if pss}
        self.most = max(self.most, sum(1 for pss, _ in memory.values() if pss))
        self.rss = max(self.rss, sum(rss for _, rss in memory.values()))
        if self.samples % 20 == 0:
            for pid in pids:
                self.note(files_of(pid))
            self.look_at_folders()
        self.samples += 1

    def look_at_folders(self):
        for folder in self.folders:
            self.note(files_below(folder))

    def note(self, files):
        for name, size in files:
            if size >= self.large_min and os.path.realpath(name) not in self.allowed:
                self.large[name] = max(size, self.large.get(name, 0))

    def stop(self):
        self.ended.set()
        self.join()
        self.look_at_folders()

    def share_text(self):
        """ "10.2 + 6.1": the shares, the parent's first."""
        return " + ".join(f"{pss / MIB:.1f}" for _, pss in sorted(self.shares.items()))


Installed = collections.namedtuple("Installed", "watch cpu_s wall_s")


def watched_install(box, payload_bytes, timeout_s=600, watched=True):
    """Runs a box's agent until it has installed what is rolled out and asks for its reboot. What
    is as large as a sixteenth of the payload counts as a copy of it. Looking takes a fifth of a
    processor: who wants to know the time does without."""
    asked = box.path("reboot-requested")
    box.set({"boot": {"reboot": f"/usr/bin/touch {asked}"}})
    with open(box.path("agent.log"), "ab") as log:
        started = time.monotonic()
        pid = os.posix_spawn(box.programs.agent, box.agent_argv("run"), os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, log.fileno(), 1), (os.POSIX_SPAWN_DUP2, log.fileno(), 2)])
    watch = Watch(pid, [box.dir], [box.slot("A"), box.slot("B")], payload_bytes // 16)
    if watched:
        watch.start()
    try:
        while not os.path.exists(asked):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                pid = None
                raise RuntimeError(f"the agent ended with wait status {status}\n"
                                   f"{box.log()[-3000:]}")
            if time.monotonic() > started + timeout_s:
                raise TimeoutError(f"no reboot after {timeout_s} s\n{box.log()[-3000:]}")
            time.sleep(0.01)
        took = time.monotonic() - started
    finally:
        if watched:
            watch.stop()
        if pid:
            os.kill(pid, signal.SIGTERM)
            _, _, usage = os.wait4(pid, 0)
    return Installed(watch, usage.ru_utime + usage.ru_stime, took)
