"""What who holds keys can make: metadata and bundles by hand, with no program of ours to say no.

TUF and the bundle's format are written here from their descriptions, so nothing that is under test
has a part in it."""
import copy
import hashlib
import json
import os
import struct

from fleet.key import Key, canonical

ROLES = ("root", "targets", "snapshot", "timestamp", "releases", "rollouts", "gates")
DELEGATED = ("releases", "rollouts", "gates")
BLOCK = 512
MEMBER_ROLES = ("index", "files", "seals", "stored", "hints", "cuts", "data")
HEAD_ROLES = MEMBER_ROLES[:3]
CUT_RECORD = 16 * 18  # bytes
PAGE = 64  # entries
RUN = 1 << 31


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def envelope(signed, signatures):
    return json.dumps({"signatures": signatures, "signed": signed}).encode()


def sealed(signed, *keys):
    return envelope(signed, [key.signature(signed) for key in keys])


class Forger:
    """Writes what a web server serves, with whatever keys it is told to use."""

    def __init__(self, workspace):
        self.workspace = workspace
        self.keys = {name: Key(workspace.key(name)) for name in ROLES}
        self.look()

    def look(self):
        """Begins with what is served now."""
        self.docs, name, at = {}, "timestamp.json", {}
        for role in ("timestamp", "snapshot"):
            self.docs[role] = self.load(name)
            at = self.docs[role]["meta"]
            name = f"{at.get('snapshot.json', {}).get('version')}.snapshot.json"
        for role in ("targets", *DELEGATED):
            self.docs[role] = self.load(f"{at[role + '.json']['version']}.{role}.json")
        version = 1
        while os.path.exists(self.metadata_path(f"{version + 1}.root.json")):
            version += 1
        self.docs["root"] = self.load(f"{version}.root.json")
        return self

    def metadata_path(self, name):
        return self.workspace.path("site", "metadata", name)

    def load(self, name):
        with open(self.metadata_path(name), encoding="utf-8") as f:
            return json.load(f)["signed"]

    def write(self, name, data):
        with open(self.metadata_path(name), "wb") as f:
            f.write(data)

    def next(self, role):
        """The role's document of now with the next version, to be changed and published."""
        signed = copy.deepcopy(self.docs[role])
        signed["version"] += 1
        return signed

    def put(self, role, data, version):
        """Serves these bytes as a role's metadata; returns how a snapshot would list them."""
        self.write("timestamp.json" if role == "timestamp" else f"{version}.{role}.json", data)
        return {"version": version, "length": len(data), "hashes": {"sha256": sha256(data)}}

    def publish(self, *documents, **how):
        """Serves documents (or pairs of one and its whole bytes) with a snapshot and a timestamp
        that list them, as publish_named() does."""
        pairs = [d if isinstance(d, tuple) else (d, None) for d in documents]
        self.publish_named([(self.role_of(signed), signed, data) for signed, data in pairs], **how)

    def publish_as(self, role, signed, **how):
        """The same for a role's document that lists what is not the role's to list."""
        self.publish_named([(role, signed, None)], **how)

    def publish_named(self, named, keys=None, snapshot=None, timestamp=None):
        """keys: {role: keys that sign in place of its own}; snapshot and timestamp may change
        theirs before they are signed."""
        keys = keys or {}
        listing = self.next("snapshot")
        for role, signed, data in named:
            data = data or sealed(signed, *keys.get(role, [self.keys[role]]))
            listing["meta"][role + ".json"] = self.put(role, data, signed["version"])
            self.docs[role] = signed
        if snapshot:
            snapshot(listing)
        stamp = self.next("timestamp")
        stamp["meta"]["snapshot.json"] = self.put(
            "snapshot", sealed(listing, *keys.get("snapshot", [self.keys["snapshot"]])),
            listing["version"])
        if timestamp:
            timestamp(stamp)
        self.put("timestamp", sealed(stamp, *keys.get("timestamp", [self.keys["timestamp"]])),
                 stamp["version"])
        self.docs.update(snapshot=listing, timestamp=stamp)

    def role_of(self, signed):
        """Which of targets' delegates a document is, by what it lists."""
        if signed["_type"] != "targets":
            return signed["_type"]
        if "delegations" in signed:
            return "targets"
        return next(role for role in DELEGATED
                    if all(path.startswith({"releases": "bundles/"}.get(role, role + "/"))
                           for path in signed["targets"]))

    def publish_root(self, signed, *keys, served_as=None):
        name = f"{served_as or signed['version']}.root.json"
        self.write(name, sealed(signed, *(keys or [self.keys["root"]])))
        self.docs["root"] = signed

    # Targets: what they are, and what lists them.

    def serve_target(self, path, data):
        """Serves a target's bytes; returns how a role would list them."""
        folder, name = os.path.split(path)
        folder = self.workspace.path("site", "targets", folder)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"{sha256(data)}.{name}"), "wb") as f:
            f.write(data)
        return {"length": len(data), "hashes": {"sha256": sha256(data)}}

    def target(self, path):
        """What a target is now."""
        folder, name = os.path.split(path)
        role = "releases" if folder == "bundles" else folder
        digest = self.docs[role]["targets"][path]["hashes"]["sha256"]
        with open(self.workspace.path("site", "targets", folder, f"{digest}.{name}"), "rb") as f:
            return json.load(f)

    def entry(self, data):
        """How a bundle's bytes are listed beside length and digest, lies of its own included."""
        head = head_of(data)
        size = int(head[124:135], 8)
        try:
            signed = json.loads(head[BLOCK:BLOCK + size])["signed"]
        except ValueError:
            signed = {}
        identity, index = canonical(signed).encode(), signed.get("rollback_index")
        return {"head": {"length": len(head), "sha256": sha256(head)},
                "manifest": {"length": len(identity), "sha256": sha256(identity)},
                "name": "gateway", "version": "9.0.0",
                "rollback_index": index if isinstance(index, int) and index >= 0 else 5}

    def release(self, data, path="bundles/evil-9.0.0.ota", **custom):
        """The next releases metadata with one bundle more."""
        releases = self.next("releases")
        releases["targets"][path] = {**self.serve_target(path, data),
                                     "custom": {**self.entry(data), **custom}}
        return releases

    def order(self, releases, path="bundles/evil-9.0.0.ota", edit=None):
        """The next rollouts metadata, whose plan wants that bundle, and gates with all open."""
        entry = releases["targets"][path]
        plan = self.target("rollouts/stable.json")
        plan["version"] += 1
        plan["bundle"] = {"path": path, "length": entry["length"],
                          "sha256": entry["hashes"]["sha256"], "head": entry["custom"]["head"]}
        if edit:
            edit(plan)
        data = canonical(plan).encode()
        rollouts, gates = self.next("rollouts"), self.next("gates")
        rollouts["targets"]["rollouts/stable.json"] = self.serve_target("rollouts/stable.json",
                                                                        data)
        gate = self.target("gates/stable.json")
        gate["plan"].update(version=plan["version"], sha256=sha256(data),
                            rollout=plan["rollout"])
        gate["open"] = [wave["name"] for wave in plan["waves"]]
        gates["targets"]["gates/stable.json"] = self.serve_target("gates/stable.json",
                                                                  canonical(gate).encode())
        return rollouts, gates

    def roll_out(self, data, path="bundles/evil-9.0.0.ota", edit=None, **custom):
        """Everybody signs: the bundle is released, planned and its gate open."""
        releases = self.release(data, path, **custom)
        self.publish(releases, *self.order(releases, path, edit))


