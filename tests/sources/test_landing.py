"""What a shop brings is loaded whole or not at all; what is broken is named, shown to nobody, and can be mended."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.errors import ContractBroken
from core.settings import Settings
from sources.contract import contracts
from sources.landing import LandingReport, load_landing

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


def test_a_good_shop_is_loaded_typed_and_reported(settings):
    land_shop(settings)
    report = load_landing(settings)
    assert report == LandingReport(
        rows={"customers": 2, "orders": 2, "order_lines": 2, "products": 1},
        rejects={"customers": 0, "orders": 0, "order_lines": 0, "products": 0},
        absent={name: table.switches_on for name, table in contracts().items() if not table.required},
        ignored_columns={},
        first_order_date=date(2017, 1, 3),
    )
    assert report.absent["consents"].startswith("every campaign; without it nobody has consented")
    assert rejected(settings) == []
    here = "shop/orders/a.csv"
    named = "order_id, customer_id, store_id, ordered_at, known_at, source_file, source_row, load_number"
    assert query(settings, f"select {named} from landing.orders order by source_row") == [
        ("o1", "1", "s1", utc("2017-01-03 10:00:00"), utc("2017-01-03 10:00:00"), here, 1, 3),
        ("o2", "2", None, utc("2017-01-04 11:30:00.500000"), utc("2017-01-04 12:00:00"), here, 2, 3),
    ]
    assert loaded(settings, "order_lines")[0][3:6] == (2, Decimal("3.9800"), Decimal("0.5000"))


# ---- one bad input after the other ----


@pytest.mark.parametrize("table", SHOP)
def test_a_missing_required_table_is_named_with_the_folder_it_belongs_in(settings, table):
    land_shop(settings)
    (settings.landing / "shop" / table / "a.csv").unlink()
    with pytest.raises(ContractBroken) as error:
        load_landing(settings)
    assert f"required table {table!r}" in sentence(error)
    assert f"<data>/landing/<source>/{table}/" in str(error.value)
    land(settings, table, SHOP[table])
    assert load_landing(settings).rows == {table: len(SHOP[table].splitlines()) - 1}


def test_nothing_landed_at_all_is_one_sentence_too(settings):
    with pytest.raises(ContractBroken) as error:
        load_landing(settings)
    assert "required table 'customers'" in sentence(error)


def test_an_empty_table_counts_as_missing_and_a_later_file_mends_it(settings):
    land_shop(settings, orders=ORDERS.splitlines()[0] + "\n")
    with pytest.raises(ContractBroken) as error:
        load_landing(settings)
    assert "no rows for the required table 'orders'" in sentence(error)
    land(settings, "orders", ORDERS, "b.csv")
    assert load_landing(settings).rows == {"orders": 2}


def test_a_file_without_even_a_header_is_named(settings):
    land_shop(settings, orders="")
    settle(settings.landing / "shop" / "orders" / "a.csv")
    with pytest.raises(ContractBroken) as error:
        load_landing(settings)
    assert "shop/orders/a.csv is empty" in sentence(error)


@pytest.mark.parametrize(
    ("table", "line", "expected"),
    [
        # a wrong type
        ("order_lines", "o1,2,p1,two,1,0,{t}", ("quantity", "two", "is not an integer")),
        ("order_lines", "o1,2,p1,1.5,1,0,{t}", ("quantity", "1.5", "is not an integer")),
        ("order_lines", "o1,2,p1,1,free,0,{t}", ("list_amount", "free", "is not a decimal")),
        ("order_lines", "o1,2,p1,1,1,0,soon", ("known_at", "soon", "is not a timestamp")),
        ("orders", "o3,1,,-infinity,{t}", ("ordered_at", "-infinity", "is not a timestamp")),
        ("orders", "o3,1,,2017-02-30 10:00:00,{t}", ("ordered_at", "2017-02-30 10:00:00", "is not a timestamp")),
        # below what can be
        ("order_lines", "o1,2,p1,-1,1,0,{t}", ("quantity", "-1", "is below 0")),
        ("order_lines", "o1,0,p1,1,1,0,{t}", ("line_number", "0", "is below 1")),
        # missing
        ("orders", ",1,,{t},{t}", ("order_id", None, "is missing")),
        ("orders", "   ,1,,{t},{t}", ("order_id", "", "is missing")),
        # a date in the future of what was known
        (
            "orders",
            "o3,1,,2035-01-01 00:00:00,{t}",
            ("ordered_at", "2035-01-01 00:00:00", "lies after known_at: a date in the future"),
        ),
        # the same key, known at the same moment, twice
        (
            "orders",
            "o1,2,s1,2017-01-03 10:00:00,2017-01-03 10:00:00",
            ("order_id", "o1", "duplicate key (order_id) with the same known_at"),
        ),
        # of a fixed list
        (
            "consents",
            "1,newsletter,true,form,{t},{t}",
            ("purpose", "newsletter", "is none of 'marketing'"),
        ),
        ("consents", "1,marketing,perhaps,form,{t},{t}", ("is_given", "perhaps", "is not a boolean")),
    ],
)  # fmt: skip
def test_a_broken_row_is_quarantined_with_file_row_column_value_and_reason(settings, table, line, expected):
    header = {"consents": "customer_id,purpose,is_given,proof,decided_at,known_at\n"} | {
        name: text.partition("\n")[0] + "\n" for name, text in SHOP.items()
    }
    # A file of its own behind one of 200 good rows: one broken row of 201 is under every threshold.
    good = {
        "orders": ORDERS + many_orders(200).partition("\n")[2],
        "order_lines": header["order_lines"]
        + "".join(f"o1,{number},p1,1,1,0,2017-01-03 10:00:00\n" for number in range(1, 201)),
        "consents": header["consents"]
        + "".join(f"{number},marketing,true,form,2017-01-01,2017-01-01\n" for number in range(200)),
    }
    text = good[table] + line.format(t="2017-01-05 00:00:00") + "\n"
    land_shop(settings, **{table: text})
    row = len(text.splitlines()) - 1  # the header is no row
    report = load_landing(settings)
    assert rejected(settings) == [(f"shop/{table}/a.csv", row, *expected)]
    assert report.rows[table] == row - 1
    assert report.rejects[table] == 1
    assert (row,) not in query(settings, f"select source_row from landing.{table}")


def test_row_numbers_are_those_a_person_would_count(settings):
    """Rows 2, 4 and 6 of these are broken; a blank line is no row, and a line break inside quotes starts none."""
    customers = (
        "\ufeffcustomer_id,email,first_name,known_at\r\n"
        '1,a@example.com,"Ada\r\nof the ""old"" house, here",2017-01-01\r\n'
        ",b@example.com,Ben,2017-01-01\r\n"
        "\r\n"
        "3,c@example.com,Clara,2017-01-01\r\n"
        "4,d@example.com,Daniel,yesterday\r\n"
        "5,e@example.com,Ella,2017-01-01\r\n"
        "5,f@example.com,Finn,2017-01-01\r\n"
    )
    good = "".join(f"{number},,,2017-01-01\n" for number in range(100, 300))
    land_shop(settings, customers="customer_id,email,first_name,known_at\n" + good)
    land(settings, "customers", customers, "b.csv")
    assert load_landing(settings).rows["customers"] == 200 + 3
    here = "shop/customers/b.csv"
    assert rejected(settings) == [
        (here, 2, "customer_id", None, "is missing"),
        (here, 4, "known_at", "yesterday", "is not a timestamp"),
        (here, 6, "customer_id", "5", "duplicate key (customer_id) with the same known_at"),
    ]
    names = query(
        settings,
        f"select source_row, first_name from landing.customers where source_file = '{here}' order by 1",
    )
    assert names == [(1, 'Ada\r\nof the "old" house, here'), (3, "Clara"), (5, "Ella")]


def test_two_quotes_that_are_never_closed_swallow_no_row_between_them(settings):
    """By the letter they are one value with a row inside, and five columns: DuckDB alone would load it and lose o8."""
    pair = {
        "one": 'x1,1,"',
        "good": "o8,1,s1,2017-01-05,2017-01-05",
        "two": 'x2,1,",2017-01-05,2017-01-05',
    }
    land_shop(settings, orders=many_orders(300, **pair))
    load_landing(settings)
    assert [(row, reason) for _, row, _, _, reason in rejected(settings)] == [
        (301, "has a quote that is never closed"),
        (303, "has a quote that is never closed"),
    ]
    assert query(settings, "select source_row from landing.orders where order_id = 'o8'") == [(302,)]


@pytest.mark.parametrize(
    "address",
    ["not-an-address", "two@@example.com", "spaces in@example.com", "@example.com", "ada@", "ada@localhost", "a;b@example.com"],
)  # fmt: skip
def test_a_broken_address_is_removed_and_its_customer_kept(settings, address):
    land_shop(settings, customers=CUSTOMERS + f"3,{address},Clara,zh,,,,2017-01-03\n")
    assert load_landing(settings).rows["customers"] == 3
    assert query(settings, "select email, first_name from landing.customers where customer_id = '3'") == [
        (None, "Clara")
    ]
    assert rejected(settings) == [
        ("shop/customers/a.csv", 3, "email", "(personal, not shown)", "is no email: value removed, row kept")
    ]


def test_an_unknown_locale_costs_the_value_not_the_customer(settings):
    land_shop(settings, customers=CUSTOMERS.replace(",de,", ",fr,"))
    load_landing(settings)
    assert query(settings, "select customer_id, locale from landing.customers order by 1") == [
        ("1", "en"),
        ("2", None),
    ]
    assert rejected(settings) == [
        ("shop/customers/a.csv", 2, "locale", "fr", "is none of 'en', 'de', 'zh': value removed, row kept")
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_no_address_stands_in_rejects_or_in_messages(settings, suffix, capfd):
    """The broken rows hold their addresses in the right column and, one by one, in every wrong one."""
    secret = "ada.lovelace@secret.example"
    row = {"customer_id": "7", "email": secret, "first_name": secret, "known_at": "never"}
    broken = [row, row | {"email": "x" + secret + "@"}, row | {"customer_id": ""}]
    land_shop(settings)
    write(settings.landing / "shop" / "customers" / f"b.{suffix}", broken)
    with pytest.raises(ContractBroken) as error:  # 3 of 5 rows
        load_landing(settings)
    assert "secret" not in sentence(error)
    good = [
        {"customer_id": str(number), "email": "", "first_name": "", "known_at": "2017-01-01"}
        for number in range(100, 400)
    ]
    write(settings.landing / "shop" / "customers" / f"b.{suffix}", good + broken)
    assert load_landing(settings).rejects["customers"] == 3
    values = query(
        settings, "select distinct column_name, coalesce(value, '') from landing.rejected_rows order by all"
    )
    assert values == [("customer_id", ""), ("known_at", "never")]
    output = capfd.readouterr()
    assert "secret" not in output.out + output.err


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("b.csv", ORDERS + "o3,1\n", "most often 'a line' has too few columns: 2, not 5"),
        ("b.csv", ORDERS + "o3,1,,2017-01-05,2017-01-05,ada@secret.example\n", "'a line' has too many columns: 6, not 5"),
        ("b.csv", ORDERS + 'o3,1,"ada@secret.example,2017-01-05,2017-01-05\n', "'a line' has a quote that is never closed"),
        ("b.csv", ORDERS.encode() + b"o3,1,M\xfcnchen,2017-01-05,2017-01-05\n", "not utf-8"),
        ("b.csv", b"order_id,customer_id,st\xf6re,ordered_at,known_at\n", "not utf-8"),
        ("b.csv", "order_id,order_id,customer_id,ordered_at,known_at\n", "a name twice"),
        ("b.csv", "order_id,,customer_id,ordered_at,known_at\n", "a column without a name"),
        ("b.csv", ORDERS.replace(",", ";"), "lacks the column 'order_id'"),
        ("b.jsonl", '{"order_id": "o3", "customer_id": "ada@secret.example"\n', "'a line' is no JSON"),
        ("b.jsonl", "ada@secret.example\n", "'a line' is no JSON"),
        ("b.parquet", "ada@secret.example", "No magic bytes found"),
        ("b.xlsx", "ada@secret.example", "only .csv, .parquet, .jsonl can be read, not '.xlsx'"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_and_leaves_nothing_behind(settings, name, content, complaint):
    land_shop(settings)
    path = settings.landing / "shop" / "orders" / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    settle(path)
    with pytest.raises(ContractBroken) as error:
        load_landing(settings)
    message = sentence(error)
    assert message.startswith(f"shop/orders/{name}")
    assert complaint in message
    assert "secret" not in message
    assert len(loaded(settings, "orders")) == 2
    assert query(settings, "select count(*) from landing.files where file like '%/b.%'") == [(0,)]
    assert query(settings, "select count(*) from landing.rejected_rows") == [(0,)]
    path.unlink()
    land(settings, "orders", ORDERS.replace("o1,", "o8,").replace("o2,", "o9,"), "c.csv")
    load_landing(settings)
    assert [row[0] for row in loaded(settings, "orders")] == ["o1", "o2", "o8", "o9"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_missing_required_column_is_named_beside_those_there_are(settings, suffix):
    land_shop(settings)
    write(
        settings.landing / "shop" / "orders" / f"b.{suffix}",
        [{"order_id": "o3", "ordered_at": "2017-01-05", "known_at": "2017-01-05"}],
    )
    with pytest.raises(ContractBroken) as error:
        load_landing(settings)
    assert sentence(error) == (
        f"shop/orders/b.{suffix} lacks the column 'customer_id' that 'orders' needs; "
        "it has order_id, ordered_at, known_at"
    )


def test_json_lines_without_a_required_key_stop_at_the_threshold(settings):
    land_shop(settings)
    land(settings, "orders", '{"order_id": "o3", "known_at": "2017-01-05"}\n', "b.jsonl")
    with pytest.raises(ContractBroken, match=r"1 of 1 rows break .* most often 'customer_id' is missing"):
        load_landing(settings)


# ---- what is left out, and what is not ----


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_columns_the_contract_does_not_know_are_reported_and_left_out(settings, suffix):
    row = {"order_id": "o3", "customer_id": "1", "ordered_at": "2017-01-05", "known_at": "2017-01-05"}
    land_shop(settings)
    write(
        settings.landing / "shop" / "orders" / f"b.{suffix}", [row | {"source_row": "9", "voucher": "SPRING"}]
    )
    assert load_landing(settings).ignored_columns == {"orders": ("source_row", "voucher")}
    assert loaded(settings, "orders")[-1][0] == "o3"
    assert loaded(settings, "orders")[-1][-2] == 1  # ours, not the file's


def test_column_names_may_be_written_in_capitals(settings):
    land_shop(settings, customers="Customer_ID,EMAIL,Known_At\n1,ada@example.com,2017-01-01\n")
    assert load_landing(settings).ignored_columns == {}
    assert query(settings, "select customer_id, email from landing.customers") == [("1", "ada@example.com")]


def test_a_file_whose_name_begins_with_a_dot_is_left_alone(settings):
    land_shop(settings)
    land(settings, "orders", "half a li", ".b.csv")
    assert load_landing(settings).rows["orders"] == 2
    settle(settings.landing / "shop" / "orders" / ".b.csv").rename(
        settings.landing / "shop" / "orders" / "b.csv"
    )
    with pytest.raises(ContractBroken, match=r"shop/orders/b\.csv"):
        load_landing(settings)


def test_a_name_is_a_name_and_no_pattern(settings):
    """To DuckDB `a[1].csv` means `a1.csv`, and `*.csv` everything."""
    land_shop(settings)
    land(settings, "orders", ORDERS.replace("o1,", "o3,").replace("o2,", "o4,"), "a[1].csv")
    land(settings, "orders", ORDERS.replace("o1,", "o5,").replace("o2,", "o6,"), "it's *.csv")
    assert load_landing(settings).rows["orders"] == 6
    found = query(settings, "select order_id, source_file from landing.orders order by 1")
    assert [order for order, _ in found] == ["o1", "o2", "o3", "o4", "o5", "o6"]
    assert found[2][1] == "shop/orders/a[1].csv"


# ---- once, and only once ----


def test_loading_again_loads_nothing_again(settings):
    land_shop(settings)
    load_landing(settings)
    assert load_landing(settings).rows == {}
    assert len(loaded(settings, "orders")) == 2


def test_the_same_file_landed_twice_counts_once(settings):
    land_shop(settings)
    land(settings, "orders", ORDERS, "copy.csv")
    land(settings, "orders", ORDERS, source="other_shop")
    assert load_landing(settings).rows["orders"] == 2
    land(settings, "orders", ORDERS, "another_copy.csv")
    assert load_landing(settings).rows == {}
    assert len(loaded(settings, "orders")) == 2


def test_a_loaded_file_that_was_changed_in_place_is_refused_until_it_is_restored(settings):
    land_shop(settings, orders=many_orders(200, bad="o2,,,2017-01-05,2017-01-05"))
    load_landing(settings)
    land(settings, "orders", many_orders(201, bad="o2,,,2017-01-05,2017-01-05"))
    with pytest.raises(ContractBroken) as error:
        load_landing(settings)
    assert sentence(error).startswith("shop/orders/a.csv has changed since it was loaded")
    assert len(loaded(settings, "orders")) == 200
    assert len(rejected(settings)) == 1
    land(settings, "orders", many_orders(200, bad="o2,,,2017-01-05,2017-01-05"))
    land(settings, "orders", ORDERS, "b.csv")
    assert load_landing(settings).rows == {"orders": 2}


# ---- repeated, late, out of order, corrected ----


def test_rows_landed_again_in_another_file_count_once(settings):
    """The second file holds the first one's rows, in another order, with one new row."""
    land_shop(settings)
    load_landing(settings)
    header, first, second = ORDERS.splitlines()
    land(
        settings,
        "orders",
        "\n".join([header, second, "o3,1,s1,2017-01-06,2017-01-06", first, first]) + "\n",
        "b.csv",
    )
    report = load_landing(settings)
    assert (report.rows["orders"], report.rejects["orders"], report.repeated) == (1, 0, {"orders": 3})
    assert [row[0] for row in loaded(settings, "orders")] == ["o1", "o2", "o3"]


