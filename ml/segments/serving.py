"""A day's segments: the champion's answer for every customer, RFM beside it, and what sets each segment apart that day."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from core.errors import GateFailed
from ml.segments.features import Floats, feature_frame
from ml.segments.fitting import differences
from ml.segments.models import Assigned, SegmentModel
from ml.segments.rfm import Rfm, rfm
from ml.tables import CUSTOMER_ID, SEGMENTS


@dataclass(frozen=True)
class DaySegments:
    """The segment and the RFM scores of each customer of a table of features, in its order."""

    model: SegmentModel
    frame: pd.DataFrame
    assigned: Assigned
    scores: Rfm

    @classmethod
    def of(cls, model: SegmentModel, features: pa.Table) -> "DaySegments":
        """Assign a day's customers.

        Raises
        ------
        ContractBroken
            If a column that the model or RFM reads is gone.
        """
        frame = feature_frame(features, model.feature_names)
        return cls(model, frame, model.assign(frame), rfm(features))

    def columns(self) -> list[pa.Array]:
        """Return the columns of `segments` from `segment_id` to `rfm_cell`."""
        labels = self.assigned.labels
        return [
            pa.array(np.array(self.model.segment_ids)[labels].tolist(), pa.string()),
            pa.array(np.array(self.model.segment_names)[labels].tolist(), pa.string()),
            pa.array(self.assigned.distance),
            pa.array(self.assigned.confidence),
            pa.array(self.scores.recency),
            pa.array(self.scores.frequency),
            pa.array(self.scores.monetary),
            pa.array(self.scores.cells, pa.string()),
        ]

    def profiles(self) -> list[dict[str, Any]]:
        """Return a row per segment and feature of `segment_profiles`, as of this day's customers."""
        model, labels = self.model, self.assigned.labels
        values = model.values(self.frame)
        apart = differences(model.space.standardised(values), labels, len(model.segment_ids))
        known = np.where(np.isfinite(values), values, np.nan)
        everybody = _means(known)
        rows: list[dict[str, Any]] = []
        for number, (segment_id, name) in enumerate(zip(model.segment_ids, model.segment_names, strict=True)):
            own = known[labels == number]
            shown = zip(model.feature_names, apart[number], _means(own), everybody, strict=True)
            rows += [
                {
                    "segment_id": segment_id,
                    "segment_name": name,
                    "customers_count": len(own),
                    "feature": feature,
                    "difference": _or_none(difference),
                    "segment_mean": _or_none(own_mean),
                    "everybody_mean": _or_none(mean),
                }
                for feature, difference, own_mean, mean in shown
            ]
        return rows


def check_segments(rows: pa.Table, customers: pa.ChunkedArray) -> None:
    """Require one segment for every customer that has features, and a confidence from 0 to 1.

    Raises
    ------
    GateFailed
        If a customer has none or two, or a confidence lies outside.
    """
    found = rows[CUSTOMER_ID].to_pylist()
    if len(found) != len(set(found)) or set(found) != set(customers.to_pylist()):
        raise GateFailed(
            f"{SEGMENTS}: {len(found)} rows for {len(set(found))} customers, {len(customers)} have features; "
            "score the day again"
        )
    confidence = rows["segment_confidence"].to_numpy()
    outside = int((~((confidence >= 0.0) & (confidence <= 1.0))).sum())  # catches what is not a number, too
    if outside:
        raise GateFailed(
            f"{SEGMENTS}: {outside} confidences lie outside 0 to 1; put the alias on another version"
        )


def _means(values: Floats) -> Floats:
    """Return the mean of each column over those who have a value; NaN where nobody has."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # a column nobody has is an answer here, not a mistake
        found: Floats = np.nanmean(values, axis=0)
    return found


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
