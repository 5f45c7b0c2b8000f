"""Training the model of value and next order: it is judged on past windows that have closed, then fitted to today.

A shop too young for that is given the same model drawn to its prior: it says how unsure it is instead of saying nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from ml.figures import amounts_figure, folds_figure
from ml.lifetime.card import card
from ml.lifetime.forecast import LEVEL
from ml.lifetime.models import COLUMNS, METHOD, TRUSTED_TYPES, LifetimeModel
from ml.lifetime.trial import (
    BASELINE,
    LEAST_JUDGED,
    Judged,
    Window,
    figures,
    figures_of_baseline,
    judge_window,
    windows,
)
from ml.promotion import Bar, Verdict, judge
from ml.provenance import SEED, Source
from ml.tables import CUSTOMER_ID, LIFETIME
from ml.training import FittedModel, Training, days_text, means, with_baselines

HORIZONS = 3
"""Value is judged and published over so many churn horizons: 84 days where a lapse is four weeks of silence."""
LEAST_WINDOWS = 3

BARS = [
    # Where everybody goes on as before, nothing beats saying so by much: on Complete Journey the mean gain is 0.0019 of
    # what was spent, and that of one window has a standard deviation of 0.0020. So the mean must be better, not each window.
    Bar("relative_mae", margin=0.0, is_loss=True, in_every_fold=False),
]
FARTHEST_OFF = 0.07
"""How far the share of intervals that held may lie from the eight tenths they promise. On Complete Journey it is 0.01 to
0.02 off at 84 days and 0.04 at 28 and 182, and with the fewest customers judged a standard error is 0.03: farther off
is neither the shop's nature nor chance."""


def value_days(churn_horizon_days: int) -> int:
    """Return the horizon of the value, in days.

    >>> value_days(28)
    84
    """
    return HORIZONS * churn_horizon_days


def train_lifetime_model(
    examples: pa.Table, today: pa.Table, interactions: pa.Table, source: Source, *, horizon_days: int
) -> Training:
    """Return the record of a training on published tables of a day: nothing is logged here.

    Parameters
    ----------
    examples, today
        `churn_examples`, for what was known at past cut-offs, and `customer_features` of the training day, to be fitted to.
    interactions
        `customer_id` and `ordered_date` of the table of that name, for the next order after a cut-off.
    horizon_days
        Of the value: what the model will forecast, and at least how long a judged window is.
    """
    features = today.sort_by(CUSTOMER_ID).select([*COLUMNS]).to_pandas()
    model = LifetimeModel.fit(features, horizon_days=horizon_days, seed=SEED)
    closed = windows(examples, today, interactions, source.as_of, horizon_days)
    training = (
        _unjudged(model, features, closed, source)
        if len(closed) < LEAST_WINDOWS
        else _judged(model, features, closed, source)
    )
    return replace(training, card=card(training))


def _judged(model: LifetimeModel, features: pd.DataFrame, closed: list[Window], source: Source) -> Training:
    judged = [judge_window(window, seed=SEED) for window in closed]
    found, simple = figures(judged), figures_of_baseline(judged)
    verdict = review(found, simple)
    fold_figures = with_baselines(found, {BASELINE: simple})
    about = {
        "test_cutoff": [str(each.cutoff) for each in closed],
        "days": [each.days for each in closed],
        "customers_count": [len(each.features) for each in closed],
    }
    return Training(
        LIFETIME,
        source,
        METHOD,
        _parameters(model, features)
        | {
            "judged_cutoffs": days_text([each.cutoff for each in closed]),
            "rows_judged": sum(len(each.features) for each in closed),
        },
        means(fold_figures),
        fold_figures,
        {"folds": pd.DataFrame(about | fold_figures)},
        _drawings(judged, found),
        verdict.is_promoted,
        verdict.reason,
        _fitted(model, features),
    )


def review(found: Mapping[str, list[float]], simple: Mapping[str, list[float]]) -> Verdict:
    """Hold the figures of the model, a value per window, against the baseline's and against what intervals promise.

    The next order's interval is of whole days and only too narrow if it holds too few: with an order every other day a
    single day is more than a tenth of what may happen.
    """
    verdict = judge(found, {BASELINE: simple}, BARS)
    value, next_order = (float(np.mean(found[name])) for name in ("value_held", "next_order_held"))
    if verdict.is_promoted and abs(value - LEVEL) > FARTHEST_OFF:
        return Verdict(False, _off("value_held", value, f"{FARTHEST_OFF} off it at most is allowed"))
    if verdict.is_promoted and next_order < LEVEL - FARTHEST_OFF:
        return Verdict(False, _off("next_order_held", next_order, f"{FARTHEST_OFF} less at most is allowed"))
    return verdict


def _off(figure: str, held: float, allowed: str) -> str:
    return f"{figure} is {held:.3f}: intervals that promise {LEVEL} hold another share, and {allowed}"


def _unjudged(model: LifetimeModel, features: pd.DataFrame, closed: list[Window], source: Source) -> Training:
    """Promote it unjudged: its intervals say how unsure the prior leaves it."""
    forecast = model.forecast(features)
    reason = (
        f"too little history to judge a model ({len(closed)} windows of {model.horizon_days} days have closed with "
        f"{LEAST_JUDGED} customers or more, {LEAST_WINDOWS} are needed; {len(features)} customers today): drawn to its "
        "prior, its intervals say how unsure it is"
    )
    total = float(forecast.value.sum())
    width = float((forecast.value_high - forecast.value_low).sum()) / total if total > 0 else 0.0
    return Training(
        LIFETIME,
        source,
        METHOD,
        _parameters(model, features),
        {"relative_interval_width": width},
        {},
        {},
        {},
        True,
        reason,
        _fitted(model, features),
    )


def _parameters(model: LifetimeModel, features: pd.DataFrame) -> dict[str, object]:
    found = dict(
        zip(
            ("bg_nbd.r", "bg_nbd.alpha_days", "bg_nbd.a", "bg_nbd.b"),
            np.exp(model.lifetime.orders.logs),
            strict=True,
        )
    ) | dict(
        zip(
            ("gamma_gamma.p", "gamma_gamma.q", "gamma_gamma.gamma_cents"),
            np.exp(model.lifetime.spending.logs),
            strict=True,
        )
    )
    return {
        "method": METHOD,
        "horizon_days": model.horizon_days,
        "seed": SEED,
        "features": ", ".join(COLUMNS),
        "customers": len(features),
    } | {name: f"{value:.4g}" for name, value in found.items()}


def _drawings(judged: Sequence[Judged], found: Mapping[str, list[float]]) -> dict[str, Figure]:
    truth = np.concatenate([each.window.spent_cents for each in judged])
    said = {
        METHOD: np.concatenate([each.forecast.value for each in judged]),
        BASELINE: np.concatenate([each.same_rate for each in judged]),
    }
    days = [str(each.window.cutoff) for each in judged]
    held = {name: found[name] for name in ("value_held", "next_order_held")}
    return {
        "value_by_decile": amounts_figure(truth, said),
        "held_by_cutoff": folds_figure(
            "share of intervals that held", days, held | {"promised": [LEVEL] * len(days)}
        ),
    }


def _fitted(model: LifetimeModel, features: pd.DataFrame) -> FittedModel:
    shown = features.head(5).astype(float)  # a gap may be missing: whole numbers are not
    return FittedModel(model, shown, model.predict(shown), TRUSTED_TYPES)
