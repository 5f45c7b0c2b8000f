"""What churn costs a shop of a million customers: `python -m benchmarks.churn_scale` (`make bench-churn-scale`).

SIMULATED: households of Complete Journey, drawn with replacement, with amounts and gaps that are a little their own. So the
features are as uneven as real ones, and what a model finds in them says nothing. Every figure is taken in a process of its own.
"""

import argparse
import json
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.churn import AS_OF, FIRST_CUTOFF, HORIZON_DAYS, built, read
from benchmarks.features import run_apart, say
from benchmarks.results import Result, write
from core.published import Published
from core.settings import Settings
from ml.champions import champion_of
from ml.churn.features import FEATURE_NAMES
from ml.registry import Registry
from ml.scoring import churn_reasons, churn_scores, score_drift
from ml.tables import (
    CHURN,
    CHURN_EXAMPLES,
    CHURN_SCORES,
    CUSTOMER_FEATURES,
    SEGMENTS_SCHEMA,
    TOUCHED_FEATURES,
)
from ml.threads import one_thread
from ml.train import train_churn
from ml.watch import watch
from ml.windows import training_cutoffs

LEARNT = 1_000_000
"""Examples at most that a shop of any size learns from (`most_churn_examples` in `dbt_project.yml`)."""
TOUCHED = 10_000
OWN = 0.02
"""Standard deviation of the logarithm of what is a customer's own."""
Shop = dict[str, pa.Table]


