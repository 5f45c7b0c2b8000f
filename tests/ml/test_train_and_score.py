"""From published tables to published scores, with real MLflow, on the simulated shop."""

import math
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from mlflow import MlflowClient

from core.errors import GateFailed, ModelRefused, NotPublished
from core.published import Published
from ml.checks import check_churn_reasons, check_churn_scores, check_recommendations
from ml.churn.terms import experiment
from ml.registry import Registry
from ml.scoring import score
from ml.tables import (
    CHURN_REASONS_SCHEMA,
    CHURN_SCORES_SCHEMA,
    CUSTOMER_VALUE_SCHEMA,
    MODEL_FIGURES_SCHEMA,
    RECOMMENDATIONS_SCHEMA,
    REMOVALS_SCHEMA,
    SCORE_DRIFT_SCHEMA,
    SEGMENT_PROFILES_SCHEMA,
    SEGMENTS_SCHEMA,
)
from ml.train import train_churn, train_recommender
from tests.ml.shop import AS_OF, CUSTOMERS, NEWCOMER, PRODUCTS

SCHEMAS = {
    "churn_scores": CHURN_SCORES_SCHEMA,
    "churn_reasons": CHURN_REASONS_SCHEMA,
    "recommendations": RECOMMENDATIONS_SCHEMA,
    "recommendation_removals": REMOVALS_SCHEMA,
    "segments": SEGMENTS_SCHEMA,  # without a champion here; see test_segments_in_the_registry.py
    "segment_profiles": SEGMENT_PROFILES_SCHEMA,
    "customer_value": CUSTOMER_VALUE_SCHEMA,  # nor here; see test_lifetime_in_the_registry.py
    "model_figures": MODEL_FIGURES_SCHEMA,
    "score_drift": SCORE_DRIFT_SCHEMA,
}


@pytest.fixture
def scored(trained, tmp_path):
    """Settings of a shop that is trained and scored, and its published tables by name."""
    settings = trained(tmp_path / "shop")
    counts = score(settings, AS_OF)
    published = Published(settings.published)
    tables = {name: published.read(name, AS_OF) for name in SCHEMAS}
    assert {name: len(rows) for name, rows in tables.items()} == counts
    return tables


def test_tables_have_the_contracted_columns_and_name_the_champion(scored):
    assert {name: rows.schema.remove_metadata() for name, rows in scored.items()} == SCHEMAS
    for name, model in {"churn_scores": "churn", "recommendations": "recommender"}.items():
        assert set(scored[name]["model_name"].to_pylist()) == {model}
        assert set(scored[name]["model_version"].to_pylist()) == {"1"}


def test_every_customer_has_one_probability_and_its_band(scored):
    rows = scored["churn_scores"].to_pylist()
    assert [row["customer_id"] for row in rows] == [*CUSTOMERS, NEWCOMER]
    # 40,000 cents in 200 days, a quarter of it margin, with 1.4 orders in 28 days that are at least one; all alike.
    stake = 40_000 * 0.25 * 28 / 200 / (1 - np.exp(-1.4))
    pays_from = 102 / (0.1 * (stake - 100) + 100)
    for row in rows:
        chance = row["churn_probability"]
        assert row["value_at_stake_cents"] == pytest.approx(stake)
        assert row["expected_profit_cents"] == pytest.approx(
            chance * 0.1 * (stake - 100) - (1 - chance) * 100 - 2
        )
        band = "high" if chance >= pays_from else "medium" if chance >= pays_from / 2 else "low"
        assert row["churn_band"] == band
    assert {row["churn_band"] for row in rows} == {"high", "medium", "low"}


def test_every_warning_has_reasons_that_sum_to_its_score_and_no_other_customer_has_any(scored):
    chances = {row["customer_id"]: row["churn_probability"] for row in scored["churn_scores"].to_pylist()}
    rows = scored["churn_reasons"].to_pylist()
    explained = {row["customer_id"] for row in rows}
    bands = {row["customer_id"]: row["churn_band"] for row in scored["churn_scores"].to_pylist()}
    assert explained == {customer for customer, band in bands.items() if band != "low"}
    assert len(explained) > 20
    for customer in explained:
        own = [row for row in rows if row["customer_id"] == customer]
        assert [row["rank"] for row in own] == list(range(1, 9))
        total = own[0]["base_log_odds"] + sum(row["shift_log_odds"] for row in own)
        assert total == pytest.approx(math.log(chances[customer] / (1 - chances[customer])), abs=1e-9)
    # The simulated customers lapse when they are late by their own gap, and by nothing else.
    assert {row["reason"] for row in rows if row["rank"] == 1} == {"pause"}


