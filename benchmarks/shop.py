"""Makes synthetic shops of any size, seeded: few customers buy much, few products sell much, most do not.

Everything is drawn by hashing row numbers in DuckDB, so a shop of 50 million lines takes a minute and little memory,
and the same size and seed give the same rows.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

FIRST_DAY, DAYS = date(2023, 1, 1), 730
LAST_DAY = date(2024, 12, 31)
"""The first day of which the shop knows nothing."""
LINES_PER_ORDER, LINES_PER_CUSTOMER = 5, 40
CATEGORIES = 50
VIEWS_PER_ORDER = 1


@dataclass(frozen=True)
class Shop:
    """Parquet files of a synthetic shop, in the columns of the landing tables; rows in the order they became known."""

    folder: Path
    lines: int

    def file(self, table: str) -> Path:
        return self.folder / f"{table}.parquet"


def make_shop(folder: Path, lines: int, seed: int = 1) -> Shop:
    """Write about `lines` order lines (within 2 %) and what belongs to them; a shop that is there already is kept.

    Orders per customer are Pareto-distributed (shape 1.16, the "80/20" of Pareto's law, cut off at 2,000), product
    sales follow Zipf's law with exponent 1, lines per order are geometric with mean `LINES_PER_ORDER`.
    """
    shop = Shop(folder, lines)
    done = folder / "done"
    if done.exists():
        return shop
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as db:
        db.execute(f"set memory_limit = '3GB'; set temp_directory = '{folder}/spill'")
        db.execute(f"create macro u(i, salt) as (hash(i, salt, {int(seed)}) + 0.5) / 18446744073709551616.0")
        for table, query in _tables(lines).items():
            db.execute(f"copy ({query}) to '{shop.file(table)}' (format parquet, row_group_size 500000)")
            db.execute(f"create view {table} as from '{shop.file(table)}'")
    done.touch()
    return shop


def _tables(lines: int) -> dict[str, str]:
    customers, products = lines // LINES_PER_CUSTOMER, max(1000, lines // 500)
    start = f"timestamp '{FIRST_DAY}'"
    moment = f"{start} + to_microseconds((u(n, 'moment') * {DAYS} * 86400e6)::bigint)"
    return {
        "customers": f"""
            select 'C' || lpad(i::varchar, 8, '0') as customer_id, {start} as known_at
            from range({customers}) as r(i)""",
        "products": f"""
            select 'P' || lpad(i::varchar, 7, '0') as product_id,
                'category ' || (hash(i, 'category') % {CATEGORIES}) as category,
                if(hash(i, 'brand') % 4 = 0, 'Private', 'National') as brand, {start} as known_at
            from range({products}) as r(i)""",
        "orders": f"""
            select 'O' || lpad((row_number() over (order by ordered_at, n))::varchar, 10, '0') as order_id,
                customer_id, ordered_at, ordered_at as known_at
            from (
                select n, customer_id, {moment} as ordered_at
                from (
                    select i * 4096 + unnest(range(orders)) as n, 'C' || lpad(i::varchar, 8, '0') as customer_id
                    from (
                        select i, least(2000, floor({_least_orders()} * pow(u(i, 'orders'), -1 / 1.16)))::bigint as orders
                        from range({customers}) as r(i)
                    )
                )
            )
            order by order_id""",
        "order_lines": f"""
            select order_id, line_number, product_id, category, customer_id, ordered_at,
                1 + (hash(order_id, line_number, 'quantity') % 3)::bigint as quantity,
                (50 + hash(order_id, line_number, 'amount') % 5000)::bigint as list_amount_cents,
                if(hash(order_id, line_number, 'sale') % 4 = 0, 25, 0)::bigint as discount_amount_cents, known_at
            from (
                select order_id, customer_id, ordered_at, known_at,
                    unnest(range(1, 1 + least(40, ceil(ln(u(order_id, 'lines')) / ln(1 - 1 / {LINES_PER_ORDER}))::bigint)))
                        as line_number
                from orders
            ) as lines
            inner join (
                select row_number() over (order by product_id) - 1 as rank, product_id, category from products
            ) as products
                on products.rank = floor(exp(u(order_id || line_number, 'product') * ln({products})))::bigint - 1""",
        "events": f"""
            select 'E' || order_id || e as event_id, customer_id,
                if(hash(order_id, e, 'kind') % 5 = 0, 'add_to_cart', 'view') as kind,
                ordered_at - to_hours((hash(order_id, e, 'hours') % 100)::bigint) as happened_at, known_at
            from orders, range({VIEWS_PER_ORDER}) as r(e)""",
    }


def _least_orders() -> float:
    """Return the scale of the Pareto distribution: cut off at 2,000 and rounded down, its mean is 5.14 times that, less 0.5."""
    return (LINES_PER_CUSTOMER / LINES_PER_ORDER + 0.5) / 5.14
