"""Training the sentiment of reviews: methods compete by folds, the best is held against the baseline and fitted on all."""

import numpy as np
import pandas as pd
import pyarrow as pa

from core.logging import get_logger
from ml.promotion import Bar, judge
from ml.provenance import SEED, Source
from ml.tables import BODY, CUSTOMER_ID, SENTIMENT, STARS
from ml.text.baselines import Majority
from ml.text.models import TRUSTED_TYPES, make
from ml.text.trial import METRICS, Reviews, best, figures, folds, try_methods
from ml.training import FittedModel, Training, means, refused_for_want_of_history, with_baselines

log = get_logger(__name__)

LEAST_REVIEWS = 200
"""Of each of two polarities: a fold then judges forty, and knows a share of them to 16 percent."""

BARS = [
    # Of the folds of 4,527 English reviews macro-F1 has a standard deviation of 0.01: a gain of 0.1 is no luck.
    Bar("macro_f1", margin=0.1, beyond_chance=True),
    Bar("rank_correlation", margin=0.1, beyond_chance=True),
]


def train_sentiment_model(table: pa.Table, source: Source) -> Training:
    """Return the record of a training on the published `review_texts`: nothing is logged here."""
    reviews = _reviews(table)
    _, counts = np.unique(reviews.truth, return_counts=True)
    if (counts >= LEAST_REVIEWS).sum() < 2:
        return refused_for_want_of_history(SENTIMENT, source, _too_few(len(reviews)))
    parts = list(folds(reviews, seed=SEED))
    tried = try_methods(parts)
    method = best(tried)
    majority = [figures(Majority().fit(learnt.texts, learnt.truth), judged) for learnt, judged in parts]
    baselines = {"majority": {metric: [fold[metric] for fold in majority] for metric in METRICS}}
    verdict = judge(tried[method], baselines, BARS)
    log.info("sentiment tried", reviews=len(reviews), method=method)
    fold_figures = with_baselines(tried[method], baselines | _others(tried, method))
    model = make(method).fit(reviews.texts, reviews.truth)
    shown = pd.DataFrame({BODY: ["Lovely, fits well.", "Too small, and it fell apart!"]})
    return Training(
        SENTIMENT,
        source,
        method,
        {"method": method, "rows_trained": len(reviews), "seed": SEED, "folds": len(parts)},
        means(fold_figures),
        fold_figures,
        {"polarities": dict(zip(("negative", "neutral", "positive"), _shares(reviews), strict=True))},
        {},
        verdict.is_promoted,
        verdict.reason,
        FittedModel(model, shown, model.predict(shown), TRUSTED_TYPES),
    )


def _reviews(table: pa.Table) -> Reviews:
    _, writers = np.unique(table[CUSTOMER_ID].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    texts = np.array(table[BODY].to_pylist(), dtype=object)
    return Reviews.of(texts, table[STARS].to_numpy().astype(np.int64), writers)


def _others(tried: dict[str, dict[str, list[float]]], method: str) -> dict[str, dict[str, list[float]]]:
    """Return the figures of the methods that were not chosen, to be shown beside the chosen one's."""
    return {name: found for name, found in tried.items() if name != method}


def _shares(reviews: Reviews) -> list[float]:
    return [float((reviews.truth == polarity).mean()) for polarity in (-1, 0, 1)]


def _too_few(count: int) -> str:
    return (
        f"too little to compare: {count} different texts with a rating; two of negative, neutral and positive need "
        f"{LEAST_REVIEWS} each"
    )
