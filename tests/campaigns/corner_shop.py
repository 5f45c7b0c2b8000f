"""A corner shop made by hand for 17 February 2026, Lunar New Year: each customer's name says what they are there for.

It brings every table that an audience asks of. Whoever has an order that is older than any rule has it so that there are
features of them: `LONG_AGO`.
"""

import csv
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pyarrow as pa

from campaigns.outcomes import LEDGER_COUPONS, LEDGER_PREFERENCES, LEDGER_SENDS, LEDGER_SUPPRESSIONS
from campaigns.plan import COPY_CANDIDATES, DEFINITIONS
from core.dbt import build
from core.published import Published
from core.settings import Settings
from ml.tables import CHURN_REASONS_SCHEMA, CHURN_SCORES_SCHEMA, RECOMMENDATIONS_SCHEMA
from sources.landing import load_landing

DAY = date(2026, 2, 17)
LONG_AGO = "2025-12-20"
OPENED = "2025-01-01 08:00:00"
MADE_BY = {"model_name": "by hand", "model_version": "1", "run_id": "none"}

Row = dict[str, object]

PRODUCTS = {  # name: department, price, day it came into the catalogue
    "milk": ("Dairy", 120, OPENED),
    "cheese": ("Dairy", 450, OPENED),
    "bread": ("Bakery", 300, OPENED),
    "peas": ("Frozen", 200, OPENED),
    "sorbet": ("Frozen", 500, OPENED),
    "jam": ("Grocery", 500, OPENED),
    "rice": ("Grocery", 200, OPENED),
    "tea": ("Drinks", 300, OPENED),
    "soap": ("Household", 250, OPENED),
    "seeds": ("Garden", 150, OPENED),
    "spade": ("Garden", 1500, "2026-02-10 08:00:00"),
    "pots": ("Garden", 900, "2026-02-12 08:00:00"),
}
PRICES = [  # beside the first
    ("jam", 450, "2026-02-01 00:00:00"),
    ("jam", 480, "2026-02-05 00:00:00"),
    ("jam", 400, "2026-02-15 00:00:00"),
    ("tea", 290, "2026-02-15 00:00:00"),
    ("rice", 100, "2026-02-01 00:00:00"),
]
STOCK = [
    ("peas", 10, "2026-01-01 06:00:00"),
    ("peas", 0, "2026-02-01 06:00:00"),
    ("peas", 0, "2026-02-05 06:00:00"),
    ("peas", 7, "2026-02-15 06:00:00"),
    ("bread", 10, "2026-01-01 06:00:00"),
    ("bread", 3, "2026-02-16 06:00:00"),
    ("soap", 3, "2026-01-10 06:00:00"),
]
EVENTS: list[tuple[str, str, str, str]] = [  # customer, what, product, day
    ("left_cart_yesterday", "add_to_cart", "milk", "2026-02-16"),
    ("left_cart_yesterday", "add_to_cart", "tea", "2026-02-16"),
    ("left_cart_yesterday", "remove_from_cart", "tea", "2026-02-16"),
    ("left_cart_5_days_ago", "add_to_cart", "milk", "2026-02-12"),
    ("left_cart_and_ordered", "add_to_cart", "milk", "2026-02-15"),
    ("left_cart_12_days_ago", "add_to_cart", "milk", "2026-02-05"),
    ("wanted_peas", "view", "peas", "2026-01-20"),
    ("saw_peas_again", "view", "peas", "2026-02-16"),
    ("got_peas", "view", "peas", "2026-01-20"),
    ("wanted_jam", "view", "jam", "2026-01-30"),
    ("wanted_tea", "view", "tea", "2026-01-30"),
    ("wanted_rice", "view", "rice", "2026-01-20"),
    ("wanted_bread", "view", "bread", "2026-02-01"),
    ("wanted_bread_long_ago", "view", "bread", "2026-01-10"),
    ("wanted_soap", "view", "soap", "2026-02-01"),
    ("looked_around", "view", "cheese", "2026-02-15"),
    ("looked_around_and_ordered", "view", "cheese", "2026-02-15"),
    ("looked_around_last_week", "view", "cheese", "2026-02-10"),
]
ORDERS: list[
    tuple[str, str, list[str]]
] = [  # customer, day, products; every second product of a `!` is discounted
    ("left_cart_and_ordered", "2026-02-16", ["jam"]),
    ("looked_around_and_ordered", "2026-02-16", ["jam"]),
    ("got_peas", "2026-01-25", ["peas"]),
    ("ordered_2_days_ago", "2026-02-15", ["peas", "sorbet", "milk"]),
    ("ordered_4_days_ago", "2026-02-13", ["peas"]),
    ("first_cheese", "2026-02-05", ["cheese"]),
    ("reviewed_cheese", "2026-02-05", ["cheese"]),
    ("returned_cheese", "2026-02-05", ["cheese"]),
    ("complained", "2026-02-05", ["cheese"]),
    ("usual_cheese", "2025-12-01", ["cheese"]),
    ("usual_cheese", "2026-02-05", ["cheese"]),
    ("ordered_6_days_ago", "2026-02-11", ["tea"]),
    ("answered_last_month", "2026-02-11", ["tea"]),
    ("reads_chinese", LONG_AGO, ["tea"]),
    ("reads_chinese_left_long_ago", "2024-12-20", ["tea"]),
    *[("waits_for_discounts", f"2025-12-{day}", ["!tea", "!soap"]) for day in ("01", "11", "21")],
    *[("likes_discounts", f"2025-12-{day}", ["!tea", "soap"]) for day in ("01", "11", "21")],
    *[("needs_no_discount", f"2025-12-{day}", ["tea", "soap"]) for day in ("01", "11", "21")],
    *[("has_just_bought", day, ["!tea"]) for day in ("2025-12-01", "2026-01-10", "2026-02-16")],
    ("gardens", LONG_AGO, ["seeds", "tea"]),
    ("gardens_rarely", LONG_AGO, ["seeds", *["tea"] * 10]),
    ("gardens_and_has_a_spade", "2026-01-31", ["seeds"]),
    ("gardens_and_has_a_spade", "2026-02-13", ["spade"]),
    ("reads_no_mail", "2025-10-01", ["tea"]),
    ("reads_some_mail", "2025-10-01", ["tea"]),
    ("reads_no_mail_but_orders", "2026-01-08", ["tea"]),
    *[("is_leaving", f"2025-11-{day}", ["rice"]) for day in ("01", "08", "15", "22")],
    ("left_after_one_order", "2025-11-01", ["rice"]),
]
SIGNED_UP = {"joined_yesterday": "2026-02-16 10:00:00", "joined_last_week": "2026-02-10 10:00:00"}
BIRTHDAYS = {"gardens": "02-17", "joined_yesterday": "02-17", "reads_chinese": "02-18", "is_leaving": "02-16"}
"""Of whom joined_yesterday has never ordered."""
MAILED = {"reads_no_mail": 6, "reads_some_mail": 6, "reads_no_mail_but_orders": 6}
OPENED_MAIL = {"reads_no_mail": "2025-09-01", "reads_some_mail": "2026-01-15"}

