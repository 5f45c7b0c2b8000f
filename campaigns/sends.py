"""One message to one customer: its states, and what the ledger is told and tells about it and about consent.

awaiting ─► planned               a person approved it
   ├─► rejected        a person did not, did not approve all of it, or did not answer in time
   └─► expired         its day has passed, or it was withdrawn
planned ─► claimed ─► sending ─► sent | refused | uncertain
   │          │          ├─► deferred      the server said "not now": due again later
   │          │          └─► planned       nothing reached the server
   │          └─► planned | suppressed
   ├─► suppressed       found at the claim
   └─► expired          its day has passed, or it was withdrawn
deferred ─► claimed | suppressed           as from planned
   └─► expired          given up, its day has passed, or it was withdrawn
uncertain ─► sent | planned                by evidence, or by hand
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum


class SendState(StrEnum):
    """Where a send stands; the words of `docs/runbooks/send.md`."""

    AWAITING = "awaiting"
    PLANNED = "planned"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    DEFERRED = "deferred"
    SUPPRESSED = "suppressed"
    UNCERTAIN = "uncertain"
    EXPIRED = "expired"
    REJECTED = "rejected"


MAY_BECOME: dict[SendState, frozenset[SendState]] = {
    SendState.AWAITING: frozenset({SendState.PLANNED, SendState.REJECTED, SendState.EXPIRED}),
    SendState.PLANNED: frozenset({SendState.CLAIMED, SendState.SUPPRESSED, SendState.EXPIRED}),
    SendState.DEFERRED: frozenset({SendState.CLAIMED, SendState.SUPPRESSED, SendState.EXPIRED}),
    SendState.CLAIMED: frozenset({SendState.SENDING, SendState.SUPPRESSED, SendState.PLANNED}),
    SendState.SENDING: frozenset(
        {SendState.SENT, SendState.REFUSED, SendState.DEFERRED, SendState.UNCERTAIN, SendState.PLANNED}
    ),
    SendState.UNCERTAIN: frozenset({SendState.SENT, SendState.PLANNED}),
    SendState.SENT: frozenset(),
    SendState.REFUSED: frozenset(),
    SendState.SUPPRESSED: frozenset(),
    SendState.EXPIRED: frozenset(),
    SendState.REJECTED: frozenset(),
}
"""Every transition there is. Anything else raises `LedgerBroken`."""

REACHED_NOBODY = frozenset({SendState.REFUSED, SendState.SUPPRESSED, SendState.EXPIRED, SendState.REJECTED})
"""End states in which no mailbox has the mail; they use up nobody's frequency cap."""

MAIL = "mail"
"""The channel of what goes out as mail; everything else goes to the shop's webhook."""

EVERYTHING = "*"
"""What is paused when everything is, and what the overall rate limits."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a customer decided about mail, and its proof; moments are UTC."""

    customer_id: str
    purpose: str
    is_given: bool
    proof: str | None
    decided_at: datetime
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Coupon:
    """A code that a mail gives, and what it is worth; it is valid until `expires_at`, UTC."""

    code: str
    send_id: str
    campaign_id: str
    customer_id: str
    discount_percent: int
    min_spend_cents: int
    currency: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """The sends of one campaign and step on one day. `reason`: why a person is asked first; None: nobody is."""

    as_of_date: date
    campaign_id: str
    step: int
    template_version: str
    send_count: int
    reason: str | None

    @property
    def name(self) -> str:
        """How people name it: `winback 2, 2026-03-02`."""
        return f"{self.campaign_id} {self.step}, {self.as_of_date}"


@dataclass(frozen=True, slots=True)
class Approval(Batch):
    """A batch and what was answered, when, by whom and why; `answer` None: it is waited for. Moments are UTC."""

    answer: str | None
    share_percent: int | None
    answered_at: datetime | None
    answered_by: str | None
    why: str | None


@dataclass(frozen=True, slots=True)
class PlannedSend:
    """What the plan tells the ledger. `send_at` is UTC; `repr` leaves the address out, which only mail has."""

    send_id: str
    campaign_id: str
    step: int
    customer_id: str
    as_of_date: date
    address: str = field(repr=False)
    pseudonym: str
    send_at: datetime
    expires_at: datetime
    channel: str

    @property
    def domain(self) -> str:
        """The recipient's: after the last @, in lower case."""
        return self.address.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class DueSend(PlannedSend):
    """What a sender has to know of a send; `attempts` are those before."""

    due_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class LedgerSend(DueSend):
    """A row of the ledger as it was when read; moments are UTC."""

    state: SendState
    lease_id: int | None
    claimed_at: datetime | None
    sending_at: datetime | None
    ended_at: datetime | None
    reply: str | None
    server: str | None
    message_id: str | None
    message_digest: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim got: the sends to send now, and how many of the others end as suppressed.

    `wait`: no sends for now, but mail is due that the rates let go after this time.
    """

    sends: list[DueSend]
    suppressed: int
    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """Which sends of a group may go now, and how many of the others end as suppressed."""

    send_ids: frozenset[str]
    suppressed: int


@dataclass(frozen=True, slots=True)
class Handover:
    """What is about to be handed to a server, written down before the server hears of it."""

    server: str
    message_id: str
    message_digest: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of handing a send over: `reply` is the server's last words, without addresses.

    `suppresses`: the person's mailbox refused for good, so nothing may be sent there again.
    """

    send: DueSend
    state: SendState
    reply: str
    suppresses: bool = False
