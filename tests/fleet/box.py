"""A box: a folder with A/B slot files, a simulated boot environment, and an agent."""
import configparser
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import uuid

from fleet.process import run, wait_until

CHUNK = 65536
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def make_image(path, version, size=1 << 20, seed=0):
    """An image that begins with its version. Versions of one seed share every other chunk; of the
    rest a third shrinks, a third is zeros and a third is noise."""
    parts = []
    for i in range(size // CHUNK):
        rng = random.Random(f"{seed}/{version if i % 2 else 'same'}/{i}")
        parts.append((rng.randbytes(CHUNK), bytes(CHUNK),
                      rng.randbytes(64) * (CHUNK // 64))[(i // 2) % 3])
    data = bytearray(b"".join(parts))
    head = f"VERSION={version}\n".encode()
    data[:len(head)] = head
    with open(path, "wb") as f:
        f.write(data)
    return path


def digest_of_file(path, length=None, at=0):
    state = hashlib.sha256()
    left = os.path.getsize(path) - at if length is None else length
    with open(path, "rb") as f:
        f.seek(at)
        while left > 0:
            piece = f.read(min(left, 1 << 20))
            if not piece:
                break
            state.update(piece)
            left -= len(piece)
    return state.hexdigest()


def is_program(pid, *paths):
    """Whether a process runs one of these programs; a fork that has not started its own yet does,
    too."""
    try:
        return os.path.realpath(f"/proc/{pid}/exe") in map(os.path.realpath, paths)
    except OSError:
        return False


class Box:
    """One box of a workspace. Side A holds `image` and is confirmed, as at manufacture."""

    def __init__(self, workspace, name, image, tags=None, compatible="acme-gw3", plan="stable",
                 slot_size=None):
        self.workspace, self.name, self.compatible = workspace, name, compatible
        self.programs = workspace.programs
        self.dir = self.given = workspace.add_box(name, compatible, tags)
        for folder in ("health.d", "hooks.d/pre.d", "hooks.d/post.d", "inhibit.d"):
            os.makedirs(self.path(folder))
        self.make_slots(image, slot_size or os.path.getsize(image))
        self.write_env()
        self.script("can-boot", "exit 0\n")
        self.conf = self.read_given_conf()
        self.set({"box": {"plan": f"rollouts/{plan}.json"}})
        self.environ = {}  # what its programs have in their environment besides ours
        self.system = self.programs.agent  # what each boot starts
        self.process = None

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def slot(self, side):
        return self.path(f"rootfs-{side.lower()}.img")

    def make_slots(self, image, size):
        shutil.copyfile(image, self.slot("A"))
        for side in "AB":
            with open(self.slot(side), "ab") as f:
                f.truncate(size)

    def write_env(self, **changes):
        """The boot environment as it leaves the factory, with these changes."""
        env = {"primary": "A", "a_bootable": "yes", "a_confirmed": "yes", "a_tries": "0",
               "b_bootable": "no", "b_confirmed": "no", "b_tries": "0", "booted": "A",
               "boot_id": str(uuid.uuid4()), **changes}
        with open(self.path("boot.env"), "w", encoding="ascii") as f:
            f.writelines(f"{k}={v}\n" for k, v in env.items())

    def env(self):
        with open(self.path("boot.env"), encoding="ascii") as f:
            return dict(line.strip().split("=", 1) for line in f if "=" in line)

    def booted(self):
        return self.env()["booted"]

    def read_given_conf(self):
        """What `sluice box add` made, with slots, boot and intervals as this box has them."""
        os.makedirs(self.path("state", "metadata"), mode=0o700, exist_ok=True)
        shutil.copy(self.path("root.json"), self.path("state", "metadata"))
        conf = configparser.ConfigParser(interpolation=None, delimiters=("=",))
        conf.optionxform = str
        conf.read(self.path("agent.conf"), encoding="utf-8")
        conf["box"]["trust_clock"] = "yes"
        conf["slot rootfs"] = {"type": "file", "a": self.slot("A"), "b": self.slot("B"),
                               "read_only": "yes"}
        conf["boot"].update(file=self.path("boot.env"), tries="2",
                            reboot=f"/usr/bin/touch {self.path('reboot-requested')}")
        conf["health"].update(dir=self.path("health.d"), timeout="20s", deadline="60s",
                              prompt="20s")
        conf["hooks"]["dir"] = self.path("hooks.d")
        conf["inhibit"]["dir"] = self.path("inhibit.d")
        conf["intervals"].update(poll="1s", stop_poll="1s", retry_max="2s", stall="10s")
        return conf

    def set(self, changes):
        """Changes agent.conf: {section: {key: value, or None to take it out}}."""
        for section, values in changes.items():
            if not self.conf.has_section(section):
                self.conf.add_section(section)
            for key, value in values.items():
                if value is None:
                    self.conf.remove_option(section, key)
                else:
                    self.conf[section][key] = str(value)
        with open(self.path("agent.conf"), "w", encoding="utf-8") as f:
            self.conf.write(f)

    def script(self, name, text):
        """Puts an executable into one of the box's folders ("health.d/10-disk")."""
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + text)
        os.chmod(self.path(name), 0o755)

    def agent_argv(self, *args):
        return [self.programs.agent, "-c", self.path("agent.conf"), *args]

    def agent(self, *args, check=0, **kwargs):
        return run(self.agent_argv(*args), check=check, cwd=self.dir,
                   env={**os.environ, **self.environ}, **kwargs)

    def state(self):
        """What its agent has on disk; nothing before it ever ran."""
        try:
            with open(self.path("state", "state.json"), encoding="utf-8") as f:
                return json.load(f)
        except FileNotFoundError:
            return None

    def phase_kept(self):
        """Like phase(), without a program: for whoever looks at many boxes many times."""
        state = self.state()
        return None if not state or state["pending"]["phase"] == "none" else \
            state["pending"]["phase"]

    def status(self):
        return json.loads(self.agent("status", "--json").stdout)

    def holds(self, side, image):
        """Whether a side's slot begins with this image, byte for byte."""
        with open(self.slot(side), "rb") as slot, open(image, "rb") as good:
            while piece := good.read(1 << 20):
                if slot.read(len(piece)) != piece:
                    return False
        return True

    def runs(self, image):
        """Whether the booted side is this image, and will be after the next boot too."""
        env = self.env()
        side = env["booted"]
        return env["primary"] == side and env[side.lower() + "_confirmed"] == "yes" and \
            self.holds(side, image)

    def slot_digests(self):
        return {side: digest_of_file(self.slot(side)) for side in "AB"}

    def other_side(self):
        """The one that an update goes to now."""
        return "A" if self.booted() == "B" else "B"

    # Life: at the factory, power on, power off.

    def factory_install(self, bundle):
        """Installs a bundle from a file and confirms it, without any network."""
        self.agent("install", bundle, "--no-reboot", "--metadata",
                   self.workspace.path("site", "metadata"))
        run([self.programs.tool("power"), "--dir", self.dir, "--once"])
        self.agent("confirm")
        self.first_side = self.booted()

    def start(self):
        """Turns it on: from now on its agent runs, and is booted again after each reboot."""
        argv = [self.programs.tool("power"), "--dir", self.dir, "--agent", self.system,
                "--can-boot", self.path("can-boot")]
        with open(self.path("agent.log"), "ab") as log:
            self.process = subprocess.Popen(argv, cwd=self.dir, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True,
                                            env={**os.environ, **self.environ})

    def stop(self, expect=None):
        """Ends the agent as systemd would, and turns the box off. More than once is allowed."""
        self.end(signal.SIGTERM, expect)

    def kill(self):
        """Power off, in the middle of whatever it was doing."""
        for pid in reversed(self.agent_pids()):
            os.kill(pid, signal.SIGKILL)
        self.end(signal.SIGTERM, None)

    def end(self, number, expect):
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self.process = None
        if expect is not None and status != expect:
            raise RuntimeError(f"{self.name} ended with {status}, not {expect}:\n{self.log()}")

    def agent_pids(self):
        """The agent and its network child: nothing while it is between two boots."""
        found = []
        below = [self.process.pid] if self.process else []
        while below:
            try:
                with open(f"/proc/{below[0]}/task/{below[0]}/children", encoding="ascii") as f:
                    children = [int(pid) for pid in f.read().split()]
            except (FileNotFoundError, ProcessLookupError):
                children = []
            children = [pid for pid in children
                        if is_program(pid, self.programs.agent, self.programs.net)]
            found += children
            below = below[1:] + children
        return found

    def log(self):
        try:
            with open(self.path("agent.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def boots(self):
        """The sides that were booted since it was turned on, in order."""
        return re.findall(r"^boot ([AB]),", self.log(), re.M)

    def fetched(self, version):
        """Bytes that the agent says it fetched for its last install of a version."""
        found = re.findall(rf" {re.escape(version)}: ([\d.]+) (\w+) fetched", self.log())
        if not found:
            raise ValueError(f"{self.name} does not say what it fetched for {version}")
        return float(found[-1][0]) * UNITS[found[-1][1]]

    # What may happen to it.

    def on_boot_of(self, side, command):
        """A shell command that runs each time a side boots; when it fails, the side does not."""
        self.script("can-boot", f'[ "$1" = {side} ] || exit 0\n{command}\n')

    def break_boots_of(self, side):
        self.on_boot_of(side, "exit 1")

    def running_version(self):
        """Lines of sh after which $version is what the booted slot begins with."""
        return (f'. {self.path("boot.env")}\ncase $booted in A) slot=a;; *) slot=b;; esac\n'
                f'read -r version < {self.path("rootfs-")}$slot.img\n'
                'version=${version#VERSION=}\n')

    def hang_in(self, version):
        """This version starts and hangs before its agent does: nothing goes back by itself."""
        self.script("system", f'{self.running_version()}[ "$version" != {version} ] || '
                    f'exec sleep 86400\nexec {self.programs.agent} "$@"\n')
        self.system = self.path("system")

    def runs_new(self):
        """A condition of sh: what was booted is the other side than now. Checks get no word on
        which system they run in: they look, as a real one would."""
        return f'grep -q "^booted={self.other_side()}$" "{self.path("boot.env")}"'

    def cut_off(self, when):
        """Its agent has no network from the next boot on, where this condition of sh holds."""
        agent = self.programs.agent
        self.script("system", f'{when} || exec {agent} "$@"\n'
                    f'exec unshare --user --map-root-user --net {agent} "$@"\n')
        self.system = self.path("system")

    # A mount is busy for as long as a file in it is open for writing: an agent that runs is writing
    # now and then.
    PROTECT = ('mount --bind "{0}" "{0}" && for turn in $(seq 200); do '
               'mount -o remount,bind,ro "{0}" && break; [ "$turn" -lt 200 ] || exit 1; '
               'sleep 0.02; done')

    def mount_apart(self, when="false"):
        """Its agent has mounts of its own from the next boot on, and, where this condition of sh
        holds, a state folder that it cannot write: modes would not hold up root."""
        protect = self.PROTECT.format(self.path("state"))
        self.script("inside", f'if {when}; then\n{protect} || exit 1\nfi\n'
                    f'exec {self.programs.agent} "$@"\n')
        self.script("system", "exec unshare --user --map-root-user --mount "
                    f'{self.path("inside")} "$@"\n')
        self.system = self.path("system")

    def write_protect(self):
        """The same for an agent that runs, until it ends."""
        run(["nsenter", "--target", str(self.agent_pids()[0]), "--user", "--preserve-credentials",
             "--mount", "sh", "-c", self.PROTECT.format(self.path("state"))])

    def cut_power(self):
        """For a moment: it boots again, as its bootloader will have it."""
        self.process.send_signal(signal.SIGUSR1)

    # What is waited for.

    def phase(self):
        pending = self.status()["pending"]
        return pending["phase"] if pending else None

    def wait_for_phase(self, phase, timeout_s=30):
        wait_until(lambda: self.phase() == phase, timeout_s,
                   lambda: f"{self.name} is {phase}; it is {self.phase()}\n{self.log()[-2000:]}")

    def wait_for_boots(self, count, timeout_s=40):
        wait_until(lambda: len(self.boots()) >= count, timeout_s,
                   lambda: f"{self.name} boots {count} times: {self.boots()}\n"
                   f"{self.log()[-2000:]}")
