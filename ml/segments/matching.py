"""Which new segment is which old one: by the customers they share and by where their centres lie.

Each segment keeps its id as long as it lives. A new one gets an id that no segment had before: its birthday and a number.
"""

from collections.abc import Sequence
from datetime import date
from itertools import count

import numpy as np
from scipy.optimize import linear_sum_assignment

from ml.segments.features import Floats
from ml.segments.models import Ints, distances

LEAST_SHARED = 1 / 3
"""Customers in both segments over those in either (Jaccard): two of equal size that have half of theirs in common. With
less, most customers would find themselves under a name that was never theirs."""


def matched(before: Ints, after: Ints, coordinates: Floats, *, old: int, new: int) -> dict[int, int]:
    """Return new segment -> the old one it goes on from; a new one that goes on from none is left out.

    The pairs are those of the least cost altogether (Kuhn, "The Hungarian method for the assignment problem", 1955). A
    pair costs the share of its customers that are not in both, plus the distance of its centres as a share of the
    longest: customers decide, and centres where customers say little.

    Parameters
    ----------
    before, after : the old and the new segment of the same customers
    coordinates : shape (n_customers, n_components)
        Where these customers are; the centre of a segment, old or new, is the mean of its customers.
    old, new : how many segments there are
    """
    shared = _shared(before, after, old, new)
    kept_old, kept_new = np.unique(before), np.unique(after)
    apart = distances(_centres(coordinates, before, kept_old), _centres(coordinates, after, kept_new))
    cost = 1.0 - shared[np.ix_(kept_old, kept_new)] + apart / max(float(apart.max()), np.finfo(float).tiny)
    rows, columns = linear_sum_assignment(cost)
    pairs = zip(kept_old[rows].tolist(), kept_new[columns].tolist(), strict=True)
    return {fresh: gone for gone, fresh in pairs if shared[gone, fresh] >= LEAST_SHARED}


def ids(sizes: Sequence[int], before: dict[int, str], born: date, *, taken: Sequence[str] = ()) -> list[str]:
    """Return the id of each segment: the one it had, or a new one, numbered from the largest down.

    `taken` are ids of segments that are gone: where a day is trained twice, they may be of the same day.

    >>> ids([20, 50, 30], {0: "20171127-2"}, date(2017, 12, 4))
    ['20171127-2', '20171204-1', '20171204-2']
    """
    found = dict(before)
    fresh = sorted(set(range(len(sizes))) - set(before), key=lambda each: (-sizes[each], each))
    numbered = (f"{born:%Y%m%d}-{number}" for number in count(1))
    free = (each for each in numbered if each not in {*taken, *before.values()})
    for segment in fresh:
        found[segment] = next(free)
    return [found[segment] for segment in range(len(sizes))]


def _shared(before: Ints, after: Ints, old: int, new: int) -> Floats:
    both = np.bincount(before * new + after, minlength=old * new).reshape(old, new)
    either = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    found: Floats = np.divide(both, either, out=np.zeros((old, new)), where=either > 0)
    return found


def _centres(coordinates: Floats, labels: Ints, segments: Ints) -> Floats:
    return np.stack([coordinates[labels == segment].mean(axis=0) for segment in segments])
