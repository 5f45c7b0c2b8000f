"""A small good shop to land, and what one asks of the warehouse afterwards."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import ContractBroken
from core.settings import Settings

CUSTOMERS = """customer_id,email,first_name,locale,country_code,time_zone,signed_up_at,known_at
1,ada@example.com,Ada,en,US,America/New_York,2017-01-01 08:00:00,2017-01-01 08:00:00
2,bernd@example.com,Bernd,de,DE,Europe/Berlin,2017-01-02 08:00:00,2017-01-02 08:00:00
"""
ORDERS = """order_id,customer_id,store_id,ordered_at,known_at
o1,1,s1,2017-01-03 10:00:00,2017-01-03 10:00:00
o2,2,,2017-01-04 11:30:00.5,2017-01-04 12:00:00
"""
ORDER_LINES = """order_id,line_number,product_id,quantity,list_amount,discount_amount,known_at
o1,1,p1,2,3.98,0.50,2017-01-03 10:00:00
o2,1,p1,1,1.99,0,2017-01-04 12:00:00
"""
PRODUCTS = """product_id,name,category,subcategory,brand,size,known_at
p1,Ice,GROCERY,FRZN ICE,National,22 LB,2016-12-31 00:00:00
"""
SHOP = {"customers": CUSTOMERS, "orders": ORDERS, "order_lines": ORDER_LINES, "products": PRODUCTS}
Rows = list[tuple[Any, ...]]
utc = datetime.fromisoformat  # without a zone, as the warehouse keeps moments


def land(settings: Settings, table: str, text: str, name: str = "a.csv", source: str = "shop") -> Path:
    path = settings.landing / source / table / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def settle(path: Path) -> Path:
    """Make a file one that nobody has touched for two minutes."""
    then = path.stat().st_mtime - 120
    os.utime(path, (then, then))
    return path


def land_shop(settings: Settings, **changed: str) -> None:
    for table, text in (SHOP | changed).items():
        land(settings, table, text)


def query(settings: Settings, sql: str) -> Rows:
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        return db.sql(sql).fetchall()


def rejected(settings: Settings) -> Rows:
    return query(
        settings,
        "select file, row_number, column_name, value, reason from landing.rejected_rows order by all",
    )


def loaded(settings: Settings, table: str) -> Rows:
    return query(settings, f"from landing.{table} order by source_file, source_row")


def sentence(error: pytest.ExceptionInfo[ContractBroken]) -> str:
    """The message, once it is sure that it is one line without an address."""
    message = str(error.value)
    assert "\n" not in message
    assert "@" not in message
    assert len(message) < 400
    return message


def many_orders(count: int, **broken: str) -> str:
    """`count` good orders of customer 1, then the lines of `broken`, in the order given."""
    lines = [f"n{number},1,s1,2017-01-03 10:00:00,2017-01-03 10:00:00" for number in range(count)]
    return "\n".join([ORDERS.splitlines()[0], *lines, *broken.values()]) + "\n"


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write rows as the file's ending says: text in CSV and JSON Lines, the values' own types in Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, default=str, ensure_ascii=False) + "\n" for row in rows))
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path
