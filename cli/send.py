"""Commands on sends: hand over what is due, see where they stand, look into one."""

from typing import Annotated

import typer

from cli.options import Day, Json, answer, day_of, speech
from core.errors import LedgerBroken
from core.settings import load_settings

send = typer.Typer(no_args_is_help=True, help="Hand mail over, and answer for every send.")

SendId = Annotated[str, typer.Argument(help="The send's id: 32 hex digits.")]


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
    with speech.status("sending") as status:
        report = send_due(
            settings, day_of(as_of), progress=lambda counts: status.update(f"sent {counts.total()}")
        )
    answer(report, as_json=as_json)


@send.command("status")
def status(as_of: Day, as_json: Json = False) -> None:
    """Count the sends of a day by campaign and state."""
    from campaigns.run import states_by_campaign

    answer(states_by_campaign(load_settings(), day_of(as_of)), as_json=as_json)


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
