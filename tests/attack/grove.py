"""A box whose application is a tree of files, switched by a link."""
import hashlib
import os
import stat

from fleet import Box, wait_until
from fleet.key import canonical
from siege import INDEX, NEW, OLD, WAIT_S, Siege


def listing(top, leave_out=()):
    """All that lies below a folder, to the byte and the mode: {path: what it is}."""
    found = {}
    for folder, dirs, files in os.walk(top):
        dirs[:] = [d for d in dirs if os.path.join(folder, d) not in leave_out]
        for name in dirs + files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            content = None
            if stat.S_ISLNK(info.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                with open(path, "rb") as f:
                    content = hashlib.sha256(f.read()).hexdigest()
            links_and_time = None if stat.S_ISDIR(info.st_mode) else (info.st_nlink, info.st_mtime)
            found[os.path.relpath(path, top)] = (
                info.st_mode, info.st_uid, info.st_gid, links_and_time, content)
    return found


class Grove(Siege):
    """The folders 1/app and 2/app of the box's trees, and the link that says which is in use.
    Beside them lies what nobody may touch."""
    @classmethod
    def pack(cls, version, size=None, **settings):
        tree = os.path.join(cls.folder, f"tree-{version}")
        os.makedirs(os.path.join(tree, "etc"))
        with open(os.path.join(tree, "etc", "conf"), "w", encoding="ascii") as f:
            f.write(f"version={version}\n")
        with open(os.path.join(tree, "run"), "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\necho {version}\n" * 9000)
        os.chmod(f.name, 0o755)
        os.symlink("run", os.path.join(tree, "start"))
        cls.images[version] = tree
        cls.bundles[version] = cls.workspace.pack(
            version, None, payloads=[("app", "app", "tree", tree)],
            **{"rollback_index": INDEX, **settings})
        return cls.bundles[version]

    @classmethod
    def make_box(cls):
        image = os.path.join(cls.folder, "rootfs.img")
        with open(image, "wb") as f:
            f.write(b"rootfs" * 9000)
        box = Box(cls.workspace, "gw-000001", image)
        top = box.path("trees")
        os.makedirs(os.path.join(top, "1", "app"))
        os.makedirs(os.path.join(top, "2"))
        with open(os.path.join(top, "1", "precious"), "w", encoding="ascii") as f:
            f.write("nobody may touch this\n")
        os.link(f.name, os.path.join(top, "precious"))
        os.symlink(os.path.join(top, "1", "app"), os.path.join(top, "now"))
        box.set({"slot app": {"type": "dir", "a": os.path.join(top, "1", "app"),
                              "b": os.path.join(top, "2", "app"),
                              "current": os.path.join(top, "now")}})
        box.factory_install = lambda bundle: (
            box.agent("install", bundle, "--metadata", cls.workspace.path("site", "metadata")),
            box.agent("confirm"))
        return box

    def put_back(self, *names):
        """Hard links, too."""
        super().put_back(*names)
        if "boxes" in names:
            top = self.box.path("trees")
            os.unlink(os.path.join(top, "precious"))
            os.link(os.path.join(top, "1", "precious"), os.path.join(top, "precious"))

    def setUp(self):
        super().setUp()
        self.trees = listing(self.box.path("trees"))

    def assert_untouched(self, other_side=True):
        """Everything beside the folder that is not finished yet is what it was."""
        super().assert_untouched()
        new = self.box.path("trees", "1", "app.new")
        self.assertEqual(listing(self.box.path("trees"), () if other_side else (new,)), self.trees)

    def assert_installs(self):
        self.start_agent()
        wait_until(self.runs_new, WAIT_S, lambda: f"2.0.0 runs\n{self.box.log()[-3000:]}")
        self.end_agent()

    def runs_new(self):
        with open(self.box.path("trees", "now", "etc", "conf"), encoding="ascii") as f:
            return f.read() == f"version={NEW}\n" and self.box.status()["pending"] is None

    # Trees that somebody with the right keys has signed.

    def lines(self, version=NEW):
        """What a list of files says: one dictionary a line."""
        return self.new_bundle(version).files("app")

    def entry(self, path, kind="dir", **changes):
        """A line for something of no bytes."""
        line = {"path": path, "type": kind, "mode": 0o755, "uid": os.getuid(),
                "gid": os.getgid(), "mtime": 1760000000}
        if kind == "file":
            line.update(size=0, sha256=hashlib.sha256(b"").hexdigest())
        return {**line, **changes}

    def tree(self, *lines, raw=None, honest=True):
        """A bundle with these lines beside the honest ones, in order, or these very bytes."""
        bundle = self.new_bundle()
        bundle.signed["version"] = "9.0.0"
        every = (bundle.files("app") if honest else []) + list(lines)
        every.sort(key=lambda line: line["path"].encode().replace(b"/", b"\0"))
        text = "".join(canonical(line) + "\n" for line in every).encode()
        bundle.put("app.files", text if raw is None else raw)
        return bundle.seal(self.release_key).tar()


__all__ = ["Grove", "NEW", "OLD", "listing"]
