"""How fast mail may go, overall and to a recipient domain, and how much of it on a day while a sending domain warms up.

The senders of a ledger share its limits: what a claim takes is written in the claim's own transaction, one claim at a time.
Of each rate the ledger holds one moment, `used_until`: each mail puts it off by one interval, and no mail is taken that
would put it more than a burst ahead of now. That is a bucket of tokens ("GCRA" in ATM Forum TM 4.0, section 4.4.2): in any
stretch of time no more mails are taken than its length x rate + one burst. A burst is a second's worth, at least one mail.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil, floor
from typing import Self

from sqlalchemy import Connection, Select, func, insert, select, text, update

from campaigns.sends import EVERYTHING, MAIL, PlannedSend
from core.ledger_tables import IS_HELD, IS_SENT, rates, sends
from core.settings import Settings

GROWTH = 1.5
"""From one day of a warm-up to the next."""
PATIENCE = timedelta(seconds=0.2)
"""At least so long a sender waits for a rate, so that it then finds more than one mail to claim."""
_ONE_AT_A_TIME = 5_401_771_200_208  # any number: the key under which PostgreSQL lets one limited claim run
_LONGEST_WAIT = timedelta(minutes=1)
_LONGEST = 60  # days of growth; by then nothing is limited any more


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How many mails a sending domain may send on each day (UTC) while it is new."""

    first_day: date
    first_mails: int

    def mails_of(self, day: date) -> int:
        """Return how many may be sent on a day; before the first day as many as on it.

        >>> warm_up = WarmUp(date(2026, 3, 1), 100)
        >>> [warm_up.mails_of(date(2026, 3, number)) for number in (1, 2, 3, 11)]
        [100, 150, 225, 5766]
        """
        days = max((day - self.first_day).days, 0)
        return int(self.first_mails * GROWTH ** min(days, _LONGEST))


@dataclass(frozen=True, slots=True)
class _Rate:
    """A mail in each `interval`, and `burst` at once; `used_until` as the ledger has it."""

    interval: timedelta
    burst: int

    def room(self, used_until: datetime, now: datetime) -> int:
        return (now + self.burst * self.interval - max(used_until, now)) // self.interval

    def free_at(self, used_until: datetime) -> datetime:
        return used_until - (self.burst - 1) * self.interval


class Limits:
    """The limits of a ledger's senders.

    Parameters
    ----------
    rates
        Recipient domain (`*`: all mail together) → mails a second, above 0.
    max_refused_share
        Above this share of refused mail a campaign is paused (`campaigns.breaker`).
    sleep
        Lets so many seconds pass.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        warm_up: WarmUp | None = None,
        *,
        max_refused_share: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        # Rounded up to a whole microsecond, so that sums of them are exact and never too fast.
        self._rates = {
            subject: _Rate(timedelta(microseconds=ceil(1_000_000 / rate)), max(1, floor(rate)))
            for subject, rate in rates.items()
        }
        self._warm_up = warm_up
        self.max_refused_share = max_refused_share
        self._sleep = sleep

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the limits that the settings give."""
        first_day = settings.warm_up_from
        return cls(
            settings.rates,
            WarmUp(first_day, settings.warm_up_mails) if first_day else None,
            max_refused_share=settings.max_refused_share,
        )

    def pick(
        self, connection: Connection, due: Select[tuple[str]], limit: int, now: datetime
    ) -> Sequence[str]:
        """Return up to `limit` of the sends that are due and that the limits let go now, locked, in their order."""
        if not self._rates and self._warm_up is None:
            return list[str](connection.scalars(due.limit(limit).with_for_update(skip_locked=True)))
        if connection.dialect.name == "postgresql":  # SQLite has one sender
            connection.execute(text(f"select pg_advisory_xact_lock({_ONE_AT_A_TIME})"))
        used = self._used(connection, now)
        room = {subject: rate.room(used[subject], now) for subject, rate in self._rates.items()}
        most = min(limit, room.pop(EVERYTHING, limit), self._left_today(connection, now))
        parts = [(due.where(sends.c.domain == domain), min(most, some)) for domain, some in room.items()]
        parts.append((due.where(sends.c.domain.not_in(list(room))), most))
        found = [
            row
            for part, some in parts
            if some > 0
            for row in connection.execute(
                part.add_columns(sends.c.due_at).limit(some).with_for_update(skip_locked=True)
            )
        ]
        return [row.send_id for row in sorted(found, key=lambda row: (row.due_at, row.send_id))[:most]]

    def take(self, connection: Connection, claimed: Sequence[PlannedSend], now: datetime) -> None:
        """Count what was claimed, in the transaction that picked it."""
        if not self._rates:
            return
        used = self._used(connection, now)
        taken = Counter(send.domain for send in claimed) + Counter({EVERYTHING: len(claimed)})
        for subject in taken.keys() & self._rates.keys():
            until = used[subject] + taken[subject] * self._rates[subject].interval
            mine = update(rates).where(rates.c.subject == subject).values(used_until=until)
            if connection.execute(mine).rowcount == 0:
                connection.execute(insert(rates).values(subject=subject, used_until=until))

    def wait(self, connection: Connection, due: Select[tuple[str]], now: datetime) -> timedelta | None:
        """Return how long until the rates let some of it go that is due now.

        None: nothing is due, or what is waits for another day of the warm-up.
        """
        if not self._rates or self._left_today(connection, now) == 0:
            return None
        used = self._used(connection, now)
        busy = {
            subject: free_at - now
            for subject, rate in self._rates.items()
            if (free_at := rate.free_at(used[subject])) > now
        }
        if EVERYTHING not in busy:
            due = due.where(sends.c.domain.in_(list(busy)))
        domain = connection.scalar(due.with_only_columns(sends.c.domain).limit(1))
        if domain is None:
            return None
        return max(busy.get(EVERYTHING, min(busy.values())), PATIENCE)

    def hold(self, wait: timedelta) -> None:
        """Wait for a rate; not so long that the sender's lease could end, or the end of a pause be missed."""
        self._sleep(min(wait, _LONGEST_WAIT).total_seconds())

    def _used(self, connection: Connection, now: datetime) -> dict[str, datetime]:
        """Return, for each rate, the moment up to which it is used up; now where it is not."""
        found = {row.subject: row.used_until for row in connection.execute(select(rates))}
        return {subject: max(found.get(subject, now), now) for subject in self._rates}

    def _left_today(self, connection: Connection, now: datetime) -> int:
        if self._warm_up is None:
            return 2**31
        return max(self._warm_up.mails_of(now.date()) - sent_today(connection, now), 0)


def sent_today(connection: Connection, now: datetime) -> int:
    """Return how many mails were sent since 00:00 UTC, or are about to be."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    mails = select(func.count()).where(sends.c.channel == MAIL)
    sent, held = mails.where(IS_SENT, sends.c.ended_at >= midnight), mails.where(IS_HELD)
    # One statement, so that no send is between two states.
    return connection.execute(select(sent.scalar_subquery() + held.scalar_subquery())).scalar_one()
