"""A box: a folder with A/B slot files, a simulated boot environment, and an agent."""
import configparser
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import uuid

from fleet.process import run

CHUNK = 65536


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


def digest_of_file(path, length=None):
    state = hashlib.sha256()
    left = os.path.getsize(path) if length is None else length
    with open(path, "rb") as f:
        while left > 0:
            piece = f.read(min(left, 1 << 20))
            if not piece:
                break
            state.update(piece)
            left -= len(piece)
    return state.hexdigest()


class Box:
    """One box of a workspace. Side A holds `image` and is confirmed, as at manufacture."""

    def __init__(self, workspace, name, image, tags=None, compatible="acme-gw3", plan="stable",
                 slot_size=None):
        self.workspace, self.name, self.compatible = workspace, name, compatible
        self.programs = workspace.programs
        self.dir = workspace.add_box(name, compatible, tags)
        for folder in ("health.d", "hooks.d/pre.d", "hooks.d/post.d", "inhibit.d"):
            os.makedirs(self.path(folder))
        self.make_slots(image, slot_size or os.path.getsize(image))
        self.write_env()
        self.conf = self.read_given_conf()
        self.set({"box": {"plan": f"rollouts/{plan}.json"}})
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
        conf["boot"].update(file=self.path("boot.env"), tries="2")
        conf["health"].update(dir=self.path("health.d"), timeout="20s", deadline="60s")
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
        return run(self.agent_argv(*args), check=check, cwd=self.dir, **kwargs)

    def status(self):
        return json.loads(self.agent("status", "--json").stdout)

    def holds(self, side, image):
        """Whether a side's slot begins with this image, byte for byte."""
        return digest_of_file(self.slot(side), os.path.getsize(image)) == digest_of_file(image)

    def runs(self, image):
        """Whether the booted side is this image, and will be after the next boot too."""
        env = self.env()
        side = env["booted"]
        return env["primary"] == side and env[side.lower() + "_confirmed"] == "yes" and \
            self.holds(side, image)
