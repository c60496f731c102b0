"""What one thief does with one stolen thing, and how people take it back."""
import copy
import secrets

from fleet.workspace import clock_preload
from fleet.key import Key, canonical
from siege import Siege

CANARY, ALL = "canary", "all"
WAITS = "held: wave all of gateway-2.0.0 is not open yet"
UPDATES = "^update: gateway 2.0.0 by gateway-2.0.0, wave all"


class Theft(Siege):
    """2.0.0 is planned in two waves, for this box in the second one, and only the first is open.
    The thief has the publisher's ear: what he signs is listed by snapshot and timestamp."""

    @classmethod
    def roll_out(cls):
        cls.workspace.release(cls.bundles["1.0.0"])
        cls.workspace.roll_out(cls.bundles["2.0.0"], [(CANARY, ["gw-000002"]), (ALL, "100%")],
                               open_waves=[CANARY])

    def begin_again(self):
        """Site and box as before this test."""
        self.put_back("site", "boxes")
        self.forger.look()

    # What the thief makes.

    def with_gate(self, plan="stable", edit=None, **changes):
        """The next gates metadata with another gate of a plan."""
        path = f"gates/{plan}.json"
        gate = {**self.forger.target(path), **changes}
        if edit:
            edit(gate)
        gates = self.forger.next("gates")
        gates["targets"][path] = self.forger.serve_target(path, canonical(gate).encode())
        return gates

    def with_bound_gate(self, **changes):
        """The same, bound to the plan as it is served now."""
        path = "rollouts/stable.json"
        listed = self.forger.docs["rollouts"]["targets"][path]
        version = self.forger.target(path)["version"]
        return self.with_gate(edit=lambda gate: gate["plan"].update(
            version=version, sha256=listed["hashes"]["sha256"]), **changes)

    def with_plan(self, edit, plan="stable"):
        """The next rollouts metadata with a plan that was rewritten."""
        path = f"rollouts/{plan}.json"
        wanted = copy.deepcopy(self.forger.target(path))
        wanted["version"] += 1
        edit(wanted)
        rollouts = self.forger.next("rollouts")
        rollouts["targets"][path] = self.forger.serve_target(path, canonical(wanted).encode())
        return rollouts

    def with_plan_for_all(self):
        return self.with_plan(lambda plan: plan.update(waves=plan["waves"][-1:]))

    def new_stop(self, reason="smoke"):
        return {"id": secrets.token_hex(16), "reason": reason, "at": "2026-01-01T00:00:00Z"}

    # What becomes of it.

    def assert_signs_nothing_else(self, thing, *roles):
        """Its signature on what others are to sign counts for nothing, on the box or before."""
        for role in roles:
            with self.subTest(role):
                self.begin_again()
                keys = {role: [self.forger.keys[thing]]}
                if role in ("snapshot", "timestamp"):
                    self.forger.publish(keys=keys)
                else:
                    self.forger.publish(self.forger.next(role), keys=keys)
                self.assert_refused(f"{role}.* 0 of 1 signatures needed", role)
        self.begin_again()

    def assert_lists_nothing_else(self, role, targets, decision=WAITS):
        """A role's metadata with targets that are others' to list changes nothing."""
        signed = self.forger.next(role)
        signed["targets"].update(targets)
        self.forger.publish_as(role, signed)
        self.assert_decides(decision)

    def assert_expires(self, why, after_s):
        """So much later the box stays as it is, for this reason."""
        self.box.environ = clock_preload(self.folder, after_s)
        try:
            self.assertRegex(self.check(1), why)
            self.assert_untouched()
        finally:
            self.box.environ = {}

    def assert_would_update(self):
        self.assertRegex(self.check(), UPDATES)

    # What people do about it.

    def new_role_key(self, name):
        return Key(self.workspace.new_key(name + "-new"))

    def replace_role(self, role):
        """The targets key takes a role from its key and gives it to another; returns its path."""
        self.workspace.sluice("role", "remove", role, "--key", self.workspace.key("targets"))
        key = self.workspace.new_key(role + "-new")
        self.workspace.sluice("role", "add", role, "--member", key[:-4] + ".pub", "--threshold", 1,
                              "--key", self.workspace.key("targets"))
        return key

    def open_waves(self, key):
        for wave in (CANARY, ALL):
            self.workspace.sluice("gate", "open", "stable", wave, "--key", key)

    def replace_online_keys(self, *roles):
        """A new root gives roles to new keys, which the forger holds from now on."""
        root = self.forger.next("root")
        for role in roles:
            key = self.forger.keys[role] = self.new_role_key(role)
            root["keys"][key.id] = key.public
            root["roles"][role]["keyids"] = [key.id]
        self.forger.publish_root(root)
