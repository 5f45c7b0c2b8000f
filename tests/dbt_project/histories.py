"""Shops that Hypothesis makes up: a few customers, what they did, what was corrected, and how late it all arrived.

Everything that can go wrong with time is drawn often: the same moment twice, midnight itself, things known long after
they happened, rows that arrive in a file long after the moment they call known.
"""

from datetime import date, datetime, time, timedelta
from typing import Any

import duckdb
from hypothesis import strategies as st

DAY = date(2024, 6, 15)
MIDNIGHT = datetime.combine(DAY, time())
ARRIVALS = 3
"""Files of three loads."""

CUSTOMERS, PRODUCTS, ORDERS = (
    ("c1", "c2", "c3"),
    ("p1", "p2", "p3", "p4"),
    ("o1", "o2", "o3", "o4", "o5", "o6"),
)
Row = dict[str, Any]

_ages = st.sampled_from([0, 1, 2, 6, 7, 8, 29, 30, 31, 45, 60, 89, 90, 91, 200, 364, 365, 366, 455, 500])
_seconds = st.sampled_from([0, 1, 3 * 3600, 15 * 3600, 86_399])
_lags = st.sampled_from([0, 0, 0, 1, 2, 30, 120])


@st.composite
def moments(draw: st.DrawFn) -> tuple[datetime, datetime]:
    """Return when something happened and when it became known; a few of both lie on the day or behind it."""
    happened = MIDNIGHT - timedelta(days=draw(_ages) - 1) + timedelta(seconds=draw(_seconds))
    return happened, happened + timedelta(days=draw(_lags), seconds=draw(_seconds))


def _row(draw: st.DrawFn, table: str, known_at: datetime, **values: Any) -> Row:
    return {"table": table, "arrival": draw(st.integers(1, ARRIVALS)), "known_at": known_at, **values}


@st.composite
def _orders(draw: st.DrawFn) -> Row:
    ordered_at, known_at = draw(moments())
    return _row(
        draw, "orders", known_at, order_id=draw(st.sampled_from(ORDERS)), ordered_at=ordered_at,
        customer_id=draw(st.sampled_from(CUSTOMERS)), status=draw(st.sampled_from([None, "placed", "cancelled"])),
    )  # fmt: skip


@st.composite
def _lines(draw: st.DrawFn) -> Row:
    return _row(
        draw, "order_lines", draw(moments())[1], order_id=draw(st.sampled_from(ORDERS)),
        line_number=draw(st.integers(1, 2)), product_id=draw(st.sampled_from(PRODUCTS)),
        quantity=draw(st.integers(0, 3)), list_amount=draw(st.sampled_from([0, 1.25, 10])),
        discount_amount=draw(st.sampled_from([0, 0.25, 20])),
    )  # fmt: skip


@st.composite
def _customers(draw: st.DrawFn) -> Row:
    return _row(draw, "customers", draw(moments())[1], customer_id=draw(st.sampled_from(CUSTOMERS)))


@st.composite
def _products(draw: st.DrawFn) -> Row:
    return _row(
        draw, "products", draw(moments())[1], product_id=draw(st.sampled_from(PRODUCTS)),
        category=draw(st.sampled_from([None, "tea", "milk"])), brand=draw(st.sampled_from([None, "Private"])),
    )  # fmt: skip


@st.composite
def _activities(draw: st.DrawFn) -> Row:
    happened_at, known_at = draw(moments())
    customer_id, key = draw(st.sampled_from(CUSTOMERS)), draw(st.sampled_from(["k1", "k2", "k3"]))
    kinds: dict[str, Row] = {
        "events": {
            "event_id": key, "happened_at": happened_at,
            "kind": draw(st.sampled_from(["view", "search", "add_to_cart", "remove_from_cart", "checkout_started"])),
        },
        "returns": {"return_id": key, "returned_at": happened_at, "quantity": 1, "refund_amount": draw(st.integers(0, 9))},
        "support_tickets": {
            "ticket_id": key, "opened_at": happened_at, "kind": draw(st.sampled_from(["question", "complaint"])),
            "closed_at": draw(st.sampled_from([None, known_at])),
        },
        "reviews": {"review_id": key, "reviewed_at": happened_at, "product_id": "p1", "rating": draw(st.integers(1, 5))},
        "survey_answers": {"answer_id": key, "answered_at": happened_at, "survey": "s", "score": draw(st.integers(0, 10))},
        "sentiments": {
            "text_id": key, "written_at": happened_at, "kind": "review",
            "sentiment": f"{draw(st.integers(-10_000, 10_000)) / 10_000:.4f}",
        },
        "coupons": {
            "coupon_id": key, "issued_at": happened_at, "redeemed_at": draw(st.sampled_from([None, known_at])),
        },
        "mail_events": {
            "event_id": key, "happened_at": happened_at, "send_id": "s", "is_machine": draw(st.booleans()),
            "kind": draw(st.sampled_from(["sent", "open", "click", "unsubscribe"])),
        },
    }  # fmt: skip
    table = draw(st.sampled_from(sorted(kinds)))
    return _row(draw, table, known_at, customer_id=customer_id, **kinds[table])


@st.composite
def shops(draw: st.DrawFn) -> list[Row]:
    """Return rows of landing tables. Customers and products that nobody knew before are there now and then."""
    early = MIDNIGHT - timedelta(days=600)
    base = [_row(draw, "customers", early, customer_id=each) for each in CUSTOMERS[:2]]
    base += [
        _row(draw, "products", early, product_id=each, category="tea", brand=None) for each in PRODUCTS[:2]
    ]
    return [
        *base,
        *draw(st.lists(_orders(), min_size=3, max_size=10)),
        *draw(st.lists(_lines(), min_size=3, max_size=12)),
        *draw(st.lists(_customers(), max_size=2)),
        *draw(st.lists(_products(), max_size=3)),
        *draw(st.lists(_activities(), max_size=8)),
    ]


def land(db: duckdb.DuckDBPyConnection, rows: list[Row], load_number: int) -> None:
    """Insert rows as a load would; a row keeps its place among all rows, whichever load brings it."""
    for row in rows:
        values = {name: value for name, value in row.items() if name not in ("table", "arrival", "place")}
        values |= {"source_file": "shop/file", "source_row": row["place"], "load_number": load_number}
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        db.execute(f"insert into landing.{row['table']} ({names}) values ({marks})", list(values.values()))
    db.execute("insert into landing.files (digest, load_number) values ($1, $1)", [load_number])


NAMES = (
    "customer_id",
    "product_id",
    "order_id",
    "event_id",
    "return_id",
    "ticket_id",
    "review_id",
    "answer_id",
    "coupon_id",
)


def side_by_side(made_up: list[list[Row]]) -> list[Row]:
    """Put shops into one warehouse, where they share nothing: a build costs as much for ten as for one.

    Every row gets its place, which decides between two versions known at the same moment.
    """
    rows = [
        row | {name: f"{shop}-{row[name]}" for name in NAMES if name in row}
        for shop, own in enumerate(made_up)
        for row in own
    ]
    return [row | {"place": place} for place, row in enumerate(rows)]