LADDERS = {"cart_abandonment": 3, "welcome": 3, "winback": 4, "sunset": 2}
"""How many steps a campaign has that has several."""


def customers() -> list[str]:
    named = {event[0] for event in EVENTS} | {order[0] for order in ORDERS}
    return sorted(named | {*SIGNED_UP, *MAILED})


def build_shop(settings: Settings) -> None:
    """Land the shop, build its features and every audience of the day."""
    land(settings.landing / "by_hand")
    load_landing(settings)
    build(settings, "tag:features", as_of=DAY)
    publish_by_hand(settings)
    build(settings, "tag:plan", as_of=DAY)


def land(folder: Path) -> None:
    def stamp(day: str) -> str:
        return f"{day} 12:00:00"

    orders = [(f"o{n}", *order) for n, order in enumerate(ORDERS)]
    tables: dict[str, list[Row]] = {
        "customers": [
            {
                "customer_id": name,
                "email": f"{name}@example.com",
                "first_name": "Ada",
                "birthday": BIRTHDAYS.get(name, ""),
                "locale": "zh" if name.startswith("reads_chinese") else "en",
                "time_zone": "America/New_York",
                "signed_up_at": SIGNED_UP.get(name, OPENED),
                "known_at": SIGNED_UP.get(name, OPENED),
            }
            for name in customers()
        ],
        "consents": [
            {"customer_id": name, "purpose": "marketing", "is_given": "true", "decided_at": OPENED, "known_at": OPENED}
            for name in customers()
        ],
        "products": [
            {"product_id": name, "name": name.title(), "category": category, "known_at": known_at}
            for name, (category, _, known_at) in PRODUCTS.items()
        ],
        "prices": [
            {"product_id": name, "price_amount": f"{cents / 100:.2f}", "valid_from": moment, "known_at": moment}
            for name, cents, moment in [*((name, cents, day) for name, (_, cents, day) in PRODUCTS.items()), *PRICES]
        ],
        "stock_levels": [
            {"product_id": name, "quantity": count, "counted_at": moment, "known_at": moment}
            for name, count, moment in STOCK
        ],
        "orders": [
            {"order_id": order_id, "customer_id": name, "ordered_at": stamp(day), "known_at": stamp(day)}
            for order_id, name, day, _ in orders
        ],
        "order_lines": [
            {
                "order_id": order_id,
                "line_number": number,
                "product_id": product.removeprefix("!"),
                "quantity": 1,
                "list_amount": "3.00",
                "discount_amount": "0.60" if product.startswith("!") else "0.00",
                "known_at": stamp(day),
            }
            for order_id, _, day, products in orders
            for number, product in enumerate(products, start=1)
        ],
        "events": [
            {
                "event_id": f"e{n}",
                "customer_id": name,
                "kind": kind,
                "product_id": product,
                "happened_at": f"{day} 18:{n:02}:00",
                "known_at": f"{day} 18:{n:02}:30",
            }
            for n, (name, kind, product, day) in enumerate(EVENTS)
        ],
        "reviews": [
            {"review_id": "v1", "customer_id": "reviewed_cheese", "product_id": "cheese", "rating": 5}
            | {"reviewed_at": stamp("2026-02-08"), "known_at": stamp("2026-02-08")}
        ],
        "returns": [
            {"return_id": "r1", "customer_id": "returned_cheese", "product_id": "cheese", "quantity": 1}
            | {"refund_amount": "3.00", "returned_at": stamp("2026-02-07"), "known_at": stamp("2026-02-07")}
        ],
        "support_tickets": [
            {
                "ticket_id": "t1",
                "customer_id": "complained",
                "kind": "complaint",
                "opened_at": stamp("2026-02-07"),
                "known_at": stamp("2026-02-07"),
            }
        ],
        "survey_answers": [
            {"answer_id": "a1", "customer_id": "answered_last_month", "survey": "after_delivery", "score": 9}
            | {"answered_at": stamp("2026-01-10"), "known_at": stamp("2026-01-10")}
        ],
        "mail_events": [
            {
                "event_id": f"m{name}{n}{kind}",
                "kind": kind,
                "send_id": f"s{name}{n}",
                "customer_id": name,
                "is_machine": "false",
                "happened_at": stamp(day),
                "known_at": stamp(day),
            }
            for name, count in MAILED.items()
            for n, (kind, day) in enumerate(
                [("sent", f"2025-12-{10 + n}") for n in range(count)]
                + [("open", OPENED_MAIL[name]) for _ in range(name in OPENED_MAIL)]
            )
        ],
    }  # fmt: skip
    for table, rows in tables.items():
        _write(folder / table / f"{table}.csv", rows)


