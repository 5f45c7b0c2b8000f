"""Hand what is due to a server, and write down what became of each mail.

Many mails are under way at once (`Messenger.at_once`). Whenever half of those are answered, the next ones follow:
one commit says `sending` of this group before any of it goes out, and carries the outcomes that came since the
last. So a group costs one disk sync, and a sender that dies leaves no more mails than are under way at once of which
nobody knows whether they arrived: `uncertain`.
"""

import gc
import hashlib
import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from email.utils import getaddresses
from functools import lru_cache, partial
from typing import Protocol

from campaigns.breaker import Breaker
from campaigns.envelope import Envelop, bare
from campaigns.ledger import Claim, DueSend, Handover, Ledger, Outcome, SendState
from campaigns.mailers import (
    Deferred,
    DeliveryRefused,
    DeliveryUncertain,
    Mail,
    MailerError,
    Messenger,
    ServerUnreachable,
    last_words,
)
from campaigns.policy import PolicyWatch
from campaigns.sends import MAIL
from core.errors import CampaignInvalid, SendingPaused
from core.logging import get_logger

MessageOf = Callable[[DueSend], bytes]
Progress = Callable[[Counter[SendState]], None]

CLAIM_SIZE = 200  # sends claimed by one commit
MADE_AT_ONCE = 50  # mails that couriers make, shared out, before they hear what else there is to do
_FOLD = re.compile(r"\r\n(?=[ \t])")
_PLAIN = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w.-]+", re.ASCII)  # is one address, however it is read
_NO_LINE_END = bytes(set(range(256)) - set(b"\r\n"))
_MORE_RECIPIENTS = ("cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
_STATES: dict[type[MailerError], SendState] = {
    ServerUnreachable: SendState.PLANNED,
    Deferred: SendState.DEFERRED,
    DeliveryRefused: SendState.REFUSED,
    DeliveryUncertain: SendState.UNCERTAIN,
}


@dataclass(frozen=True, slots=True)
class Ready:
    """A message, checked, with what the ledger has to know of it."""

    mail: Mail
    handover: Handover


class MadeAhead(Protocol):
    """Makes mails while others are under way (`campaigns.couriers`)."""

    def make(self, sends: list[DueSend]) -> None:
        """Have mails made."""

    def made(self) -> dict[str, Ready]:
        """Return send_id → mail of the oldest order of which nothing was returned."""


def send_batch(  # noqa: PLR0913  # what a batch needs to be sent, each named
    ledger: Ledger,
    mailer: Messenger,
    message_of: MessageOf,
    *,
    pause_after_errors: int,
    envelop: Envelop = bare,
    as_of: date | None = None,
    is_mail: bool = True,
    progress: Progress | None = None,
    makers: MadeAhead | None = None,
) -> Counter[SendState]:
    """Send the mail that is due by the ledger's clock; return how many sends ended in each state, or were deferred.

    Where `is_mail` is false, what is due by other channels.

    Where rates hold mail back that is due, it sleeps until they let it go; what is paused, or waits for another day of
    a warm-up, it leaves. Replies that are about us pause a domain or a campaign (`campaigns.policy`); too many
    complaints or refusals pause a campaign (`campaigns.breaker`).

    Call it inside `Ledger.sender`, after `recover`, `settle` and `expire`; `settle` once more afterwards, and
    `check_identity` at the end. `message_of` makes the bytes of a mail, and `envelop` what is handed over of
    them; both do so for all of a group before the first is handed over. `progress` gets the counts after each mail.
    `makers` make the mails of the next claim while this one's are under way.

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
    ready = partial(make_ready, message_of=message_of, server=mailer.server, envelop=envelop)
    claim = partial(ledger.claim, CLAIM_SIZE, as_of, is_mail=is_mail)
    batch = _Batch(ledger, claim, ready, makers, pause_after_errors, progress)
    gc.freeze()  # what was there before is not searched for garbage: a tenth of the time
    try:
        batch.send(mailer)
    finally:
        gc.unfreeze()
        ledger.release()
        get_logger(__name__).info("batch ended", **{str(state): n for state, n in batch.counts.items()})
    return batch.counts


class _Batch:
    """One run of the sender: what it has claimed, what is under way, the outcomes not yet written, the counts."""

    def __init__(
        self,
        ledger: Ledger,
        claim: Callable[[], Claim],
        ready: Callable[[DueSend], Ready],
        makers: MadeAhead | None,
        pause_after_errors: int,
        progress: Progress | None,
    ) -> None:
        self.counts: Counter[SendState] = Counter()
        self._ledger = ledger
        self._claim = claim
        self._ready = ready
        self._makers = makers
        self._made_ahead: dict[str, Ready] = {}
        self._pause_after_errors = pause_after_errors
        self._progress = progress
        self._claimed = deque[DueSend]()
        self._is_all_claimed = False
        self._under_way: dict[Mail, DueSend] = {}
        self._policy = PolicyWatch()
        self._breaker = Breaker(ledger)
        self._unwritten: list[Outcome] = []
        self._errors_in_a_row = 0
        self._last_words = ""

    def send(self, mailer: Messenger) -> None:
        """Hand over all that is due; whatever happens, there is an outcome of each mail handed over afterwards."""
        try:
            mailer.hand_over(self._more, self._answered)
        except BaseException as error:  # stopped by a person or by a fault of ours: they may be under way
            reply = last_words(f"the sender stopped with this mail in flight: {error!r}")
            for mail in list(self._under_way):
                self._answered(mail, DeliveryUncertain(reply))
            raise
        finally:
            self._write()

    def _more(self, limit: int) -> list[Mail]:
        """Return up to `limit` mails of which the ledger says `sending`; none where that has to wait or all is done."""
        self._pause_where_unwelcome()
        self._pause_if_hopeless()
        while group := self._next_group(limit):
            ready = {send.send_id: self._made(send) for send in group}
            started = self._ledger.start(
                [(send, ready[send.send_id].handover) for send in group], after=self._unwritten
            )
            self._unwritten = []
            self._count(SendState.SUPPRESSED, started.suppressed)
            going = {ready[send.send_id].mail: send for send in group if send.send_id in started.send_ids}
            if going:
                self._under_way.update(going)
                return list(going)
        return []

    def _next_group(self, limit: int) -> list[DueSend]:
        """Take from what was claimed, and claim; no person twice under way: the first answer decides about her second mail."""
        if not self._claimed and not self._under_way:
            self._write()  # which may plan something again
            self._is_all_claimed = False
        if len(self._claimed) < (CLAIM_SIZE if self._makers else limit) and not self._is_all_claimed:
            self._claim_more()
        people = {send.pseudonym for send in self._under_way.values()}
        group, waiting = list[DueSend](), list[DueSend]()
        while self._claimed and len(group) < limit:
            send = self._claimed.popleft()
            (waiting if send.pseudonym in people else group).append(send)
            people.add(send.pseudonym)
        self._claimed.extendleft(reversed(waiting))
        return group

    def _claim_more(self) -> None:
        """Claim what may go now; wait for it where only the rates keep it and nothing else is to be done."""
        while True:
            self._breaker.check()
            claim = self._claim()
            self._count(SendState.SUPPRESSED, claim.suppressed)
            self._claimed.extend(claim.sends)
            self._make(claim.sends)
            self._is_all_claimed = not claim.sends
            if claim.sends or claim.wait is None or self._claimed or self._under_way:
                return
            self._write()
            self._ledger.limits.hold(claim.wait)

    def _make(self, sends: list[DueSend]) -> None:
        """Have the mails made, if there is anybody to make them."""
        if self._makers is None:
            return
        for first in range(0, len(sends), MADE_AT_ONCE):
            self._makers.make(sends[first : first + MADE_AT_ONCE])

    def _made(self, send: DueSend) -> Ready:
        if self._makers is None:
            return self._ready(send)
        while send.send_id not in self._made_ahead:
            self._made_ahead |= self._makers.made()
        return self._made_ahead.pop(send.send_id)

    def _answered(self, mail: Mail, answer: str | MailerError) -> None:
        send = self._under_way.pop(mail)
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

    def _write(self) -> None:
        if self._unwritten:
            self._ledger.finish(self._unwritten)
            self._unwritten = []

    def _pause_where_unwelcome(self) -> None:
        for pause in self._policy.pauses():
            get_logger(__name__).warning("a server's policy pauses sending", subject=pause.subject)
            self._ledger.pause(pause.subject, actor="sender", reason=pause.reason, lasts=pause.lasts)

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


def make_ready(send: DueSend, message_of: MessageOf, server: str, envelop: Envelop) -> Ready:
    """Make a message, and check that it is what may go to the person of its send, and to nobody else."""
    message = message_of(send)
    digest = hashlib.sha256(message).hexdigest()
    if send.channel != MAIL:
        return Ready(Mail(send.send_id, send.customer_id, message), Handover(server, send.send_id, digest))
    headers = _headers(message)
    senders = _addresses(tuple(headers.get("from", ())))
    recipients = headers.get("to", [])
    message_ids = headers.get("message-id", [])
    if recipients != [send.address] or not _PLAIN.fullmatch(send.address):
        recipients = [address for _, address in getaddresses(recipients)]
    if recipients != [send.address] or not headers.keys().isdisjoint(_MORE_RECIPIENTS):
        _refuse(send, "is not addressed to the customer of that send alone")
    if len(senders) != 1 or "@" not in senders[0]:
        _refuse(send, "needs exactly one From address")
    if len(message_ids) != 1 or not message_ids[0]:
        _refuse(send, "needs exactly one Message-ID")
    if headers.get("x-lapwing-send") != [send.send_id]:
        _refuse(send, "does not carry that send_id in X-Lapwing-Send")
    line_ends = message.translate(None, _NO_LINE_END)
    if line_ends != b"\r\n" * (len(line_ends) // 2):
        _refuse(send, "has a bare CR or LF, which servers read differently: end lines with CRLF")
    return Ready(envelop(send, senders[0], message), Handover(server, message_ids[0], digest))


def _refuse(send: DueSend, fault: str) -> None:
    raise CampaignInvalid(
        f"the message of send '{send.send_id}' ({send.campaign_id}) {fault}; nothing of it was sent"
    )


def _headers(message: bytes) -> dict[str, list[str]]:
    """Return the header fields of a message, unfolded: lower-case name → values in order."""
    found: dict[str, list[str]] = {}
    head = message[: message.find(b"\r\n\r\n")].decode("utf-8", "replace")
    for line in _FOLD.sub("", head).split("\r\n"):
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


@lru_cache(maxsize=64)
def _addresses(headers: tuple[str, ...]) -> list[str]:
    """Return the bare addresses in headers that many mails share."""
    return [address for _, address in getaddresses(headers)]
