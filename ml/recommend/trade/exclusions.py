"""Rules that forbid products to customers before a list is made, one short function each."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.recommend.lists import NONE, Bools
from ml.recommend.purchases import Histories, Strings, positions
from ml.recommend.rhythms import Rhythms
from ml.recommend.trade.rules import Limit
from ml.recommend.trade.shop import (
    BIRTH_YEAR,
    COUNTRY_CODE,
    RETURNED_DATE,
    REVIEWED_DATE,
    STARS,
    Asked,
    Shelf,
    Trade,
    customer_places,
    numbers,
    texts,
)
from ml.tables import CUSTOMER_ID, PRODUCT_ID

Rule = Callable[[Trade, Shelf, Asked], Bools | None]
"""Returns what fits shape (n_customers, n_products), True where a product is forbidden; None: the file does not ask for it."""


def excluded_brands(trade: Trade, shelf: Shelf, asked: Asked) -> Bools | None:
    """Forbid the brands that are named."""
    brands = trade.rules.excluded_brands
    return np.isin(shelf.brands, brands) if brands else None


def minimum_margin(trade: Trade, shelf: Shelf, asked: Asked) -> Bools | None:
    """Forbid what leaves too little of its price; a product of unknown cost is allowed."""
    rule = trade.rules.minimum_margin
    return None if rule is None else shelf.price - shelf.cost < rule.share * shelf.price


def limits(trade: Trade, shelf: Shelf, asked: Asked) -> Bools | None:
    """Forbid limited products to customers who are not known to be old enough, or in the right country."""
    if not trade.rules.limits:
        return None
    forbidden = np.zeros(asked.shelf.shape, dtype=bool)
    for limit in trade.rules.limits:
        limited = shelf.among(limit.categories, limit.products)
        forbidden |= ~_may_see(limit, trade, asked.shelf.customer_ids)[:, None] & limited
    return forbidden


def _may_see(limit: Limit, trade: Trade, customer_ids: Strings) -> Bools:
    found = customer_places(trade.traits, customer_ids)
    may = np.ones(len(customer_ids), dtype=bool)
    if (
        limit.minimum_age is not None
    ):  # of a year of birth, the latest day counts; not known compares as False
        may &= trade.as_of.year - numbers(trade.traits, BIRTH_YEAR, found) - 1 >= limit.minimum_age
    if limit.countries:
        may &= np.isin(texts(trade.traits, COUNTRY_CODE, found), limit.countries)
    return may


def own_cycle(trade: Trade, shelf: Shelf, asked: Asked) -> Bools | None:
    """Forbid products of whose usual gap too little has passed for the customer."""
    rule = trade.rules.own_cycle
    return None if rule is None else _too_soon(Rhythms.of(asked.shelf), rule.share, asked.shelf.shape)


def type_cycle(trade: Trade, shelf: Shelf, asked: Asked) -> Bools | None:
    """Forbid all products of a type of whose usual gap too little has passed for the customer."""
    rule = trade.rules.type_cycle
    if rule is None:
        return None
    rhythms = Rhythms.of_things(asked.whole, asked.types, asked.n_types)
    return _too_soon(rhythms, rule.share, (asked.shelf.shape[0], asked.n_types))[:, shelf.types]


def _too_soon(rhythms: Rhythms, share: float, shape: tuple[int, int]) -> Bools:
    forbidden = np.zeros(shape, dtype=bool)
    forbidden.ravel()[rhythms.keys[rhythms.last_days < share * rhythms.every_days]] = True
    return forbidden


def not_returned(trade: Trade, shelf: Shelf, asked: Asked) -> Bools | None:
    """Forbid what the customer sent back."""
    rule, table = trade.rules.not_returned, trade.objections
    if rule is None or table is None:
        return None
    return _pairs(_since(table, RETURNED_DATE, trade, rule.within_days), asked.shelf)


def not_complained(trade: Trade, shelf: Shelf, asked: Asked) -> Bools | None:
    """Forbid what the customer gave few stars."""
    rule, table = trade.rules.not_complained, trade.objections
    if rule is None or table is None:
        return None
    recent = _since(table, REVIEWED_DATE, trade, rule.within_days)
    return _pairs(recent.filter(pc.less_equal(recent[STARS], rule.at_most_stars)), asked.shelf)


def _since(table: pa.Table, column: str, trade: Trade, days: int) -> pa.Table:
    first = pa.scalar(trade.as_of - timedelta(days=days), pa.date32())
    return table.filter(pc.greater_equal(table[column], first))


def _pairs(table: pa.Table, asked: Histories) -> Bools:
    forbidden = np.zeros(asked.shape, dtype=bool)
    found = pc.index_in(table[CUSTOMER_ID], pa.array(asked.customer_ids, pa.string()))
    rows = pc.fill_null(found, NONE).to_numpy()
    columns = positions(table[PRODUCT_ID].to_numpy().astype(str), asked.product_ids)
    known = (rows != NONE) & (columns != NONE)
    forbidden[rows[known], columns[known]] = True
    return forbidden


EXCLUSIONS: dict[str, Rule] = {
    each.__name__: each
    for each in (
        excluded_brands,
        minimum_margin,
        limits,
        own_cycle,
        type_cycle,
        not_returned,
        not_complained,
    )
}
