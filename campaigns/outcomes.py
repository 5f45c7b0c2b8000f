"""What the warehouse may know of the ledger: published tables, without an address."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time

import pyarrow as pa
from pydantic import SecretStr

from campaigns.ledger_view import LedgerView, Suppression
from campaigns.migrate import migrate
from core.ledger_tables import open_ledger
from core.pseudonyms import pseudonym
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
"""One row per customer suppressed before the day began, by their own customer_id or by their address, by customer_id."""

LEDGER_SENDS = pa.schema(
    [
        ("send_id", pa.string()),
        ("customer_id", pa.string()),
        ("campaign_id", pa.string()),
        ("step", pa.int32()),
        ("as_of_date", pa.date32()),
    ]
)
"""One row per send of an earlier day that reached somebody, or may have, by send_id."""

LEDGER_PREFERENCES = pa.schema(
    [
        ("customer_id", pa.string()),
        ("kinds_off", pa.list_(pa.string())),
        ("mails_per_week", pa.int32()),
        ("paused_until", _MOMENT),
        ("locale", pa.string()),
    ]
)
"""One row per customer who had chosen something about our mail before the day began, by customer_id."""

LEDGER_COUPONS = pa.schema([("campaign_id", pa.string()), ("valid_count", pa.int64())])
"""One row per campaign with coupons that were issued before the day and are valid on it, by campaign_id."""


def publish_outcomes(settings: Settings, as_of: date) -> int:
    """Publish `send_outcomes` of a day as the ledger has it now; return the number of rows."""
    with ledger_view(settings) as ledger:
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


def publish_ledger_state(settings: Settings, as_of: date, addresses: Mapping[str, str]) -> None:
    """Publish what the plan of a day may know of the ledger: its suppressions, sends, coupons and readers' preferences.

    `addresses`: customer_id → address as known at the day. Only here can a customer be told to have the address of
    somebody who is suppressed: the warehouse has no key to make pseudonyms with.

    Only what had happened before the day began (00:00 UTC), so that planning a day again gives the same plan;
    who unsubscribes later is caught at the claim.
    """
    begin = datetime.combine(as_of, time(), UTC)
    with ledger_view(settings) as ledger:
        suppressed = [
            {
                "customer_id": person.customer_id,
                "reason": person.reason,
                "suppressed_at": _without_zone(person.suppressed_at),
            }
            for person in _with_their_addresses(
                ledger.suppressed_before(begin), addresses, settings.token_key
            )
        ]
        preferences = [
            asdict(chosen) | {"paused_until": _without_zone(chosen.paused_until)}
            for chosen in ledger.preferences_before(begin)
        ]
        earlier = [
            dict(zip(LEDGER_SENDS.names, row, strict=True)) for row in ledger.sends_before(as_of, begin)
        ]
        coupons = [
            {"campaign_id": campaign_id, "valid_count": count}
            for campaign_id, count in sorted(ledger.valid_coupons(begin).items())
        ]
    _publish(settings, "ledger_suppressions", as_of, pa.Table.from_pylist(suppressed, LEDGER_SUPPRESSIONS))
    _publish(settings, "ledger_preferences", as_of, pa.Table.from_pylist(preferences, LEDGER_PREFERENCES))
    _publish(settings, "ledger_sends", as_of, pa.Table.from_pylist(earlier, LEDGER_SENDS))
    _publish(settings, "ledger_coupons", as_of, pa.Table.from_pylist(coupons, LEDGER_COUPONS))


def _with_their_addresses(
    people: list[Suppression], addresses: Mapping[str, str], key: SecretStr
) -> list[Suppression]:
    """Add every customer whose address belongs to a suppressed person, for that person's earliest reason."""
    if not people:  # a pseudonym takes 3 µs, and there may be a million addresses
        return []
    found = {person.customer_id: person for person in people}
    latest_first = sorted(people, key=lambda person: (person.suppressed_at, person.customer_id), reverse=True)
    by_pseudonym = {
        person.pseudonym: person for person in latest_first
    }  # the earliest is put in last, and stays
    for customer_id in addresses.keys() - found.keys():
        if person := by_pseudonym.get(pseudonym(addresses[customer_id], key)):
            found[customer_id] = replace(person, customer_id=customer_id)
    return [found[customer_id] for customer_id in sorted(found)]


@contextmanager
def ledger_view(settings: Settings) -> Iterator[LedgerView]:
    """Yield the ledger, to be read only, its tables at this version; let go of it at the end."""
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
