"""How regularly customers buy: the gaps between their own shopping days with a product, or with one type of product."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ml.recommend.lists import NONE, Bools, Floats, Ints
from ml.recommend.purchases import Histories, distinct

LEAST_GAPS = 2
"""One gap is an accident; from two on there is a middle one to speak of."""


@dataclass(frozen=True)
class Rhythms:
    """One entry per customer and thing bought, sorted by `keys`: row · `width` + thing.

    `last_days`: days from the last purchase to the cut-off, 1 or more. `every_days`: the median gap between neighbouring
    shopping days with the thing; NaN with fewer than `LEAST_GAPS` gaps.
    """

    width: int
    keys: Ints
    last_days: Ints
    every_days: Floats

    @classmethod
    def of(cls, asked: Histories) -> Self:
        """Find the rhythm of every product a customer bought."""
        return cls.of_things(asked, np.arange(asked.shape[1]), asked.shape[1])

    @classmethod
    def of_things(cls, asked: Histories, things: Ints, width: int) -> Self:
        """Find the rhythm of every thing a customer bought; `things` codes each product as one, 0 to `width` - 1."""
        bought = things[asked.products]
        span = int(asked.ages.max(initial=0)) + 1
        # a day counts once, however many lines it has; they are sorted by customer, thing and, newest first, day
        days = distinct((asked.customers * width + bought) * span + asked.ages)
        keys, ages = np.divmod(days, span)
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        sizes = np.diff(starts, append=len(keys)) - 1
        gaps = np.diff(ages)[np.diff(keys) == 0]
        medians = _medians(gaps, sizes)
        every = np.where(sizes >= LEAST_GAPS, medians, np.nan).astype(np.float32)
        return cls(width, keys[starts], ages[starts], every)

    def find(self, rows: Ints, things: Ints) -> Ints:
        """Return the entry of each customer and thing; `NONE` where the customer never bought it or the thing is `NONE`."""
        if not len(self.keys):
            return np.full(np.broadcast_shapes(rows.shape, things.shape), NONE, dtype=np.int64)
        wanted = rows * self.width + things
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where((self.keys[places] == wanted) & (things != NONE), places, NONE)

    def passed(self, share: float) -> Bools:
        """Say of each entry whether at least this share of its usual gap has passed; one without a usual gap: no."""
        return self.last_days >= share * self.every_days  # NaN compares as False


def _medians(values: Ints, sizes: Ints) -> Floats:
    """Return the median of each group; `values` lie group after group. An empty group has some value or 0."""
    ends = np.cumsum(sizes)
    group = np.repeat(np.arange(len(sizes)), sizes)
    ordered = np.append(values[np.lexsort((values, group))], 0)
    low, high = (np.clip(ends - sizes + half, 0, len(values)) for half in ((sizes - 1) // 2, sizes // 2))
    middle: Floats = ((ordered[low] + ordered[high]) / 2).astype(np.float32)
    return middle
