"""Between two days, without training: customers of whom something became known are scored again, and who is warned of gets lists."""

from datetime import date

import pyarrow.compute as pc

from core.logging import get_logger
from core.published import Published
from core.settings import Settings
from ml.champions import champion_of
from ml.churn.models import ChurnBand
from ml.churn.money import mean_stake
from ml.recommend.scoring import newest_segments, recommendations
from ml.recommend.trade.loading import trade_of
from ml.registry import Registry
from ml.scoring import churn_scores
from ml.tables import (
    CHURN,
    CHURN_BAND,
    CHURN_PROBABILITY,
    CHURN_SCORES,
    CHURN_WATCH,
    CUSTOMER_ID,
    RECOMMENDATIONS,
    RECOMMENDER,
    TOUCHED_FEATURES,
    VALUE_AT_STAKE_CENTS,
    WARNINGS_RAISED,
    WATCH_RECOMMENDATIONS,
)
from ml.threads import one_thread

log = get_logger(__name__)

NEWS = "+touched_customers +interactions +product_showings +products +customer_traits +product_objections +product_views"
"""What dbt builds of what landed: who is touched, and what lists are made from."""
WARNINGS = "stg_published__churn_watch warnings_raised"
"""What dbt builds of the scores, told that they are those of `churn_watch`."""


def watch(settings: Settings, as_of: date) -> dict[str, int]:
    """Write and release `churn_watch` of a day from its `touched_features`; return how many stand in each band.

    Each score is the one that scoring everybody on the same features would give.

    Raises
    ------
    NotPublished
        If the day's touched features are missing.
    ModelRefused
        If the champion was trained after the day, or is not what was logged.
    GateFailed
        If the scores are not fit to be read.
    """
    published, registry = Published(settings.published), Registry(settings)
    with one_thread():
        champion = champion_of(registry, CHURN, as_of)
        rows = churn_scores(
            settings,
            registry,
            champion,
            as_of,
            of=TOUCHED_FEATURES,
            shop_stake_cents=_newest_stake(published, as_of),
        )
    published.write_candidate(CHURN_WATCH, as_of, rows)
    published.release(CHURN_WATCH, as_of)
    bands = {str(band): pc.sum(pc.equal(rows[CHURN_BAND], str(band))).as_py() or 0 for band in ChurnBand}
    counts = {"touched": len(rows)} | bands
    log.info("touched customers scored again", as_of_date=str(as_of), **counts)
    return counts


def recommend(settings: Settings, as_of: date) -> dict[str, int]:
    """Write and release `watch_recommendations` of a day from its `warnings_raised`; return how many were raised, and how many of them have lists.

    Each list is the one that listing everybody on the same purchases would give, but that a scarce stock is shared among those
    warned of only.

    Raises
    ------
    NotPublished
        If the day's warnings, purchases or products are missing.
    ModelRefused
        If the champion was trained after the day, or is not what was logged.
    GateFailed
        If the lists are not fit to be read.
    """
    published, registry = Published(settings.published), Registry(settings)
    with one_thread():
        trade = trade_of(settings, published, newest_segments(published, as_of), as_of)
        champion = champion_of(registry, RECOMMENDER, as_of)
        rows = recommendations(published, registry, champion, trade, of=WARNINGS_RAISED)[RECOMMENDATIONS]
    published.write_candidate(WATCH_RECOMMENDATIONS, as_of, rows)
    published.release(WATCH_RECOMMENDATIONS, as_of)
    raised = published.read(WARNINGS_RAISED, as_of, [CUSTOMER_ID])
    counts = {"raised": len(raised), "listed": pc.count_distinct(rows[CUSTOMER_ID]).as_py()}
    log.info("customers warned of have lists", as_of_date=str(as_of), **counts)
    return counts


def _newest_stake(published: Published, as_of: date) -> float | None:
    """Return what a customer who lapses puts at stake, by the newest scores of everybody, if there are any."""
    days = [day for day in published.days(CHURN_SCORES) if day <= as_of]
    if not days:
        return None
    scores = published.read(CHURN_SCORES, days[-1], [CHURN_PROBABILITY, VALUE_AT_STAKE_CENTS])
    return mean_stake(scores[CHURN_PROBABILITY].to_numpy(), scores[VALUE_AT_STAKE_CENTS].to_numpy())
