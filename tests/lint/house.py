"""The house's own rules, as functions that yield complaints "path:line: what is wrong".

They read what git tracks (or, in a tree without git, what is there), so that what lies in build/
or in an editor's backup counts for nothing.
"""
import hashlib
import os
import re
import statistics
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILE_LINES_MAX = 600
LINE_COLUMNS_MAX = 100
TOP_LEVEL = {"Makefile", "README.md", "LICENSE", "signer", "agent", "common", "keys", "manifests",
             "tests"}

# Which rooms each room may include from, beside itself. tests/ may look into any.
ARROWS = {
    "common": set(),
    "common/base": {"common"},
    "common/crypto": {"common", "common/base"},
    "common/format": {"common", "common/base", "common/crypto"},
    "common/tuf": {"common", "common/base", "common/crypto"},
    "signer": {"common", "common/base", "common/crypto", "common/format", "common/tuf"},
    "agent": {"common", "common/base", "common/crypto", "common/format", "common/tuf"},
    # And of agent/ what both processes speak (BETWEEN).
    "agent/net": {"common", "common/base", "common/crypto"},
}

# The one header of the agent's that its network child has, too.
BETWEEN = {"agent/net": "agent/wire.h"}

# Each third-party header has one home: a room or a file.
HOMES = {
    r"jansson\.h": "common/base/json.h",
    r"sodium(/.*)?\.h": "common/crypto/",
    r"openssl/.*": "common/crypto/",
    r"zlib\.h": "common/format/codec_zlib.h",
    r"libdeflate\.h": "common/format/codec.c",
    r"archive(_entry)?\.h": "common/format/archive.h",
    r"curl/.*": "agent/net/http.c",
    r"ini\.h": "agent/conf.c",
    r"libfyaml(/.*)?\.h": "signer/yaml.c",
    r"sqlite3\.h": "signer/sql.c",
    r"(ext2fs|et)/.*": "signer/contents_ext4.c",
}

# Names of tools that helped to build the house and that nobody who reads it needs to know: the
# first 12 digits of SHA-256 of each word in lower case, so that this list names none of them.
TOOL_WORDS = {
    "c857d09db23e", "c70eca6b0f88", "7d3194f79e64", "60965168ce76", "3ea125d0bff3",
    "57de4cf40144", "053ea4804ef1", "487b91042c7c", "de2187af3fb0", "5d72436256ad",
}

AMERICAN = re.compile(
    r"(?i)(?<![a-z])((un)?(behavior|color|favor|honor|neighbor|(initial|serial|synchron|recogn"
    r"|organ|author|normal|canonical|optim|minim|maxim|util|final|summar|random|sanit)"
    r"iz(e[sdr]?|ing|ation)|analyz(e[sdr]?|ing)|cancel(ed|ing)|label(ed|ing)|signal(ed|ing)"
    r"|catalog|defense|offense|center)s?)(?![a-z])")
# Names that others chose, which must be written as they are.
FOREIGN = re.compile(
    r"part_gpt|[=,]gpt\d|label: gpt|libuboot_initialize|initialize_ext2_error_table|"
    r"systemd-analyze|timesync/synchronized|"
    r"-fno-sanitize\S*|-fsanitize\S*|sanitizers?\b|Authorization\b|finalizer|initializer|"
    r"[A-Z_]+_INITIALIZER|clang-analyzer|sqlite3_finalize|__sanitizer\w*|no_sanitize|"
    r"__SANITIZE_ADDRESS__|optimize_?\w*\(|primitives\.serialization\b")


def tracked():
    """Paths of all files of the house, relative to ROOT."""
    try:
        paths = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
            capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):  # no git here, or no repository
        paths = [os.path.relpath(os.path.join(folder, name), ROOT)
                 for folder, dirs, names in os.walk(ROOT) for name in names]
        paths = [p for p in paths if not re.match(r"(build|\.git)/|.*(__pycache__/|\.pyc$)", p)]
    return sorted(p for p in paths if p and os.path.isfile(os.path.join(ROOT, p)))


def lines_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read().split("\n")


def is_text(path):
    if path.startswith("tests/fuzz/corpus/"):  # whatever they look like
        return False
    with open(os.path.join(ROOT, path), "rb") as f:
        return b"\0" not in f.read(4096)


