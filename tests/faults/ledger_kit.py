"""What tests of the ledger and of sending share: a shop's day of planned sends, their messages, a clock one can move."""

import hashlib
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from campaigns.ledger import DueSend, Ledger, PlannedSend
from campaigns.migrate import migrate
from core.ledger_tables import open_ledger

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


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
