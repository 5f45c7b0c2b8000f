"""Hand what is due to a server, a group of mails at a time, and write down what became of each.

A group is as many mails as the mailer hands over at once. Before any of them goes out the ledger says `sending` of them
all; that commit carries the outcomes of the group before. So a group costs one disk sync, and a sender that dies leaves
at most one group of which nobody knows whether it arrived: `uncertain`.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from email.utils import getaddresses

from campaigns.breaker import Breaker
from campaigns.envelope import Envelop, bare
from campaigns.ledger import Handover, Ledger, LedgerSend, Outcome, SendState
from campaigns.mailers import (
    Deferred,
    DeliveryRefused,
    DeliveryUncertain,
    Mail,
    Mailer,
    MailerError,
    ServerUnreachable,
    last_words,
)
from campaigns.policy import PolicyWatch
from core.errors import CampaignInvalid, SendingPaused
from core.logging import get_logger

MessageOf = Callable[[LedgerSend], bytes]
Progress = Callable[[Counter[SendState]], None]

CLAIM_SIZE = 50  # sends claimed by one commit; their messages wait in memory (0.75 MB at 15 kB)
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_MORE_RECIPIENTS = ("cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
_STATES: dict[type[MailerError], SendState] = {
    ServerUnreachable: SendState.PLANNED,
    Deferred: SendState.DEFERRED,
    DeliveryRefused: SendState.REFUSED,
    DeliveryUncertain: SendState.UNCERTAIN,
}


@dataclass(frozen=True, slots=True)
class _Ready:
    """A message, checked, with what the ledger has to know of it."""

    send: LedgerSend
    mail: Mail
    handover: Handover


def send_batch(
    ledger: Ledger,
    mailer: Mailer,
    message_of: MessageOf,
    *,
    pause_after_errors: int,
    envelop: Envelop = bare,
    as_of: date | None = None,
    progress: Progress | None = None,
) -> Counter[SendState]:
    """Send what is due by the ledger's clock; return how many sends ended in each state, or were deferred.

    Where rates hold mail back that is due, it sleeps until they let it go; what is paused, or waits for another day of
    a warm-up, it leaves. Replies that are about us pause a domain or a campaign (`campaigns.policy`); too many
    complaints or refusals pause a campaign (`campaigns.breaker`).

    Call it inside `Ledger.sender`, after `recover`, `settle` and `expire`; `settle` once more afterwards, and
    `check_identity` at the end. `message_of` makes the bytes of a mail, and `envelop` what is handed over of
    them; both do so for all of a claim before the first is handed over. `progress` gets the counts after each mail.

    Raises
    ------
    SendingPaused
        After `pause_after_errors` errors in a row that say nothing about a person: the server cannot be
        reached, drops the line, or refuses our mail as such. What is left stays planned.
    CampaignInvalid
        If a message is not addressed to the person of its send, or lacks what it must carry.
    Exception
        Whatever `message_of` raises. That send and the rest of its claim are planned again.
    """
    batch = _Batch(ledger, mailer, pause_after_errors, progress)
    try:
        while sends := batch.claim(as_of):
            batch.hand_over([_ready(send, message_of(send), mailer.server, envelop) for send in sends])
    finally:
        ledger.release()
        get_logger(__name__).info("batch ended", **{str(state): n for state, n in batch.counts.items()})
    return batch.counts


class _Batch:
    """One run of the sender: its counts, the outcomes not yet written, how many errors it has met in a row."""

    def __init__(
        self, ledger: Ledger, mailer: Mailer, pause_after_errors: int, progress: Progress | None
    ) -> None:
        self.counts: Counter[SendState] = Counter()
        self._ledger = ledger
        self._mailer = mailer
        self._pause_after_errors = pause_after_errors
        self._progress = progress
        self._policy = PolicyWatch()
        self._breaker = Breaker(ledger)
        self._unwritten: list[Outcome] = []
        self._errors_in_a_row = 0
        self._last_words = ""

    def claim(self, as_of: date | None) -> list[LedgerSend]:
        """Claim what may go now; wait for it where only the rates keep it."""
        while True:
            self._breaker.check()
            claim = self._ledger.claim(CLAIM_SIZE, as_of)
            self._count(SendState.SUPPRESSED, claim.suppressed)
            if claim.sends or claim.wait is None:
                return claim.sends
            self._ledger.limits.hold(claim.wait)

    def hand_over(self, claimed: list[_Ready]) -> None:
        """Send what was claimed, group by group; the outcomes of a group are committed with the start of the next."""
        try:
            for group in _groups(claimed, self._mailer.connections):
                if going := self._start(group):
                    self._deliver(going)
                for pause in self._policy.pauses():
                    get_logger(__name__).warning("a server's policy pauses sending", subject=pause.subject)
                    self._ledger.pause(pause.subject, actor="sender", reason=pause.reason, lasts=pause.lasts)
                self._pause_if_hopeless()
        finally:
            if self._unwritten:
                self._ledger.finish(self._unwritten)
                self._unwritten = []

    def _start(self, group: list[_Ready]) -> list[_Ready]:
        """Commit that a group is being handed over; return those of it that may go."""
        started = self._ledger.start([(ready.send, ready.handover) for ready in group], after=self._unwritten)
        self._unwritten = []
        self._count(SendState.SUPPRESSED, started.suppressed)
        return [ready for ready in group if ready.send.send_id in started.send_ids]

    def _deliver(self, group: list[_Ready]) -> None:
        """Hand a group over; whatever happens, there is an outcome of each of its mails afterwards."""
        unanswered = dict(enumerate(group))

        def answered(place: int, answer: str | MailerError) -> None:
            self._note(unanswered.pop(place).send, answer)

        try:
            self._mailer.hand_over([ready.mail for ready in group], answered)
        except BaseException as error:  # stopped by a person or by a fault of ours: they may be under way
            reply = last_words(f"the sender stopped with this mail in flight: {error!r}")
            for ready in unanswered.values():
                self._note(ready.send, DeliveryUncertain(reply))
            raise

    def _note(self, send: LedgerSend, answer: str | MailerError) -> None:
        self._policy.note(send, answer)
        if isinstance(answer, str):
            outcome, is_error = Outcome(send, SendState.SENT, answer), False
        else:
            is_about_person = isinstance(answer, DeliveryRefused) and answer.is_about_person
            outcome = Outcome(send, _STATES[type(answer)], str(answer), suppresses=is_about_person)
            is_error = not (is_about_person or isinstance(answer, Deferred))
        self._errors_in_a_row = self._errors_in_a_row + 1 if is_error else 0
        self._last_words = outcome.reply
        self._unwritten.append(outcome)
        self._count(outcome.state)

    def _pause_if_hopeless(self) -> None:
        if self._errors_in_a_row >= self._pause_after_errors:
            raise SendingPaused(
                f"sending paused after {self._errors_in_a_row} errors in a row, the last: {self._last_words};"
                " what is left stays planned: mend the server's address or login (docs/runbooks/send.md), run again"
            )

    def _count(self, state: SendState, number: int = 1) -> None:
        if number and state is not SendState.PLANNED:  # planned again is no end
            self.counts[state] += number
            if self._progress is not None:
                self._progress(self.counts)


def _groups(claimed: list[_Ready], size: int) -> Iterator[list[_Ready]]:
    """Cut into groups of at most `size`, no person twice in one: the first answer decides about her second mail."""
    group: list[_Ready] = []
    for ready in claimed:
        if len(group) == size or ready.send.pseudonym in {other.send.pseudonym for other in group}:
            yield group
            group = []
        group.append(ready)
    if group:
        yield group


def _ready(send: LedgerSend, message: bytes, server: str, envelop: Envelop) -> _Ready:
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
    return _Ready(send, envelop(send, senders[0], message), Handover(server, message_ids[0], digest))


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
