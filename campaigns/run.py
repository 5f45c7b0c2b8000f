"""Sends what is due, and answers for it: the last task of a campaign day."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from multiprocessing import current_process

from campaigns.couriers import WORTH_COURIERS, Couriers
from campaigns.dispatch import send_batch
from campaigns.envelope import Envelope
from campaigns.ledger import Ledger, SendState
from campaigns.limits import Limits
from campaigns.mailers.choice import mailer_of, webhook_of
from campaigns.mailers.local_inbox import LocalInbox
from campaigns.mailers.smtp import SmtpMailer
from campaigns.making import Messages
from campaigns.migrate import migrate
from campaigns.plan import plan_and_ledger_agree, planned_count
from core.clock import clock_of
from core.errors import SendingPaused
from core.ledger_tables import open_ledger
from core.logging import get_logger
from core.settings import Settings

Progress = Callable[[int, Counter[SendState]], None]
"""Gets, after each mail, how many sends were due when the batch began, and how many are in each state now."""


@dataclass(frozen=True)
class SendReport:
    """What this batch did, and where the day's sends stand after it."""

    batch: dict[str, int]
    states: dict[str, int]


def send_due(settings: Settings, as_of: date | None = None, progress: Progress | None = None) -> SendReport:
    """Hand over every planned send that is due, of one day or of all: first what goes to the webhook, then mail.

    Senders that died before are cleared up after first: what they had in flight becomes `uncertain`, and where the
    server is our own local inbox, its Maildir settles what became of it. On PostgreSQL several may send at once.

    Raises
    ------
    SendingPaused
        After `pause_after_errors` errors in a row; what is left stays planned.
    SettingsError
        If a key that mail is to be signed with, or the webhook, cannot be used.
    LedgerBroken
        If another sender is at work on a SQLite ledger, a send is in no plan, or the accounts do not add up.
    """
    ledger = open_sending_ledger(settings)
    inbox = LocalInbox(settings.inbox) if settings.replay else None
    log = get_logger(__name__)
    if pauses := ledger.pauses(clock_of(settings)()):
        log.warning("sending is paused", subjects=[pause.subject for pause in pauses])
    messages, envelope = Messages(settings), Envelope(settings)
    with ExitStack() as ending:
        ending.enter_context(ledger.sender(settings.data_dir / "sender.lock"))
        mailer = ending.enter_context(closing(mailer_of(settings, inbox)))
        recovered = ledger.recover()
        settled = ledger.settle(mailer)
        if recovered or settled:
            log.warning("a sender died", recovered=dict(recovered), settled=dict(settled))
        if expired := ledger.expire(timedelta(hours=settings.give_up_after_hours)):
            log.warning("sends expired: their time has passed, or they were deferred too long", count=expired)
        due = ledger.due_count(as_of)
        is_worth_it = due >= WORTH_COURIERS and isinstance(mailer, SmtpMailer) and not inbox
        may_fork = not current_process().daemon
        others, paused = _send_by_webhook(settings, ledger, messages, as_of)
        couriers = ending.enter_context(Couriers(settings)) if is_worth_it and may_fork else None
        counts = send_batch(
            ledger,
            couriers or mailer,
            messages,
            pause_after_errors=settings.pause_after_errors,
            envelop=envelope,
            as_of=as_of,
            progress=partial(progress, due) if progress else None,
            makers=couriers,
        )
        counts += others
        ledger.settle(mailer)  # a line lost just now may have an answer already
    for day in sorted(messages.days | (couriers.days if couriers else set())):
        with plan_and_ledger_agree(settings):  # a plan may have grown meanwhile
            ledger.check_identity(day, planned_count(settings, day))
    if paused is not None:
        raise paused
    states = ledger.states(as_of) if as_of else Counter[SendState]()
    return SendReport(_plain(counts), _plain(states))


def _send_by_webhook(
    settings: Settings, ledger: Ledger, messages: Messages, as_of: date | None
) -> tuple[Counter[SendState], SendingPaused | None]:
    """Hand over what is no mail, and first again what a sender that died left; a webhook that is down keeps no mail waiting."""
    webhook = webhook_of(settings)
    if webhook is None:
        return Counter(), None
    with closing(webhook):
        ledger.settle(webhook)
        pause_after = settings.pause_after_errors
        try:
            counts = send_batch(
                ledger, webhook, messages, pause_after_errors=pause_after, as_of=as_of, is_mail=False
            )
        except SendingPaused as error:
            return Counter(), error
    return counts, None


def open_sending_ledger(settings: Settings) -> Ledger:
    """Return the ledger, its tables at this version."""
    migrate(settings.ledger)
    return Ledger(open_ledger(settings.ledger), clock_of(settings), Limits.of(settings))


def rehearse(settings: Settings, as_of: date) -> dict[str, int]:
    """Make the mail of every send of a day that is planned or waits for an approval; hand over none.

    Raises
    ------
    CampaignInvalid
        If one of them cannot be made.
    """
    ledger = open_sending_ledger(settings)
    planned = [
        send for state in (SendState.PLANNED, SendState.AWAITING) for send in ledger.in_state(state, as_of)
    ]
    message_of = Messages(settings)
    return {"mails": len(planned), "bytes": sum(len(message_of(send)) for send in planned)}


def states_by_campaign(settings: Settings, as_of: date) -> list[dict[str, object]]:
    """Return a row per campaign and state of a day, with its count."""
    counts = Counter(
        (send.campaign_id, str(send.state)) for send in open_sending_ledger(settings).of_day(as_of)
    )
    return [
        {"campaign_id": campaign_id, "state": state, "sends": count}
        for (campaign_id, state), count in sorted(counts.items())
    ]


def sends_in_state(settings: Settings, as_of: date, state: SendState) -> list[dict[str, object]]:
    """Return a row per send of a day in a state: what a person needs to look into it."""
    shown = ("send_id", "campaign_id", "customer_id", "attempts", "due_at", "server", "message_id", "reply")
    found = open_sending_ledger(settings).in_state(state, as_of)
    return [{name: getattr(send, name) for name in shown} for send in found]


def _plain(counts: Counter[SendState]) -> dict[str, int]:
    return {str(state): count for state, count in sorted(counts.items())}
