"""The index of a shift is what its definition gives, for numbers, for missing values and for a sample of the days before."""

import random
from math import log
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.published import Published
from expectations import drift as module
from expectations.drift import drift, population_stability_index
from expectations.trailing import trailing
from tests.expectations.test_customer_features import DAY, release

Values = list[float | None]


def write(path: Path, values: Values) -> Path:
    rows = {"customer_id": [f"c{number}" for number in range(len(values))], "as_of_date": [DAY] * len(values)}
    pq.write_table(pa.table(rows | {"x": pa.array(values, pa.float64())}), path)
    return path


def index(tmp_path: Path, before: Values, now: Values) -> float:
    published = Published(tmp_path)
    day = published.candidate("customer_features", DAY.replace(day=1))
    write(day, before)
    published.release("customer_features", DAY.replace(day=1))
    days = trailing(published, "customer_features", DAY)
    with duckdb.connect() as db:
        found = drift(db, write(tmp_path / "now.parquet", now), ["x"], days)
    assert found.keys() == {"x"}
    return found["x"]


def by_definition(before: list[float], now: list[float]) -> float:
    """Sum (a - e) ln(a / e) over shares, half a customer more in each bin."""
    e = [(count + 0.5) / (sum(before) + len(before) / 2) for count in before]
    a = [(count + 0.5) / (sum(now) + len(now) / 2) for count in now]
    return sum((x - y) * log(x / y) for x, y in zip(a, e, strict=True))


def test_ten_values_that_become_one_are_as_far_as_the_definition_says(tmp_path):
    before: Values = [float(value) for value in range(1, 11) for _ in range(100)]
    # Tenths at 1, 2 … 9, a bin beyond, one without a value.
    expected = by_definition([100.0] * 10 + [0], [1000.0] + [0] * 10)
    assert index(tmp_path, before, [1.0] * 1000) == pytest.approx(expected, rel=1e-12)


def test_values_that_vanish_are_a_bin_of_their_own(tmp_path):
    expected = by_definition([1000.0, 0, 0], [500.0, 0, 500.0])  # all tenths are 7: up to it, beyond, without
    assert index(tmp_path, [7.0] * 1000, [7.0] * 500 + [None] * 500) == pytest.approx(expected, rel=1e-12)


def test_a_feature_nobody_had_that_some_have_now_has_moved(tmp_path):
    expected = by_definition([0.0, 0, 1000], [0.0, 250, 750])
    assert index(tmp_path, [None] * 1000, [3.0] * 250 + [None] * 750) == pytest.approx(expected, rel=1e-12)


def test_two_draws_from_one_population_differ_by_little_more_than_chance(tmp_path):
    """Ten bins, 2,000 and 2,000 customers: 9 (1/2000 + 1/2000) = 0.009 by mean, 0.017 once in twenty."""
    chance = random.Random(3)
    before: Values = [chance.gauss() for _ in range(2000)]
    now: Values = [chance.gauss() for _ in range(2000)]
    assert 0 < index(tmp_path, before, now) < 0.03


def test_a_sample_of_the_days_before_gives_nearly_the_index_of_all_of_them(tmp_path, monkeypatch):
    chance = random.Random(4)
    before: Values = [chance.gauss() for _ in range(20_000)]
    now: Values = [chance.gauss(0.5) for _ in range(20_000)]
    whole = index(tmp_path / "whole", before, now)
    monkeypatch.setattr(module, "POOL_ROWS", 4_000)
    sampled = index(tmp_path / "sampled", before, now)
    assert sampled != whole
    assert sampled == pytest.approx(whole, rel=0.15)
    assert index(tmp_path / "again", before, now) == sampled  # drawn by a hash, not by chance


def test_the_index_is_the_same_both_ways_and_never_below_zero():
    assert population_stability_index([10, 20, 70], [30, 30, 40]) == pytest.approx(
        population_stability_index([30, 30, 40], [10, 20, 70])
    )
    assert population_stability_index([5, 0, 0], [0, 0, 5]) > 0


def test_only_the_four_weeks_before_count(settings):
    for days_before in (29, 28, 1):
        release(settings, days_before, [])
    found = trailing(Published(settings.published), "customer_features", DAY)
    assert [snapshot.day.isoformat() for snapshot in found] == ["2017-11-06", "2017-12-03"]
