"""Hand what is due to a server, one mail at a time, and write down what became of each.

Before a mail goes out the ledger says `sending`; that commit carries the outcome of the mail before it. So a mail
costs one disk sync, and a sender that dies leaves one mail of which nobody knows whether it arrived: `uncertain`.
"""

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from email.utils import getaddresses

from campaigns.ledger import Handover, Ledger, LedgerSend, Outcome, SendState
from campaigns.mailers import (
    Deferred,
    DeliveryRefused,
    DeliveryUncertain,
    Mailer,
    ServerUnreachable,
    last_words,
)
from core.errors import CampaignInvalid, SendingPaused
from core.logging import get_logger

MessageOf = Callable[[LedgerSend], bytes]
Progress = Callable[[Counter[SendState]], None]

GROUP = 50  # sends claimed by one commit; their messages wait in memory (0.75 MB at 15 kB)
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_MORE_RECIPIENTS = ("cc", "bcc", "resent-to", "resent-cc", "resent-bcc")


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message, checked, with what the ledger has to know of it."""

    send: LedgerSend
    sender: str
    message: bytes
    handover: Handover


def send_batch(
    ledger: Ledger,
    mailer: Mailer,
    message_of: MessageOf,
    *,
    pause_after_errors: int,
    as_of: date | None = None,
    progress: Progress | None = None,
) -> Counter[SendState]:
    """Send what is due by the ledger's clock; return how many sends ended in each state.

    Call it inside `Ledger.only_sender`, after `recover`, `settle` and `expire`; `settle` once more afterwards, and
    `check_identity` at the end. `message_of` makes the bytes of a mail; a group
    of messages is made before the first of it is handed over. `progress` gets the counts after each mail.

    Raises
    ------
    SendingPaused
        After `pause_after_errors` errors in a row that say nothing about a person: the server cannot be
        reached, drops the line, or refuses our mail as such. What is left stays planned.
    CampaignInvalid
        If a message is not addressed to the person of its send, or lacks what it must carry.
    Exception
        Whatever `message_of` raises. That send and the rest of its group are planned again.
    """
    batch = _Batch(ledger, mailer, pause_after_errors, progress)
    try:
        while sends := batch.claim(as_of):
            batch.hand_over([_ready(send, message_of(send), mailer.server) for send in sends])
    finally:
        ledger.release(batch.claim_id)
        get_logger(__name__).info("batch ended", **{str(state): n for state, n in batch.counts.items()})
    return batch.counts


class _Batch:
    """One run of the sender: its claim, its counts, and how many errors it has met in a row."""

    def __init__(
        self, ledger: Ledger, mailer: Mailer, pause_after_errors: int, progress: Progress | None
    ) -> None:
        self.claim_id = secrets.token_hex(16)
        self.counts: Counter[SendState] = Counter()
        self._ledger = ledger
        self._mailer = mailer
        self._pause_after_errors = pause_after_errors
        self._progress = progress
        self._errors_in_a_row = 0

    def claim(self, as_of: date | None) -> list[LedgerSend]:
        claim = self._ledger.claim(self.claim_id, GROUP, as_of)
        self._count(SendState.SUPPRESSED, claim.suppressed)
        return claim.sends

    def hand_over(self, group: list[_Ready]) -> None:
        """Send a group; the outcome of each mail is committed with the start of the next."""
        unwritten: Outcome | None = None
        try:
            for ready in group:
                may_go = self._ledger.start(ready.send, ready.handover, after=unwritten)
                unwritten = None
                if not may_go:
                    self._count(SendState.SUPPRESSED)
                    continue
                unwritten = self._deliver(ready)
                self._count(unwritten.state)
                if unwritten.suppresses:  # on its own: the next check must see it, and locks keep one order
                    self._ledger.finish(unwritten)
                    unwritten = None
                self._pause_if_hopeless(unwritten)
        finally:
            if unwritten is not None:
                self._ledger.finish(unwritten)

    def _deliver(self, ready: _Ready) -> Outcome:
        send = ready.send
        try:
            reply = self._mailer.send(ready.sender, send.address, ready.message)
        except ServerUnreachable as error:
            self._errors_in_a_row += 1
            return Outcome(send, SendState.PLANNED, str(error))
        except DeliveryRefused as error:
            self._errors_in_a_row = 0 if error.is_about_person else self._errors_in_a_row + 1
            return Outcome(send, SendState.REFUSED, str(error), suppresses=error.is_about_person)
        except DeliveryUncertain as error:
            self._errors_in_a_row += 1
            return Outcome(send, SendState.UNCERTAIN, str(error))
        except Deferred as error:
            self._errors_in_a_row = 0
            return Outcome(send, SendState.DEFERRED, str(error))
        except BaseException as error:  # stopped by a person or by a fault of ours: the mail may be under way
            reply = last_words(f"the sender stopped with this mail in flight: {error!r}")
            self._ledger.finish(Outcome(send, SendState.UNCERTAIN, reply))
            self._count(SendState.UNCERTAIN)
            raise
        self._errors_in_a_row = 0
        return Outcome(send, SendState.SENT, reply)

    def _pause_if_hopeless(self, last: Outcome | None) -> None:
        if last is not None and self._errors_in_a_row >= self._pause_after_errors:
            raise SendingPaused(
                f"sending paused after {self._errors_in_a_row} errors in a row, the last: {last.reply};"
                " what is left stays planned: mend the server's address or login (docs/runbooks/send.md), run again"
            )

    def _count(self, state: SendState, number: int = 1) -> None:
        if number and state is not SendState.PLANNED:  # planned again is no end
            self.counts[state] += number
            if self._progress is not None:
                self._progress(self.counts)


def _ready(send: LedgerSend, message: bytes, server: str) -> _Ready:
    """Check that a message is what may go to the person of its send, and to nobody else."""
    headers = _headers(message)
    senders = [address for _, address in getaddresses(headers.get("from", []))]
    recipients = [address for _, address in getaddresses(headers.get("to", []))]
    message_ids = headers.get("message-id", [])
    if recipients != [send.address] or any(name in headers for name in _MORE_RECIPIENTS):
        _refuse(send, "is not addressed to the customer of that send alone")
    if len(senders) != 1 or "@" not in senders[0]:
        _refuse(send, "needs exactly one From address")
    if len(message_ids) != 1 or not message_ids[0]:
        _refuse(send, "needs exactly one Message-ID")
    if headers.get("x-lapwing-send") != [send.send_id]:
        _refuse(send, "does not carry that send_id in X-Lapwing-Send")
    if not message.count(b"\n") == message.count(b"\r\n") == message.count(b"\r"):
        _refuse(send, "has a bare CR or LF, which servers read differently: end lines with CRLF")
    digest = hashlib.sha256(message).hexdigest()
    return _Ready(send, senders[0], message, Handover(server, message_ids[0], digest))


def _refuse(send: LedgerSend, fault: str) -> None:
    raise CampaignInvalid(
        f"the message of send '{send.send_id}' ({send.campaign_id}) {fault}; nothing of it was sent"
    )


def _headers(message: bytes) -> dict[str, list[str]]:
    """Return the header fields of a message, unfolded: lower-case name → values in order."""
    found: dict[str, list[str]] = {}
    for line in _FOLD.sub(b"", message.partition(b"\r\n\r\n")[0]).split(b"\r\n"):
        name, _, value = line.decode("utf-8", "replace").partition(":")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found
