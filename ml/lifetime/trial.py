"""Trying the model on the past: at a cut-off it knows that day's customers only, and is asked for what is known by now.

One example runs through this module: trained as of 4 December 2017, horizon 84 days, cut-offs every 14 days up to 6
November. The last cut-off that can be judged is 11 September: 84 days after it is the training day. What happened after
the one before, 28 August, is told by the training day too, 98 days later; so it is asked for 98 days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import spearmanr

from ml.lifetime.baselines import same_rate
from ml.lifetime.bg_nbd import Histories
from ml.lifetime.forecast import Forecast, spending_of
from ml.lifetime.models import COLUMNS, LEAST_ALIVE, LifetimeModel
from ml.tables import AS_OF_DATE, CUSTOMER_ID, ORDERED_DATE

Array = npt.NDArray[np.float64]

MOST_WINDOWS = 6
MOST_JUDGED = 10_000
"""Customers judged at a cut-off: a share of them is known to half a percent."""
LEAST_JUDGED = 200
"""With fewer, a share of eight tenths is known to no better than three percent, and a bar on it decides by chance."""
SPENT = "spend_lifetime_cents"
BASELINE = "same_rate"
METRICS = (
    "value_held",
    "next_order_held",
    "mae_cents",
    "relative_mae",
    "rank_correlation",
    "total_ratio",
)


@dataclass(frozen=True)
class Window:
    """What was known of n customers at a cut-off, and what they did in the days after.

    `spent_cents`, `next_order_days`: shape (n,); the second counts whole days from the cut-off, and is not a number for
    customers who did not come back.
    """

    cutoff: date
    days: int
    features: pd.DataFrame
    spent_cents: Array
    next_order_days: Array

    @property
    def can_be_judged(self) -> bool:
        """Whether there are customers enough, and anybody came back and paid: errors are shares of what was spent."""
        came_back = bool(np.isfinite(self.next_order_days).any())
        return len(self.features) >= LEAST_JUDGED and came_back and bool(self.spent_cents.sum() > 0)


@dataclass(frozen=True)
class Judged:
    """A window, what was said of its customers, and what the baseline said, both in cents."""

    window: Window
    forecast: Forecast
    same_rate: Array


def windows(
    examples: pa.Table, today: pa.Table, interactions: pa.Table, as_of: date, horizon_days: int
) -> list[Window]:
    """Return the newest windows that have closed by the training day, oldest first; none in a young shop.

    Parameters
    ----------
    examples, today, interactions
        `churn_examples`, `customer_features` and `interactions` of the training day.
    horizon_days
        A window has so many days at least.
    """
    days = sorted(set(pc.unique(examples[AS_OF_DATE]).to_pylist()))
    ends = [
        (day, min(end for end in [*days, as_of] if end >= day + timedelta(days=horizon_days)))
        for day in days
        if day + timedelta(days=horizon_days) <= as_of
    ]
    found = [_window(examples, today, interactions, day, end) for day, end in ends[-MOST_WINDOWS:]]
    return [each for each in found if each.can_be_judged]


def judge_window(window: Window, *, seed: int) -> Judged:
    """Fit to what was known at the cut-off, and forecast the days of the window."""
    model = LifetimeModel.fit(window.features, horizon_days=window.days, seed=seed)
    seen = Histories.of(window.features)
    simple = same_rate(seen, spending_of(window.features, seen), within_days=float(window.days))
    return Judged(window, model.forecast(window.features), simple)


def figures(judged: Sequence[Judged]) -> dict[str, list[float]]:
    """Return the figures of the model, a value per window.

    `value_held`, `next_order_held`: how many of the intervals held what happened, the second among those who came back.
    `relative_mae`: the mean absolute error over the mean of what was spent.
    """
    rows = [
        {
            "value_held": _share(
                each.forecast.value_low <= each.window.spent_cents,
                each.window.spent_cents <= each.forecast.value_high,
            ),
            "next_order_held": _next_order_held(each),
        }
        | _errors(each.forecast.value, each.window.spent_cents)
        for each in judged
    ]
    return {name: [row[name] for row in rows] for name in METRICS}


def figures_of_baseline(judged: Sequence[Judged]) -> dict[str, list[float]]:
    """Return the figures that a baseline without intervals has, a value per window."""
    rows = [_errors(each.same_rate, each.window.spent_cents) for each in judged]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _next_order_held(judged: Judged) -> float:
    days, said = judged.window.next_order_days, judged.forecast
    came_back = np.isfinite(days)
    # An order on the day the bound falls on is within it: days are whole. Whoever was given no day and came back is missed.
    begins = np.where(said.alive >= LEAST_ALIVE, np.floor(said.next_order_low), np.inf)
    return _share(
        begins[came_back] <= days[came_back], days[came_back] <= np.floor(said.next_order_high)[came_back]
    )


def _share(above: npt.NDArray[np.bool_], below: npt.NDArray[np.bool_]) -> float:
    return float((above & below).mean())


def _errors(said: Array, truth: Array) -> dict[str, float]:
    error = float(np.abs(said - truth).mean())
    return {
        "mae_cents": error,
        "relative_mae": error / float(truth.mean()),
        "rank_correlation": float(spearmanr(said, truth).statistic),
        "total_ratio": float(said.sum() / truth.sum()),
    }


def _window(examples: pa.Table, today: pa.Table, interactions: pa.Table, cutoff: date, end: date) -> Window:
    known = _customers(examples, cutoff, [*COLUMNS])
    later = _customers(examples, end, [SPENT])
    # A customer whose every order was taken back since, or who was erased, is not there at the end.
    spent = (later if len(later) else _customers(today, end, [SPENT]))[SPENT].reindex(known.index)
    features = known[spent.notna()]
    features = features.iloc[:: max(-(-len(features) // MOST_JUDGED), 1)]
    inside = pc.and_(
        pc.greater_equal(interactions[ORDERED_DATE], pa.scalar(cutoff)),
        pc.less(interactions[ORDERED_DATE], pa.scalar(end)),
    )
    first = interactions.filter(inside).group_by(CUSTOMER_ID).aggregate([(ORDERED_DATE, "min")])
    came = pd.Series(
        (first[f"{ORDERED_DATE}_min"].to_numpy() - np.datetime64(cutoff)) / np.timedelta64(1, "D"),
        index=first[CUSTOMER_ID].to_pylist(),
    )
    return Window(
        cutoff,
        (end - cutoff).days,
        features,
        (spent[features.index] - features[SPENT]).to_numpy(dtype=np.float64),
        came.reindex(features.index).to_numpy(dtype=np.float64),
    )


def _customers(table: pa.Table, day: date, columns: list[str]) -> pd.DataFrame:
    """Return columns of the customers of a day, in the order of their ids, which are the index."""
    own = table.filter(pc.equal(table[AS_OF_DATE], pa.scalar(day))).sort_by(CUSTOMER_ID)
    found: pd.DataFrame = own.select(columns).to_pandas()
    found.index = pd.Index(own[CUSTOMER_ID].to_pylist())
    return found