def test_reasons_that_do_not_sum_to_the_score_stop_the_day(scored):
    rows, scores = scored["churn_reasons"], scored["churn_scores"]
    check_churn_reasons(rows, scores)
    place = rows.column_names.index("shift_log_odds")
    off = [value + (1e-6 if number == 9 else 0.0) for number, value in enumerate(rows[place].to_pylist())]
    with pytest.raises(GateFailed, match="of 1 customers the parts do not sum to the score"):
        check_churn_reasons(rows.set_column(place, rows.schema.field(place), pa.array(off)), scores)
    with pytest.raises(GateFailed, match="8 rows repeat"):
        check_churn_reasons(pa.concat_tables([rows, rows.slice(0, 8)]), scores)


def test_every_customer_gets_twelve_new_products_in_trade(scored, trained, tmp_path):
    interactions = Published(tmp_path / "shop" / "published").read("interactions", AS_OF)
    bought = set(
        zip(*(interactions[each].to_pylist() for each in ("customer_id", "product_id")), strict=True)
    )
    rows = (
        scored["recommendations"].filter(pc.equal(scored["recommendations"]["question"], "new")).to_pylist()
    )
    by_customer = {
        each: [row for row in rows if row["customer_id"] == each] for each in [*CUSTOMERS, NEWCOMER]
    }
    assert sum(len(listed) for listed in by_customer.values()) == len(rows)
    for customer, listed in by_customer.items():
        products = [row["product_id"] for row in listed]
        assert [row["rank"] for row in listed] == list(range(1, 13))
        assert len(set(products)) == 12
        assert set(products) <= set(PRODUCTS) - {
            "p00"
        }  # no fuel, nothing out of trade, nothing without price
        assert not bought & {(customer, product) for product in products}
    assert {row["method"] for row in by_customer[NEWCOMER]} == {"popular"}


def test_what_is_bought_again_are_the_own_purchases_in_trade_latest_and_most_first(scored, trained, tmp_path):
    interactions = Published(tmp_path / "shop" / "published").read("interactions", AS_OF).to_pylist()
    weights: dict[tuple[str, str], float] = {}
    days: dict[tuple[str, str], list[date]] = {}
    for row in sorted(interactions, key=lambda row: row["ordered_date"]):
        pair = row["customer_id"], row["product_id"]
        days.setdefault(pair, []).append(row["ordered_date"])
        # by hand: a line counts half for every 90 days
        weights[pair] = weights.get(pair, 0) + 0.5 ** ((AS_OF - row["ordered_date"]).days / 90)
    # a rule of the shop's own file: half of the customer's usual gap with it must have passed
    too_soon = {
        pair
        for pair, each in days.items()
        if len(each) > 2
        and (AS_OF - each[-1]).days < 0.5 * np.median(np.diff([one.toordinal() for one in each]))
    }
    removed = [row for row in scored["recommendation_removals"].to_pylist() if row["rule"] == "own_cycle"]
    assert {row["question"]: row["pair_count"] for row in removed} == {
        "new": 0,
        "again": sum(product in set(PRODUCTS) - {"p00"} for _, product in too_soon),
    }
    for customer in [*CUSTOMERS[:20], NEWCOMER]:
        in_trade = {
            product: weight
            for (who, product), weight in weights.items()
            if who == customer and product in set(PRODUCTS) - {"p00"} and (who, product) not in too_soon
        }
        listed = [
            row
            for row in scored["recommendations"].to_pylist()
            if row["customer_id"] == customer and row["question"] == "again"
        ]
        assert [row["rank"] for row in listed] == list(range(1, min(len(in_trade), 12) + 1))
        scores = sorted(in_trade.values(), reverse=True)[:12]
        assert [in_trade[row["product_id"]] for row in listed] == pytest.approx(scores, rel=1e-5)
        assert {row["method"] for row in listed} <= {"own_lately"}


