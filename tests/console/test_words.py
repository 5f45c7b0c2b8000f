from datetime import UTC, datetime

import numpy as np
import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from console.charts import lengths, stacked
from console.ledger import open_for_looking
from console.population import standing
from console.words import FEATURES, local_time, percent, quantity
from core.settings import PROJECT
from tests.console.mails import keep_ledger
from tests.console.tables import FEATURES as FEATURE_COLUMNS

TEN = np.arange(0.0, 100.0, 10.0)


def test_a_place_in_the_population_counts_ties_half():
    place = standing(30.0, TEN)
    assert place is not None
    assert (place.below, place.above) == (0.3, 0.6)
    assert place.position == pytest.approx(0.35)
    assert standing(1.0, np.array([])) is None


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (30.0, "less than 60% of customers"),
        (80.0, "more than 80% of customers"),
        (90.0, "no customer has more"),
        (0.0, "no customer has less"),
    ],
)
def test_a_place_is_said_by_the_share_that_says_most(value, sentence):
    place = standing(value, TEN)
    assert place is not None
    assert place.sentence == sentence


def test_where_most_are_equal_the_place_says_so():
    place = standing(0.0, np.array([0.0] * 8 + [1.0, 2.0]))
    assert place is not None
    assert place.sentence == "the same as 80% of customers"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (41, "days", "41 days"),
        (1, "days", "1 day"),
        (12.44, "days", "12.4 days"),
        (123456, "cents", "$1,234.56"),
        (0.8, "share", "80%"),
        (18.0, "hour", "18:00"),
        (0.0, "weekday", "Sunday"),
        (2.0, "weekday", "Tuesday"),
        (2.5, "ratio", "2.5\N{MULTIPLICATION SIGN}"),
        (1234, "count", "1,234"),
        (None, "days", "not known"),
        ("FROZEN GROCERY", "text", "Frozen grocery"),
    ],
)
def test_a_value_is_said_with_its_unit(value, unit, words):
    assert quantity(value, unit, "USD") == words


def test_a_percentage_is_rounded_to_none_or_all_only_if_it_is():
    shares = (0.0, 0.0004, 0.02, 0.5, 0.996, 0.9996, 1.0)
    assert [percent(share) for share in shares] == ["0%", "<0.1%", "2.0%", "50%", "99.6%", ">99.9%", "100%"]


def test_features_with_words_of_their_own_are_in_the_catalogue():
    file = PROJECT / "dbt_project" / "models" / "marts" / "ml" / "customer_features.yml"
    (model,) = yaml.safe_load(file.read_text())["models"]
    assert set(FEATURES) <= {column["name"] for column in model["columns"]}
    assert set(FEATURE_COLUMNS.names) - {"customer_id", "as_of_date"} <= set(FEATURES)


def test_local_time_knows_summer_time_and_is_silent_about_unknown_zones():
    summer = datetime(2017, 7, 4, 22, 30, tzinfo=UTC)
    assert local_time(summer, "America/New_York") == "18:30 on 4 July in America/New York"
    assert local_time(summer, "Nowhere/Town") is None


def test_stacked_parts_meet_without_a_gap_and_fill_the_bar():
    parts = stacked([("a", 1), ("b", 0), ("c", 3)])
    assert [(part.name, part.start, part.width) for part in parts] == [("a", 0.0, 25.0), ("c", 25.0, 75.0)]
    assert stacked([("a", 0)]) == []


def test_bars_are_measured_against_the_longest():
    assert lengths([1.0, 4.0, -1.0]) == [25.0, 100.0, 0.0]
    assert lengths([]) == []


def test_the_ledger_cannot_be_changed_through_the_consoles_engine(settings):
    keep_ledger(settings, {})
    with (
        open_for_looking(settings.ledger).connect() as connection,
        pytest.raises(OperationalError, match="readonly"),
    ):
        connection.execute(text("delete from sends"))
