"""What tests of the ledger and of sending share: a shop's day of planned sends, their messages, a clock one can move."""

import hashlib
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from sqlalchemy import insert

from campaigns.ledger import DueSend, Handover, Ledger, PlannedSend
from campaigns.migrate import migrate
from campaigns.sends import Decision
from core.ledger_tables import open_ledger, preferences

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HANDOVER = Handover("mail.example:25", "<m@juniper.example>", "0" * 64)


class MovableClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


def send_id_of(number: int, day: date = DAY) -> str:
    """The spec's derivation: md5 hex of 'campaign|step|customer|as_of'."""
    return hashlib.md5(f"winback|1|c{number}|{day}".encode(), usedforsecurity=False).hexdigest()


def planned(
    number: int,
    *,
    day: date = DAY,
    send_at: datetime = NOON,
    domain: str = "example.com",
    channel: str = "mail",
) -> PlannedSend:
    return PlannedSend(
        send_id=send_id_of(number, day),
        campaign_id="winback",
        step=1,
        customer_id=f"c{number}",
        as_of_date=day,
        address=f"reader.{number}@{domain}",
        pseudonym=f"p{number}",
        send_at=send_at,
        expires_at=datetime.combine(day, time(), UTC) + timedelta(days=2),
        channel=channel,
    )


def message_of(send: DueSend, *, size: int = 2_000) -> bytes:
    """A small mail with the headers that every mail of ours carries, and a line that begins with a dot."""
    head = (
        "From: Juniper Market <hello@juniper.example>\r\n"
        f"To: {send.address}\r\n"
        "Subject: We miss you\r\n"
        f"Message-ID: <{send.send_id}@juniper.example>\r\n"
        f"X-Lapwing-Send: {send.send_id}\r\n"
        f"X-Lapwing-Campaign: {send.campaign_id}\r\n\r\n.dot\r\n"
    )
    return head.encode() + (b"x" * 74 + b"\r\n") * (size // 76)


def ledger_at(url: str, clock: MovableClock | None = None) -> Ledger:
    migrate(url)
    return Ledger(open_ledger(url), clock or MovableClock())


def ledger_in(folder: Path, sends: int = 0, clock: MovableClock | None = None) -> Ledger:
    """A SQLite ledger in a folder with `sends` planned sends of one day."""
    ledger = ledger_at(f"sqlite:///{folder / 'ledger.sqlite'}", clock)
    ledger.enqueue([planned(number) for number in range(sends)], {})
    return ledger


def states(ledger):
    return {send.customer_id: send.state for send in ledger.of_day(DAY)}


def start(ledger, send, after=()):
    """Start a group of one; say whether it may go."""
    return ledger.start([(send, HANDOVER)], after=after).send_ids == {send.send_id}


def started(ledger, number=0):
    """Take one send as far as `sending`."""
    send = next(s for s in ledger.claim(10).sends if s.customer_id == f"c{number}")
    assert start(ledger, send)
    return send


def decision(number, is_given, *, days=0, known_days=None, purpose="marketing"):
    """What customer c0, c1, … decided so many days after NOON, and the shop learnt as many or more days after."""
    decided_at = NOON + timedelta(days=days)
    known_at = NOON + timedelta(days=days if known_days is None else known_days)
    return Decision(f"c{number}", purpose, is_given, "form", decided_at, known_at)


def pauses(customer_id, no_mail_before, decided_at=NOON):
    """What the page of preferences writes for who wants no mail for a while, or wants it again."""
    row = {"customer_id": customer_id, "send_id": send_id_of(0), "decided_at": decided_at}
    return insert(preferences).values(**row, no_mail_before=no_mail_before)
