"""What a disk was told to write, in that order: a log of qemu's blklogwrites, in the format of
Linux's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst)."""
import struct

MAGIC = 0x6a736677736872
SUPER = struct.Struct("<QQQI")  # magic, version, entries, bytes of a sector
ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, bytes of a mark
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


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
            epoch.append(Write(first * sector, data, bool(flags & FUA)))
        yield epoch


def cut(epoch, rng):
    """Power that goes somewhere in it: of the writes up to there each may have come to the medium
    or not, but for the durable ones, and the last of them in part."""
    upto = rng.randrange(len(epoch)) + 1
    kept = [w for w in epoch[:upto] if w.durable or rng.random() < 0.5]
    if kept and not kept[-1].durable:
        torn = kept.pop()
        kept.append(Write(torn.at, torn.data[:rng.randrange(len(torn.data) // 512 + 1) * 512],
                          False))
    return kept


class Replay:
    """A disk's file to which writes are done again, and undone."""

    def __init__(self, path):
        self.file = open(path, "r+b")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, writes):
        """Returns what it takes to undo them."""
        undo = []
        for w in writes:
            self.file.seek(w.at)
            undo.insert(0, Write(w.at, self.file.read(len(w.data)), False))
            self.file.seek(w.at)
            self.file.write(w.data)
        self.file.flush()
        return undo