def test_a_correction_known_later_becomes_a_version_and_one_known_at_the_same_moment_is_refused(settings):
    land_shop(settings, orders=many_orders(300))
    load_landing(settings)
    good, key = ORDERS.splitlines()[0], "n7"
    land(settings, "orders", f"{good}\n{key},2,s1,2017-01-03 10:00:00,2017-01-09\n", "late.csv")
    land(settings, "orders", f"{good}\n{key},3,s1,2017-01-03 10:00:00,2017-01-03 10:00:00\n", "same.csv")
    report = load_landing(settings)
    assert (report.rows["orders"], report.rejects["orders"]) == (1, 1)
    versions = f"select customer_id, known_at from landing.orders where order_id = '{key}' order by known_at"
    assert query(settings, versions) == [("1", utc("2017-01-03 10:00:00")), ("2", utc("2017-01-09"))]
    assert rejected(settings) == [
        ("shop/orders/same.csv", 1, "order_id", key, "duplicate key (order_id) with the same known_at")
    ]


@hypothesis_settings(max_examples=15, deadline=None, derandomize=True)
@given(data=st.data())
def test_whatever_the_order_and_the_files_the_same_rows_are_loaded(tmp_path_factory, data):
    """Versions of six orders, dealt to three files and shuffled, some of them twice: what is loaded is the set."""
    versions = [f"o{order},c{day},,2017-01-01,2017-01-{day:02}" for order in range(6) for day in (2, 5, 9)]
    dealt = data.draw(st.lists(st.sampled_from(versions), min_size=20, max_size=60))
    settings = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("dealt"), token_key="k" * 40)
    land_shop(settings)
    (settings.landing / "shop" / "orders" / "a.csv").unlink()
    for number in range(3):
        text = "\n".join([ORDERS.splitlines()[0], *dealt[number::3]]) + "\n"
        land(settings, "orders", text, f"{number}.csv")
        load_landing(settings)
    found = query(settings, "select order_id, customer_id, day(known_at) from landing.orders order by all")
    assert found == sorted((row.split(",")[0], row.split(",")[1], int(row[-2:])) for row in set(dealt))


