"""Reasons in words a marketer can use, in English. The only place where they are made; tables carry the result.

A sentence states figures of the customer and says no more than they do. It is told only if it is true in the direction that
makes a warning plausible (a longer pause, fewer orders) and by a tenth or more; else the group gets its neutral words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from babel.numbers import format_currency

from ml.churn.groups import GROUPS, Reason

TELLING = 0.1
"""A figure that differs from another by less than this share of it is the same to a reader."""

ABOUT: Mapping[Reason, str] = {group.reason: group.about for group in GROUPS}
Compare = Callable[[float, float], bool]


@dataclass(frozen=True)
class Told:
    """A group's figure in its own unit: now, by the customer's own past, of their segment and of the shop.

    The last two are those of a typical customer. None: not known, or there are no segments.
    """

    now: float
    usual: float | None
    segment: float | None
    shop: float | None


@dataclass(frozen=True)
class Wording:
    """`says` states the figure; `shows` writes one to compare it with; `tells` whether the comparison is worth it."""

    says: Callable[[float, str], str]
    shows: Callable[[float, str], str]
    tells: Compare


def sentence(reason: Reason, shift: float, told: Told, *, currency: str) -> str:
    """Return a group in words: what speaks for a lapse in figures where they tell it, all else in neutral words."""
    if shift <= 0:
        return f"{ABOUT[reason]} speaks against a lapse."
    stated = _pause(told) if reason is Reason.PAUSE else _stated(WORDINGS[reason], told, currency)
    return f"{stated}." if stated else f"{ABOUT[reason]} speaks for a lapse."


def _pause(told: Told) -> str:
    """Return the pause against the customer's own gap; where it is not longer, against others'; else nothing."""
    others = _others(told, lambda other: _compared(told.now, other, _number, _is_more))
    if told.usual is None:
        return f"Ordered on one day only, {_counted(told.now, 'day')} ago{others}"
    rhythm = f"Orders about every {_counted(told.usual, 'day')}"
    if _compared(told.now, told.usual, _number, _is_more):
        return f"{rhythm}, now quiet for {_number(told.now)}{others}"
    return others and f"{rhythm}, the last one {_counted(told.now, 'day')} ago{others}"


def _stated(wording: Wording, told: Told, currency: str) -> str:
    """Return a figure with every comparison that tells something; empty without any."""

    def compared(other: float | None) -> str:
        return _compared(told.now, other, lambda value: wording.shows(value, currency), wording.tells)

    usual = compared(told.usual)
    comparisons = (f", usually {usual}" if usual else "") + _others(told, compared)
    return comparisons and wording.says(told.now, currency) + comparisons


def _others(told: Told, compared: Callable[[float | None], str]) -> str:
    """Return the comparison with the segment, or with the shop where that one tells nothing."""
    segment, shop = compared(told.segment), compared(told.shop)
    if segment:
        return f"; customers like them: {segment}"
    return f"; customers here: {shop}" if shop else ""


def _compared(now: float, other: float | None, show: Callable[[float], str], tells: Compare) -> str:
    """Return what a figure is compared with, as it is shown; empty where that tells nothing."""
    if other is None or not tells(now, other) or show(now) == show(other):
        return ""
    return show(other)


def _is_less(now: float, other: float) -> bool:
    return 0 <= now <= (1 - TELLING) * other  # below 0 only by refunds, which is another story


def _is_more(now: float, other: float) -> bool:
    return now >= (1 + TELLING) * other


def _differs(now: float, other: float) -> bool:
    return abs(now - other) >= TELLING * abs(other)


def _number(value: float) -> str:
    """Write a number as people say it.

    >>> [_number(value) for value in (8.63, 8.04, 12.4, 1234.0)]
    ['8.6', '8', '12', '1,234']
    """
    return f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:,.0f}"


def _counted(value: float, noun: str) -> str:
    number = _number(value)
    return f"{number} {noun}{'' if number == '1' else 's'}"


def _how_many(value: float, noun: str) -> str:
    return _counted(value, noun) if value else f"No {noun}"


def _plain(value: float, currency: str) -> str:
    return _number(value)


def _money(cents: float, currency: str) -> str:
    return str(format_currency(Decimal(round(cents)) / 100, currency, locale="en_US"))


def _percent(share: float, currency: str) -> str:
    return f"{share:.0%}"


WORDINGS: Mapping[Reason, Wording] = {
    Reason.FREQUENCY: Wording(
        lambda now, currency: f"{_how_many(now, 'order')} in the last 90 days", _plain, _is_less
    ),
    Reason.SPEND: Wording(
        lambda now, currency: f"Spent {_money(now, currency)} in the last 30 days", _money, _is_less
    ),
    Reason.BASKETS: Wording(
        lambda now, currency: f"Baskets of {_money(now, currency)} on average", _money, _differs
    ),
    Reason.DISCOUNTS: Wording(
        lambda now, currency: f"Saved {_percent(now, currency)} by discounts", _percent, _differs
    ),
    Reason.VARIETY: Wording(
        lambda now, currency: f"{_how_many(now, 'new product')} in the last 90 days", _plain, _is_less
    ),
    Reason.HISTORY: Wording(lambda now, currency: f"{_counted(now, 'order')} so far", _plain, _is_less),
    Reason.HOURS: Wording(
        lambda now, currency: f"{_percent(now, currency)} of orders at weekends", _percent, _differs
    ),
}
"""All but the pause, which is told by the gaps before it."""
