"""Reasons for warnings: the arithmetic against what is known in closed form, and sentences against the figures they state."""

import re
from itertools import combinations, permutations
from math import factorial

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml.churn.baselines import BASELINES
from ml.churn.blending import Blend
from ml.churn.explaining import explain, possible, typical_customer
from ml.churn.features import FEATURE_NAMES
from ml.churn.groups import GROUPS, Reason
from ml.churn.models import MEMBERS, SETTINGS, make
from ml.churn.reasons import Scored, reasons
from ml.churn.shapley import Walks, coalition_worth
from ml.churn.trial import Examples, churn_probability
from ml.churn.words import Told, sentence
from tests.ml.shop import simulated_examples

MODELS = sorted(MEMBERS | BASELINES)
REASONS = [group.reason for group in GROUPS]


@pytest.fixture(scope="module")
def customers():
    """600 customers of the simulated shop, every seventh with orders on one day only."""
    examples = Examples.of(simulated_examples())
    features = examples.features.head(600).copy()
    alone = np.arange(len(features)) % 7 == 0
    features.loc[alone, [name for name in FEATURE_NAMES if name.startswith("gap_")]] = np.nan
    features.loc[alone, "tenure_days"] = features.loc[alone, "recency_days"]
    features.loc[~alone, "tenure_days"] = 400.0
    features["orders_90d_count"] = np.where(alone, 1.0, np.floor(90 / features["gap_mean_days"]))
    return Examples(features, examples.cutoffs[:600], examples.has_churned[:600])


@pytest.fixture(scope="module")
def fitted(customers):
    models = {
        name: make(name, horizon_days=28, seed=3, settings=SETTINGS).fit(
            customers.features, customers.has_churned
        )
        for name in MODELS
    }
    weights = np.array([0.2, *np.full(len(MEMBERS), 1.1 / len(MEMBERS))])
    return models | {"blend": Blend([models[name] for name in MEMBERS], weights)}


def shapley_by_subsets(worth_of, groups):
    """The definition (Shapley 1953): what a group adds to every coalition without it, each size weighing alike."""
    shares = []
    for group in range(groups):
        others = [other for other in range(groups) if other != group]
        share = 0.0
        for size in range(groups):
            weight = factorial(size) * factorial(groups - size - 1) / factorial(groups)
            for coalition in combinations(others, size):
                share = share + weight * (worth_of({*coalition, group}) - worth_of(set(coalition)))
        shares.append(share)
    return np.column_stack(shares)


def every_ordering(groups):
    return Walks.along(np.array(list(permutations(range(groups)))))


def test_every_feature_of_the_models_stands_in_one_group():
    assert sorted(name for group in GROUPS for name in group.features) == sorted(FEATURE_NAMES)
    assert [group.reason for group in GROUPS] == list(Reason)
    assert all(group.stated in group.features for group in GROUPS)


@pytest.mark.parametrize("name", [*MODELS, "blend"])
def test_base_and_parts_sum_to_the_log_odds_of_the_score(name, fitted, customers):
    features = customers.features.head(60)
    said = churn_probability(fitted[name], features)
    own = features.to_numpy()
    found = explain(fitted[name], own, np.tile(typical_customer(own), (60, 1)), said)
    typical = pd.DataFrame([typical_customer(own)], columns=FEATURE_NAMES)
    base = churn_probability(fitted[name], typical)[0]
    assert found.base == pytest.approx(np.full(60, np.log(base / (1 - base))), abs=1e-9)
    assert found.base + found.shifts.sum(axis=1) == pytest.approx(np.log(said / (1 - said)), abs=1e-9)
    assert np.abs(found.shifts).max() > 0.05


