"""Units of systemd's, read as it reads them."""
import functools
import re

from fleet.process import run


def settings(text, section):
    """[(key, value)] of one section, in order."""
    found, here = [], None
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if re.fullmatch(r"\[.*\]", line):
            here = line[1:-1]
        elif here == section and "=" in line and not line.startswith(("#", ";")):
            found.append(tuple(word.strip() for word in line.split("=", 1)))
    return found


@functools.cache
def calls_of(group):
    """The system calls of a word of SystemCallFilter=: a group's, with those that it holds."""
    if not group.startswith("@"):
        return frozenset([group])
    lines = run(["systemd-analyze", "syscall-filter", "--no-pager", group]).stdout.splitlines()
    words = [line.strip() for line in lines if re.match(r"\s+[@a-z]", line)]
    return frozenset(call for word in words for call in calls_of(word))


def calls_allowed(text):
    """What SystemCallFilter= leaves, where its first line says what is allowed."""
    allowed = set()
    for key, value in settings(text, "Service"):
        if key == "SystemCallFilter":
            calls = {c for word in value.lstrip("~").split() for c in calls_of(word)}
            allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed
