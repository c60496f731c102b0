"""A disk that loses power: what may be on it after any prefix of recorded events.

The model is what POSIX promises and file systems with a journal do, at their worst:

- A write or truncation of a file lasts once that file was fsynced. Before that any subset of them
  may have reached the disk, each whole or (a write) only its first half.
- A change of names (create, rename, unlink, mkdir, symlink, link) lasts once a folder that it
  touched was fsynced. Before that the changes of names in a folder have reached the disk up to some
  point, in their order; a rename is atomic. fsync of a file does not make its name last.
- A mode or a time is like a write, of a file, link or folder; owners and attributes are not told.
- sync makes everything last.
"""
import collections
import dataclasses
import os
import random
import shutil
import stat

# What there is at a path of an image. what: bytes of a file, a Symlink, or None for a folder; or a
# Hardlink to a path before it. mtime_ns None: that of now.
Item = collections.namedtuple("Item", "what mode mtime_ns")


class Symlink(str):
    """What a symbolic link says."""


class Hardlink(str):
    """The other name of a file."""


class Node:
    """A file, symbolic link or folder: what of it lasts, and what was done to it since."""

    def __init__(self, what=b"", mode=0o600, mtime_ns=None):
        self.durable = Item(what, mode, mtime_ns)
        self.pending = []      # (offset, data), ("size", n), ("mode", m) or ("time", n)

    @property
    def is_folder(self):
        return self.durable.what is None


def apply_ops(item, ops):
    """An Item after these."""
    for op in ops:
        if op[0] == "mode":
            item = item._replace(mode=op[1])
        elif op[0] == "time":
            item = item._replace(mtime_ns=op[1])
        else:
            item = Item(apply_write(item.what, op), item.mode, None)
    return item


def apply_write(content, op):
    out = bytearray(content)
    if op[0] == "size":
        del out[op[1]:]
        out.extend(bytes(op[1] - len(out)))
    else:
        offset, data = op
        if len(out) < offset:
            out.extend(bytes(offset - len(out)))
        out[offset:offset + len(data)] = data
    return bytes(out)


def folder(path):
    return os.path.dirname(path)


