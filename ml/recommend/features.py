"""What is known of a customer and a product before a day: the columns a hybrid learns from.

Four kinds: how a customer bought that product (columns of `OWN`), how they bought its like (`affinities`, `against_its_like`), how
the product and its like sell (`of_products`), and how the customer shops (`CUSTOMER`). Everything comes from a history alone, so it
is the same however the history was cut. A visit is a day on which the customer bought anything.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ml.recommend.lists import Floats, Ints
from ml.recommend.pairs import Pairs
from ml.recommend.purchases import Histories, distinct

HALF_LIVES_DAYS = (14.0, 30.0, 60.0, 120.0, 365.0)
WITHIN_DAYS = (7, 28, 56, 91, 182)
LAST_VISITS = (1, 3, 5, 10, 20)
DAYS_IN_WEEK, WEEKS_HALF_LIFE_DAYS, WEEKS_OFFSET = 7, 90.0, 8
OWN = [
    *(f"lines_{days:.0f}d" for days in HALF_LIVES_DAYS),
    *(f"weeks_{days}d" for days in WITHIN_DAYS),
    "weeks_faded",
    "weeks_by_age",
    "days",
    "last",
    "first",
    "gap_ratio",
    "longest_gap_ratio",
    *(f"of_last_{visits}_visits" for visits in LAST_VISITS),
    "visits_since_last",
    "visits_since_first",
    "share_of_visits_since_first",
    "share_of_visits",
    "visit_gap_ratio",
]
AFFINITY_HALF_LIVES_DAYS = (14.0, 60.0, 365.0)
SHARE_HALF_LIFE_DAYS = 60.0
RETURN_DAYS = 28
LEAST_GAPS = 5
CUSTOMER = ["days_28d", "days_90d", "lines_90d", "last_order", "visits"]
PRODUCT = [
    "buyers_14d_faded",
    "buyers_60d_faded",
    "buyers_7d",
    "buyers_28d",
    "share_of_repeaters",
    "days_per_buyer",
    "return_share",
    "mean_gap",
]


def bought(found: Histories) -> Pairs:
    """Return every customer with every product they bought, in the order of the history."""
    begins = np.flatnonzero(found.newest)
    return Pairs(found.customers[begins], found.products[begins])


def own(found: Histories) -> Floats:
    """Return how each pair of `bought` was bought, shape (n_pairs, len(OWN)).

    Order lines that fade by half-life; weeks with a purchase, within some days and fading; days with one; days since the last and
    the first, and since the last in units of the mean and of the longest gap; of the last visits, those with the product; visits since
    the last such one and since the first, that one too; such visits among those since the first and among all; visits since the last in
    units of the mean gap. What needs a gap is missing for a product bought on one day only.
    """
    if not len(found.products):
        return np.zeros((0, len(OWN)), dtype=np.float32)
    pair_begins = found.newest
    begins = np.flatnonzero(pair_begins)
    ages = found.ages.astype(np.float32)
    weeks = (found.ages - 1) // DAYS_IN_WEEK
    new_day = (pair_begins | (np.diff(found.ages, prepend=0) != 0)).astype(np.float32)
    new_week = (pair_begins | (np.diff(weeks, prepend=-1) != 0)).astype(np.float32)

    def total(values: Floats) -> Floats:
        sums: Floats = np.add.reduceat(values, begins)
        return sums

    halves = [np.float32(0.5) ** (ages / np.float32(days)) for days in HALF_LIVES_DAYS]
    week_halves = np.float32(0.5) ** ((weeks * DAYS_IN_WEEK + 1) / np.float32(WEEKS_HALF_LIFE_DAYS))
    days = total(new_day)
    ends = np.append(begins[1:], len(ages)) - 1
    last, first = ages[begins], ages[ends]
    gap = (first - last) / np.maximum(days - 1, 1)
    longest = np.maximum.reduceat(np.where(pair_begins, 0, np.diff(ages, prepend=0)), begins)
    place, of_customer = visits(found)
    since_last, since_first = place[begins], place[ends] + 1
    visit_gap = (since_first - 1 - since_last) / np.maximum(days - 1, 1)
    columns = [
        *(total(found.line_counts * half) for half in halves),
        *(total(new_week * (found.ages <= within)) for within in WITHIN_DAYS),
        total(new_week * week_halves),
        total((new_week / (weeks + WEEKS_OFFSET)).astype(np.float32)),
        days,
        last,
        first,
        np.where(days > 1, last / np.maximum(gap, 1), np.nan),
        np.where(days > 1, last / np.maximum(longest, 1), np.nan),
        *(total(new_day * (place < within)) for within in LAST_VISITS),
        since_last,
        since_first,
        days / since_first,
        days / of_customer[found.customers[begins]],
        np.where(days > 1, since_last / np.maximum(visit_gap, 1), np.nan),
    ]
    return np.stack(columns, axis=1, dtype=np.float32, casting="same_kind")


def visits(found: Histories) -> tuple[Ints, Ints]:
    """Return how many visits of its customer came after each purchase's own, and the visits of each customer."""
    oldest = int(found.ages.max(initial=0)) + 1
    keys = found.customers * oldest + found.ages
    known = distinct(keys)
    starts = np.searchsorted(known, np.arange(found.shape[0] + 1) * oldest)
    return np.searchsorted(known, keys) - starts[found.customers], np.diff(starts)


