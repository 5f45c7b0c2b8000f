"""Mails and clicks from where they happen to where they count: ledger and tracking log, landing, features."""

from datetime import UTC, date, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from campaigns.ledger import Handover, Outcome, SendState
from campaigns.outcomes import ledger_view
from core.clock import replay_to
from core.dbt import build
from core.warehouse import export
from sources.landing import load_landing
from sources.tracking import collect
from tests.campaigns import small_shop
from tests.faults.ledger_kit import MovableClock, ledger_at, planned, send_id_of
from tests.sources.landing_kit import ORDER_LINES, PRODUCTS, land
from tracking.events import EventKind, new_event
from tracking.log import SegmentLog

DAY = date(2017, 3, 1)
CUSTOMERS = "customer_id,email,first_name,locale,country_code,time_zone,signed_up_at,known_at\n" + "".join(
    f"c{number},{name}@example.com,{name},en,US,America/New_York,2017-01-01 08:00:00,2017-01-01 08:00:00\n"
    for number, name in enumerate(("ada", "bo", "cy"))
)
ORDERS = "order_id,customer_id,store_id,ordered_at,known_at\n" + "".join(
    f"o{number},c{number},s1,2017-01-03 10:00:00,2017-01-03 10:00:00\n" for number in range(3)
)
MAILS = [  # customer c0, c1, c2; when; how it ended
    (0, datetime(2017, 1, 20, 12, tzinfo=UTC), SendState.SENT),  # 40 days before
    (0, datetime(2017, 2, 10, 12, tzinfo=UTC), SendState.SENT),
    (0, datetime(2017, 2, 20, 12, tzinfo=UTC), SendState.SENT),
    (1, datetime(2017, 2, 20, 12, tzinfo=UTC), SendState.REFUSED),
    (1, datetime(2017, 2, 21, 12, tzinfo=UTC), SendState.UNCERTAIN),
    (1, datetime(2017, 2, 22, 12, tzinfo=UTC), SendState.SENT),
    (2, datetime(2017, 3, 1, 0, tzinfo=UTC), SendState.SENT),  # when the day begins: not known before it
]
EVENTS = [  # the mail that is answered, the answer, when, and whether a machine gave it
    (0, EventKind.CLICK, datetime(2017, 1, 21, 9, tzinfo=UTC), False),
    (1, EventKind.OPEN, datetime(2017, 2, 10, 13, tzinfo=UTC), True),
    (1, EventKind.OPEN, datetime(2017, 2, 10, 14, tzinfo=UTC), False),
    (1, EventKind.CLICK, datetime(2017, 2, 11, 9, tzinfo=UTC), False),
    (2, EventKind.CLICK, datetime(2017, 2, 20, 12, tzinfo=UTC), True),
    (2, EventKind.OPEN, datetime(2017, 2, 20, 13, tzinfo=UTC), False),
]
# Of 1 March: the last 30 days begin on 30 January, the last 90 on 1 December. Machines count nowhere.
BY_HAND: dict[str, dict[str, float | None]] = {
    "c0": {
        "mails_30d_count": 2,
        "mails_90d_count": 3,
        "opens_30d_count": 2,
        "clicks_30d_count": 1,
        "clicks_90d_count": 2,
        "clicks_per_mail_ratio": 2 / 3,
        "last_click_days": 18,  # from 11 February
    },
    "c1": {
        "mails_30d_count": 1,
        "mails_90d_count": 1,
        "opens_30d_count": 0,
        "clicks_30d_count": 0,
        "clicks_90d_count": 0,
        "clicks_per_mail_ratio": 0,
        "last_click_days": None,
    },
    "c2": {
        "mails_30d_count": 0,
        "mails_90d_count": 0,
        "opens_30d_count": 0,
        "clicks_30d_count": 0,
        "clicks_90d_count": 0,
        "clicks_per_mail_ratio": None,  # no mail to divide by
        "last_click_days": None,
    },
}


def send_all(settings):
    """Take each mail through the ledger, as the sender does."""
    clock = MovableClock()
    ledger = ledger_at(settings.ledger, clock)
    with ledger.sender(settings.data_dir / "sender.lock"):
        for number, at, end in MAILS:
            clock.now = at - timedelta(seconds=5)
            ledger.enqueue([planned(number, day=at.date(), send_at=clock.now)], {})
            (send,) = ledger.claim(10).sends
            ledger.start([(send, Handover("mail.example:25", "<m@juniper.example>", "0" * 64))])
            clock.now = at
            ledger.finish([Outcome(send, end, "said the server")])
    ledger.close()


def answer_all(settings):
    """Write what the tracking service writes when the mails are read."""
    log = SegmentLog(settings.tracking_log, "web1")
    for mail, kind, at, is_machine in EVENTS:
        number, sent_at, _ = MAILS[mail]
        log.append(new_event(kind, send_id_of(number, sent_at.date()), at, is_machine=is_machine))
    log.close()


@pytest.mark.timeout(300)
def test_mails_of_the_ledger_and_clicks_of_the_tracking_log_are_counted_as_by_hand(tmp_path):
    settings = small_shop.settings_of(tmp_path)
    tables = {"customers": CUSTOMERS, "orders": ORDERS, "order_lines": ORDER_LINES, "products": PRODUCTS}
    for table, text in tables.items():
        land(settings, table, text)
    send_all(settings)
    answer_all(settings)
    replay_to(settings, date(2017, 2, 28))
    for landed in (5 + len(EVENTS), 0):
        with ledger_view(settings) as ledger:
            assert collect(settings, ledger) == landed
    assert load_landing(settings).rejects["mail_events"] == 0
    build(settings, "tag:features", as_of=DAY)
    rows = pq.ParquetFile(export(settings, "ml.customer_features", DAY)).read().to_pylist()
    found = {row["customer_id"]: {name: row[name] for name in BY_HAND["c0"]} for row in rows}
    assert found == BY_HAND
