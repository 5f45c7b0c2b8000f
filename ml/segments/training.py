"""Training the segments: how many there are is chosen, they are held against the baselines, fitted and named."""

from collections.abc import Sequence

import pyarrow as pa
from matplotlib.figure import Figure

from core.logging import get_logger
from ml.promotion import Bar, Verdict, judge
from ml.provenance import SEED, Source
from ml.segments.baselines import BASELINES
from ml.segments.features import feature_frame, skewed
from ml.segments.figures import choice_figure, profile_figure, sizes_figure
from ml.segments.fitting import Customers, Fitted, Reigning, fit
from ml.segments.models import COMPONENTS, METHOD, STARTS, TRUSTED_TYPES, SegmentModel, Space
from ml.segments.trial import LEAST_SHARE, LEAST_STABILITY, Fold, Strings, Tried, best, drawn, folds, try_ks
from ml.tables import SEGMENTATION
from ml.training import FittedModel, Training, means, refused_for_want_of_history, with_baselines

log = get_logger(__name__)

LEAST_CUSTOMERS = 200  # a fold then judges forty: five in each of eight segments
LEAST_FEATURES = 2

BARS = [
    # Between folds the gain over one crowd (mean 0.057 on Complete Journey) has a standard deviation of 0.010, so the
    # mean of five is known to 0.005: a gain of 0.02 is no luck.
    Bar("silhouette", margin=0.02),
]


def train_segment_model(table: pa.Table, source: Source, reigning: Reigning | None) -> Training:
    """Return the record of a training on the published `customer_features`: nothing is logged here."""
    customers = Customers.of(table)
    log.info("columns of segments", used=len(customers.features), left_out=customers.left_out)
    if len(customers) < LEAST_CUSTOMERS or len(customers.features) < LEAST_FEATURES:
        return refused_for_want_of_history(SEGMENTATION, source, _too_few(customers))
    space = Space.of(customers.values, skewed(customers.features))
    taken = drawn(len(customers), seed=SEED)
    parts = folds(customers.values[taken], space.is_skewed, seed=SEED)
    tried = try_ks(customers.values[taken], space, parts, seed=SEED)
    if not tried:
        reason = "too little to compare: there are not three different kinds of customers"
        return refused_for_want_of_history(SEGMENTATION, source, reason)
    picked = best(tried)
    baselines = _baselines(parts, picked.k, customers.cells[taken])
    fitted = fit(customers, space, picked.k, source.as_of, reigning)
    verdict = _verdict(picked, tried, baselines)
    if verdict.is_promoted and reigning is not None and reigning.can_go_on(customers):
        verdict = _against_champion(picked, fitted, reigning, verdict)
    fold_figures = with_baselines(
        {"silhouette": picked.silhouettes, "stability": picked.stabilities}, baselines
    )
    return Training(
        SEGMENTATION,
        source,
        METHOD,
        _parameters(customers, fitted, reigning),
        means(fold_figures) | _agreement(fitted) | _choice_figures(tried),
        fold_figures,
        {
            "choice": {f"k{each.k}": vars(each) for each in tried},
            "segments": _segments(fitted),
            "left_out": customers.left_out,
        },
        _drawings(fitted, tried),
        verdict.is_promoted,
        verdict.reason,
        _handed_over(fitted.model, customers),
    )


def _too_few(customers: Customers) -> str:
    return (
        f"too little to compare: {len(customers)} customers with {len(customers.features)} usable features, "
        f"{LEAST_CUSTOMERS} and {LEAST_FEATURES} or more are needed"
    )


def _baselines(parts: Sequence[Fold], k: int, cells: Strings) -> dict[str, dict[str, list[float]]]:
    return {name: {"silhouette": [ask(part, k, cells) for part in parts]} for name, ask in BASELINES.items()}


def _verdict(picked: Tried, tried: Sequence[Tried], baselines: dict[str, dict[str, list[float]]]) -> Verdict:
    if not picked.is_stable:
        return Verdict(
            False,
            f"no number of segments from {tried[0].k} to {tried[-1].k} holds when other customers are drawn: "
            f"{picked.k} lie farthest apart, with stability {picked.stability:.3f} ({LEAST_STABILITY} is needed) and "
            f"{picked.smallest_share:.1%} of the customers in the smallest ({LEAST_SHARE:.0%} are needed)",
        )
    return judge({"silhouette": picked.silhouettes}, baselines, BARS)


def _against_champion(picked: Tried, fitted: Fitted, reigning: Reigning, verdict: Verdict) -> Verdict:
    """Refuse segments that differ from the champion's by no more than by their own draw.

    Promoting them would move customers on the borders, and nothing about those customers has changed.
    """
    if fitted.agreement is None or fitted.agreement < picked.stability:
        return verdict
    return Verdict(
        False,
        f"the champion (version {reigning.version}) says the same: agreement {fitted.agreement:.3f}, and another draw "
        f"of customers alone gives {picked.stability:.3f}; nobody is moved for nothing",
    )


def _parameters(customers: Customers, fitted: Fitted, reigning: Reigning | None) -> dict[str, object]:
    model = fitted.model
    return {
        "method": METHOD,
        "k": len(model.segment_ids),
        "seed": SEED,
        "features": ", ".join(model.feature_names),
        "left_out": ", ".join(sorted(customers.left_out)) or "none",
        "rows_trained": len(customers),
        "matched_to_version": reigning.version if reigning else "none",
        "segments_that_go_on": len(fitted.goes_on),
        "model.components": min(COMPONENTS, len(model.feature_names)),
        "model.starts": STARTS,
    } | {f"segment.{each}": name for each, name in zip(model.segment_ids, model.segment_names, strict=True)}


def _agreement(fitted: Fitted) -> dict[str, float]:
    return {} if fitted.agreement is None else {"agreement_with_champion": fitted.agreement}


def _choice_figures(tried: Sequence[Tried]) -> dict[str, float]:
    silhouettes = {f"choice/k{each.k}/silhouette": each.silhouette for each in tried}
    return silhouettes | {f"choice/k{each.k}/stability": each.stability for each in tried}


def _segments(fitted: Fitted) -> dict[str, object]:
    """Return each segment's name, customers, and how far each feature's mean lies from everybody's."""
    model = fitted.model
    return {
        each: {
            "name": model.segment_names[number],
            "customers": fitted.sizes[number],
            "differences": dict(
                zip(model.feature_names, fitted.differences[number].round(6).tolist(), strict=True)
            ),
        }
        for number, each in enumerate(model.segment_ids)
    }


def _drawings(fitted: Fitted, tried: Sequence[Tried]) -> dict[str, Figure]:
    model, everybody = fitted.model, sum(fitted.sizes)
    profiles = {
        f"segment_{each}": profile_figure(
            f"{name}: {size} customers ({size / everybody:.0%})", model.feature_names, differences
        )
        for each, name, size, differences in zip(
            model.segment_ids, model.segment_names, fitted.sizes, fitted.differences, strict=True
        )
    }
    shared = {
        "sizes": sizes_figure(model.segment_names, fitted.sizes),
        "choice": choice_figure(tried, len(fitted.sizes)),
    }
    return shared | profiles


def _handed_over(model: SegmentModel, customers: Customers) -> FittedModel:
    shown = feature_frame(customers.table.slice(0, 5), model.feature_names)
    return FittedModel(model, shown, model.predict(shown), TRUSTED_TYPES)
