"""The features of the churn models, and beside each the rule for a value that is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin

from core.errors import ContractBroken


class Scale(StrEnum):
    """How a linear model sees a feature. Trees see it as it is."""

    LOG = "log"  # counts, days, cents: skewed, and a change from 1 to 2 says more than from 31 to 32
    PLAIN = "plain"
    HOUR = "hour"  # a circle: 23 is next to 0


@dataclass(frozen=True)
class Feature:
    """A column of `customer_features`.

    `missing`: the value, or the earlier feature, that stands in for a missing or infinite one. None: the table's
    contract says that it is never missing.
    """

    name: str
    scale: Scale
    missing: float | str | None = None


LEVEL_FEATURES = (
    Feature("recency_days", Scale.LOG),
    Feature("tenure_days", Scale.LOG),
    Feature("orders_7d_count", Scale.LOG),
    Feature("orders_30d_count", Scale.LOG),
    Feature("orders_90d_count", Scale.LOG),
    Feature("orders_lifetime_count", Scale.LOG),
    Feature("spend_30d_cents", Scale.LOG),
    Feature("spend_90d_cents", Scale.LOG),
    Feature("spend_lifetime_cents", Scale.LOG),
    Feature("basket_mean_cents", Scale.LOG),
    # Orders on one day only: no gap has ended; the one that is open is as long as the tenure.
    Feature("gap_mean_days", Scale.LOG, missing="tenure_days"),
    # Fewer than two gaps: nothing is known of the spread; as wide as the mean, as without a rhythm (Poisson).
    Feature("gap_std_days", Scale.LOG, missing="gap_mean_days"),
    # Orders on one day only: the open gap is compared with itself.
    Feature("gap_ratio", Scale.LOG, missing=1.0),
    Feature("orders_trend_ratio", Scale.LOG),
    Feature("spend_trend_ratio", Scale.LOG),
)
"""Recency, frequency, money and trends: totals as they stand."""

RHYTHM_FEATURES = (
    # Orders on one day only: as for the mean gap.
    Feature("gap_last_days", Scale.LOG, missing="tenure_days"),
    Feature("gap_max_days", Scale.LOG, missing="tenure_days"),
    Feature("gap_median_days", Scale.LOG, missing="tenure_days"),
    Feature("gap_p90_days", Scale.LOG, missing="tenure_days"),
    Feature("long_pause_share", Scale.PLAIN),
    Feature("order_days_14d_count", Scale.LOG),
    Feature("order_days_56d_count", Scale.LOG),
    Feature("active_weeks_84d_count", Scale.PLAIN),
    Feature("active_spans_share", Scale.PLAIN),
    Feature("items_30d_count", Scale.LOG),
    Feature("items_90d_count", Scale.LOG),
    Feature("basket_mean_lines", Scale.LOG),
    Feature("products_new_90d_count", Scale.LOG),
    Feature("products_lifetime_count", Scale.LOG),
    Feature("categories_lifetime_count", Scale.LOG),
    Feature("orders_acceleration", Scale.PLAIN),
    Feature("discount_share", Scale.PLAIN),
    Feature("discount_90d_share", Scale.PLAIN),
    Feature("discounted_lines_share", Scale.PLAIN),
    Feature("category_1_share", Scale.PLAIN),
    Feature("category_2_share", Scale.PLAIN),
    Feature("category_entropy", Scale.PLAIN),
    Feature("repeat_share", Scale.PLAIN),
    Feature("weekend_share", Scale.PLAIN),
    Feature("morning_share", Scale.PLAIN),
    Feature("evening_share", Scale.PLAIN),
    Feature("usual_hour", Scale.HOUR),
    Feature("usual_hour_share", Scale.PLAIN),
    Feature("own_brand_share", Scale.PLAIN),
)
"""What models of rhythm read besides; `ml/churn/rhythm.py` turns totals of both into rates."""

FEATURES = LEVEL_FEATURES + RHYTHM_FEATURES
FEATURE_NAMES = [feature.name for feature in FEATURES]


def feature_frame(table: pa.Table) -> pd.DataFrame:
    """Return the features of a published table as float64 columns, in the order of `FEATURES`."""
    columns = {name: table.column(name).cast(pa.float64()).to_numpy() for name in FEATURE_NAMES}
    return pd.DataFrame(columns)


class FeatureRules(BaseEstimator, TransformerMixin):  # type: ignore[misc]  # scikit-learn has no types
    """First step of models of levels: takes `LEVEL_FEATURES`, fills by the rules above and, for linear models, scales.

    Learns nothing, so no fold can leak through it. Saved inside the model, so scoring cannot forget it.
    """

    def __init__(self, *, is_linear: bool) -> None:
        self.is_linear = is_linear

    def fit(self, frame: pd.DataFrame, truth: object = None) -> "FeatureRules":
        return self

    def transform(self, frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return shape (n_customers, n_columns): no value is missing.

        Raises
        ------
        ContractBroken
            If a feature is missing that its contract says is always there.
        """
        filled = fill(frame)
        if not self.is_linear:
            return np.column_stack([filled[feature.name] for feature in LEVEL_FEATURES])
        return np.column_stack([column for f in LEVEL_FEATURES for column in scaled(filled[f.name], f.scale)])

    def __sklearn_is_fitted__(self) -> bool:
        return True


def fill(frame: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    """Return every feature without missing values, by its rule.

    Raises
    ------
    ContractBroken
        If a feature is missing that its contract says is always there.
    """
    filled: dict[str, npt.NDArray[np.float64]] = {}
    for feature in FEATURES:
        values = frame[feature.name].to_numpy(dtype=np.float64)
        gone = ~np.isfinite(values)
        if gone.any():
            if feature.missing is None:
                raise ContractBroken(
                    f"customer feature '{feature.name}' is missing in {int(gone.sum())} of {len(values)} rows, "
                    "but its contract says never; mend the model customer_features and publish again"
                )
            rule = feature.missing
            values = np.where(gone, filled[rule] if isinstance(rule, str) else rule, values)
        filled[feature.name] = values
    return filled


def scaled(values: npt.NDArray[np.float64], scale: Scale) -> Sequence[npt.NDArray[np.float64]]:
    """Return the columns, one or two of shape (n,), in which a linear model sees a feature without missing values."""
    if scale is Scale.LOG:
        return [np.log1p(np.maximum(values, 0.0))]  # below 0 only by refunds; as good as nothing bought
    if scale is Scale.HOUR:
        angle = values * (2 * np.pi / 24)
        return [np.sin(angle), np.cos(angle)]
    return [values]
