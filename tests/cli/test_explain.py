"""`lapwing churn explain`: a customer's score, part by part."""

import json
import math
from datetime import date

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cli.app import app
from core.published import Published
from core.settings import load_settings
from ml.tables import CHURN_REASONS_SCHEMA, CHURN_SCORES_SCHEMA

DAY = date(2017, 12, 4)
MADE_BY = {"as_of_date": DAY, "model_name": "churn", "model_version": "1", "run_id": "r"}
PARTS = [("pause", 1.5, "Orders about every 12 days, now quiet for 31."), ("hours", -0.5, "Against.")]


@pytest.fixture(autouse=True)
def shop(own_folder):
    """One explained customer, whose log odds are -2 + 1.5 - 0.5, and one who is not."""
    scores = [
        MADE_BY
        | {"customer_id": customer, "churn_probability": 1 / (1 + math.e), "churn_band": band}
        | {"value_at_stake_cents": 500.0, "expected_profit_cents": 10.0}
        for customer, band in (("7", "medium"), ("8", "low"))
    ]
    reasons = [
        MADE_BY
        | {
            "customer_id": "7",
            "rank": rank,
            "reason": reason,
            "shift_log_odds": shift,
            "base_log_odds": -2.0,
            "own_value": 31.0,
            "text": text,
        }
        for rank, (reason, shift, text) in enumerate(PARTS, start=1)
    ]
    published = Published(load_settings().published)
    tables = {"churn_scores": (scores, CHURN_SCORES_SCHEMA), "churn_reasons": (reasons, CHURN_REASONS_SCHEMA)}
    for name, (rows, schema) in tables.items():
        published.write_candidate(name, DAY, pa.Table.from_pylist(rows, schema=schema))
        published.release(name, DAY)


def explain(customer, *options):
    return CliRunner().invoke(app, ["churn", "explain", customer, "--as-of", str(DAY), *options])


def test_base_and_parts_add_up_to_the_score():
    lines = json.loads(explain("7", "--json").stdout)
    assert [line["shift_log_odds"] for line in lines] == [-2.0, 1.5, -0.5, -1.0]
    assert [line["reason"] for line in lines] == [None, "pause", "hours", None]
    assert lines[-1]["text"] == "Log odds of 0.2689, band medium."
    assert "Orders about every 12 days, now quiet for 31." in explain("7").stdout


@pytest.mark.parametrize(("customer", "said"), [("8", "the band is low"), ("9", "has no churn score")])
def test_a_customer_without_reasons_is_told_why(customer, said):
    found = explain(customer)
    assert found.exit_code != 0
    assert said in str(found.exception)
