"""Puts what the tables hold into words: verdicts, states, reasons, features with their units."""

from calendar import day_name
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.numbers import format_currency

VERDICTS: Mapping[str, tuple[str, str]] = {
    "no_consent": (
        "No consent",
        "The customer has not agreed to marketing mail, or has switched this kind of it off.",
    ),
    "suppressed": (
        "Suppressed",
        "The customer unsubscribed, complained or paused all mail, or the address refused or bounced mail before.",
    ),
    "not_reachable": ("Not reachable", "No usable address is known."),
    "exited": ("Exited", "The customer has left the flow: bought, unsubscribed or entered a stronger one."),
    "too_soon": (
        "Too soon",
        "The wait before this step, or until the customer may enter the flow again, is not over.",
    ),
    "held_out": ("Held out", "Drawn by lot to get nothing, so that the effect of the mail can be measured."),
    "frequency_capped": (
        "Frequency capped",
        "The customer has had as much mail lately as the shop, or the customer, allows.",
    ),
    "no_coupon": ("No coupon", "As many coupons of the campaign are out as it allows."),
    "outranked": ("Outranked", "Another campaign mattered more that day; one mail a day per customer."),
    "no_content": ("No content", "Too few products were left to show."),
    "planned": ("Planned", "Every check passed."),
}
"""Title and sentence of each verdict, in the order in which they are given."""

STATES: Mapping[str, str] = {
    "awaiting": "Waiting for a person to approve it.",
    "planned": "Waiting for its send time.",
    "claimed": "Claimed by a sender, not yet handed over.",
    "sending": "Being handed over to the mail server.",
    "sent": "The mail server accepted it.",
    "refused": "The mail server refused this address for good.",
    "deferred": "The mail server asked to try later; it is tried again when it is due.",
    "suppressed": "Stopped before sending: after planning the customer unsubscribed, complained, bounced, or chose to get less.",
    "suppressed_late": "Stopped before sending: after planning the customer unsubscribed, complained, bounced, or chose to get less.",
    "uncertain": "The connection broke after hand-over; it is not repeated, one mail too few can be put right.",
    "expired": "Its day passed before it could be sent, it was withdrawn, or the server put it off for too long.",
    "rejected": "A person did not approve it, or nobody answered in time.",
}


@dataclass(frozen=True)
class FeatureWords:
    """How a column of `customer_features` is said."""

    label: str
    unit: str
    group: str


FEATURES: Mapping[str, FeatureWords] = {
    "recency_days": FeatureWords("Since the last order", "days", "Rhythm"),
    "gap_mean_days": FeatureWords("Usual gap between orders", "days", "Rhythm"),
    "gap_std_days": FeatureWords("How much that gap varies (standard deviation)", "days", "Rhythm"),
    "gap_ratio": FeatureWords("Time since the last order, in usual gaps", "ratio", "Rhythm"),
    "tenure_days": FeatureWords("Customer for", "days", "Rhythm"),
    "orders_trend_ratio": FeatureWords("Orders lately against before", "ratio", "Rhythm"),
    "orders_7d_count": FeatureWords("Orders in 7 days", "count", "Orders"),
    "orders_30d_count": FeatureWords("Orders in 30 days", "count", "Orders"),
    "orders_90d_count": FeatureWords("Orders in 90 days", "count", "Orders"),
    "orders_lifetime_count": FeatureWords("Orders ever", "count", "Orders"),
    "basket_mean_lines": FeatureWords("Products in a usual basket", "number", "Orders"),
    "spend_30d_cents": FeatureWords("Spent in 30 days", "cents", "Money"),
    "spend_90d_cents": FeatureWords("Spent in 90 days", "cents", "Money"),
    "spend_lifetime_cents": FeatureWords("Spent ever", "cents", "Money"),
    "spend_trend_ratio": FeatureWords("Spending lately against before", "ratio", "Money"),
    "basket_mean_cents": FeatureWords("Value of a usual basket", "cents", "Money"),
    "discount_share": FeatureWords("Share of spending saved by discounts", "share", "Money"),
    "top_category": FeatureWords("Favourite category", "text", "Taste"),
    "category_1_share": FeatureWords("Share of the first category", "share", "Taste"),
    "category_2_share": FeatureWords("Share of the second category", "share", "Taste"),
    "category_3_share": FeatureWords("Share of the third category", "share", "Taste"),
    "category_entropy": FeatureWords("Variety of categories (entropy)", "number", "Taste"),
    "own_brand_share": FeatureWords("Share of own brands", "share", "Taste"),
    "usual_hour": FeatureWords("Usual hour of ordering", "hour", "Habits"),
    "usual_weekday": FeatureWords("Usual weekday of ordering", "weekday", "Habits"),
    "usual_hour_share": FeatureWords("Orders at that hour", "share", "Habits"),
    "weekend_share": FeatureWords("Orders at weekends", "share", "Habits"),
    "morning_share": FeatureWords("Orders in the morning", "share", "Habits"),
    "evening_share": FeatureWords("Orders in the evening", "share", "Habits"),
}


