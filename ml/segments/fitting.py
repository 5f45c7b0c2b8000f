"""Fitting segments to a day's customers: the groups, which of the champion's each goes on from, and their names."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from ml.provenance import SEED
from ml.segments.features import Floats, feature_frame, usable
from ml.segments.matching import ids, matched
from ml.segments.models import Ints, SegmentModel, Space, k_means, nearest
from ml.segments.naming import names
from ml.segments.rfm import rfm
from ml.segments.trial import Strings, same_groups
from ml.tables import CUSTOMER_ID

MOST_FITTED = 200_000  # customers; the centres of a million lie where those of so many do


@dataclass(frozen=True)
class Customers:
    """A day's customers by their ids, so that the order of rows in the table does not count.

    `left_out`: the columns that could have described them and do not, each with the reason.
    """

    table: pa.Table
    features: list[str]
    left_out: dict[str, str]
    values: Floats

    @classmethod
    def of(cls, table: pa.Table) -> "Customers":
        ordered = table.sort_by(CUSTOMER_ID)
        features, left_out = usable(ordered)
        return cls(ordered, features, left_out, feature_frame(ordered, features).to_numpy(dtype=np.float64))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def cells(self) -> Strings:
        """The RFM cell of each."""
        return np.array(rfm(self.table).cells)


@dataclass(frozen=True)
class Reigning:
    """The champion that new segments are matched to."""

    version: str
    model: SegmentModel

    def labels(self, customers: Customers) -> Ints:
        """Return the segment it puts each customer in. A column that is gone says nothing of anybody."""
        return self.model.assign(
            feature_frame(customers.table, self.model.feature_names, or_empty=True)
        ).labels

    def can_go_on(self, customers: Customers) -> bool:
        """Say whether every column it reads still tells customers apart."""
        return set(self.model.feature_names) <= set(customers.features)


@dataclass(frozen=True)
class Fitted:
    """Segments on the day of their training.

    Parameters
    ----------
    differences : shape (n_segments, n_features)
        Mean of a segment less the mean of everybody, in standard deviations.
    goes_on : new segment -> the champion's that it goes on from
    agreement : adjusted Rand index with the champion on the same customers; None without one
    """

    model: SegmentModel
    sizes: list[int]
    differences: Floats
    goes_on: dict[int, int]
    agreement: float | None


def fit(customers: Customers, space: Space, k: int, as_of: date, reigning: Reigning | None) -> Fitted:
    """Fit k segments to customers in their space, and give each the id and the name of the one it goes on from."""
    coordinates = space.coordinates(customers.values)
    some = np.sort(np.random.default_rng(SEED).permutation(len(customers))[:MOST_FITTED])
    centroids = k_means(coordinates[some], k, seed=SEED)
    labels = nearest(coordinates, centroids)
    sizes = np.bincount(labels, minlength=k).tolist()
    apart = differences(space.standardised(customers.values), labels, k)
    known, named, goes_on, agreement = [], [], {}, None
    if reigning is not None:
        before = reigning.labels(customers)
        known, named = reigning.model.segment_ids, reigning.model.segment_names
        goes_on = matched(before, labels, coordinates, old=len(known), new=k)
        agreement = same_groups(before, labels)
    model = SegmentModel(
        customers.features,
        space,
        centroids,
        ids(sizes, {new: known[old] for new, old in goes_on.items()}, as_of, taken=known),
        names(customers.features, apart, sizes, {new: named[old] for new, old in goes_on.items()}),
    )
    return Fitted(model, sizes, apart, goes_on, agreement)


def differences(standardised: Floats, labels: Ints, k: int) -> Floats:
    """Return the mean of each segment less the mean of everybody; NaN for a segment without customers.

    >>> differences(np.array([[1.0], [3.0], [-1.0]]), np.array([0, 0, 1]), 2).tolist()
    [[1.0], [-2.0]]
    """
    sizes = np.bincount(labels, minlength=k)
    sums = np.stack([standardised[labels == each].sum(axis=0) for each in range(k)])
    found = np.full(sums.shape, np.nan)
    np.divide(sums, sizes[:, None], out=found, where=sizes[:, None] > 0)
    return found - standardised.mean(axis=0)