# Bundles.

def header(name, size, kind=b"0", link=b"", magic=b"ustar  ", raw_size=None):
    """A tar header: with nothing but a name and a size, the one that a bundle has to have."""
    h = bytearray(BLOCK)
    name = name if isinstance(name, bytes) else name.encode()
    h[:len(name)] = name
    h[100:108] = b"0000644\0"
    h[108:116] = h[116:124] = b"0000000\0"
    h[124:136] = raw_size or (b"%011o\0" % size if size < 8 << 30
                              else b"\x80" + size.to_bytes(11, "big"))
    h[136:148] = b"00000000000\0"
    h[156:157] = kind
    h[157:157 + len(link)] = link
    h[257:257 + len(magic)] = magic
    return summed(h)


def summed(h):
    h[148:156] = b" " * 8
    h[148:156] = b"%06o\0 " % sum(h)
    return h


def padded(data):
    return data + bytes(-len(data) % BLOCK)


def members_of(data):
    """[name, content] of each member of a tar that is as it should be."""
    at, found = 0, []
    while data[at:at + 1] != b"\0":
        h = data[at:at + BLOCK]
        size = int.from_bytes(h[125:136], "big") if h[124] == 0x80 else int(h[124:135], 8)
        found.append([h[:100].rstrip(b"\0").decode(), data[at + BLOCK:at + BLOCK + size]])
        at += BLOCK + size + -size % BLOCK
    return found


def head_of(data):
    """Everything before the first member that is not of the head."""
    behind = tuple("." + role for role in MEMBER_ROLES if role not in HEAD_ROLES)
    for at in range(0, len(data), BLOCK):
        if data[at + 257:at + 262] == b"ustar" and \
                data[at:at + 100].rstrip(b"\0").decode(errors="replace").endswith(behind):
            return data[:at]
    return data


def seal_of(data):
    return hashlib.sha256(data).digest()[:16]


def in_pages(items):
    return [items[at:at + PAGE] for at in range(0, len(items), PAGE)]