def c_files(paths):
    return [p for p in paths if p.endswith((".c", ".h"))]


def includes(path):
    """Yields (line number, "<" or a quote, what is included)."""
    for number, line in enumerate(lines_of(path), 1):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found.group(1), found.group(2)


def check_arrows(paths):
    """base <- crypto <- format, tuf <- signer, agent; and these two never meet."""
    for path in c_files(paths):
        room = os.path.dirname(path)
        for number, quote, what in includes(path):
            if quote == "<":
                continue
            if not os.path.isfile(os.path.join(ROOT, what)):
                yield f'{path}:{number}: "{what}" is no file; paths start at the top of the house'
                continue
            target = os.path.dirname(what)
            if room.split("/")[0] != "tests" and what != BETWEEN.get(room) and target != room and \
                    target not in ARROWS.get(room, set()):
                yield f"{path}:{number}: {room}/ may not include from {target}/"


def check_homes(paths):
    """Each third-party header is included in one place."""
    for path in c_files(paths):
        if path.startswith("tests/"):
            continue
        for number, _, what in includes(path):
            for pattern, home in HOMES.items():
                if re.fullmatch(pattern, what) and not path.startswith(home):
                    yield f"{path}:{number}: <{what}> belongs to {home} alone"


def check_top_level(paths):
    """Nothing lies beside what the design names, but dotfiles."""
    for entry in sorted({p.split("/")[0] for p in paths}):
        if entry not in TOP_LEVEL and not entry.startswith("."):
            yield f"{entry}: has no place at the top of the house"


def check_lengths(paths):
    """Files stay short enough to be read, lines narrow enough to be seen."""
    for path in paths:
        if not is_text(path):
            continue
        lines = lines_of(path)
        # What stands in a table is looked up, not read.
        rows = sum(line.startswith("| ") for line in lines) if path.endswith(".md") else 0
        if len(lines) - 1 - rows > FILE_LINES_MAX:
            yield f"{path}: {len(lines) - 1 - rows} lines; {FILE_LINES_MAX} are the most"
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                yield f"{path}:{number}: blanks at the end of the line"
            columns = len(line.expandtabs(8))
            if columns > LINE_COLUMNS_MAX and path.endswith((".c", ".h", ".py", "/run")):
                yield f"{path}:{number}: {columns} columns; {LINE_COLUMNS_MAX} are the most"
        if lines[-1] != "":
            yield f"{path}: no newline at the end"


def words_of(text):
    return (word.lower() for word in re.findall(r"[A-Za-z]{3,}", text))


def is_tool_word(word):
    return hashlib.sha256(word.encode()).hexdigest()[:12] in TOOL_WORDS


def check_words(paths):
    """British spelling, nothing put off, and no tool of the workplace named."""
    seen = {}
    for path in paths:
        if not is_text(path) or path.startswith("tests/lint/"):
            continue
        for number, line in enumerate(lines_of(path), 1):
            for word in words_of(FOREIGN.sub("", line)):
                if word not in seen:
                    seen[word] = is_tool_word(word)
                if seen[word]:
                    yield f"{path}:{number}: names a tool of the workplace"
            if re.search(r"\b(TODO|FIXME|XXX)\b(?!X)", line):
                yield f"{path}:{number}: leaves something for later"
            american = AMERICAN.search(FOREIGN.sub("", line))
            if american:
                yield f"{path}:{number}: '{american.group(0)}' is not British spelling"


def check_libraries_keep_quiet(paths):
    """What is in common/ neither prints nor ends the program; the log and a fork's child may."""
    speaks = re.compile(r"(?<![\w>.])(printf|vprintf|puts|putchar|perror|fprintf|fputs|exit)\(")
    for path in c_files(paths):
        if not path.startswith("common/") or path == "common/base/log.c":
            continue
        for number, line in enumerate(lines_of(path), 1):
            found = speaks.search(line)
            if found and not line.lstrip().startswith(("*", "/*")):
                yield f"{path}:{number}: a library calls {found.group(1)}()"


