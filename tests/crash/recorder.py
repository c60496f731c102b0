"""Records what a program does to the files below one folder, through strace.

record(argv, root) runs the program and returns its exit code and a list of events in the order in
which the kernel finished them. Only system calls that change something, or make a change last, are
kept. Paths are relative to root; what happens outside of it is not recorded.

    Event("create", path, mode=0o600)       a file that was not there before
    Event("write", path, offset=4, data=b"...")
    Event("truncate", path, size=0)
    Event("sync", path)                     fsync or fdatasync of a file or folder
    Event("sync_all", "")                   sync, syncfs
    Event("rename", path, to=path)
    Event("unlink" | "rmdir" | "mkdir", path)
    Event("symlink", path, target=text)
    Event("link", path, to=path)
    Event("mode", path, mode=0o644)         of what is there already
    Event("time", path, mtime_ns=n)
"""
import dataclasses
import os
import re
import subprocess
import tempfile

CALLS = ("open,openat,creat,close,dup,dup2,dup3,fcntl,lseek,write,pwrite64,writev,pwritev,pwritev2,"
         "ftruncate,truncate,fallocate,copy_file_range,sendfile,fsync,fdatasync,syncfs,sync,"
         "sync_file_range,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,symlink,"
         "symlinkat,link,linkat,mknod,mknodat,mmap,openat2,chdir,fchdir,chmod,fchmod,fchmodat,"
         "utimensat,futimesat,utimes,utime,chown,fchown,lchown,fchownat,setxattr,lsetxattr,"
         "fsetxattr,removexattr,lremovexattr,fremovexattr")
HERE = "AT_FDCWD<>"    # stands for the folder that calls without a folder argument start from


@dataclasses.dataclass
class Event:
    kind: str
    path: str
    offset: int = 0
    data: bytes = b""
    size: int = 0
    mode: int = 0
    to: str = ""
    target: str = ""
    mtime_ns: int = 0

    def __str__(self):
        more = {"write": f" {len(self.data)} bytes at {self.offset}", "rename": f" to {self.to}",
                "truncate": f" to {self.size}"}.get(self.kind, "")
        return f"{self.kind} {self.path}{more}"


class Unreadable(Exception):
    """A line of strace's that this program does not understand: nothing may be passed over."""


def unhex(text):
    return bytes(int(h, 16) for h in text.split("\\x")[1:])


STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
FD = re.compile(r"^(-?\d+|AT_FDCWD)(?:<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?)?")