def test_a_new_file_may_lack_what_may_be_empty_and_may_bring_what_nobody_asked_for(settings):
    land_shop(settings)
    land(
        settings,
        "orders",
        "order_id,customer_id,ordered_at,known_at,gift\no3,1,2017-01-05,2017-01-05,yes\n",
        "b.csv",
    )
    report = load_landing(settings)
    assert report.ignored_columns == {"orders": ("gift",)}
    assert query(settings, "select order_id, store_id from landing.orders order by 1") == [
        ("o1", "s1"),
        ("o2", None),
        ("o3", None),
    ]


def test_a_column_that_the_contract_gained_is_added_to_a_table_that_was_made_without_it(settings):
    land_shop(settings)
    load_landing(settings)
    with duckdb.connect(str(settings.warehouse)) as db:
        db.execute("alter table landing.orders drop column store_id")
    land(settings, "orders", ORDERS.splitlines()[0] + "\no3,1,s3,2017-01-05,2017-01-05\n", "b.csv")
    load_landing(settings)
    found = query(
        settings, "select order_id, store_id, source_row, load_number from landing.orders order by 1"
    )
    assert found == [("o1", None, 1, 3), ("o2", None, 2, 3), ("o3", "s3", 1, 5)]


def test_json_keys_may_be_written_in_capitals_but_in_one_way_only(settings):
    land_shop(settings)
    row = '{"Order_ID": "o3", "CUSTOMER_ID": "1", "ordered_at": "2017-01-05", "known_at": "2017-01-05"}\n'
    land(settings, "orders", row, "b.jsonl")
    assert load_landing(settings).rows["orders"] == 3
    land(settings, "orders", row + row.replace("Order_ID", "order_id").replace("o3", "o4"), "c.jsonl")
    with pytest.raises(ContractBroken, match="spells the name of a column in two ways"):
        load_landing(settings)