def of_customers(found: Histories) -> Floats:
    """Return how customers shop, shape (n_customers, len(CUSTOMER)): visits and order lines lately, days since the last, all visits."""
    n = found.shape[0]
    oldest = int(found.ages.max(initial=0)) + 1
    of_visit, age = np.divmod(distinct(found.customers * oldest + found.ages), oldest)
    last = np.full(n, np.nan)
    last[of_visit[::-1]] = age[::-1]  # the newest comes last and stays
    lines = np.bincount(found.customers, found.line_counts * (found.ages <= 90), minlength=n)
    days_28, days_90 = (np.bincount(of_visit[age <= within], minlength=n) for within in (28, 90))
    return np.column_stack([days_28, days_90, lines, last, np.bincount(of_visit, minlength=n)]).astype(
        np.float32
    )


def of_products(found: Histories) -> Floats:
    """Return how products sell, shape (n_products, len(PRODUCT) + 2 · len(found.attributes)).

    Shares of customers that bought it, fading or lately; of its buyers, those with a second day, and days of each; of those who
    bought it in the four weeks before the last four, who came back for it; the mean gap in days between two days on which one customer
    bought it, missing with fewer than `LEAST_GAPS`. Then, by attribute, the product's share of the faded buyers of its like, and how
    often its like is bought again.
    """
    n_customers, n = found.shape
    pairs, mine = bought(found), own(found)
    by_name = dict(zip(OWN, mine.T, strict=True))

    def share(weights: Floats) -> Floats:
        return (np.bincount(pairs.columns, weights, minlength=n) / max(n_customers, 1)).astype(np.float32)

    buyers = np.maximum(np.bincount(pairs.columns, minlength=n), 1)
    faded = share(np.minimum(by_name["lines_60d"], 1))
    before, again = returns(found)
    gaps = np.bincount(pairs.columns, by_name["days"] - 1, minlength=n)
    days_between = np.bincount(pairs.columns, by_name["first"] - by_name["last"], minlength=n)
    columns: list[npt.NDArray[np.floating]] = [
        share(np.minimum(by_name["lines_14d"], 1)),
        faded,
        share(by_name["weeks_7d"] > 0),
        share(by_name["weeks_28d"] > 0),
        np.bincount(pairs.columns, by_name["days"] > 1, minlength=n) / buyers,
        np.bincount(pairs.columns, by_name["days"], minlength=n) / buyers,
        again / np.maximum(before, 1),
        np.where(gaps >= LEAST_GAPS, days_between / np.maximum(gaps, 1), np.nan),
    ]
    for codes in found.attributes.values():
        alike = np.bincount(codes, faded)[codes]
        columns += [faded / np.maximum(alike, 1e-9)]
        columns += [np.bincount(codes, again)[codes] / np.maximum(np.bincount(codes, before)[codes], 1)]
    return np.stack(columns, axis=1).astype(np.float32)


def returns(found: Histories) -> tuple[Floats, Floats]:
    """Return how many bought each product from 56 to 29 days ago, and how many of them again since."""
    n = found.shape[1]
    pairs = found.customers * n + found.products
    then = distinct(pairs[(found.ages > RETURN_DAYS) & (found.ages <= 2 * RETURN_DAYS)])
    since = distinct(pairs[found.ages <= RETURN_DAYS])
    again = np.intersect1d(then, since, assume_unique=True)
    counts = [np.bincount(each % n, minlength=n).astype(np.float32) for each in (then, again)]
    return counts[0], counts[1]


def affinities(found: Histories, attributes: Sequence[Ints]) -> list[tuple[Floats, Ints]]:
    """Return what customers bought of each code of an attribute, each shape (n_customers, n_codes), and the products' codes.

    By attribute: days since the last purchase (missing where there was none), then order lines that fade by half-life.
    """
    decayed = [found.decayed(days) for days in AFFINITY_HALF_LIVES_DAYS]
    liked = []
    for codes in attributes:
        liked += [
            (each, codes) for each in (_last_of_code(found, codes), *(_by_code(w, codes) for w in decayed))
        ]
    return liked


def _by_code(weights: csr_array, codes: Ints) -> Floats:
    """Sum weights of products by code, shape (n_customers, n_codes), in the order of products."""
    summed = np.zeros((weights.shape[0], int(codes.max(initial=-1)) + 1), dtype=np.float32)
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    np.add.at(summed.ravel(), rows * summed.shape[1] + codes[weights.indices], weights.data)
    return summed


def _last_of_code(found: Histories, codes: Ints) -> Floats:
    last = np.full((found.shape[0], int(codes.max(initial=-1)) + 1), np.inf, dtype=np.float32)
    ages = found.ages.astype(np.float32)
    np.minimum.at(last.ravel(), found.customers * last.shape[1] + codes[found.products], ages)
    return np.where(np.isinf(last), np.float32(np.nan), last)


def against_its_like(
    pairs: Pairs, mine: Floats, liked: Sequence[tuple[Floats, Ints]], of_product: Floats
) -> Floats:
    """Return how a bought product stands against others, shape (n_pairs, 1 + number of attributes).

    Days since the last purchase in units of the product's mean gap; its share of what the customer bought of its code, faded.
    `mine`, `liked`, `of_product`: what `own`, `affinities` and `of_products` return.
    """
    columns = [mine[:, OWN.index("last")] / of_product[pairs.columns, PRODUCT.index("mean_gap")]]
    faded = slice(
        1 + AFFINITY_HALF_LIVES_DAYS.index(SHARE_HALF_LIFE_DAYS), None, 1 + len(AFFINITY_HALF_LIVES_DAYS)
    )
    for of_code, codes in liked[faded]:
        of_its_like = of_code[pairs.rows, codes[pairs.columns]]
        columns.append(mine[:, OWN.index("lines_60d")] / np.maximum(of_its_like, 1e-6))
    return np.column_stack(columns).astype(np.float32)
