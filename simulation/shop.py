"""A SIMULATED shop whose churn and taste are known: landing files that keep the source contract, and the truth.

The truth
---------
Time passes in whole days. Each customer orders with a chance of their own a day (`daily_chance`, 1/40 to 1/4) until
the day they leave, for good (`left_on`; about half leave within the period), and buys mostly products of one
category (`taste`): four lines of five; the rest come from the whole range. Hours, amounts, discounts, names, locales
and consents are drawn at random and mean nothing. Everything is invented, every address ends in `@example.com`.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np

FIRST_DAY = date(2026, 1, 1)
CATEGORIES = ("Bakery", "Dairy", "Frozen", "Produce", "Drinks", "Household")
NAMES = ("Cereal", "Bread", "Juice", "Cheese", "Soup", "Tea", "Soap", "Rice")
FIRST_NAMES = {"en": ("Ada", "Ben", "Clara"), "de": ("Jürgen", "Käthe", "Heike"), "zh": ("芳", "磊", "静")}
PRODUCTS_PER_CATEGORY = len(NAMES)
OWN_TASTE_SHARE, STAY_SHARE, DISCOUNT_SHARE = 0.8, 0.5, 0.2
MEAN_GAP_DAYS = (4.0, 40.0)
"""Shortest and longest days between two orders of a customer, on average: each is as likely as any between."""
NAMED_SHARE, CONSENT_SHARE = 0.9, 0.9

Row = dict[str, object]


@dataclass(frozen=True)
class SimulatedCustomer:
    """What is hidden about a customer. `left_on` is the first day without a chance of an order; None: stays."""

    customer_id: str
    daily_chance: float
    left_on: date | None
    taste: str


@dataclass
class SimulatedShop:
    """The truth behind the files, and how many rows each table has."""

    customers: list[SimulatedCustomer]
    rows: dict[str, int] = field(default_factory=dict)


def simulate_shop(
    folder: Path, *, customers: int = 200, days: int = 180, seed: int = 1, first_day: date = FIRST_DAY
) -> SimulatedShop:
    """Write `<folder>/<table>/<table>.csv` for five tables of the source contract; return the truth.

    The same arguments write the same bytes. Give `settings.landing / "simulated"` as `folder` and the shop is loaded
    like any other.

    Parameters
    ----------
    customers, days
        How many people, over how many days from `first_day` on; above 0.

    Raises
    ------
    ValueError
        If so few people over so few days order nothing at all.
    """
    chance = np.random.default_rng(seed)
    shop = SimulatedShop([_customer(chance, number, days, first_day) for number in range(1, customers + 1)])
    opened_at = _stamp(datetime.combine(first_day, time(), UTC) - timedelta(days=1))
    orders: list[Row] = []
    lines: list[Row] = []
    for customer in shop.customers:
        for ordered_at in _order_times(chance, customer, days, first_day):
            order_id = f"o{len(orders) + 1}"
            moment = _stamp(ordered_at)
            orders.append(
                {
                    "order_id": order_id,
                    "customer_id": customer.customer_id,
                    "store_id": "1",
                    "ordered_at": moment,
                    "known_at": moment,
                }
            )
            lines += _lines(chance, customer, order_id, moment)
    if not orders:
        raise ValueError(
            f"{customers} simulated customers ordered nothing in {days} days; give it more of either"
        )
    tables: dict[str, Iterable[Row]] = {
        "customers": [_person(chance, customer.customer_id, opened_at) for customer in shop.customers],
        "consents": _consents(chance, shop.customers, opened_at),
        "products": _products(opened_at),
        "orders": orders,
        "order_lines": lines,
    }
    for table, rows in tables.items():
        shop.rows[table] = _write(folder / table / f"{table}.csv", list(rows))
    return shop


def _customer(chance: np.random.Generator, number: int, days: int, first_day: date) -> SimulatedCustomer:
    stays = chance.random() < STAY_SHARE
    leaves_after = int(chance.integers(1, days + 1))
    return SimulatedCustomer(
        customer_id=f"c{number}",
        daily_chance=1 / float(chance.uniform(*MEAN_GAP_DAYS)),
        left_on=None if stays else first_day + timedelta(days=leaves_after),
        taste=str(chance.choice(CATEGORIES)),
    )


def _order_times(
    chance: np.random.Generator, customer: SimulatedCustomer, days: int, first_day: date
) -> Iterator[datetime]:
    end = first_day + timedelta(days=days)
    present = (min(customer.left_on or end, end) - first_day).days
    for offset in np.flatnonzero(chance.random(present) < customer.daily_chance):
        second = int(chance.integers(8 * 3600, 21 * 3600))
        midnight = datetime.combine(first_day + timedelta(days=int(offset)), time(), UTC)
        yield midnight + timedelta(seconds=second)


def _lines(
    chance: np.random.Generator, customer: SimulatedCustomer, order_id: str, known_at: str
) -> Iterator[Row]:
    for number in range(1, int(chance.integers(1, 7)) + 1):
        own = chance.random() < OWN_TASTE_SHARE
        category = customer.taste if own else str(chance.choice(CATEGORIES))
        quantity = int(chance.integers(1, 4))
        list_cents = quantity * int(chance.integers(99, 999))
        discount_cents = list_cents // 10 if chance.random() < DISCOUNT_SHARE else 0
        yield {
            "order_id": order_id,
            "line_number": number,
            "product_id": _product_id(category, int(chance.integers(PRODUCTS_PER_CATEGORY))),
            "quantity": quantity,
            "list_amount": f"{list_cents / 100:.2f}",
            "discount_amount": f"{discount_cents / 100:.2f}",
            "known_at": known_at,
        }


def _person(chance: np.random.Generator, customer_id: str, known_at: str) -> Row:
    locale = str(chance.choice(["en", "de", "zh"], p=[0.6, 0.25, 0.15]))
    return {
        "customer_id": customer_id,
        "email": f"reader.{customer_id}@example.com",
        "first_name": str(chance.choice(FIRST_NAMES[locale])) if chance.random() < NAMED_SHARE else "",
        "locale": locale,
        "country_code": "US",
        "time_zone": "America/New_York",
        "signed_up_at": known_at,
        "known_at": known_at,
    }


def _consents(
    chance: np.random.Generator, customers: list[SimulatedCustomer], known_at: str
) -> Iterator[Row]:
    for customer in customers:
        yield {
            "customer_id": customer.customer_id,
            "purpose": "marketing",
            "is_given": "true" if chance.random() < CONSENT_SHARE else "false",
            "proof": "form",
            "decided_at": known_at,
            "known_at": known_at,
        }


def _products(known_at: str) -> Iterator[Row]:
    for category in CATEGORIES:
        for number, name in enumerate(NAMES):
            yield {
                "product_id": _product_id(category, number),
                "name": f"{category} {name}",
                "category": category,
                "subcategory": name,
                "brand": "National" if number % 2 else "Private",
                "size": "1 PC",
                "known_at": known_at,
            }


def _product_id(category: str, number: int) -> str:
    return f"p{CATEGORIES.index(category)}{number}"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _write(path: Path, rows: list[Row]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name("." + path.name)
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draft.replace(path)
    return len(rows)
