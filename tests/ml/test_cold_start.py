"""What is said of new products and to new customers, each against a definition written apart."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ml.recommend.methods.content import Content
from ml.recommend.methods.segments import PRIOR_CUSTOMERS, PopularInSegment
from ml.recommend.purchases import Histories

TEXTS = ["Tea Green tea bags", "Tea Black tea", "绿茶 organic", "Soap", "乌龙茶", ""]
TERMS = [
    ["tea", "green", "tea", "bags", "tea green", "green tea", "tea bags"],
    ["tea", "black", "tea", "tea black", "black tea"],
    ["绿", "茶", "organic", "绿 茶", "茶 organic"],
    ["soap"],
    ["乌", "龙", "茶", "乌 龙", "龙 茶"],
    [],
]


def shelf(rows: list[tuple[int, int, int]], customers: int, products: int) -> Histories:
    """Histories of purchases (customer, product, days ago), a line each."""
    who, what, ages = np.array(rows, dtype=np.int64).T
    names, ids = (np.array([f"{each:02d}" for each in range(count)]) for count in (customers, products))
    return Histories.of(names, ids, who, what, ages, np.ones(len(rows), dtype=np.float32))


def tf_idf() -> np.ndarray:
    """Term counts times 1 + ln((1 + products) / (1 + products with the term)), each product of length 1."""
    every = sorted({term for terms in TERMS for term in terms})
    having = {term: sum(term in terms for terms in TERMS) for term in every}
    weights = np.array(
        [
            [terms.count(term) * (1 + math.log((1 + len(TERMS)) / (1 + having[term]))) for term in every]
            for terms in TERMS
        ]
    )
    return weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-12)


def test_content_is_the_cosine_of_the_words_with_those_of_the_mean_faded_purchase():
    # the first bought green tea today's day before and soap 61 days ago, the second only soap; nobody bought the rest
    found = replace(shelf([(0, 0, 1), (0, 3, 61), (1, 3, 5)], 3, 6), texts=np.array(TEXTS))
    words = tf_idf()
    liked = [words[0] + 0.5 * words[3], words[3]]
    expected = np.array([words @ each / np.linalg.norm(each) for each in liked])
    model = Content().fit(found, seed=1)
    np.testing.assert_allclose(model.scores(found)[:2], expected, atol=1e-6)
    assert not model.scores(found)[2].any()
    everything = np.arange(6)
    np.testing.assert_allclose(model.resemblance(everything, everything), words @ words.T, atol=1e-6)
    assert model.scores(found)[0, 1] > 0.1  # never sold, and yet something is known of it
    assert model.resemblance(np.array([4]), np.array([2]))[0, 0] > 0  # both are tea, in Chinese


def test_content_without_any_word_says_nothing():
    found = shelf([(0, 0, 1), (1, 1, 2)], 2, 3)
    for texts in ([], ["", " - ", "!"]):
        assert not Content().fit(replace(found, texts=np.array(texts, dtype=str)), seed=1).scores(found).any()


@pytest.mark.parametrize("is_named", [True, False])
def test_a_segments_popular_products_are_its_buyers_and_twenty_of_the_whole_shop(is_named):
    # 30 customers buy product 0, and 10 of another segment product 1; two of the first bought that more, but long ago
    rows = [(who, 0, 3) for who in range(1, 31)] + [(who, 1, 5) for who in range(31, 41)]
    rows += [(who, 1, days) for who in (1, 2) for days in (300, 310, 320)]
    found = shelf(rows, 41, 2)
    codes = np.array([-1] + [1] * 30 + [0] * 10)
    named = (
        replace(found, segments=codes) if is_named else replace(found, attributes={"category": np.arange(2)})
    )
    model = PopularInSegment().fit(named, seed=1)
    pooled = [30 / 41, 12 / 41]
    first = [(own + 20 * pool) / 50 for own, pool in zip([30, 2], pooled, strict=True)]
    second = [(own + 20 * pool) / 30 for own, pool in zip([0, 10], pooled, strict=True)]
    assert PRIOR_CUSTOMERS == 20
    nobody = [0.0, 0.0]  # has no segment
    some = named.of_customers(np.array([40, -1, 0, 1]), np.array(["a", "b", "c", "d"]))
    for asked, expected in [
        (named, [nobody] + [first] * 30 + [second] * 10),
        (named.between(30, 32), [first, second]),
        (some, [second, nobody, nobody, first]),
    ]:
        np.testing.assert_allclose(model.scores(asked), np.array(expected), rtol=1e-6)
