"""The model card of one training, rendered from its record: what it learnt from, how it was judged, what it cannot do.

Source of the form: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. `docs/model_cards/churn.md` tells what
holds of every training.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from ml.churn.slices import slice_means
from ml.churn.trial import METRICS
from ml.training import Training

OWNER = "lifecycle"
LIMITS = (
    "It predicts silence, not what a mail changes about it.",
    "Its figures are those of past cut-offs; a season that was not among them is unknown to it.",
    "Neighbouring cut-offs share half of their label windows, so intervals over cut-offs are somewhat too narrow.",
)
NOT_PROBED = "No cut-off's features had been published on its own day, so a leak too small to stand out alone would not be seen."


def card(training: Training, baselines: Iterable[str]) -> str:
    """Return the card of a training, judged or not, as Markdown."""
    parameters = training.parameters
    parts = [
        f"# {training.model_name}, {training.method}, trained as of {training.source.as_of}",
        f"**Verdict.** {'Promoted' if training.is_promoted else 'Refused'}: {training.reason}.",
        f"**What it answers.** The chance of no order in the {parameters['horizon_days']} days from a day.",
        "**Cohort.** Customers with an order known before the cut-off.",
        _data(parameters),
        *_judged(training, list(baselines)),
        f"**Limits.** {' '.join(_limits(parameters))}",
        f"**Owner.** {OWNER}.",
    ]
    return "\n\n".join(parts) + "\n"


def _data(parameters: Mapping[str, object]) -> str:
    if "train_cutoffs" not in parameters:
        return f"**Data.** The histories of {parameters['customers']} customers; {parameters['rows_trained']} labels."
    cutoffs = str(parameters["train_cutoffs"]).split(", ")
    return (
        f"**Data.** {parameters['rows_trained']} rows, a customer at a cut-off each, {len(cutoffs)} cut-offs from {cutoffs[0]} to "
        f"{cutoffs[-1]}; {float(str(parameters['share_lapsed'])):.1%} of them lapsed."
    )


def _judged(training: Training, baselines: list[str]) -> list[str]:
    slices = training.tables.get("slices")
    if not isinstance(slices, pd.DataFrame):
        return ["**Figures.** It was not judged."]
    cutoffs = str(training.parameters["judged_cutoffs"])
    figures = training.figures
    lines = [
        [
            metric,
            f"{figures[metric]:.4f}",
            f"{figures[f'{metric}_low']:.4f} to {figures[f'{metric}_high']:.4f}",
        ]
        + [f"{figures[f'{name}.{metric}']:.4f}" for name in baselines]
        for metric in METRICS
    ]
    means = slice_means(slices)
    of_slices = [
        [row["slice"], f"{row['customers_count']:.0f}", f"{row['lapsed_count']:.0f}", f"{row['brier']:.4f}"]
        + [f"{row[f'{name}.brier']:.4f}" for name in baselines]
        for _, row in means.iterrows()
    ]
    return [
        f"**Figures.** Means over the judged cut-offs {cutoffs}, with 95 % intervals over them.",
        _table(["figure", "model", "95 %", *baselines], lines),
        "**Brier score by slice.** Over all judged cut-offs together; lower is better.",
        _table(["slice", "customers", "lapsed", "model", *baselines], of_slices),
    ]


def _limits(parameters: Mapping[str, object]) -> list[str]:
    return [*LIMITS, *([NOT_PROBED] if parameters.get("leak_probe_cutoff") == "none" else [])]


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
