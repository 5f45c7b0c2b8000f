"""Segments from published features to published segments, with a real MLflow store."""

import json
import shutil
from datetime import date, timedelta

import numpy as np
import pytest
import skops.io
import yaml
from mlflow import MlflowClient

from core.errors import ModelRefused, NotPublished
from core.published import Published
from ml.registry import Registry
from ml.scoring import score
from ml.segments.models import TRUSTED_TYPES
from ml.tables import SEGMENT_PROFILES_SCHEMA, SEGMENTS_SCHEMA
from ml.train import train_segments
from tests.ml.segment_shop import AS_OF, COLUMNS, KINDS, features_of, habits, planted, truth
from tests.ml.shop import publish, settings_of

TOMORROW = AS_OF + timedelta(days=1)


def publish_features(settings, table, day=AS_OF):
    published = Published(settings.published)
    for name in ("interactions", "products"):
        published.write_candidate(name, day, published.read(name, AS_OF))
        published.release(name, day)
    published.write_candidate("customer_features", day, table)
    published.release("customer_features", day)
    return published


@pytest.fixture(scope="module")
def champion_shop(tmp_path_factory, empty_store):
    """A shop of planted kinds with a champion of segments, trained once; the other models have none."""
    folder = tmp_path_factory.mktemp("segmented")
    shutil.copy(empty_store, folder / "mlflow.sqlite")
    settings = settings_of(folder)
    publish(settings)
    publish_features(settings, planted())
    outcome = train_segments(settings, AS_OF)
    assert outcome.promoted, outcome.reason
    return folder


@pytest.fixture
def segmented(champion_shop, tmp_path):
    """A copy of that shop for one test; MLflow knows where the files of the first lie, and they stay as they are."""
    shutil.copytree(champion_shop, tmp_path / "copy")
    return settings_of(tmp_path / "copy")


def test_every_customer_gets_a_segment_of_the_champion_and_his_rfm_cell(segmented):
    counts = score(segmented, AS_OF)
    assert (counts["segments"], counts["segment_profiles"]) == (600, len(KINDS) * len(COLUMNS))
    published = Published(segmented.published)
    rows, profiles = published.read("segments", AS_OF), published.read("segment_profiles", AS_OF)
    assert rows.schema.remove_metadata() == SEGMENTS_SCHEMA
    assert profiles.schema.remove_metadata() == SEGMENT_PROFILES_SCHEMA
    champion = Registry(segmented).champion("segments")
    assert champion is not None
    made_by = {(row["model_name"], row["model_version"], row["run_id"]) for row in rows.to_pylist()}
    assert made_by == {("segments", champion.version, champion.run_id)}
    ids = np.array(rows["segment_id"].to_pylist())
    assert [len(set(ids[truth() == kind])) for kind in range(len(KINDS))] == [1, 1, 1, 1]
    assert len(set(ids)) == len(KINDS)
    customers = {row["segment_id"]: row["customers_count"] for row in profiles.to_pylist()}
    assert customers == {each: int((ids == each).sum()) for each in set(ids)}


def test_scoring_again_and_in_another_order_of_rows_writes_the_same_bytes(segmented):
    published = Published(segmented.published)
    score(segmented, AS_OF)
    before = [published.path(name, AS_OF).read_bytes() for name in ("segments", "segment_profiles")]
    publish_features(segmented, planted().take(np.random.default_rng(1).permutation(600)))
    score(segmented, AS_OF)
    assert [published.path(name, AS_OF).read_bytes() for name in ("segments", "segment_profiles")] == before


def test_the_run_holds_a_chart_of_each_segment_and_what_was_left_out(segmented):
    client = MlflowClient(segmented.mlflow, segmented.mlflow)
    champion = Registry(segmented).champion("segments")
    assert champion is not None
    charts = {file.path for file in client.list_artifacts(champion.run_id, "figures")}
    each = {f"figures/segment_20171204-{number}.png" for number in range(1, 5)}
    assert charts == each | {"figures/sizes.png", "figures/choice.png"}
    run = client.get_run(champion.run_id)
    assert run.data.params["k"] == "4"
    assert run.data.params["features"] == ", ".join(COLUMNS)
    assert run.data.params["left_out"] == "none"
    assert run.data.metrics["choice/k4/stability"] > 0.9
    assert {f"{name}.silhouette" for name in ("rfm", "shuffled", "one_crowd")} <= set(run.data.metrics)


def test_the_saved_model_fixes_its_features_in_the_signature_and_is_no_pickle(champion_shop):
    (weights,) = champion_shop.glob("mlflow_artifacts/segments/models/*/artifacts/model.skops")
    signature = yaml.safe_load((weights.parent / "MLmodel").read_text())["signature"]
    assert [column["name"] for column in json.loads(signature["inputs"])] == list(COLUMNS)
    assert not list(weights.parent.glob("*.pkl"))
    assert set(skops.io.get_untrusted_types(file=weights)) == set(TRUSTED_TYPES)


def test_a_champion_stays_where_the_next_training_says_the_same(segmented):
    publish_features(segmented, features_of(habits(truth(), seed=3), TOMORROW), TOMORROW)
    outcome = train_segments(segmented, TOMORROW)
    assert not outcome.promoted
    assert outcome.reason.startswith("the champion (version 1) says the same")
    champion = Registry(segmented).champion("segments")
    assert champion is not None
    assert (champion.version, champion.trained_as_of) == ("1", AS_OF)


def test_a_champion_that_cannot_be_read_stops_scoring_and_not_training(shop):
    publish_features(shop, planted())
    assert train_segments(shop, AS_OF).promoted
    (weights,) = shop.data_dir.glob("mlflow_artifacts/segments/models/*/artifacts/model.skops")
    weights.write_bytes(b"spoilt")
    with pytest.raises(ModelRefused, match="is not what was logged"):
        score(shop, AS_OF)
    publish_features(shop, features_of(habits(truth()), TOMORROW), TOMORROW)
    outcome = train_segments(shop, TOMORROW)
    assert (outcome.promoted, outcome.version) == (True, "2")
    score(shop, TOMORROW)
    found = Published(shop.published).read("segments", TOMORROW)["segment_id"].to_pylist()
    assert {each.partition("-")[0] for each in found} == {"20171205"}


def test_a_past_day_is_trained_without_the_champion_of_a_later_one(segmented):
    earlier = AS_OF - timedelta(days=7)
    publish_features(segmented, features_of(habits(truth()), earlier), earlier)
    outcome = train_segments(segmented, earlier)
    assert outcome.promoted
    assert "agreement_with_champion" not in outcome.figures


def test_a_shop_without_kinds_is_refused_and_its_segments_reach_nobody(shop):
    values = np.random.default_rng(2).permuted(habits(truth()), axis=0)
    publish_features(shop, features_of(values))
    outcome = train_segments(shop, AS_OF)
    assert (outcome.promoted, outcome.version) == (False, "1")
    assert score(shop, AS_OF)["segments"] == 0
    assert Published(shop.published).read("segments", AS_OF).schema.remove_metadata() == SEGMENTS_SCHEMA


def test_a_day_without_features_cannot_be_trained(shop):
    with pytest.raises(NotPublished, match="customer_features is not published for 2017-12-25"):
        train_segments(shop, date(2017, 12, 25))
