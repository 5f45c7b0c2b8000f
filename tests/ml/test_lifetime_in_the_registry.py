"""Value and next order from published tables to `customer_value`, with a real MLflow store."""

import shutil
from datetime import timedelta

import numpy as np
import pytest
import skops.io

from core.errors import NotPublished
from core.published import Published
from ml.lifetime.models import TRUSTED_TYPES
from ml.registry import Registry
from ml.scoring import score
from ml.tables import CUSTOMER_VALUE_SCHEMA
from ml.train import train_lifetime
from tests.ml import shop as other_shop
from tests.ml.lifetime_shop import AS_OF, alike, drawn, publish, tables
from tests.ml.shop import settings_of


@pytest.fixture(scope="module")
def champion_shop(tmp_path_factory, empty_store):
    """A shop with a champion of value, trained once; the other models have none."""
    folder = tmp_path_factory.mktemp("valued")
    shutil.copy(empty_store, folder / "mlflow.sqlite")
    settings = settings_of(folder)
    other_shop.publish(settings)  # products and purchases, which scoring reads for the other models
    publish(settings, training_tables(drawn()))
    outcome = train_lifetime(settings, AS_OF)
    assert outcome.promoted, outcome.reason
    return folder


@pytest.fixture
def valued(champion_shop, tmp_path):
    shutil.copytree(champion_shop, tmp_path / "copy")
    return settings_of(tmp_path / "copy")


def training_tables(orders):
    """The shop's tables, with the columns that the other models read of purchases."""
    rows = tables(orders)
    count = len(rows["interactions"])
    bought = rows["interactions"].append_column("product_id", [["p01"] * count])
    for name in ("line_count", "quantity"):
        bought = bought.append_column(name, [np.ones(count, dtype=np.int64)])
    return rows | {"interactions": bought}


def test_every_customer_gets_a_value_of_the_champion_over_the_judged_horizon(valued):
    assert score(valued, AS_OF)["customer_value"] == 400
    rows = Published(valued.published).read("customer_value", AS_OF)
    assert rows.schema.remove_metadata() == CUSTOMER_VALUE_SCHEMA
    champion = Registry(valued).champion("lifetime")
    assert champion is not None
    found = rows.to_pylist()
    assert [row["customer_id"] for row in found] == sorted(drawn())
    for row in found:
        assert (row["horizon_days"], row["run_id"]) == (84, champion.run_id)
        assert (row["model_name"], row["model_version"]) == ("lifetime", "1")


def test_who_has_long_been_quiet_is_worth_less_than_who_has_not(valued):
    score(valued, AS_OF)
    worth = {
        row["customer_id"]: row
        for row in Published(valued.published).read("customer_value", AS_OF).to_pylist()
    }
    pasts = {name: [day for day, _ in own if day < AS_OF] for name, own in drawn().items()}
    often = {name: past for name, past in pasts.items() if len(past) >= 10}
    gap = {name: (past[-1] - past[0]).days / (len(past) - 1) for name, past in often.items()}
    quiet = {name: (AS_OF - past[-1]).days for name, past in often.items()}
    gone = [worth[name] for name in often if quiet[name] > 10 * gap[name]]
    here = [worth[name] for name in often if quiet[name] < 5]
    assert len(gone) > 10
    assert len(here) > 10
    assert all(row["alive_probability"] < 0.2 for row in gone)
    assert all(row["next_order_date"] is None for row in gone if row["alive_probability"] < 0.05)
    assert all(row["next_order_date"] >= AS_OF for row in here)
    assert all(row["alive_probability"] > 0.7 for row in here)
    assert max(row["value_cents"] for row in gone) < np.median([row["value_cents"] for row in here])


def test_scoring_again_and_in_another_order_of_rows_writes_the_same_bytes(valued):
    published = Published(valued.published)
    score(valued, AS_OF)
    before = published.path("customer_value", AS_OF).read_bytes()
    rows = tables(drawn())["customer_features"]
    shuffled = rows.take(np.random.default_rng(1).permutation(len(rows)))
    publish(valued, {"customer_features": shuffled})
    score(valued, AS_OF)
    assert published.path("customer_value", AS_OF).read_bytes() == before


def test_figures_of_the_champion_are_published_beside_the_baseline(valued):
    score(valued, AS_OF)
    figures = Published(valued.published).read("model_figures", AS_OF).to_pylist()
    beside = {(row["model_name"], row["metric"], row["baseline_name"]): row for row in figures}
    error = beside["lifetime", "relative_mae", "same_rate"]
    assert error["value"] < error["baseline_value"]
    assert beside["lifetime", "value_held", None]["baseline_value"] is None


def test_the_saved_model_is_no_pickle_and_holds_only_types_of_ours(champion_shop):
    (weights,) = champion_shop.glob("mlflow_artifacts/lifetime/models/*/artifacts/model.skops")
    assert not list(weights.parent.glob("*.pkl"))
    assert set(skops.io.get_untrusted_types(file=weights)) == set(TRUSTED_TYPES)


def test_training_again_on_the_same_data_changes_nothing(valued):
    before = Registry(valued).champion("lifetime")
    assert before is not None
    outcome = train_lifetime(valued, AS_OF)
    assert (outcome.run_id, outcome.version, outcome.promoted) == (before.run_id, "1", True)


def test_a_refused_model_is_logged_and_the_champion_stays(valued):
    publish(valued, training_tables(alike()))
    outcome = train_lifetime(valued, AS_OF)
    assert (outcome.promoted, outcome.version) == (False, "2")
    champion = Registry(valued).champion("lifetime")
    assert champion is not None
    assert champion.version == "1"


def test_a_day_without_purchases_cannot_be_trained(valued):
    tomorrow = AS_OF + timedelta(days=1)
    published = Published(valued.published)
    for name in ("churn_examples", "customer_features"):
        published.write_candidate(name, tomorrow, published.read(name, AS_OF))
        published.release(name, tomorrow)
    with pytest.raises(NotPublished, match="interactions is not published for 2017-12-05"):
        train_lifetime(valued, tomorrow)
