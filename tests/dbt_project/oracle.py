"""What the models should say, worked out from the landing files in plain Python: no SQL, nothing of the project.

It knows purchases only. The demo's shop has no other tables, so their features are null; the golden shop has them.
"""

import csv
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

NEW_YORK = ZoneInfo("America/New_York")

Row = dict[str, str]


@dataclass(frozen=True)
class Line:
    """A line of an order as it was known on a day; amounts in cents."""

    order_id: str
    customer_id: str
    product_id: str
    category: str
    is_own_brand: bool
    ordered_at: datetime
    quantity: int
    list_cents: int
    discount_cents: int
    known_date: date

    @property
    def ordered_date(self) -> date:
        return self.ordered_at.date()

    @property
    def paid_cents(self) -> int:
        return max(self.list_cents - self.discount_cents, 0)


@cache
def landed(landing: Path, table: str) -> list[Row]:
    """Return every row of a table's files as text; read once."""
    rows: list[Row] = []
    for file in sorted(landing.glob(f"*/{table}/*")):
        if file.suffix == ".parquet":
            found = pq.read_table(file)
            texts = found.cast(pa.schema([(name, pa.string()) for name in found.column_names]))
            rows += [{key: value or "" for key, value in row.items()} for row in texts.to_pylist()]
        else:
            with file.open(newline="") as lines:
                rows += list(csv.DictReader(lines))
    return rows


def known(rows: list[Row], *key: str, on: date) -> dict[tuple[str, ...], Row]:
    """Return the newest version of each row that was known before 00:00 UTC of a day."""
    newest: dict[tuple[str, ...], Row] = {}
    for row in sorted(rows, key=lambda row: row["known_at"]):
        if row["known_at"] < f"{on} 00:00:00":
            newest[tuple(row[name] for name in key)] = row
    return newest


def orders_known(landing: Path, on: date) -> dict[tuple[str, ...], Row]:
    """Return the orders of known customers that keep the contract, with known lines or without, by number."""
    customers = known(landed(landing, "customers"), "customer_id", on=on)
    placed = [
        row for row in landed(landing, "orders") if row["order_id"] and row["ordered_at"] <= row["known_at"]
    ]
    orders = known(placed, "order_id", on=on)
    return {key: row for key, row in orders.items() if (row["customer_id"],) in customers}


def lines_known(landing: Path, on: date) -> list[Line]:
    """Return the purchases of known customers, of known products, that keep the contract."""
    products = known(landed(landing, "products"), "product_id", on=on)
    orders = orders_known(landing, on)
    lines = []
    for row in known(landed(landing, "order_lines"), "order_id", "line_number", on=on).values():
        order, product = orders.get((row["order_id"],)), products.get((row["product_id"],))
        if order is None or product is None:
            continue
        lines.append(
            Line(
                row["order_id"],
                order["customer_id"],
                row["product_id"],
                product["category"] or "unknown",
                product["brand"] == "Private",
                datetime.fromisoformat(order["ordered_at"]).replace(tzinfo=UTC),
                int(row["quantity"]),
                int(Decimal(row["list_amount"]) * 100),
                int(Decimal(row["discount_amount"]) * 100),
                datetime.fromisoformat(max(row["known_at"], order["known_at"], product["known_at"])).date(),
            )
        )
    return lines


def features(landing: Path, on: date) -> dict[str, dict[str, object]]:
    """Return customer_id → the features of the day, from the descriptions in customer_features.yml."""
    bought: dict[str, list[Line]] = defaultdict(list)
    for line in lines_known(landing, on):
        bought[line.customer_id].append(line)
    placed: dict[str, dict[str, datetime]] = defaultdict(dict)
    for (order_id,), order in orders_known(landing, on).items():
        placed[order["customer_id"]][order_id] = datetime.fromisoformat(order["ordered_at"]).replace(
            tzinfo=UTC
        )
    return {customer_id: _features(bought[customer_id], orders, on) for customer_id, orders in placed.items()}