def test_customers_are_recommended_their_own_taste_first(scored):
    first = scored["recommendations"].filter(pc.equal(scored["recommendations"]["rank"], 1)).to_pylist()
    halves = {product: place // 30 for place, product in enumerate(PRODUCTS)}
    right = [
        halves[row["product_id"]] == CUSTOMERS.index(row["customer_id"]) % 2
        for row in first
        if row["method"] not in ("popular", "own_lately")
    ]
    assert len(right) > 150
    assert np.mean(right) > 0.95


def test_figures_of_a_model_stand_beside_each_baseline(scored):
    rows = scored["model_figures"].to_pylist()
    beside = {(row["model_name"], row["metric"], row["baseline_name"]): row for row in rows}
    assert (
        beside["churn", "pr_auc", "recency"]["value"] > beside["churn", "pr_auc", "recency"]["baseline_value"]
    )
    assert beside["recommender", "ndcg_new", "own"]["baseline_value"] == 0.0
    assert ("recommender", "ndcg_new", "popular") in beside
    assert beside["recommender", "novelty_new", None]["value"] > 0.0
    assert beside["churn", "pr_auc_gain_over_recency_low", None]["baseline_value"] is None
    assert {row["is_champion"] for row in rows} == {True}


def test_training_and_scoring_anew_give_the_same_scores(scored, shop):
    train_churn(shop, AS_OF)
    train_recommender(shop, AS_OF)
    score(shop, AS_OF)
    for name in ("churn_scores", "churn_reasons", "recommendations"):
        again = Published(shop.published).read(name, AS_OF)
        assert again.drop_columns(["run_id"]).equals(scored[name].drop_columns(["run_id"]))


def test_training_again_on_the_same_data_changes_nothing(trained, tmp_path):
    settings = trained(tmp_path / "shop")
    before = Registry(settings).champion("churn")
    assert before is not None
    outcome = train_churn(settings, AS_OF)
    assert (outcome.run_id, outcome.version, outcome.promoted) == (before.run_id, "1", True)


def test_without_a_champion_the_tables_have_their_columns_and_no_row(shop):
    assert score(shop, AS_OF) == dict.fromkeys(SCHEMAS, 0)
    published = Published(shop.published)
    assert {name: published.read(name, AS_OF).schema.remove_metadata() for name in SCHEMAS} == SCHEMAS


def test_a_champion_from_the_future_scores_no_earlier_day(trained, tmp_path):
    settings = trained(tmp_path / "shop")
    published, earlier = Published(settings.published), AS_OF - timedelta(days=1)
    for name in ("customer_features", "interactions", "products"):
        published.write_candidate(name, earlier, published.read(name, AS_OF))
        published.release(name, earlier)
    with pytest.raises(ModelRefused, match="was trained as of 2017-12-04 and knows what 2017-12-03 must not"):
        score(settings, earlier)
    assert not published.exists("churn_scores", earlier)


def test_a_day_without_features_says_which_days_there_are(shop):
    with pytest.raises(NotPublished, match="2017-12-04"):
        score(shop, AS_OF + timedelta(days=1))


def test_a_day_without_examples_cannot_be_trained(shop):
    with pytest.raises(NotPublished, match="churn_examples is not published for 2017-12-05"):
        train_churn(shop, AS_OF + timedelta(days=1))


def test_a_model_that_is_only_its_baseline_is_logged_and_refused(shop, monkeypatch):
    monkeypatch.setattr("ml.churn.training.CANDIDATES", {"blend": ("recency",)})
    outcome = train_churn(shop, AS_OF)
    assert not outcome.promoted
    assert "pr_auc gains +0.0000 over recency" in outcome.reason
    assert Registry(shop).champion("churn") is None
    assert (
        MlflowClient(shop.mlflow, shop.mlflow).get_run(outcome.run_id).data.tags["lapwing.verdict"]
        == "refused"
    )
    assert score(shop, AS_OF)["churn_scores"] == 0
    figures = Published(shop.published).read("model_figures", AS_OF).to_pylist()
    assert figures
    assert {row["is_champion"] for row in figures} == {False}


def test_a_new_shop_gets_the_prior_and_probabilities_with_bounds(shop):
    published = Published(shop.published)
    examples = published.read("churn_examples", AS_OF)
    few = examples.filter(pc.greater(examples["as_of_date"], pa.scalar(AS_OF - timedelta(days=80))))
    published.write_candidate("churn_examples", AS_OF, few)
    published.release("churn_examples", AS_OF)
    outcome = train_churn(shop, AS_OF)
    assert (outcome.promoted, outcome.version) == (True, "1")
    assert outcome.reason.startswith("too little history to judge a model (4 closed cut-offs, 201 customers)")
    assert score(shop, AS_OF)["churn_scores"] == 201
    for row in published.read("churn_scores", AS_OF).to_pylist():
        assert 0 <= row["churn_probability_low"] < row["churn_probability_high"] <= 1


def test_nothing_is_released_when_a_champion_cannot_be_trusted(shop):
    train_churn(shop, AS_OF)
    (weights,) = shop.data_dir.glob("mlflow_artifacts/churn/models/*/artifacts/model.skops")
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelRefused, match="is not what was logged"):
        score(shop, AS_OF)
    assert not Published(shop.published).exists("churn_scores", AS_OF)


