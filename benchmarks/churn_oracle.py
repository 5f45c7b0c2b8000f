"""How near churn models come to the best possible: `python -m benchmarks.churn_oracle` (`make bench-churn-oracle`).

SIMULATED shop, landed and built like a real one. Its oracle knows how customers are drawn, but not which is which.
"""

import argparse
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.churn import HORIZON_DAYS, read
from benchmarks.results import Result, write
from core.dbt import build
from core.settings import Settings
from ml.churn.models import CANDIDATES, MEMBERS, SETTINGS
from ml.churn.trial import Examples, walk
from ml.evaluation import Bools, Floats, bootstrap_interval, brier, roc_auc
from ml.provenance import SEED
from ml.threads import one_thread
from ml.windows import LEAST_HISTORY, rolling_folds, training_cutoffs
from simulation.oracle import chance_to_lapse
from simulation.shop import FIRST_DAY, simulate_shop
from sources.landing import load_landing

DAYS = 336
AS_OF = FIRST_DAY + timedelta(days=DAYS)
ALLOWED = 0.01
By = dict[date, Floats]


def main() -> None:
    """Simulate, build, judge, and append what was found to RESULTS.md."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.churn_oracle", description=__doc__)
    options.add_argument("--customers", type=int, default=5_000)
    options.add_argument(
        "--folder", type=Path, default=Path("data/benchmarks/churn-oracle"), help="where the shop is made"
    )
    chosen = options.parse_args()
    table = made(chosen.folder, chosen.customers)
    said, truths = everything_said(table)
    write(
        "churn_oracle",
        f"{chosen.customers:,} customers (SIMULATED) at {len(truths)} cut-offs",
        results(said, truths),
        tables=methods_table(said, truths),
    )


def made(folder: Path, customers: int) -> pa.Table:
    """Simulate a shop, land it, and return its `churn_examples`."""
    shutil.rmtree(folder, ignore_errors=True)
    settings = Settings(_env_file=None, data_dir=folder.resolve(), token_key="b" * 40)
    simulate_shop(settings.landing / "simulated", customers=customers, days=DAYS, seed=SEED)
    first = load_landing(settings).first_order_date + LEAST_HISTORY
    build(
        settings,
        "+churn_examples",
        as_of=AS_OF,
        feature_dates=training_cutoffs(AS_OF, HORIZON_DAYS, first=first),
    )
    return read(settings, "ml.churn_examples", AS_OF)


def everything_said(table: pa.Table) -> tuple[dict[str, By], dict[date, Bools]]:
    """Return method → test cut-off → probabilities, the oracle first, and who lapsed."""
    examples = Examples.of(table)
    folds = rolling_folds(examples.days(), HORIZON_DAYS, least_train=2)
    with one_thread():
        walked = walk(
            [*MEMBERS, "recency"], examples, folds, horizon_days=HORIZON_DAYS, seed=SEED, settings=SETTINGS
        )
    tests = [fold.test for fold in rolling_folds(examples.days(), HORIZON_DAYS)]
    said: dict[str, By] = {"oracle": {day: oracle(examples.at([day]), day) for day in tests}}
    said["recency"] = {day: walked.unweighed("recency", day) for day in tests}
    for name, members in ({"bg_nbd": ("bg_nbd",)} | CANDIDATES).items():
        said[name] = {day: walked.probability(members, day) for day in tests}
    return said, {day: examples.at([day]).has_churned for day in tests}


def oracle(examples: Examples, day: date) -> Floats:
    """Return what the oracle says of customers at a cut-off, from their days with an order."""
    seen = (day - FIRST_DAY).days
    features = examples.features
    last = seen - features["recency_days"].to_numpy().astype(np.int64)
    # Whoever orders does so once a day at most: each order is a day with an order.
    order_days = features["orders_lifetime_count"].to_numpy().astype(np.int64)
    return chance_to_lapse(order_days, last, seen=seen, horizon=HORIZON_DAYS, days=DAYS)


def results(said: dict[str, By], truths: dict[date, Bools]) -> Iterator[Result]:
    """Yield the figures of the blend beside the oracle's."""
    ours, best = (
        np.array([roc_auc(truths[day], said[name][day]) for day in truths]) for name in ("blend", "oracle")
    )
    lost = best - ours
    low, high = bootstrap_interval(lost, seed=SEED)
    yield Result("oracle: AUC, mean of the cut-offs", float(best.mean()), "", "the best possible")
    yield Result("blend: AUC", float(ours.mean()), "", "no target")
    yield Result(
        "AUC lost to the oracle", float(lost.mean()), "", f"≤ {ALLOWED}", bool(lost.mean() <= ALLOWED)
    )
    yield Result("its 95 % interval over cut-offs: from", low, "", "no target")
    yield Result("to", high, "", "no target")


def methods_table(said: dict[str, By], truths: dict[date, Bools]) -> str:
    """Return AUC and Brier of every method, mean of the cut-offs."""
    lines = ["\n| Method | AUC | Brier |", "| --- | --- | --- |"]
    for name, by in said.items():
        auc, loss = (np.mean([metric(truths[day], by[day]) for day in truths]) for metric in (roc_auc, brier))
        lines.append(f"| {name} | {auc:.4f} | {loss:.4f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
