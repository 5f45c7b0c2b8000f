"""Features in groups that say one thing each: what can be a reason, and the words for it.

Single features make poor reasons: seven of them are the pause and the gaps before it, and which of them a tree happened to
split on says nothing to a marketer. As one group they move together, and get one sentence.
"""

from dataclasses import dataclass
from enum import StrEnum

from ml.churn.features import FEATURE_NAMES


class Reason(StrEnum):
    """Codes of the groups, as `churn_reasons` holds them."""

    PAUSE = "pause"
    FREQUENCY = "frequency"
    SPEND = "spend"
    BASKETS = "baskets"
    DISCOUNTS = "discounts"
    VARIETY = "variety"
    HISTORY = "history"
    HOURS = "hours"


@dataclass(frozen=True)
class Group:
    """Features that say one thing. `about`: that thing, as the subject of a sentence. `stated`: the one it states."""

    reason: Reason
    about: str
    stated: str
    features: tuple[str, ...]

    @property
    def columns(self) -> list[int]:
        """The places of its features in `FEATURES`."""
        return [FEATURE_NAMES.index(name) for name in self.features]


GROUPS = (
    Group(
        Reason.PAUSE,
        "How long it has been quiet, against the usual gap,",
        "recency_days",
        (
            "recency_days",
            "gap_mean_days",
            "gap_std_days",
            "gap_ratio",
            "gap_last_days",
            "gap_max_days",
            "gap_median_days",
            "gap_p90_days",
        ),
    ),
    Group(
        Reason.FREQUENCY,
        "How often orders came lately",
        "orders_90d_count",
        (
            "orders_7d_count",
            "orders_30d_count",
            "orders_90d_count",
            "order_days_14d_count",
            "order_days_56d_count",
            "active_weeks_84d_count",
            "orders_trend_ratio",
            "orders_acceleration",
        ),
    ),
    Group(
        Reason.SPEND,
        "How much was bought lately",
        "spend_30d_cents",
        (
            "spend_30d_cents",
            "spend_90d_cents",
            "spend_trend_ratio",
            "items_30d_count",
            "items_90d_count",
        ),
    ),
    Group(
        Reason.BASKETS,
        "The size of the baskets",
        "basket_mean_cents",
        ("basket_mean_cents", "basket_mean_lines"),
    ),
    Group(
        Reason.DISCOUNTS,
        "The part that discounts play",
        "discount_share",
        ("discount_share", "discount_90d_share", "discounted_lines_share"),
    ),
    Group(
        Reason.VARIETY,
        "What is bought",
        "products_new_90d_count",
        (
            "products_new_90d_count",
            "products_lifetime_count",
            "categories_lifetime_count",
            "category_1_share",
            "category_2_share",
            "category_entropy",
            "repeat_share",
            "own_brand_share",
        ),
    ),
    Group(
        Reason.HISTORY,
        "The whole time as a customer",
        "orders_lifetime_count",
        (
            "tenure_days",
            "orders_lifetime_count",
            "spend_lifetime_cents",
            "active_spans_share",
            "long_pause_share",
        ),
    ),
    Group(
        Reason.HOURS,
        "When orders are placed",
        "weekend_share",
        ("weekend_share", "morning_share", "evening_share", "usual_hour", "usual_hour_share"),
    ),
)
"""Every feature of the churn models stands in one group."""
