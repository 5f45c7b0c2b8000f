"""What segments must beat: the cells any shop can make by hand, and the groups k-means finds where there are none."""

from collections.abc import Callable

import numpy as np

from ml.segments.features import Floats
from ml.segments.models import Space, k_means, nearest
from ml.segments.trial import Fold, Strings, silhouette


def rfm_cells(fold: Fold, k: int, cells: Strings) -> float:
    """Silhouette of the named RFM cells, among the same customers in the same space."""
    return silhouette(fold.space.coordinates(fold.judged), cells[fold.everybody])


def shuffled_columns(fold: Fold, k: int, cells: Strings) -> float:
    """Silhouette of k-means when each column is dealt anew: every feature as it is, no relation between them."""
    rng = np.random.default_rng(fold.seed)
    fitted, judged = rng.permuted(fold.fitted, axis=0), rng.permuted(fold.judged, axis=0)
    space = Space.of(fitted, fold.space.is_skewed)
    return _k_means_silhouette(space.coordinates(fitted), space.coordinates(judged), k, seed=fold.seed)


def one_crowd(fold: Fold, k: int, cells: Strings) -> float:
    """Silhouette of k-means on one crowd: as many customers, drawn from one normal distribution as wide each way.

    A long cloud can be cut into pieces that lie apart, and shuffling would take its length away.

    Source: Liu, Hayes, Nobel & Marron, "Statistical significance of clustering for high-dimension, low-sample size
    data", JASA 103, 2008: groups are real if they are more apart than those of one normal distribution.
    """
    rng = np.random.default_rng(fold.seed)
    widths = fold.space.coordinates(fold.fitted).std(
        axis=0
    )  # components do not go together: no covariance is left
    fitted, judged = (
        rng.normal(0.0, widths, (len(rows), len(widths))) for rows in (fold.fitted, fold.judged)
    )
    return _k_means_silhouette(fitted, judged, k, seed=fold.seed)


def _k_means_silhouette(fitted: Floats, judged: Floats, k: int, *, seed: int) -> float:
    return silhouette(judged, nearest(judged, k_means(fitted, k, seed=seed)))


BASELINES: dict[str, Callable[[Fold, int, Strings], float]] = {
    "rfm": rfm_cells,
    "shuffled": shuffled_columns,
    "one_crowd": one_crowd,
}
"""Each takes a fold, the number of segments, and the RFM cell of every customer of the trial."""
