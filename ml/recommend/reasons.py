"""Why a product stands on a list: what can be read off the data the list was made from, one kind per product."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Self

import numpy as np
import numpy.typing as npt

from ml.recommend.lists import NONE, Bools, Floats, Ints, Lists
from ml.recommend.purchases import Histories
from ml.recommend.rhythms import Rhythms

DUE_FROM = 0.9
"""From this share of the usual gap on a product is due, as in the campaign `restock`."""
LEAST_BUYERS = 3
"""Fewer of the neighbours may have bought it by accident, and could be guessed at."""

Resemblance = Callable[[Ints, Ints], Floats]


class Kind(StrEnum):
    """What a reason says."""

    BECAUSE = "because"
    """The product resembles one the customer bought."""
    DUE_AGAIN = "due_again"
    """The customer buys it at gaps of which the middle one has passed, or nearly."""
    BOUGHT_BEFORE = "bought_before"
    """The customer bought it; too few gaps to speak of, or not due."""
    TASTE = "taste"
    """Customers whose purchases are most alike bought it."""
    NEW_ARRIVAL = "new_arrival"
    """The shop has it since lately, and its words are like those of one the customer bought."""
    VIEWED = "viewed"
    """Its words are like those of a product the customer looked at, or it is that one."""
    POPULAR_IN_SEGMENT = "popular_in_segment"
    """Many customers of the same segment bought it."""
    POPULAR = "popular"
    """Many customers bought it: the answer where nothing better is known."""
    HISTORY = "history"
    """All purchases together speak for it, none by itself."""
    PINNED = "pinned"
    """The shop put it there."""


@dataclass(frozen=True)
class Reasons:
    """A reason for each product of some lists, in their shape.

    `kinds`: a `Kind`, or empty where there is no product or no reason. `because`: position of the bought product, `NONE`
    if another kind. `last_days`: days from the last purchase to the cut-off, of that product or (due again, bought before) of the
    listed one itself; `NONE` for other kinds. `every_days`: median gap between the customer's shopping days with it, NaN where there
    are too few. `buyers` of the `neighbours` most alike bought it (taste); `NONE` for other kinds.
    """

    kinds: npt.NDArray[np.str_]
    because: Ints
    last_days: Ints
    every_days: Floats
    buyers: Ints
    neighbours: Ints

    @classmethod
    def of(
        cls,
        kinds: npt.NDArray[np.str_],
        *,
        because: Ints | None = None,
        last_days: Ints | None = None,
        every_days: Floats | None = None,
        buyers: Ints | None = None,
        neighbours: Ints | None = None,
    ) -> Self:
        """Make reasons of these kinds that state what is given and nothing else."""
        nothing = np.full(kinds.shape, NONE, dtype=np.int64)
        every = np.full(kinds.shape, np.nan, dtype=np.float32) if every_days is None else every_days
        because, last_days, buyers, neighbours = (
            nothing if each is None else each for each in (because, last_days, buyers, neighbours)
        )
        return cls(kinds, because, last_days, every, buyers, neighbours)

    def replaced(self, where: Bools, by: "Reasons") -> "Reasons":
        """Return these reasons, but those of `by` at some places."""
        names = [each.name for each in fields(self)]
        return Reasons(*(np.where(where, getattr(by, name), getattr(self, name)) for name in names))

    def or_else(self, other: "Reasons") -> "Reasons":
        """Return these reasons, and the other ones where these have none."""
        return self.replaced(self.kinds == "", other)


def bought(rhythms: Rhythms, lists: Lists) -> Reasons:
    """Say of listed products that the customer bought whether they are due again; nothing of the others.

    `rhythms`: of the customers of the lists and single products.
    """
    found = rhythms.find(np.arange(len(lists.products))[:, None], lists.products)
    kinds = np.where(rhythms.passed(DUE_FROM), Kind.DUE_AGAIN.value, Kind.BOUGHT_BEFORE.value)
    return Reasons.of(
        np.append(kinds, "")[found],  # `NONE` is the last
        last_days=np.append(rhythms.last_days, NONE)[found],
        every_days=np.append(rhythms.every_days, np.float32(np.nan))[found],
    )


def resembling(
    resemblance: Resemblance, asked: Histories, lists: Lists, *, kind: Kind = Kind.BECAUSE
) -> Reasons:
    """Name the product of a history that each listed one resembles most, of equals the first in the catalogue.

    Where it resembles none of them, all purchases together are the reason.
    """
    because = np.full(lists.products.shape, NONE, dtype=np.int64)
    wanted, counts = lists.products != NONE, asked.counts
    for row in np.nonzero(wanted.any(axis=1))[0]:
        own = np.sort(counts.indices[counts.indptr[row] : counts.indptr[row + 1]]).astype(np.int64)
        if not len(own):
            continue
        alike = resemblance(lists.products[row, wanted[row]], own)
        nearest = alike.argmax(axis=1)
        is_alike = alike[np.arange(len(nearest)), nearest] > 0
        because[row, wanted[row]] = np.where(is_alike, own[nearest], NONE)
    kinds = np.where(because != NONE, kind.value, Kind.HISTORY.value)
    return Reasons.of(np.where(wanted, kinds, ""), because=because)


def dated(reasons: Reasons, rhythms: Rhythms) -> Reasons:
    """Return the reasons, those that name a bought product with the days since it was bought last."""
    named = rhythms.find(np.arange(len(reasons.because))[:, None], reasons.because)
    last = np.append(rhythms.last_days, NONE)[named]
    return replace(reasons, last_days=np.where(named != NONE, last, reasons.last_days))


def liked_by_neighbours(buyers: Ints, neighbours: Ints, lists: Lists) -> Reasons:
    """Say how many of each customer's neighbours bought a listed product, if it is `LEAST_BUYERS` or more.

    `buyers`: in the shape of the lists; `neighbours`: shape (n_customers,).
    """
    wanted = lists.products != NONE
    enough = wanted & (buyers >= LEAST_BUYERS)
    kinds = np.where(enough, Kind.TASTE.value, Kind.HISTORY.value)
    return Reasons.of(
        np.where(wanted, kinds, ""),
        buyers=np.where(enough, buyers, NONE),
        neighbours=np.where(enough, neighbours[:, None], NONE),
    )