def _features(bought: list[Line], orders: dict[str, datetime], on: date) -> dict[str, object]:
    days = sorted({moment.date() for moment in orders.values()})
    gaps = [(later - earlier).days for earlier, later in pairwise(days)]
    recency = (on - days[-1]).days
    paid, listed = sum(line.paid_cents for line in bought), sum(line.list_cents for line in bought)
    local = [moment.astimezone(NEW_YORK) for moment in orders.values()]
    hours = Counter(moment.hour for moment in local)
    weekdays = Counter(moment.isoweekday() % 7 for moment in local)  # 0 is Sunday
    usual_hour, in_usual_hour = min(hours.items(), key=lambda item: (-item[1], item[0]))
    usual_weekday = min(weekdays, key=lambda weekday: (-weekdays[weekday], weekday))

    def orders_since(most_days: int) -> int:
        return sum((on - moment.date()).days <= most_days for moment in orders.values())

    def spend_since(most_days: int) -> int:
        return sum(line.paid_cents for line in bought if (on - line.ordered_date).days <= most_days)

    def items_since(most_days: int) -> int:
        return sum(line.quantity for line in bought if (on - line.ordered_date).days <= most_days)

    return (
        {
            "recency_days": recency,
            "tenure_days": (on - days[0]).days,
            "orders_lifetime_count": len(orders),
            "items_lifetime_count": sum(line.quantity for line in bought),
            **{
                f"{name}_{most_days}d_{unit}": since(most_days)
                for name, unit, since in (
                    ("orders", "count", orders_since),
                    ("spend", "cents", spend_since),
                    ("items", "count", items_since),
                )
                for most_days in (7, 30, 90, 365)
            },
            "spend_lifetime_cents": paid,
            "basket_mean_cents": paid / len(orders),
            "basket_mean_lines": len(bought) / len(orders),
            "basket_mean_items": sum(line.quantity for line in bought) / len(orders),
            "basket_90d_mean_cents": spend_since(90) / orders_since(90) if orders_since(90) else None,
            "gap_max_days": max(gaps, default=None),
            "gap_median_days": statistics.median(gaps) if gaps else None,
            "gap_p90_days": _nine_in_ten(sorted(gaps)) if gaps else None,
            "long_pause_share": sum(max(gap - 28, 0) for gap in gaps) / (on - days[0]).days,
            **_active(days, on),
            "gap_last_days": gaps[-1] if gaps else None,
            "gap_mean_days": statistics.mean(gaps) if gaps else None,
            "gap_std_days": statistics.stdev(gaps) if len(gaps) > 1 else None,
            "gap_ratio": recency / statistics.mean(gaps) if gaps else None,
            "orders_trend_ratio": (orders_since(30) + 0.5)
            / ((orders_since(90) - orders_since(30)) / 2 + 0.5),
            "spend_trend_ratio": (spend_since(30) + 100) / ((spend_since(90) - spend_since(30)) / 2 + 100),
            "discount_share": min(sum(line.discount_cents for line in bought) / listed, 1) if listed else 0,
            "orders_acceleration": _second_difference(orders_since),
            "spend_acceleration": _second_difference(spend_since),
            "orders_year_ratio": None,  # the shop's first order is less than 455 days old
            "holiday_share": sum(moment.month >= 11 for moment in orders.values()) / len(orders),
            "lifecycle_stage": _stage(days, gaps, len(orders), on),
            "weekend_share": sum(weekdays[weekday] for weekday in (0, 6)) / len(orders),
            "morning_share": sum(moment.hour < 12 for moment in local) / len(orders),
            "evening_share": sum(moment.hour >= 18 for moment in local) / len(orders),
            "usual_hour": usual_hour,
            "usual_hour_share": in_usual_hour / len(orders),
            "usual_weekday": usual_weekday,
        }
        | _tastes(bought, paid)
        | _assortment(bought, on)
    )


