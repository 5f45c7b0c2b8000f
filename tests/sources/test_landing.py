"""What a shop brings is loaded whole or not at all; what is broken is named, shown to nobody, and can be mended."""

import csv
from datetime import date
from decimal import Decimal

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.errors import ContractBroken
from core.settings import Settings
from sources.contract import contracts
from sources.landing import LandingReport, load_landing
from tests.sources.landing_kit import (
    CUSTOMERS,
    ORDERS,
    SHOP,
    land,
    land_shop,
    loaded,
    many_orders,
    query,
    rejected,
    sentence,
    settle,
    utc,
    write,
)


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
            ("purpose", "newsletter", "is none of 'marketing', 'sms', 'push', 'call'"),
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
    land_shop(settings, customers=CUSTOMERS.replace(",de,", ",pt,"))
    load_landing(settings)
    assert query(settings, "select customer_id, locale from landing.customers order by 1") == [
        ("1", "en"),
        ("2", None),
    ]
    assert rejected(settings) == [
        (
            "shop/customers/a.csv",
            2,
            "locale",
            "pt",
            "is none of 'ar', 'de', 'en', 'es', 'fr', 'ja', 'zh': value removed, row kept",
        )
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


# ---- an older warehouse ----


def test_a_warehouse_from_before_loads_had_numbers_is_refused_and_left_as_it_was(settings):
    land_shop(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(settings.warehouse)) as db:
        db.execute(
            "create schema landing; create table landing.files (digest varchar primary key, file varchar)"
        )
    with pytest.raises(ContractBroken) as error:
        load_landing(settings)
    assert "remove warehouse.duckdb" in sentence(error)
    settings.warehouse.unlink()
    assert load_landing(settings).rows["orders"] == 2


def test_a_cost_that_is_none_is_removed_and_the_product_stays(settings):
    header, good = SHOP["products"].splitlines()
    products = [f"{good.replace('p1', f'p{number}')},0.99" for number in range(1, 300)]
    products[6] = products[6].replace(",0.99", ",-1")
    land_shop(settings, products="\n".join([f"{header},unit_cost_amount", *products]) + "\n")
    load_landing(settings)
    said = "is below 0: value removed, row kept"
    assert rejected(settings) == [("shop/products/a.csv", 7, "unit_cost_amount", "-1", said)]
    assert query(settings, "select count(*), count(unit_cost_amount) from landing.products") == [(299, 298)]