class Recording:
    """The events below root, made from strace's lines."""

    def __init__(self, root, cwd):
        self.root = os.path.realpath(root)
        self.cwd = cwd
        self.events = []
        self.position = {}   # (process, descriptor) → where write() goes
        self.append = set()
        self.known = set()   # paths below root that exist
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                self.known.add(self.inside(os.path.join(folder, name)))
        self.known.add("")

    def inside(self, path):
        """The path below root, or None."""
        path = os.path.normpath(path)
        if path == self.root:
            return ""
        if path.startswith(self.root + "/"):
            return path[len(self.root) + 1:]
        return None

    def named(self, dirfd, quoted):
        """The path that a *at() call names: the folder's annotation and a quoted string."""
        text = unhex(STRING.match(quoted).group(1)).decode("utf-8", "surrogateescape")
        if not text.startswith("/"):
            base = self.cwd if dirfd == HERE else self.annotation(dirfd)
            text = os.path.join(base, text)
        # The parent may be a link, the last component is not followed.
        parent, name = os.path.split(text)
        return self.inside(os.path.join(os.path.realpath(parent), name))

    @staticmethod
    def annotation(text):
        match = FD.match(text)
        if not match or match.group(2) is None:
            raise Unreadable(text[:200])
        return unhex(match.group(2)).decode("utf-8", "surrogateescape")

    def held(self, text):
        """The path below root of an open descriptor; None outside, or when it has no name."""
        match = FD.match(text)
        if not match or match.group(2) is None or match.group(3):
            return None
        path = self.annotation(text)
        if path.endswith(" (deleted)"):
            return None
        return self.inside(path)

    def add(self, kind, path, **more):
        if path is not None:
            self.events.append(Event(kind, path, **more))

    def opened(self, pid, path, flags, result):
        fd = int(FD.match(result).group(1))
        self.position[pid, fd] = 0
        self.append.discard((pid, fd))
        if path is None or "O_TMPFILE" in flags:
            return
        if "O_APPEND" in flags:
            self.append.add((pid, fd))
        if "O_CREAT" in flags and path not in self.known:
            self.known.add(path)
            self.add("create", path, mode=int(flags.rsplit(" ", 1)[-1], 8))
        elif "O_TRUNC" in flags:
            self.add("truncate", path, size=0)

    def written(self, pid, fd_text, data, result, offset=None):
        fd = int(FD.match(fd_text).group(1))
        if offset is None:
            offset = self.position.get((pid, fd), 0)
            if (pid, fd) in self.append:
                raise Unreadable("a write to a file opened with O_APPEND")
            self.position[pid, fd] = offset + result
        if len(data) < result:
            raise Unreadable(f"{result} bytes were written, {len(data)} are in the log")
        self.add("write", self.held(fd_text), offset=offset, data=data[:result])

    def line(self, text):
        """One finished call: 'PID name(args) = result'."""
        match = re.match(r"^(\d+) +(\w+)\((.*)\) += (-?\d+|\?)(.*)$", text, re.S)
        if not match:
            if re.match(r"^\d+ +(\+\+\+|---)", text):
                return
            raise Unreadable(text[:200])
        pid, name, args, code, rest = match.groups()
        if code == "?" or int(code) < 0:
            return
        handler = getattr(self, "on_" + name, None)
        if not handler:
            raise Unreadable(f"no handler for {text[:200]}")
        handler(int(pid), args, int(code), code + rest)

    # Each call that CALLS names. args is the raw text between the brackets.
    def on_openat(self, pid, args, code, result):
        dirfd, quoted, flags = args.split(", ", 2)
        self.opened(pid, self.named(dirfd, quoted), flags.replace(", ", " "), result)

    def on_openat2(self, pid, args, code, result):
        dirfd, quoted, how = args.split(", ", 2)
        mode = re.search(r"mode=(0[0-7]*)", how)
        flags = re.search(r"flags=([^,}]*)", how).group(1)
        self.opened(pid, self.named(dirfd, quoted), flags + (f" {mode.group(1)}" if mode else ""),
                    result)

    def on_open(self, pid, args, code, result):
        self.on_openat(pid, HERE + ", " + args, code, result)

    def on_close(self, pid, args, code, result):
        self.position.pop((pid, int(FD.match(args).group(1))), None)

    def on_dup(self, pid, args, code, result):
        old = int(FD.match(args).group(1))
        self.position[pid, code] = self.position.get((pid, old), 0)

    on_dup2 = on_dup3 = on_dup

    def on_fcntl(self, pid, args, code, result):
        if "F_DUPFD" in args:
            self.on_dup(pid, args, code, result)

    def on_lseek(self, pid, args, code, result):
        self.position[pid, int(FD.match(args).group(1))] = code

    def on_write(self, pid, args, code, result):
        fd, quoted, _ = args.split(", ", 2)
        if self.held(fd) is not None:
            self.written(pid, fd, unhex(STRING.match(quoted).group(1)), code)

    def on_pwrite64(self, pid, args, code, result):
        fd, quoted, _, offset = args.split(", ", 3)
        if self.held(fd) is not None:
            self.written(pid, fd, unhex(STRING.match(quoted).group(1)), code, int(offset))

    def on_writev(self, pid, args, code, result):
        fd = args.split(", ", 1)[0]
        if self.held(fd) is not None:
            self.written(pid, fd, b"".join(unhex(s) for s in STRING.findall(args)), code)

    def on_pwritev(self, pid, args, code, result):
        fd = args.split(", ", 1)[0]
        if self.held(fd) is not None:
            offset = int(re.search(r"\], \d+, (\d+)", args).group(1))
            self.written(pid, fd, b"".join(unhex(s) for s in STRING.findall(args)), code, offset)

    on_pwritev2 = on_pwritev

    def on_ftruncate(self, pid, args, code, result):
        fd, size = args.rsplit(", ", 1)
        self.add("truncate", self.held(fd), size=int(size))

    def on_truncate(self, pid, args, code, result):
        quoted, size = args.rsplit(", ", 1)
        self.add("truncate", self.named(HERE, quoted), size=int(size))

    def on_fallocate(self, pid, args, code, result):
        fd, mode, offset, size = args.split(", ")
        if self.held(fd) is None:
            return
        if "PUNCH_HOLE" in mode or "ZERO_RANGE" in mode:
            self.add("write", self.held(fd), offset=int(offset), data=bytes(int(size)))
        elif "KEEP_SIZE" not in mode:
            raise Unreadable("fallocate that changes the size: " + args[-60:])

    def unexpected(self, pid, args, code, result):
        if any(self.held(part) is not None for part in args.split(", ") if FD.match(part)):
            raise Unreadable("a call that this recorder cannot replay: " + args[-100:])

    def on_chdir(self, pid, args, code, result):
        raise Unreadable("the program changes its folder: relative names would be misread")

    on_fchdir = on_chdir

    def on_fchmod(self, pid, args, code, result):
        fd, mode = args.split(", ")
        self.add("mode", self.held(fd), mode=int(mode, 8))

    def on_fchmodat(self, pid, args, code, result):
        dirfd, quoted, mode = args.split(", ")[:3]
        self.add("mode", self.named(dirfd, quoted), mode=int(mode, 8))

    def on_chmod(self, pid, args, code, result):
        self.on_fchmodat(pid, HERE + ", " + args, code, result)

    def on_utimensat(self, pid, args, code, result):
        dirfd, quoted, rest = args.split(", ", 2)
        times = re.match(r"\[UTIME_OMIT, \{tv_sec=(\d+), tv_nsec=(\d+)\}", rest)
        if not times:
            raise Unreadable("utimensat other than to set the time of a change: " + rest[-100:])
        self.add("time", self.named(dirfd, quoted),
                 mtime_ns=int(times[1]) * 10**9 + int(times[2]))

    def on_fchownat(self, pid, args, code, result):
        """Of a box whose files are all its user's, nothing is changed."""
        dirfd, quoted, user, group = args.split(", ")[:4]
        if self.named(dirfd, quoted) is not None and \
                (int(user), int(group)) != (os.getuid(), os.getgid()):
            raise Unreadable("a file is given to another user: " + args[-100:])

    def unreplayed(self, pid, args, code, result):
        """By name, in /proc/self/fd or anywhere."""
        raise Unreadable("a call that this recorder cannot replay: " + args[-100:])

    on_chown = on_fchown = on_lchown = on_futimesat = on_utimes = on_utime = unreplayed
    on_setxattr = on_lsetxattr = on_fsetxattr = unreplayed
    on_removexattr = on_lremovexattr = on_fremovexattr = unreplayed
    on_copy_file_range = on_sendfile = on_mknod = on_mknodat = unexpected

    def on_mmap(self, pid, args, code, result):
        if "MAP_SHARED" in args and "PROT_WRITE" in args:
            parts = args.split(", ")
            if self.held(parts[4]) is not None:
                raise Unreadable("a file is written through a shared mapping")

    def on_creat(self, pid, args, code, result):
        self.on_openat(pid, HERE + ", " + args.replace(", ", ", O_CREAT|O_TRUNC, "), code, result)

    def on_sync_file_range(self, pid, args, code, result):
        """It makes nothing last: sync_file_range(2), "Warning"."""

    def on_fsync(self, pid, args, code, result):
        self.add("sync", self.held(args))

    on_fdatasync = on_fsync

    def on_sync(self, pid, args, code, result):
        self.add("sync_all", "")

    on_syncfs = on_sync

    def moved(self, source, target):
        if (source is None) != (target is None):
            raise Unreadable(f"a rename into or out of the folder: {source} {target}")
        if source is None:
            return
        self.known.discard(source)
        self.known.add(target)
        self.add("rename", source, to=target)

    def on_rename(self, pid, args, code, result):
        old, new = args.split(", ")
        self.moved(self.named(HERE, old), self.named(HERE, new))

    def on_renameat(self, pid, args, code, result):
        parts = args.split(", ")
        if len(parts) > 4 and parts[4] not in ("0", "RENAME_NOREPLACE"):
            raise Unreadable("renameat2 with " + parts[4])
        self.moved(self.named(parts[0], parts[1]), self.named(parts[2], parts[3]))

    on_renameat2 = on_renameat

    def gone(self, kind, path):
        if path is not None:
            self.known.discard(path)
            self.add(kind, path)

    def on_unlink(self, pid, args, code, result):
        self.gone("unlink", self.named(HERE, args))

    def on_rmdir(self, pid, args, code, result):
        self.gone("rmdir", self.named(HERE, args))

    def on_unlinkat(self, pid, args, code, result):
        dirfd, quoted, flags = args.split(", ")
        self.gone("rmdir" if "REMOVEDIR" in flags else "unlink", self.named(dirfd, quoted))

    def on_mkdirat(self, pid, args, code, result):
        dirfd, quoted, mode = args.split(", ")
        path = self.named(dirfd, quoted)
        if path is not None:
            self.known.add(path)
            self.add("mkdir", path, mode=int(mode, 8))

    def on_mkdir(self, pid, args, code, result):
        self.on_mkdirat(pid, HERE + ", " + args, code, result)

    def on_symlinkat(self, pid, args, code, result):
        target, dirfd, quoted = args.split(", ")
        path = self.named(dirfd, quoted)
        if path is not None:
            self.known.add(path)
            text = unhex(STRING.match(target).group(1)).decode("utf-8", "surrogateescape")
            self.add("symlink", path, target=text)

    def on_symlink(self, pid, args, code, result):
        target, quoted = args.split(", ")
        self.on_symlinkat(pid, f"{target}, {HERE}, {quoted}", code, result)

    def on_linkat(self, pid, args, code, result):
        parts = args.split(", ")
        old, new = self.named(parts[0], parts[1]), self.named(parts[2], parts[3])
        if new is not None:
            self.known.add(new)
            self.add("link", old, to=new)

    def on_link(self, pid, args, code, result):
        old, new = args.split(", ")
        self.on_linkat(pid, f"{HERE}, {old}, {HERE}, {new}", code, result)


