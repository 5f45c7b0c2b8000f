"""Who and what is in the made-up shop of one replayed day: customers, sends, days, subjects.

By hand: 6 customers who could get mail, 12 mails, one held out, one refused. The subjects and numbers that tests
expect are written here once.
"""

import hashlib
from collections.abc import Iterator
from datetime import date

DAY, DAY_BEFORE = date(2017, 12, 4), date(2017, 12, 3)
TARGET = "https://juniper.example/p/1029743"
LINK_ID = hashlib.sha256(TARGET.encode()).hexdigest()[:16]
SUBJECTS = {
    "en": "Ada, your bananas miss you",
    "de": "Schön, wieder von Ihnen zu hören: Ihre Lieblinge",
    "zh": "您常买的商品在等您",
}
NASTY = "<script>alert('x')</script>"
FEATURE_COUNT = 28


def send_id(campaign: str, customer: str, day: date = DAY) -> str:
    return hashlib.md5(f"{campaign}|1|{customer}|{day}".encode(), usedforsecurity=False).hexdigest()


WHY = send_id("picked_for_you", "1001")
HELD_OUT = send_id("winback", "1006")
REFUSED = send_id("restock", "1005")


def mails() -> Iterator[tuple[str, str, str, date]]:
    """Yield campaign, customer, locale and day of the 12 mails: 9 on the newest day, 3 the day before."""
    locales = {"1001": "en", "1002": "de", "1003": "zh", "1004": "en", "1005": "de"}
    for customer in ("1002", "1003", "1004"):
        yield "winback", customer, locales[customer], DAY_BEFORE
    yield "picked_for_you", "1001", "en", DAY
    yield "winback", "1002", "de", DAY
    yield "restock", "1003", "zh", DAY
    yield "picked_for_you", "1004", "en", DAY
    for number in range(2001, 2006):
        yield "restock", str(number), "en", DAY