def test_a_customer_scored_twice_or_not_at_all_or_beyond_1_stops_the_day(scored):
    rows = scored["churn_scores"]
    check_churn_scores(rows, rows["customer_id"])
    with pytest.raises(GateFailed, match="1 rows repeat"):
        check_churn_scores(pa.concat_tables([rows, rows.slice(0, 1)]), rows["customer_id"])
    with pytest.raises(GateFailed, match="200 customers are scored, 201 have features"):
        check_churn_scores(rows.slice(1), rows["customer_id"])
    for wrong in (1.01, -0.01, float("nan")):
        changed = rows.set_column(2, rows.schema.field(2), pa.array([wrong] * len(rows)))
        with pytest.raises(GateFailed, match="201 probabilities lie outside"):
            check_churn_scores(changed, rows["customer_id"])


def test_an_amount_that_is_no_number_stops_the_day(scored):
    rows = scored["churn_scores"]
    place = rows.schema.get_field_index("expected_profit_cents")
    changed = rows.set_column(place, rows.schema.field(place), pa.array([float("nan")] * len(rows)))
    with pytest.raises(GateFailed, match="'expected_profit_cents' is no amount in 201 rows"):
        check_churn_scores(changed, rows["customer_id"])


def test_a_list_with_a_gap_a_repeat_or_a_forbidden_product_stops_the_day(scored):
    rows, allowed = scored["recommendations"], set(PRODUCTS)
    check_recommendations(rows, allowed=allowed, most=12)
    with pytest.raises(GateFailed, match="ranks from 2 to 12"):
        check_recommendations(rows.slice(1), allowed=allowed, most=12)
    with pytest.raises(GateFailed, match="may not be recommended"):
        check_recommendations(rows, allowed=allowed - {rows["product_id"][0].as_py()}, most=12)
    same = rows.set_column(3, rows.schema.field(3), pa.array(["p01"] * len(rows)))
    with pytest.raises(GateFailed, match="repeat"):
        check_recommendations(same, allowed=allowed, most=12)
    place = rows.schema.get_field_index("last_bought_date")
    undated = rows.set_column(place, rows.schema.field(place), pa.nulls(len(rows), pa.date32()))
    with pytest.raises(GateFailed, match="'last_bought_date' is missing for reason 'because'"):
        check_recommendations(undated, allowed=allowed, most=12)


@pytest.fixture
def one_member(monkeypatch):
    """Train churn with one member instead of seven, where the test is not about which is best."""
    monkeypatch.setattr("ml.churn.training.MEMBERS", {"logistic_rhythm": None})
    monkeypatch.setattr("ml.churn.training.CANDIDATES", {"blend": ("logistic_rhythm",)})


def test_a_day_like_training_raises_no_alert_and_one_on_which_a_feature_moved_names_it(shop, one_member):
    train_churn(shop, AS_OF)
    published = Published(shop.published)
    score(shop, AS_OF)
    quiet = published.read("score_drift", AS_OF).to_pylist()
    assert len(quiet) == 44 + 2  # the features, the score, and its mean
    assert not any(row["is_alert"] for row in quiet)
    features = published.read("customer_features", AS_OF)
    place = features.column_names.index("evening_share")
    moved = features.set_column(place, "evening_share", pa.array([0.5] * len(features)))
    published.write_candidate("customer_features", AS_OF, moved)
    published.release("customer_features", AS_OF)
    score(shop, AS_OF)
    rows = published.read("score_drift", AS_OF).to_pylist()
    assert "evening_share" in {row["feature"] for row in rows if row["is_alert"]}
    run = MlflowClient(shop.mlflow, shop.mlflow).get_run(rows[0]["run_id"])
    assert run.data.metrics["drift_alerts"] == 0.0


