"""How well sentiment is read: dealt into folds, each fifth of the texts is judged by models that learnt from the others.

What somebody thinks of a product is no question about time, so texts are dealt at random; all of a customer's into one
fold, as people write alike, and a text that stands there twice counts once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, spearmanr
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedGroupKFold

from ml.text.models import CLASSIFIERS, POLARITIES, Floats, Ints, Texts, make, polarities

FOLDS = 5
METRICS = ("macro_f1", "rank_correlation")


class Reader(Protocol):
    """What reads texts: a model, a baseline, a peer."""

    def classes(self, texts: Texts) -> Ints: ...

    def sentiments(self, texts: Texts) -> Floats: ...


@dataclass(frozen=True)
class Reviews:
    """n texts, each with its rating and its writer.

    `stars`: 1 to 5; `writers`: who wrote it, as a number.
    """

    texts: Texts
    stars: Ints
    writers: Ints

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(cls, texts: Texts, stars: Ints, writers: Ints) -> "Reviews":
        """Return reviews, a text that stands there again left out; one that was rated differently speaks for nothing."""
        _, place, number = np.unique(texts.astype(str), return_index=True, return_inverse=True)
        lowest, highest = np.full(len(place), 5), np.full(len(place), 1)
        np.minimum.at(lowest, number, stars)
        np.maximum.at(highest, number, stars)
        kept = np.sort(place[polarities(lowest) == polarities(highest)])
        return cls(texts[kept], stars[kept], writers[kept])

    def at(self, places: npt.NDArray[np.integer]) -> "Reviews":
        return Reviews(self.texts[places], self.stars[places], self.writers[places])

    @property
    def truth(self) -> Ints:
        """What the ratings say: polarities."""
        return polarities(self.stars)


def folds(reviews: Reviews, *, seed: int) -> Iterator[tuple[Reviews, Reviews]]:
    """Yield reviews to learn from and reviews to judge on, five times; each fold has its share of every polarity."""
    dealer = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for learnt, judged in dealer.split(reviews.texts, reviews.truth, reviews.writers):
        yield reviews.at(learnt), reviews.at(judged)


def figures(reader: Reader, judged: Reviews) -> dict[str, float]:
    """Return macro-F1 of the classes and rank correlation of the sentiments with the ratings."""
    table = confusion_matrix(judged.truth, reader.classes(judged.texts), labels=POLARITIES)
    return {
        "macro_f1": macro_f1(table),
        "rank_correlation": rank_correlation(reader.sentiments(judged.texts), judged.stars),
    }


def try_methods(parts: Sequence[tuple[Reviews, Reviews]]) -> dict[str, dict[str, list[float]]]:
    """Return the figures of each method, fold by fold."""
    found: dict[str, dict[str, list[float]]] = {}
    for method in CLASSIFIERS:
        each = [figures(make(method).fit(learnt.texts, learnt.truth), judged) for learnt, judged in parts]
        found[method] = {metric: [fold[metric] for fold in each] for metric in METRICS}
    return found


def best(tried: dict[str, dict[str, list[float]]]) -> str:
    """Return the method with the highest mean of macro-F1 over the folds."""
    return max(tried, key=lambda method: float(np.mean(tried[method]["macro_f1"])))


def macro_f1(table: npt.NDArray[np.integer]) -> float:
    """Return the mean of F1, the harmonic mean of precision and recall, over the classes that there are texts of.

    Parameters
    ----------
    table : shape (n_classes, n_classes)
        Confusion matrix: texts by what they are (rows) and what they were called.

    Three of four unhappy and one of two happy texts are found, and one each is called wrongly: 2 * 3 / (4 + 4) and
    2 * 1 / (2 + 2).

    >>> macro_f1(np.array([[3, 1], [1, 1]]))
    0.625
    """
    there_are = table.sum(axis=1) > 0
    f1 = 2 * np.diag(table)[there_are] / (table.sum(axis=0) + table.sum(axis=1))[there_are]
    return float(f1.mean())


def macro_f1_interval(
    tables: npt.NDArray[np.integer], *, seed: int, level: float = 0.95, rounds: int = 2000
) -> tuple[float, float]:
    """Return the percentile interval of macro-F1, or of what it gains over another reader's, when texts are drawn anew.

    Parameters
    ----------
    tables : shape (n_classes, n_classes) or (n_classes, n_classes, n_classes)
        Texts by what they are, what they were called, and where there are two readers, what the other called them.

    Texts matter by their cell alone, so cells are drawn, not texts.

    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(tables.sum(), tables.ravel() / tables.sum(), size=rounds).reshape(
        -1, *tables.shape
    )
    if tables.ndim == 2:
        found = [macro_f1(each) for each in draws]
    else:
        found = [macro_f1(each.sum(axis=2)) - macro_f1(each.sum(axis=1)) for each in draws]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def rank_correlation(sentiments: Floats, stars: Ints) -> float:
    """Return Spearman's correlation of sentiments and ratings, -1 to 1; 0 where a reader says the same of all.

    >>> round(rank_correlation(np.array([-0.9, 0.1, 0.4, 0.3]), np.array([1, 3, 4, 5])), 4)  # 1 - 6 * 2 / (4 * 15)
    0.8
    """
    if np.ptp(sentiments) == 0 or np.ptp(stars) == 0:
        return 0.0
    return float(spearmanr(sentiments, stars).statistic)


def rank_correlation_interval(correlation: float, count: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of Spearman's correlation over so many texts.

    Source: Bonett & Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations",
    Psychometrika 65, 2000: Fisher's z has the variance (1 + r^2 / 2) / (n - 3).

    >>> [round(bound, 3) for bound in rank_correlation_interval(0.5, 103)]  # atanh(0.5) -+ 1.96 * sqrt(1.125 / 100)
    [0.329, 0.639]
    """
    reach = norm.ppf((1 + level) / 2) * np.sqrt((1 + correlation**2 / 2) / (count - 3))
    low, high = np.tanh(np.arctanh(correlation) + np.array([-reach, reach]))
    return float(low), float(high)