def test_tables_without_news_are_stale_by_their_own_measure_as_of_the_day_asked_for(settings):
    """Orders may be 2 days old, customers 7, products 30; the newest orders here are of 4 January."""
    land_shop(settings)
    assert load_landing(settings).stale == {}
    assert load_landing(settings, as_of=date(2017, 1, 6)).stale == {}
    assert load_landing(settings, as_of=date(2017, 1, 7)).stale == {"orders": 3, "order_lines": 3}
    assert load_landing(settings, as_of=date(2017, 1, 10)).stale == {
        "customers": 8,
        "orders": 6,
        "order_lines": 6,
    }
    # Of what is known only later, that day knows nothing.
    land(settings, "orders", ORDERS.splitlines()[0] + "\no3,1,,2017-01-20,2017-01-20\n", "b.csv")
    assert load_landing(settings, as_of=date(2017, 1, 7)).stale == {"orders": 3, "order_lines": 3}
    assert "orders" not in load_landing(settings, as_of=date(2017, 1, 21)).stale


# ---- mended ----


def mended(settings: Settings) -> Rows:
    return query(
        settings,
        "select row_number, column_name, mended_in, mended_known_at from landing.rejected_rows order by all",
    )


def test_the_mended_file_under_a_new_name_brings_the_mended_rows_and_says_so(settings):
    text = many_orders(300, bad="x,,,2017-01-05,2017-01-05", line="y,1,,2017-01-05")
    land_shop(settings, orders=text)
    assert load_landing(settings).rejects["orders"] == 2
    assert mended(settings) == [(301, "customer_id", None, None), (302, "(line)", None, None)]
    land(settings, "orders", text.replace("x,,", "x,1,").replace("y,1,,", "y,1,,2017-01-05,"), "mended.csv")
    report = load_landing(settings)
    assert (report.rows["orders"], report.rejects["orders"], report.repeated["orders"]) == (2, 0, 300)
    # A line that was no row had no key: nobody can tell that it is mended.
    assert mended(settings) == [
        (301, "customer_id", "shop/orders/mended.csv", utc("2017-01-05")),
        (302, "(line)", None, None),
    ]
    assert len(loaded(settings, "orders")) == 302


