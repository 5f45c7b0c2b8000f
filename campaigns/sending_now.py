"""What sending looks like at this moment, for `lapwing send status` and for the console's page."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from campaigns.breaker import ALERT_SHARE, complaint_words, reason_to_pause
from campaigns.ledger_view import LedgerView, Pause, Sender
from campaigns.limits import WarmUp
from campaigns.sends import EVERYTHING, SendState
from campaigns.standings import Standing
from core.logging import without_addresses
from core.settings import Settings

A_MINUTE, A_DAY = timedelta(minutes=1), timedelta(days=1)
_CODE = re.compile(r"(?:[^:]*: )?(\d{3})\b[ -]?(\d\.\d{1,3}\.\d{1,3})?")


@dataclass(frozen=True)
class Refusal:
    """A reason that servers gave for refusing mail in the last 24 hours: its codes, how often, one reply in full."""

    codes: str
    count: int
    example: str


@dataclass(frozen=True)
class SendingNow:
    """A look at the ledger. Shares are 0 to 1, rates mails a second; `day` is the newest that was planned.

    `may_go`: mails that are due and not paused. `warm_up_mails`: how many the warm-up allows today; None: there is none.
    """

    now: datetime
    day: date | None
    states: Counter[SendState]
    senders: list[Sender]
    pauses: list[Pause]
    standings: list[Standing]
    refusals: list[Refusal]
    may_go: int
    sent_last_minute: int
    sent_today: int
    rates: Mapping[str, float]
    warm_up_mails: int | None
    max_refused_share: float

    @property
    def time_left(self) -> timedelta | None:
        """How long what may go now takes at the pace of the last minute; None where none was sent in it."""
        if not self.sent_last_minute:
            return None
        return timedelta(seconds=round(60 * self.may_go / self.sent_last_minute))

    def health(self, standing: Standing) -> str:
        """Return `paused`, `too bad` (it pauses at the next look), `alert` or `fine`."""
        if {EVERYTHING, standing.campaign_id} & {pause.subject for pause in self.pauses}:
            return "paused"
        if reason_to_pause(standing, self.max_refused_share):
            return "too bad"
        return "alert" if standing.complaint_share >= ALERT_SHARE else "fine"

    def lines(self) -> Iterator[str]:
        """Yield what a person at a terminal should know, a sentence a line."""
        for pause in self.pauses:
            until = f" until {pause.ends_at:%Y-%m-%d %H:%M}" if pause.ends_at else ""
            yield f"paused since {pause.paused_at:%Y-%m-%d %H:%M}{until} UTC: {pause.subject} ({pause.reason})"
        for sender in self.senders:
            yield f"sending since {sender.began_at:%Y-%m-%d %H:%M} UTC: {sender.holder}"
        if self.sent_last_minute or self.may_go:
            left = f", about {self.time_left} left" if self.may_go and self.time_left is not None else ""
            yield f"{self.sent_last_minute:,} sent in the last minute; {self.may_go:,} more may go now{left}"
        for subject, rate in self.rates.items():
            yield f"limited to {rate:g} a second: {'all mail' if subject == EVERYTHING else subject}"
        if self.warm_up_mails is not None:
            yield f"warm-up: {self.sent_today:,} of today's {self.warm_up_mails:,} mails are used"
        for standing in self.standings:
            refused = f"{standing.refused_share:.1%} refused".replace("%", " %")
            yield f"{standing.campaign_id}: {self.health(standing)}, {complaint_words(standing)}, {refused}"


def sending_now(ledger: LedgerView, settings: Settings, now: datetime) -> SendingNow:
    """Look at a ledger."""
    day = ledger.newest_day()
    first_day = settings.warm_up_from
    return SendingNow(
        now=now,
        day=day,
        states=_in_order(ledger.states(day)) if day else Counter(),
        senders=ledger.senders(),
        pauses=ledger.pauses(now),
        standings=ledger.standings(now),
        refusals=_refusals(ledger.refused_since(now - A_DAY)),
        may_go=ledger.may_go_count(now),
        sent_last_minute=ledger.sent_since(now - A_MINUTE),
        sent_today=ledger.sent_today(now),
        rates=settings.rates,
        warm_up_mails=WarmUp(first_day, settings.warm_up_mails).mails_of(now.date()) if first_day else None,
        max_refused_share=settings.max_refused_share,
    )


def _in_order(states: Counter[SendState]) -> Counter[SendState]:
    return Counter({state: states[state] for state in SendState if states[state]})


def _refusals(replies: Mapping[str, int]) -> list[Refusal]:
    """Count replies by their codes: what follows often names the message, and is different each time."""
    counts, examples = Counter[str](), dict[str, str]()
    for reply, count in replies.items():
        found = _CODE.match(reply)
        codes = " ".join(filter(None, found.groups())) if found else "no code"
        counts[codes] += count
        examples.setdefault(codes, without_addresses(reply))
    return [Refusal(codes, count, examples[codes]) for codes, count in counts.most_common()]
