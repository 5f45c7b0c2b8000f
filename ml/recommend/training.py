"""Training the recommender: candidates compete at an early cut-off, the winner is judged at the last three."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from ml.evaluation import bootstrap_interval
from ml.figures import coverage_figure, folds_figure, quality_figure
from ml.promotion import Bar, judge
from ml.provenance import SEED, Source
from ml.recommend.baselines import Popular
from ml.recommend.methods.protocol import NEW, Recommender
from ml.recommend.models import BASELINES, CANDIDATES, METHODS, PARAMETERS, TRUSTED_TYPES, Maker
from ml.recommend.purchases import LEAST_LINES, Histories, Purchases, catalogue, histories
from ml.recommend.spending import spending_figures
from ml.recommend.trial import (
    BESIDE,
    HORIZON_DAYS,
    METRICS,
    K,
    Quality,
    Split,
    baseline_qualities,
    model_quality,
    split,
)
from ml.recommend.tuning import WINDOW_DAYS, Tuning, tune
from ml.tables import RECOMMENDER
from ml.training import FittedModel, Training, days_text, means, refused_for_want_of_history, with_baselines
from ml.windows import adjoining_cutoffs, has_closed

JUDGED_CUTOFFS = 3
CHOOSING_CUTOFFS = 1
LEAST_ASKED = 50
"""Customers who bought something new after a cut-off. Between those of Complete Journey NDCG has a standard deviation of 0.07: of fewer the
mean is off by more than a quarter of what the most popular reach, and the candidates lose to them (of 10 to 80 households)."""

# `picked_for_you` shows what a customer never bought, so that question decides. Over the judged cut-offs of Complete
# Journey the gain over the most popular (the same customers compared) has a standard error of 0.0008, so 0.002 is
# beyond luck; it is one twentieth of what the most popular reach.
BARS = [Bar("ndcg_new", margin=0.002)]

Methods = dict[str, Quality]


def train_recommender_model(interactions: pa.Table, products: pa.Table, source: Source) -> Training:
    """Return the record of a training on the published `interactions` and `products`: nothing is logged here."""
    purchases = Purchases.of(interactions, products)
    splits = _splits(purchases, source.as_of)
    if len(splits) < 2:
        return _of_young_shop(purchases, source, len(splits))
    tuning = tune(splits[0].before)
    fitted, choice = _compete(splits[0], tuning.methods())
    method = max(CANDIDATES, key=lambda name: choice[name].figures["ndcg_new"])
    judged = {at.cutoff: _judge(fitted[method], at) for at in splits[1:]}
    figures = {name: _per_cutoff(name, judged) for name in next(iter(judged.values()))}
    mine = figures.pop(method)
    verdict = judge(mine, figures, BARS)
    fold_figures = with_baselines(mine, figures) | spending_figures(interactions, products, splits)
    known = histories(purchases, catalogue(purchases, before=source.as_of), before=source.as_of)
    return Training(
        RECOMMENDER,
        source,
        method,
        _parameters(method, known, [at.cutoff for at in splits], purchases, tuning),
        means(fold_figures)
        | _gain_interval(method, judged)
        | _beside(method, judged)
        | {
            f"choice/{name}/{metric}": value
            for name, q in choice.items()
            for metric, value in q.figures.items()
            if name in CANDIDATES | BASELINES  # of the others the table `choice` has them
        },
        fold_figures,
        {
            "cutoffs": {"judged_cutoffs": [str(day) for day in judged]} | fold_figures,
            "tuning": {f"{days:g}": asdict(each) for days, each in tuning.tried.items()},
            "choice": _table(choice),
            "judged": {str(day): _table(methods) for day, methods in judged.items()},
        },
        _drawings(method, choice, judged),
        verdict.is_promoted,
        verdict.reason,
        _fit_on_all(fitted[method], known),
    )


def _splits(purchases: Purchases, as_of: date) -> list[Split]:
    first = purchases.first_day()
    if first is None:
        return []
    days = adjoining_cutoffs(as_of, HORIZON_DAYS, count=JUDGED_CUTOFFS + CHOOSING_CUTOFFS)
    splits = [split(purchases, day) for day in days if has_closed(first, HORIZON_DAYS, by=day)]
    return [at for at in splits if at.bought[NEW].any(axis=1).sum() >= LEAST_ASKED]


def _compete(at: Split, methods: Mapping[str, Maker]) -> tuple[dict[str, Recommender], Methods]:
    """Fit and judge all methods: those that may serve compete, the others are there to compare."""
    fitted = {name: make().fit(at.before, seed=SEED) for name, make in methods.items()}
    models = {name: model_quality(model, at) for name, model in fitted.items() if name not in BASELINES}
    return fitted, models | baseline_qualities(at)


def _judge(model: Recommender, at: Split) -> Methods:
    """Judge a model that learns anew from what was known by then; what a hybrid was taught stays from before."""
    return {model.method: model_quality(model.renew(at.before, seed=SEED), at)} | baseline_qualities(at)


def _per_cutoff(name: str, judged: Mapping[date, Methods]) -> dict[str, list[float]]:
    return {metric: [methods[name].figures[metric] for methods in judged.values()] for metric in METRICS}


def _fit_on_all(judged: Recommender, known: Histories) -> FittedModel:
    model = judged.renew(known, seed=SEED)
    some = known.between(0, 2)
    shown = pd.DataFrame(
        {
            "customer_id": some.customer_ids[some.customers],
            "product_id": some.product_ids[some.products],
            "days_ago": some.ages.astype(float),
            "line_count": some.line_counts.astype(float),
        }
    )
    return FittedModel(model, shown, model.predict(shown), TRUSTED_TYPES)


def _of_young_shop(purchases: Purchases, source: Source, n_usable: int) -> Training:
    """Fit the most popular of all products; promoted unjudged, because they are themselves the baseline of what comes later."""
    reason = f"too little history to judge a model ({n_usable} usable cut-offs before {source.as_of}, 2 or more are needed)"
    known = histories(purchases, purchases.product_ids, before=source.as_of)
    if not len(known.products):
        return refused_for_want_of_history(RECOMMENDER, source, f"{reason}: nothing was bought yet")
    parameters = {
        "method": Popular.method,
        "seed": SEED,
        "rows_trained": len(known.products),
        "customers": len(known.customer_ids),
        "products": len(known.product_ids),
    }
    fitted = _fit_on_all(Popular(), known)
    reason = f"{reason}: the most popular products until there is more"
    return Training(RECOMMENDER, source, Popular.method, parameters, {}, {}, {}, {}, True, reason, fitted)


def _parameters(
    method: str, known: Histories, cutoffs: list[date], purchases: Purchases, tuning: Tuning
) -> dict[str, object]:
    return {
        "method": method,
        "horizon_days": HORIZON_DAYS,
        "k": K,
        "least_lines": LEAST_LINES,
        "seed": SEED,
        "features": "order lines by customer, product and days ago",
        "tuned_half_life_days": tuning.half_life_days,
        "tried_half_lives_days": ", ".join(f"{days:g}" for days in tuning.tried),
        "tuning_cutoff": str(cutoffs[0] - timedelta(days=WINDOW_DAYS)),
        "choosing_cutoffs": days_text(cutoffs[:1]),
        "judged_cutoffs": days_text(cutoffs[1:]),
        "rows_trained": len(purchases.days),
        "customers": len(known.customer_ids),
        "products": len(known.product_ids),
    } | {f"model.{name}": value for name, value in PARAMETERS[method].items()}


def _table(methods: Methods) -> dict[str, dict[str, float]]:
    return {name: quality.figures for name, quality in methods.items()}


def _gain_interval(method: str, judged: Mapping[date, Methods]) -> dict[str, float]:
    """Return the interval of the gain in NDCG over the most popular when customers are drawn anew."""
    gains = [methods[method].ndcg_new - methods[Popular.method].ndcg_new for methods in judged.values()]
    low, high = bootstrap_interval(np.concatenate(gains), seed=SEED)
    return {"ndcg_new_gain_low": low, "ndcg_new_gain_high": high}


def _beside(method: str, judged: Mapping[date, Methods]) -> dict[str, float]:
    """Return means of the further figures, where every judged cut-off has them."""
    every = [methods[method].figures for methods in judged.values()]
    return {
        name: float(np.mean([at[name] for at in every])) for name in BESIDE if all(name in at for at in every)
    }


def _drawings(method: str, choice: Methods, judged: Mapping[date, Methods]) -> dict[str, Figure]:
    names = list(next(iter(judged.values())))
    mean = {name: means(_per_cutoff(name, judged)) for name in names}
    asked = ["ndcg_new", "recall_new", "ndcg_everything", "recall_everything"]
    days = [str(day) for day in judged]
    return {
        "quality_by_method": quality_figure(
            "Quality at 20, mean of the judged cut-offs",
            {name: {m: mean[name][m] for m in asked} for name in names},
        ),
        "choice_by_method": quality_figure(
            "Quality at 20, cut-off of the choice",
            {n: {m: q.figures[m] for m in asked} for n, q in choice.items() if n in CANDIDATES | BASELINES},
        ),
        "coverage": coverage_figure(
            "Quality and coverage, cut-off of the choice",
            {
                name: (q.figures["coverage_new"], q.figures["ndcg_new"])
                for name, q in choice.items()
                if NEW in METHODS[name]().answers
            },
        ),
        "ndcg_new_by_cutoff": folds_figure(
            "NDCG@20, new products", days, {name: _per_cutoff(name, judged)["ndcg_new"] for name in names}
        ),
    }
