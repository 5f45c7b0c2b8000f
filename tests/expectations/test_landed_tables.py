"""Each landed table is held to the freshness of its own contract; those that say so stop the day."""

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from core.dbt import build
from core.errors import GateFailed
from core.published import Published
from core.settings import Settings
from expectations.gates import GateReport, pass_gate
from expectations.publish import publish
from sources.contract import contracts
from sources.landing import load_landing
from tests.campaigns import small_shop
from tests.sources.landing_kit import land_shop

DAY = date(2017, 12, 4)
SCHEMA = pa.schema(
    [
        ("table_name", pa.string()),
        ("as_of_date", pa.date32()),
        ("is_required", pa.bool_()),
        ("freshness_days", pa.int64()),
        ("stops_after_days", pa.int64()),
        ("stale_days", pa.int64()),
    ]
)
MART = "shop.landed_tables"
pytestmark = [pytest.mark.filterwarnings(line) for line in small_shop.WARNINGS]


def table(
    name: str, stale: int | None, fresh: int = 2, stops: int | None = None, **more: Any
) -> dict[str, Any]:
    row = {"table_name": name, "as_of_date": DAY, "is_required": False, "freshness_days": fresh}
    return row | {"stops_after_days": stops, "stale_days": stale} | more


def gate(settings: Settings, *rows: dict[str, Any]) -> GateReport:
    Published(settings.published).write_candidate(
        "landed_tables", DAY, pa.Table.from_pylist(list(rows), schema=SCHEMA)
    )
    return pass_gate(settings, "landed_tables", DAY)


@pytest.mark.parametrize(("days", "is_late"), [(1, False), (2, False), (3, True), (400, True)])
def test_a_table_past_its_own_freshness_is_a_warning_that_names_it(settings, days, is_late):
    report = gate(settings, table("events", days), table("reviews", days, 500))
    late = (f"days since the newest row of events: {days}, allowed at most 2 (else a warning)",)
    assert (report.critical, report.warnings) == ((), late if is_late else ())


@pytest.mark.parametrize("days", [3, 7])
def test_a_table_that_stops_the_day_warns_first(settings, days):
    report = gate(settings, table("orders", days, 2, 7))
    assert [words.partition(":")[0] for words in report.warnings] == ["days since the newest row of orders"]


def test_a_table_that_stops_the_day_does_so_by_its_own_number(settings):
    with pytest.raises(GateFailed, match="days since the newest row of orders: 8"):
        gate(settings, table("orders", 8, 2, 7), table("events", 400))


def test_a_table_that_is_not_brought_is_named_unless_it_is_required(settings):
    report = gate(settings, table("orders", 1, 2, 7), table("events", None))
    assert (report.warnings, report.remarks) == ((), ("Without a row, so not checked: events.",))
    with pytest.raises(GateFailed, match="days since the newest row of orders: no value"):
        gate(settings, table("orders", None, 2, 7, is_required=True))


def test_what_was_measured_for_another_day_is_stopped(settings):
    with pytest.raises(GateFailed, match="rows of another day of the table: 1"):
        gate(settings, table("orders", 1), table("events", 1, as_of_date=date(2017, 12, 3)))


def test_only_orders_and_their_lines_stop_a_day_and_every_contract_is_measured(settings):
    assert {name for name, contract in contracts().items() if contract.stops_after_days} == {
        "orders",
        "order_lines",
    }
    # The newest order is of 4 January 2017, the newest customer of 2 January, the product of 31 December.
    land_shop(settings)
    load_landing(settings)
    build(settings, "landed_tables", as_of=date(2017, 1, 10))
    publish(settings, [MART], date(2017, 1, 10))
    rows = Published(settings.published).read("landed_tables", date(2017, 1, 10)).to_pylist()
    assert {row["table_name"] for row in rows} == contracts().keys()
    days = {row["table_name"]: row["stale_days"] for row in rows if row["stale_days"] is not None}
    assert days == {"orders": 6, "order_lines": 6, "customers": 8, "products": 10}
    assert len(pass_gate(settings, "landed_tables", date(2017, 1, 10)).warnings) == 3  # not the products
    build(settings, "landed_tables", as_of=date(2017, 1, 12))
    with pytest.raises(GateFailed, match=r"2 critical .* days since the newest row of order_?(lines|s): 8"):
        publish(settings, [MART], date(2017, 1, 12))
    assert not Published(settings.published).exists("landed_tables", date(2017, 1, 12))