def test_training_compares_a_cut_off_with_what_was_published_on_its_own_day(shop, one_member):
    published, cutoff = Published(shop.published), AS_OF - timedelta(days=28)
    examples = published.read("churn_examples", AS_OF)
    then = examples.filter(pc.equal(examples["as_of_date"], pa.scalar(cutoff)))
    then = then.drop_columns(["has_churned", "locale"])

    def publish_of_that_day(rows):
        published.write_candidate("customer_features", cutoff, rows)
        published.release("customer_features", cutoff)

    place = then.column_names.index("orders_7d_count")
    publish_of_that_day(then.set_column(place, "orders_7d_count", pa.array([2.0] * len(then))))
    outcome = train_churn(shop, AS_OF)
    assert not outcome.promoted
    assert outcome.reason.startswith(
        "leak: 'orders_7d_count' of cut-off 2017-11-06 is not what was published"
    )
    publish_of_that_day(then)  # built and published again, with the definition of today
    outcome = train_churn(shop, AS_OF)
    assert outcome.promoted, outcome.reason
    run = MlflowClient(shop.mlflow, shop.mlflow).get_run(outcome.run_id)
    assert run.data.params["leak_probe_cutoff"] == "2017-11-06"
    card = run.data.tags["mlflow.note.content"]
    for word in (
        "blend, trained as of 2017-12-04",
        "locale=zh",
        "**Cohort.**",
        "**Owner.** lifecycle.",
    ):
        assert word in card


def test_what_warnings_have_shown_replaces_the_stated_chance_to_keep_and_the_days_own_figures_do_not_count(
    trained, tmp_path
):
    """25 % of those held out bought, of the assigned 32.5 %, half of them mailed: 0.075 / 0.5 / 0.75 = 0.2 of the would-be lapsers were kept."""
    settings = trained(tmp_path / "shop")
    published = Published(settings.published)
    shown = {AS_OF - timedelta(days=1): (13_000, 10_000), AS_OF: (40_000, 0)}
    for day, (assigned, held_out) in shown.items():
        rows = [
            ("any", "any", "assigned", 40_000, 20_000, assigned),
            ("any", "any", "held_out", 40_000, 0, held_out),
            ("high", "any", "assigned", 9, 9, 9),
            ("any", "winback first", "held_out", 9, 0, 9),
        ]
        table = pa.table(
            [*zip(*rows, strict=True)],
            names=["churn_band", "ladder_step", "treatment", "closed_count", "mailed_count", "bought_count"],
        )
        published.write_candidate("churn_warning_figures", day, table)
        published.release("churn_warning_figures", day)
    score(settings, AS_OF)
    kept, off, contact = 0.2, settings.incentive_cents, settings.contact_cents
    for row in published.read("churn_scores", AS_OF).to_pylist()[:20]:
        p, stake = row["churn_probability"], row["value_at_stake_cents"]
        expected = p * kept * (stake - off) - (1 - p) * off - contact
        assert row["expected_profit_cents"] == pytest.approx(expected, rel=0.02, abs=2)


@pytest.mark.parametrize(
    "counts",
    [
        {"assigned": (50, 40, 5)},
        {"assigned": (50, 40, 5), "held_out": (0, 0, 0)},
        {"assigned": (50, 0, 5), "held_out": (9, 0, 2)},  # nobody was mailed
        {
            "planned": (50, None, 5),
            "held_out": (9, None, 2),
        },  # as before assigned customers were told from mailed ones
        {},
    ],
)
def test_without_both_treated_and_held_out_the_stated_chance_stays(counts):
    rows = [
        {
            "churn_band": "any",
            "ladder_step": "any",
            "treatment": each,
            "closed_count": closed,
            "bought_count": bought,
        }
        | ({} if mailed is None else {"mailed_count": mailed})
        for each, (closed, mailed, bought) in counts.items()
    ]
    assert experiment(pa.Table.from_pylist(rows)) is None
