"""Churn models on Complete Journey, cut-off by cut-off: `python -m benchmarks.churn` (`make bench-churn`).

Label: no basket in the 28 days from the cut-off. Twelve test cut-offs every 14 days from 2 July to 3 December 2017; a model
tested at one learns only from cut-offs (every 14 days from 26 March) whose window had closed by then. Examples are built by
the product's own dbt models.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.churn_references import BLEND, references
from benchmarks.results import Result, write
from core.dbt import build
from core.settings import Settings
from core.warehouse import export
from ml.churn.models import CANDIDATES, MEMBERS, SETTINGS
from ml.churn.trial import METRICS, Examples, Tried, judged, walk
from ml.evaluation import Bools, Floats, bootstrap_interval
from ml.provenance import SEED
from ml.threads import one_thread
from ml.windows import rolling_folds, training_cutoffs
from sources.complete_journey import import_complete_journey
from sources.landing import load_landing

HORIZON_DAYS = 28
FIRST_CUTOFF, FIRST_TEST = date(2017, 3, 26), date(2017, 7, 2)
AS_OF = date(2017, 12, 31)  # the window of the last cut-off, 3 December, has just closed
ACTIVE_DAYS = 56
WINS = 9
REFERENCE = {"pr_auc": 0.593, "brier": 0.0985}
"""The mean of logits of three, as it was measured when the target was set."""
By = Mapping[date, Floats]


def main() -> None:
    """Build, judge, and append what was found to RESULTS.md."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.churn", description=__doc__)
    options.add_argument(
        "--folder", type=Path, default=Path("data/benchmarks/churn"), help="where the warehouse is made"
    )
    examples = Examples.of(read(built(options.parse_args().folder), "ml.churn_examples", AS_OF))
    with one_thread():
        said = everything_said(examples)
    truths = {day: examples.at([day]).has_churned for day in said[BLEND]}
    active = {day: (examples.at([day]).features["recency_days"] <= ACTIVE_DAYS).to_numpy() for day in truths}
    everybody = {name: tried(by, truths) for name, by in said.items()}
    of_active = {name: tried(by, truths, active) for name, by in said.items()}
    tables = (
        means_table("All customers", everybody)
        + means_table(f"Active in the last {ACTIVE_DAYS} days", of_active)
        + folds_table(list(truths), everybody)
    )
    print(tables)
    write(
        "churn",
        f"Complete Journey, {sum(len(truth) for truth in truths.values()):,} customers at 12 cut-offs",
        results(everybody),
        tables=tables,
    )


def built(folder: Path) -> Settings:
    """Land Complete Journey and build its examples, or take those that were built before."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(_env_file=None, data_dir=folder.resolve(), token_key="b" * 40)
    cutoffs = training_cutoffs(AS_OF, HORIZON_DAYS, first=FIRST_CUTOFF)
    import_complete_journey(settings)
    load_landing(settings)
    build(settings, "+churn_examples", as_of=AS_OF, feature_dates=cutoffs)
    return settings


def read(settings: Settings, mart: str, day: date) -> pa.Table:
    """Return the rows of a mart that a day's readers would get."""
    return pq.ParquetFile(export(settings, mart, day)).read()


def everything_said(examples: Examples) -> dict[str, By]:
    """Return method → test cut-off → probabilities, references first."""
    folds = rolling_folds(examples.days(), HORIZON_DAYS, least_train=2)
    walked = walk(
        [*MEMBERS, "recency"], examples, folds, horizon_days=HORIZON_DAYS, seed=SEED, settings=SETTINGS
    )
    tests = [fold for fold in folds if fold.test >= FIRST_TEST]
    if len(tests) != 12:
        raise SystemExit(f"12 test cut-offs are expected, {len(tests)} were found")
    said: dict[str, By] = dict(references(examples, tests, walked, SEED))
    for name, members in CANDIDATES.items():
        said[name] = {fold.test: walked.probability(members, fold.test) for fold in tests}
    return said


def tried(by: By, truths: Mapping[date, Bools], only: Mapping[date, Bools] | None = None) -> Tried:
    """Judge a method on everybody, or on some customers of each cut-off."""
    rows = only or {day: np.ones(len(truth), dtype=bool) for day, truth in truths.items()}
    return judged([truths[day][rows[day]] for day in truths], [by[day][rows[day]] for day in truths])


def results(everybody: Mapping[str, Tried]) -> Iterator[Result]:
    """Yield the figures that have a target: those of the blend."""
    ours, theirs = everybody["blend"].figures, everybody[BLEND].figures
    pr_auc, brier, ece = (float(np.mean(ours[name])) for name in ("pr_auc", "brier", "ece"))
    yield Result("blend: PR-AUC", pr_auc, "", f"> {REFERENCE['pr_auc']}", pr_auc > REFERENCE["pr_auc"])
    yield Result("blend: Brier", brier, "", f"< {REFERENCE['brier']}", brier < REFERENCE["brier"])
    yield Result("blend: calibration error", ece, "", "≤ 0.015", ece <= 0.015)
    gains = {
        "PR-AUC": np.subtract(ours["pr_auc"], theirs["pr_auc"]),
        "Brier": np.subtract(theirs["brier"], ours["brier"]),
    }
    for name, gain in gains.items():
        low, high = bootstrap_interval(gain, seed=SEED)
        yield Result(f"gain over the {BLEND}, {name}", float(gain.mean()), "", "> 0", gain.mean() > 0)
        yield Result("its 95 % interval over cut-offs: from", low, "", "no target")
        yield Result("to", high, "", "no target")
    wins = int(np.sum((gains["PR-AUC"] > 0) & (gains["Brier"] > 0)))
    yield Result("cut-offs of 12 where both are better", wins, "", f"≥ {WINS}", wins >= WINS)


def means_table(title: str, found: Mapping[str, Tried]) -> str:
    """Return means over the cut-offs, with the 95 % interval of the calibration error when cut-offs are drawn anew."""
    lines = [
        f"\n{title}, mean of 12 cut-offs:\n",
        "| Method | AUC | PR-AUC | Brier | ECE | ECE, 95 % |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, each in found.items():
        mean = {metric: float(np.mean(each.figures[metric])) for metric in METRICS}
        low, high = bootstrap_interval(np.array(each.figures["ece"]), seed=SEED)
        lines.append(
            f"| {name} | {mean['roc_auc']:.4f} | {mean['pr_auc']:.4f} | {mean['brier']:.4f} | {mean['ece']:.4f} "
            f"| {low:.4f} to {high:.4f} |"
        )
    return "\n".join(lines) + "\n"


def folds_table(days: Sequence[date], found: Mapping[str, Tried]) -> str:
    """Return PR-AUC, Brier and calibration error of the blend beside the best reference, cut-off by cut-off."""
    lines = [
        f"\nCut-off by cut-off, the {BLEND} and the blend:\n",
        "| Cut-off | PR-AUC | blend | Brier | blend | ECE | blend | both better |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    ours, theirs = found["blend"].figures, found[BLEND].figures
    for number, day in enumerate(days):
        cells = [
            f"{side[name][number]:.4f}" for name in ("pr_auc", "brier", "ece") for side in (theirs, ours)
        ]
        is_better = (
            ours["pr_auc"][number] > theirs["pr_auc"][number]
            and ours["brier"][number] < theirs["brier"][number]
        )
        lines.append(f"| {day} | {' | '.join(cells)} | {'yes' if is_better else 'no'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
