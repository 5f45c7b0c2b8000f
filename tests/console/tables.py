"""The published tables of the made-up shop, with the columns of the contract."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from core.published import Published
from core.settings import Settings
from ml.tables import CUSTOMER_VALUE_SCHEMA, RECOMMENDATIONS_SCHEMA, REMOVALS_SCHEMA
from tests.console.made_up import (
    DAY,
    DAY_BEFORE,
    LINK_ID,
    NASTY,
    TARGET,
    WHY,
    mails,
    send_id,
)


def facts(customer: str) -> dict[str, Any]:
    product = {
        "product_id": "1029743",
        "name": "Bananas",
        "category": "Produce",
        "brand": "National",
        "size": "40 LB",
        "price_cents": 99,
        "currency": "USD",
        "url": TARGET,
        "reason": "because",
        "reason_product_name": "White Milk, 1 gallon",
        "times_bought": None,
        "usual_gap_days": None,
        "bought_date": "2017-05-14",
        "days_since": 204,
    }
    due = {
        "product_id": "7",
        "name": f"Tea {NASTY}",
        "reason": "due",
        "times_bought": 7,
        "usual_gap_days": 14.0,
        "days_since": 20,
        "price_cents": 349,
        "size": None,
    }
    favourite = {
        "product_id": "8",
        "name": "Oat Milk",
        "reason": "favourite",
        "times_bought": 1,
        "price_cents": None,
    }
    return {"first_name": "Ada", "products": [product, product | due, product | favourite]}


def publish(settings: Settings, table: str, day: date, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    published = Published(settings.published)
    published.write_candidate(table, day, pa.Table.from_pylist(rows, schema=schema))
    published.release(table, day)


PLAN = pa.schema(
    [
        *[(name, pa.string()) for name in ("send_id", "campaign_id")],
        ("step", pa.int64()),
        ("customer_id", pa.string()),
        ("as_of_date", pa.date32()),
        ("verdict", pa.string()),
        ("arm", pa.string()),
        ("propensity", pa.float64()),
        ("priority", pa.int64()),
        ("locale", pa.string()),
        ("time_zone", pa.string()),
        ("send_at", pa.timestamp("us")),
        *[(name, pa.string()) for name in ("template_version", "facts", "evidence")],
    ]
)
_COUNTS = (
    "recency_days",
    "tenure_days",
    "orders_7d_count",
    "orders_30d_count",
    "orders_90d_count",
    "orders_lifetime_count",
    "spend_30d_cents",
    "spend_90d_cents",
    "spend_lifetime_cents",
)
_RATIOS = (
    "basket_mean_cents",
    "basket_mean_lines",
    "gap_mean_days",
    "gap_std_days",
    "gap_ratio",
    "orders_trend_ratio",
    "spend_trend_ratio",
    "discount_share",
    "category_1_share",
    "category_2_share",
    "category_3_share",
    "category_entropy",
    "weekend_share",
    "morning_share",
    "evening_share",
    "usual_hour",
    "usual_hour_share",
    "own_brand_share",
)
FEATURES = pa.schema(
    [
        ("customer_id", pa.string()),
        ("as_of_date", pa.date32()),
        *[(name, pa.int64()) for name in _COUNTS],
        *[(name, pa.float64()) for name in _RATIOS],
        ("top_category", pa.string()),
    ]
)
SCORES = pa.schema(
    [
        ("customer_id", pa.string()),
        ("as_of_date", pa.date32()),
        ("churn_probability", pa.float64()),
        *[(name, pa.string()) for name in ("churn_band", "model_name", "model_version", "run_id")],
    ]
)
PRODUCTS = pa.schema([("product_id", pa.string()), ("name", pa.string())])
FIGURES = pa.schema(
    [
        ("as_of_date", pa.date32()),
        *[(name, pa.string()) for name in ("model_name", "model_version", "run_id")],
        ("trained_as_of_date", pa.date32()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("baseline_name", pa.string()),
        ("baseline_value", pa.float64()),
        ("is_champion", pa.bool_()),
    ]
)
_FUNNEL = (
    "candidates",
    "planned",
    "sent",
    "opened",
    "clicked",
    "unsubscribed",
    "no_consent",
    "suppressed",
    "not_reachable",
    "exited",
    "too_soon",
    "held_out",
    "frequency_capped",
    "no_coupon",
    "outranked",
    "no_content",
    "refused",
    "deferred",
    "uncertain",
    "suppressed_late",
    "expired",
    "rejected",
)
FUNNEL = pa.schema(
    [("campaign_id", pa.string()), ("as_of_date", pa.date32()), *[(n, pa.int64()) for n in _FUNNEL]]
)
EVENTS = pa.schema(
    [
        *[(name, pa.string()) for name in ("event_id", "kind", "send_id", "link_id")],
        ("is_machine", pa.bool_()),
        ("happened_at", pa.timestamp("us")),
        ("known_at", pa.timestamp("us")),
    ]
)


VALUE = {
    "customer_id": "1001",
    "as_of_date": DAY,
    "horizon_days": 84,
    "alive_probability": 0.97,
    "expected_orders": 8.2,
    "value_cents": 41234.4,
    "value_low_cents": 20000.0,
    "value_high_cents": 70000.0,
    "next_order_date": date(2017, 12, 9),
    "next_order_low_date": date(2017, 12, 5),
    "next_order_high_date": date(2018, 1, 3),
    "model_name": "lifetime",
    "model_version": "5",
    "run_id": "89abcdef0123456789abcdef01234567",
}


def plan_row(campaign: str, customer: str, verdict: str, locale: str, day: date) -> dict[str, Any]:
    evidence = {
        "audience_rule": "Ordered in the last 90 days, and there are at least 3 products never bought before.",
        "features": {"recency_days": 30, "gap_ratio": 3.5, "usual_hour": 18, "top_category": "PRODUCE"},
        "scores": [
            {
                "name": "churn_probability",
                "value": 0.81,
                "model_name": "churn",
                "model_version": "3",
                "run_id": "0123456789abcdef0123456789abcdef",
            },
            {"name": "expected_profit_cents", "value": 234.5, "model_name": "churn", "model_version": "3"},
        ],
    }
    if campaign == "winback":
        evidence["reasons"] = [
            {
                "reason": "pause",
                "shift_log_odds": 1.2,
                "text": "Orders about every 12 days, now quiet for 31.",
            },
            {"reason": "spend", "shift_log_odds": 0.3, "text": f"Spent {NASTY}."},
        ]
    return {
        "send_id": send_id(campaign, customer, day),
        "campaign_id": campaign,
        "step": 1,
        "customer_id": customer,
        "as_of_date": day,
        "verdict": verdict,
        "arm": "holdout" if verdict == "held_out" else "treatment",
        "propensity": 0.1 if verdict == "held_out" else 0.9,
        "priority": {"winback": 300}.get(campaign, 100),
        "locale": locale,
        "time_zone": "America/New_York",
        "send_at": datetime(2017, 12, 4, 23, tzinfo=UTC),
        "template_version": "1a2b3c4d5e6f",
        "facts": json.dumps(facts(customer)),
        "evidence": json.dumps(evidence),
    }


def publish_all(settings: Settings) -> None:
    """Publish the day: recencies are 0, 10, … 90 days, so 30 is more than 30% and less than 60% of customers."""
    for day in (DAY_BEFORE, DAY):
        rows = [
            plan_row(campaign, customer, "planned", locale, sent)
            for campaign, customer, locale, sent in mails()
            if sent == day
        ]
        if day == DAY:
            rows += [
                plan_row("winback", "1006", "held_out", "en", day),
                plan_row("restock", "1005", "planned", "de", day),
                plan_row("restock", "1001", "outranked", "en", day),
            ]
        publish(settings, "campaign_plan", day, rows, PLAN)
    customers = ["1001", *[str(number) for number in range(3001, 3010)]]
    features: list[dict[str, Any]] = [
        dict[str, Any](dict.fromkeys(_COUNTS, number + 1))
        | dict.fromkeys(_RATIOS, 0.5)
        | {
            "customer_id": customer,
            "as_of_date": DAY,
            "recency_days": 30 if customer == "1001" else 10 * (number - (number <= 3)),
            "top_category": "PRODUCE",
            "usual_hour": 18.0,
            "gap_mean_days": None if number == 9 else 8.5,
        }
        for number, customer in enumerate(customers)
    ]
    publish(settings, "customer_features", DAY, features, FEATURES)
    model = {"model_name": "churn", "model_version": "3", "run_id": "0123456789abcdef0123456789abcdef"}
    publish(
        settings,
        "churn_scores",
        DAY,
        [
            model
            | {
                "customer_id": row["customer_id"],
                "as_of_date": DAY,
                "churn_probability": 0.09 * number,
                "churn_band": "low",
            }
            for number, row in enumerate(features)
        ],
        SCORES,
    )
    recommender = {
        "model_name": "recommend",
        "model_version": "2",
        "run_id": "fedcba9876543210fedcba9876543210",
    }
    publish(
        settings,
        "recommendations",
        DAY,
        recommendation_rows(recommender),
        RECOMMENDATIONS_SCHEMA,
    )
    publish(settings, "products", DAY, [{"product_id": "55", "name": "White Milk, 1 gallon"}], PRODUCTS)
    removed = {"as_of_date": DAY, "rule": "own_cycle", "question": "again"} | {
        "pair_count": 1234,
        "customer_count": 7,
        "product_count": 5,
    }
    off = {"as_of_date": DAY, "rule": "in_stock", "off_because": "the shop brings no stock_levels"} | {
        "pair_count": 0,
        "customer_count": 0,
        "product_count": 0,
    }
    publish(settings, "recommendation_removals", DAY, [off, removed], REMOVALS_SCHEMA)
    publish(settings, "customer_value", DAY, [VALUE], CUSTOMER_VALUE_SCHEMA)
    figure = model | {"as_of_date": DAY, "trained_as_of_date": date(2017, 11, 6), "is_champion": True}
    publish(
        settings,
        "model_figures",
        DAY,
        [
            figure
            | {
                "metric": "roc_auc",
                "value": 0.84,
                "baseline_name": "days_since_last_order",
                "baseline_value": 0.79,
            },
            figure | {"metric": "brier", "value": 0.11, "baseline_name": "base_rate", "baseline_value": 0.10},
            figure
            | {
                "metric": "spending_rmse_cents",
                "value": 134.8,
                "baseline_name": "mean",
                "baseline_value": 148.1,
            },
            figure
            | {
                "metric": "mae_cents",
                "value": 16_791.0,
                "baseline_name": "same_rate",
                "baseline_value": 16_876.0,
            },
            figure
            | {"metric": "total_ratio", "value": 1.02, "baseline_name": "same_rate", "baseline_value": 1.06},
            figure
            | {
                "metric": "brier_gain_over_recency",
                "value": 0.012,
                "baseline_name": None,
                "baseline_value": None,
            },
            figure
            | recommender
            | {
                "is_champion": False,
                "metric": "recall_at_10",
                "value": 0.07,
                "baseline_name": "most_popular",
                "baseline_value": 0.05,
            },
        ],
        FIGURES,
    )
    publish(settings, "campaign_funnel", DAY, funnel_rows(), FUNNEL)
    publish(
        settings,
        "mail_events",
        DAY,
        [
            {
                "event_id": "e1",
                "kind": "open",
                "send_id": WHY,
                "link_id": None,
                "is_machine": True,
                "happened_at": datetime(2017, 12, 4, 23, 1, tzinfo=UTC),
                "known_at": datetime(2017, 12, 4, 23, 1, tzinfo=UTC),
            },
            {
                "event_id": "e2",
                "kind": "click",
                "send_id": WHY,
                "link_id": LINK_ID,
                "is_machine": False,
                "happened_at": datetime(2017, 12, 4, 23, 5, tzinfo=UTC),
                "known_at": datetime(2017, 12, 4, 23, 5, tzinfo=UTC),
            },
        ],
        EVENTS,
    )


def recommendation_rows(recommender: dict[str, str]) -> list[dict[str, Any]]:
    """Return both lists of a customer: a reason of each kind but because it is popular."""
    about = recommender | {"customer_id": "1001", "as_of_date": DAY, "score": 0.83, "method": "item_item"}
    stated = [
        {"question": "new", "rank": 1, "product_id": "1029743", "reason": "because"}
        | {"because_product_id": "55", "last_bought_date": date(2017, 5, 14)},
        {"question": "new", "rank": 2, "product_id": "61", "reason": "taste"}
        | {"buyer_count": 12, "neighbour_count": 199},
        {"question": "new", "rank": 3, "product_id": "62", "reason": "history"},
        {"question": "new", "rank": 4, "product_id": "65", "reason": "new_arrival"}
        | {"because_product_id": "55", "last_bought_date": date(2017, 5, 14)},
        {"question": "new", "rank": 5, "product_id": "66", "reason": "viewed", "because_product_id": "55"},
        {"question": "new", "rank": 6, "product_id": "67", "reason": "popular_in_segment"},
        {"question": "again", "rank": 1, "product_id": "55", "reason": "due_again"}
        | {"last_bought_date": date(2017, 5, 14), "every_days": 42.0},
        {"question": "again", "rank": 2, "product_id": "63", "reason": "bought_before"}
        | {"last_bought_date": date(2017, 12, 1), "every_days": 10.5},
        {"question": "again", "rank": 3, "product_id": "64", "reason": "bought_before"}
        | {"last_bought_date": date(2017, 11, 30)},
    ]
    return [about | each for each in stated]


def funnel_rows() -> list[dict[str, Any]]:
    """Return three campaigns; restock's verdicts are one short of its candidates, on purpose."""
    none = dict.fromkeys(_FUNNEL, 0)
    return [
        none
        | {
            "campaign_id": "picked_for_you",
            "as_of_date": DAY,
            "candidates": 1200,
            "planned": 700,
            "sent": 690,
            "opened": 310,
            "clicked": 62,
            "unsubscribed": 3,
            "no_consent": 210,
            "held_out": 80,
            "outranked": 180,
            "no_content": 30,
            "refused": 7,
            "deferred": 2,
            "uncertain": 1,
        },
        none
        | {
            "campaign_id": "restock",
            "as_of_date": DAY,
            "candidates": 401,
            "planned": 240,
            "sent": 240,
            "opened": 130,
            "clicked": 41,
            "unsubscribed": 1,
            "no_consent": 60,
            "outranked": 100,
        },
        none
        | {
            "campaign_id": "winback",
            "as_of_date": DAY,
            "candidates": 180,
            "planned": 120,
            "sent": 120,
            "opened": 40,
            "clicked": 9,
            "unsubscribed": 2,
            "no_consent": 30,
            "suppressed": 5,
            "held_out": 25,
        },
    ]
