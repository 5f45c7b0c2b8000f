"""Training the churn model: candidates compete on early folds, the winner is judged on the last ones.

A shop too young for that is given BG/NBD drawn to its prior: it says how unsure it is instead of saying nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from core.errors import ContractBroken
from ml.churn.baselines import BASELINES, BgNbdChurn
from ml.churn.blending import Blend
from ml.churn.card import card
from ml.churn.drift import CUTOFFS, DRIFT_REFERENCE, PSI, SCORE, Reference
from ml.churn.features import FEATURE_NAMES, feature_frame
from ml.churn.models import BLEND, CANDIDATES, MEMBERS, SETTINGS, TRUSTED_TYPES, make
from ml.churn.money import Terms
from ml.churn.profit import Stakes, with_profit
from ml.churn.protocol import ChurnModel, Setting
from ml.churn.review import Evidence, review
from ml.churn.slices import slice_table
from ml.churn.trial import (
    LEAST_TO_WEIGH,
    Examples,
    Tried,
    Walk,
    churn_probability,
    importances,
    try_baseline,
    try_out,
    usable,
    walk,
)
from ml.churn.tuning import tune
from ml.evaluation import bootstrap_interval, is_beyond_a_standard_error, t_interval
from ml.figures import (
    calibration_figure,
    drift_figure,
    folds_figure,
    importance_figure,
    precision_recall_figure,
    roc_figure,
)
from ml.provenance import SEED, Source
from ml.tables import CHURN
from ml.training import FittedModel, Training, days_text, means, with_baselines
from ml.windows import Fold, choosing_and_judging, has_closed, rolling_folds

JUDGED_FOLDS = 6
LEAST_JUDGED = 3
"""With fewer judged cut-offs no interval of a gain says anything."""
CHOOSING_FOLDS = 3
WEIGHING_FOLDS = 4
"""Folds before the first choosing one at which members are heard, to weigh them there."""

PRIOR_METHOD = "bg_nbd_with_prior"


@dataclass(frozen=True)
class Split:
    """Which folds do what, oldest first: `choosing` and `judged` are among `walked`."""

    walked: list[Fold]
    choosing: list[Fold]
    judged: list[Fold]

    @classmethod
    def of(cls, examples: Examples, horizon_days: int) -> "Split":
        """Split the folds; `judged` is empty where there is too little history."""
        folds = usable(rolling_folds(examples.days(), horizon_days), examples)
        choosing, judged = choosing_and_judging(
            folds, horizon_days, judged=JUDGED_FOLDS, choosing=CHOOSING_FOLDS
        )
        if len(judged) < LEAST_JUDGED:
            return cls([], [], [])
        known = usable(rolling_folds(examples.days(), horizon_days, least_train=LEAST_TO_WEIGH), examples)
        before = [fold for fold in known if fold.test < choosing[0].test][-WEIGHING_FOLDS:]
        return cls(before + [fold for fold in known if fold.test >= choosing[0].test], choosing, judged)


def train_churn_model(
    table: pa.Table,
    today: pa.Table,
    source: Source,
    *,
    horizon_days: int,
    terms: Terms,
    tuning_trials: int = 0,
    then: pa.Table | None = None,
) -> Training:
    """Return the record of a training on the published `churn_examples`: nothing is logged here.

    Parameters
    ----------
    today
        `customer_features` of the training day, for shops too young to have examples.
    terms
        What treating costs and brings: for the figures of profit. The model does not depend on them.
    tuning_trials
        Settings tried for each member on the choosing folds; 0 takes those of `ml.churn.models`.
    then
        `customer_features` as they were published on the day of a cut-off, when nobody knew its labels; None: there are none.

    Raises
    ------
    ContractBroken
        If the table holds a cut-off whose label window had not closed by the training day.
    """
    examples = Examples.of(table)
    for day in examples.days():
        if not has_closed(day, horizon_days, by=source.as_of):
            raise ContractBroken(
                f"churn_examples of {source.as_of} holds cut-off {day}, whose window of {horizon_days} days "
                "closes later; publish the table again for this day"
            )
    split = Split.of(examples, horizon_days)
    if not split.judged:
        return _with_prior(examples, feature_frame(today), source, horizon_days)
    settings = _settings(examples, split.choosing, horizon_days, tuning_trials)
    walked = walk(
        [*MEMBERS, *(name for name in BASELINES if name not in MEMBERS)],
        examples,
        split.walked,
        horizon_days=horizon_days,
        seed=SEED,
        settings=settings,
    )
    competed = {name: try_out(walked, members, split.choosing) for name, members in CANDIDATES.items()}
    method = chosen({name: found.figures["brier"] for name, found in competed.items()})
    early, late = (
        Stakes.of(walked, CANDIDATES[method], examples, folds, terms)
        for folds in (split.choosing, split.judged)
    )
    evidence = Evidence.of(table, examples, [fold.test for fold in split.judged], then)
    training = _judged(method, competed, walked, split, source, settings, evidence)
    training = with_profit(training, early, late, terms)
    return with_drift(training, examples, feature_frame(today), horizon_days)


def chosen(losses: Mapping[str, Sequence[float]]) -> str:
    """Return the candidate with the least mean loss, if it beats the blend by more than a standard error; else the blend.

    `losses`: candidate → Brier score of each choosing fold. It asks for order and probability at once, and varies less between
    fortnights than PR-AUC.
    """
    best = min(losses, key=lambda name: sum(losses[name]))
    gains = np.array(losses[BLEND]) - np.array(losses[best])
    return best if is_beyond_a_standard_error(gains) else BLEND


def _settings(
    examples: Examples, choosing: Sequence[Fold], horizon_days: int, trials: int
) -> dict[str, Setting]:
    if not trials:
        return dict(SETTINGS)
    return {
        name: tune(name, examples, choosing, horizon_days=horizon_days, seed=SEED, trials=trials)
        for name in SETTINGS
    }


def _judged(
    method: str,
    competed: Mapping[str, Tried],
    walked: Walk,
    split: Split,
    source: Source,
    settings: Mapping[str, Setting],
    evidence: Evidence,
) -> Training:
    """Hold the winner against the baselines on the judged folds."""
    examples = evidence.examples
    tried = try_out(walked, CANDIDATES[method], split.judged)
    baselines = {name: try_baseline(walked, name, split.judged) for name in BASELINES}
    theirs = {name: found.figures for name, found in baselines.items()}
    days = [fold.test for fold in split.judged]
    slices = slice_table(evidence.slices, days, {"": tried} | baselines)
    by_cutoff = [walked.probability(CANDIDATES[method], day) for day in days]
    verdict = review(tried, baselines, slices, by_cutoff, evidence.leak)
    fold_figures = with_baselines(tried.figures, theirs)
    others = {name: try_out(walked, members, split.judged) for name, members in CANDIDATES.items()}
    training = Training(
        CHURN,
        source,
        method,
        _parameters(method, examples, split, walked.horizon_days, settings)
        | {"leak_probe_cutoff": str(evidence.probed_cutoff or "none")},
        means(fold_figures) | gains(tried, baselines) | intervals(tried) | _choice_figures(competed),
        fold_figures,
        {
            "folds": pd.DataFrame({"test_cutoff": [str(day) for day in days]} | fold_figures),
            "slices": slices,
            "choice": {name: found.figures for name, found in competed.items()},
            "candidates": {name: found.figures for name, found in others.items()},
        },
        _drawings(method, tried, baselines, walked, split.judged, examples),
        verdict.is_promoted,
        verdict.reason,
        _fitted(_fit_on_all(method, walked, examples, source.as_of, settings), examples.features),
    )
    return replace(training, card=card(training, BASELINES))


def with_drift(training: Training, examples: Examples, today: pd.DataFrame, horizon_days: int) -> Training:
    """Add what a scored day is compared with, and how far the training day itself has moved."""
    if training.fitted is None or not len(today):
        return training
    model = training.fitted.model

    def scored(features: pd.DataFrame) -> pd.DataFrame:
        return features.assign(**{SCORE: churn_probability(model, features)})

    newest = examples.at(examples.days()[-CUTOFFS:])
    reference = Reference.of(scored(newest.features), newest.cutoffs, horizon_days=horizon_days, seed=SEED)
    if reference is None:
        return training
    shifts = reference.shifts(scored(today))
    moved = {each.feature: (each.value, each.bound) for each in shifts if each.measure == PSI}
    return replace(
        training,
        figures=dict(training.figures) | {"drift_alerts": float(sum(each.is_alert for each in shifts))},
        tables=dict(training.tables) | {DRIFT_REFERENCE: reference.to_json()},
        drawings=dict(training.drawings) | {"drift": drift_figure(moved)},
    )


def _fit_on_all(
    method: str, walked: Walk, examples: Examples, as_of: date, settings: Mapping[str, Setting]
) -> ChurnModel:
    """Fit the winner anew on every closed cut-off: the latest habits are the ones that will be scored."""
    members = CANDIDATES[method]
    models = [make(name, horizon_days=walked.horizon_days, seed=SEED, settings=settings) for name in members]
    blend = Blend(models, walked.weights(members, by=as_of))
    return blend.fit(examples.features, examples.has_churned)


def _with_prior(examples: Examples, today: pd.DataFrame, source: Source, horizon_days: int) -> Training:
    """Fit BG/NBD to today's histories; it is promoted unjudged, because it is itself the baseline of what comes later."""
    model = BgNbdChurn(horizon_days=horizon_days, seed=SEED).fit(today)
    if len(examples):
        model.recalibrate(examples.features, examples.has_churned)
    low, high = model.predict_interval(today)
    reason = (
        f"too little history to judge a model ({len(examples.days())} closed cut-offs, {len(today)} customers): "
        "BG/NBD drawn to its prior, whose intervals say how unsure it is"
    )
    width = float(np.mean(high - low)) if len(today) else 1.0
    parameters = {
        "method": PRIOR_METHOD,
        "horizon_days": horizon_days,
        "seed": SEED,
        "rows_trained": len(examples),
        "customers": len(today),
    }
    figures = {"interval_width": width}
    training = Training(
        CHURN, source, PRIOR_METHOD, parameters, figures, {}, {}, {}, True, reason, _fitted(model, today)
    )
    return replace(training, card=card(training, BASELINES))