def humanised(name: str) -> str:
    """Return an identifier as words: `picked_for_you` → `Picked for you`."""
    return name.replace("_", " ").strip().capitalize()


def feature_words(name: str) -> FeatureWords:
    """Return the words of a feature; one nobody described is named as its column is."""
    return FEATURES.get(name) or FeatureWords(humanised(name), "number", "Other")


def quantity(value: Any, unit: str, currency: str) -> str:
    """Return a value with its unit; an unknown value says so."""
    if value is None:
        return "not known"
    if isinstance(value, str):
        return humanised(value.lower()) if value.isupper() else value
    write = _UNITS.get(unit)
    if write:
        return write(value)
    return money(value, currency) if unit == "cents" else compact(value)


def compact(value: float) -> str:
    """Return a number with at most two decimals and thousands set apart."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def percent(share: float) -> str:
    """Return a share as a percentage; what is neither none nor all is not rounded to it."""
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    is_near_an_end = 0 < share < 0.1 or 0.995 <= share < 1
    return f"{share:.1%}" if is_near_an_end else f"{share:.0%}"


def money(cents: float, currency: str) -> str:
    return str(format_currency(Decimal(round(cents)) / 100, currency, locale="en_US"))


def days(count: float) -> str:
    return f"{compact(round(count, 1))} {'day' if count == 1 else 'days'}"


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def day(value: date) -> str:
    """Return 4 December 2017."""
    return f"{value.day} {value:%B %Y}"


def duration(length: timedelta) -> str:
    """Return a length of time as its largest unit says it.

    >>> [duration(timedelta(seconds=seconds)) for seconds in (9, 90, 7_300, 200_000)]
    ['9 seconds', '2 minutes', '2 hours', '56 hours']
    """
    seconds = length.total_seconds()
    if seconds < 60:
        return counted(round(seconds), "second")
    return (
        counted(round(seconds / 60), "minute") if seconds < 3600 else counted(round(seconds / 3600), "hour")
    )


def next_order(row: Mapping[str, Any]) -> str:
    """Say when the next order of a row of `customer_value` is expected; without a day it is not to be expected.

    >>> next_order({"next_order_low_date": date(2017, 12, 5), "next_order_date": date(2017, 12, 9), "next_order_high_date": None})
    'around 9 December 2017, eight times in ten from 5 December 2017 on'
    """
    low, middle, high = (row[f"next_order_{part}date"] for part in ("low_", "", "high_"))
    if middle is None:
        return "not to be expected"
    until = "on" if high is None else f"to {day(high)}"
    return f"around {day(middle)}, eight times in ten from {day(low)} {until}"


def clock_time(moment: datetime) -> str:
    """Return 4 Dec 2017, 23:00 UTC; moments without a zone are UTC, as published tables hold them."""
    return _utc_text(moment, "%b %Y, %H:%M")


def exact_time(moment: datetime) -> str:
    """Return 4 Dec 2017, 23:00:03 UTC."""
    return _utc_text(moment, "%b %Y, %H:%M:%S")


def _utc_text(moment: datetime, form: str) -> str:
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{utc.day} {utc.strftime(form)} UTC"


def local_time(moment: datetime, zone: str) -> str | None:
    """Return 18:00 in America/New York, or None where the zone is unknown or is UTC."""
    try:
        there = moment.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return None
    return (
        None
        if zone in {"UTC", "Etc/UTC"}
        else f"{there:%H:%M} on {there.day} {there:%B} in {zone.replace('_', ' ')}"
    )


def product_reason(product: Mapping[str, Any], listed: Mapping[str, Any] | None = None) -> str:
    """Return why a product is in the mail, from the facts of the plan row and the product's row in `recommendations`."""
    bought = product.get("times_bought")
    match product.get("reason"):
        case "favourite":
            return f"A favourite: bought {counted(bought, 'time')}." if bought else "One of the favourites."
        case "due":
            return _due(product, bought)
        case "because":
            when = product.get("bought_date")
            return _because(product.get("reason_product_name"), date.fromisoformat(when) if when else None)
        case kind:
            return list_reason({**(listed or {}), "reason": kind})


