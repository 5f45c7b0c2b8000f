"""The reference set, 14 features of every customer, in three ways that must agree.

Days since the last purchase; lines and money ever; lines, money and pieces of the last 7, 30 and 90 days; different products
and categories. `python -m benchmarks.reference polars|duckdb|rollups SOURCE` runs one way in a process of its own.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import datetime

import duckdb

from benchmarks.shop import LAST_DAY

WINDOWS = (7, 30, 90)
DAY = f"date '{LAST_DAY}'"
CHECK = """
    select count(*), sum(recency_days)::bigint, sum(lines)::bigint, sum(cents)::bigint, sum(lines_7)::bigint,
        sum(lines_30)::bigint, sum(lines_90)::bigint, sum(cents_7)::bigint, sum(cents_30)::bigint, sum(cents_90)::bigint,
        sum(pieces_7)::bigint, sum(pieces_30)::bigint, sum(pieces_90)::bigint, sum(products)::bigint, sum(categories)::bigint
    from features"""


def in_polars(source: str) -> list[int]:
    """Return the checksums of the set as one writes it by hand in polars."""
    import polars as pl

    day = datetime.combine(LAST_DAY, datetime.min.time())
    lines = pl.scan_parquet(source).filter(pl.col.known_at < day)
    age = (pl.lit(LAST_DAY) - pl.col.ordered_at.dt.date()).dt.total_days()
    cents = (pl.col.list_amount_cents - pl.col.discount_amount_cents).clip(0)
    features = (
        lines.select(
            "customer_id", "product_id", "category", "quantity", age.alias("age"), cents.alias("cents")
        )
        .group_by("customer_id")
        .agg(
            pl.col.age.min().alias("recency_days"),
            pl.len().alias("lines"),
            pl.col.cents.sum().alias("total_cents"),
            *((pl.col.age <= days).sum().alias(f"lines_{days}") for days in WINDOWS),
            *(pl.col.cents.filter(pl.col.age <= days).sum().alias(f"cents_{days}") for days in WINDOWS),
            *(pl.col.quantity.filter(pl.col.age <= days).sum().alias(f"pieces_{days}") for days in WINDOWS),
            pl.col.product_id.n_unique().alias("products"),
            pl.col.category.n_unique().alias("categories"),
        )
        .collect()
    )
    return [features.height, *(int(features[name].sum()) for name in features.columns[1:])]


def in_duckdb(source: str) -> list[int]:
    """Return the same from one pass in SQL.

    Three things make it quick: windows read only the last 90 days; categories, of which there are few, are bits of a
    number (shifted once per category: per line it would cost as much as all else); products are numbered, and a list
    of numbers per customer costs a third of `count(distinct)`.
    """
    windows = ", ".join(
        f"count(*) filter (age <= {days}) as lines_{days}, sum(cents) filter (age <= {days}) as cents_{days}, "
        f"sum(quantity) filter (age <= {days}) as pieces_{days}"
        for days in WINDOWS
    )
    with duckdb.connect() as db:
        db.execute("set threads = 2; set preserve_insertion_order = false")
        _number(db, "category", AS_BIT, f"'{source}'")
        _number(db, "product_id", AS_NUMBER, f"'{source}'")
        db.execute(
            f"""create temp table features as
            with lines as not materialized (
                select customer_id, product_id, category, quantity, {DAY} - ordered_at::date as age,
                    greatest(list_amount_cents - discount_amount_cents, 0) as cents
                from '{source}' where known_at < {DAY}
            ),
            ever as (
                select customer_id, min(age) as recency_days, count(*) as lines, sum(cents) as cents,
                    list_unique(list(product_id_number)) as products, bit_count(bit_or(category_number)) as categories
                from lines natural join category_numbers natural join product_id_numbers
                group by customer_id
            ),
            recent as (select customer_id, {windows} from lines where age <= {max(WINDOWS)} group by customer_id)
            select * from ever left join recent using (customer_id)"""
        )
        return _checksums(db)


def in_rollups(source: str) -> list[int]:
    """Return the same from the rollups that the feature build keeps in its warehouse."""
    windows = ", ".join(
        f"sum(line_count) filter (age <= {days}) as lines_{days}, sum(net_amount_cents) filter (age <= {days}) "
        f"as cents_{days}, sum(quantity) filter (age <= {days}) as pieces_{days}"
        for days in WINDOWS
    )
    with duckdb.connect(source, read_only=True) as db:
        db.execute("set threads = 2; set preserve_insertion_order = false")
        _number(db, "category", AS_BIT, "intermediate.int_customer_categories_rolled")
        db.execute(
            f"""create temp table features as
            with days as (
                select *, ({DAY} - ordered_date)::integer as age
                from intermediate.int_customer_days_rolled where known_date < {DAY}
            ),
            ever as (
                select customer_id, min(age) as recency_days, sum(line_count) as lines, sum(net_amount_cents) as cents
                from days group by customer_id
            ),
            recent as (select customer_id, {windows} from days where age <= {max(WINDOWS)} group by customer_id),
            products as (
                select customer_id, sum(appeared_count) as products
                from intermediate.int_customer_assortments_rolled where known_date < {DAY} group by customer_id
            ),
            categories as (
                select customer_id, bit_count(bit_or(category_number)) as categories
                from intermediate.int_customer_categories_rolled natural join category_numbers
                where known_date < {DAY} group by customer_id
            )
            select * from ever inner join products using (customer_id) inner join categories using (customer_id)
            left join recent using (customer_id)"""
        )
        return _checksums(db)


AS_NUMBER = "(row_number() over ())::integer"
AS_BIT = "1::hugeint << (row_number() over () - 1)::integer"
"""For at most 127 things; with more the shift fails."""


def _number(db: duckdb.DuckDBPyConnection, thing: str, number: str, source: str) -> None:
    """Make a temporary table of the different things in a column of `source`, each with a number."""
    things = f"select distinct {thing} from {source}"
    db.execute(
        f"create temp table {thing}_numbers as select {thing}, {number} as {thing}_number from ({things})"
    )


def _checksums(db: duckdb.DuckDBPyConnection) -> list[int]:
    return [int(value) for value in db.sql(CHECK).fetchall()[0]]


WAYS: dict[str, Callable[[str], list[int]]] = {
    "polars": in_polars,
    "duckdb": in_duckdb,
    "rollups": in_rollups,
}


def main(way: str, source: str) -> None:
    start = time.perf_counter()
    found = WAYS[way](source)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    print(json.dumps({"seconds": seconds, "cpu": cpu, "mb": used.ru_maxrss // 1024, "checksums": found}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
