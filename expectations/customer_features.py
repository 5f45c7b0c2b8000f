"""What must hold of `customer_features` before a model scores it.

The checks follow from the columns the file has: a column's ending says what its values may be, the catalogue of features
which of them are never missing. So a new feature is checked on the day it appears, and a shop that lacks a source has
columns without values, which is no fault.
"""
# names are the columns of our own marts, and quoted; what a file holds is never spliced in

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path

import duckdb
import yaml

from core.dbt import DBT_PROJECT
from core.published import Published
from expectations.audit import Audit
from expectations.drift import drift
from expectations.measures import CRITICAL, WARNING, Bound, Measurement, expectations, frame
from expectations.trailing import TRAILING_DAYS, Snapshot, trailing

TABLE = "the table"
EXAMPLES = 3  # customers named for each finding about rows
CATALOGUE = DBT_PROJECT / "models/marts/ml/customer_features.yml"

RANGES: dict[str, tuple[float, float | None]] = {
    "_share": (0, 1),
    "_probability": (0, 1),
    "_count": (0, None),
    "_days": (0, None),
    "_cents": (0, None),
    "_ratio": (0, None),
    "_lines": (0, None),
    "_items": (0, None),
    "_stars": (1, 5),
    "_points": (0, 10),
    "_sentiment": (-1, 1),
    "_entropy": (0, None),
    "_hour": (0, 23),
    "_weekday": (0, 6),
}
"""What a column's ending says of its values. Whatever the ending, a number is finite."""

EXCEPTIONS: dict[str, tuple[float, float | None]] = {
    "orders_lifetime_count": (1, None)  # a customer without an order has no row
}
SIGNED = frozenset({"change", "acceleration", "slope", "balance"})
"""Words in a column's name that say its values may lie below 0, whatever its ending."""

WATCHED = ("orders_90d_count", "spend_90d_cents", "basket_mean_cents")
"""What campaigns and models rest on most, and what moves slowly: a wild shift of one of them stops the day."""
ALWAYS_MOVES = frozenset({"tenure_days"})  # each customer is a day older than the day before
FRESH = ("recency_days", "last_visit_days")
"""Days since orders and visits, of which some customer has new ones every day. Of clicks or complaints none may."""
FEWEST_CUSTOMERS = 200  # among fewer, chance alone moves the index by 0.1 and more

ROWS, AGAINST_USUAL, NEWEST = "rows", "rows against the usual", "days since the newest"
TWICE, OTHER_DAY, EMPTY = "rows of a customer who has another", "rows of another day", "rows without a value"
OUTSIDE, SHRINKS, MOVED = "rows out of range", "rows where a longer window counts less", "drift (PSI)"
ORDER = "rows where the newest order is before the first"

BOUNDS = (
    # A day without rows would leave yesterday's in place, so the count is a gate of its own.
    Bound(ROWS, CRITICAL, least=1),
    Bound(TWICE, CRITICAL, most=0),
    Bound(OTHER_DAY, CRITICAL, most=0),
    Bound(EMPTY, CRITICAL, most=0),
    Bound(OUTSIDE, CRITICAL, most=0),
    Bound(ORDER, CRITICAL, most=0),
    Bound(SHRINKS, CRITICAL, most=0),
    # docs/decisions/0008 gives the figures behind the numbers below.
    Bound(NEWEST, CRITICAL, most=7, columns=("recency_days",)),
    Bound(NEWEST, WARNING, most=2),
    Bound(AGAINST_USUAL, CRITICAL, least=0.8, most=2),
    Bound(AGAINST_USUAL, WARNING, least=0.95, most=1.25),
    Bound(MOVED, CRITICAL, most=1, columns=WATCHED),
    Bound(MOVED, WARNING, most=0.25),
)
ALWAYS = (ROWS, TWICE, OTHER_DAY, EMPTY, OUTSIDE, ORDER, NEWEST)

WINDOWED = re.compile(r"(?P<what>.+)_(?P<days>\d+)d_count")
NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DOUBLE|FLOAT|DECIMAL.*")

READ = "read_parquet(?, hive_partitioning = false)"
"""Without the word, the day in the folder's name would stand in for the column, and always be right."""


@cache
def required() -> tuple[str, ...]:
    """Return the columns without which no row is: those the catalogue says are never missing, and the key."""
    (model,) = yaml.safe_load(CATALOGUE.read_text())["models"]
    rules = {
        column["name"]: column.get("config", {}).get("meta", {}).get("missing") for column in model["columns"]
    }
    return tuple(name for name, rule in rules.items() if rule in (None, "never"))  # the key has no rule


def audit(candidate: Path, published: Published, as_of: date) -> Audit:
    """Measure a candidate, alone and against the four weeks before; return what is to be judged."""
    before = trailing(published, "customer_features", as_of)
    with duckdb.connect() as db:
        db.execute("set memory_limit = '2GB'")
        described = db.execute(f"describe from {READ}", [str(candidate)]).fetchall()
        types = {str(row[0]): str(row[1]) for row in described}
        measured = list(_alone(db, candidate, types, as_of))
        remarks, compared = _compared(db, candidate, types, measured[0], before)
    return Audit(
        rows=frame([*measured, *compared]),
        expectations=expectations(BOUNDS, ALWAYS),
        measured=(*measured, *compared),
        bounds=BOUNDS,
        remarks=remarks,
        compared_with=tuple(snapshot.day for snapshot in before),
    )