def list_reason(listed: Mapping[str, Any], other: str | None = None) -> str:
    """Return why a product stands on a list, from its row in `recommendations`; `other`: name of the product that led to it.

    >>> list_reason({"reason": "due_again", "every_days": 42.0, "last_bought_date": date(2017, 5, 3)})
    'Due again: usually bought every 42 days; the last time was 3 May 2017.'
    """
    kind, last = str(listed.get("reason") or "no reason given"), listed.get("last_bought_date")
    write = _REASONS.get(kind)
    return (
        write(listed, other, f"; the last time was {day(last)}." if last else ".")
        if write
        else humanised(kind) + "."
    )


def _because(other: str | None, last: date | None, *, why: str = "Because of") -> str:
    named = f"{why} an earlier purchase: {other}" if other else "Fits earlier purchases"
    return named + (f", last bought {day(last)}." if last else ".")


def _due(product: Mapping[str, Any], bought: int | None) -> str:
    gap, since = product.get("usual_gap_days"), product.get("days_since")
    sentence = f"Bought {counted(bought, 'time')}" if bought else "Bought regularly"
    if gap is not None:
        sentence += f", about every {days(gap)}"
    return sentence + (f"; the last time was {days(since)} ago." if since is not None else ".")


def _taste(listed: Mapping[str, Any]) -> str:
    count, of = listed.get("buyer_count"), listed.get("neighbour_count")
    who = f"{count:,} of the {of:,} customers" if count and of else "customers"
    return f"Bought by {who} whose purchases are most like this one's."


def _bought_before(listed: Mapping[str, Any], last: str) -> str:
    every = listed.get("every_days")
    return ("Bought before" if every is None else f"Usually bought every {days(every)}, not due yet") + last


_REASONS: Mapping[str, Callable[[Mapping[str, Any], str | None, str], str]] = {
    "because": lambda listed, other, _: _because(other, listed.get("last_bought_date")),
    "taste": lambda listed, *_: _taste(listed),
    "viewed": lambda _, other, __: f"Because the customer looked at {other or 'something like it'}.",
    "new_arrival": lambda listed, other, _: _because(
        other, listed.get("last_bought_date"), why="New in the shop, and like"
    ),
    "popular_in_segment": lambda *_: "Popular among customers of the same segment, and new to this customer.",
    "popular": lambda *_: "Popular in the whole shop, and new to this customer.",
    "pinned": lambda *_: "Put there by the shop's rules of trade.",
    "history": lambda *_: "Fits all of the customer's purchases together; none explains it by itself.",
    "due_again": lambda listed, _, last: (
        f"Due again: usually bought every {days(listed['every_days'])}{last}"
    ),
    "bought_before": lambda listed, _, last: _bought_before(listed, last),
}
"""Kinds of reasons in `recommendations`, from the row, the name of the product that led to it, and when the last time was."""
_UNITS: Mapping[str, Callable[[Any], str]] = {
    "days": days,
    "share": percent,
    "ratio": lambda value: f"{compact(value)}\N{MULTIPLICATION SIGN}",
    "count": lambda value: f"{value:,.0f}",
    "hour": lambda value: f"{int(value):02d}:00",
    "weekday": lambda value: day_name[int(value) - 1],  # ours begin with Sunday, Python's with Monday
}