class Index:
    """A chunk index and as what its chunks are stored: entries [plain digest, stored digest, plain
    size, stored size, seal of cuts]; of a run the plain size is how many chunks, and it has none
    that are stored."""

    def __init__(self, data, stored):
        self.magic, self.version, self.chunk, self.plain, count = struct.unpack_from(
            "<8sIIQQ", data)
        self.count = None  # in the header; None: as many as there are
        self.offsets = {}  # of pages, where it is not what it should be
        self.entries = []
        for i in range(count):
            plain, size = struct.unpack_from("<32sI", data, 32 + 36 * i)
            digest, seal, stored_size = struct.unpack_from(
                "<32s16sI", stored, 8 * (i // PAGE + 1) + 52 * i)
            self.entries.append([plain, digest, size & ~RUN, stored_size, seal])

    def of_index(self):
        return [struct.pack("<32sI", e[0], e[2] if e[3] else RUN | e[2] & ~RUN)
                for e in self.entries]

    def packed(self):
        count = len(self.entries) if self.count is None else self.count
        return struct.pack("<8sIIQQ", self.magic, self.version, self.chunk, self.plain, count) + \
            b"".join(self.of_index())

    def pages(self):
        """Those of PAYLOAD.stored."""
        at = 0
        for number, entries in enumerate(in_pages(self.entries)):
            yield struct.pack("<Q", self.offsets.get(number, at)) + b"".join(
                struct.pack("<32s16sI", e[1], e[4] if len(e) > 4 else b"", e[3])
                for e in entries)
            at += sum(e[3] for e in entries)

    def seals(self):
        return b"".join(seal_of(page) for page in
                        [*map(b"".join, in_pages(self.of_index())), *self.pages()])


def cut_record(*blocks):
    """Where a chunk's stored bytes are cut: these are its blocks'."""
    return b"".join(struct.pack("<H", len(block)) + hashlib.sha256(block).digest()[:16]
                    for block in blocks).ljust(CUT_RECORD, b"\0")


def raw_record(stored):
    """The same of a chunk that is stored raw."""
    return cut_record(*(stored[at:at + 4096] for at in range(0, len(stored), 4096)))


class Bundle:
    """A bundle taken apart: change it, and save it sealed by whatever key."""

    def __init__(self, path):
        with open(path, "rb") as f:
            members = members_of(f.read())
        self.envelope = json.loads(members[0][1])
        self.manifest_size = 0  # at least; blanks make up for the rest
        self.signed = self.envelope["signed"]
        self.parts = dict(members[1:])
        self.names = list(self.parts)

    @property
    def payload(self):
        return self.signed["payloads"][0]

    def member(self, name):
        return next(m for p in self.signed["payloads"] for m in p["members"]
                    if m["name"] == name)

    def put(self, name, data):
        """Replaces a member's content and says so in the manifest."""
        self.parts[name] = data
        self.member(name).update(size=len(data), sha256=sha256(data))
        for p in self.signed["payloads"]:
            if name == p["name"] + ".files":
                p["sha256"] = sha256(data)

    def index(self, payload="rootfs"):
        return Index(self.parts[payload + ".index"], self.parts[payload + ".stored"])

    def put_index(self, index, payload="rootfs"):
        """With its pages, and the seals of all that."""
        if payload + ".cuts" not in self.parts:
            for entry in index.entries:
                entry[4:] = []
        self.put(payload + ".index", index.packed())
        self.put(payload + ".stored", b"".join(index.pages()))
        self.put(payload + ".seals", index.seals())

    def uncut(self, payload="rootfs"):
        """Without cuts, which would be those of other chunks."""
        if f"{payload}.cuts" not in self.parts:
            return
        self.drop(f"{payload}.cuts")
        self.put_index(self.index(payload), payload)

    def cuts(self, payload="rootfs"):
        """The record of every entry, and its seal."""
        records = self.parts[payload + ".cuts"]
        return [[records[CUT_RECORD * i:CUT_RECORD * (i + 1)], entry[4]]
                for i, entry in enumerate(self.index(payload).entries)]

    def put_cuts(self, pairs, payload="rootfs"):
        """A seal that is None becomes that of its record; of zeros it is zeros."""
        index = self.index(payload)
        for entry, (record, seal) in zip(index.entries, pairs):
            entry[4] = seal if seal is not None else seal_of(record) if any(record) else b""
        self.put(payload + ".cuts", b"".join(record for record, _ in pairs))
        self.put_index(index, payload)

    def files(self, payload):
        """The list of a tree's files, a dictionary a line."""
        return [json.loads(line) for line in self.parts[payload + ".files"].splitlines()]

    def seal(self, *keys):
        self.envelope["signatures"] = [key.signature(self.signed) for key in keys]
        return self

    def order(self):
        """Names of members as they must stand."""
        names = [m["name"] for p in self.signed["payloads"] for m in p["members"]]
        return sorted(names, key=lambda name: MEMBER_ROLES.index(name.rsplit(".", 1)[1]))

    def pieces(self, names=None):
        """[header, content] of every member, in their order: to be tampered with."""
        manifest = json.dumps(self.envelope).encode().ljust(self.manifest_size)
        parts = [("manifest.json", manifest)] + [(n, self.parts[n])
                                                 for n in names or self.order()]
        return [[header(name, len(data)), data] for name, data in parts]

    def tar_as_was(self):
        """With the members that it came with, whatever the manifest says now."""
        return self.tar(self.pieces(self.names))

    def drop(self, name):
        """Takes a member out."""
        for p in self.signed["payloads"]:
            p["members"] = [m for m in p["members"] if m["name"] != name]
        del self.parts[name]

    def tar(self, pieces=None, tail=bytes(2 * BLOCK)):
        return b"".join(bytes(h) + padded(data) for h, data in pieces or self.pieces()) + tail
