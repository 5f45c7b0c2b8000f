"""A real MLflow store on SQLite, with models small enough to fit in a millisecond."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from matplotlib.figure import Figure
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

from core.errors import ModelRefused
from core.settings import PROJECT
from ml.churn.compare import compare
from ml.provenance import Source, file_digest
from ml.registry import Registry
from ml.training import FittedModel, Training, refused_for_want_of_history

AS_OF = date(2017, 12, 4)
X = np.arange(20.0).reshape(-1, 1)


def training(key="k1", *, is_promoted=True, as_of=AS_OF, drawings=None, reason="beats recency"):
    model = LogisticRegression().fit(X, X[:, 0] > 9)
    return Training(
        "churn",
        Source(as_of, key, {"lapwing.data_hash": "abc"}),
        "logistic_regression",
        {"horizon_days": 28, "train_cutoffs": "2017-10-09, 2017-11-06"},
        {"pr_auc": 0.6, "recency.pr_auc": 0.5, "choice/logistic_regression/pr_auc": 0.58},
        {"pr_auc": [0.55, 0.65], "recency.pr_auc": [0.5, 0.5]},
        {"choice": {"pr_auc": [0.55, 0.65]}},
        {"roc": Figure()} if drawings is None else drawings,
        is_promoted,
        reason,
        FittedModel(model, pd.DataFrame(X), model.predict_proba(X), [], "predict_proba"),
    )


@pytest.fixture
def registry(shop):
    return Registry(shop)


@pytest.fixture
def client(shop):
    return MlflowClient(shop.mlflow, shop.mlflow)


def weights_of(settings) -> Path:
    (found,) = settings.data_dir.glob("mlflow_artifacts/churn/models/*/artifacts/model.skops")
    return found


def test_a_model_comes_back_from_the_store_as_it_went_in(registry):
    logged = registry.log(training())
    registry.promote(logged)
    champion = registry.champion("churn")
    assert champion == logged
    assert (champion.version, champion.trained_as_of, champion.is_promoted) == ("1", AS_OF, True)
    assert champion.figures == {"pr_auc": 0.6, "recency.pr_auc": 0.5}
    expected = LogisticRegression().fit(X, X[:, 0] > 9).predict_proba(X)
    assert np.array_equal(registry.load(champion, []).predict_proba(X), expected)


def test_a_run_holds_what_it_takes_to_repeat_it(registry, client):
    run = client.get_run(registry.log(training()).run_id)
    assert run.data.params["train_cutoffs"] == "2017-10-09, 2017-11-06"
    assert run.data.tags["lapwing.data_hash"] == "abc"
    assert run.data.tags["lapwing.trained_as_of_date"] == "2017-12-04"
    assert [m.value for m in client.get_metric_history(run.info.run_id, "fold/recency.pr_auc")] == [0.5, 0.5]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "figures")] == ["figures/roc.png"]
    version = client.get_model_version("churn", "1")
    assert version.run_id == run.info.run_id


def test_the_saved_model_names_its_signature_and_requirements_and_is_no_pickle(registry, shop):
    registry.log(training())
    folder = weights_of(shop).parent
    assert "signature" in (folder / "MLmodel").read_text()
    assert "scikit-learn==" in (folder / "requirements.txt").read_text()
    assert not list(folder.glob("*.pkl"))
    assert skops.io.get_untrusted_types(file=folder / "model.skops") == []


def test_a_refused_model_is_logged_with_its_reason_and_never_champion(registry, client):
    logged = registry.log(training(is_promoted=False, reason="pr_auc gains +0.0000 over recency"))
    with pytest.raises(ModelRefused, match="version 1 is not promoted: pr_auc gains"):
        registry.promote(logged)
    with pytest.raises(ModelRefused, match="cannot be champion"):
        registry.move_champion("churn", "1")
    assert registry.champion("churn") is None
    assert client.get_run(logged.run_id).data.tags["lapwing.reason"].startswith("pr_auc gains")


def test_an_alias_put_on_a_refused_model_by_another_hand_is_not_obeyed(registry, client):
    registry.log(training(is_promoted=False))
    client.set_registered_model_alias("churn", "champion", "1")
    with pytest.raises(ModelRefused, match="did not pass its bar"):
        registry.champion("churn")


def test_a_tampered_model_is_refused(registry, shop):
    logged = registry.log(training())
    other = LogisticRegression().fit(X, X[:, 0] < 9)  # a valid file, and a model that says the opposite
    skops.io.dump(other, weights_of(shop))
    with pytest.raises(ModelRefused, match="is not what was logged"):
        registry.load(logged, [])


def test_a_model_whose_file_is_gone_is_refused(registry, shop):
    logged = registry.log(training())
    weights_of(shop).unlink()
    with pytest.raises(ModelRefused, match="cannot be read"):
        registry.load(logged, [])


def test_training_that_found_too_little_history_is_logged_without_a_model(registry):
    logged = registry.log(refused_for_want_of_history("churn", Source(AS_OF, "k", {}), "too little history"))
    assert (logged.version, logged.is_promoted, logged.reason) == ("", False, "too little history")
    with pytest.raises(ModelRefused, match=r"version \(none\) is not promoted: too little history"):
        registry.promote(logged)


def test_what_an_interrupted_training_left_is_removed_by_the_next(registry, client):
    with pytest.raises(TypeError, match="Unsupported figure"):
        registry.log(training(drawings={"roc": "not a figure"}))
    assert registry.finished("churn", "k1") is None
    logged = registry.log(training())
    assert registry.finished("churn", "k1") == logged
    experiment = client.get_experiment_by_name("churn")
    assert [run.info.run_id for run in client.search_runs([experiment.experiment_id])] == [logged.run_id]


def test_a_champion_moved_back_by_hand_stays_there_when_training_runs_again(registry):
    first, second = registry.log(training("k1")), registry.log(training("k2"))
    registry.promote(first)
    registry.promote(second)
    registry.move_champion("churn", first.version)
    registry.promote(second)  # the training of k2, run once more
    assert registry.champion("churn") == first


def test_the_newest_version_of_a_day_ignores_later_trainings(registry):
    registry.log(training("k1", as_of=date(2017, 11, 6)))
    registry.log(training("k2", as_of=AS_OF))
    assert registry.newest("churn", by=date(2017, 12, 3)).version == "1"
    assert registry.newest("churn", by=AS_OF).version == "2"
    assert registry.newest("churn", by=date(2017, 11, 5)) is None


def test_asking_for_a_champion_makes_no_store(settings):
    registry = Registry(settings)
    assert registry.champion("churn") is None
    assert registry.finished("churn", "k1") is None
    assert list(settings.data_dir.iterdir()) == []


@pytest.mark.timeout(120)
def test_a_store_whose_maker_is_killed_is_made_by_the_next(settings):
    script = "from core.settings import Settings; from ml.registry import Registry; Registry(Settings()).make_store()"
    environment = os.environ | {"LAPWING_DATA_DIR": str(settings.data_dir), "LAPWING_TOKEN_KEY": "k" * 40}
    with subprocess.Popen([sys.executable, "-c", script], cwd=PROJECT, env=environment) as maker:
        while not has_some_tables(settings.data_dir):
            assert maker.poll() is None, "it was quicker than we could look"
        maker.kill()
    assert not (settings.data_dir / "mlflow.sqlite").exists()
    Registry(settings).make_store()
    assert Registry(settings).log(training()).version == "1"


def has_some_tables(folder):
    """Say whether MLflow is in the middle of making its tables."""
    made = [folder / name for name in ("mlflow.unfinished", "mlflow.sqlite")]
    return any(file.exists() and file.stat().st_size > 50_000 for file in made)


def test_the_digest_of_files_notices_where_one_ends_and_the_next_begins(tmp_path):
    for name, text in {"a": "xy", "b": "z", "c": "x", "d": "yz"}.items():
        (tmp_path / name).write_text(text)
    files = {name: tmp_path / name for name in "abcd"}
    assert file_digest([files["a"], files["b"]]) != file_digest([files["c"], files["d"]])


def test_a_version_that_was_deleted_cannot_be_champion_and_one_sentence_says_so(registry, client):
    first, second = registry.log(training("k1")), registry.log(training("k2"))
    registry.promote(second)
    client.delete_model_version("churn", first.version)
    for version in (first.version, "99"):
        with pytest.raises(
            ModelRefused, match=rf"^model 'churn' has no version {version}, or none any more; [^\n]+$"
        ):
            registry.move_champion("churn", version)
    with pytest.raises(ModelRefused, match="has no version 1"):
        registry.promote(first)
    found = registry.finished("churn", "k1")  # its run is still there, without a version
    assert found is not None
    with pytest.raises(ModelRefused, match=r"has no version \(none\)"):
        registry.promote(found)
    champion = registry.champion("churn")
    assert champion is not None
    assert champion.version == "2"


def test_a_version_whose_bytes_were_changed_is_not_promoted_either(registry, shop):
    logged = registry.log(training())
    weights = weights_of(shop)
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    for move in (lambda: registry.promote(logged), lambda: registry.move_champion("churn", "1")):
        with pytest.raises(ModelRefused, match="version 1 is not what was logged"):
            move()
    assert registry.champion("churn") is None


def test_the_newest_version_is_challenger_until_it_is_champion(registry):
    assert registry.challenger("churn") is None
    first = registry.log(training("k1"))
    assert registry.challenger("churn") == first
    registry.promote(first)
    assert registry.challenger("churn") is None
    refused = registry.log(training("k2", is_promoted=False))
    assert (registry.champion("churn"), registry.challenger("churn")) == (first, refused)
    registry.promote(registry.log(training("k3")))
    assert registry.challenger("churn") is None
    assert registry.champion_before("churn") == "1"  # version 2 never was
    registry.move_champion("churn", "1")
    assert registry.champion_before("churn") is None


def test_reviewers_find_the_card_and_a_table_row_by_row(registry, client):
    rows = pd.DataFrame({"test_cutoff": ["2017-10-09", "2017-10-23"], "pr_auc": [0.55, 0.65]})
    logged = registry.log(replace(training(), card="# churn\n", tables={"folds": rows}))
    found = registry.document(logged, "folds")
    pd.testing.assert_frame_equal(pd.DataFrame(found["data"], columns=found["columns"]), rows)
    assert registry.document(logged, "slices") is None
    run = client.get_run(logged.run_id)
    assert run.data.tags["mlflow.note.content"] == "# churn\n"
    assert "tables/folds.json" in run.data.tags["mlflow.loggedArtifacts"]  # what MLflow shows as a table
    assert "model_card.md" in [file.path for file in client.list_artifacts(run.info.run_id)]


def judged_training(key, days, pr_auc, brier_of_zh):
    values = dict.fromkeys(("roc_auc", "brier", "ece"), [0.1] * len(days))
    folds = pd.DataFrame({"test_cutoff": days, "pr_auc": pr_auc} | values)
    slices = pd.DataFrame({"test_cutoff": days, "slice": "locale=zh", "brier": brier_of_zh})
    return replace(training(key), tables={"folds": folds, "slices": slices})


def test_two_versions_are_compared_over_the_cut_offs_both_were_judged_at(registry):
    """Gains of 0.01, 0.02 and 0.03: their mean 0.02, give or take 4.303 * 0.01 / sqrt(3)."""
    first = registry.log(judged_training("k1", ["a", "b", "c", "d"], [0.5, 0.5, 0.5, 0.9], [0.2] * 4))
    second = registry.log(judged_training("k2", ["z", "a", "b", "c"], [0.1, 0.51, 0.52, 0.53], [0.1] * 4))
    rows = {(row["slice"], row["figure"]): row for row in compare(registry, first, second)}
    assert len(rows) == 5
    row = rows["everybody", "pr_auc"]
    assert (row["first"], row["second"], row["difference"]) == pytest.approx((0.5, 0.52, 0.02))
    assert (row["low"], row["high"]) == pytest.approx((0.02 - 0.02484, 0.02 + 0.02484), abs=1e-5)
    assert row["cutoffs"] == 3
    assert rows["locale=zh", "brier"]["difference"] == pytest.approx(-0.1)


def test_versions_without_a_common_cut_off_stand_side_by_side_without_a_difference(registry):
    first = registry.log(judged_training("k1", ["a", "c"], [0.5, 0.6], [0.2] * 2))
    second = registry.log(judged_training("k2", ["b", "d"], [0.7, 0.8], [0.1] * 2))
    row = compare(registry, first, second)[0]
    assert (row["first"], row["second"]) == pytest.approx((0.55, 0.75))
    assert (row["difference"], row["low"], row["high"], row["cutoffs"]) == (None, None, None, 0)
    with pytest.raises(ModelRefused, match="it was not judged"):
        compare(registry, first, registry.log(training("k3")))
