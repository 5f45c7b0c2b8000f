"""Training the churn model: two candidates compete on early folds, the winner is judged on the last ones."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from core.errors import ContractBroken
from ml.churn.baselines import BASELINES
from ml.churn.features import FEATURE_NAMES
from ml.churn.models import CANDIDATES, PARAMETERS, TRUSTED_TYPES
from ml.churn.trial import Examples, Tried, importances, try_out, usable
from ml.evaluation import bootstrap_interval
from ml.figures import (
    calibration_figure,
    folds_figure,
    importance_figure,
    precision_recall_figure,
    roc_figure,
)
from ml.promotion import Bar, judge
from ml.provenance import SEED, Source
from ml.tables import CHURN
from ml.training import FittedModel, Training, days_text, means, refused_for_want_of_history, with_baselines
from ml.windows import Fold, choosing_and_judging, has_closed, rolling_folds

JUDGED_FOLDS = 6
CHOOSING_FOLDS = 3

BARS = [
    # Between fortnights the gain over recency (mean 0.055 on Complete Journey) has a standard deviation of 0.007:
    # a gain below 0.01 could be luck.
    Bar("pr_auc", margin=0.01),
    # Campaigns compare the probability with bands, so it must also be nearer to what happened.
    Bar("brier", margin=0.0, is_loss=True, in_every_fold=False),
]


def train_churn_model(table: pa.Table, source: Source, *, horizon_days: int) -> Training:
    """Return the record of a training on the published `churn_examples`: nothing is logged here.

    Raises
    ------
    ContractBroken
        If the table holds a cut-off whose label window had not closed by the training day.
    """
    examples = Examples.of(table)
    cutoffs = examples.days()
    for day in cutoffs:
        if not has_closed(day, horizon_days, by=source.as_of):
            raise ContractBroken(
                f"churn_examples of {source.as_of} holds cut-off {day}, whose window of {horizon_days} days "
                "closes later; publish the table again for this day"
            )
    folds = usable(rolling_folds(cutoffs, horizon_days), examples)
    choosing, judged = choosing_and_judging(folds, horizon_days, judged=JUDGED_FOLDS, choosing=CHOOSING_FOLDS)
    if not judged:
        reason = f"too little history: {len(cutoffs)} closed cut-offs leave {len(folds)} folds, 3 or more are needed"
        return refused_for_want_of_history(CHURN, source, reason)
    competed = {name: try_out(make, examples, choosing, seed=SEED) for name, make in CANDIDATES.items()}
    # By Brier, which asks for order and probability at once and varies less between fortnights than PR-AUC.
    method = min(competed, key=lambda name: means(competed[name].figures)["brier"])
    tried = try_out(CANDIDATES[method], examples, judged, seed=SEED)
    baselines = {name: try_out(make, examples, judged, seed=SEED) for name, make in BASELINES.items()}
    verdict = judge(tried.figures, {name: found.figures for name, found in baselines.items()}, BARS)
    fold_figures = with_baselines(tried.figures, {name: found.figures for name, found in baselines.items()})
    return Training(
        CHURN,
        source,
        method,
        _parameters(method, examples, choosing, judged, horizon_days),
        means(fold_figures) | _gain_interval(tried, baselines["recency"]) | _choice_figures(competed),
        fold_figures,
        {
            "folds": {"test_cutoffs": [str(fold.test) for fold in judged]} | fold_figures,
            "choice": {name: found.figures for name, found in competed.items()},
        },
        _drawings(method, tried, baselines, judged, examples),
        verdict.is_promoted,
        verdict.reason,
        _fit_on_all(method, examples),
    )


def _fit_on_all(method: str, examples: Examples) -> FittedModel:
    """Fit the winner anew on every closed cut-off: the latest habits are the ones that will be scored."""
    model = CANDIDATES[method](SEED).fit(examples.features, examples.has_churned)
    shown = examples.features.head(5)
    return FittedModel(model, shown, model.predict_proba(shown), TRUSTED_TYPES, predicts_with="predict_proba")


def _parameters(
    method: str, examples: Examples, choosing: list[Fold], judged: list[Fold], horizon_days: int
) -> dict[str, object]:
    return {
        "method": method,
        "horizon_days": horizon_days,
        "seed": SEED,
        "features": ", ".join(FEATURE_NAMES),
        "train_cutoffs": days_text(examples.days()),
        "choosing_cutoffs": days_text([fold.test for fold in choosing]),
        "judged_cutoffs": days_text([fold.test for fold in judged]),
        "rows_trained": len(examples),
        "rows_judged": sum(len(examples.at([fold.test])) for fold in judged),
        "share_lapsed": round(float(examples.has_churned.mean()), 6),
    } | {f"model.{name}": value for name, value in PARAMETERS[method].items()}


def _gain_interval(tried: Tried, recency: Tried) -> dict[str, float]:
    """Return the interval of the gain in PR-AUC when the judged cut-offs are drawn anew."""
    gains = np.array(tried.figures["pr_auc"]) - np.array(recency.figures["pr_auc"])
    low, high = bootstrap_interval(gains, seed=SEED)
    return {"pr_auc_gain_low": low, "pr_auc_gain_high": high}


def _choice_figures(competed: Mapping[str, Tried]) -> dict[str, float]:
    return {
        f"choice/{name}/{metric}": value
        for name, found in competed.items()
        for metric, value in means(found.figures).items()
    }


def _drawings(
    method: str, tried: Tried, baselines: Mapping[str, Tried], judged: list[Fold], examples: Examples
) -> dict[str, Figure]:
    both = {method: tried} | dict(baselines)
    probabilities = {name: found.probability for name, found in both.items()}
    days = [str(fold.test) for fold in judged]
    return {
        "roc": roc_figure(tried.truth, probabilities),
        "precision_recall": precision_recall_figure(tried.truth, probabilities),
        "calibration": calibration_figure(tried.truth, probabilities),
        "importance": importance_figure(importances(tried.last, examples.at([judged[-1].test]), seed=SEED)),
        "pr_auc_by_cutoff": folds_figure(
            "PR-AUC", days, {name: f.figures["pr_auc"] for name, f in both.items()}
        ),
    }