def test_a_removed_value_is_mended_by_the_row_with_a_value_known_at_the_same_moment(settings):
    broken = CUSTOMERS.replace("bernd@", "bernd")
    land_shop(settings, customers=broken)
    load_landing(settings)
    assert query(settings, "select email from landing.customers where customer_id = '2'") == [(None,)]
    land(settings, "customers", CUSTOMERS, "mended.csv")
    report = load_landing(settings)
    assert (report.rows["customers"], report.rejects["customers"], report.repeated) == (
        1,
        0,
        {"customers": 1},
    )
    assert query(settings, "select email from landing.customers where customer_id = '2'") == [
        ("bernd@example.com",)
    ]
    assert mended(settings) == [(2, "email", "shop/customers/mended.csv", utc("2017-01-02 08:00:00"))]


def test_a_later_version_that_still_lacks_the_value_mends_nothing(settings):
    land_shop(settings, customers=CUSTOMERS.replace("bernd@", "bernd"))
    load_landing(settings)
    header = CUSTOMERS.splitlines()[0]
    land(settings, "customers", f"{header}\n2,,Bernd,de,DE,Europe/Berlin,2017-01-02,2017-02-01\n", "b.csv")
    load_landing(settings)
    assert mended(settings) == [(2, "email", None, None)]


