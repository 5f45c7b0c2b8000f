"""Bayesian search for a model's settings, on folds that lie before any on which it is judged.

Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011 (TPE); by Optuna.
"""

from collections.abc import Callable, Sequence

import numpy as np
import optuna

from ml.churn.models import SETTINGS
from ml.churn.protocol import Setting
from ml.churn.trial import Examples, try_baseline, walk
from ml.evaluation import Floats, is_beyond_a_standard_error
from ml.windows import Fold

Space = Callable[[optuna.Trial], Setting]


def _trees(trial: optuna.Trial) -> Setting:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.15, log=True),
        "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 4, 24, log=True),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 30, 300, log=True),
    }


SPACES: dict[str, Space] = {
    "logistic_levels": lambda trial: {"C": trial.suggest_float("C", 1e-3, 1.0, log=True)},
    "boosting_levels": _trees,
    "logistic_rhythm": lambda trial: {"C": trial.suggest_float("C", 1e-3, 1.0, log=True)},
    "boosting_rhythm": _trees,
    "random_forest": lambda trial: {
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 10, 100, log=True),
        "max_features": trial.suggest_float("max_features", 0.1, 0.5),
    },
    "neural_network": lambda trial: {
        "alpha": trial.suggest_float("alpha", 0.1, 30.0, log=True),
        "learning_rate_init": trial.suggest_float("learning_rate_init", 5e-4, 5e-3, log=True),
    },
}


def tune(
    name: str, examples: Examples, folds: Sequence[Fold], *, horizon_days: int, seed: int, trials: int
) -> Setting:
    """Return the settings of a member with the least mean Brier score over folds.

    The first trial is `SETTINGS`. Another must beat it by more than a standard error of the gain, paired by fold.

    Raises
    ------
    ValueError
        If there are fewer than two folds to try settings on.
    """
    if len(folds) < 2:
        raise ValueError(
            f"{len(folds)} folds cannot say which settings of {name} are better by more than luck"
        )

    def losses(setting: Setting) -> Floats:
        walked = walk([name], examples, folds, horizon_days=horizon_days, seed=seed, settings={name: setting})
        return np.array(try_baseline(walked, name, folds).figures["brier"])

    def loss(trial: optuna.Trial) -> float:
        found = losses(SPACES[name](trial))
        trial.set_user_attr("losses", found.tolist())
        return float(found.mean())

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(dict(SETTINGS[name]))
    study.optimize(loss, n_trials=trials)
    known, best = (np.array(each.user_attrs["losses"]) for each in (study.trials[0], study.best_trial))
    return dict(study.best_params) if is_beyond_a_standard_error(known - best) else SETTINGS[name]
