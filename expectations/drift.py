"""How far a day's features have moved from the four weeks before: the population stability index of each.

PSI = sum over bins of (a - e) * ln(a / e), with the shares a (the day) and e (before) of the customers in a bin. Bins
are the tenths of the days before; customers without a value have a bin of their own, so a feature that falls silent
has moved too. Source: N. Siddiqi, "Credit Risk Scorecards", Wiley 2006, ch. 9: below 0.1 no change worth a look, above
0.25 a shift. Without any change, ten bins, n customers today and m before, its mean is about 9 (1/n + 1/m) (B. Yurdakul
and J. Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation 14(4), 2020).
"""
# names are the columns of our own marts, and quoted; what a file holds is never spliced in

from collections.abc import Sequence
from math import isfinite, log
from pathlib import Path
from typing import Any

import duckdb

from expectations.trailing import Snapshot

POOL_ROWS = 200_000  # as many rows of the days before as give tenths to three digits; all of them would not fit memory
TENTHS = [tenth / 10 for tenth in range(1, 10)]


def population_stability_index(before: Sequence[int], now: Sequence[int]) -> float:
    """Return the index of two counts over the same bins; half a customer in each keeps an empty bin finite.

    >>> round(population_stability_index([50, 50], [50, 50]), 12)
    0.0
    >>> # 3/4 and 1/4 against two halves: 1/4 ln(3/2) - 1/4 ln(1/2) = 1/4 ln 3 = 0.2747
    >>> round(population_stability_index([500_000, 500_000], [750_000, 250_000]), 4)
    0.2747
    """
    return sum((a - e) * log(a / e) for e, a in zip(_shares(before), _shares(now), strict=True))


def _shares(counts: Sequence[int]) -> list[float]:
    whole = sum(counts) + 0.5 * len(counts)
    return [(count + 0.5) / whole for count in counts]


def drift(
    db: duckdb.DuckDBPyConnection, candidate: Path, columns: Sequence[str], before: Sequence[Snapshot]
) -> dict[str, float]:
    """Return the index of each numeric column of a candidate against the snapshots before it, pooled.

    Every customer of the candidate counts; of the days before, as many as `POOL_ROWS`, drawn by a hash of customer and
    day, so the same files give the same index. Columns that one of the days lacks are left out.
    """
    known = [name for name in columns if all(name in snapshot.columns for snapshot in before)]
    if not known:
        return {}
    keep_one_of = -(-sum(snapshot.rows for snapshot in before) // POOL_ROWS)
    picked = ", ".join(f'try_cast("{name}" as double) as "{name}"' for name in known)
    db.execute(
        f"create or replace temp table pool as select {picked} from read_parquet(?, hive_partitioning = false) "
        f"where hash(customer_id, as_of_date) % {keep_one_of} = 0",
        [[str(snapshot.file) for snapshot in before]],
    )
    tenths = _one_row(db, ", ".join(f'quantile_disc("{name}", {TENTHS})' for name in known), "pool")
    # Where many customers share a value, several tenths are the same; where nobody has one, there is none.
    edges = {
        name: sorted({value for value in values or () if isfinite(value)}) or [0.0]
        for name, values in zip(known, tenths, strict=True)
    }
    earlier = _counts(db, edges, "pool")
    now = _counts(db, edges, f"read_parquet('{candidate}', hive_partitioning = false)")
    db.execute("drop table pool")
    return {name: population_stability_index(earlier[name], now[name]) for name in known}


def _counts(
    db: duckdb.DuckDBPyConnection, edges: dict[str, list[float]], source: str
) -> dict[str, list[int]]:
    """Return how many rows lie in each bin of each column: up to an edge, beyond the last one, without a value."""
    asked = ", ".join(
        f'histogram(try_cast("{name}" as double), {values}::double[]), count(*) filter ("{name}" is null)'
        for name, values in edges.items()
    )
    row = _one_row(db, asked, source)
    counts = {}
    for number, (name, values) in enumerate(edges.items()):
        histogram, missing = row[2 * number] or {}, row[2 * number + 1]
        beyond = sum(histogram.values()) - sum(histogram.get(edge, 0) for edge in values)
        counts[name] = [*(histogram.get(edge, 0) for edge in values), beyond, missing]
    return counts


def _one_row(db: duckdb.DuckDBPyConnection, asked: str, source: str) -> tuple[Any, ...]:
    rows: list[tuple[Any, ...]] = db.execute(f"select {asked} from {source}").fetchall()
    return rows[0]
