"""What a reader chose about our mail: as the ledger has it, and as a sent form asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, insert, or_, select

from core.ledger_tables import HELD, consents, preferences, sends, suppressions
from core.preferences import A_PAUSE, A_WEEK, OUR_PURPOSE, RARELY, MailKind
from tracking.pages import LANGUAGES

SAVE_FIELD, SAVE_VALUE = "save", "preferences"  # an empty body is no wish to switch everything off
IS_OUT = ("sending", "sent", "uncertain")


@dataclass(frozen=True)
class Wish:
    """What a form asks for. `locale`: a language, or None for the one that the shop knows."""

    kinds: frozenset[MailKind]
    is_rarely: bool
    is_pause: bool
    locale: str | None


@dataclass(frozen=True)
class Preferences:
    """What holds for a reader now.

    Parameters
    ----------
    masked_address
        So much of the address that its owner knows it again, and nobody else learns it.
    is_stopped
        She gets none of our mail, whatever else is chosen.
    is_rarely
        At most one mail a week, rather than as many as the shop's own rules allow.
    paused_until
        No mail before this moment; None where there is no pause, or it is over.
    locale
        The language she chose; None where she chose none.
    """

    masked_address: str
    is_stopped: bool
    kinds_off: frozenset[MailKind]
    is_rarely: bool
    paused_until: datetime | None
    locale: str | None


def wish_of(form: Mapping[str, object]) -> Wish | None:
    """Return what a sent form asks for, or None for a form that is not ours."""
    pace, locale = form.get("pace"), form.get("locale")
    if form.get(SAVE_FIELD) != SAVE_VALUE or pace not in ("usual", "rarely"):
        return None
    if locale != "" and locale not in LANGUAGES:
        return None
    kinds = frozenset(kind for kind in MailKind if kind in form)
    return Wish(kinds, pace == "rarely", "pause" in form, str(locale) or None)


def masked(address: str) -> str:
    """Return an address for its owner's eyes: its first letter, and what its domain ends in.

    >>> masked("ada.lovelace@mail.example.com")
    'a•••@•••.com'
    """
    if not address:
        return ""  # what came by another channel than mail
    local_part, _, domain = address.rpartition("@")
    return f"{local_part[:1]}•••@•••.{domain.rpartition('.')[2]}"


def read_preferences(ledger: Connection, send_id: str, now: datetime) -> Preferences | None:
    """Return what holds for the customer a send went to, or None where no such send is known."""
    person = _person(ledger, send_id)
    if person is None:
        return None
    is_given = _decisions(ledger, person.customer_id)
    asked = (
        select(preferences)
        .where(preferences.c.customer_id == person.customer_id)
        .order_by(preferences.c.preference_id.desc())
        .limit(1)
    )
    chosen = ledger.execute(asked).one_or_none()
    paused_until = chosen.paused_until if chosen else None
    return Preferences(
        masked_address=masked(person.address),
        is_stopped=_is_suppressed(ledger, person) or not is_given.get(OUR_PURPOSE, True),
        kinds_off=frozenset(kind for kind in MailKind if not is_given.get(kind, True)),
        is_rarely=chosen is not None and chosen.mails_per_week is not None,
        paused_until=paused_until if paused_until and paused_until > now else None,
        locale=chosen.locale if chosen else None,
    )


def record_wish(ledger: Connection, send_id: str, wish: Wish, now: datetime) -> None:
    """Add what a wish changes for the customer a send went to, the send as proof; nothing for whom all mail is stopped.

    A pause that is on goes on to its end, however often it is saved. Consents are written before preferences, in the order
    in which a sender on PostgreSQL locks them: neither then waits for the other for ever.
    """
    held, person = read_preferences(ledger, send_id, now), _person(ledger, send_id)
    if held is None or person is None or held.is_stopped:
        return
    for kind in MailKind:
        if (kind in wish.kinds) is (kind in held.kinds_off):
            row = {
                "customer_id": person.customer_id,
                "purpose": kind,
                "decided_at": now,
                "known_at": now,
                "is_given": kind in wish.kinds,
                "proof": f"preferences {send_id}",
            }
            ledger.execute(insert(consents), row)
    paused_until = (held.paused_until or now + A_PAUSE) if wish.is_pause else None
    if (wish.is_rarely, paused_until, wish.locale) == (held.is_rarely, held.paused_until, held.locale):
        return
    rests = [paused_until] if paused_until else []
    if wish.is_rarely and (last := _last_mail_at(ledger, person.customer_id)):
        rests.append(last + A_WEEK)
    row = {
        "customer_id": person.customer_id,
        "send_id": send_id,
        "mails_per_week": RARELY if wish.is_rarely else None,
        "paused_until": paused_until,
        "no_mail_before": max(rests, default=None),
        "locale": wish.locale,
        "decided_at": now,
    }
    ledger.execute(insert(preferences), row)


def _person(ledger: Connection, send_id: str) -> Row[tuple[str, str, str]] | None:
    asked = select(sends.c.customer_id, sends.c.pseudonym, sends.c.address)
    return ledger.execute(asked.where(sends.c.send_id == send_id)).one_or_none()


def _decisions(ledger: Connection, customer_id: str) -> dict[str, bool]:
    """Return purpose → what was decided last; of two decisions at once, the withdrawal."""
    asked = (
        select(consents.c.purpose, consents.c.is_given)
        .where(consents.c.customer_id == customer_id, consents.c.purpose.in_([OUR_PURPOSE, *MailKind]))
        .order_by(consents.c.decided_at, consents.c.known_at, consents.c.is_given.desc())
    )
    return {row.purpose: row.is_given for row in ledger.execute(asked)}


def _is_suppressed(ledger: Connection, person: Row[tuple[str, str, str]]) -> bool:
    of_person = or_(
        suppressions.c.customer_id == person.customer_id, suppressions.c.pseudonym == person.pseudonym
    )
    reasons = select(suppressions.c.reason).where(of_person, suppressions.c.reason != HELD)
    return ledger.execute(reasons.limit(1)).one_or_none() is not None


def _last_mail_at(ledger: Connection, customer_id: str) -> datetime | None:
    out = sends.c.customer_id == customer_id, sends.c.state.in_(IS_OUT)
    last: datetime | None = ledger.scalar(select(func.max(sends.c.send_at)).where(*out))
    return last
