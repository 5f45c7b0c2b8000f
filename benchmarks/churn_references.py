"""The models a churn model is compared with, as one writes them in an afternoon: three, and the mean of their log odds."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml.churn.features import fill
from ml.churn.rhythm import log_odds
from ml.churn.trial import Examples, Walk
from ml.evaluation import Floats
from ml.windows import Fold

RFM_AND_TRENDS = (
    "recency_days", "tenure_days", "orders_7d_count", "orders_30d_count", "orders_90d_count", "orders_lifetime_count",
    "spend_30d_cents", "spend_90d_cents", "spend_lifetime_cents", "gap_mean_days", "gap_std_days", "gap_ratio",
    "orders_trend_ratio", "spend_trend_ratio", "basket_mean_cents",
)  # fmt: skip
BLEND = "mean of logits of three"


def references(
    examples: Examples, folds: Sequence[Fold], walked: Walk, seed: int
) -> dict[str, dict[date, Floats]]:
    """Return reference → cut-off → probabilities; recency and recalibrated BG/NBD are those of the walk."""
    found: dict[str, dict[date, Floats]] = {
        "recency": {fold.test: walked.unweighed("recency", fold.test) for fold in folds},
        "BG/NBD recalibrated": {fold.test: walked.unweighed("bg_nbd", fold.test) for fold in folds},
    }
    made = {
        "logistic on RFM and trends": make_pipeline(
            FunctionTransformer(_logs), StandardScaler(), LogisticRegression(C=0.1, max_iter=500)
        ),
        "gradient boosting": make_pipeline(
            FunctionTransformer(_plain),
            HistGradientBoostingClassifier(
                max_iter=60, learning_rate=0.08, max_leaf_nodes=12, min_samples_leaf=80, random_state=seed
            ),
        ),
    }
    for name, model in made.items():
        found[name] = {}
        for fold in folds:
            learnt, tested = examples.at(fold.train), examples.at([fold.test])
            model.fit(learnt.features, learnt.has_churned)
            found[name][fold.test] = model.predict_proba(tested.features)[:, 1]
    three = ("BG/NBD recalibrated", *made)
    found[BLEND] = {
        fold.test: 1 / (1 + np.exp(-np.mean([log_odds(found[name][fold.test]) for name in three], axis=0)))
        for fold in folds
    }
    return found


def _plain(frame: object) -> Floats:
    filled = fill(frame)
    return np.column_stack([filled[name] for name in RFM_AND_TRENDS])


def _logs(frame: object) -> Floats:
    return np.log1p(np.maximum(_plain(frame), 0.0))
