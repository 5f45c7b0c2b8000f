"""Touched customers scored again, and lists for those warned of, on the simulated shop with real MLflow."""

from datetime import timedelta

import pyarrow as pa
import pytest

from core.errors import ModelRefused, NotPublished
from core.published import Published
from core.settings import Settings
from ml.registry import Registry
from ml.scoring import score
from ml.watch import recommend, watch
from tests.ml.shop import AS_OF


def put(settings: Settings, table: str, rows: pa.Table) -> None:
    published = Published(settings.published)
    published.write_candidate(table, AS_OF, rows)
    published.release(table, AS_OF)


def touch(settings: Settings, count: int) -> pa.Table:
    """Publish every third customer as one with news, the last first; return their features."""
    rows = Published(settings.published).read("customer_features", AS_OF)
    rows = rows.take(pa.array(list(range(len(rows) - 1, -1, -3))[:count], pa.int64()))
    put(settings, "touched_features", rows)
    return rows


def warn(settings: Settings, *customers: str) -> None:
    put(settings, "warnings_raised", pa.table({"customer_id": pa.array(customers, pa.string())}))


def listed(settings: Settings, table: str, customer: str, question: str) -> list[str]:
    rows = Published(settings.published).read(table, AS_OF).to_pylist()
    asked = (customer, question)
    return [row["product_id"] for row in rows if (row["customer_id"], row["question"]) == asked]


def by_customer(settings: Settings, table: str) -> dict[str, dict[str, object]]:
    rows = Published(settings.published).read(table, AS_OF).to_pylist()
    return {row["customer_id"]: row for row in rows}


def test_touched_customers_get_the_scores_that_scoring_everybody_gives_them(trained, tmp_path):
    settings = trained(tmp_path / "shop")
    score(settings, AS_OF)
    asked = set(touch(settings, 40)["customer_id"].to_pylist())
    counts = watch(settings, AS_OF)
    everybody, again = by_customer(settings, "churn_scores"), by_customer(settings, "churn_watch")
    assert set(again) == asked
    for customer_id, row in again.items():
        whole = everybody[customer_id]
        # Sums over fewer rows may be added up in another order.
        assert row.pop("churn_probability") == pytest.approx(whole.pop("churn_probability"), abs=1e-12)
        assert row == whole
    bands = [row["churn_band"] for row in again.values()]
    assert counts == {"touched": 40} | {band: bands.count(band) for band in ("high", "medium", "low")}
    assert len(set(bands)) == 3


def test_bands_follow_what_the_whole_shop_puts_at_stake_not_the_touched_alone(trained, tmp_path):
    settings = trained(tmp_path / "shop")
    score(settings, AS_OF)
    scores = Published(settings.published).read("churn_scores", AS_OF)
    place = scores.column_names.index("value_at_stake_cents")
    # With 10,000.00 at stake, treating pays from (100 + 2) / (0.1 * (1,000,000 - 100) + 100) = 0.001 on.
    rich = scores.set_column(place, scores.schema.field(place), pa.array([1e6] * len(scores)))
    put(settings, "churn_scores", rich)
    touch(settings, 40)
    assert watch(settings, AS_OF) == {"touched": 40, "high": 40, "medium": 0, "low": 0}


def test_nothing_is_trained_and_the_days_own_scores_stay_as_they_were(trained, tmp_path):
    settings = trained(tmp_path / "shop")
    score(settings, AS_OF)
    before = by_customer(settings, "churn_scores")
    touch(settings, 5)
    watch(settings, AS_OF)
    assert by_customer(settings, "churn_scores") == before
    newest = Registry(settings).newest("churn", by=AS_OF)
    assert newest is not None
    assert newest.version == "1"


def test_a_day_on_which_nobody_has_news_is_a_table_without_rows(trained, tmp_path):
    settings = trained(tmp_path / "shop")
    touch(settings, 0)
    assert watch(settings, AS_OF) == {"touched": 0, "high": 0, "medium": 0, "low": 0}
    assert by_customer(settings, "churn_watch") == {}


def test_a_day_before_the_champion_and_one_that_nobody_built_are_refused(trained, tmp_path):
    settings = trained(tmp_path / "shop")
    with pytest.raises(NotPublished, match="touched_features"):
        watch(settings, AS_OF)
    with pytest.raises(ModelRefused, match="was trained as of 2017-12-04"):
        watch(settings, AS_OF - timedelta(days=1))


def test_customers_warned_of_get_the_lists_that_listing_everybody_gives_them(trained, tmp_path):
    settings = trained(tmp_path / "shop")
    score(settings, AS_OF)
    everybody = Published(settings.published).read("recommendations", AS_OF).to_pylist()
    warned = ["c150", "c003", "c999"]  # the last bought nothing that may be recommended
    warn(settings, *warned)
    assert recommend(settings, AS_OF) == {"raised": 3, "listed": 3}
    file = Published(settings.published).path("watch_recommendations", AS_OF)
    rows, content = (
        Published(settings.published).read("watch_recommendations", AS_OF).to_pylist(),
        file.read_bytes(),
    )
    assert rows == [row for row in everybody if row["customer_id"] in warned]
    assert {row["question"] for row in rows} == {"new", "again"}
    recommend(settings, AS_OF)
    assert file.read_bytes() == content
    assert Published(settings.published).read("recommendations", AS_OF).to_pylist() == everybody


def test_lists_of_the_warned_know_what_became_known_today_and_keep_the_rules_of_trade(trained, tmp_path):
    settings = trained(tmp_path / "shop")
    score(settings, AS_OF)
    new, again = (listed(settings, "recommendations", "c003", each)[0] for each in ("new", "again"))
    yesterday = AS_OF - timedelta(days=1)
    interactions = Published(settings.published).read("interactions", AS_OF)
    bought = {
        "customer_id": "c003",
        "product_id": new,
        "ordered_date": yesterday,
        "line_count": 1,
        "quantity": 1,
    }
    put(
        settings,
        "interactions",
        pa.concat_tables([interactions, pa.Table.from_pylist([bought], interactions.schema)]),
    )
    sent_back = {"customer_id": ["c003"], "product_id": [again], "returned_date": [yesterday]}
    put(settings, "product_objections", pa.table(sent_back))
    warn(settings, "c003")
    recommend(settings, AS_OF)
    assert new not in listed(settings, "watch_recommendations", "c003", "new")
    assert again not in listed(settings, "watch_recommendations", "c003", "again")
    assert len(listed(settings, "watch_recommendations", "c003", "new")) == 12


def test_without_warnings_or_a_champion_there_are_no_lists(trained, shop, tmp_path):
    settings = trained(tmp_path / "shop")
    warn(settings)
    assert recommend(settings, AS_OF) == {"raised": 0, "listed": 0}
    warn(shop, "c003")
    assert recommend(shop, AS_OF) == {"raised": 1, "listed": 0}
    for each in (settings, shop):
        assert len(Published(each.published).read("watch_recommendations", AS_OF)) == 0
