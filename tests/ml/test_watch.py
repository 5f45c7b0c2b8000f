"""Touched customers scored again, on the simulated shop with real MLflow."""

from datetime import timedelta

import pyarrow as pa
import pytest

from core.errors import ModelRefused, NotPublished
from core.published import Published
from core.settings import Settings
from ml.registry import Registry
from ml.scoring import score
from ml.watch import watch
from tests.ml.shop import AS_OF


def touch(settings: Settings, count: int) -> pa.Table:
    """Publish every third customer as one with news, the last first; return their features."""
    published = Published(settings.published)
    rows = published.read("customer_features", AS_OF)
    rows = rows.take(pa.array(list(range(len(rows) - 1, -1, -3))[:count], pa.int64()))
    published.write_candidate("touched_features", AS_OF, rows)
    published.release("touched_features", AS_OF)
    return rows


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
    published = Published(settings.published)
    scores = published.read("churn_scores", AS_OF)
    place = scores.column_names.index("value_at_stake_cents")
    # With 10,000.00 at stake, treating pays from (100 + 2) / (0.1 * (1,000,000 - 100) + 100) = 0.001 on.
    rich = scores.set_column(place, scores.schema.field(place), pa.array([1e6] * len(scores)))
    published.write_candidate("churn_scores", AS_OF, rich)
    published.release("churn_scores", AS_OF)
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
