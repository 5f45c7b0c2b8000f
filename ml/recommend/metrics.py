"""How good lists of products are: for the customer (accuracy), and for the shop that wants more seen than its bestsellers.

Of each customer a figure of their own, NaN where there is nothing to say, so that `ml.evaluation.bootstrap_interval`
can draw customers anew from the rest. Lists are positions in the catalogue, best first, `NONE` at the end, no product
twice. `tests/ml/test_list_metrics.py` compares every figure with that of RecTools.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ml.evaluation import ndcg_at_k, recall_at_k
from ml.recommend.lists import NONE, Bools

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Strings = npt.NDArray[np.str_]

FEW, MANY = "few", "many"
FAVOURITES = ("favourite_1", "favourite_2", "favourite_3", "favourite_other")


def list_figures(
    products: Ints, bought: Bools | csr_array, before: csr_array, categories: Ints
) -> dict[str, Floats | float]:
    """Return every metric of this module by name, and recall and NDCG of `ml.evaluation`.

    Parameters
    ----------
    products : shape (n_customers, k)
        The lists.
    bought : shape (n_customers, n_products)
        What each customer bought afterwards; a csr array holds a number above 0 for it.
    before : csr, shape (n_anybody, n_products)
        Order lines by which popularity is judged: of everybody, or of these customers.
    categories : shape (n_products,)
        A code per product; what has no category needs a code as well.

    Returns
    -------
    Per customer, shape (n_customers,): accuracy is NaN for who bought nothing, the others for an empty list. Coverage
    alone is one number.

    Raises
    ------
    ValueError
        If the shapes disagree, or the lists are not as this module takes them.
    """
    _check(products, bought, before, categories)
    truth_counts = np.bincount(bought.nonzero()[0], minlength=len(products))
    is_asked = truth_counts > 0
    hits, truth_counts = hits_of(products, bought)[is_asked], truth_counts[is_asked]
    accuracy = {
        "recall": recall_at_k(hits, truth_counts),
        "precision": precision_at_k(hits),
        "f1": f1_at_k(hits, truth_counts),
        "hit_rate": hit_rate_at_k(hits),
        "ndcg": ndcg_at_k(hits, truth_counts),
        "average_precision": average_precision_at_k(hits, truth_counts),
    }
    figures: dict[str, Floats | float] = {
        name: _spread(values, is_asked) for name, values in accuracy.items()
    }
    return figures | {
        "novelty": novelty(products, before),
        "popularity": recommendation_popularity(products, before),
        "diversity": intra_list_diversity(products, categories),
        "coverage": catalogue_coverage(products, before.shape[1]),
    }


def hits_of(products: Ints, bought: Bools | csr_array) -> Bools:
    """Return shape (n_customers, k): whether the product at each rank was bought; `NONE` never was.

    >>> hits_of(np.array([[2, 0], [1, NONE]]), np.array([[True, False, False], [True, False, True]])).tolist()
    [[False, True], [False, False]]
    """
    customers, columns = (each.astype(np.int64) for each in bought.nonzero())
    width = bought.shape[1]
    listed = np.arange(len(products))[:, None] * width + products
    hits: Bools = np.isin(listed, customers * width + columns) & (products != NONE)
    return hits


def precision_at_k(hits: Bools) -> Floats:
    """Return per customer the share of the k places that hold a product bought; an empty place counts as a miss.

    >>> precision_at_k(np.array([[True, False, True, False]])).tolist()
    [0.5]
    """
    share: Floats = hits.mean(axis=1)
    return share


def f1_at_k(hits: Bools, truth_counts: npt.NDArray[np.integer]) -> Floats:
    """Return per customer the harmonic mean of precision and recall, 2 · hits / (k + bought); 0 without a hit.

    Two hits on four places, where one of three products bought is missed: 2 · 2 / (4 + 3), from 1/2 and 2/3.

    Parameters
    ----------
    hits : shape (n_customers, k)
    truth_counts : shape (n_customers,)
        How many products each bought; above 0.

    Source: van Rijsbergen, "Information Retrieval", 1979, chapter 7.

    >>> f1_at_k(np.array([[True, False, True, False]]), np.array([3])).round(4).tolist()
    [0.5714]
    """
    f1: Floats = 2.0 * hits.sum(axis=1) / (hits.shape[1] + truth_counts)
    return f1


def hit_rate_at_k(hits: Bools) -> Floats:
    """Return per customer 1 if the list holds a product bought, else 0.

    >>> hit_rate_at_k(np.array([[False, True], [False, False]])).tolist()
    [1.0, 0.0]
    """
    return hits.any(axis=1).astype(float)


def average_precision_at_k(hits: Bools, truth_counts: npt.NDArray[np.integer]) -> Floats:
    """Return per customer the sum of precision at the ranks of hits, over all products bought; its mean is MAP.

    Divided by all that was bought, as RecTools does by default: more than k purchases keep it below 1. Hits at ranks 1
    and 3 where four products were bought: (1/1 + 2/3) / 4.

    Parameters
    ----------
    hits : shape (n_customers, k)
    truth_counts : shape (n_customers,)
        How many products each bought; above 0.

    Source: Manning, Raghavan & Schütze, "Introduction to Information Retrieval", 2008, section 8.4, cut at rank k.

    >>> average_precision_at_k(np.array([[True, False, True]]), np.array([4])).round(4).tolist()
    [0.4167]
    """
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    average: Floats = (precision * hits).sum(axis=1) / truth_counts
    return average


def catalogue_coverage(products: Ints, n_products: int) -> float:
    """Return the share of the catalogue that is on somebody's list.

    Products 0 and 2 of four.

    >>> catalogue_coverage(np.array([[0, 2], [2, NONE]]), 4)
    0.5
    """
    return len(np.setdiff1d(products, [NONE])) / n_products


def novelty(products: Ints, before: csr_array) -> Floats:
    """Return per customer the mean self-information in bits of the products listed, -log2(buyers / customers).

    0 where everybody bought all of them. A product nobody bought is taken as bought by one customer, as RecTools does
    (mean inverse user frequency).

    Parameters
    ----------
    products : shape (n_customers, k)
    before : csr, shape (n_anybody, n_products)
        Order lines; customers are counted who have any.

    Source: Castells, Hurley & Vargas, "Novelty and Diversity in Recommender Systems", in Recommender Systems Handbook,
    2nd ed., 2015, section 26.3.

    Of four customers one bought product 0 (2 bits), all bought product 1 (none), nobody product 2 (2 bits, as if one had).

    >>> before = csr_array([[1, 3, 0], [0, 1, 0], [0, 1, 0], [0, 9, 0]])
    >>> novelty(np.array([[0, 1], [0, 2]]), before).tolist()
    [1.0, 2.0]
    """
    customers, columns = before.nonzero()
    buyers = np.bincount(columns, minlength=before.shape[1])
    bits = np.log2(max(len(np.unique(customers)), 1)) - np.log2(np.maximum(buyers, 1))
    return _mean_of_listed(bits, products)


def recommendation_popularity(products: Ints, before: csr_array) -> Floats:
    """Return per customer how many customers, on average, had bought a product listed (ARP): high is biased to bestsellers.

    Parameters
    ----------
    products : shape (n_customers, k)
    before : csr, shape (n_anybody, n_products)
        Order lines.

    Source: Abdollahpouri, Burke & Mobasher, "Managing Popularity Bias in Recommender Systems with Personalized
    Re-ranking", FLAIRS 2019, average recommendation popularity.

    Product 0 had one buyer, product 1 four, however often each ordered: (1 + 4) / 2.

    >>> before = csr_array([[1, 3, 0], [0, 1, 0], [0, 1, 0], [0, 9, 0]])
    >>> recommendation_popularity(np.array([[0, 1], [1, NONE]]), before).tolist()
    [2.5, 4.0]
    """
    buyers = np.bincount(before.nonzero()[1], minlength=before.shape[1])
    return _mean_of_listed(buyers, products)


def intra_list_diversity(products: Ints, categories: Ints) -> Floats:
    """Return per customer the share of pairs of products listed that are of two categories, 0 to 1.

    A list of one product has no pairs and counts 0, as in RecTools (Hamming distance on one feature).

    Parameters
    ----------
    products : shape (n_customers, k)
    categories : shape (n_products,)

    Source: Ziegler, McNee, Konstan & Lausen, "Improving Recommendation Lists Through Topic Diversification", WWW 2005:
    one minus their intra-list similarity, as a mean over pairs.

    Two products of category 7 and one of 8: of three pairs two differ.

    >>> intra_list_diversity(np.array([[0, 1, 2], [0, 1, NONE]]), np.array([7, 7, 8])).round(4).tolist()
    [0.6667, 0.0]
    """
    counts = (products != NONE).sum(axis=1)
    codes = categories[np.maximum(products, 0)]
    differing = np.zeros(len(products))
    for apart in range(1, products.shape[1]):  # pair by pair of ranks: no array of k times k per customer
        is_pair = products[:, apart:] != NONE  # what is missing stands at the end
        differing += ((codes[:, :-apart] != codes[:, apart:]) & is_pair).sum(axis=1)
    pairs = np.maximum(counts * (counts - 1) / 2, 1)
    return np.where(counts > 0, differing / pairs, np.nan)


def few_or_many(order_lines: npt.NDArray[np.number]) -> Strings:
    """Return "few" for customers with at most the median of order lines, "many" for the others.

    >>> few_or_many(np.array([1, 2, 9])).tolist()
    ['few', 'few', 'many']
    """
    return np.where(order_lines <= np.median(order_lines), FEW, MANY)


def by_favourite(counts: csr_array, categories: Ints) -> Strings:
    """Return which of `FAVOURITES` each customer's is: 1 the category that is so of most customers, then 2 and 3, or another.

    Parameters
    ----------
    counts : shape (n_customers, n_products)
        Order lines. Of categories with equally many, the lowest code is the favourite.
    categories : shape (n_products,)
        A code per product, from 0.

    Two customers buy mostly category 1 and one category 0:

    >>> by_favourite(csr_array([[1, 2], [0, 3], [4, 1]]), np.array([0, 1])).tolist()
    ['favourite_1', 'favourite_1', 'favourite_2']
    """
    n_products = len(categories)
    among = csr_array((np.ones(n_products), (np.arange(n_products), categories)))
    own: Ints = (counts @ among).toarray().argmax(axis=1)
    codes, sizes = np.unique(own, return_counts=True)
    ranks = np.argsort(np.argsort(-sizes, kind="stable"))
    named: Strings = np.array(FAVOURITES)[np.minimum(ranks, 3)]
    favourites: Strings = named[np.searchsorted(codes, own)]
    return favourites


def by_slice(figures: Mapping[str, Floats | float], slices: npt.ArrayLike) -> dict[str, dict[str, float]]:
    """Return by slice, in order of their names, the mean of each figure over the customers who have it.

    Parameters
    ----------
    figures
        As `list_figures` returns them; what is one number for all (coverage) is left out.
    slices : shape (n_customers,)
        A name for each customer, such as their segment.

    Returns
    -------
    NaN where nobody in the slice has the figure; "customers" is the size of the slice.

    >>> by_slice({"recall": np.array([0.2, np.nan, 0.6]), "coverage": 0.1}, ["many", "many", "few"])
    {'few': {'customers': 1.0, 'recall': 0.6}, 'many': {'customers': 2.0, 'recall': 0.2}}
    """
    names = np.asarray(slices, dtype=str)
    found = {}
    for name in np.unique(names):
        inside = names == name
        means = {
            each: _mean_of_known(values[inside])
            for each, values in figures.items()
            if isinstance(values, np.ndarray)
        }
        found[str(name)] = {"customers": float(inside.sum())} | means
    return found


def _mean_of_known(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _mean_of_listed(worth: npt.NDArray[np.number], products: Ints) -> Floats:
    """Return per customer the mean worth of the products listed, NaN for an empty list."""
    is_listed = products != NONE
    counts = is_listed.sum(axis=1)
    sums = np.where(is_listed, worth[np.maximum(products, 0)], 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _spread(values: Floats, where: Bools) -> Floats:
    everybody = np.full(len(where), np.nan)
    everybody[where] = values
    return everybody


def _check(products: Ints, bought: Bools | csr_array, before: csr_array, categories: Ints) -> None:
    n_products = before.shape[1]
    if bought.shape != (len(products), n_products) or categories.shape != (n_products,):
        raise ValueError(
            f"{len(products)} lists and {n_products} products need 'bought' of shape ({len(products)}, {n_products}) "
            f"and as many categories as products, not {bought.shape} and {categories.shape}"
        )
    is_listed = products != NONE
    if ((products < NONE) | (products >= n_products)).any() or (is_listed[:, 1:] > is_listed[:, :-1]).any():
        raise ValueError(
            f"a list holds positions from 0 to {n_products - 1}, best first, and {NONE} at its end only"
        )
    ordered = np.sort(products, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NONE)).any():
        raise ValueError("a product stands on a list twice: every second hit would be counted again")
