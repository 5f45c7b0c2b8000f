"""A file that is still being written is left for the next run: none of its rows is lost, none comes twice."""

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sources.landing
from core.clock import system_clock
from core.errors import ContractBroken
from core.settings import Settings
from sources import files
from sources.files import landed_files, why_unfinished
from sources.landing import load_landing

ORDERS = "order_id,customer_id,ordered_at,known_at"
OTHERS = {
    "customers": "customer_id,known_at\n1,2017-01-01\n",
    "order_lines": "order_id,line_number,product_id,quantity,list_amount,discount_amount,known_at\no1,1,p1,1,1,0,2017-01-03\n",
    "products": "product_id,known_at\np1,2017-01-01\n",
}


def row(number: int) -> str:
    return f"o{number},1,2017-01-03 10:00:00,2017-01-03 10:00:00"


def text_of(numbers: range) -> str:
    return "\n".join([ORDERS, *map(row, numbers)]) + "\n"


@pytest.fixture
def orders(settings) -> Path:
    """The folder of orders of a shop that has one already."""
    for table, text in (OTHERS | {"orders": text_of(range(1))}).items():
        path = settings.landing / "shop" / table / "a.csv"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    load_landing(settings)
    return settings.landing / "shop" / "orders"


def numbers(settings: Settings) -> list[int]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        found = db.sql("select substr(order_id, 2)::int from landing.orders order by 1").fetchall()
    return [number for (number,) in found]


def age(path: Path) -> None:
    then = path.stat().st_mtime - 120
    os.utime(path, (then, then))


@pytest.mark.parametrize(
    "name", [".b.csv", "_b.csv", "b.csv.part", "b.csv.tmp", "b.csv~", "b.csv.crdownload", "b.csv.filepart", "B.CSV.PART"]
)  # fmt: skip
def test_a_name_that_says_it_is_unfinished_is_left_alone(settings, orders, name):
    (orders / name).write_text("half a li")
    age(orders / name)
    assert load_landing(settings).waiting == {}
    assert orders / name not in landed_files(settings.landing, "orders")
    (orders / name).write_text(text_of(range(1, 3)))
    (orders / name).rename(orders / "whole.csv")
    assert load_landing(settings).rows == {"orders": 2}


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_file_whose_last_line_has_no_end_waits_until_it_has_one(settings, orders, suffix):
    text = text_of(range(1, 3))
    if suffix == "jsonl":
        keys = ORDERS.split(",")
        text = "".join(
            str(dict(zip(keys, row(n).split(","), strict=True))).replace("'", '"') + "\n" for n in (1, 2)
        )
    file = orders / f"b.{suffix}"
    file.write_text(text[:-10])
    report = load_landing(settings)
    assert report.waiting == {f"shop/orders/b.{suffix}": "its last line has no end yet"}
    assert numbers(settings) == [0]
    file.write_text(text)
    report = load_landing(settings)
    assert (report.waiting, report.rows) == ({}, {"orders": 2})
    assert numbers(settings) == [0, 1, 2]


def test_a_file_without_its_last_line_end_is_taken_once_nobody_has_touched_it_for_a_minute(settings, orders):
    (orders / "b.csv").write_text(text_of(range(1, 3)).rstrip("\n"))
    assert why_unfinished(orders / "b.csv", system_clock())
    age(orders / "b.csv")
    assert load_landing(settings).rows == {"orders": 2}


def test_parquet_without_its_footer_waits_and_is_refused_when_it_never_comes(settings, orders):
    table = pa.table(
        {name: [value] for name, value in zip(ORDERS.split(","), row(1).split(","), strict=True)}
    )
    pq.write_table(table, orders / "b.parquet")
    whole = (orders / "b.parquet").read_bytes()
    (orders / "b.parquet").write_bytes(whole[:-8])
    assert load_landing(settings).waiting == {"shop/orders/b.parquet": "it has no footer yet"}
    age(orders / "b.parquet")
    with pytest.raises(ContractBroken, match=r"b\.parquet cannot be read"):
        load_landing(settings)
    (orders / "b.parquet").write_bytes(whole)
    assert load_landing(settings).rows == {"orders": 1}


def test_a_required_table_whose_only_file_is_unfinished_is_missing_for_that_reason(settings):
    for table, text in (OTHERS | {"orders": text_of(range(2))[:-3]}).items():
        path = settings.landing / "shop" / table / "a.csv"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    with pytest.raises(ContractBroken, match=r"shop/orders/a\.csv waits: its last line has no end yet"):
        load_landing(settings)


def test_a_file_that_changes_while_it_is_read_leaves_nothing_and_is_read_again(settings, orders, monkeypatch):

    def read_slowly(db, contract, file, scratch):
        extra = files.read_file(db, contract, file, scratch)
        with file.open("a") as other_hand:
            other_hand.write(row(2) + "\n")
        return extra

    (orders / "b.csv").write_text(text_of(range(1, 2)))
    with monkeypatch.context() as patch:
        patch.setattr(sources.landing, "read_file", read_slowly)
        report = load_landing(settings)
    assert report.waiting == {"shop/orders/b.csv": "it changed while it was read"}
    assert numbers(settings) == [0]
    assert load_landing(settings).rows == {"orders": 2}


def test_a_file_that_grew_after_it_was_loaded_brings_its_new_rows_once(settings, orders):
    file = orders / "b.csv"
    file.write_text(text_of(range(1, 300)) + ",,,\n")
    assert load_landing(settings).rejects == {"orders": 1}
    with file.open("a") as writer:
        writer.write(row(300) + "\n")
    report = load_landing(settings)
    assert (report.rows, report.rejects, report.repeated) == ({"orders": 1}, {"orders": 1}, {"orders": 299})
    assert numbers(settings) == list(range(301))
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        assert db.sql("select row_number from landing.rejected_rows").fetchall() == [(300,)]
    assert load_landing(settings).rows == {}


def test_an_untouched_file_is_not_read_again(settings, orders, monkeypatch):
    monkeypatch.setattr(sources.landing, "digest_of", None)  # to call it would fail
    assert load_landing(settings).rows == {}


WRITER = """
import sys, time
path, rows = sys.argv[1], int(sys.argv[2])
with open(path, "w", buffering=1000) as file:
    file.write("order_id,customer_id,ordered_at,known_at\\n")
    for number in range(1, rows + 1):
        file.write(f"o{number},1,2017-01-03 10:00:00,2017-01-03 10:00:00\\n")
        if number % 50 == 0:
            time.sleep(0.01)
"""


def test_loading_again_and_again_beside_a_slow_writer_ends_with_each_row_once(settings, orders):
    """A real process writes 10,000 rows, in pieces that end in the middle of lines, for two seconds."""
    rows, waited = 10_000, 0
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(orders / "b.csv"), str(rows)])
    try:
        while writer.poll() is None:
            waited += bool(load_landing(settings).waiting)
            time.sleep(0.05)
    finally:
        writer.wait(60)
    load_landing(settings)
    assert waited > 0  # else the writer was too fast to test anything
    assert numbers(settings) == list(range(rows + 1))
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        assert db.sql("select count(*) from landing.rejected_rows").fetchall() == [(0,)]
    with (orders / "b.csv").open() as file:
        assert len(list(csv.reader(file))) == rows + 1
