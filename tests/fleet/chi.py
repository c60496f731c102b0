"""Whether counts are as even as chance makes them (Pearson's chi-square)."""
import collections
import math

Evenness = collections.namedtuple("Evenness", "chi_square freedom p")


def tail(x, a):
    """The upper regularised incomplete gamma function Q(a, x)."""
    scale = math.exp(a * math.log(x) - x - math.lgamma(a)) if x > 0 else 0
    if x < a + 1:
        term = total = 1 / a
        n = a
        while term > total * 1e-16:
            n += 1
            term *= x / n
            total += term
        return 1 - scale * total
    b, c = x + 1 - a, 1e300
    d = f = 1 / b
    for i in range(1, 1000):
        step = -i * (i - a)
        b += 2
        d = 1 / (step * d + b)
        c = b + step / c
        f *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return scale * f


def evenness(values, end, bins):
    """How even the values in 0 .. end lie in so many equal bins. p: how often chance makes them as
    uneven as that, or more so."""
    counts = [0] * bins
    for v in values:
        counts[min(int(v * bins / end), bins - 1)] += 1
    expected = len(values) / bins
    chi_square = sum((n - expected) ** 2 / expected for n in counts)
    return Evenness(chi_square, bins - 1, tail(chi_square / 2, (bins - 1) / 2))
