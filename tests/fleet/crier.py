"""Reports of boxes that do not exist: signed with a box's own key, and put into the spool as the
web server would."""
import json
import os

from fleet.key import Key

OLD_SHA = "0" * 63 + "1"


class Crier:
    """A box as its fleet hears it. It follows a published plan, and runs 1.0.0 at first."""

    def __init__(self, workspace, name, plan="stable", compatible="acme-gw3", add=True):
        self.workspace, self.name, self.plan, self.compatible = workspace, name, plan, compatible
        if add:
            workspace.add_box(name, compatible)
        self.key = Key(workspace.path("boxes", name, "report.key"))
        self.seq, self.boot = 0, 1
        self.version, self.running = "1.0.0", OLD_SHA

    def release(self, plan):
        """(bundle file, SHA-256 of the file, of its manifest, its version) that a plan names."""
        listed = self.workspace.metadata("releases")["signed"]["targets"][plan["bundle"]["path"]]
        return (os.path.basename(plan["bundle"]["path"]), listed["hashes"]["sha256"],
                listed["custom"]["manifest"]["sha256"], listed["custom"]["version"])

    def say(self, state, outcome="none", stops=(), **more):
        plan = self.workspace.target(f"rollouts/{self.plan}.json")
        bundle, bundle_sha256, _, _ = self.release(plan)
        self.seq += 1
        body = {"format": 1, "box": self.name, "seq": self.seq, "at": "2026-11-22T15:00:00Z",
                "boot_id": f"boot-{self.boot}", "state": state, "outcome": outcome,
                "rollout": plan["rollout"], "plan_version": plan["version"], "wave": "",
                "attempt": plan["attempt"], "bundle": bundle, "version": self.version,
                "bundle_sha256": bundle_sha256, "running_sha256": self.running,
                "rollback_floor": 1, "tags": {}, "compatible": self.compatible,
                "source": "network", "class": "none", "detail": "", "log": "",
                "plan": f"rollouts/{self.plan}.json", **more}
        if stops:
            body["stops"] = list(stops)
        self.put(body)

    def ask(self, request, serial="4f"):
        """Shows the certificate of that serial number, and asks for another, or for none ("")."""
        self.seq += 1
        more = {"certificate_request": request} if request else {}
        self.put({
            "format": 1, "box": self.name, "seq": self.seq, "at": "2026-11-22T15:00:00Z",
            "boot_id": "boot-1", "state": "idle", "outcome": "none", "rollout": "",
            "plan_version": 0, "wave": "", "attempt": 0, "bundle": "", "version": "1.0.0",
            "bundle_sha256": "", "running_sha256": OLD_SHA, "rollback_floor": 1, "tags": {},
            "compatible": self.compatible, "source": "network", "class": "none", "detail": "",
            "log": "", "certificate_serial": serial, **more})

    def put(self, body):
        envelope = {"signed": body, "signatures": [self.key.signature(body)]}
        path = self.workspace.path("spool", f"{self.name}@{body['seq']}.json")
        with open(self.workspace.path(f".{self.name}"), "w", encoding="utf-8") as f:
            json.dump(envelope, f)
        os.rename(f.name, path)

    # What boxes go through.

    def hold(self):
        """Says that it is there, and may not start yet."""
        self.say("held")
        return self

    def start(self):
        self.say("starting")
        return self

    def succeed(self):
        """Starts, boots the release and confirms it."""
        self.start()
        _, _, self.running, self.version = self.release(
            self.workspace.target(f"rollouts/{self.plan}.json"))
        self.boot += 1
        self.say("confirmed", "ok")
        return self

    def fail(self, outcome="failed", **more):
        self.start()
        self.say("idle", outcome, **{"class": "refused", "detail": "the disk smokes",
                                     "log": "line 1\nline 2", **more})
        return self
