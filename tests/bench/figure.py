"""What a benchmark measured, and the bar that it has to clear, if any."""
import collections

# met is None for a figure without a bar, or where there were no two idle processors to judge it by.
Figure = collections.namedtuple("Figure", "name value bar met", defaults=("", None))

VERDICTS = {True: "met", False: "MISSED", None: "not judged, no two idle processors"}


def show(figures):
    """Prints them as they come; returns whether no bar was missed."""
    good = True
    for f in figures:
        verdict = ""
        if f.bar:
            verdict = f"   (bar: {f.bar}: {VERDICTS[f.met]})"
        print(f"  {f.name + ':':36} {f.value}{verdict}", flush=True)
        good = good and f.met is not False
    return good
