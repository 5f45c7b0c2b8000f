"""Segments on customers whose kind is known, because it was drawn; expected words and cells are worked out by hand."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from core.errors import ContractBroken, GateFailed
from ml.provenance import Source
from ml.segments.baselines import BASELINES
from ml.segments.features import feature_frame, usable
from ml.segments.fitting import Reigning
from ml.segments.matching import ids, matched
from ml.segments.models import Space
from ml.segments.naming import HOW, WHO, names
from ml.segments.rfm import CELLS, quintiles, rfm
from ml.segments.serving import DaySegments, check_segments
from ml.segments.training import train_segment_model
from ml.segments.trial import Tried, best, folds
from tests.ml.segment_shop import AS_OF, COLUMNS, KINDS, features_of, habits, planted, truth


def train(table, reigning=None, day=AS_OF):
    return train_segment_model(table, Source(day, "k", {}), reigning)


def labels(model, table):
    return model.assign(feature_frame(table, model.feature_names)).labels


def ids_of(model, table):
    return np.array(model.segment_ids)[labels(model, table)]


@pytest.fixture(scope="module")
def trained():
    return train(planted())


@pytest.fixture(scope="module")
def model(trained):
    return trained.fitted.model


# ---- what is found ----


def test_planted_kinds_are_found_and_promoted(trained, model):
    assert trained.is_promoted, trained.reason
    assert len(model.segment_ids) == len(KINDS)
    assert adjusted_rand_score(truth(), labels(model, planted())) >= 0.9


def test_segments_are_named_after_what_was_planted(model):
    found = labels(model, planted())
    name_of_kind = [
        model.segment_names[np.bincount(found[truth() == kind]).argmax()] for kind in range(len(KINDS))
    ]
    assert name_of_kind[0] == "lapsing big spenders"
    assert name_of_kind[1].endswith("regulars")
    assert "discount-seeking" in name_of_kind[2]
    assert "weekend" in name_of_kind[3]
    assert len(set(name_of_kind)) == 4


def test_customers_drawn_anew_from_the_same_kinds_fall_into_the_same_segments(model):
    others = features_of(habits(truth(), seed=9))
    assert adjusted_rand_score(truth(), labels(model, others)) >= 0.9


def test_features_that_have_nothing_to_do_with_each_other_are_refused():
    rng = np.random.default_rng(2)
    refused = train(features_of(rng.permuted(habits(truth()), axis=0)))
    assert not refused.is_promoted
    assert refused.reason.startswith("silhouette gains")
    assert "over shuffled" in refused.reason


def test_a_shop_where_another_draw_gives_other_groups_is_refused_and_told():
    values = np.random.default_rng(2).normal(5.0, 1.0, (600, 6))
    values[:, :4] = np.exp(values[:, :4])
    refused = train(features_of(values))
    assert not refused.is_promoted
    assert refused.reason.startswith("no number of segments from 3 to 8 holds when other customers are drawn")
    assert refused.fitted is not None  # logged all the same, for a reviewer to see


def test_one_long_crowd_is_refused_although_its_pieces_lie_apart():
    rng = np.random.default_rng(4)
    size = rng.normal(0.0, 1.0, (800, 1))  # everything goes with how much a customer buys
    values = 4.0 + size + rng.normal(0.0, 0.35, (800, 6))
    values[:, :4] = np.exp(
        values[:, :4]
    )  # the model sees amounts by their logarithm: all six are normal to it
    refused = train(features_of(values))
    assert not refused.is_promoted
    assert (
        refused.figures["silhouette"] > refused.figures["shuffled.silhouette"] + 0.02
    )  # shuffling would let it pass
    assert refused.reason.startswith("silhouette gains")
    assert "over one_crowd" in refused.reason


def test_every_baseline_is_judged_on_every_fold(trained):
    assert set(BASELINES) == {"rfm", "shuffled", "one_crowd"}
    for name in BASELINES:
        theirs = trained.fold_figures[f"{name}.silhouette"]
        assert len(theirs) == len(trained.fold_figures["silhouette"]) == 5
        assert max(theirs) < min(trained.fold_figures["silhouette"])


def test_too_few_customers_or_features_are_said_instead_of_cut_up():
    few = train(features_of(habits(truth(150))))
    assert (few.is_promoted, few.fitted) == (False, None)
    assert (
        few.reason
        == "too little to compare: 150 customers with 6 usable features, 200 and 2 or more are needed"
    )
    alike = train(features_of(np.repeat(habits(truth(1)), 300, axis=0)))
    assert "300 customers with 0 usable features" in alike.reason
    two_kinds = train(features_of(np.repeat(habits(np.array([0, 1])), 150, axis=0)))
    assert two_kinds.reason == "too little to compare: there are not three different kinds of customers"


# ---- the same in, the same out ----


def test_the_order_of_rows_does_not_count(trained, model):
    shuffled = planted().take(np.random.default_rng(0).permutation(600))
    again = train(shuffled)
    other = again.fitted.model
    assert other.centroids.tobytes() == model.centroids.tobytes()
    assert (other.segment_ids, other.segment_names) == (model.segment_ids, model.segment_names)
    assert (again.figures, again.parameters, again.reason) == (
        trained.figures, trained.parameters, trained.reason,
    )  # fmt: skip


def test_groups_of_columns_a_shop_lacks_are_left_out_and_said(trained, model):
    count = 600
    more = {
        "returns_90d_count": pa.nulls(count, pa.int64()),
        "mail_click_share": pa.nulls(count, pa.float64()),
        "survey_mean_score": pa.array([5.0 + n % 4 if n % 3 == 0 else None for n in range(count)]),
        "tickets_90d_count": pa.array([0] * count),
        "order_id": pa.array(range(count)),
    }
    with_gaps = train(planted(**more))
    assert with_gaps.tables["left_out"] == {
        "returns_90d_count": "empty for everybody",
        "mail_click_share": "empty for everybody",
        "survey_mean_score": "known for 200 of 600 customers, fewer than half",
        "tickets_90d_count": "the same for everybody",
    }
    assert with_gaps.parameters["left_out"] == (
        "mail_click_share, returns_90d_count, survey_mean_score, tickets_90d_count"
    )
    assert with_gaps.fitted.model.feature_names == list(COLUMNS)
    assert with_gaps.fitted.model.centroids.tobytes() == model.centroids.tobytes()
    assert with_gaps.figures == trained.figures


def test_identifiers_days_texts_and_hours_never_take_part():
    table = planted(product_id=pa.array(range(600)), usual_weekday=pa.array([1.0, 2.0] * 300))
    assert usable(table)[0] == list(COLUMNS)


def test_yes_and_no_and_decimals_take_part():
    table = planted(
        has_app=pa.array([True, False, None] * 200),
        credit_cents=pa.array(range(600)).cast(pa.decimal128(38, 0)),
    )
    assert usable(table)[0] == [*COLUMNS, "has_app", "credit_cents"]
    assert feature_frame(table, ["has_app"])["has_app"].tolist()[:2] == [1.0, 0.0]


def test_a_missing_value_counts_as_the_median_of_those_who_have_one():
    values = np.array([[1.0, 5.0], [3.0, np.nan], [np.inf, 7.0], [2.0, 9.0]])
    seen = Space.of(values, np.array([False, False])).standardised(values)
    # known: 1, 3, 2 with median 2, and 5, 7, 9 with median 7; both columns then have a mean of the median
    assert seen[2, 0] == seen[1, 1] == 0.0


def test_a_rare_event_is_no_segment_of_its_own(model):
    rare = np.zeros(600)
    rare[:12] = 500.0  # two in a hundred: seven standard deviations from everybody else
    found = train(planted(tickets_90d_count=pa.array(rare)))
    assert (
        adjusted_rand_score(truth(), labels(found.fitted.model, planted(tickets_90d_count=pa.array(rare))))
        >= 0.9
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.floats(), min_size=3, max_size=3), min_size=1, max_size=8), st.integers(0, 7))
def test_whatever_a_value_is_a_customer_has_a_place(rows, skewed_columns):
    rng = np.random.default_rng(0)
    space = Space.of(
        rng.normal(5.0, 2.0, (50, 3)),
        np.array([skewed_columns & 1, skewed_columns & 2, skewed_columns & 4], bool),
    )
    place = space.coordinates(np.array(rows))
    assert np.isfinite(place).all()
    assert (np.linalg.norm(place, axis=1) <= 3.0 * np.sqrt(3) + 1e-9).all()  # no column counts beyond 3


# ---- from day to day ----


def drifted(values, day, moved):
    """Half of the customers never change. The others change a little each day, and `moved` become regulars."""
    rng = np.random.default_rng(1000 + day)
    changed = values * np.exp(rng.normal(0.0, 0.01, values.shape))
    changed[:300] = values[:300]
    if day == 10:
        changed[moved] = habits(np.full(len(moved), 1), seed=77)
    return changed


def test_over_three_weeks_names_and_ids_stay_and_only_who_changes_is_moved():
    values, kinds = habits(truth()), truth()
    moved = np.flatnonzero(kinds[300:] == 0)[:25] + 300
    champion = train(features_of(values)).fitted.model
    first, promoted = ids_of(champion, features_of(values)), 1
    regulars = first[np.flatnonzero(kinds == 1)[0]]
    for day in range(1, 22):
        values, today = drifted(values, day, moved), AS_OF + timedelta(days=day)
        if day % 7 == 0:
            again = train(features_of(values, today), Reigning("1", champion), today)
            new = again.fitted.model
            assert dict(zip(new.segment_ids, new.segment_names, strict=True)) == dict(
                zip(champion.segment_ids, champion.segment_names, strict=True)
            )
            if again.is_promoted:
                champion, promoted = new, promoted + 1
        found = ids_of(champion, features_of(values, today))
        assert (found[:300] == first[:300]).all()
        if day >= 10:
            assert (found[moved] == regulars).all()
    others = np.setdiff1d(np.arange(300, 600), moved)
    assert (found[others] == first[others]).mean() > 0.97
    assert promoted == 1  # nobody is moved for nothing


def test_a_model_that_says_what_the_champion_says_is_refused_with_the_reason(model):
    again = train(planted(), Reigning("7", model))
    assert not again.is_promoted
    assert again.reason.startswith("the champion (version 7) says the same: agreement 1.000")
    assert again.figures["agreement_with_champion"] == 1.0
    assert again.parameters["segments_that_go_on"] == 4


def test_a_new_kind_of_customer_gets_a_new_id_and_the_others_keep_theirs(model):
    newcomers = np.tile([1.0, 1.0, 50_000.0, 50_000.0, 0.0, 0.0], (200, 1))
    newcomers[:, :4] *= np.exp(np.random.default_rng(3).normal(0, 0.2, (200, 4)))
    table, later = features_of(np.vstack([habits(truth()), newcomers])), date(2017, 12, 11)
    changed = train(table, Reigning("1", model), later)
    assert changed.is_promoted, changed.reason
    new = changed.fitted.model
    assert set(new.segment_ids) - set(model.segment_ids) == {"20171211-1"}
    kept = dict(zip(model.segment_ids, model.segment_names, strict=True))
    named = dict(zip(new.segment_ids, new.segment_names, strict=True))
    assert [named[each] for each in kept] == list(kept.values())
    assert set(ids_of(new, table)[600:]) == {"20171211-1"}
    assert (ids_of(new, table)[:600] == ids_of(model, planted())).mean() > 0.99


def test_a_champion_whose_column_is_gone_is_replaced_and_its_ids_go_on(model):
    table = planted().drop_columns(["weekend_share"])
    changed = train(table.append_column("browse_count", pa.array(truth() * 50.0)), Reigning("1", model))
    assert changed.is_promoted, changed.reason
    assert set(changed.fitted.model.segment_ids) & set(model.segment_ids)
    with pytest.raises(ContractBroken, match="no column 'weekend_share', which the segments' model reads"):
        DaySegments.of(model, table)


def test_a_column_that_falls_empty_moves_only_those_it_told_apart(model):
    emptied = planted().set_column(7, "weekend_share", pa.nulls(600, pa.float64()))
    same = ids_of(model, emptied) == ids_of(model, planted())
    assert same[truth() != 3].mean() > 0.99


def test_segments_are_matched_by_the_customers_they_share():
    before = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    after = np.array([1, 1, 1, 0, 0, 2, 2, 3, 3, 3])
    places = np.arange(10.0)[:, None]
    # shared of either: 0 and 1: 3/3; 1 and 0: 2/3; 2 and 3: 3/4; new 2 has one customer of two old ones
    assert matched(before, after, places, old=3, new=4) == {1: 0, 0: 1, 3: 2}


def test_where_customers_say_nothing_the_nearer_centres_go_on():
    before = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    after = np.array([0, 0, 1, 1, 0, 0, 1, 1])  # each new one shares two of six with each old one
    places = np.array([0.0, 0.0, 4.0, 4.0, 2.0, 2.0, 10.0, 10.0])[:, None]
    # centres: old ones at 2 and 6, new ones at 1 and 7
    assert matched(before, after, places, old=2, new=2) == {0: 0, 1: 1}
    assert matched(before, 1 - after, places, old=2, new=2) == {1: 0, 0: 1}


def test_a_segment_that_shares_less_than_a_third_is_a_new_one():
    before = np.array([0] * 10 + [1] * 10)
    after = np.array([0] * 5 + [1] * 5 + [0] * 5 + [1] * 5)  # 5 of 15 each: just a third
    assert len(matched(before, after, np.arange(20.0)[:, None], old=2, new=2)) == 2
    after[0] = 1  # 4 of 16 now
    assert len(matched(before, after, np.arange(20.0)[:, None], old=2, new=2)) < 2


def test_an_id_of_a_segment_that_is_gone_is_not_given_again():
    assert ids([5, 9], {}, AS_OF, taken=["20171204-1"]) == ["20171204-3", "20171204-2"]


# ---- names ----

FEATURES = ["recency_days", "gap_ratio", "spend_lifetime_cents", "weekend_share", "discount_share"]


def named(rows, sizes=None, before=None):
    return names(FEATURES, np.array(rows, dtype=float), sizes or [1] * len(rows), before or {})


def test_a_name_says_how_by_the_strongest_word_and_who_by_the_first_that_is_true():
    assert named([[0.9, 0.7, 1.2, 0, 0]]) == ["lapsing big spenders"]
    assert named([[0.9, 0.0, -0.5, 0, 0]]) == ["small spenders"]  # lapsing by 0.45 only
    assert named([[-0.8, -0.8, 0.1, 0, 0.7]]) == ["active customers"]
    assert named([[0.2, 0, 0, 0, 0]]) == ["average customers"]
    who = ["orders_lifetime_count", "spend_lifetime_cents"]
    assert names(who, np.array([[2.0, 0.5]]), [1], {}) == ["big spenders"]
    assert names(who, np.array([[2.0, 0.4]]), [1], {}) == ["regulars"]


def test_two_segments_that_would_be_called_alike_say_more_and_then_count():
    alike = [[1, 1, 1, 0, 0.6], [1, 1, 1, 0.7, 0], [1, 1, 1, 0.7, 0]]
    assert named(alike, sizes=[5, 9, 10]) == [
        "lapsing discount-seeking big spenders",
        "lapsing weekend big spenders 2",
        "lapsing weekend big spenders",
    ]


def test_a_name_is_kept_while_it_is_true_and_changed_when_it_is_not():
    before = {0: "lapsing big spenders"}
    assert named([[0.3, 0.3, 0.3, 2.0, 0]], before=before) == ["lapsing big spenders"]
    assert named([[0.2, 0.2, 0.9, 2.0, 0]], before=before) == ["weekend big spenders"]
    assert named([[1, 1, 1, 0, 0]], before={0: "glorious big spenders"}) == ["lapsing big spenders"]
    assert named([[0.3, 0.1, 0, 0, 0]], before={0: "average customers"}) == ["average customers"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.floats(-3, 3), min_size=5, max_size=5), min_size=1, max_size=8),
    st.dictionaries(
        st.integers(0, 7), st.sampled_from(["lapsing big spenders", "customers", "average customers"])
    ),
)
def test_names_are_always_different_and_made_of_true_words(rows, old):
    before = {number: name for number, name in old.items() if number < len(rows)}
    before = {number: name for number, name in before.items() if list(before.values()).count(name) == 1}
    found = named(rows, before=before)
    assert len(set(found)) == len(rows)
    weights = dict(zip(FEATURES, np.array(rows).T, strict=True))
    for axis in (*HOW, *WHO):
        mean = np.mean(
            [weights[each] for each in axis.features if each in weights] or [np.zeros(len(rows))], axis=0
        )
        for number, name in enumerate(found):
            assert f" {axis.much} " not in f" {name} " or mean[number] >= 0.25
            assert f" {axis.little} " not in f" {name} " or mean[number] <= -0.25


def test_no_word_of_the_lists_is_part_of_another_and_all_are_different():
    words = [word for axis in (*HOW, *WHO) for word in (axis.much, axis.little)]
    assert len(set(words)) == len(words) > 20
    assert not [
        (one, other) for one in words for other in words if one != other and f" {one} " in f" {other} "
    ]


# ---- RFM ----


def rfm_table(recency, orders, spend):
    return pa.table({"recency_days": recency, "orders_lifetime_count": orders, "spend_lifetime_cents": spend})


def test_rfm_of_ten_customers_worked_out_by_hand():
    found = rfm(
        rfm_table(
            [1, 1, 2, 3, 5, 8, 13, 21, 34, 55],
            [9, 1, 1, 1, 5, 5, 8, 8, 1, 2],
            [900, 10, 20, 30, 500, 600, 800, 700, 40, 50],
        )
    )
    # recency: the two of yesterday tie for ranks 9 and 10; then two customers to each score
    assert found.recency.tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]
    # orders: four with 1 (half of 4 of 10 below: 0.2, the second fifth), 2 (0.45), two with 5 (0.6), two with 8 (0.8), 9
    assert found.frequency.tolist() == [5, 2, 2, 2, 4, 4, 5, 5, 2, 3]
    assert found.monetary.tolist() == [5, 1, 1, 2, 3, 4, 5, 4, 2, 3]
    assert found.cells == [
        "best", "potential loyal", "potential loyal", "potential loyal", "loyal", "loyal",
        "cannot lose", "cannot lose", "hibernating", "at risk",
    ]  # fmt: skip


def test_every_combination_of_scores_has_one_of_ten_names():
    assert CELLS.shape == (5, 5)
    assert len(set(CELLS.ravel().tolist())) == 10
    assert all(CELLS.ravel())


def test_where_everybody_is_alike_everybody_is_in_the_middle():
    assert quintiles(np.full(7, 4.0)).tolist() == [3] * 7
    assert quintiles(np.array([4.0])).tolist() == [3]


def test_a_customer_without_one_of_the_three_stops_with_its_name():
    with pytest.raises(ContractBroken, match="'spend_lifetime_cents' is missing in 1 of 2 rows"):
        rfm(rfm_table([1, 2], [1, 2], [5, None]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_quintiles_keep_order_ties_and_rows_and_are_fifths_without_ties(values, random):
    found = quintiles(np.array(values, dtype=float))
    assert set(found.tolist()) <= {1, 2, 3, 4, 5}
    score: dict[int, int] = dict(zip(values, map(int, found), strict=True))
    assert all(score[value] == each for value, each in zip(values, found.tolist(), strict=True))
    assert [score[each] for each in sorted(score)] == sorted(score.values())
    order = list(range(len(values)))
    random.shuffle(order)
    assert (
        quintiles(np.array([values[each] for each in order], dtype=float)).tolist() == found[order].tolist()
    )
    distinct = np.array(order, dtype=float)
    sizes = np.bincount(quintiles(distinct), minlength=6)[1:]
    assert sizes.max() - sizes.min() <= 1


# ---- what is published ----


def test_a_profile_states_means_in_their_own_unit(model):
    day = DaySegments.of(model, planted())
    rows = {(row["segment_id"], row["feature"]): row for row in day.profiles()}
    assert len(rows) == 4 * len(COLUMNS)
    table, own = planted(), ids_of(model, planted())
    for segment_id in model.segment_ids:
        row = rows[segment_id, "recency_days"]
        recency = table["recency_days"].to_numpy()
        assert row["segment_mean"] == pytest.approx(recency[own == segment_id].mean())
        assert row["everybody_mean"] == pytest.approx(recency.mean())
        assert row["customers_count"] == (own == segment_id).sum()
        assert (row["difference"] > 0) == (np.log(recency[own == segment_id]).mean() > np.log(recency).mean())


def test_a_segment_nobody_is_in_today_is_shown_with_nobody(model):
    only = planted().filter(pa.array(truth() == 0))
    rows = [row for row in DaySegments.of(model, only).profiles() if row["customers_count"] == 0]
    assert len(rows) == 3 * len(COLUMNS)
    assert {row["difference"] for row in rows} == {row["segment_mean"] for row in rows} == {None}


def test_confidence_is_0_on_a_border_and_1_at_a_centre(model):
    found = model.assign(feature_frame(planted(), model.feature_names))
    assert found.confidence.min() >= 0.0
    assert found.confidence.max() <= 1.0
    assert np.median(found.confidence) > 0.5
    twice = type(model)(
        model.feature_names,
        model.space,
        model.centroids[[0, 0]],
        model.segment_ids[:2],
        model.segment_names[:2],
    )
    assert twice.assign(feature_frame(planted(), model.feature_names)).confidence.max() == 0.0


def test_a_customer_without_a_segment_or_with_two_stops_the_day():
    customers = pa.chunked_array([["a", "b"]])
    rows = pa.table({"customer_id": ["a", "b"], "segment_confidence": [0.0, 1.0]})
    check_segments(rows, customers)
    with pytest.raises(GateFailed, match="1 rows for 1 customers, 2 have features"):
        check_segments(rows.slice(1), customers)
    with pytest.raises(GateFailed, match="3 rows for 2 customers"):
        check_segments(pa.concat_tables([rows, rows.slice(1)]), customers)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(GateFailed, match="1 confidences lie outside"):
            check_segments(rows.set_column(1, "segment_confidence", pa.array([0.5, wrong])), customers)


def tried(k, silhouette, stability, share=0.1):
    return Tried(k, [silhouette] * 5, [stability] * 5, share)


def test_the_stable_number_of_segments_that_lie_farthest_apart_is_taken():
    good = tried(4, 0.30, 0.85)
    assert best([tried(3, 0.2, 0.99), good, tried(5, 0.25, 0.9)]) is good
    assert best([good, tried(5, 0.5, 0.79)]) is good  # farther apart, and another draw gives others
    assert best([good, tried(6, 0.5, 0.99, share=0.019)]) is good  # a handful of outliers is no segment
    nearest_miss = tried(5, 0.25, 0.7)
    assert best([tried(3, 0.2, 0.79), nearest_miss]) is nearest_miss
    assert not nearest_miss.is_stable


def test_folds_judge_every_customer_once_and_fit_on_the_others():
    values = habits(truth(103))
    parts = folds(values, np.zeros(6, bool), seed=1)
    assert sorted(np.concatenate([part.everybody for part in parts]).tolist()) == list(range(103))
    for part in parts:
        assert np.array_equal(part.judged, values[part.everybody])
        assert len(part.fitted) + len(part.judged) == 103
