"""The rules of trade on a day's lists, and the count of what each removed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Self

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from ml.recommend.lists import NONE, Bools, Ints, spans
from ml.recommend.methods.protocol import Wanted
from ml.recommend.purchases import Strings, positions
from ml.recommend.trade.exclusions import EXCLUSIONS
from ml.recommend.trade.finishing import Placed, finished
from ml.recommend.trade.shop import SEGMENT_NAME, Asked, Shelf, Trade, customer_places, texts
from ml.tables import REMOVALS_SCHEMA

DEPTH = 5
"""Where caps or stock may keep products out, lists are first made so many times as long."""
PINNED = "pinned"
UNBOUNDED = np.iinfo(np.int64).max


@dataclass
class Tally:
    """What rules removed: of pairs of a customer and a product that could have been listed, those that each rule forbade.

    A pair that two rules forbid counts for both. Blocks of customers may be counted side by side.
    """

    off: dict[str, str]
    pairs: dict[tuple[str, str], int] = field(default_factory=dict)
    customers: dict[tuple[str, str], int] = field(default_factory=dict)
    products: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def add(self, rule: str, question: str, removed: Bools, products: list[str]) -> None:
        """Count `removed`, shape (n_customers, any), in which these products stand."""
        key, pairs, customers = (rule, question), int(removed.sum()), int(removed.any(axis=1).sum())
        with self.lock:
            self.pairs[key] = self.pairs.get(key, 0) + pairs
            self.customers[key] = self.customers.get(key, 0) + customers
            self.products.setdefault(key, set()).update(products)

    def table(self) -> pa.Table:
        """Return a row per rule and question, and one per rule that is off, all but the day."""
        rows = [
            (rule, question, self.pairs[rule, question], self.customers[rule, question], len(each), None)
            for (rule, question), each in sorted(self.products.items())
        ] + [(rule, None, 0, 0, 0, why) for rule, why in sorted(self.off.items())]
        names = REMOVALS_SCHEMA.names[1:]
        fields = pa.schema([REMOVALS_SCHEMA.field(name) for name in names])
        return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=fields)


@dataclass(frozen=True)
class Ruling:
    """The rules on the lists of one question.

    `only`: shape (n_products,), what is in trade. `is_bought`: whether it is asked of what was bought before. `room`: to how many
    customers each product may be listed, `UNBOUNDED` where its stock is not counted.
    """

    question: str
    trade: Trade
    shelf: Shelf
    only: Bools
    is_bought: bool
    room: Ints
    tally: Tally

    @classmethod
    def of(
        cls, question: str, trade: Trade, product_ids: Strings, allowed: set[str], is_bought: bool
    ) -> Self:
        """Prepare the rules for some products."""
        shelf = Shelf.of(trade.products, product_ids)
        room = np.full(len(product_ids), UNBOUNDED, dtype=np.int64)
        if trade.rules.in_stock is not None:
            known = ~np.isnan(shelf.stock)
            room[known] = np.floor(shelf.stock[known] / trade.rules.in_stock.take_rate + 1e-9)
        only = np.isin(product_ids, list(allowed))
        return cls(question, trade, shelf, only, is_bought, room, Tally(trade.off()))

    def about(self, trade: Trade, tally: Tally) -> Self:
        """Return the rules with what is known of some customers."""
        return replace(self, trade=trade, tally=tally)

    def depth(self, k: int) -> int:
        """Return how long lists must be made for `finish` to cut them to k."""
        may_drop = bool(self.trade.rules.category_caps) or bool((self.room < UNBOUNDED).any())
        return min(k * DEPTH, max(len(self.only), k)) if may_drop else k

    def wanted(self, asked: Asked, k: int) -> Wanted:
        """Return what may stand on lists that `finish` can cut to k."""
        return Wanted(self.depth(k), csr_array(self.forbidden(asked)), self.only)

    def forbidden(self, asked: Asked) -> Bools:
        """Return shape (n_customers, n_products), True where a rule forbids, or a product was bought and new ones are asked."""
        bought = asked.shelf.counts.toarray() > 0
        could = (bought if self.is_bought else ~bought) & self.only
        taken = np.zeros(bought.shape, dtype=bool) if self.is_bought else bought.copy()
        for name, rule in EXCLUSIONS.items():
            found = None if name in self.tally.off else rule(self.trade, self.shelf, asked)
            if found is not None:
                removed = could & found
                names = self.shelf.product_ids[removed.any(axis=0)].tolist()
                self.tally.add(name, self.question, removed, names)
                taken |= found
        return taken

    def finish(self, placed: Placed, asked: Asked, k: int, listed: Mapping[str, int]) -> Placed:
        """Cut lists of `depth(k)` to k under caps and stock, and put pinned products on their places.

        `listed`: to how many customers products are listed already, which takes room in the stock.
        """
        products, room = placed.lists.products, self._room_beside(listed)
        pins = list(self._pins(asked, room)) if not self.is_bought else []
        chosen, kept_out = finished(products, self.shelf, self.trade.rules.category_caps, room, k)
        for rule, asked_for in (
            ("in_stock", (self.room < UNBOUNDED).any()),
            ("category_caps", bool(self.trade.rules.category_caps)),
        ):
            if asked_for:
                removed = np.unique(products[kept_out[rule]])
                names = self.shelf.product_ids[removed[removed != NONE]].tolist()
                self.tally.add(rule, self.question, kept_out[rule], names)
        done = placed.kept(chosen, k)
        for product, place, rows in pins:
            done = done.with_pin(product, place, rows, PINNED)
        return done

    def _room_beside(self, listed: Mapping[str, int]) -> Ints:
        room, taken = self.room.copy(), np.array([*listed.values()], dtype=np.int64)
        places = positions(np.array([*listed], dtype=str), self.shelf.product_ids)
        counted = (places != NONE) & (room[places] < UNBOUNDED)
        room[places[counted]] = np.maximum(room[places[counted]] - taken[counted], 0)
        return room

    def _pins(self, asked: Asked, room: Ints) -> Iterator[tuple[int, int, Bools]]:
        """Yield position, place and rows of each pin, among those who may be shown it; takes its room from the stock."""
        pins = sorted(self.trade.rules.pins, key=lambda pin: pin.place)
        products = positions(np.array([pin.product_id for pin in pins], dtype=str), self.shelf.product_ids)
        shown = [
            (pin, int(product))
            for pin, product in zip(pins, products, strict=True)
            if product != NONE and self.only[product]
        ]
        if not shown:
            return
        segments = self.trade.segments
        named = texts(segments, SEGMENT_NAME, customer_places(segments, asked.shelf.customer_ids))
        for pin, product in shown:
            rows = ~np.concatenate([self._forbids(some, product) for some in parts(asked)])
            if pin.segment is not None:
                rows &= named == pin.segment
            rows &= np.cumsum(rows) <= room[product]
            if room[product] < UNBOUNDED:
                room[product] -= rows.sum()
            yield product, pin.place, rows

    def _forbids(self, asked: Asked, product: int) -> Bools:
        """Say to whom a product may not be shown, without counting it again."""
        uncounted = replace(self, tally=Tally(self.tally.off))
        forbidden: Bools = uncounted.forbidden(asked)[:, product]
        return forbidden


def parts(asked: Asked) -> Iterator[Asked]:
    """Yield the customers who ask by blocks: with 20,000 products, 5 MB per table of True and False."""
    for rows in spans(asked.shelf):
        yield asked.between(rows.start, rows.stop)