def publish_by_hand(settings: Settings) -> None:
    """Publish the day's scores, campaigns and ledger: who is leaving, one new thing for everybody, no mail before."""
    published = Published(settings.published)
    about = {"as_of_date": DAY, **MADE_BY}
    scores = [
        {
            "customer_id": name,
            "churn_probability": 0.7,
            "churn_band": "high",
            "value_at_stake_cents": 4000.0,
            "expected_profit_cents": 300.0 if name in ("is_leaving", "left_after_one_order") else -50.0,
        }
        | about
        for name in sorted({order[0] for order in ORDERS})
    ]
    lists = [
        {"customer_id": name, "question": "new", "rank": 1, "product_id": "sorbet", "score": 0.5}
        | {"reason": "popular", "method": "by hand"}
        | about
        for name in customers()
    ]
    offer = {
        "offer_discount_percent": 15,
        "offer_min_spend_cents": 500,
        "offer_valid_days": 14,
        "offer_coupons": 9,
    }
    definitions = [
        {"campaign_id": name, "step": step, "step_name": f"step{step}", "wait_days": 0, "priority": number}
        | {
            "holdout_share": 0.0,
            "holdout_key": name,
            "min_products": 0,
            "exit_when": [],
            "reentry_after_days": 0,
            "ends_mail": False,
        }
        | (offer if name == "promotion" or (name, step) == ("winback", 3) else {})
        for number, name in enumerate((*LADDERS, "promotion"))
        for step in range(1, LADDERS.get(name, 1) + 1)
    ]
    definitions[next(n for n, row in enumerate(definitions) if row["campaign_id"] == "winback") + 1][
        "step_name"
    ] = "reason_to_return"
    for table, rows, schema in (
        ("churn_scores", scores, CHURN_SCORES_SCHEMA),
        ("churn_reasons", [], CHURN_REASONS_SCHEMA),
        ("recommendations", lists, RECOMMENDATIONS_SCHEMA),
        ("campaign_definitions", definitions, DEFINITIONS),
        ("ledger_sends", [], LEDGER_SENDS),
        ("ledger_suppressions", [], LEDGER_SUPPRESSIONS),
        ("ledger_coupons", [], LEDGER_COUPONS),
        ("ledger_preferences", [], LEDGER_PREFERENCES),
        ("copy_candidates", [], COPY_CANDIDATES),
    ):
        published.write_candidate(table, DAY, pa.Table.from_pylist(rows, schema))
        published.release(table, DAY)


def land_rows(folder: Path, table: str, rows: Iterable[Row]) -> None:
    """Write a landing file of a table."""
    _write(folder / table / f"{table}.csv", rows)


def _write(path: Path, rows: Iterable[Row]) -> None:
    rows = list(rows)
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
