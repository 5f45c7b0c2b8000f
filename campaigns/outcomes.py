"""What the warehouse may know of the ledger: published tables, without an address."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time

import pyarrow as pa

from campaigns.ledger_view import LedgerView
from campaigns.migrate import migrate
from core.ledger_tables import open_ledger
from core.published import Published
from core.settings import Settings

_MOMENT = pa.timestamp("us")  # UTC, without a zone

SEND_OUTCOMES = pa.schema(
    [
        ("send_id", pa.string()),
        ("campaign_id", pa.string()),
        ("customer_id", pa.string()),
        ("as_of_date", pa.date32()),
        ("state", pa.string()),
        ("ended_at", _MOMENT),
    ]
)
"""One row per send of the day, by send_id. `ended_at` is null while a send has not ended."""

LEDGER_SUPPRESSIONS = pa.schema(
    [("customer_id", pa.string()), ("reason", pa.string()), ("suppressed_at", _MOMENT)]
)
"""One row per person suppressed before the day began, by customer_id."""

LEDGER_SENDS = pa.schema(
    [
        ("send_id", pa.string()),
        ("customer_id", pa.string()),
        ("campaign_id", pa.string()),
        ("as_of_date", pa.date32()),
    ]
)
"""One row per send of an earlier day that reached somebody, or may have, by send_id."""


def publish_outcomes(settings: Settings, as_of: date) -> int:
    """Publish `send_outcomes` of a day as the ledger has it now; return the number of rows."""
    with _ledger(settings) as ledger:
        rows = [
            {
                "send_id": send.send_id,
                "campaign_id": send.campaign_id,
                "customer_id": send.customer_id,
                "as_of_date": send.as_of_date,
                "state": str(send.state),
                "ended_at": _without_zone(send.ended_at),
            }
            for send in ledger.of_day(as_of)
        ]
    _publish(settings, "send_outcomes", as_of, pa.Table.from_pylist(rows, SEND_OUTCOMES))
    return len(rows)


def publish_ledger_state(settings: Settings, as_of: date) -> None:
    """Publish `ledger_suppressions` and `ledger_sends`: what the plan of a day may know of the ledger.

    Only what had happened before the day began (00:00 UTC), so that planning a day again gives the same plan;
    who unsubscribes later is caught at the claim.
    """
    begin = datetime.combine(as_of, time(), UTC)
    with _ledger(settings) as ledger:
        suppressed = [
            {
                "customer_id": person.customer_id,
                "reason": person.reason,
                "suppressed_at": _without_zone(person.suppressed_at),
            }
            for person in ledger.suppressed_before(begin)
        ]
        earlier = [
            dict(zip(LEDGER_SENDS.names, row, strict=True)) for row in ledger.sends_before(as_of, begin)
        ]
    _publish(settings, "ledger_suppressions", as_of, pa.Table.from_pylist(suppressed, LEDGER_SUPPRESSIONS))
    _publish(settings, "ledger_sends", as_of, pa.Table.from_pylist(earlier, LEDGER_SENDS))


@contextmanager
def _ledger(settings: Settings) -> Iterator[LedgerView]:
    migrate(settings.ledger)
    ledger = LedgerView(open_ledger(settings.ledger, read_only=True))
    try:
        yield ledger
    finally:
        ledger.close()


def _publish(settings: Settings, table: str, as_of: date, rows: pa.Table) -> None:
    published = Published(settings.published)
    published.write_candidate(table, as_of, rows)
    published.release(table, as_of)


def _without_zone(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
