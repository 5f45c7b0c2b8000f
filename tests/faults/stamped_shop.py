"""A shop of 60 customers whose every delivery adds one to a number that stands in each table of a day.

So whoever reads the tables of a day can tell whether they are of one release: the numbers are equal.
"""

import csv
import io
from datetime import date, timedelta
from pathlib import Path

import pyarrow.compute as pc

from core.published import Published
from core.settings import Settings

DAY = date(2017, 12, 4)
TABLES = ("customer_features", "interactions", "products", "rejected_rows")
STAMP = "stamp"
CUSTOMERS, PRODUCTS = 60, 20
Row = dict[str, object]


def land_shop(settings: Settings) -> None:
    """Land customers, products, and nine orders of each customer on the days before."""
    old: object = "2017-01-01 00:00:00"
    names = [*(f"c{number}" for number in range(CUSTOMERS)), STAMP]
    customers: list[Row] = [
        {"customer_id": name, "email": f"{name}@example.com", "first_name": "Ada", "locale": "en"}
        | {"country_code": "US", "time_zone": "America/New_York", "signed_up_at": old, "known_at": old}
        for name in names
    ]
    products: list[Row] = [
        {"product_id": name, "name": f"Product {name}", "category": "GROCERY", "subcategory": "ICE"}
        | {"brand": "National", "size": "1 kg", "known_at": old}
        for name in [*(f"p{number}" for number in range(PRODUCTS)), STAMP]
    ]
    orders: list[Row] = []
    order_lines: list[Row] = []
    for customer in range(CUSTOMERS):
        for number in range(1, 10):
            at = f"{DAY - timedelta(days=1 + (customer + 9 * number) % 90)} 10:00:00"
            order_id = f"o{customer}-{number}"
            orders.append(order(order_id, f"c{customer}", at))
            order_lines.append(order_line(order_id, f"p{(customer * number) % PRODUCTS}", at))
    for table, rows in (
        ("customers", customers),
        ("products", products),
        ("orders", orders),
        ("order_lines", order_lines),
    ):
        land(settings, table, "shop", rows)


def land_version(settings: Settings, number: int) -> None:
    """Land one more order of the stamped customer and product, and one of a customer nobody knows."""
    at = f"{DAY - timedelta(days=2)} 10:00:00"
    stranger = order(f"x{number:04d}", "nobody", at)
    land(settings, "orders", f"version_{number:04d}", [order(f"s{number:04d}", STAMP, at), stranger])
    land(settings, "order_lines", f"version_{number:04d}", [order_line(f"s{number:04d}", STAMP, at)])


def order(order_id: str, customer_id: str, at: str) -> Row:
    return {"order_id": order_id, "customer_id": customer_id, "ordered_at": at, "known_at": at}


def order_line(order_id: str, product_id: str, at: str) -> Row:
    amounts = {"quantity": 1, "list_amount": "2.50", "discount_amount": "0.50"}
    return {"order_id": order_id, "line_number": 1, "product_id": product_id} | amounts | {"known_at": at}


def land(settings: Settings, table: str, name: str, rows: list[Row]) -> None:
    file: Path = settings.landing / "stamped" / table / f"{name}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    unfinished = file.with_name(f".{file.name}")
    unfinished.write_text(text.getvalue())
    unfinished.replace(file)


def versions(published: Published) -> list[int]:
    """Return the number that each of the day's tables holds, in the order of `TABLES`."""
    read = published.read_together(dict.fromkeys(TABLES), DAY)
    features, interactions, products, rejects = (read[table] for table in TABLES)
    ours = [
        features.filter(pc.field("customer_id") == STAMP)["orders_lifetime_count"],
        interactions.filter(pc.field("product_id") == STAMP)["line_count"],
        products.filter(pc.field("product_id") == STAMP)["sold_90d_count"],
    ]
    strangers = rejects.filter(pc.field("value") == "nobody").num_rows
    return [*(column[0].as_py() for column in ours), strangers]
