"""The benchmarks of recommenders in small: what they draw is what they say, and ours and the peers' find the same."""

import numpy as np
import pytest

from benchmarks.movielens import Ratings
from benchmarks.recommend_elsewhere import (
    last_left_out,
    neighbour_results,
    peer_results,
    sequence_results,
    split_in_time,
)
from benchmarks.recommend_speed import STEPS, Size
from benchmarks.tastes import make_histories
from ml.recommend.models import CANDIDATES
from simulation.sequences import FOLLOWS_SHARE, LENGTHS, Sequences, simulate_sequences

SMALL = Size(customers=300, products=200, pairs=6_000)


@pytest.fixture(scope="module")
def sequences():
    return simulate_sequences(customers=400, products=1_200, seed=3)


@pytest.fixture(scope="module")
def ratings():
    """People and films of three tastes; every person rates on both sides of most moments."""
    rng = np.random.default_rng(5)
    customers = np.repeat(np.arange(300), 40)
    products = 3 * rng.integers(0, 40, len(customers)) + customers % 3
    seconds = np.sort(rng.integers(0, 90 * 86_400, (300, 40)), axis=1).ravel()
    _, first = np.unique(customers * 120 + products, return_index=True)  # each rates a film once
    kept = np.sort(first)
    names = np.array([f"{number:03d}" for number in range(300)])
    return Ratings(names, names[:120], customers[kept], products[kept], seconds[kept], np.arange(120) % 3)


def test_purchases_of_any_size_are_as_many_as_asked_and_the_same_for_a_seed():
    one, again, other = (make_histories(300, 200, 6_000, seed=seed) for seed in (1, 1, 2))
    assert one.counts.nnz == len(one.products) == 6_000
    assert one.shape == (300, 200)
    assert np.array_equal(one.products, again.products)
    assert not np.array_equal(one.products, other.products)
    sold = np.sort(np.bincount(one.products))[::-1]
    assert sold[:20].sum() > 4 * sold[-20:].sum()  # few products sell much


@pytest.mark.parametrize(("step", "share"), [("factorisation", 1.0), ("neighbours", 0.99)])
def test_ours_list_what_implicit_lists(step, share):
    found = STEPS[step](SMALL)
    assert found["same"] >= share  # neighbours: the last of them may be tied
    assert found.get("exact", 1.0) == 1.0


def test_every_candidate_is_timed():
    assert set(STEPS) == {"factorisation", "neighbours", *CANDIDATES}
    found = STEPS["als"](SMALL)
    assert set(found) == {"fit", "score", "gib", "p99_ms"}
    assert min(found.values()) > 0


def test_the_simulated_sequences_hold_the_truth_they_name(sequences):
    bought, follows = sequences
    assert np.array_equal(np.sort(follows), np.arange(1_200))
    lengths = np.bincount(bought.customers)
    assert [lengths.min(), lengths.max()] == list(LENGTHS)
    assert len(np.unique(bought.customers * 1_200 + bought.products)) == len(bought.products)
    same = np.diff(bought.customers) == 0
    assert (np.diff(bought.days)[same] > 0).all()
    followed = (bought.products[1:] == follows[bought.products[:-1]])[same].mean()
    assert followed == pytest.approx(FOLLOWS_SHARE, abs=0.03)


def test_too_few_products_are_refused():
    with pytest.raises(ValueError, match="100 products are too few: 20 tastes need 1200"):
        simulate_sequences(customers=1, products=100, seed=1)


def test_the_last_purchase_is_hidden_and_ages_count_from_its_day():
    bought = Sequences(
        *(np.array(each) for each in ([0, 0, 0, 1, 1, 1], [2, 0, 1, 3, 2, 0], [5, 9, 12, 1, 2, 8]))
    )
    at = last_left_out(bought)
    assert at.before.counts.toarray().tolist() == [[1, 0, 1, 0], [0, 0, 1, 1]]
    assert at.before.ages.tolist() == [3, 7, 6, 7]
    assert np.argwhere(at.bought["new"]).tolist() == [[0, 1], [1, 0]]


def test_where_taste_drifts_decay_pays(sequences, capsys):
    results, tables = sequence_results(sequences[0])
    assert [each.is_met for each in results if each.is_met is not None] == [True] * 3
    assert "| transitions |" in tables


def test_a_rating_is_one_line_known_before_a_moment_or_after(ratings):
    moment = int(np.quantile(ratings.seconds, 0.8))
    at = split_in_time(ratings)
    assert at.before.line_counts.tolist() == [1.0] * int((ratings.seconds < moment).sum())
    assert at.before.ages.min() == 1
    assert at.bought["new"].sum() == (ratings.seconds >= moment).sum()
    assert not at.bought["new"][at.before.counts.toarray() > 0].any()


def test_neighbours_are_what_plain_numpy_finds(ratings):
    found = list(neighbour_results(split_in_time(ratings).before))
    assert [each.is_met for each in found] == [True, True]


@pytest.mark.needs("peers")
def test_factorisation_is_as_good_as_that_of_its_peers(ratings):
    ratios = [each for each in peer_results(split_in_time(ratings)) if each.name.startswith("ours")]
    assert len(ratios) == 2
    assert [each.value for each in ratios] == [
        pytest.approx(1, abs=0.05)
    ] * 2  # few people: their luck is larger
