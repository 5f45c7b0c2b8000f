"""Metrics of lists of products: RecTools says the same of the same lists; what it has no word for, by hand."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from ml.evaluation import bootstrap_interval
from ml.recommend.lists import NONE
from ml.recommend.metrics import by_slice, few_or_many, hits_of, list_figures

K, CUSTOMERS, PRODUCTS, UNKNOWN = 10, 400, 150, 20
SCRIPT = Path(__file__).with_name("rectools_metrics.py")
PER_CUSTOMER = {
    *("recall", "precision", "f1", "hit_rate", "ndcg", "average_precision"),
    *("novelty", "popularity", "diversity"),
}


def drawn():
    """Lists and purchases of every kind: full, short and empty lists; nothing, little or more than K bought.

    The last `UNKNOWN` products nobody bought before, the first `UNKNOWN` customers had bought nothing.
    """
    rng = np.random.default_rng(8)
    products = rng.random((CUSTOMERS, PRODUCTS)).argsort(axis=1)[:, :K]
    lengths = rng.choice([0, 1, 2, 5, K], CUSTOMERS, p=[0.05, 0.1, 0.1, 0.15, 0.6])
    products[np.arange(K) >= lengths[:, None]] = NONE
    bought = rng.random((CUSTOMERS, PRODUCTS)) < rng.choice([0.0, 0.02, 0.2], CUSTOMERS)[:, None]
    shares = np.append(rng.random(PRODUCTS - UNKNOWN) ** 3, np.zeros(UNKNOWN))
    before = (rng.random((CUSTOMERS, PRODUCTS)) < shares) * rng.integers(1, 9, PRODUCTS)
    before[:UNKNOWN] = 0
    return products, bought, csr_array(before), rng.integers(0, 6, PRODUCTS)


@pytest.fixture(scope="module")
def case():
    return drawn()


@pytest.fixture(scope="module")
def figures(case):
    return list_figures(*case)


@pytest.fixture(scope="module")
def of_rectools(case, tool_path, tmp_path_factory):
    products, bought, before, categories = case
    given = {
        "k": K,
        "n_products": PRODUCTS,
        "lists": [[int(each) for each in row if each != NONE] for row in products],
        "bought": np.argwhere(bought).tolist(),
        "before": np.argwhere(before.toarray() > 0).tolist(),
        "categories": categories.tolist(),
    }
    file = tmp_path_factory.mktemp("rectools") / "lists.json"
    file.write_text(json.dumps(given))
    command = [tool_path("peers"), "-I", SCRIPT, file]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=120)
    return json.loads(done.stdout)


@pytest.mark.needs("peers")
@pytest.mark.parametrize("name", sorted(PER_CUSTOMER))
def test_rectools_gives_every_customer_the_same_figure(name, figures, of_rectools):
    theirs = {int(customer): value for customer, value in of_rectools[name].items()}
    ours = {customer: value for customer, value in enumerate(figures[name]) if not np.isnan(value)}
    assert ours.keys() == theirs.keys()
    assert 200 < len(ours) < CUSTOMERS
    assert len(set(theirs.values())) > 1
    assert max(abs(ours[customer] - theirs[customer]) for customer in ours) < 1e-9


@pytest.mark.needs("peers")
def test_rectools_sees_the_same_share_of_the_catalogue(figures, of_rectools):
    assert 0 < of_rectools["coverage"] <= 1
    assert figures["coverage"] == pytest.approx(of_rectools["coverage"], abs=1e-9)
    assert set(figures) == set(of_rectools) == PER_CUSTOMER | {"coverage"}


def test_the_drawn_lists_hold_every_case_that_is_told_apart(case):
    products, bought, before, _ = case
    lengths, truth = (products != NONE).sum(axis=1), bought.sum(axis=1)
    hits = hits_of(products, bought).sum(axis=1)
    assert set(lengths) == {0, 1, 2, 5, K}
    assert (truth == 0).any()
    assert (truth > K).any()
    assert ((truth > 0) & (hits == 0)).any()
    assert ((lengths == 0) & (truth > 0)).any()
    assert (before.toarray().sum(axis=0) == 0).sum() >= UNKNOWN
    assert (before.toarray().sum(axis=1) == 0).sum() >= UNKNOWN
    assert before.max() > 1  # orders are counted, customers are meant


def test_one_list_worked_out_by_hand():
    # bought products 0, 3 and 4; hits at ranks 1 and 3 of 4, the last place empty
    found = list_figures(
        np.array([[3, 1, 0, NONE]]),
        np.array([[True, False, False, True, True]]),
        csr_array([[1, 1, 0, 0, 0], [4, 0, 0, 0, 0]]),
        np.array([1, 2, 2, 1, 1]),
    )
    assert found.pop("coverage") == 3 / 5
    assert {name: np.asarray(values).tolist() for name, values in found.items()} == {
        "recall": [2 / 3],
        "precision": [2 / 4],
        "f1": [4 / 7],  # 2 / (3 / 2 + 4 / 2)
        "hit_rate": [1.0],
        "ndcg": [pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2))],
        "average_precision": [pytest.approx((1 / 1 + 2 / 3) / 3)],
        "novelty": [pytest.approx((1 + 1 + 0) / 3)],  # of two customers: as one, one, both
        "popularity": [pytest.approx((0 + 1 + 2) / 3)],
        "diversity": [pytest.approx(2 / 3)],  # 3-1 and 1-0 differ, 3-0 do not
    }


def test_purchases_may_be_sparse_or_dense(case, figures):
    products, bought, before, categories = case
    sparse = csr_array(bought.astype(np.float32))
    for name, values in list_figures(products, sparse, before, categories).items():
        assert np.array_equal(values, figures[name], equal_nan=True)


def test_an_empty_place_is_not_the_last_purchase_of_the_customer_before():
    bought = np.array([[False, True], [False, False]])
    assert hits_of(np.array([[0, NONE], [0, NONE]]), bought).tolist() == [[False, False], [False, False]]


def test_customers_and_places_beyond_what_32_bits_count_are_told_apart():
    width, rows = 100_000, 50_000  # the last key is five thousand million
    bought = csr_array((np.ones(1), ([rows - 1], [width - 1])), shape=(rows, width))
    hits = hits_of(np.full((rows, 1), width - 1), bought)
    assert np.flatnonzero(hits).tolist() == [rows - 1]


def test_slices_together_are_everybody(case, figures):
    segments = np.where(np.arange(CUSTOMERS) % 3 == 0, "loyal", "new")
    found = by_slice(figures, segments)
    assert list(found) == ["loyal", "new"]
    assert found["loyal"]["customers"] + found["new"]["customers"] == CUSTOMERS
    for name in PER_CUSTOMER:
        known = ~np.isnan(figures[name])
        sizes = {each: (known & (segments == each)).sum() for each in found}
        together = sum(sizes[each] * found[each][name] for each in found) / known.sum()
        assert together == pytest.approx(np.nanmean(figures[name]))
        assert set(found["loyal"]) == PER_CUSTOMER | {"customers"}


def test_a_slice_of_nobody_who_was_asked_has_no_figure():
    found = by_slice({"recall": np.array([0.5, np.nan])}, ["a", "b"])
    assert found["a"] == {"customers": 1.0, "recall": 0.5}
    assert np.isnan(found["b"]["recall"])


def test_few_and_many_purchases_are_parted_at_the_median():
    assert few_or_many(np.array([5, 1, 3, 3, 40])).tolist() == ["many", "few", "few", "few", "many"]


def test_customers_with_a_figure_are_drawn_anew_for_its_interval(figures):
    known = figures["ndcg"][~np.isnan(figures["ndcg"])]
    low, high = bootstrap_interval(known, seed=1)
    spread = known.std() / np.sqrt(len(known))  # of the mean, by the central limit theorem
    assert low == pytest.approx(known.mean() - 1.96 * spread, abs=0.3 * spread)
    assert high == pytest.approx(known.mean() + 1.96 * spread, abs=0.3 * spread)


@pytest.mark.parametrize(
    ("products", "shape", "n_categories", "message"),
    [
        ([[0, 1]], (2, 3), 3, r"need 'bought' of shape \(1, 3\)"),
        ([[0, 1]], (1, 4), 3, r"need 'bought' of shape \(1, 3\)"),
        ([[0, 1]], (1, 3), 2, r"not \(1, 3\) and \(2,\)"),
        ([[0, 3]], (1, 3), 3, "positions from 0 to 2"),
        ([[0, -2]], (1, 3), 3, "positions from 0 to 2"),
        ([[NONE, 0]], (1, 3), 3, "at its end only"),
        ([[1, 1]], (1, 3), 3, "twice"),
    ],
)
def test_lists_that_would_be_misread_are_refused(products, shape, n_categories, message):
    with pytest.raises(ValueError, match=message):
        list_figures(
            np.array(products),
            np.ones(shape, dtype=bool),
            csr_array((1, 3)),
            np.zeros(n_categories, dtype=int),
        )