# ---- thresholds ----


def test_a_file_over_the_threshold_leaves_nothing_behind_and_loads_once_mended(settings):
    """Orders allow one per cent: 2 of 200 pass, 2 of 199 do not."""
    bad = {"x": "x,,,2017-01-05,2017-01-05", "y": "y,,,2017-01-05,2017-01-05"}
    land_shop(settings, orders=many_orders(197, **bad))
    with pytest.raises(ContractBroken) as error:
        load_landing(settings)
    assert sentence(error) == (
        "shop/orders/a.csv: 2 of 199 rows break the contract of 'orders', more than its 1% allow; "
        "most often 'customer_id' is missing"
    )
    assert loaded(settings, "orders") == []
    assert rejected(settings) == []
    assert len(loaded(settings, "order_lines")) == 2  # tables before it stay loaded
    land(settings, "orders", many_orders(198, **bad))  # it was never loaded, so it may be mended in place
    report = load_landing(settings)
    assert (report.rows["orders"], report.rejects["orders"]) == (198, 2)


def test_one_bad_row_in_a_small_file_stops_nobody_whose_table_is_large(settings):
    land_shop(settings, orders=many_orders(200))
    land(settings, "orders", "order_id,customer_id,ordered_at,known_at\nx,,2017-01-05,2017-01-05\n", "b.csv")
    assert load_landing(settings).rejects["orders"] == 1


