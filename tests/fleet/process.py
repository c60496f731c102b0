"""Running programs, and waiting for what they do."""
import os
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Programs:
    """Where the programs under test are."""

    def __init__(self, build=None):
        self.build = os.path.abspath(build or os.environ["SLUICE_BUILD"])
        self.sluice = os.path.join(self.build, "sluice")
        self.agent = os.path.join(self.build, "sluice-agent")
        self.net = os.path.join(self.build, "sluice-net")  # the agent finds it beside itself

    def tool(self, name):
        return os.path.join(self.build, "tests", "tools", name)


class CommandFailed(Exception):
    """A program exited otherwise than it should have."""

    def __init__(self, argv, done):
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        super().__init__(f"{' '.join(argv)}\nexit {self.status}\n{self.stdout}{self.stderr}")


def run(argv, check=0, timeout=300, **kwargs):
    """Runs a program to its end. check is the exit status it has to have; None for any. The end of
    a program that hangs is far off: on a disk that others write to, whatever it syncs waits."""
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    if "input" in kwargs:
        del kwargs["stdin"]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=timeout,
                          check=False, **kwargs)
    if check is not None and done.returncode != check:
        raise CommandFailed(argv, done)
    return done


def flip(path, offset):
    """Changes one bit of a file, where it lies."""
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)
        f.seek(offset)
        f.write(bytes([byte[0] ^ 1]))


def wait_until(condition, timeout_s=30, what=None, every_s=0.05):
    """Returns the first true value of condition(), or raises TimeoutError saying what it was."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            what = what() if callable(what) else what
            raise TimeoutError(f"not within {timeout_s} s: {what or condition.__doc__}")
        time.sleep(every_s)
