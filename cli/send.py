"""Commands on sends: hand over what is due, see where they stand, look into one."""

from collections import Counter
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from campaigns.sends import EVERYTHING, SendState
from cli.options import Day, Json, answer, day_of, speech
from core.errors import CampaignInvalid, LedgerBroken
from core.settings import load_settings

send = typer.Typer(no_args_is_help=True, help="Hand mail over, and answer for every send.")

SendId = Annotated[str, typer.Argument(help="The send's id: 32 hex digits.")]
Paused = Annotated[
    str, typer.Argument(help="Which campaign, or `@gmail.com` for mail to a domain; `*` is everything.")
]


@send.command("run")
def run(
    as_of: Day,
    really: Annotated[
        bool, typer.Option("--really", help="Hand the mail over. Without it, this is a rehearsal.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Hand over the planned sends of a day that are due. Without --really: render all, send none."""
    from campaigns.run import rehearse, send_due
    from core.clock import replay_to

    settings = load_settings()
    replay_to(settings, day_of(as_of))
    if not really:
        speech.print("a rehearsal: every mail is made, none is handed over (add --really to send)")
        answer(rehearse(settings, day_of(as_of)), as_json=as_json)
        return
    with _bar() as bar:
        mails = bar.add_task("sending", total=None, beside="")

        def show_progress(due: int, counts: Counter[SendState]) -> None:
            beside = ", ".join(f"{n} {state}" for state, n in counts.items() if state is not SendState.SENT)
            bar.update(mails, completed=counts.total(), total=due, beside=beside)

        report = send_due(settings, day_of(as_of), progress=show_progress)
    answer(report, as_json=as_json)


def _bar() -> Progress:
    """Return a bar that shows how far a batch is, mails a second, the time left and what was not simply sent."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[beside]}"),
        console=speech,
    )


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.0f} a second")


@send.command("status")
def status(
    as_of: Day,
    state: Annotated[
        SendState | None,
        typer.Option(metavar="STATE", help="List the sends in this state instead of counting all."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Count the sends of a day by campaign and state; say what is paused, who is sending, how fast, and who complains."""
    from campaigns.run import open_sending_ledger, sends_in_state, states_by_campaign
    from campaigns.sending_now import sending_now

    settings, day = load_settings(), day_of(as_of)
    answer(
        states_by_campaign(settings, day) if state is None else sends_in_state(settings, day, state),
        as_json=as_json,
    )
    ledger = open_sending_ledger(settings)
    for line in sending_now(ledger, settings, ledger.now()).lines():
        speech.print(line, markup=False)


@send.command("pause")
def pause(
    reason: Annotated[str, typer.Option(help="Why; shown by `send status`, and goes to the audit log.")],
    subject: Paused = EVERYTHING,
) -> None:
    """Begin no send of a campaign, to a domain, or any, until `send resume`. Mails in flight are finished."""
    from campaigns.definitions import load_campaigns
    from campaigns.run import open_sending_ledger

    subject = subject.lower() if subject.startswith("@") else subject
    if not subject.startswith("@") and subject not in (EVERYTHING, *load_campaigns()):
        raise CampaignInvalid(f"there is no campaign {subject!r}; `lapwing campaign list` shows them")
    if not open_sending_ledger(load_settings()).pause(subject, actor="command line", reason=reason):
        raise LedgerBroken(f"{subject!r} is paused already; `lapwing send status` says since when and why")
    print(f"{subject} paused")


@send.command("resume")
def resume(subject: Paused = EVERYTHING) -> None:
    """Send again what is paused under that name. What is due goes out with the next run."""
    from campaigns.run import open_sending_ledger

    if not open_sending_ledger(load_settings()).resume(subject.lower(), actor="command line"):
        raise LedgerBroken(f"{subject!r} is not paused; `lapwing send status` lists what is")
    print(f"{subject} resumed")


@send.command("show")
def show(send_id: SendId, as_json: Json = False) -> None:
    """Make the mail of a send again, say whether it matches what was sent, and why this customer got it."""
    from campaigns.account import account_of

    answer(account_of(load_settings(), send_id), as_json=as_json)


@send.command("resolve")
def resolve(
    send_id: SendId,
    delivered: Annotated[
        bool, typer.Option("--delivered/--not-delivered", help="What became of it, by your own evidence.")
    ],
) -> None:
    """Settle a send that is `uncertain`: it arrived (sent), or it certainly did not (planned again)."""
    from campaigns.run import open_sending_ledger

    state = open_sending_ledger(load_settings()).resolve(
        send_id, was_delivered=delivered, actor="command line"
    )
    print(state)


@send.command("withdraw")
def withdraw(
    campaign_id: Annotated[str, typer.Argument(help="Whose sends.")],
    as_of: Day,
    reason: Annotated[str, typer.Option(help="Why; goes to the audit log.")],
) -> None:
    """Take back what is still planned of a campaign's day. It never goes out."""
    from campaigns.run import open_sending_ledger

    ledger = open_sending_ledger(load_settings())
    count = ledger.withdraw(day_of(as_of), campaign_id, actor="command line", reason=reason)
    if count == 0:
        raise LedgerBroken(f"nothing of {campaign_id!r} is still planned for {day_of(as_of)}")
    print(f"{count} withdrawn")
