"""A workspace, and signers on machines that never meet: folders play them, and what passes from one
to another is a file that somebody carries."""
import json
import os
import shutil
import subprocess
import tempfile

from publishing import SLUICE, Workspace


class Machines(Workspace):
    """The workspace is the publisher's; signers have a key and nothing else."""

    def setUp(self):
        super().setUp()
        self.away = tempfile.mkdtemp(dir=self.top)
        for name in ("anna", "ben", "carol", "eve"):
            os.makedirs(os.path.join(self.away, name))
            self.run_at(name, "key", "new", name, "--no-passphrase")
            shutil.copy(self.at(name, name + ".pub"), self.path("keys"))

    def at(self, machine, *parts):
        return os.path.join(self.away, machine, *parts)

    def run_at(self, machine, *args, code=0):
        """Runs sluice on a machine that has no workspace."""
        env = {k: v for k, v in os.environ.items() if k != "SLUICE_WORKSPACE"}
        done = subprocess.run([os.path.abspath(SLUICE), *args], cwd=self.at(machine), env=env,
                              capture_output=True, text=True, errors="replace", timeout=60)
        self.assertEqual(done.returncode, code, f"{args}\n{done.stdout}{done.stderr}")
        return done

    def init(self, *extra, code=0):
        """Two of three root keys, none of which is where the publisher is."""
        return self.sluice("root", "init", "--root", self.key("anna", "pub"), "--root",
                           self.key("ben", "pub"), "--root", self.key("carol", "pub"),
                           "--threshold", "2", "--targets", self.key("targets"), "--snapshot",
                           self.key("snapshot"), "--timestamp", self.key("timestamp"), *extra,
                           code=code)

    def stage(self, role, name="request.json", code=0):
        return self.sluice("metadata", "stage", role, "-o", self.path(name), code=code)

    def carry(self, machine, name="request.json", **change):
        """Takes the request to a machine, as somebody may have changed it."""
        with open(self.path(name), encoding="utf-8") as f:
            request = json.load(f)
        request.update(change)
        with open(self.at(machine, name), "w", encoding="utf-8") as f:
            json.dump(request, f)
        return request

    def sign(self, machine, name="request.json", *extra, code=0):
        return self.run_at(machine, "metadata", "sign", name, "--key", machine + ".key", "--yes",
                           *extra, code=code)

    def merge(self, *machines, name="request.json", code=0):
        return self.sluice("metadata", "merge", *(self.at(m, name) for m in machines), code=code)

    def ceremony(self, role, *machines):
        """Stage, carry, sign, carry back, merge."""
        self.stage(role)
        for machine in machines:
            self.carry(machine)
            self.sign(machine)
        return self.merge(*machines)

    def begin(self):
        self.init()
        self.ceremony("root", "anna", "ben")
        self.assertEqual(self.walk()["root"]["version"], 1)

    def signed_root(self):
        with open(self.path("site/metadata/1.root.json"), encoding="utf-8") as f:
            return json.load(f)

    def keyid(self, machine):
        done = self.run_at(machine, "key", "show", machine + ".pub")
        return done.stdout.split()[2]
