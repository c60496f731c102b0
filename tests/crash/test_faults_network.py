"""The same faults for the daemon, which fetches an update from nginx over loopback, reboots,
confirms and reports by itself: `sluice-agent run` and its network child, both under strace.

Where the child alone is killed, or an error ends one step, the daemon goes on by itself, or ends
and is started again; the update comes to its end without a hand. Of what the slot holds already,
when it is started again, nothing is fetched once more: the bundle's bytes that nginx sends it then,
by its log, are at most the head, the stored chunks that were wrong in the slot, and 900 bytes
between two of them where that is less than one more range. What a kill wastes is what was fetched
and not written: at most the ranges that were open (four) and the batches not written yet.
"""
import glob
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import fault  # noqa: E402
from fault import EIO, ENOSPC, KILL  # noqa: E402
from fleet import Nginx, wait_until  # noqa: E402
from fleet.box import CHUNK, is_program  # noqa: E402
from fleet.watch import tree_of  # noqa: E402
from scene import NEW, OLD, Broken, Releases, Subject, in_memory  # noqa: E402
from trying import PLAIN, NotMet, Phase, Trier, report  # noqa: E402

TAKES_S = 30
WHOLE_S = 7200    # some hundred updates under strace
CHUNKS = 12
ENTRY = "<32sI"
PAGE = 64  # entries
GAP_BYTES = 900  # of a chunk that is right and costs less than a range of its own (ranges.h)
ENOUGH = 3       # faults of one run
BOOTS_MAX = 8    # that an update takes, counted generously


class Daemon(Subject):
    """A box whose agent is started at each boot, and ends at each reboot."""

    def __init__(self, releases, name, nginx):
        self.nginx = nginx
        self.stored, self.head = stored_sizes(releases.bundles[NEW])
        super().__init__(releases, name)

    def prepare(self):
        super().prepare()
        self.box.script("reboot", "kill -TERM $PPID\n")
        self.box.set({"boot": {"reboot": self.box.path("reboot")}})

    def keep(self, name):
        """With what the server knows of it."""
        to = super().keep(name)
        os.makedirs(to + ".reports", exist_ok=True)
        for path in self.reports():
            shutil.copy(path, to + ".reports")
        return to

    def put_back(self, kept):
        super().put_back(kept)
        for path in self.reports():
            os.unlink(path)
        shutil.copytree(kept + ".reports", self.ws.path("spool"), dirs_exist_ok=True)

    def reports(self):
        """Those that the server has of this box."""
        return glob.glob(self.ws.path("spool", f"{self.box.name}@*.json"))

    def told(self, version):
        return super().told(version) or any(
            r["bundle"].endswith(f"-{version}.ota") for r in self.ws.reports(self.box.name))

    def has_ended(self):
        """How the update ended has come in: nothing is left to do."""
        return any(r["outcome"] != "none" and r["bundle"].endswith(f"-{NEW}.ota")
                   for r in self.ws.reports(self.box.name))

    def run(self, *fault_words):
        """One life of its agent, which ends at a reboot, by a fault, or as all is done."""
        kept = {"mode": "r", "dir": self.releases.folder}
        with tempfile.NamedTemporaryFile(errors="surrogateescape", **kept) as log, \
                tempfile.NamedTemporaryFile(errors="replace", **kept) as said:
            argv = self.box.agent_argv("run")
            if fault_words:
                argv = fault.strace(log.name, *fault_words[1:]) + argv
            process = subprocess.Popen(argv, cwd=self.box.dir, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=open(said.name, "w"),
                                       env=fault.environment(os.environ))
            try:
                self.see_to(process, said.name, log)
            finally:
                for pid in reversed(tree_of(process.pid)) if process.poll() is None else ():
                    os.kill(pid, 9)
                process.wait()
            log.seek(0)
            lines = log.readlines()
            return fault.Ended(process.returncode, said.read(), fault.hits(lines)), lines

    def see_to(self, process, said, log):
        """It polls at once, and is ended once the update has, or once a fault that meets each of
        its threads anew has been met often enough."""
        told, met = set(), 0

        def over():
            with open(said, encoding="utf-8", errors="replace") as f:
                text = f.read()
            nonlocal met
            met += log.read().count("(INJECTED)")
            for word, number, true in (("poll", 1, " follows " in text),
                                       ("end", 15, met >= ENOUGH or self.has_ended())):
                if true and word not in told:
                    for pid in self.agents(process)[:1]:
                        told.add(word)
                        os.kill(pid, number)
            return process.poll() is not None

        try:
            wait_until(over, fault.FAR_S, every_s=0.02)
        except TimeoutError as late:
            with open(said, encoding="utf-8", errors="replace") as f:
                raise Broken(f"its agent does not end, having been asked to {told}: {f.read()}\n"
                             f"{os.listdir(self.box.path('state', 'spool'))} {self.reports()}\n"
                             f"{self.nginx.requests(self.box.name)[-30:]}") from late

    def agents(self, process):
        return [pid for pid in tree_of(process.pid) if is_program(pid, self.box.programs.agent)]

    def fetched(self, mark):
        """Bytes of the bundle that nginx has sent it since its log was so long."""
        return sum(size for method, path, _, size in self.nginx.requests(self.box.name)[mark:]
                   if method == "GET" and path.endswith(".ota"))

    def lacking(self):
        """Stored bytes of the chunks that are wrong in the slot."""
        with open(self.box.slot(self.box.other_side()), "rb") as f:
            return sum(size for good, size in zip(self.releases.chunks[NEW], self.stored)
                       if f.read(CHUNK) != good)

    def survive(self, reboot=True):
        """Started again as often as it takes, it ends with the new one confirmed and reported."""
        self.look()
        lacking, mark = self.lacking(), len(self.nginx.requests(self.box.name))
        installing = self.running() == OLD
        said = ""
        for boot in range(BOOTS_MAX):
            if boot or reboot:
                self.restart()
            if self.has_ended() and self.box.runs(self.images[NEW]):
                break
            ended, _ = self.run()
            said += ended.said
            self.look()
        else:
            raise Broken(f"not done after {BOOTS_MAX} boots: {said}")
        fetched = self.fetched(mark)
        if installing and fetched > self.head + lacking + GAP_BYTES * (CHUNKS - 1):
            raise Broken(f"{lacking} stored bytes were lacking and a head of {self.head}, and "
                         f"{fetched} were fetched: {said}")
        outcomes = [r["outcome"] for r in self.ws.reports(self.box.name)
                    if r["outcome"] != "none" and r["bundle"].endswith(f"-{NEW}.ota")]
        if outcomes != ["ok"]:
            raise Broken(f"it reports {outcomes}: {said}")
        self.confirmed()


