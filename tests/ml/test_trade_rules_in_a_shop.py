"""Costs, birth years and countries that a shop brings: from its landing files to the lists of a day."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pytest
import yaml

from core.dbt import build
from core.published import Published
from core.settings import Settings
from expectations.publish import DAILY, publish
from ml.scoring import score
from ml.train import train_recommender
from simulation.shop import simulate_shop
from sources.landing import load_landing
from tests.campaigns import small_shop

DAY = date(2026, 4, 1)
DEAR, CHEAP = "p10", "p11"
COSTS = {DEAR: "100.00", CHEAP: "0.01"}
"""Every price of the simulated shop lies between 0.99 and 9.98."""
RULES = {
    "minimum_margin": {"share": 0.5},
    "limits": [
        {"categories": ["Drinks"], "minimum_age": 18},
        {"categories": ["Bakery"], "countries": ["US", "CA"]},
    ],
}
# Whoever was born in 2007 is 18 by the end of 2025; of 2008, some are still 17 on 1 April 2026.
BORN = ("1985", "2007", "2008", "2015", "")
LIVES = ("US", "CA", "DE", "")
WRONG = {"c1": {"birth_year": "1800"}, "c2": {"country_code": "Germany"}}

Row = dict[str, str]

pytestmark = [pytest.mark.filterwarnings(line) for line in small_shop.WARNINGS]


@dataclass(frozen=True)
class Day:
    """The shop on its day: what landed, what was published, who was shown what."""

    settings: Settings
    customers: list[Row]
    products: list[Row]

    def published(self, table: str) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = Published(self.settings.published).read(table, DAY).to_pylist()
        return rows

    def shown(self, category: str) -> set[str]:
        """Return who is shown anything of a category."""
        among = {row["product_id"] for row in self.products if row["category"] == category}
        return {
            str(row["customer_id"]) for row in self.published("recommendations") if row["product_id"] in among
        }

    def removed(self, rule: str, count: str) -> int:
        return sum(
            int(str(row[count])) for row in self.published("recommendation_removals") if row["rule"] == rule
        )


def rewrite(file: Path, change: Callable[[int, Row], Row]) -> list[Row]:
    """Write each row of a landing file anew, as `change` makes it of its number and the row."""
    with file.open(encoding="utf-8") as old:
        rows = [change(number, row) for number, row in enumerate(csv.DictReader(old))]
    with file.open("w", newline="", encoding="utf-8") as new:
        writer = csv.DictWriter(new, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return rows


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Day:
    """A simulated shop that brings costs, birth years and countries, after the scoring of its day."""
    folder = tmp_path_factory.mktemp("traded")
    (folder / "rules.yml").write_text(yaml.safe_dump(RULES))
    settings = small_shop.settings_of(folder, rules_of_trade=str(folder / "rules.yml"))
    shutil.copy(empty_store, folder / "mlflow.sqlite")
    landing = settings.landing / "simulated"
    simulate_shop(landing, customers=120, days=90)
    customers = rewrite(
        landing / "customers" / "customers.csv",
        lambda number, row: (
            row
            | {"birth_year": BORN[number % len(BORN)], "country_code": LIVES[number % len(LIVES)]}
            | WRONG.get(row["customer_id"], {})
        ),
    )
    products = rewrite(
        landing / "products" / "products.csv",
        lambda _, row: row | {"unit_cost_amount": COSTS.get(row["product_id"], "")},
    )
    load_landing(settings)
    build(settings, "tag:features", as_of=DAY)
    publish(settings, DAILY, DAY)
    assert train_recommender(settings, DAY).promoted
    score(settings, DAY)
    return Day(settings, customers, products)


def test_what_no_contract_allows_is_emptied_with_its_reason_and_a_birth_year_is_not_shown(day):
    with duckdb.connect(str(day.settings.warehouse), read_only=True) as db:
        found = db.sql("select column_name, value, reason from landing.rejected_rows order by 1").fetchall()
    assert found == [
        ("birth_year", "(personal, not shown)", "is below 1900: value removed, row kept"),
        ("country_code", "Germany", "is no country's code (ISO 3166-1 alpha-2): value removed, row kept"),
    ]
    traits = {row["customer_id"]: row for row in day.published("customer_traits")}
    assert len(traits) == len(day.customers)
    assert (traits["c1"]["birth_year"], traits["c2"]["country_code"]) == (None, None)
    assert {name for row in traits.values() for name in row} == {
        "customer_id", "as_of_date", "birth_year", "country_code"
    }  # fmt: skip


def test_what_costs_too_much_is_on_no_list_and_counted_and_an_unknown_cost_is_allowed(day):
    costs = {row["product_id"]: row["cost_cents"] for row in day.published("products")}
    assert {product: cost for product, cost in costs.items() if cost is not None} == {DEAR: 10000, CHEAP: 1}
    listed = {row["product_id"] for row in day.published("recommendations")}
    assert DEAR not in listed
    assert {CHEAP, "p12"} <= listed
    # Everybody could be shown it: as new, or again who bought it before.
    assert day.removed("minimum_margin", "pair_count") == len(day.published("customer_features"))


def test_limited_products_are_shown_to_those_known_to_be_of_age_or_in_the_country(day):
    known = {row["customer_id"]: row for row in day.customers}
    shown = day.shown("Drinks")
    assert {known[customer]["birth_year"] for customer in shown} == {"1985", "2007"}
    shown = day.shown("Bakery")
    assert {known[customer]["country_code"] for customer in shown} == {"US", "CA"}
    assert day.removed("limits", "product_count") > 0
