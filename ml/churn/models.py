"""The churn models that compete, and what a probability is called."""

from collections.abc import Mapping
from enum import StrEnum

import numpy as np
import pyarrow as pa
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ml.churn.baselines import BASELINES
from ml.churn.features import FeatureRules
from ml.churn.protocol import ChurnModel, Maker, Recipe, Setting
from ml.churn.rhythm import Rhythm
from ml.evaluation import Floats

# Set by hand. A search (`ml.churn.tuning`, 20 trials each, the cut-offs before 2 July 2017 of Complete Journey) around
# slower ones found none that is better by more than chance; of those as good, these are the quickest. `tune` starts from them
# and must beat them by a standard error.
SETTINGS: dict[str, Setting] = {
    "logistic_levels": {"C": 0.1},
    "boosting_levels": {"learning_rate": 0.08, "max_leaf_nodes": 12, "min_samples_leaf": 80},
    "logistic_rhythm": {"C": 0.003},
    "boosting_rhythm": {"learning_rate": 0.08, "max_leaf_nodes": 6, "min_samples_leaf": 100},
    "random_forest": {"min_samples_leaf": 20, "max_features": 0.15},
    "neural_network": {"alpha": 3.0, "learning_rate_init": 0.005},
}

TREES = 60
"""Of the forest. With 150 of twice the rows, fitted for every fold, its Brier score on Complete Journey is 0.0979, not 0.0982,
and the blend's is the same."""
PASSES = 6
"""Of the neural network over its examples; with more it knows them by heart."""

TRUSTED_TYPES = [
    "ml.churn.baselines.BgNbdChurn",
    "ml.churn.baselines.OnlyRecency",
    "ml.churn.blending.Blend",
    "ml.churn.features.FeatureRules",
    "ml.churn.rhythm.Rhythm",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    # Forged indices in it could crash the process. The registry loads nothing whose digest is not the one it logged.
    "sklearn.tree._tree.Tree",
]
"""What skops may build when it loads a churn model, besides what it trusts by itself."""


def logistic_levels(recipe: Recipe) -> Pipeline:
    """Return a logistic regression on totals, their logarithms standardised."""
    return Pipeline(
        [("rules", FeatureRules(is_linear=True)), ("scale", StandardScaler()), ("model", _logistic(recipe))]
    )


def boosting_levels(recipe: Recipe) -> Pipeline:
    return Pipeline([("rules", FeatureRules(is_linear=False)), ("model", _boosting(recipe, max_iter=60))])


def logistic_rhythm(recipe: Recipe) -> Pipeline:
    return Pipeline([("rhythm", _rhythm(recipe)), ("scale", StandardScaler()), ("model", _logistic(recipe))])


def boosting_rhythm(recipe: Recipe) -> Pipeline:
    # Of many features that say much the same, each split sees a third: the trees differ, and their sum is steadier.
    boosting = _boosting(recipe, max_iter=60, max_features=0.3, l2_regularization=10.0)
    return Pipeline([("rhythm", _rhythm(recipe)), ("model", boosting)])


def random_forest(recipe: Recipe) -> Pipeline:
    """Return a forest on the rhythm; its leaves are large, because who is alike lapses alike only on average."""
    forest = RandomForestClassifier(
        n_estimators=TREES,
        min_samples_leaf=int(recipe.setting["min_samples_leaf"]),
        max_features=recipe.setting["max_features"],
        max_samples=0.2,  # rows of one customer at neighbouring cut-offs say much the same
        random_state=recipe.seed,
    )
    return Pipeline([("rhythm", _rhythm(recipe)), ("model", forest)])


def neural_network(recipe: Recipe) -> Pipeline:
    """Return four networks of one small layer on the rhythm, trained for a few passes: one alone depends on its start."""
    network = MLPClassifier(
        hidden_layer_sizes=(16,),
        alpha=recipe.setting["alpha"],
        learning_rate_init=recipe.setting["learning_rate_init"],
        batch_size=400,
        # No gain is enough to go on for, so it ends after the same number of passes, whatever the data. Left to hold
        # out rows at random it would test on the same customers' other cut-offs.
        tol=1e6,
        n_iter_no_change=PASSES,
        random_state=recipe.seed,
    )
    networks = BaggingClassifier(
        network, n_estimators=4, max_samples=0.7, bootstrap=False, random_state=recipe.seed
    )
    return Pipeline([("rhythm", _rhythm(recipe)), ("scale", StandardScaler()), ("model", networks)])


MODELS: dict[str, Maker] = {
    "logistic_levels": logistic_levels,
    "boosting_levels": boosting_levels,
    "logistic_rhythm": logistic_rhythm,
    "boosting_rhythm": boosting_rhythm,
    "random_forest": random_forest,
    "neural_network": neural_network,
}
MEMBERS: dict[str, Maker] = {"bg_nbd": BASELINES["bg_nbd"]} | MODELS
LONG = ("random_forest", "neural_network")
"""Members that take longer to fit than all others together."""
BLEND = "blend"
CANDIDATES: dict[str, tuple[str, ...]] = {name: (name,) for name in MODELS} | {BLEND: tuple(MEMBERS)}
"""Candidate → the members whose log odds it weighs."""


def make(name: str, *, horizon_days: int, seed: int, settings: Mapping[str, Setting]) -> ChurnModel:
    """Return a member or baseline that is not fitted yet."""
    maker = (MEMBERS | BASELINES)[name]
    return maker(Recipe(horizon_days, seed, settings.get(name, {})))


def _logistic(recipe: Recipe) -> LogisticRegression:
    return LogisticRegression(C=recipe.setting["C"], max_iter=500, random_state=recipe.seed)


def _boosting(recipe: Recipe, **fixed: float) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=recipe.setting["learning_rate"],
        max_leaf_nodes=int(recipe.setting["max_leaf_nodes"]),
        min_samples_leaf=int(recipe.setting["min_samples_leaf"]),
        early_stopping=False,  # it would hold out rows at random, and so test on the same customers' other cut-offs
        random_state=recipe.seed,
        **fixed,
    )


def _rhythm(recipe: Recipe) -> Rhythm:
    return Rhythm(horizon_days=recipe.horizon_days)


class ChurnBand(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


def churn_bands(probability: Floats, *, high_from: float) -> pa.Array:
    """Return the band of each probability: *medium* from half of where *high* begins, so that it is seen coming.

    >>> churn_bands(np.array([0.61, 0.6, 0.59, 0.3, 0.1]), high_from=0.6).to_pylist()
    ['high', 'high', 'medium', 'medium', 'low']
    """
    bands = np.where(
        probability >= high_from,
        ChurnBand.HIGH.value,
        np.where(probability >= high_from / 2.0, ChurnBand.MEDIUM.value, ChurnBand.LOW.value),
    )
    return pa.array(bands.tolist(), pa.string())
