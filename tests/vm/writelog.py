"""What a disk was told to write, in that order: a log of qemu's blklogwrites, in the format of
Linux's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst)."""
import contextlib
import re
import struct

MAGIC = 0x6a736677736872
SUPER = struct.Struct("<QQQI")  # magic, version, entries, bytes of a sector
ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, bytes of a mark
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
# How a block begins with which ext4's journal commits, or says where it starts. fs/jbd2 has those
# on the medium before it goes on (FUA), which qemu's NVMe does not pass on to what writes the log.
JOURNAL = re.compile(rb"\xc0\x3b\x39\x98\0\0\0[\2-\4]", re.S)


class Write:
    """Bytes that were to stand at a place of the disk. durable: it asked to be on the medium when
    it was over."""

    def __init__(self, at, data, durable):
        self.at, self.data, self.durable = at, data, durable


def read(path):
    """Yields a list of writes for each time between two flushes. The last one ends without."""
    with open(path, "rb") as f:
        magic, version, count, sector = SUPER.unpack(f.read(SUPER.size))
        if (magic, version) != (MAGIC, 1):
            raise ValueError(f"{path} is no log of writes")
        at, epoch = sector, []
        for _ in range(count):
            f.seek(at)
            first, sectors, flags, _ = ENTRY.unpack(f.read(ENTRY.size))
            at += sector
            if flags & FLUSH:
                yield epoch
                epoch = []
            if flags & (DISCARD | MARK) or sectors == 0:
                continue
            f.seek(at)
            data = f.read(sectors * sector)
            if len(data) != sectors * sector:
                raise ValueError(f"{path} ends in the middle of a write")
            at += len(data)
            epoch.append(Write(first * sector, data,
                               bool(flags & FUA) or JOURNAL.match(data) is not None))
        yield epoch


def cut(epoch, rng, atom):
    """Power that goes somewhere in it: of the writes up to there each may have come to the medium
    or not, but for the durable ones, and the last of them in part: atom(write) bytes at a time."""
    upto = rng.randrange(len(epoch)) + 1
    kept = [w for w in epoch[:upto] if w.durable or rng.random() < 0.5]
    if kept and not kept[-1].durable:
        torn = kept.pop()
        whole = rng.randrange(len(torn.data) // atom(torn) + 1) * atom(torn)
        kept.append(Write(torn.at, torn.data[:whole], False))
    return kept


def tears(old, write, rng, count):
    """What a place may hold when the power goes while it is written: the first bytes of the new
    text and the rest of the old, so many times; or no text at all."""
    changed = [i for i, byte in enumerate(write.data) if byte != old[i]]
    for at in sorted(rng.sample(changed, min(count, len(changed)))):
        yield Write(write.at, write.data[:at] + old[at:], False)
    yield Write(write.at, bytes(len(old)), False)
    yield Write(write.at, rng.randbytes(len(old)), False)


class Replay:
    """A disk's file to which writes are done again, and undone. Whatever is written, on_write is
    told of it before."""

    def __init__(self, path, on_write):
        self.file = open(path, "r+b")
        self.on_write = on_write

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def read(self, at, length):
        self.file.seek(at)
        return self.file.read(length)

    def write(self, writes):
        """Returns what it takes to undo them."""
        self.on_write(writes)
        undo = []
        for w in writes:
            undo.insert(0, Write(w.at, self.read(w.at, len(w.data)), False))
            self.file.seek(w.at)
            self.file.write(w.data)
        self.file.flush()
        return undo

    @contextlib.contextmanager
    def tried(self, writes):
        """They are there as long as this lasts."""
        undo = self.write(writes)
        yield
        self.write(undo)