def _fitted(model: ChurnModel, features: pd.DataFrame) -> FittedModel:
    shown = features.head(5)
    return FittedModel(model, shown, model.predict_proba(shown), TRUSTED_TYPES, predicts_with="predict_proba")


def gains(tried: Tried, baselines: Mapping[str, Tried]) -> dict[str, float]:
    """Return the intervals of the gains over each baseline, paired by cut-off, that promotion asks for."""
    found: dict[str, float] = {}
    for name, baseline in baselines.items():
        for metric, sign in (("pr_auc", 1.0), ("brier", -1.0)):
            gain = sign * (np.array(tried.figures[metric]) - np.array(baseline.figures[metric]))
            low, high = t_interval(gain)
            found |= {f"{metric}_gain_over_{name}_low": low, f"{metric}_gain_over_{name}_high": high}
    return found


def intervals(tried: Tried) -> dict[str, float]:
    """Return the interval of each metric's mean when the cut-offs are drawn anew."""
    bounds = {
        metric: bootstrap_interval(np.array(values), seed=SEED) for metric, values in tried.figures.items()
    }
    return {
        f"{metric}_{side}": value
        for metric, pair in bounds.items()
        for side, value in zip(("low", "high"), pair, strict=True)
    }


def _parameters(
    method: str, examples: Examples, split: Split, horizon_days: int, settings: Mapping[str, Setting]
) -> dict[str, object]:
    return {
        "method": method,
        "horizon_days": horizon_days,
        "seed": SEED,
        "features": ", ".join(FEATURE_NAMES),
        "train_cutoffs": days_text(examples.days()),
        "choosing_cutoffs": days_text([fold.test for fold in split.choosing]),
        "judged_cutoffs": days_text([fold.test for fold in split.judged]),
        "rows_trained": len(examples),
        "rows_judged": sum(len(examples.at([fold.test])) for fold in split.judged),
        "share_lapsed": round(float(examples.has_churned.mean()), 6),
    } | {
        f"{name}.{key}": value for name in CANDIDATES[method] for key, value in settings.get(name, {}).items()
    }


def _choice_figures(competed: Mapping[str, Tried]) -> dict[str, float]:
    return {
        f"choice/{name}/{metric}": value
        for name, found in competed.items()
        for metric, value in means(found.figures).items()
    }


def _drawings(
    method: str,
    tried: Tried,
    baselines: Mapping[str, Tried],
    walked: Walk,
    judged: list[Fold],
    examples: Examples,
) -> dict[str, Figure]:
    both = {method: tried} | dict(baselines)
    probabilities = {name: found.probability for name, found in both.items()}
    days = [str(fold.test) for fold in judged]
    last = walked.model(CANDIDATES[method])
    return {
        "roc": roc_figure(tried.truth, probabilities),
        "precision_recall": precision_recall_figure(tried.truth, probabilities),
        "calibration": calibration_figure(tried.truth, probabilities),
        "importance": importance_figure(importances(last, examples.at([judged[-1].test]), seed=SEED)),
        "pr_auc_by_cutoff": folds_figure(
            "PR-AUC", days, {name: f.figures["pr_auc"] for name, f in both.items()}
        ),
    }
