"""Reasons for warnings: which customers get them, and a row per group of features with its part of the score, its figures
and its words.

A customer is held against the typical one of the whole shop. Against that of their own segment little would be left to
explain: segments are made of the same features, so most warned customers sit in one whose typical member is about to lapse
too (on Complete Journey 457 of 587). Their segment stands in the sentences instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.churn.explaining import explain, typical_customer
from ml.churn.features import FEATURE_NAMES
from ml.churn.groups import GROUPS, Reason
from ml.churn.protocol import ChurnModel
from ml.churn.shapley import Array
from ml.churn.words import Told, sentence
from ml.evaluation import Bools

MOST_EXPLAINED = 2_000
"""Customers explained in a day: those with most at stake."""


@dataclass(frozen=True)
class Scored:
    """Customers of a day: features in the order of `FEATURES`, shape (n, 44); of each the probability to lapse, whether a
    warning is raised, and the value at stake, shape (n,); segment ids or none.
    """

    rows: Array
    probability: Array
    is_warned: Bools
    stake: Array
    segments: Sequence[str] | None

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        probability: Array,
        *,
        is_warned: Bools,
        stake: Array,
        segments: Sequence[str] | None = None,
    ) -> "Scored":
        """Take the features out of a frame that may have more columns."""
        rows = frame[FEATURE_NAMES].to_numpy(dtype=np.float64)
        return cls(rows, probability, is_warned, stake, segments)

    def feature(self, name: str) -> Array:
        """Return one feature, shape (n,)."""
        found: Array = self.rows[:, FEATURE_NAMES.index(name)]
        return found

    def warned(self, most: int = MOST_EXPLAINED) -> npt.NDArray[np.int64]:
        """Return the places of customers with a warning, at most so many: those of whom most is expected to be lost.

        Of equals the first come first.
        """
        places = np.flatnonzero(self.is_warned)
        lost = self.probability[places] * self.stake[places]
        return np.sort(places[np.argsort(-lost, kind="stable")[:most]])

    def usual(self) -> Mapping[Reason, Array]:
        """Return the figure of a group by the customer's own past, NaN where there is too little of it."""
        return {
            Reason.PAUSE: self.feature("gap_mean_days"),
            Reason.FREQUENCY: self._before("orders_lifetime_count", "orders_90d_count", 90.0),
            Reason.SPEND: self._before("spend_lifetime_cents", "spend_30d_cents", 30.0),
        }

    def _before(self, lifetime: str, lately: str, days: float) -> Array:
        """Return what used to fall into a span of days before the last one, where they were at least two spans."""
        spans = self.feature("tenure_days") / days - 1.0
        known = np.where(spans >= 1.0, spans, np.nan)
        found: Array = (self.feature(lifetime) - self.feature(lately)) / known
        return found

    def typical_of_segments(self, places: npt.NDArray[np.int64]) -> Array:
        """Return the typical customer of the segment of some, shape (len(places), 44); NaN where there are no segments."""
        if self.segments is None:
            return np.full_like(self.rows[places], np.nan)
        names, labels = np.unique(np.array(self.segments), return_inverse=True)
        found: Array = np.array(
            [typical_customer(self.rows[labels == number]) for number in range(len(names))]
        )
        return found[labels[places]]


def reasons(model: ChurnModel, scored: Scored, *, currency: str) -> list[dict[str, Any]]:
    """Return a row per warned customer and group, what raised the score most first.

    `place`: of the customer in `scored`. Base and shifts of a customer sum to the log odds of the probability.
    """
    places = scored.warned()
    if not len(places):
        return []
    typical = typical_customer(scored.rows)
    found = explain(
        model, scored.rows[places], np.tile(typical, (len(places), 1)), scored.probability[places]
    )
    usual, segments = scored.usual(), scored.typical_of_segments(places)
    made = []
    for number, place in enumerate(places.tolist()):
        about = {
            "place": place,
            "segment_id": None if scored.segments is None else scored.segments[place],
            "base_log_odds": float(found.base[number]),
        }
        for rank, each in enumerate(np.argsort(-found.shifts[number], kind="stable").tolist(), start=1):
            group, column = GROUPS[each], FEATURE_NAMES.index(GROUPS[each].stated)
            past = usual.get(group.reason)
            told = Told(
                now=float(scored.rows[place, column]),
                usual=None if past is None else _known(past[place]),
                segment=_known(segments[number, column]),
                shop=_known(typical[column]),
            )
            row = _row(group.reason, float(found.shifts[number, each]), told, currency)
            made.append(about | {"rank": rank} | row)
    return made


def _row(reason: Reason, shift: float, told: Told, currency: str) -> dict[str, Any]:
    return {
        "reason": reason.value,
        "shift_log_odds": shift,
        "own_value": told.now,
        "usual_value": told.usual,
        "segment_value": told.segment,
        "shop_value": told.shop,
        "text": sentence(reason, shift, told, currency=currency),
    }


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
