"""The model of segments: standardise, ten principal components, k-means. What is fitted is arrays, so that skops saves it.

A fitted model is a fixed map: the same features give the same segment on every day it is champion, so a customer's
segment changes only when he does.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from ml.segments.features import Floats, as_seen

Ints = npt.NDArray[np.int64]

COMPONENTS = 10
STARTS = 4  # k-means ends in a local optimum: the best of four starts
FARTHEST = 3.0
"""Standard deviations. What lies farther counts as this far: a rare event must not become a segment of its own."""
BLOCK = 100_000  # customers at a time, so that a million take no more memory than these

METHOD = "pca_kmeans"
TRUSTED_TYPES = ["ml.segments.models.Space", "ml.segments.models.SegmentModel"]
"""What skops may build when it loads this model, besides what it trusts by itself."""


@dataclass
class Space:
    """Where customers are points: features as seen, standardised, turned onto their principal components.

    `typical`, `center`, `scale`: shape (n_features,), in the unit the model sees. `components`: shape
    (n_components, n_features).
    """

    is_skewed: npt.NDArray[np.bool_]
    typical: Floats
    center: Floats
    scale: Floats
    components: Floats

    @classmethod
    def of(cls, values: Floats, is_skewed: npt.NDArray[np.bool_]) -> "Space":
        """Fit to customers; each column needs a known value, and two that differ."""
        seen = as_seen(values, is_skewed)
        typical = np.nanmedian(seen, axis=0)
        filled = np.where(np.isnan(seen), typical, seen)
        # Among a part of the customers a column can be the same for all: then nothing sets anyone apart by it.
        spread = filled.std(axis=0)
        space = cls(is_skewed, typical, filled.mean(axis=0), np.where(spread > 0, spread, 1.0), np.eye(0))
        count = min(COMPONENTS, *values.shape)
        # The full decomposition: the quick one starts from random numbers.
        found = PCA(count, svd_solver="full").fit(space.standardised(values))
        space.components = np.ascontiguousarray(found.components_)
        return space

    def standardised(self, values: Floats) -> Floats:
        """Return how many standard deviations each value lies from the mean of the training, at most `FARTHEST`."""
        seen = as_seen(values, self.is_skewed)
        filled = np.where(np.isnan(seen), self.typical, seen)
        return np.clip((filled - self.center) / self.scale, -FARTHEST, FARTHEST)

    def coordinates(self, values: Floats) -> Floats:
        """Return shape (n_customers, n_components)."""
        blocks = np.array_split(values, max(1, -(-len(values) // BLOCK)))
        found: Floats = np.vstack([self.standardised(block) @ self.components.T for block in blocks])
        return found


def k_means(coordinates: Floats, k: int, *, seed: int) -> Floats:
    """Return the centroids, shape (k, n_components), in the order k-means found them."""
    found: Floats = KMeans(k, n_init=STARTS, random_state=seed).fit(coordinates).cluster_centers_
    return found


def distances(coordinates: Floats, centroids: Floats) -> Floats:
    """Return the Euclidean distance of each customer to each centroid.

    >>> distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [[5.0, 1.0]]
    """
    found: Floats = np.sqrt(
        np.stack([((coordinates - centroid) ** 2).sum(axis=1) for centroid in centroids], axis=1)
    )
    return found


def nearest(coordinates: Floats, centroids: Floats) -> Ints:
    """Return the number of the nearest centroid; the first of equals."""
    return distances(coordinates, centroids).argmin(axis=1).astype(np.int64)


@dataclass(frozen=True)
class Assigned:
    """For each customer: the number of his segment, his distance to its centre, and how clearly it is his.

    `confidence` is 1 - distance / distance to the second nearest centre: 0 on the border of two segments, 1 at a centre.
    """

    labels: Ints
    distance: Floats
    confidence: Floats


@dataclass
class SegmentModel:
    """Centroids with the ids and names of their segments.

    Parameters
    ----------
    feature_names : the columns of `customer_features` it reads, in their order in `space`
    centroids : shape (k, n_components)
    """

    feature_names: list[str]
    space: Space
    centroids: Floats
    segment_ids: list[str]
    segment_names: list[str]

    def assign(self, frame: pd.DataFrame) -> Assigned:
        """Return the segment of each customer from his features; what a column lacks is filled by its rule."""
        apart = distances(self.space.coordinates(self.values(frame)), self.centroids)
        ordered = np.sort(apart, axis=1)
        closest, second = ordered[:, 0], ordered[:, 1]
        confidence = 1.0 - np.divide(closest, second, out=np.ones_like(closest), where=second > 0)
        return Assigned(apart.argmin(axis=1).astype(np.int64), closest, confidence)

    def values(self, frame: pd.DataFrame) -> Floats:
        found: Floats = frame[self.feature_names].to_numpy(dtype=np.float64)
        return found

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the segment of each row of features: the face MLflow shows."""
        found = self.assign(frame)
        return pd.DataFrame(
            {
                "segment_id": np.array(self.segment_ids)[found.labels],
                "segment_name": np.array(self.segment_names)[found.labels],
                "segment_distance": found.distance,
                "segment_confidence": found.confidence,
            }
        )
