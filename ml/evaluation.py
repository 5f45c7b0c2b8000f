"""Metrics. Arithmetic only; each has an example one can check by hand."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student
from sklearn.metrics import average_precision_score, roc_auc_score

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]


def roc_auc(truth: Bools, probability: Floats) -> float:
    """Return the chance that a customer who lapsed scores above one who did not (ties count half).

    Of the four pairs here three are in the right order.

    >>> roc_auc(np.array([True, False, True, False]), np.array([0.9, 0.4, 0.3, 0.1]))
    0.75
    """
    return float(roc_auc_score(truth, probability))


def pr_auc(truth: Bools, probability: Floats) -> float:
    """Return the area under precision and recall, as average precision (no interpolation).

    Those who lapsed stand at ranks 1 and 3: precision there is 1/1 and 2/3.

    >>> round(pr_auc(np.array([True, False, True, False]), np.array([0.9, 0.4, 0.3, 0.1])), 4)
    0.8333
    """
    return float(average_precision_score(truth, probability))


def brier(truth: Bools, probability: Floats) -> float:
    """Return the mean squared distance of probability and outcome; 0 is perfect.

    >>> round(brier(np.array([True, False]), np.array([0.8, 0.4])), 4)  # (0.04 + 0.16) / 2
    0.1
    """
    return float(np.mean((probability - truth) ** 2))


def calibration_bins(truth: Bools, probability: Floats, *, bins: int = 10) -> list[tuple[float, float, int]]:
    """Return (mean probability, share that lapsed, customers) of equal-count bins, lowest first.

    Equal scores keep the order they came in; fewer customers than bins leave no bin empty.
    """
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return [(float(probability[part].mean()), float(truth[part].mean()), len(part)) for part in parts]


def expected_calibration_error(truth: Bools, probability: Floats, *, bins: int = 10) -> float:
    """Return the mean gap of probability and share over equal-count bins, weighted by their size.

    Lower half: said 0.2, none lapsed; upper half: said 0.6, half of them did. (0.2 + 0.1) / 2.

    >>> said = np.array([0.2, 0.2, 0.6, 0.6])
    >>> round(expected_calibration_error(np.array([False, False, True, False]), said, bins=2), 4)
    0.15
    """
    found = calibration_bins(truth, probability, bins=bins)
    return sum(abs(said - share) * count for said, share, count in found) / len(truth)


def best_f1_threshold(truth: Bools, probability: Floats) -> float:
    """Return the threshold on the probability with the best F1, harmonic mean of precision and recall.

    From 0.4 on three customers are warned of, both lapsers among them: 2 * 2 / (3 + 2).

    >>> best_f1_threshold(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.4, 0.1]))
    0.4
    """
    levels, places = np.unique(probability, return_inverse=True)
    found, warned = (
        np.cumsum(np.bincount(places, weights=each)[::-1])[::-1] for each in (truth, np.ones(len(truth)))
    )
    return float(levels[np.argmax(2.0 * found / (warned + truth.sum()))])


def calibration_error_by_chance(
    probabilities: Sequence[Floats], *, seed: int, bins: int = 10, level: float = 0.95, rounds: int = 1000
) -> float:
    """Return what the mean calibration error over folds stays below, at this level, if every probability is true.

    Where few customers are judged, outcomes stray from true probabilities by chance alone. The outcomes of a bin are
    drawn as a normal sum: n probabilities p miss their sum by sqrt(sum of p (1 - p)).

    Parameters
    ----------
    probabilities
        Per fold, shape (n,).

    Source: Bröcker & Smith, "Increasing the Reliability of Reliability Diagrams", Weather and Forecasting 22, 2007.
    """
    rng = np.random.default_rng(seed)
    means = np.zeros(rounds)
    for probability in probabilities:
        parts = np.array_split(np.sort(probability), min(bins, len(probability)))
        strays = np.array([np.sqrt(np.sum(part * (1.0 - part))) for part in parts]) / len(probability)
        means += np.abs(rng.standard_normal((rounds, len(parts))) * strays).sum(axis=1)
    return float(np.quantile(means / len(probabilities), level))


def recall_at_k(hits: Bools, truth_counts: npt.NDArray[np.integer]) -> Floats:
    """Return per customer the share of the products bought that the list of k products holds.

    Parameters
    ----------
    hits : shape (n_customers, k)
        Whether the product at each rank was bought.
    truth_counts : shape (n_customers,)
        How many products each bought; above 0.

    >>> recall_at_k(np.array([[True, False, True]]), np.array([4])).tolist()
    [0.5]
    """
    found: Floats = hits.sum(axis=1) / truth_counts
    return found


def ndcg_at_k(hits: Bools, truth_counts: npt.NDArray[np.integer]) -> Floats:
    """Return per customer the discounted gain of the list over that of the best list of k products.

    A hit at rank r counts 1 / log2(r + 1). Hits at ranks 1 and 3 of 3 where two products were bought:
    (1 + 0.5) / (1 + 0.6309).

    Source: Järvelin & Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 20(4), 2002.

    >>> ndcg_at_k(np.array([[True, False, True]]), np.array([2])).round(4).tolist()
    [0.9197]
    """
    k = hits.shape[1]
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    best = np.cumsum(discounts)[np.minimum(truth_counts, k) - 1]
    gained: Floats = hits @ discounts / best
    return gained


def bootstrap_interval(
    values: Floats, *, seed: int, level: float = 0.95, rounds: int = 1000
) -> tuple[float, float]:
    """Return the percentile interval of the mean when the values (customers, or folds) are drawn anew.

    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    >>> bootstrap_interval(np.array([0.5, 0.5, 0.5]), seed=1)
    (0.5, 0.5)
    """
    rng = np.random.default_rng(seed)
    # drawn in rounds: one matrix of all draws would hold a thousand numbers per customer at once
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(rounds)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def is_beyond_a_standard_error(gains: Floats) -> bool:
    """Say whether gains, paired by fold, are above 0 by more than their standard error; of one alone nothing can be said.

    The best of many on a few folds is mostly luck. Source: Breiman et al., "Classification and Regression Trees", 1984, 3.4.3.

    >>> is_beyond_a_standard_error(np.array([0.02, 0.03, 0.02])), is_beyond_a_standard_error(np.array([0.09, -0.02, -0.05]))
    (True, False)
    >>> is_beyond_a_standard_error(np.array([0.9]))
    False
    """
    return len(gains) > 1 and bool(gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)))


def t_interval(values: Floats, *, level: float = 0.95) -> tuple[float, float]:
    """Return Student's interval of the mean of a few values (folds); one value alone leaves it without bounds.

    Six folds drawn anew with replacement vary too little; Student's t makes up for estimating their spread.

    >>> [round(bound, 3) for bound in t_interval(np.array([1.0, 2.0, 3.0]))]  # 2 -+ 4.303 * 1 / sqrt(3)
    [-0.484, 4.484]
    """
    if len(values) < 2:
        return -np.inf, np.inf
    reach = student.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)
