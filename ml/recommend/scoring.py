"""Recommendations of a day, made by the champion: everybody's as published tables, and one customer's on demand."""

from datetime import date

import pyarrow as pa

from core.errors import NotPublished
from core.published import Published
from core.settings import Settings
from ml.champions import champion_of, made_by, same
from ml.checks import check_recommendations
from ml.recommend.models import TRUSTED_TYPES
from ml.recommend.purchases import Purchases
from ml.recommend.serving import LISTED, Shelves, may_be_listed
from ml.recommend.trade.loading import trade_of
from ml.recommend.trade.shop import Trade
from ml.registry import LoggedModel, Registry
from ml.tables import (
    CUSTOMER_FEATURES,
    CUSTOMER_ID,
    INTERACTIONS,
    PRODUCT_SHOWINGS,
    PRODUCT_VIEWS,
    RECOMMENDATIONS,
    RECOMMENDATIONS_SCHEMA,
    RECOMMENDER,
    REMOVALS,
    REMOVALS_SCHEMA,
    SEGMENTS,
)


def recommendations(
    published: Published,
    registry: Registry,
    champion: LoggedModel | None,
    trade: Trade,
    *,
    of: str = CUSTOMER_FEATURES,
) -> dict[str, pa.Table]:
    """Return `recommendations` of a day, checked, and what rules of trade removed.

    For every customer in the day's table `of` there is what is new and what is bought again.
    """
    as_of, wanted = trade.as_of, {of: [CUSTOMER_ID], INTERACTIONS: None}
    customers, interactions = published.read_together(wanted, as_of).values()
    if champion is None or not len(customers):
        return {
            RECOMMENDATIONS: RECOMMENDATIONS_SCHEMA.empty_table(),
            REMOVALS: REMOVALS_SCHEMA.empty_table(),
        }
    allowed = may_be_listed(trade.products, as_of)
    shelves = _shelves(published, registry, champion, trade, interactions)
    found = shelves.recommend(sorted(customers[CUSTOMER_ID].to_pylist()))
    count = len(found.lists)
    columns = [*found.lists.columns, same(as_of, count), *made_by(champion, count)]
    rows = pa.table(columns, schema=RECOMMENDATIONS_SCHEMA)
    check_recommendations(rows, allowed=set(allowed), most=LISTED)
    removals = [same(as_of, len(found.removals)), *found.removals.columns]
    return {RECOMMENDATIONS: rows, REMOVALS: pa.table(removals, schema=REMOVALS_SCHEMA)}


def shelves_of_day(settings: Settings, as_of: date) -> Shelves:
    """Make ready the champion of recommenders for one customer after another.

    Raises
    ------
    NotPublished
        If the day's interactions or products are missing, or no recommender is champion.
    ModelRefused
        If the champion was trained after the day, or is not what was logged.
    """
    published, registry = Published(settings.published), Registry(settings)
    champion = champion_of(registry, RECOMMENDER, as_of)
    if champion is None:
        raise NotPublished("no recommender is champion yet; `lapwing recommender train` makes one")
    trade = trade_of(settings, published, newest_segments(published, as_of), as_of)
    return _shelves(published, registry, champion, trade, published.read(INTERACTIONS, as_of))


def newest_segments(published: Published, as_of: date) -> pa.Table | None:
    """Return the segments of a day, or of the last one before it that has any: between two days nobody is put into others."""
    days = [day for day in published.days(SEGMENTS) if day <= as_of]
    return published.read(SEGMENTS, days[-1]) if days else None


def _shelves(
    published: Published, registry: Registry, champion: LoggedModel, trade: Trade, interactions: pa.Table
) -> Shelves:
    as_of = trade.as_of
    views, showings = (
        published.read(table, as_of) if published.exists(table, as_of) else None
        for table in (PRODUCT_VIEWS, PRODUCT_SHOWINGS)
    )
    return Shelves.of(
        registry.load(champion, TRUSTED_TYPES),
        Purchases.of(interactions, trade.products),
        trade=trade,
        allowed=may_be_listed(trade.products, as_of),
        views=views,
        showings=showings,
    )
