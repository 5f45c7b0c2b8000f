"""`lapwing lifetime show`: what a customer is expected to do, for a person and for a machine."""

import json
from datetime import date

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cli.app import app
from core.published import Published
from core.settings import load_settings
from ml.tables import CUSTOMER_VALUE_SCHEMA

DAY = date(2017, 12, 4)
ROW = {
    "customer_id": "7",
    "as_of_date": DAY,
    "horizon_days": 84,
    "alive_probability": 0.01,
    "expected_orders": 0.1,
    "value_cents": 512.25,
    "value_low_cents": 0.0,
    "value_high_cents": 900.0,
    "model_name": "lifetime",
    "model_version": "1",
    "run_id": "r",
}


pytestmark = pytest.mark.usefixtures("own_folder")


def show(customer, rows, *options):
    published = Published(load_settings().published)
    published.write_candidate("customer_value", DAY, pa.Table.from_pylist(rows, schema=CUSTOMER_VALUE_SCHEMA))
    published.release("customer_value", DAY)
    return CliRunner().invoke(app, ["lifetime", "show", customer, "--as-of", str(DAY), *options])


def test_a_customers_row_is_shown_and_a_day_that_is_missing_is_a_dash():
    shown = json.loads(show("7", [ROW], "--json").stdout)
    assert (shown["value_cents"], shown["horizon_days"], shown["next_order_date"]) == (512.25, 84, None)
    lines = [line.split() for line in show("7", [ROW]).stdout.splitlines()]
    assert ["next_order_date", "—"] in lines
    assert ["value", "5.12"] in lines  # 512.25 cents
    assert ["value_high", "9.00"] in lines


@pytest.mark.parametrize(
    ("rows", "said"),
    [([], "no model of value had been promoted"), ([ROW], "customer '8' has no value of 2017-12-04")],
)
def test_a_customer_without_a_value_is_told_why(rows, said):
    found = show("8", rows)
    assert found.exit_code != 0
    assert said in str(found.exception)