def main() -> None:
    """Make the shop, measure, and append what was found to RESULTS.md."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.churn_scale", description=__doc__)
    options.add_argument("--customers", type=int, default=1_000_000)
    options.add_argument(
        "--folder", type=Path, default=Path("data/benchmarks"), help="where the shop is made"
    )
    options.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)  # a process of ours
    chosen = options.parse_args()
    settings = settings_of(chosen.folder / f"churn-{chosen.customers}")
    if chosen.step:
        _measured(STEPS[chosen.step], settings)
        return
    make_shop(settings, built(chosen.folder / "churn"), chosen.customers)
    write(
        "churn_scale",
        f"{chosen.customers:,} customers (SIMULATED), {len(FEATURE_NAMES)} features of {columns(settings)} columns",
        measure(chosen.folder, chosen.customers),
    )


def measure(folder: Path, customers: int) -> Iterator[Result]:
    """Yield every figure as it is found."""
    found = {}
    for step in STEPS:
        say(step)
        found[step] = run_apart(
            "benchmarks.churn_scale", "--folder", str(folder), "--customers", str(customers), "--step", step
        )
        say(json.dumps(found[step]))
    training, scoring, reasons, watching = found.values()
    both = training["seconds"] + scoring["seconds"]
    gib = max(training["mb"], scoring["mb"]) / 1024
    yield Result("examples learnt from", training["rows"], "", f"≤ {LEARNT:,}")
    yield Result("training", training["seconds"], "s", "no target")
    yield Result("training and scoring", both, "s", "≤ 600", both <= 600)
    yield Result("their peak memory", gib, "GiB", "≤ 6", gib <= 6)
    yield Result("scoring alone", scoring["seconds"], "s", "≤ 60", scoring["seconds"] <= 60)
    yield Result("reasons and drift besides", reasons["seconds"], "s", "no target")
    yield Result(
        f"churn_watch, {TOUCHED:,} touched", watching["seconds"], "s", "≤ 10", watching["seconds"] <= 10
    )


def settings_of(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder.resolve(), token_key="b" * 40)


def columns(settings: Settings) -> int:
    return len(pq.read_schema(Published(settings.published).path(CUSTOMER_FEATURES, AS_OF)))


def make_shop(settings: Settings, real: Settings, customers: int) -> None:
    """Publish a day of a shop: its examples, everybody's features, and those of the customers touched since."""
    shutil.rmtree(settings.data_dir, ignore_errors=True)
    published, chance = Published(settings.published), np.random.default_rng(1)
    newest = training_cutoffs(AS_OF, HORIZON_DAYS, first=FIRST_CUTOFF)[-1]
    features = read(real, "ml.customer_features", newest)
    everybody = with_day(simulated(features, customers, chance))
    examples = read(real, "ml.churn_examples", AS_OF)
    cutoffs = len(examples["as_of_date"].unique())
    tables = {
        CUSTOMER_FEATURES: everybody,
        TOUCHED_FEATURES: everybody.slice(0, TOUCHED),
        CHURN_EXAMPLES: simulated(examples, min(customers, LEARNT // cutoffs), chance),
    }
    for name, rows in tables.items():
        say(f"{name}: {len(rows):,} rows")
        published.write_candidate(name, AS_OF, rows)
        published.release(name, AS_OF)


def simulated(real: pa.Table, customers: int, chance: np.random.Generator) -> pa.Table:
    """Return as many customers, each with all rows of a household drawn by lot, sorted by day and customer."""
    households, labels = np.unique(real["customer_id"].to_numpy(zero_copy_only=False), return_inverse=True)
    rows_of = [np.flatnonzero(labels == number) for number in range(len(households))]
    drawn = [rows_of[number] for number in chance.integers(len(households), size=customers)]
    who = np.repeat(np.arange(customers), [len(rows) for rows in drawn])
    table = real.take(pa.array(np.concatenate(drawn)))
    own = np.exp(OWN * chance.standard_normal(customers))[who]
    for place, field in enumerate(table.schema):
        if field.name.startswith("spend_") and field.name.endswith("_cents"):
            amounts = np.rint(table[field.name].to_numpy() * own).astype(np.int64)
            table = table.set_column(place, field, pa.array(amounts))
        elif field.name.startswith("gap_") and pa.types.is_floating(field.type):
            table = table.set_column(place, field, pa.array(table[field.name].to_numpy() * own))
    ids = pa.array([f"s{number:07d}" for number in who])
    table = table.set_column(table.schema.get_field_index("customer_id"), "customer_id", ids)
    return table.sort_by([("as_of_date", "ascending"), ("customer_id", "ascending")])


def with_day(table: pa.Table) -> pa.Table:
    place = table.schema.get_field_index("as_of_date")
    return table.set_column(place, table.schema.field(place), pa.array([AS_OF] * len(table), pa.date32()))


def _train(settings: Settings) -> int:
    train_churn(settings, AS_OF)
    return Published(settings.published).read(CHURN_EXAMPLES, AS_OF, ["as_of_date"]).num_rows


def _score(settings: Settings) -> int:
    registry = Registry(settings)
    with one_thread():
        rows = churn_scores(settings, registry, champion_of(registry, CHURN, AS_OF), AS_OF)
    published = Published(settings.published)
    published.write_candidate(CHURN_SCORES, AS_OF, rows)
    published.release(CHURN_SCORES, AS_OF)
    return len(rows)


def _explain(settings: Settings) -> int:
    published, registry = Published(settings.published), Registry(settings)
    scores = published.read(CHURN_SCORES, AS_OF)
    with one_thread():
        champion = champion_of(registry, CHURN, AS_OF)
        score_drift(published, registry, champion, scores, AS_OF)
        return len(churn_reasons(settings, champion, scores, SEGMENTS_SCHEMA.empty_table(), AS_OF))


def _watch(settings: Settings) -> int:
    return int(watch(settings, AS_OF)["touched"])


STEPS: dict[str, Callable[[Settings], int]] = {
    "train": _train, "score": _score, "explain": _explain, "watch": _watch,
}  # fmt: skip


def _measured(step: Callable[[Settings], int], settings: Settings) -> None:
    """Do a step, and say what it took; in a process of its own, so that its peak of memory is the step's."""
    start = time.perf_counter()
    rows = step(settings)
    seconds = time.perf_counter() - start
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": seconds, "mb": mb, "rows": rows}))


if __name__ == "__main__":
    main()