def allowed(column: str) -> tuple[float, float | None] | None:
    """Return the least and the most a column may be, by its name; None: nothing is known, or it is no number.

    >>> allowed("weekend_share"), allowed("recency_days"), allowed("orders_change_count"), allowed("top_category")
    ((0, 1), (0, None), None, None)
    """
    if column in EXCEPTIONS:
        return EXCEPTIONS[column]
    if SIGNED & set(column.split("_")):
        return None
    return next((bounds for ending, bounds in RANGES.items() if column.endswith(ending)), None)


@dataclass(frozen=True)
class Question:
    """What to measure: rows of which a condition is true (then some of them can be named), or any other number."""

    measure: str
    column_name: str
    condition: str = ""
    number: str = ""

    @property
    def sql(self) -> str:
        """One column of the select that measures all."""
        return self.number or f"count(*) filter ({self.condition})"


def _alone(
    db: duckdb.DuckDBPyConnection, candidate: Path, types: dict[str, str], as_of: date
) -> Iterator[Measurement]:
    """Measure what needs no other day, in one pass over the file; name a few rows of what was found."""
    asked = list(_questions(types, as_of))
    select = ", ".join(question.sql for question in asked)
    row = db.execute(f"select {select} from {READ}", [str(candidate)]).fetchall()[0]
    for question, value in zip(asked, row, strict=True):
        is_about_rows = question.condition and value and "customer_id" in types
        examples = _examples(db, candidate, question.condition) if is_about_rows else ()
        found = None if value is None else float(value)
        yield Measurement(question.measure, question.column_name, found, examples)


def _examples(db: duckdb.DuckDBPyConnection, candidate: Path, condition: str) -> tuple[str, ...]:
    query = f"select customer_id from {READ} where {condition} order by customer_id limit {EXAMPLES}"
    return tuple(str(row[0]) for row in db.execute(query, [str(candidate)]).fetchall())


def _questions(types: dict[str, str], as_of: date) -> Iterator[Question]:
    yield Question(ROWS, TABLE, number="count(*)")
    if "customer_id" in types:
        yield Question(TWICE, TABLE, number="count(customer_id) - count(distinct customer_id)")
    if "as_of_date" in types:
        yield Question(OTHER_DAY, TABLE, f"as_of_date is distinct from date '{as_of}'")
    if {"tenure_days", "recency_days"} <= types.keys():
        yield Question(ORDER, TABLE, f"{_number('tenure_days')} < {_number('recency_days')}")
    for name in required():
        # A column that must be there and is not has no value in any row.
        yield Question(EMPTY, name, f'"{name}" is null' if name in types else "true")
    for name, kind in types.items():
        bounds = allowed(name)
        if bounds or NUMBER.fullmatch(kind):
            yield Question(OUTSIDE, name, _is_outside(name, bounds or (None, None)))
        if name in FRESH:
            # Where a shop lacks the source nobody has a value, and there is nothing to be late.
            yield Question(NEWEST, name, number=f"coalesce(min({_number(name)}), 0)")
    for shorter, longer in _window_pairs(types):
        yield Question(SHRINKS, longer, f"{_number(longer)} < {_number(shorter)}")


def _is_outside(name: str, bounds: tuple[float | None, float | None]) -> str:
    number = _number(name)
    holds = [f"isfinite({number})"]
    holds += [
        f"{number} {sign} {end}" for sign, end in zip((">=", "<="), bounds, strict=True) if end is not None
    ]
    return f'"{name}" is not null and not coalesce({" and ".join(holds)}, false)'


def _number(name: str) -> str:
    return f'try_cast("{name}" as double)'  # so that a word where a number belongs is a finding, not a crash


def _window_pairs(columns: Sequence[str] | dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield neighbouring windows of one count: (orders_7d_count, orders_30d_count) and so on, lifetime last.

    >>> list(_window_pairs(["orders_30d_count", "orders_lifetime_count", "orders_7d_count", "views_7d_count"]))
    [('orders_7d_count', 'orders_30d_count'), ('orders_30d_count', 'orders_lifetime_count')]
    """
    windows: dict[str, list[tuple[int, str]]] = {}
    for name in columns:
        found = WINDOWED.fullmatch(name)
        if found and not SIGNED & set(name.split("_")):
            windows.setdefault(found["what"], []).append((int(found["days"]), name))
    for what, found_windows in windows.items():
        names = [name for _, name in sorted(found_windows)]
        names += [f"{what}_lifetime_count"] if f"{what}_lifetime_count" in columns else []
        yield from pairwise(names)


def _compared(
    db: duckdb.DuckDBPyConnection,
    candidate: Path,
    types: dict[str, str],
    rows: Measurement,
    before: list[Snapshot],
) -> tuple[tuple[str, ...], list[Measurement]]:
    """Return what could not be compared, in words, and what a comparison with the days before measured."""
    if not before:
        return (f"No day of the {TRAILING_DAYS} before is published: volume and drift were not checked.",), []
    count = rows.value or 0
    usual = sorted(snapshot.rows for snapshot in before)[len(before) // 2]
    measured = [Measurement(AGAINST_USUAL, TABLE, count / max(usual, 1))]
    if min(count, usual) < FEWEST_CUSTOMERS:
        return (f"Fewer than {FEWEST_CUSTOMERS} customers: drift was not checked.",), measured
    numbers = [name for name, kind in types.items() if NUMBER.fullmatch(kind)]
    numbers = [name for name in numbers if name not in ALWAYS_MOVES]
    moved = drift(db, candidate, numbers, before)
    measured += [Measurement(MOVED, name, value) for name, value in moved.items()]
    new = [name for name in numbers if name not in moved]
    remark = f"Not on every day before, so without drift: {', '.join(new)}." if new else ""
    return (remark,) * bool(remark), measured
