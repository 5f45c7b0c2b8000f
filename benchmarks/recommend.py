"""Recommenders on Complete Journey, cut-off by cut-off: `python -m benchmarks.recommend` (`make bench-recommend`).

Truth: products bought in the 28 days from a cut-off. Left out are the departments FUEL and MISCELLANEOUS, coupons, and
products with fewer than 20 lines before the cut-off; asked are customers with a purchase before and a truth after.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.churn import read
from benchmarks.results import Result, write
from core.dbt import build
from core.settings import Settings
from ml.provenance import SEED
from ml.recommend.methods.hybrid import Hybrid
from ml.recommend.models import METHODS, Maker
from ml.recommend.purchases import Purchases
from ml.recommend.trial import EVERYTHING, NEW, Split, model_quality, split
from ml.recommend.tuning import tune
from ml.tables import IS_RECOMMENDABLE
from sources.complete_journey import import_complete_journey
from sources.landing import load_landing

CUTOFFS = [date(2017, 10, 9), date(2017, 11, 6), date(2017, 12, 4)]
AS_OF = date(2018, 1, 1)  # the window of the last cut-off has just closed
LEFT_OUT = ["FUEL", "MISCELLANEOUS"]
COLUMNS = [
    f"{metric}_{question}" for question in (EVERYTHING, NEW) for metric in ("recall", "ndcg", "coverage")
]
BARS = {"recall_everything": 0.182, "ndcg_everything": 0.375, "recall_new": 0.045, "ndcg_new": 0.054}
"""What the hybrid is to reach, mean of the cut-offs."""
Figures = Mapping[str, float]


def main() -> None:
    """Fit every method at every cut-off, judge, and append what was found to RESULTS.md."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.recommend", description=__doc__)
    options.add_argument(
        "--folder", type=Path, default=Path("data/benchmarks/recommend"), help="where the warehouse is made"
    )
    purchases = of_complete_journey(options.parse_args().folder)
    found: dict[str, list[Figures]] = {name: [] for name in METHODS}
    for cutoff in CUTOFFS:
        at = split(purchases, cutoff)
        for name, make in tune(at.before).methods().items():
            found[name].append(judged(make, at))
            print(cutoff, name, *(f"{value:.4f}" for value in found[name][-1].values()), flush=True)
    mean = {
        name: {column: float(np.mean([at[column] for at in each])) for column in each[0]}
        for name, each in found.items()
    }
    what = f"Complete Journey, {len(CUTOFFS)} cut-offs, lists of 20"
    write(
        "recommend", what, results(found, mean), tables=table("Mean of the cut-offs", mean) + by_cutoff(found)
    )


def of_complete_journey(folder: Path) -> Purchases:
    """Land Complete Journey and read its purchases, or take what was built before."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(_env_file=None, data_dir=folder.resolve(), token_key="b" * 40)
    import_complete_journey(settings)
    load_landing(settings)
    build(settings, "+interactions +products", as_of=AS_OF)
    interactions, products = (read(settings, mart, AS_OF) for mart in ("ml.interactions", "shop.products"))
    coupon = pc.fill_null(pc.match_substring(products["subcategory"], "COUPON"), False)
    kept = pc.invert(pc.or_(pc.is_in(products["category"], pa.array(LEFT_OUT)), coupon))
    place = products.schema.get_field_index(IS_RECOMMENDABLE)
    return Purchases.of(interactions, products.set_column(place, IS_RECOMMENDABLE, pc.fill_null(kept, True)))


def judged(make: Maker, at: Split) -> Figures:
    """Return figures of a method at a cut-off, and the seconds that fitting and judging took."""
    start = time.perf_counter()
    model = make().fit(at.before, seed=SEED)
    fitted = time.perf_counter()
    figures = model_quality(model, at).figures
    return {column: figures[column] for column in COLUMNS} | {
        "seconds_fit": fitted - start,
        "seconds_judge": time.perf_counter() - fitted,
    }


def results(found: Mapping[str, list[Figures]], mean: Mapping[str, Figures]) -> Iterator[Result]:
    """Yield the hybrid's figures beside their bars, and on how many cut-offs it is ahead of each single method."""
    single = [name for name in found if name != Hybrid.method]
    for metric, bar in BARS.items():
        value = mean[Hybrid.method][metric]
        best = max(single, key=lambda name: mean[name][metric])
        yield Result(f"{metric} at 20, hybrid", value, "", f"≥ {bar}", value >= bar)
        yield Result(f"{metric} at 20, best single method ({best})", mean[best][metric], "", "no target")
        ahead = sum(
            found[Hybrid.method][place][metric] > max(found[name][place][metric] for name in single)
            for place in range(len(CUTOFFS))
        )
        yield Result(
            f"{metric}, cut-offs where the hybrid beats every single method",
            ahead,
            "",
            f"{len(CUTOFFS)}",
            ahead == len(CUTOFFS),
        )


def by_cutoff(found: Mapping[str, list[Figures]]) -> str:
    return "".join(
        table(str(cutoff), {name: each[place] for name, each in found.items()})
        for place, cutoff in enumerate(CUTOFFS)
    )


def table(title: str, rows: Mapping[str, Figures]) -> str:
    lines = [
        f"\n{title}, at 20:\n",
        f"| Method | {' | '.join(column.replace('_', ' ') for column in COLUMNS)} | fit, judge (s) |",
        "| --- " * (len(COLUMNS) + 2) + "|",
    ]
    for name, row in rows.items():
        cells = " | ".join(f"{row[column]:.4f}" for column in COLUMNS)
        lines.append(f"| {name} | {cells} | {row['seconds_fit']:.1f}, {row['seconds_judge']:.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