def _nine_in_ten(gaps: list[int]) -> float:
    place = 0.9 * (len(gaps) - 1)
    below = math.floor(place)
    return gaps[below] + (place - below) * (gaps[math.ceil(place)] - gaps[below])


def _active(days: list[date], on: date) -> dict[str, float]:
    ages = [(on - day).days for day in days]
    weeks = {(age - 1) // 7 for age in ages if age <= 84}
    return {
        "order_days_14d_count": sum(age <= 14 for age in ages),
        "order_days_56d_count": sum(age <= 56 for age in ages),
        "active_weeks_84d_count": len(weeks),
        "active_spans_share": len({(day - min(days)).days // 28 for day in days}) / math.ceil(max(ages) / 28),
    }


def _second_difference(since: Callable[[int], int]) -> int:
    newest, middle, oldest = since(30), since(60) - since(30), since(90) - since(60)
    return (newest - middle) - (middle - oldest)


def _stage(days: list[date], gaps: list[int], orders: int, on: date) -> str:
    recency, usual = (on - days[-1]).days, statistics.mean(gaps) if gaps else 60
    if orders == 1 and (on - days[0]).days <= 30:
        return "new"
    if recency > 365:
        return "lapsed"
    if any(gap > 180 and (on - later).days <= 30 for gap, later in zip(gaps, days[1:], strict=True)):
        return "returned"
    return "lapsing" if recency > 3 * usual else "cooling" if recency > 1.5 * usual else "active"


def _assortment(bought: list[Line], on: date) -> dict[str, object]:
    first: dict[str, date] = {}
    for line in sorted(bought, key=lambda line: line.known_date):
        first.setdefault(line.product_id, line.known_date)
    recent = [line for line in bought if (on - line.ordered_date).days <= 90]
    pieces, listed = sum(line.quantity for line in bought), sum(line.list_cents for line in recent)
    return {
        "products_lifetime_count": len(first),
        "products_new_90d_count": sum((on - known_date).days <= 90 for known_date in first.values()),
        "categories_lifetime_count": len({line.category for line in bought}),
        "repeat_share": 1 - len(first) / len(bought),
        "item_mean_cents": sum(line.paid_cents for line in bought) / pieces if pieces else None,
        "discount_90d_share": min(sum(line.discount_cents for line in recent) / listed, 1) if listed else 0,
        "discounted_lines_share": sum(line.discount_cents > 0 for line in bought) / len(bought),
    }


def _tastes(bought: list[Line], paid: int) -> dict[str, object]:
    spend: Counter[str] = Counter()
    for line in bought:
        spend[line.category] += line.paid_cents
    ranked = sorted(spend.items(), key=lambda item: (-item[1], item[0]))
    shares = [cents / paid if paid else 0.0 for _, cents in ranked] + [0.0, 0.0]
    return {
        "category_1_share": shares[0],
        "category_2_share": shares[1],
        "category_3_share": shares[2],
        "category_entropy": -sum(share * math.log(share) for share in shares if share > 0),
        "own_brand_share": sum(line.paid_cents for line in bought if line.is_own_brand) / paid if paid else 0,
        "top_category": ranked[0][0],
    }


def labels(
    lines: list[Line], cutoffs: list[date], horizon: timedelta, by: date
) -> dict[tuple[str, date], bool]:
    """Return (customer_id, cut-off) → has churned, for cut-offs whose window lies before `by`."""
    days: dict[str, set[date]] = defaultdict(set)
    for line in lines:
        days[line.customer_id].add(line.ordered_date)
    return {
        (customer_id, cutoff): not any(cutoff <= day < cutoff + horizon for day in ordered)
        for customer_id, ordered in days.items()
        for cutoff in cutoffs
        if cutoff + horizon <= by and any(day < cutoff for day in ordered)
    }