def joined(lines):
    """Puts '<unfinished ...>' lines and their '<... resumed>' halves together."""
    begun = {}
    for text in lines:
        text = text.rstrip("\n")
        pid = text.split(" ", 1)[0]
        if text.endswith("<unfinished ...>"):
            begun[pid] = text[:-len("<unfinished ...>")].rstrip(" ")
            continue
        resumed = re.match(r"^\d+ +<\.\.\. \w+ resumed>(.*)$", text, re.S)
        if resumed:
            text = begun.pop(pid) + resumed.group(1)
        yield text


def environment(env):
    """Leaks cannot be looked for in a program that is being traced."""
    said = env.get("ASAN_OPTIONS", "")
    return dict(env, ASAN_OPTIONS=f"{said}:detect_leaks=0")


def record(argv, root, timeout_s=120, **popen):
    """Runs argv. Returns (exit code, what it printed, events). Raises Unreadable."""
    recording = Recording(root, popen.get("cwd") or os.getcwd())
    popen["env"] = environment(popen.get("env") or os.environ)
    with tempfile.NamedTemporaryFile("r", errors="surrogateescape") as log:
        command = ["strace", "-f", "-q", "-y", "-xx", "-s", str(1 << 24), "-e", "signal=none", "-e",
                   "trace=" + CALLS, "-o", log.name, "--"] + argv
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=timeout_s, check=False, **popen)
        for text in joined(log):
            recording.line(text)
    return done.returncode, done.stdout, recording.events
