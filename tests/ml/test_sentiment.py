"""Sentiment of made-up reviews, whose every word has a taste that is known; expected numbers are worked out by hand."""

from datetime import date
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from sklearn.feature_extraction.text import CountVectorizer

from benchmarks.sentiment import MAJORITY, VADER, cells, judge, results, table
from ml.provenance import Source
from ml.text.baselines import Majority
from ml.text.models import CLASSIFIERS, TERM, TRUSTED_TYPES, make
from ml.text.training import train_sentiment_model
from ml.text.trial import Reviews, folds, macro_f1, macro_f1_interval, rank_correlation

GOOD, BAD, PLAIN = "lovely soft great", "torn scratchy awful", "shirt sleeve button colour sent box blue"
CHINESE = {"lovely": "喜", "soft": "柔", "great": "棒", "torn": "破", "scratchy": "糙", "awful": "差"}


def made_up(count=900, seed=1, noise=0.15):
    """Reviews of one to five stars: three words of taste, mostly of the rating's, among four plain ones."""
    rng = np.random.default_rng(seed)
    stars = rng.choice([1, 2, 3, 4, 5], count, p=[0.2, 0.1, 0.1, 0.2, 0.4])
    texts = []
    for rating in stars:
        tastes = np.where(rng.random(3) < noise, rng.random(3) < 0.5, rng.random(3) < (rating - 1) / 4)
        words = [rng.choice((GOOD if taste else BAD).split()) for taste in tastes]
        texts.append(
            " ".join(rng.permutation([*words, *rng.choice(PLAIN.split(), 4), str(rng.integers(10**9))]))
        )
    return Reviews(np.array(texts, dtype=object), stars, rng.integers(0, 300, count))


def published(reviews):
    return pa.table(
        {
            "customer_id": [f"c{writer}" for writer in reviews.writers],
            "stars": reviews.stars,
            "body": reviews.texts.tolist(),
        }
    )


def train(reviews):
    return train_sentiment_model(published(reviews), Source(date(2017, 12, 4), "k", {}))


@pytest.fixture(scope="module")
def trained():
    return train(made_up())


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Don't buy THIS!", ["don't", "buy", "this", "!"]),
        ("Größe 38 passt", ["größe", "passt"]),
        ("质量很差, bad", ["质", "量", "很", "差", "bad"]),
        ("とても良い", ["と", "て", "も", "良", "い"]),
    ],
)
def test_words_are_read_whole_and_a_language_without_blanks_by_its_characters(text, terms):
    assert CountVectorizer(token_pattern=TERM).build_analyzer()(text) == terms


def test_a_text_counts_once_and_one_that_was_called_good_and_bad_not_at_all():
    texts = np.array(["fine", "fine", "odd", "odd", "poor"], dtype=object)
    found = Reviews.of(texts, np.array([4, 5, 1, 5, 1]), np.arange(5))
    assert found.texts.tolist() == ["fine", "poor"]
    assert found.truth.tolist() == [1, -1]


def test_each_text_is_judged_once_and_by_models_that_know_nothing_of_its_writer():
    reviews = made_up()
    parts = list(folds(reviews, seed=3))
    assert sorted(text for _, judged in parts for text in judged.texts) == sorted(reviews.texts)
    assert all(not set(learnt.writers) & set(judged.writers) for learnt, judged in parts)


@pytest.mark.parametrize("method", CLASSIFIERS)
@pytest.mark.parametrize(
    "translate", [str, lambda text: "".join(CHINESE.get(word, "。") for word in text.split())]
)
def test_every_method_puts_texts_in_the_order_of_their_words(method, translate):
    reviews = made_up()
    model = make(method).fit(
        np.array([translate(each) for each in reviews.texts], dtype=object), reviews.truth
    )
    asked = ["lovely soft great", "lovely soft torn", "awful torn great", "awful torn scratchy"]
    found = model.sentiments(np.array([translate(each) for each in asked], dtype=object))
    assert (np.diff(found) < 0).all()
    assert -1 <= found.min() < 0 < found.max() <= 1


def test_planted_tastes_are_found_and_promoted(trained):
    assert trained.is_promoted, trained.reason
    assert trained.method in CLASSIFIERS
    assert {"macro_f1", "majority.macro_f1"} <= trained.figures.keys()
    assert trained.figures["majority.rank_correlation"] == 0


def test_reviews_whose_words_say_nothing_of_their_rating_are_refused():
    reviews = made_up()
    stars = np.random.default_rng(5).permutation(reviews.stars)
    found = train(Reviews(reviews.texts, stars, reviews.writers))
    assert not found.is_promoted
    assert "over majority" in found.reason


def test_a_shop_with_few_unhappy_reviews_is_told_so():
    reviews = made_up(count=250)
    found = train(reviews)
    assert found.fitted is None
    assert found.reason.startswith("too little to compare: 250 different texts")


def test_a_saved_model_says_the_same(trained):
    model = trained.fitted.model
    again = skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES)
    texts = made_up(seed=2).texts
    assert np.array_equal(model.sentiments(texts), again.sentiments(texts))


def test_macro_f1_does_not_depend_on_how_classes_are_ordered():
    drawn = np.random.default_rng(1).integers(1, 50, (3, 3))
    assert len({round(macro_f1(drawn[np.ix_(order, order)]), 12) for order in permutations(range(3))}) == 1


def test_the_interval_of_macro_f1_holds_what_more_texts_show_as_often_as_it_says():
    """A reader who is right of seven texts in ten, for both of two classes: with no end of texts macro-F1 is 0.7."""
    rng, held = np.random.default_rng(4), 0
    for number in range(200):
        drawn = rng.multinomial(400, [0.35, 0.15, 0.15, 0.35]).reshape(2, 2)
        low, high = macro_f1_interval(drawn, seed=number, rounds=400)
        held += low <= 0.7 <= high
    assert 180 <= held <= 199  # 95 %, give or take three standard errors


def test_a_reader_gains_nothing_over_itself_and_something_over_a_worse_one():
    truth = np.tile([-1, 0, 1], 100)
    poor = np.where(np.arange(300) % 4 == 0, 1, truth)
    assert macro_f1_interval(cells(truth, poor, poor), seed=1) == (0, 0)
    low, high = macro_f1_interval(cells(truth, truth, poor), seed=1)
    assert 0 < low < 1 - macro_f1(cells(truth, poor)) < high


def test_who_says_the_same_of_all_orders_nothing():
    assert rank_correlation(Majority().sentiments(np.array(["a", "b"])), np.array([1, 5])) == 0


def test_the_benchmark_judges_on_texts_that_nobody_learnt_from():
    reviews = made_up(count=600)

    class Exact:
        """Knows the ratings by heart: what it gets is what was held back."""

        def classes(self, texts):
            return np.array([reviews.truth[reviews.texts.tolist().index(text)] for text in texts])

        def sentiments(self, texts):
            return self.classes(texts).astype(float)

    chosen, judged, found = judge(reviews, Exact())
    assert found[VADER].classes.tolist() == judged.truth.tolist()
    assert 100 <= len(judged) <= 140
    over_majority, over_peer, correlation = results(chosen, judged, found)
    assert over_majority.is_met
    assert not over_peer.is_met
    assert not correlation.is_met
    shown = table(chosen, judged, found)
    assert f"**{chosen}**" in shown
    assert f"| {MAJORITY} |" in shown
    assert f"| {VADER} | 1.000 (1.000 to 1.000) |" in shown
