"""The lists that customers are shown: what is new and what is bought again, in trade, each product with its reason."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from ml.provenance import SEED
from ml.recommend.baselines import OwnPurchasesLately, Popular
from ml.recommend.lists import NONE, Lists, filled
from ml.recommend.methods.protocol import AGAIN, NEW, Recommender
from ml.recommend.purchases import Histories, Purchases, histories, rows_of
from ml.recommend.reasons import Kind, Reasons
from ml.recommend.trade.applying import PINNED, Ruling, Tally
from ml.recommend.trade.finishing import Placed
from ml.recommend.trade.shop import Asked, Trade
from ml.tables import IS_RECOMMENDABLE, LAST_SOLD_DATE, LISTS_SCHEMA, PRICE_CENTS, PRODUCT_ID
from ml.windows import days_before

FALLBACKS: dict[str, type[Recommender]] = {NEW: Popular, AGAIN: OwnPurchasesLately}
"""By question, who answers where the model says nothing."""
LISTED = 12
"""Twice what a mail shows: the plan still drops what it cannot show."""
SOLD_WITHIN_DAYS = 90
"""A product nobody bought for a quarter is taken as out of the range; a shop without stock figures knows no better."""


def may_be_listed(products: pa.Table, as_of: date) -> list[str]:
    """Return the products that are recommendable, have a price and were sold in the last 90 days, sorted."""
    since = pa.scalar(days_before(as_of, SOLD_WITHIN_DAYS), pa.date32())
    sold = pc.greater_equal(products[LAST_SOLD_DATE].cast(pa.date32()), since)
    allowed = pc.and_(pc.and_(products[IS_RECOMMENDABLE], pc.is_valid(products[PRICE_CENTS])), sold)
    return sorted(products.filter(pc.fill_null(allowed, False))[PRODUCT_ID].to_pylist())


@dataclass(frozen=True)
class Recommended:
    """The lists as `LISTS_SCHEMA` has them, and what rules of trade removed, as `Tally.table` says it."""

    lists: pa.Table
    removals: pa.Table


def recommend(
    model: Recommender,
    purchases: Purchases,
    customer_ids: Sequence[str],
    *,
    trade: Trade,
    allowed: Sequence[str],
) -> Recommended:
    """Return up to `LISTED` products for each customer and question, under the rules of trade.

    What is new is answered by the model and, for a customer of whom it knows no purchase or has too little to say, by the most
    popular products. What is bought again is answered by the model if its class says so, else by the customer's own purchases
    lately, of any product in trade; somebody who bought nothing has no such list. What is bought again has the first claim on a stock.
    """
    tally, listed, rows = Tally(trade.off()), Counter[str](), []
    whole = rows_of(histories(purchases, purchases.product_ids, before=trade.as_of), customer_ids)
    for question in (AGAIN, NEW):
        method = model if question in model.answers else FALLBACKS[question]()
        product_ids = np.array(model.product_ids if method is model else allowed, dtype=str)
        everybody = histories(purchases, product_ids, before=trade.as_of)
        asked = Asked.of(rows_of(everybody, customer_ids), whole, trade.products)
        answering = _Answering(
            method.meet(everybody) if method is model else method.fit(everybody, seed=SEED),
            FALLBACKS[question]().fit(everybody, seed=SEED),
            Ruling.of(question, trade, product_ids, set(allowed), question == AGAIN, listed, tally),
        )
        rows.append(_rows(question, asked.shelf, *answering.answer(asked), trade.as_of))
        listed.update(rows[-1][PRODUCT_ID].to_pylist())
    return Recommended(pa.concat_tables(rows), tally.table())


@dataclass(frozen=True)
class _Answering:
    """Who answers a question, who answers where that one says nothing, and the rules both keep."""

    method: Recommender
    fallback: Recommender
    ruling: Ruling

    def answer(self, asked: Asked) -> tuple[Placed, Reasons]:
        """Return lists of `LISTED` with who placed each product, and the reasons by whoever placed it."""
        depth = self.ruling.depth(LISTED)
        parts = [self._long_lists(some, exclude, depth) for some, exclude in self.ruling.chunks(asked)]
        placed = self.ruling.finish(Placed.stacked(parts), asked, LISTED)
        reasons = self.method.explain(asked.shelf, placed.lists)
        if (placed.methods == self.fallback.method).any():
            instead = self.fallback.explain(asked.shelf, placed.lists)
            reasons = reasons.replaced(placed.methods == self.fallback.method, instead)
        pinned = Reasons.of(np.where(placed.methods == PINNED, Kind.PINNED.value, ""))
        return placed, reasons.replaced(placed.methods == PINNED, pinned)

    def _long_lists(self, asked: Histories, exclude: csr_array, depth: int) -> Placed:
        lists = self._ask(self.method, asked, exclude, depth)
        if type(self.method) is type(self.fallback):
            return Placed(lists, np.full(lists.products.shape, self.method.method))
        whole, by_fallback = filled(lists, self._ask(self.fallback, asked, exclude, depth))
        return Placed(whole, np.where(by_fallback, self.fallback.method, self.method.method))

    def _ask(self, who: Recommender, asked: Histories, exclude: csr_array, depth: int) -> Lists:
        ask = who.again if self.ruling.is_bought else who.recommend
        return ask(asked, depth, exclude=exclude, only=self.ruling.only)


def _rows(question: str, asked: Histories, placed: Placed, reasons: Reasons, as_of: date) -> pa.Table:
    """Return a row per customer and place on a list, in the order of both."""
    lists = placed.lists
    at = np.nonzero(lists.products != NONE)
    count, because, days = len(at[0]), reasons.because[at], reasons.last_days[at]
    last = np.datetime64(as_of) - np.maximum(days, 0).astype("timedelta64[D]")
    every, ids = reasons.every_days[at].astype(float), asked.product_ids
    columns = [
        pa.array(asked.customer_ids[at[0]]),
        pa.array([question] * count, pa.string()),
        pa.array(at[1] + 1),
        pa.array(ids[lists.products[at]]),
        pa.array(lists.scores[at].astype(float)),
        pa.array(placed.methods[at]),
        pa.array(reasons.kinds[at]),
        pa.array(ids[because] if len(ids) else [], mask=because == NONE),
        pa.array(last, mask=days == NONE),
        pa.array(every, mask=np.isnan(every)),
        *(pa.array(each[at], mask=each[at] == NONE) for each in (reasons.buyers, reasons.neighbours)),
    ]
    cast = [each.cast(field.type) for each, field in zip(columns, LISTS_SCHEMA, strict=True)]
    return pa.table(cast, schema=LISTS_SCHEMA)
