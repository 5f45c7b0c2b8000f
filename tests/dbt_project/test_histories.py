"""What holds for any history: the future changes no feature, and increments in any order equal one build of it all.

`TEST_HISTORIES` says how many histories.
"""

import os
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.campaigns import small_shop
from tests.dbt_project.compiled import CompiledFeatures
from tests.dbt_project.histories import ARRIVALS, DAY, MIDNIGHT, land, shops, side_by_side

HISTORIES = int(os.environ.get("TEST_HISTORIES", "200"))
AT_ONCE = 10
DISTANCES = [-400, -92, -60, -31, -8, -7, -3, -2, -1, 0, 1, 2, 8, 31]
"""In days, of the builds before the last one; that one is of `DAY`."""
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
@given(
    rows=st.lists(shops(), min_size=AT_ONCE, max_size=AT_ONCE).map(side_by_side),
    days=st.lists(st.sampled_from(DISTANCES), min_size=ARRIVALS, max_size=ARRIVALS),
    whole=st.lists(st.booleans(), min_size=ARRIVALS + 1, max_size=ARRIVALS + 1),
)
def test_increments_equal_a_rebuild_and_the_future_changes_nothing(compiled, rows, days, whole):
    """Whatever days were built in between, forwards or backwards, whatever had arrived by then, and whichever builds
    wrote the measures whole.
    """
    known = [row for row in rows if row["known_at"] < MIDNIGHT]
    alone = features_of_all(compiled, known)
    with compiled.empty_warehouse() as db:
        for arrival, distance in enumerate(days, start=1):
            land(db, [row for row in rows if row["arrival"] == arrival], arrival)
            compiled.build(db, DAY + timedelta(days=distance), whole=whole[arrival])
        found = compiled.build(db, whole=whole[0])
    assert found == alone


@pytest.mark.parametrize("before", [-1, -8, -100, 1, 30], ids="built {:+d} days from it".format)
def test_every_age_leaves_its_window_on_its_day(compiled, before):
    """One customer for each age, to whom nothing has happened since."""
    rows = [row for age in range(470) for row in quiet_customer(age)]
    with compiled.empty_warehouse() as db:
        land(db, rows, 1)
        compiled.build(db, DAY + timedelta(days=before))
        gone_on = compiled.build(db)
    assert gone_on == features_of_all(compiled, rows)


def quiet_customer(age: int) -> list[dict]:
    """Return what landed of them: an order of that age, one 200 days before, and a cart that no order followed."""
    moment = MIDNIGHT - timedelta(days=age, hours=-9)
    customer = {"customer_id": f"c{age}", "place": age}
    long_ago = moment - timedelta(days=900)
    rows = [
        {"table": "customers", **customer, "known_at": long_ago},
        {"table": "products", "product_id": "p1", "category": "tea", "known_at": long_ago, "place": age},
        {
            "table": "events", **customer, "event_id": f"e{age}", "kind": "add_to_cart",
            "happened_at": moment + timedelta(days=3), "known_at": moment + timedelta(days=3),
        },
    ]  # fmt: skip
    for number, ordered_at in enumerate([moment - timedelta(days=200), moment]):
        order = {"order_id": f"o{age}-{number}", "known_at": ordered_at}
        rows += [
            {"table": "orders", **customer, **order, "ordered_at": ordered_at},
            {
                "table": "order_lines", **order, "line_number": 1, "product_id": "p1", "quantity": 2,
                "list_amount": 3, "discount_amount": 1, "place": age,
            },
        ]  # fmt: skip
    return rows


def test_the_histories_hold_what_they_should():
    """A property over histories without corrections or late rows would show little."""
    seen = {"rows": 0, "late": 0, "future": 0, "corrected": 0}

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(rows=shops())
    def look(rows):
        seen["rows"] += len(rows)
        seen["future"] += sum(row["known_at"] >= MIDNIGHT for row in rows)
        lines = [(row["order_id"], row["line_number"]) for row in rows if row["table"] == "order_lines"]
        seen["corrected"] += len(lines) - len(set(lines))
        by_known = sorted(rows, key=lambda row: row["known_at"])
        seen["late"] += sum(a["arrival"] > b["arrival"] for a, b in pairwise(by_known))

    look()  # the same histories every time: in one of many runs chance would leave too few corrections
    assert min(seen["late"], seen["future"], seen["corrected"]) > 100, seen
