"""`lapwing segments show`: what a day's segments are, for a person and for a machine."""

import json
from datetime import date

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cli.app import app
from core.published import Published
from core.settings import load_settings
from ml.tables import SEGMENT_PROFILES_SCHEMA

DAY = date(2017, 12, 4)
SHOW = ["segments", "show", "--as-of", str(DAY)]


pytestmark = pytest.mark.usefixtures("own_folder")


def publish(rows):
    published = Published(load_settings().published)
    table = pa.Table.from_pylist(rows, schema=SEGMENT_PROFILES_SCHEMA)
    published.write_candidate("segment_profiles", DAY, table)
    published.release("segment_profiles", DAY)


def row(number, name, customers, feature, difference, mean):
    return {
        "segment_id": f"20171204-{number}",
        "as_of_date": DAY,
        "segment_name": name,
        "customers_count": customers,
        "feature": feature,
        "difference": difference,
        "segment_mean": mean,
        "everybody_mean": 20.0,
        "model_name": "segments",
        "model_version": "1",
        "run_id": "r",
    }


ROWS = [
    row(2, "active customers", 30, "recency_days", -0.9, 4.0),
    row(2, "active customers", 30, "discount_share", 0.1, 0.2),
    row(1, "lapsing big spenders", 90, "discount_share", 0.3, 0.3),
    row(1, "lapsing big spenders", 90, "recency_days", 1.5, 81.5),
    row(3, "weekend customers", 0, "discount_share", None, None),
    row(3, "weekend customers", 0, "recency_days", None, None),
]


def test_segments_are_listed_largest_first_with_what_sets_them_apart_the_most():
    publish(ROWS)
    said = CliRunner().invoke(app, [*SHOW, "--json"])
    assert said.exit_code == 0
    shown = json.loads(said.stdout)
    assert [(each["segment_name"], each["customers"], each["share"]) for each in shown] == [
        ("lapsing big spenders", 90, 0.75),
        ("active customers", 30, 0.25),
        ("weekend customers", 0, 0.0),
    ]
    assert [each["feature"] for each in shown[0]["sets_apart"]] == ["recency_days", "discount_share"]


def test_a_person_reads_means_in_their_own_unit():
    publish(ROWS)
    lines = CliRunner().invoke(app, SHOW).stdout.splitlines()
    (lapsing,) = [line for line in lines if "lapsing big spenders" in line]
    assert "75%" in lapsing
    assert "recency_days 81.5 (everybody 20); discount_share 0.3 (everybody 20)" in lapsing
    (nobody,) = [line for line in lines if "weekend customers" in line]
    assert nobody.rstrip().endswith("—")


def test_a_day_scored_without_a_champion_says_so():
    publish([])
    said = CliRunner().invoke(app, SHOW)
    assert (said.exit_code, said.stdout) == (0, "nothing\n")
    assert "no model of segments had been promoted" in said.stderr
