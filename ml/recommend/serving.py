"""The lists that customers are shown: new products, in trade, with a reason, and a named answer for a cold customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.provenance import SEED
from ml.recommend.baselines import Popular
from ml.recommend.lists import NONE, filled
from ml.recommend.methods.protocol import Recommender
from ml.recommend.purchases import Purchases, histories, rows_of
from ml.recommend.reasons import because
from ml.tables import IS_RECOMMENDABLE, LAST_SOLD_DATE, PRICE_CENTS, PRODUCT_ID
from ml.windows import days_before

LISTED = 12
"""Twice what a mail shows: the plan still drops what it cannot show."""
SOLD_WITHIN_DAYS = 90
"""A product nobody bought for a quarter is taken as out of the range; a shop without stock figures knows no better."""


@dataclass(frozen=True)
class Recommended:
    """One entry per customer and rank, in that order. `because`: a product of the customer's own, or None."""

    customer_ids: list[str]
    ranks: list[int]
    product_ids: list[str]
    scores: list[float]
    methods: list[str]
    because: list[str | None]


def may_be_listed(products: pa.Table, as_of: date) -> list[str]:
    """Return the products that are recommendable, have a price and were sold in the last 90 days, sorted."""
    since = pa.scalar(days_before(as_of, SOLD_WITHIN_DAYS), pa.date32())
    sold = pc.greater_equal(products[LAST_SOLD_DATE].cast(pa.date32()), since)
    allowed = pc.and_(pc.and_(products[IS_RECOMMENDABLE], pc.is_valid(products[PRICE_CENTS])), sold)
    return sorted(products.filter(pc.fill_null(allowed, False))[PRODUCT_ID].to_pylist())


def recommend(
    model: Recommender,
    purchases: Purchases,
    customer_ids: Sequence[str],
    *,
    as_of: date,
    allowed: Sequence[str],
) -> Recommended:
    """Return up to `LISTED` products for each customer that they had not bought by a day.

    A customer of whom the model knows no purchase, or for whom it has too little to say, gets the most popular
    products (`method` popular, no reason).
    """
    everybody = histories(purchases, model.product_ids, before=as_of)
    model.meet(everybody)
    popular = Popular().fit(everybody, seed=SEED)
    asked = rows_of(everybody, customer_ids)
    in_trade = np.isin(model.product_ids, np.array(allowed, dtype=str))
    lists, from_fallback = filled(
        *(each.recommend(asked, LISTED, exclude=asked.counts, only=in_trade) for each in (model, popular))
    )
    reasons = because(model, asked.counts, lists, from_fallback)
    rows, places = np.nonzero(lists.products != NONE)
    why = reasons[rows, places]
    return Recommended(
        asked.customer_ids[rows].tolist(),
        (places + 1).tolist(),
        model.product_ids[lists.products[rows, places]].tolist(),
        lists.scores[rows, places].astype(float).tolist(),
        np.where(from_fallback[rows, places], Popular.method, model.method).tolist(),
        [str(model.product_ids[place]) if place != NONE else None for place in why],
    )