def stored_sizes(bundle):
    """The stored bytes of each chunk, and of the head."""
    with tarfile.open(bundle) as tar:
        index = tar.extractfile("rootfs.index").read()
        stored = tar.extractfile("rootfs.stored").read()
        head = tar.getmember("rootfs.data").offset
    sizes = []
    for number, (_, plain) in enumerate(struct.iter_unpack(ENTRY, index[32:])):
        at = 8 * (number // PAGE + 1) + 52 * number
        size = struct.unpack_from("<I", stored, at + 48)[0]
        sizes += [0] * (plain % 2 ** 31) if plain >> 31 else [size]
    return sizes, head


INSTALL = Phase("run, install", None, "factory", None, "survive")
RESUME = Phase("run, resume", None, "half", None, "survive")
CONFIRM = Phase("run, confirm", None, "booted", None, "survive")


def try_one(subject, phase, call, effect, when):
    subject.put_back(os.path.join(subject.kept, phase.start))
    ended, _ = subject.run("fault", call, effect, when)
    if not ended.hits:
        raise NotMet
    if effect != KILL:
        if ended.status not in (0, 1):
            raise Broken(f"exit {ended.status} for {ended.hits[0]}: {ended.said}")
        subject.blames_nobody()
    try:
        subject.survive(reboot=when % 2 == 0 or subject.running() == OLD)
    except Broken as broken:
        raise Broken(f"{broken}\n    at {ended.hits[0]}\n    it said: {ended.said}") from broken


def counted(subject, _):
    calls = fault.count(subject.run("count")[1])
    return {call: n for call, n in calls.items() if call not in PLAIN}


class NetworkFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        work = in_memory("sluice-faults-")
        cls.addClassCleanup(work.cleanup)
        cls.releases = Releases(work.name, CHUNKS)
        cls.nginx = Nginx(cls.releases.ws).start()
        cls.addClassCleanup(cls.nginx.stop)
        cls.releases.ws.roll_out(cls.releases.bundles[NEW], [("all", "100%")])
        cls.trier = Trier(cls.make, try_one, counted)

    @classmethod
    def make(cls, n):
        subject = Daemon(cls.releases, f"gw-n{n}", cls.nginx)
        calls = counted(subject, None)
        writes = next(c for c in fault.BATCHES if c in calls)
        subject.put_back(subject.factory)
        subject.run("fault", writes, KILL, 3)
        subject.keep("half")
        subject.put_back(subject.factory)
        subject.run()
        subject.restart()
        subject.keep("booted")
        return subject

    def try_all(self, phase, *effects):
        report(self, self.trier.all_of(phase, effects), phase)

    def test_an_install_over_the_network_survives_a_fault_at_any_call(self):
        self.try_all(INSTALL, KILL, EIO, ENOSPC)

    def test_a_resumed_one_survives_a_fault_at_any_call(self):
        self.try_all(RESUME, KILL, EIO, ENOSPC)

    def test_the_first_boot_of_the_new_system_survives_a_fault_at_any_call(self):
        self.try_all(CONFIRM, KILL, EIO, ENOSPC)


if __name__ == "__main__":
    unittest.main()