def test_a_file_of_nothing_but_faults_stops_however_large_the_table_is(settings):
    """100 broken rows are half a per cent of this table, and all of today's file."""
    land_shop(settings, orders=many_orders(20_000))
    load_landing(settings)
    header = ORDERS.splitlines()[0]
    broken = "".join(f"b{n},,,2017-01-05,2017-01-05\n" for n in range(100))
    land(settings, "orders", f"{header}\n{broken}", "b.csv")
    with pytest.raises(ContractBroken, match=r"b\.csv: 100 of 100 rows break"):
        load_landing(settings)
    assert len(loaded(settings, "orders")) == 20_000


# ---- three formats, one meaning ----


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


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_csv_parquet_and_json_lines_load_to_the_same_typed_rows(settings, suffix):
    moment = utc("2017-01-03 10:00:00.250000")
    lines = [
        {"order_id": "o1", "line_number": 1, "product_id": "p1", "quantity": 2, "list_amount": Decimal("3.98"), "discount_amount": Decimal("0.50"), "known_at": moment},
        {"order_id": "o1", "line_number": 2, "product_id": "p2", "quantity": 0, "list_amount": Decimal("0.00"), "discount_amount": Decimal("0.00"), "known_at": moment},
    ]  # fmt: skip
    land_shop(settings)
    (settings.landing / "shop" / "order_lines" / "a.csv").unlink()
    write(settings.landing / "shop" / "order_lines" / f"a.{suffix}", lines)
    assert load_landing(settings).rows["order_lines"] == 2
    here = f"shop/order_lines/a.{suffix}"
    assert loaded(settings, "order_lines") == [
        ("o1", 1, "p1", 2, Decimal("3.9800"), Decimal("0.5000"), moment, here, 1, 2),
        ("o1", 2, "p2", 0, Decimal("0.0000"), Decimal("0.0000"), moment, here, 2, 2),
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_names_beyond_ascii_and_missing_values_survive_every_format(settings, suffix):
    land_shop(settings)
    rows: list[dict[str, object]] = [
        {"customer_id": "3", "email": None, "first_name": "Käthe", "known_at": "2017-01-05"},
        {"customer_id": "4", "email": "wei@example.com", "first_name": "伟", "known_at": "2017-01-05"},
    ]
    write(settings.landing / "shop" / "customers" / f"b.{suffix}", rows)
    load_landing(settings)
    assert query(
        settings,
        "select customer_id, email, first_name, locale from landing.customers where customer_id in ('3', '4') order by 1",
    ) == [("3", None, "Käthe", None), ("4", "wei@example.com", "伟", None)]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("written", "in_utc"),
    [
        ("2017-01-05T10:00:00Z", utc("2017-01-05 10:00:00")),
        ("2017-01-05 10:00:00+02:00", utc("2017-01-05 08:00:00")),
        ("2017-01-05T10:00:00-05:30", utc("2017-01-05 15:30:00")),
        ("2017-01-05 10:00:00", utc("2017-01-05 10:00:00")),
        ("2017-01-05", utc("2017-01-05 00:00:00")),
    ],
)
def test_a_moment_with_an_offset_is_kept_as_the_same_moment_in_utc(settings, suffix, written, in_utc):
    land_shop(settings)
    row = {"order_id": "o3", "customer_id": "1", "ordered_at": written, "known_at": "2017-01-06"}
    write(settings.landing / "shop" / "orders" / f"b.{suffix}", [row])
    load_landing(settings)
    assert query(settings, "select ordered_at from landing.orders where order_id = 'o3'") == [(in_utc,)]


