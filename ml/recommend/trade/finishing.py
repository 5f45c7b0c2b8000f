"""Rules that depend on what else is on the lists: caps of a category, what the stock covers, pinned products."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.recommend.lists import NONE, Bools, Floats, Ints, Lists, stacked
from ml.recommend.trade.shop import Shelf

Marks = npt.NDArray[np.str_]
Values = npt.NDArray[Any]


@dataclass(frozen=True)
class Placed:
    """Lists and, in their shape, who placed each product."""

    lists: Lists
    methods: Marks

    @classmethod
    def stacked(cls, parts: Sequence["Placed"]) -> "Placed":
        """Put the lists of some customers under those of others."""
        return cls(stacked([part.lists for part in parts]), np.concatenate([part.methods for part in parts]))

    def kept(self, keep: Bools, k: int) -> "Placed":
        """Return the first k places that are kept of each list."""
        order = np.argsort(~keep, axis=1, kind="stable")[:, :k]
        there = np.take_along_axis(keep, order, axis=1)
        products, scores = (
            np.take_along_axis(each, order, axis=1) for each in (self.lists.products, self.lists.scores)
        )
        lists = Lists(np.where(there, products, NONE), np.where(there, scores, 0).astype(np.float32))
        return Placed(lists, np.take_along_axis(self.methods, order, axis=1))

    def with_pin(
        self, product: int | Ints, place: int, rows: Bools, method: str, score: Floats | None = None
    ) -> "Placed":
        """Return the lists with a product on a place, 1 or more, of some rows; what stood there moves down, the last falls off.

        Where a list is shorter than that, the product stands at its end. `product`, `score`: one of each row, shape (n_customers, 1),
        or the same for all of them, with a score of 0.
        """
        k = self.lists.products.shape[1]
        without = self.kept((self.lists.products != NONE) & (self.lists.products != product), k)
        ends = (without.lists.products != NONE).sum(axis=1)
        places = np.arange(k)[None] - np.minimum(place - 1, np.minimum(ends, k - 1))[:, None]
        before = np.maximum(np.arange(k) - 1, 0)

        def put(mine: Values, whole: Values, value: object) -> Values:
            moved = np.where(places < 0, mine, np.where(places == 0, np.array(value), mine[:, before]))
            return np.where(rows[:, None], moved, whole)

        lists = Lists(
            put(without.lists.products, self.lists.products, product),
            put(without.lists.scores, self.lists.scores, np.float32(0) if score is None else score),
        )
        return Placed(lists, put(without.methods, self.methods, method))


def under_caps(
    products: Ints, shelf: Shelf, caps: dict[str, int], k: int, banned: Bools
) -> tuple[Bools, Bools]:
    """Choose places from the top until a list has k, and say which are chosen and which a cap of their category kept out.

    `products`, `banned`: shape (n_customers, depth); what is banned is passed over.
    """
    is_open = (products != NONE) & ~banned
    is_under = is_open.copy()
    for category, most in caps.items():
        of_category = is_open & np.append(shelf.categories == category, False)[products]
        is_under &= ~of_category | (np.cumsum(of_category, axis=1) <= most)
    count = np.cumsum(is_under, axis=1)
    return is_under & (count <= k), is_open & ~is_under & (count < k)


def beyond_stock(products: Ints, chosen: Bools, room: Ints) -> Bools:
    """Say which chosen places the stock does not cover: of each product those lowest on their lists, then the last customers.

    `room`: shape (n_products,), the customers each may be listed to.
    """
    rows, places = np.nonzero(chosen)
    listed = products[rows, places]
    order = np.lexsort((rows, places, listed))
    ordered = listed[order]
    number = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
    over = order[number >= room[ordered]]
    found = np.zeros(products.shape, dtype=bool)
    found[rows[over], places[over]] = True
    return found


def finished(
    products: Ints, shelf: Shelf, caps: dict[str, int], room: Ints, k: int
) -> tuple[Bools, dict[str, Bools]]:
    """Choose k places of each list under caps and stock; what is kept out makes room for what stands below it.

    Returns what is chosen, and by rule what was kept out. Each round keeps out what the stock does not cover and chooses anew, until
    everything chosen is covered.
    """
    banned = np.zeros(products.shape, dtype=bool)
    while True:
        chosen, capped = under_caps(products, shelf, caps, k, banned)
        over = beyond_stock(products, chosen, room)
        if not over.any():
            return chosen, {"in_stock": banned, "category_caps": capped}
        banned |= over
