"""Coupons on SQLite and on PostgreSQL: issued with the send, never twice, never more than a campaign allows."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from campaigns.coupons import coupon_of
from campaigns.ledger import Ledger
from campaigns.sends import Coupon
from core.errors import LedgerBroken
from core.ledger_tables import coupons, open_ledger
from core.tokens import Tokens
from tests.faults.ledger_kit import NOON, MovableClock, ledger_at, planned, send_id_of

OFFER = {"discount_percent": 10, "min_spend_cents": 2500, "currency": "USD", "valid_until": "2017-12-18"}


@pytest.fixture
def clock():
    return MovableClock()


@pytest.fixture
def ledger(ledger_url, clock):
    return ledger_at(ledger_url, clock)


def coupon(number: int, *, days: int = 14) -> Coupon:
    return Coupon(
        code=f"CODE{number}",
        send_id=send_id_of(number),
        campaign_id=planned(number).campaign_id,
        customer_id=f"c{number}",
        discount_percent=10,
        min_spend_cents=2500,
        currency="USD",
        expires_at=NOON + timedelta(days=days),
    )


def enqueue(ledger: Ledger, *numbers: int, limit: int = 100) -> int:
    sends, given = [planned(number) for number in numbers], [coupon(number) for number in numbers]
    return ledger.enqueue(sends, {}, given, {sends[0].campaign_id: limit})


def issued(url: str) -> list[tuple[str, str]]:
    engine = open_ledger(url)
    with engine.begin() as connection:
        found = [
            (row.code, row.send_id) for row in connection.execute(select(coupons).order_by(coupons.c.code))
        ]
    engine.dispose()
    return found


def test_the_coupon_of_a_mail_is_what_the_mail_states_and_always_the_same():
    tokens = Tokens(SecretStr("k" * 40))
    row = {"send_id": "5" * 32, "campaign_id": "promotion", "customer_id": "c1"}
    facts = json.dumps({"first_name": "Ada", "offer": OFFER}, separators=(",", ":"))
    found = coupon_of(row | {"facts": facts}, tokens)
    assert found == coupon_of(row | {"facts": facts}, tokens)
    assert found == coupon_of(row | {"facts": json.dumps(json.loads(facts), indent=1)}, tokens)
    assert found is not None
    assert found.code == tokens.coupon_code("5" * 32)
    assert (found.discount_percent, found.min_spend_cents, found.currency) == (10, 2500, "USD")
    assert found.expires_at == datetime(2017, 12, 19, tzinfo=UTC)  # the 18th to its end
    assert coupon_of(row | {"facts": '{"offer":null}'}, tokens) is None


def test_a_coupon_is_issued_with_its_send_and_stays_when_the_day_is_enqueued_again(ledger, ledger_url):
    assert enqueue(ledger, 0, 1) == 2
    assert enqueue(ledger, 0, 1, 2) == 1
    assert issued(ledger_url) == [(f"CODE{number}", send_id_of(number)) for number in range(3)]


def test_beyond_its_limit_a_campaign_gets_no_coupon_and_no_send(ledger, ledger_url):
    enqueue(ledger, 0, 1, limit=3)
    with pytest.raises(LedgerBroken, match="has 2 valid coupons and may have 3; 2 more are planned"):
        enqueue(ledger, 2, 3, limit=3)
    assert len(issued(ledger_url)) == 2
    assert ledger.find(send_id_of(2)) is None
    assert enqueue(ledger, 2, limit=3) == 1


def test_a_coupon_that_has_expired_makes_room_for_another(ledger, clock):
    enqueue(ledger, 0, 1, limit=2)
    clock.move(timedelta(days=14) - timedelta(seconds=1))
    assert ledger.valid_coupons(clock()) == {planned(0).campaign_id: 2}
    with pytest.raises(LedgerBroken):
        enqueue(ledger, 2, limit=2)
    clock.move(timedelta(seconds=1))
    assert enqueue(ledger, 2, limit=2) == 1


def test_a_code_that_is_taken_is_not_given_to_another(ledger, ledger_url):
    enqueue(ledger, 0)
    taken = Coupon(
        **{name: getattr(coupon(1), name) for name in Coupon.__dataclass_fields__} | {"code": "CODE0"}
    )
    with pytest.raises(Exception, match=r"(?i)unique"):
        ledger.enqueue([planned(1)], {}, [taken])
    assert issued(ledger_url) == [("CODE0", send_id_of(0))]
    assert ledger.find(send_id_of(1)) is None


def test_plans_that_are_enqueued_at_once_keep_the_limit_together(ledger, ledger_url):
    def one(plan: int) -> bool:
        own = Ledger(open_ledger(ledger_url), MovableClock())
        try:
            return enqueue(own, *range(10 * plan, 10 * plan + 10), limit=45) == 10
        except LedgerBroken:
            return False
        finally:
            own.close()

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(one, range(8)))
    assert sum(outcomes) == 4  # of ten each, four fit into 45
    codes = issued(ledger_url)
    assert len(codes) == len({code for code, _ in codes}) == len({send_id for _, send_id in codes}) == 40