def test_with_every_ordering_the_parts_are_shapleys_by_definition(fitted, customers):
    """A boosting on real groups, against sums over all 256 coalitions; four sampled orderings come close."""
    model, own = fitted["boosting_levels"], customers.features.to_numpy()[:5]
    typical = typical_customer(customers.features.to_numpy())
    said = churn_probability(model, customers.features.head(5))

    against = np.tile(typical, (5, 1))
    worth = {}
    for size in range(len(GROUPS) + 1):
        for coalition in combinations(range(len(GROUPS)), size):
            mixed = against.copy()
            for number in coalition:
                columns = [FEATURE_NAMES.index(name) for name in GROUPS[number].features]
                mixed[:, columns] = own[:, columns]
            chance = churn_probability(model, pd.DataFrame(possible(mixed), columns=FEATURE_NAMES))
            worth[frozenset(coalition)] = np.log(chance / (1 - chance))
    known = shapley_by_subsets(lambda coalition: worth[frozenset(coalition)], len(GROUPS))
    exact = explain(model, own, against, said, every_ordering(len(GROUPS))).shifts
    assert exact == pytest.approx(known, abs=1e-9)
    assert explain(model, own, against, said).shifts == pytest.approx(known, abs=0.15)


def test_of_a_linear_score_a_part_is_weight_times_difference_whatever_is_sampled():
    chance = np.random.default_rng(4)
    weights, own, against = chance.normal(size=6), chance.normal(size=(9, 6)), chance.normal(size=(9, 6))
    columns = [[0, 3], [1], [2, 4, 5]]
    walks = Walks.drawn(3, pairs=1, seed=8)
    found = walks.contributions(coalition_worth(lambda rows: rows @ weights, own, against, walks, columns))
    each = weights * (own - against)
    assert found == pytest.approx(np.column_stack([each[:, group].sum(axis=1) for group in columns]))


def test_a_group_the_score_ignores_adds_nothing_and_equal_groups_add_the_same():
    own, against = np.array([[2.0, 2.0, 9.0, 3.0]]), np.zeros((1, 4))
    walks = every_ordering(4)

    def score(rows):
        return rows[:, 0] * rows[:, 1] + np.minimum(rows[:, 0] + rows[:, 1], rows[:, 3])

    found = walks.contributions(coalition_worth(score, own, against, walks, [[0], [1], [2], [3]]))[0]
    assert found[2] == 0.0
    assert found[0] == pytest.approx(found[1])
    # By hand: the product's 4 is halved. The minimum is 2 once column 3 and one other have joined, 3 with both: of the six
    # orders of the three, column 0 adds 2 in one (3, 0, 1) and 1 in two (3, 1, 0 and 1, 3, 0).
    assert found == pytest.approx([2 + 4 / 6, 2 + 4 / 6, 0.0, 7 - 2 * (2 + 4 / 6)])


def test_sampling_in_pairs_gives_each_group_the_first_and_the_last_turn():
    walks = Walks.drawn(8, pairs=2, seed=0)
    assert walks.orders.shape == (4, 8)
    assert (walks.orders[2:] == walks.orders[:2, ::-1]).all()
    assert not walks.coalitions[0].any()
    assert walks.coalitions[-1].all()
    again = Walks.drawn(8, pairs=2, seed=0)
    assert (walks.orders == again.orders).all()


def test_a_real_customer_is_possible_as_he_is_and_every_mixture_can_be_scored(fitted, customers):
    own = customers.features.to_numpy()
    assert np.array_equal(possible(own), own, equal_nan=True)
    chance = np.random.default_rng(5)
    takes = np.zeros(own.shape, dtype=bool)
    for group in GROUPS:
        takes[:, group.columns] = chance.random((len(own), 1)) < 0.5
    mixed = np.where(takes, own, own[chance.permutation(len(own))])
    frame = pd.DataFrame(possible(mixed), columns=FEATURE_NAMES)
    assert (frame["tenure_days"] >= frame["recency_days"]).all()
    assert np.isfinite(churn_probability(fitted["blend"], frame)).all()