class Disk:
    """Names and files, with what is durable and what is pending."""

    def __init__(self, root):
        self.durable = {}      # path → Node
        known = {}             # inode → Node
        for top, folders, files in os.walk(root):
            for name in folders + files:
                full = os.path.join(top, name)
                info = os.lstat(full)
                if info.st_ino not in known:
                    known[info.st_ino] = self.load(full, info)
                if known[info.st_ino]:
                    self.durable[os.path.relpath(full, root)] = known[info.st_ino]
        self.now = dict(self.durable)
        self.pending = []      # (event, node): changes of names that do not last yet

    @staticmethod
    def load(path, info):
        if stat.S_ISLNK(info.st_mode):
            what = Symlink(os.readlink(path))
        elif stat.S_ISDIR(info.st_mode):
            what = None
        elif stat.S_ISREG(info.st_mode):
            with open(path, "rb") as f:
                what = f.read()
        else:
            return None
        return Node(what, stat.S_IMODE(info.st_mode), info.st_mtime_ns)

    @staticmethod
    def rename_in(names, event, node):
        """Applies one change of names to a dictionary."""
        if event.kind in ("create", "symlink", "mkdir"):
            names[event.path] = node
        elif event.kind == "link":
            names[event.to] = node
        elif event.kind in ("unlink", "rmdir"):
            names.pop(event.path, None)
        elif event.kind == "rename":
            moved = {p: n for p, n in names.items()
                     if p == event.path or p.startswith(event.path + "/")}
            if event.path not in names:
                return
            for p in moved:
                del names[p]
            for p in [p for p in names if p == event.to or p.startswith(event.to + "/")]:
                del names[p]
            for p, n in moved.items():
                names[event.to + p[len(event.path):]] = n

    def event(self, e):
        """One more event has happened."""
        if e.kind == "write":
            self.now[e.path].pending.append((e.offset, e.data))
        elif e.kind == "truncate":
            self.now[e.path].pending.append(("size", e.size))
        elif e.kind == "mode":
            node = self.now[e.path]
            if apply_ops(node.durable._replace(what=b""), node.pending).mode != e.mode:
                node.pending.append(("mode", e.mode))
        elif e.kind == "time":
            self.now[e.path].pending.append(("time", e.mtime_ns))
        elif e.kind == "sync":
            self.sync(e.path)
        elif e.kind == "sync_all":
            self.settle(lambda _: True)
            for node in self.now.values():
                self.flush(node)
        else:
            node = None
            if e.kind == "create":
                node = Node(mode=e.mode)
            elif e.kind == "mkdir":
                node = Node(None, e.mode)
            elif e.kind == "symlink":
                node = Node(Symlink(e.target))
            elif e.kind == "link":
                node = self.now[e.path]
            self.rename_in(self.now, e, node)
            self.pending.append((e, node))

    @staticmethod
    def flush(node):
        if node is not None:
            node.durable = apply_ops(node.durable, node.pending)
            node.pending = []

    def sync(self, path):
        node = self.now.get(path)
        self.flush(node)
        if node is not None and not node.is_folder:
            return
        self.settle(lambda e: path in self.touched(e))

    @staticmethod
    def touched(e):
        paths = {folder(e.path)}
        if e.to:
            paths.add(folder(e.to))
        return paths

    def settle(self, chosen):
        """Makes the chosen changes of names last, and those before them in the same folders."""
        last = [i for i, (e, _) in enumerate(self.pending) if chosen(e)]
        if not last:
            return
        keep = []
        for i, (e, node) in enumerate(self.pending):
            if i <= last[-1] and chosen(e):
                self.rename_in(self.durable, e, node)
                keep = list(self.overtaken(keep, e))
            else:
                keep.append((e, node))
        self.pending = keep

    @staticmethod
    def overtaken(pending, e):
        """What was done before e, and lasts no sooner: what was in a folder that is gone is gone
        with it, and what was in one that has another name is there."""
        gone = {"rename": e.to, "rmdir": e.path}.get(e.kind)
        for before, node in pending:
            if gone and before.path.startswith(gone + "/"):
                continue
            if e.kind == "rename" and before.path.startswith(e.path + "/"):
                before = dataclasses.replace(before, **{
                    name: e.to + path[len(e.path):] for name, path in
                    (("path", before.path), ("to", before.to)) if path})
            yield before, node

    def dirty(self):
        return [n for n in {id(n): n for n in self.now.values() if n}.values() if n.pending]

    def image(self, names_kept, ops_kept):
        """What is on the disk when the first names_kept pending changes of names and, of each file,
        ops_kept(node) of its pending writes arrived. {path: Item}."""
        names = dict(self.durable)
        for e, node in self.pending[:names_kept]:
            self.rename_in(names, e, node)
        out, first = {}, {}
        for path, node in sorted(names.items()):
            if folder(path) and folder(path) not in names:
                continue    # in a folder that never arrived
            out[path] = apply_ops(node.durable, ops_kept(node))
            if not node.is_folder and first.setdefault(id(node), path) != path:
                out[path] = out[path]._replace(what=Hardlink(first[id(node)]))
        return out

    def crashes(self, chance):
        """The images that a power cut now may leave: none, all, and subsets of what is pending."""
        names = sorted({0, len(self.pending), *([chance.randint(0, len(self.pending))])})
        for kept in names:
            yield self.image(kept, lambda n: [])
            yield self.image(kept, lambda n: n.pending)
        for node in self.dirty():
            ops = node.pending
            picks = range(len(ops)) if len(ops) <= 4 else chance.sample(range(len(ops)), 4)
            for i in picks:
                without = ops[:i] + ops[i + 1:]
                yield self.image(len(self.pending),
                                 lambda n, w=without, m=node: w if n is m else n.pending)
                yield self.image(len(self.pending),
                                 lambda n, o=ops[i], m=node: [o] if n is m else [])
            if isinstance(ops[-1][1], bytes) and len(ops[-1][1]) > 1:
                offset, data = ops[-1]
                torn = ops[:-1] + [(offset, data[:len(data) // 2])]
                yield self.image(len(self.pending),
                                 lambda n, t=torn, m=node: t if n is m else n.pending)
            some = [o for o in ops if chance.random() < 0.5]
            yield self.image(len(self.pending), lambda n, s=some, m=node: s if n is m else [])


def write_image(image, root):
    """Makes root hold exactly this image."""
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    for path, item in image.items():
        full = os.path.join(root, path)
        if item.what is None:
            os.makedirs(full, exist_ok=True)
        elif isinstance(item.what, Symlink):
            os.symlink(item.what, full)
        elif isinstance(item.what, Hardlink):
            os.link(os.path.join(root, item.what), full)
        else:
            with open(full, "wb") as f:
                f.write(item.what)
    # Behind all that changes them; a folder's after those of what is in it.
    for path, item in sorted(image.items(), reverse=True):
        full = os.path.join(root, path)
        if not isinstance(item.what, Symlink):
            os.chmod(full, item.mode)
        if item.mtime_ns is not None:
            os.utime(full, ns=(item.mtime_ns, item.mtime_ns), follow_symlinks=False)


def image_key(image):
    """The same for the same content, in one run of Python."""
    return hash(tuple(image.items()))


def crash_images(start_root, events, skip=(), seed=1, seen=None, few=None):
    """Every different image after every prefix of events, as (index of the prefix, image); of those
    after the whole of events, all. skip: the indices of events (fsyncs) that are played as if the
    program had never asked for them. seen: keys of images that are passed over; new ones are added.
    few: so many after each prefix at most.
    """
    chance = random.Random(seed)
    disk = Disk(start_root)
    seen = set() if seen is None else seen
    for i in range(len(events) + 1):
        last = set()
        images = list(disk.crashes(chance))
        if few is not None and len(images) > few:
            images = chance.sample(images, few)
        for image in images:
            key = image_key(image)
            if key in last or (key in seen and i < len(events)):
                continue
            seen.add(key)
            last.add(key)
            yield i, image
        if i < len(events) and i not in skip:
            disk.event(events[i])