def test_a_parquet_moment_with_a_zone_is_kept_as_the_same_moment_in_utc(settings):
    land_shop(settings)
    eight = pa.array([utc("2017-01-05 08:00:00")], pa.timestamp("us", tz="Europe/Berlin"))  # counted from UTC
    table = pa.table({"order_id": ["o3"], "customer_id": [1], "ordered_at": eight, "known_at": eight})
    pq.write_table(table, settings.landing / "shop" / "orders" / "b.parquet")
    load_landing(settings)
    assert query(settings, "select customer_id, ordered_at from landing.orders where order_id = 'o3'") == [
        ("1", utc("2017-01-05 08:00:00"))
    ]


# ---- whatever comes ----

MESSY = st.one_of(
    st.sampled_from(["", " ", "1", "2", "p1", "2017-01-05", "2035-01-01", "-1", "NULL", "nan", "#", '"', "a,b", "a;b", "'"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)  # fmt: skip
FIELDS = ("order_id", "line_number", "product_id", "quantity", "list_amount", "discount_amount", "known_at")


@pytest.fixture(scope="module")
def large_shop(tmp_path_factory) -> Settings:
    """A loaded shop with so many good order lines that no few bad ones pass the threshold."""
    settings = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("large"), token_key="k" * 40)
    good = "".join(f"g,{number},p1,1,1,0,2017-01-03\n" for number in range(1, 1300))
    land_shop(settings, order_lines=",".join(FIELDS) + "\n" + good)
    load_landing(settings)
    return settings


@hypothesis_settings(max_examples=20, deadline=None, derandomize=True)
@given(rows=st.lists(st.tuples(*[MESSY] * len(FIELDS)), min_size=1, max_size=12))
@example(
    rows=[("#", "1", "p1", "1", "1", "0", "2017-01-05"), ("a;b", "2", "p;1", "1", "1", "0", "2017-01-05")]
)
@example(rows=[("o", "1", "p", "1", "1", "0", "2017-01-05")] * 3)
@example(rows=[("",) * len(FIELDS)])
def test_rows_in_are_rows_kept_and_rows_rejected(large_shop, rows):
    number = len(list((large_shop.landing / "messy").glob("*/*")))
    path = large_shop.landing / "messy" / "order_lines" / f"{number}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    first = (f"only in file {number}", "1", "p1", "1", "1", "0", "2017-01-03")
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([FIELDS, first, *rows])
    report = load_landing(large_shop)
    here = f"messy/order_lines/{number}.csv"
    kept = query(large_shop, f"select source_row from landing.order_lines where source_file = '{here}'")
    broken = query(large_shop, f"select row_number from landing.rejected_rows where file = '{here}'")
    assert (report.rows, report.rejects) == ({"order_lines": len(kept)}, {"order_lines": len(broken)})
    found = {row for (row,) in kept + broken}
    assert len(kept) + len(broken) == len(found)
    assert found <= set(range(1, len(rows) + 2))
    assert len(found) + report.repeated.get("order_lines", 0) == len(rows) + 1
    assert (1,) in kept
