"""What customer features cost: `python -m benchmarks.features --lines 50000000` (`make bench-features`).

Every figure is taken in a process of its own, the peers by turns, and given as a ratio within the run; how fast this
machine is, or how busy, matters to neither.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from benchmarks.results import Result, write
from benchmarks.shop import LAST_DAY, Shop, make_shop
from core.dbt import build
from core.settings import Settings
from core.warehouse import writing
from sources.contract import contracts
from sources.landing import make_landing_tables

NEW_SHARE = 0.005
FEATURES = "+customer_features,resource_type:model"
ROUNDS = 3


def main() -> None:
    """Run every measurement and append what was found to RESULTS.md."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    options.add_argument(
        "--lines", type=int, default=50_000_000, help="order lines of the large shop (default: 50 million)"
    )
    options.add_argument(
        "--folder", type=Path, default=Path("data/benchmarks"), help="where shops and warehouses are made"
    )
    options.add_argument(
        "--build", nargs=3, metavar=("FOLDER", "STEP", "DAY"), help=argparse.SUPPRESS
    )  # a process of ours
    chosen = options.parse_args()
    if chosen.build:
        _build(Path(chosen.build[0]), chosen.build[1], date.fromisoformat(chosen.build[2]))
        return
    say(f"making shops of {chosen.lines:,} and {chosen.lines // 10:,} order lines")
    small = make_shop(chosen.folder / f"shop-{chosen.lines // 10}", chosen.lines // 10)
    large = make_shop(chosen.folder / f"shop-{chosen.lines}", chosen.lines)
    write(
        "features", f"{chosen.lines:,} order lines of {chosen.lines // 40:,} customers", measure(small, large)
    )


def measure(small: Shop, large: Shop) -> Iterator[Result]:
    """Yield every figure as it is found."""
    builds = {}
    for shop in (small, large):
        builds[shop.lines] = {step: build_apart(shop, step) for step in ("cold", "daily")}
        say(f"{shop.lines:,} lines: {builds[shop.lines]}")
    cold, daily = builds[large.lines]["cold"], builds[large.lines]["daily"]
    yield Result("all features, cold", cold["seconds"], "s", "no target")
    yield Result("all features, cold: peak memory", cold["mb"] / 1024, "GiB", "≤ 4", cold["mb"] <= 4096)
    share = daily["seconds"] / cold["seconds"]
    yield Result(f"daily increment ({NEW_SHARE:.1%} new) / cold", share, "", "≤ 0.10", share <= 0.1)
    exponent = math.log10(cold["seconds"] / builds[small.lines]["cold"]["seconds"])
    yield Result(f"cost exponent, {small.lines:,} to {large.lines:,}", exponent, "", "≤ 1.1", exponent <= 1.1)
    yield from reference(large)


def reference(shop: Shop) -> Iterator[Result]:
    """Yield the 14 reference features against polars: cold from Parquet, and from the rollups."""
    sources = {
        "polars": str(shop.file("order_lines")), "duckdb": str(shop.file("order_lines")),
        "rollups": str(shop.folder / "warehouse" / "warehouse.duckdb"),
    }  # fmt: skip
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in sources}
    for _ in range(ROUNDS):
        for way, source in sources.items():
            runs[way].append(run_apart("benchmarks.reference", way, source))
    say(json.dumps(runs))
    if len({str(run["checksums"]) for way in runs.values() for run in way}) > 1:
        raise SystemExit("the three ways of the reference set disagree: " + json.dumps(runs))
    medians = {way: statistics.median(run["seconds"] for run in found) for way, found in runs.items()}
    yield Result("reference set in polars", medians["polars"], "s", "the peer")
    yield Result("its peak memory", max(run["mb"] for run in runs["polars"]) / 1024, "GiB", "the peer")
    ratio = medians["duckdb"] / medians["polars"]
    yield Result("reference set, cold / polars", ratio, "", "≤ 1.0", ratio <= 1)
    yield Result("its peak memory", max(run["mb"] for run in runs["duckdb"]) / 1024, "GiB", "no target")
    ratio = medians["rollups"] / medians["polars"]
    yield Result("reference set from rollups / polars", ratio, "", "≤ 0.5", ratio <= 0.5)


def build_apart(shop: Shop, step: str) -> dict[str, float]:
    """Land the part of the shop that a step knows, then build its features in a process of its own."""
    say(f"{shop.lines:,} lines, {step}: landing")
    settings = settings_of(shop)
    newest = LAST_DAY - timedelta(days=round(730 * NEW_SHARE))
    if step == "cold":
        settings.warehouse.unlink(missing_ok=True)
        land(shop, settings, 1, date(1970, 1, 1), newest)
    else:
        land(shop, settings, 2, newest, LAST_DAY)
    day = newest if step == "cold" else LAST_DAY
    say(f"{shop.lines:,} lines, {step}: building")
    return run_apart("benchmarks.features", "--build", str(shop.folder), step, str(day))


def settings_of(shop: Shop) -> Settings:
    folder = (shop.folder / "warehouse").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return Settings(_env_file=None, data_dir=folder, token_key="b" * 40)


AS_LANDED = {
    "order_lines": """* exclude (category, customer_id, ordered_at, list_amount_cents, discount_amount_cents),
        list_amount_cents / 100 as list_amount, discount_amount_cents / 100 as discount_amount"""
}
"""Columns of a shop's file as its landing table has them, where those differ."""


def land(shop: Shop, settings: Settings, load_number: int, since: date, until: date) -> None:
    """Put what became known in [since, until) into the landing tables, as `sources.landing` leaves it."""
    with writing(settings) as db:
        make_landing_tables(db)
        db.execute("insert into landing.files (digest, load_number) values ($1, $1)", [load_number])
        for table in contracts():
            if shop.file(table).exists():
                db.execute(
                    f"""insert into landing.{table} by name
                    select {AS_LANDED.get(table, "*")}, 'benchmark' as source_file,
                        row_number() over () as source_row, {load_number} as load_number
                    from '{shop.file(table)}' where known_at >= '{since}' and known_at < '{until}'"""
                )


def _build(folder: Path, step: str, day: date) -> None:
    """Build, and say what it took; in a process of its own, so that its peak of memory is the build's."""
    settings = settings_of(Shop(folder, 0))
    start = time.perf_counter()
    nodes = build(settings, FEATURES, as_of=day)
    seconds = time.perf_counter() - start
    slowest = sorted(nodes, key=lambda node: -node.seconds)[:12]
    print("; ".join(f"{node.name} {node.seconds:.1f}" for node in slowest), file=sys.stderr)
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": seconds, "mb": mb}))


def run_apart(module: str, *words: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", module, *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return dict(json.loads(done.splitlines()[-1]))


def say(words: str) -> None:
    print(f"· {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
