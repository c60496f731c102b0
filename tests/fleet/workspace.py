"""A workspace, driven through `sluice` as its people would drive it."""
import base64
import glob
import json
import os
import re
import subprocess

from fleet.process import Programs, run

ROLES = {"releases": "bundles/*", "rollouts": "rollouts/*", "gates": "gates/*"}
KEYS = ("root", "targets", "snapshot", "timestamp", "releases", "rollouts", "gates")

CLOCK = """#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
int adjtimex(struct timex *t)
{
	t->status = STA_UNSYNC;
	return TIME_ERROR;
}
time_t time(time_t *out)
{
	char text[32] = "0";
	const char *path = getenv("SLUICE_TEST_CLOCK");
	FILE *f = fopen(path, "re");
	struct timeval now;
	if (!f || !fgets(text, sizeof(text), f))
		abort();
	fclose(f);
	gettimeofday(&now, NULL);
	now.tv_sec += atol(text);
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
"""


def clock_preload(folder, offset_s, name="clock"):
    """The environment of a program whose time() is wrong by so many seconds, and whose kernel says
    that nobody has set the clock. Called again with the same name it sets the clocks of those that
    run."""
    library = os.path.join(folder, "clock.so")
    if not os.path.exists(library):
        run(["gcc", "-shared", "-fPIC", "-o", library, "-x", "c", "-"], input=CLOCK)
    path = os.path.join(folder, name)
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write(f"{offset_s}\n")
    os.rename(path + ".new", path)
    return {"LD_PRELOAD": library, "SLUICE_TEST_CLOCK": path,
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


class Workspace:
    """One folder made by `sluice init`, and what is done in it."""

    def __init__(self, folder, port, programs=None):
        self.dir = os.path.realpath(folder)
        self.port = port
        self.url = f"https://127.0.0.1:{port}/"
        self.programs = programs or Programs()
        self.pack_s = 600  # that packing may take
        self.clock_s = 0  # how far the clock of this host is from the right time

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def key(self, name):
        return self.path("keys", name + ".key")

    def sluice(self, *args, check=0, **kwargs):
        """Runs `sluice ARGS` in the workspace; check is the exit status that it has to have."""
        env = dict(os.environ, SLUICE_WORKSPACE=self.dir)
        if self.clock_s:
            env.update(clock_preload(self.dir, self.clock_s))
        return run([self.programs.sluice, *map(str, args)], check=check, cwd=self.dir, env=env,
                   **kwargs)

    def init(self):
        run([self.programs.sluice, "init", self.dir, "--site-url", self.url])
        return self

    def set(self, **settings):
        """Changes or adds top-level settings of workspace.yaml."""
        path = self.path("workspace.yaml")
        with open(path, encoding="utf-8") as f:
            lines = f.read().split("\n")
        for name, value in settings.items():
            lines = [line for line in lines if not line.startswith(name + ":")]
            lines.insert(len(lines) - 1, f"{name}: {value}")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines))

    def set_life(self, role, life):
        """How long what is signed from now on lives, where the sample has a line for it."""
        path = self.path("workspace.yaml")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        text, count = re.subn(rf"^(  {role}: )\d\w+", rf"\g<1>{life}", text, flags=re.M)
        if count != 1:
            raise ValueError(f"{path} has {count} lives of {role}")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def new_key(self, name):
        self.sluice("key", "new", self.path("keys", name), "--no-passphrase")
        return self.key(name)

    def ceremony(self, thresholds=None):
        """Makes a key for each role and the first metadata: one member a role, threshold 1."""
        for name in KEYS:
            self.new_key(name)
        self.sluice("root", "init", "--root", self.key("root"), "--threshold", 1,
                    "--targets", self.key("targets"), "--snapshot", self.key("snapshot"),
                    "--timestamp", self.key("timestamp"))
        for role, paths in ROLES.items():
            self.sluice("role", "add", role, "--member", self.path("keys", role + ".pub"),
                        "--threshold", 1, "--paths", paths, "--key", self.key("targets"))
        return self

    def write(self, name, text):
        """Writes a manifest; returns its path."""
        path = self.path("manifests", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def pack(self, version, source, name="gateway", rollback_index=1, compatible=("acme-gw3",),
             slot="rootfs", kind="image", level=6, sign=True, payloads=None):
        """Packs and signs one bundle; returns its path. payloads: (name, slot, kind, source)."""
        payloads = payloads or [(slot, slot, kind, source)]
        recipe = self.write(f"bundles/{name}-{version}.yaml", "\n".join([
            f"name: {name}", f"version: {version}", f"rollback_index: {rollback_index}",
            f"compatible: [{', '.join(compatible)}]", f"level: {level}", "payloads:",
            *(f"  - {{name: {p}, slot: {s}, kind: {k}, source: {src}}}"
              for p, s, k, src in payloads)]) + "\n")
        return self.pack_recipe(recipe, self.path(f"{name}-{version}.ota"), sign)

    def pack_recipe(self, recipe, bundle, sign=True):
        if os.path.exists(bundle):
            os.unlink(bundle)
        self.sluice("pack", recipe, "-o", bundle, timeout=self.pack_s)
        if sign:
            self.sluice("sign", bundle, "--key", self.key("releases"))
        return bundle

    def release(self, bundle, **kwargs):
        return self.sluice("release", bundle, "--key", self.key("releases"), **kwargs)

    def plan(self, bundle, waves, name="stable", rollout=None, **settings):
        """Writes a plan. waves: (name, list of boxes or a percentage); settings as in YAML."""
        bundle = os.path.basename(bundle)
        lines = [f"rollout: {rollout or bundle.removesuffix('.ota')}", f"bundle: {bundle}"]
        settings = {"compatible": "[acme-gw3]", "stop_poll": "1s", "deadline": "1m", **settings}
        lines += [f"{key}: {value}" for key, value in settings.items() if value is not None]
        lines.append("waves:")
        for wave, members in waves:
            which = f"boxes: [{', '.join(members)}]" if isinstance(members, (list, tuple)) \
                else f"percent: {members}"
            lines.append(f"  - {{name: {wave}, {which}}}")
        return self.write(f"rollouts/{name}.yaml", "\n".join(lines) + "\n")

    def publish_plan(self, path, **kwargs):
        return self.sluice("rollout", "publish", path, "--key", self.key("rollouts"), "--yes",
                           **kwargs)

    def withdraw_plan(self, *args, plan="stable", **kwargs):
        return self.sluice("rollout", "withdraw", plan, "--key", self.key("rollouts"), "--yes",
                           *args, **kwargs)

    def open_gate(self, wave, plan="stable", **kwargs):
        return self.sluice("gate", "open", plan, wave, "--key", self.key("gates"), **kwargs)

    def roll_out(self, bundle, waves, open_waves=None, name="stable", **settings):
        """Releases a bundle, publishes a plan for it and opens waves: all, unless told which."""
        self.release(bundle)
        self.publish_plan(self.plan(bundle, waves, name=name, **settings))
        for wave, _ in waves:
            if open_waves is None or wave in open_waves:
                self.open_gate(wave, plan=name)

    def stop(self, plan=None, reason="test", **kwargs):
        """Publishes a stop, of a plan or of everything; returns its id."""
        before = set(self.stop_ids())
        said = self.sluice("stop", *([plan] if plan else ["--all"]), "--reason", reason, "--key",
                           self.key("gates"), "--yes", **kwargs).stdout
        # One that a watch has signed, and was killed before it was out, goes out with it.
        new, = (stop for stop in set(self.stop_ids()) - before if f"stop {stop} of " in said)
        return new

    def resume(self, stop_id, *of, **kwargs):
        """of: the plan, or --all, where no gate shows the stop any more."""
        return self.sluice("resume", stop_id, *of, "--key", self.key("rollouts"), "--yes",
                           **kwargs)

    def publish(self, **kwargs):
        return self.sluice("publish", **kwargs)

    def add_box(self, name, compatible="acme-gw3", tags=None):
        """Returns the box's folder, with what it is given at manufacture."""
        folder = self.path("boxes", name)
        argv = ["box", "add", name, "--compatible", compatible, "--etc", folder, "--state",
                os.path.join(folder, "state")]
        if tags:
            argv += ["--tags", ",".join(f"{k}={v}" for k, v in tags.items())]
        self.sluice(*argv)
        return folder

    def revoke_box(self, name):
        return self.sluice("box", "revoke", name)

    def metadata(self, role):
        """The newest published document of a role, as a whole."""
        if role == "timestamp":
            found = [self.path("site", "metadata", "timestamp.json")]
        else:
            found = sorted(glob.glob(self.path("site", "metadata", f"*.{role}.json")),
                           key=lambda p: int(os.path.basename(p).split(".")[0]))
        with open(found[-1], encoding="utf-8") as f:
            return json.load(f)

    def target_file(self, target):
        """Where the web server has the newest content of a target path."""
        folder, name = os.path.split(target)
        role = next(r for r, paths in ROLES.items() if target.startswith(paths[:-1]))
        digest = self.metadata(role)["signed"]["targets"][target]["hashes"]["sha256"]
        return self.path("site", "targets", folder, f"{digest}.{name}")

    def target(self, target):
        with open(self.target_file(target), encoding="utf-8") as f:
            return json.load(f)

    def key_der(self, role):
        with open(self.key(role), encoding="ascii") as f:
            raw = base64.b64decode(f.read().splitlines()[1])
        return bytes.fromhex("302e020100300506032b657004220420") + raw[62:94]

    def device(self, role, *beside, status=0):
        """A command that signs with the role's key once `sluice BESIDE` was run, the first time,
        with that exit status."""
        with open(self.path(f"{role}.der"), "wb") as f:
            f.write(self.key_der(role))
        words = " ".join(f"'{word}'" for word in map(str, beside))
        with open(self.path("device"), "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nset -e\ncd {self.dir}\ncat > message\n"
                    f"test -e beside || {{ touch beside; {self.programs.sluice} {words} "
                    f"-w {self.dir} >&2 && s=0 || s=$?; test $s = {status}; }}\n"
                    f"exec openssl pkeyutl -sign -inkey {role}.der -keyform DER -rawin "
                    "-in message\n")
        os.chmod(f.name, 0o755)
        return f.name

    def sign_by_hand(self, role, signed):
        """Puts metadata into incoming/, signed by openssl with the role's key: what whoever stole
        that key can do, with no program of ours to say no."""
        pem = b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(self.key_der(role)) + \
            b"\n-----END PRIVATE KEY-----\n"
        with open(self.path("message"), "w", encoding="utf-8") as f:
            json.dump(signed, f, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        done = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", "/dev/stdin", "-rawin",
                               "-in", self.path("message")], input=pem, check=True,
                              capture_output=True)
        signature = {"keyid": self.metadata(role)["signatures"][0]["keyid"],
                     "sig": done.stdout.hex()}
        with open(self.path("incoming", f"{role}.json"), "w", encoding="utf-8") as f:
            json.dump({"signed": signed, "signatures": [signature]}, f)

    def stop_ids(self):
        """Ids of all stops that published gates hold."""
        targets = self.metadata("gates")["signed"]["targets"]
        return [stop["id"] for path in targets for stop in self.target(path)["stops"]]

    def reports(self, box=None):
        """What has come in from boxes: the "signed" part of each report, by box and number."""
        found = []
        for path in glob.glob(self.path("spool", "*.json")):
            try:
                with open(path, encoding="utf-8") as f:
                    found.append(json.load(f)["signed"])
            except (OSError, ValueError):
                continue  # the web server is writing it, or someone took it away
        found = [r for r in found if box in (None, r["box"])]
        return sorted(found, key=lambda r: (r["box"], r["seq"]))

    def outcomes(self, box):
        """Of updates over the network; what the factory installed was reported, too."""
        return [r["outcome"] for r in self.reports(box)
                if r["outcome"] != "none" and r["source"] == "network"]