def check_gotos(paths):
    """goto only to undo an action: its label says so."""
    for path in c_files(paths):
        for number, line in enumerate(lines_of(path), 1):
            found = re.match(r"\s*goto (\w+);", line)
            if found and not found.group(1).startswith("undo"):
                yield f"{path}:{number}: goto {found.group(1)}; only an undo may be jumped to"


def check_guards(paths):
    """A header's guard is its path."""
    for path in paths:
        if not path.endswith(".h") or path.startswith("tests/"):
            continue
        stem = re.sub(r"^common/", "", path)
        guard = "SLUICE_" + re.sub(r"[^A-Z0-9]", "_", stem.upper())
        if f"#ifndef {guard}" not in lines_of(path):
            yield f"{path}: its guard should be {guard}"


LIMITS = "common/limits.h"
# As a macro, as a constant of an enum, as a variable of a file.
MAXIMUM = re.compile(r"^\s*#\s*define\s+([A-Z]\w*_MAX(?:_[A-Z]+)*)\b"
                     r"|\b([A-Z]\w*_MAX(?:_[A-Z]+)*)\s*=(?!=)"
                     r"|^static const [\w ]+\b(\w+_max(?:_\w+)?) =")


def check_limits(paths):
    """Every maximum is in one header, with its reason. What a buffer of ours has is none: it is a
    _SIZE, or so many _BYTES; and what is shown of a longer list is so many _SHOWN."""
    for path in c_files(paths):
        if path.startswith("tests/") or path == LIMITS:
            continue
        for number, line in enumerate(lines_of(path), 1):
            for found in MAXIMUM.findall(line):
                yield f"{path}:{number}: {''.join(found)} belongs to {LIMITS}, with its reason; " \
                      "a buffer has a _SIZE"


MAPPED_ROOMS = ("signer",)


def check_maps(paths):
    """The map of a large room has every file of it once, and none that is not there. main and the
    cmd_* need no place on it: what comes before the table says what they are."""
    for room in MAPPED_ROOMS:
        page = room + "/README.md"
        if page not in paths:
            continue
        there = {os.path.splitext(os.path.basename(p))[0] for p in c_files(paths)
                 if os.path.dirname(p) == room}
        rows = [line for line in lines_of(page) if line.startswith("| ")]
        named = [name for row in rows
                 for name in re.findall(r"`([a-z0-9_]+)`", row.split(" | ", 1)[-1])]
        for stem in sorted(set(named) - there):
            yield f"{page}: {stem} is on this map, and is no file of {room}/"
        for stem in sorted(there - set(named)):
            if stem != "main" and not stem.startswith("cmd_"):
                yield f"{page}: {stem} is a file of {room}/, and is not on this map"
        for stem in sorted({name for name in named if named.count(name) > 1}):
            yield f"{page}: {stem} is on this map twice"


CHECKS = (check_arrows, check_homes, check_top_level, check_lengths, check_words,
          check_libraries_keep_quiet, check_gotos, check_guards,
          check_limits, check_maps)


def function_lengths(paths):
    """Yields (lines of the body, path, line number) of every function: in the house's format, and
    only for functions, both braces stand alone in the first column."""
    for path in c_files(paths):
        start = None
        for number, line in enumerate(lines_of(path), 1):
            if line == "{":
                start = number
            elif line == "}" and start is not None:
                yield number - start - 1, path, start
                start = None


class Figures:
    """How long functions are: half of them under 20 lines, nine of ten under 50."""
    MEDIAN_MAX, NINETIETH_MAX = 20, 50

    def __init__(self, paths):
        self.all = sorted(function_lengths(paths), reverse=True)
        lengths = [length for length, _, _ in self.all]
        self.median = statistics.median(lengths) if lengths else 0
        self.ninetieth = sorted(lengths)[len(lengths) * 9 // 10] if lengths else 0

    def good(self):
        return self.median < self.MEDIAN_MAX and self.ninetieth < self.NINETIETH_MAX

    def __str__(self):
        text = f"{len(self.all)} functions: median {self.median:g} lines, " \
               f"90th percentile {self.ninetieth}"
        if self.all:
            text += f", longest {self.all[0][0]} ({self.all[0][1]}:{self.all[0][2]})"
        return text


def program_files(paths):
    return [p for p in paths if p.endswith(".c") and not p.startswith("tests/")]
