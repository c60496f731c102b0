"""What a box fetched, counted from the web server's own log: by what it was a part of.

Put directives(workspace) into the server block: its log has a line for each request with what was
sent, so that a transfer that was cut counts as far as it went.
"""
import collections
import os
import re
import tarfile

DIRECTIVES = "access_log {} ranges;"
LINE = re.compile(r'^-(\S*) (\S+) (\S+) (\d+) (\d+) (\d+) (\d+) "([^"]*)"$', re.M)

# sent and received: by the server, headers included, of HTTP (TLS and TCP are not).
Request = collections.namedtuple("Request", "box method path status body sent received ranges")


def directives(workspace):
    return DIRECTIVES.format(workspace.path("nginx", "ranges.log"))


def requests(nginx, box):
    """All of a box so far, in order."""
    return [Request(*m.group(1, 2, 3), *map(int, m.group(4, 5, 6, 7)), ranges_of(m[8]))
            for m in LINE.finditer(nginx.log("ranges.log")) if m[1] == box]


def ranges_of(header):
    """[(first, last + 1)] of a Range header with both ends given, as a box sends it."""
    return [(int(first), int(last) + 1) for first, last in re.findall(r"(\d+)-(\d+)", header)]


def members(bundle):
    """[(what, first, last + 1)] of a bundle: what is "manifest", "index", "hints" and so on.
    Headers and padding of the archive are the part of none."""
    with tarfile.open(bundle) as f:
        return [(member.name.rsplit(".", 1)[-1] if member.name != "manifest.json" else "manifest",
                 member.offset_data, member.offset_data + member.size) for member in f]


def split(spans, parts):
    """Adds up bytes of spans by the parts that they lie in; the rest counts as "archive"."""
    found = collections.Counter()
    for first, last in spans:
        rest = last - first
        for what, start, end in parts:
            size = min(last, end) - max(first, start)
            if size > 0:
                found[what] += size
                rest -= size
        if rest:
            found["archive"] += rest
    return found


def sent_spans(request, size):
    """What of a bundle a response's body was: all that was asked for, or less, if it was cut.
    Whatever else the body held (the borders of multipart) comes second."""
    spans, left = [], request.body
    asked = request.ranges if request.status == 206 else [(0, size)]
    for first, last in asked:
        take = min(left, min(last, size) - first)
        if take > 0:
            spans.append((first, first + take))
            left -= take
    return spans, left


def tally(nginx, box, bundle):
    """Counter of bytes: "metadata", "manifest", "index", "hints", "data", ..., "delta" of all
    deltas, and "headers" of responses. Its sum is what the server sent; what the box sent is not in
    it."""
    parts, size = members(bundle), os.path.getsize(bundle)
    found = collections.Counter()
    for request in requests(nginx, box):
        found["headers"] += request.sent - request.body
        if request.method != "GET":
            continue
        if "/targets/bundles/" not in request.path:
            found["metadata"] += request.body
            continue
        if request.path.endswith(".delta"):
            found["delta"] += request.body
            continue
        spans, rest = sent_spans(request, size) if request.status in (200, 206) else \
            ([], request.body)
        found += split(spans, parts)
        found["archive"] += rest
    return found
