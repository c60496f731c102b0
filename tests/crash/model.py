"""A disk that loses power: what may be on it after any prefix of recorded events.

The model is what POSIX promises and file systems with a journal do, at their worst:

- A write or truncation of a file lasts once that file was fsynced. Before that any subset of them
  may have reached the disk, each whole or (a write) only its first half.
- A change of names (create, rename, unlink, mkdir, symlink, link) lasts once a folder that it
  touched was fsynced. Before that the changes of names in a folder have reached the disk up to some
  point, in their order; a rename is atomic. fsync of a file does not make its name last.
- sync makes everything last.
"""
import os
import random
import shutil
import stat


class Node:
    """A file or symbolic link (folders are paths in Disk.names that map to None)."""

    def __init__(self, content=b"", mode=0o600, target=None):
        self.durable = content
        self.pending = []      # (offset, data) or ("size", n)
        self.mode = mode
        self.target = target


def apply_ops(content, ops):
    out = bytearray(content)
    for op in ops:
        if op[0] == "size":
            del out[op[1]:]
            out.extend(bytes(op[1] - len(out)))
            continue
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
        self.durable = {}      # path → Node, or None for a folder
        for top, folders, files in os.walk(root):
            for name in folders + files:
                full = os.path.join(top, name)
                path = os.path.relpath(full, root)
                info = os.lstat(full)
                if stat.S_ISLNK(info.st_mode):
                    self.durable[path] = Node(target=os.readlink(full))
                elif stat.S_ISDIR(info.st_mode):
                    self.durable[path] = None
                elif stat.S_ISREG(info.st_mode):
                    with open(full, "rb") as f:
                        self.durable[path] = Node(f.read(), stat.S_IMODE(info.st_mode))
        self.now = dict(self.durable)
        self.pending = []      # (event, node): changes of names that do not last yet

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
            elif e.kind == "symlink":
                node = Node(target=e.target)
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
        if path != "" and self.now.get(path) is not None:
            self.flush(self.now[path])
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
            else:
                keep.append((e, node))
        self.pending = keep

    def dirty(self):
        return [n for n in {id(n): n for n in self.now.values() if n}.values() if n.pending]

    def image(self, names_kept, ops_kept):
        """What is on the disk when the first names_kept pending changes of names and, of each file,
        ops_kept(node) of its pending writes arrived. {path: bytes, (target,), or None}."""
        names = dict(self.durable)
        for e, node in self.pending[:names_kept]:
            self.rename_in(names, e, node)
        out = {}
        for path, node in sorted(names.items()):
            if folder(path) and folder(path) not in names:
                continue    # in a folder that never arrived
            if node is None:
                out[path] = None
            elif node.target is not None:
                out[path] = (node.target,)
            else:
                out[path] = (apply_ops(node.durable, ops_kept(node)), node.mode)
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
            if ops[-1][0] != "size" and len(ops[-1][1]) > 1:
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
    for path, what in image.items():
        full = os.path.join(root, path)
        if what is None:
            os.makedirs(full, exist_ok=True)
        elif len(what) == 1:
            os.symlink(what[0], full)
        else:
            with open(full, "wb") as f:
                f.write(what[0])
            os.chmod(full, what[1])


def image_key(image):
    """The same for the same content, in one run of Python."""
    return hash(tuple(image.items()))


def crash_images(start_root, events, skip=(), seed=1, seen=None):
    """Every different image after every prefix of events, as (index of the prefix, image); of those
    after the whole of events, all. skip: the indices of events (fsyncs) that are played as if the
    program had never asked for them. seen: keys of images that are passed over; new ones are added.
    """
    chance = random.Random(seed)
    disk = Disk(start_root)
    seen = set() if seen is None else seen
    for i in range(len(events) + 1):
        last = set()
        for image in disk.crashes(chance):
            key = image_key(image)
            if key in last or (key in seen and i < len(events)):
                continue
            seen.add(key)
            last.add(key)
            yield i, image
        if i < len(events) and i not in skip:
            disk.event(events[i])
