"""Sentiment of a text: naive Bayes and logistic regression on words and pairs of words, each weighted by how rare it is.

A language without blanks between words is read by its characters: a pair of two is most of its words. So one way of
reading does for all languages, and a shop that writes in several has one model.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline

from ml.tables import BODY

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]

POLARITIES = (-1, 0, 1)
"""Negative, neutral, positive."""
LEAST_TEXTS = 4
"""Texts a term stands in; one that fewer people wrote says more of them than of what they thought."""

_WITHOUT_BLANKS = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # kana, Chinese characters, Hangul
TERM = rf"[^\W\d_{_WITHOUT_BLANKS}]+(?:['\u2019][^\W\d_]+)?|[{_WITHOUT_BLANKS}]|[!?\uff01\uff1f]"
"""A word with its apostrophe, a character of a language without blanks, or a mark of feeling."""

TRUSTED_TYPES = ["ml.text.models.SentimentModel"]
"""What skops may build when it loads this model, besides what it trusts by itself."""


def polarities(stars: npt.NDArray[np.integer]) -> Ints:
    """Return what ratings say: 1 and 2 stars are negative, 3 neutral, 4 and 5 positive.

    >>> polarities(np.array([1, 2, 3, 4, 5])).tolist()
    [-1, -1, 0, 1, 1]
    """
    return np.sign(stars - 3).astype(np.int64)


@dataclass
class SentimentModel:
    """A reading of texts and a classifier of what was read."""

    method: str
    pipeline: Pipeline

    def fit(self, texts: Texts, truth: Ints) -> "SentimentModel":
        """Learn from texts and what they are: polarities, two different ones or more."""
        self.pipeline.fit(texts, truth)
        return self

    def classes(self, texts: Texts) -> Ints:
        """Return the likeliest polarity of each text."""
        return np.asarray(self.pipeline.predict(texts), dtype=np.int64)

    def sentiments(self, texts: Texts) -> Floats:
        """Return the mean polarity to be expected of each text, -1 to 1."""
        chances = self.pipeline.predict_proba(texts)
        return np.asarray(chances @ self.pipeline.classes_, dtype=np.float64)

    def predict(self, reviews: pd.DataFrame) -> Floats:
        """Return the sentiments of a column of texts, as MLflow asks for them."""
        return self.sentiments(reviews[BODY].to_numpy(dtype=object))


def _multinomial() -> ClassifierMixin:
    """Return naive Bayes; the rare unhappy reader is not judged by how rare he is."""
    return MultinomialNB(alpha=0.1, fit_prior=False)


def _complement() -> ClassifierMixin:
    """Return naive Bayes that learns each class from all the others' texts.

    Source: Rennie, Shih, Teevan & Karger, "Tackling the poor assumptions of naive Bayes text classifiers", ICML 2003.
    """
    return ComplementNB(alpha=0.3)


def _logistic() -> ClassifierMixin:
    return LogisticRegression(C=2.0, class_weight="balanced", max_iter=300)


CLASSIFIERS: dict[str, Callable[[], ClassifierMixin]] = {
    "multinomial_naive_bayes": _multinomial,
    "complement_naive_bayes": _complement,
    "logistic_regression": _logistic,
}


def make(method: str) -> SentimentModel:
    """Return a model that has learnt nothing yet, by the name of its classifier."""
    reading = TfidfVectorizer(token_pattern=TERM, ngram_range=(1, 2), min_df=LEAST_TEXTS, sublinear_tf=True)
    return SentimentModel(method, make_pipeline(reading, CLASSIFIERS[method]()))
