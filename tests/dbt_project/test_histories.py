"""What holds for any history: the future changes no feature, and increments in any order equal one build of it all.

`TEST_HISTORIES` says how many histories.
"""

import os
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.campaigns import small_shop
from tests.dbt_project.compiled import CompiledFeatures
from tests.dbt_project.histories import ARRIVALS, DAY, MIDNIGHT, land, shops, side_by_side

HISTORIES = int(os.environ.get("TEST_HISTORIES", "200"))
AT_ONCE = 10
many = settings(
    max_examples=HISTORIES // AT_ONCE,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> CompiledFeatures:
    return CompiledFeatures(small_shop.settings_of(tmp_path_factory.mktemp("compiled") / "data"), DAY)


def features_of_all(compiled, rows):
    with compiled.empty_warehouse() as db:
        land(db, rows, 1)
        return compiled.build(db)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@many
@given(rows=st.lists(shops(), min_size=AT_ONCE, max_size=AT_ONCE).map(side_by_side))
def test_increments_equal_a_rebuild_and_the_future_changes_nothing(compiled, rows):
    known = [row for row in rows if row["known_at"] < MIDNIGHT]
    alone = features_of_all(compiled, known)
    with compiled.empty_warehouse() as db:
        for arrival in range(1, ARRIVALS + 1):
            land(db, [row for row in rows if row["arrival"] == arrival], arrival)
            found = compiled.build(db)
    assert found == alone


def test_the_histories_hold_what_they_should():
    """A property over histories without corrections or late rows would show little."""
    seen = {"rows": 0, "late": 0, "future": 0, "corrected": 0}

    @settings(max_examples=100, deadline=None, database=None)
    @given(rows=shops())
    def look(rows):
        seen["rows"] += len(rows)
        seen["future"] += sum(row["known_at"] >= MIDNIGHT for row in rows)
        lines = [(row["order_id"], row["line_number"]) for row in rows if row["table"] == "order_lines"]
        seen["corrected"] += len(lines) - len(set(lines))
        by_known = sorted(rows, key=lambda row: row["known_at"])
        seen["late"] += sum(a["arrival"] > b["arrival"] for a, b in pairwise(by_known))

    look()
    assert min(seen["late"], seen["future"], seen["corrected"]) > 100, seen