def test_the_typical_customer_has_no_gap_where_most_have_none_and_the_commonest_hour():
    rows = np.ones((5, len(FEATURE_NAMES)))
    rows[:, FEATURE_NAMES.index("recency_days")] = [1, 2, 30, 400, 500]
    rows[:, FEATURE_NAMES.index("tenure_days")] = 900
    rows[:, FEATURE_NAMES.index("usual_hour")] = [23, 0, 23, 12, 1]
    for name in (name for name in FEATURE_NAMES if name.startswith("gap_")):
        rows[:3, FEATURE_NAMES.index(name)] = np.nan
    typical = dict(zip(FEATURE_NAMES, typical_customer(rows), strict=True))
    assert (typical["recency_days"], typical["usual_hour"]) == (30, 23)
    assert np.isnan(typical["gap_mean_days"])
    assert typical["tenure_days"] == 30  # orders on one day only: the first was the last


def two_causes(seed):
    """Customers whose features are noise, but half of the lapsing ones pause and half buy at a discount."""
    chance = np.random.default_rng(seed)
    count = 1500
    frame = pd.DataFrame(np.exp(chance.normal(size=(count, len(FEATURE_NAMES)))), columns=FEATURE_NAMES)
    cause = chance.choice([0, 1, 2], count, p=[0.7, 0.15, 0.15])
    frame["gap_mean_days"] = chance.uniform(8, 14, count)
    frame["gap_max_days"] = 2 * frame["gap_mean_days"]
    frame["recency_days"] = np.where(cause == 1, 4.0, 0.7) * frame["gap_mean_days"]
    frame["gap_ratio"] = frame["recency_days"] / frame["gap_mean_days"]
    frame["tenure_days"] = 300.0
    frame["discount_share"] = np.where(cause == 2, 0.5, 0.1) + chance.normal(0, 0.02, count)
    frame["discount_90d_share"] = frame["discount_share"]
    truth = chance.random(count) < np.where(cause == 0, 0.05, 0.9)
    return frame, cause, truth


@pytest.mark.parametrize("name", ["logistic_rhythm", "boosting_rhythm", "random_forest"])
def test_the_planted_cause_is_the_first_reason(name):
    frame, _, truth = two_causes(seed=1)
    model = make(name, horizon_days=28, seed=3, settings=SETTINGS).fit(frame, truth)
    frame, cause, _ = two_causes(seed=2)
    probability = churn_probability(model, frame)
    scored = Scored.of(frame, probability, is_warned=probability >= 0.3, stake=np.ones(len(frame)))
    rows = reasons(model, scored, currency="EUR")
    first = {row["place"]: row["reason"] for row in rows if row["rank"] == 1}
    planted = {place: (None, "pause", "discounts")[kind] for place, kind in enumerate(cause) if kind}
    warned = [place for place in planted if place in first]
    assert len(warned) > 400
    assert np.mean([first[place] == planted[place] for place in warned]) > 0.97


def test_only_so_many_are_explained_and_those_with_most_at_stake(customers):
    stake = np.tile([100.0, 9_000.0, 99_000.0], 200)
    probability = np.tile([0.9, 0.5, 0.2], 200)
    scored = Scored.of(customers.features, probability, is_warned=probability >= 0.3, stake=stake)
    assert set(scored.warned() % 3) == {0, 1}
    assert scored.warned(most=5).tolist() == [1, 4, 7, 10, 13]


def test_the_own_past_is_what_came_before_the_last_days_where_there_was_as_much_of_it():
    frame = pd.DataFrame(1.0, index=range(2), columns=FEATURE_NAMES).assign(
        tenure_days=[270.0, 179.0], orders_lifetime_count=[15.0, 15.0], orders_90d_count=[3.0, 3.0]
    )
    usual = Scored.of(frame, np.full(2, 0.5), is_warned=np.ones(2, bool), stake=np.ones(2)).usual()
    assert usual[Reason.FREQUENCY].tolist() == pytest.approx(
        [6.0, np.nan], nan_ok=True
    )  # 12 orders in 180 days


