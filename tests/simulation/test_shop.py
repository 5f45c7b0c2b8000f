from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from simulation.shop import SimulatedShop, simulate_shop
from sources.contract import contracts
from sources.landing import load_landing

TABLES = ("customers", "consents", "products", "orders", "order_lines")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def shop(folder) -> SimulatedShop:
    return simulate_shop(folder)


def query(folder, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as db:
        for table in TABLES:
            db.execute(f"create view {table} as from read_csv('{folder}/{table}/{table}.csv')")
        return db.sql(sql).fetchall()


def test_shop_keeps_the_source_contract_to_the_last_row(settings):
    shop = simulate_shop(settings.landing / "simulated", customers=60, days=90)
    report = load_landing(settings)
    assert sum(report.rejects.values()) == 0
    assert {table: report.rows[table] for table in TABLES} == shop.rows
    assert report.ignored_columns == {}


def test_files_have_the_columns_of_the_contracts_in_their_order(folder, shop):
    assert set(shop.rows) == set(TABLES)
    for table in TABLES:
        header = (folder / table / f"{table}.csv").read_text().splitlines()[0]
        written, columns = header.split(","), contracts()[table].columns
        assert written == [column.name for column in columns if column.name in written]
        # none of its orders is cancelled, and it says nothing of ages and costs
        assert {column.name for column in columns} - set(written) <= {
            "status",
            "birth_year",
            "birthday",
            "unit_cost_amount",
        }


def test_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path):
    def written(name: str, seed: int) -> list[bytes]:
        simulate_shop(tmp_path / name, customers=20, days=30, seed=seed)
        return [(tmp_path / name / table / f"{table}.csv").read_bytes() for table in TABLES]

    assert written("a", 1) == written("b", 1)
    assert written("a", 1)[3] != written("c", 2)[3]


def test_nobody_orders_from_the_day_they_left_on_and_those_who_stay_do(folder, shop):
    last: dict[str, date] = dict(
        query(folder, "select customer_id, max(ordered_at)::date from orders group by all")
    )
    gone = [customer for customer in shop.customers if customer.left_on]
    stayed = [customer for customer in shop.customers if customer.left_on is None]
    assert len(gone) > 60
    assert len(stayed) > 60
    assert all(last[c.customer_id] < c.left_on for c in gone if c.customer_id in last)
    # A chance of at least 1/40 a day leaves fewer than one in nine (0.975 ** 90) silent for the last 90 days.
    recent = [c for c in stayed if last.get(c.customer_id, date.min) >= date(2026, 1, 1) + timedelta(days=90)]
    assert len(recent) > 0.89 * len(stayed)


def test_customers_order_about_as_often_as_their_chance_says(folder, shop):
    counts: dict[str, int] = dict(query(folder, "select customer_id, count(*) from orders group by all"))
    stayed = [customer for customer in shop.customers if customer.left_on is None]
    expected = sum(180 * customer.daily_chance for customer in stayed)
    found = sum(counts.get(customer.customer_id, 0) for customer in stayed)
    assert found == pytest.approx(
        expected, abs=4 * expected**0.5
    )  # four standard deviations of a Poisson count


def test_five_lines_of_six_are_of_the_customers_own_taste(folder, shop):
    tastes = {customer.customer_id: customer.taste for customer in shop.customers}
    lines = query(
        folder,
        """select customer_id, category from order_lines join orders using (order_id)
        join products using (product_id)""",
    )
    own = sum(tastes[str(customer)] == category for customer, category in lines) / len(lines)
    assert own == pytest.approx(
        0.8 + 0.2 / 6, abs=0.02
    )  # one in six of the rest is of that category by chance
    assert len(lines) > 5000


def test_every_address_is_plainly_invented(folder, shop):
    assert shop.rows["customers"] == 200
    assert query(folder, "select count(*) from customers where email not like '%@example.com'") == [(0,)]


def test_shop_too_small_to_sell_anything_says_so(tmp_path):
    with pytest.raises(ValueError, match="1 simulated customers ordered nothing in 1 days"):
        simulate_shop(tmp_path, customers=1, days=1)
    assert list(tmp_path.iterdir()) == []