@pytest.mark.parametrize(
    ("reason", "told", "said"),
    [
        (Reason.PAUSE, Told(31, 12, 9, 7), "Orders about every 12 days, now quiet for 31; customers like them: 9."),
        (Reason.PAUSE, Told(31, 12, 40, None), "Orders about every 12 days, now quiet for 31."),
        (Reason.PAUSE, Told(31, 40, 30, 7), "Orders about every 40 days, the last one 31 days ago; customers here: 7."),
        (Reason.PAUSE, Told(31, None, None, 31), "Ordered on one day only, 31 days ago."),
        (Reason.PAUSE, Told(6, 12, 9, 7), "How long it has been quiet, against the usual gap, speaks for a lapse."),
        (Reason.SPEND, Told(4000, 9500, None, 3000), "Spent €40.00 in the last 30 days, usually €95.00."),
        (Reason.FREQUENCY, Told(3, None, 7, 9), "3 orders in the last 90 days; customers like them: 7."),
        (Reason.FREQUENCY, Told(0, 4.25, 0.2, 0.1), "No order in the last 90 days, usually 4.2; customers like them: 0.2."),
        (Reason.FREQUENCY, Told(9, 4, 3, 9), "How often orders came lately speaks for a lapse."),
        (Reason.SPEND, Told(-500, 9500, 9500, 9500), "How much was bought lately speaks for a lapse."),
        (Reason.HOURS, Told(0.6, None, 0.3, 0.3), "60% of orders at weekends; customers like them: 30%."),
        (Reason.DISCOUNTS, Told(0.0, None, 0.001, 0.0), "The part that discounts play speaks for a lapse."),
    ],
)  # fmt: skip
def test_a_reason_in_words(reason, told, said):
    assert sentence(reason, 0.5, told, currency="EUR") == said
    against = sentence(reason, -0.5, told, currency="EUR")
    assert against.endswith("speaks against a lapse.")
    assert not re.search(r"\d", against)


amounts = (st.floats(-5_000, 50_000) | st.floats(0, 40) | st.integers(0, 300)).map(lambda x: x + 0.0)
others = st.none() | amounts
SMALLER = {Reason.FREQUENCY, Reason.SPEND, Reason.VARIETY, Reason.HISTORY}
PER_UNIT = {Reason.SPEND: 100, Reason.BASKETS: 100, Reason.DISCOUNTS: 0.01, Reason.HOURS: 0.01}


def numbers_in(text, reason):
    """Read a sentence's figures back, in the unit of the feature; the spans of days it names are left out."""
    text = re.sub(r"in the last (30|90) days", "", text).replace("No ", "0 ").replace("one day only", "")
    found = re.findall(r"\d[\d,]*(?:\.\d+)?", text)
    return [float(number.replace(",", "")) * PER_UNIT.get(reason, 1) for number in found]


@given(st.sampled_from(REASONS), amounts, others, others, others)
def test_every_figure_of_a_sentence_is_the_customers_and_every_comparison_holds(
    reason, now, usual, segment, shop
):
    # What returns take back can exceed what was spent; every other feature is a count, a span or a share.
    assume(reason is Reason.SPEND or all(x is None or x >= 0 for x in (now, usual, segment, shop)))
    usual = usual if reason in (Reason.PAUSE, Reason.FREQUENCY, Reason.SPEND) else None
    assume(reason is not Reason.PAUSE or usual is None or usual > 0)
    text = sentence(reason, 1.0, Told(now, usual, segment, shop), currency="EUR")
    if text.endswith("speaks for a lapse."):
        return
    expected = [now]
    if reason is Reason.PAUSE and usual is not None:
        expected = [usual, now]
        assert now > usual or "quiet" not in text
    elif "usually" in text:
        expected += [usual]
        assert now < usual
    if "customers" in text:
        other = segment if "customers like them" in text else shop
        expected += [other]
        assert now < other if reason in SMALLER else now != other
        assert reason is not Reason.PAUSE or now > other
    rounding = 0.51 * PER_UNIT.get(reason, 1) / (100 if reason in (Reason.SPEND, Reason.BASKETS) else 1)
    assert numbers_in(text, reason) == pytest.approx(expected, abs=rounding)
