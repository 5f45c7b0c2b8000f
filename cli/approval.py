"""Commands on approvals: what waits for a person, and that person's answer."""

from datetime import date
from getpass import getuser
from typing import Annotated

import typer

from campaigns.sends import Approval
from cli.options import Day, Json, answer, day_of
from core.errors import LedgerBroken
from core.settings import load_settings

approval = typer.Typer(no_args_is_help=True, help="Answer for mail that waits for a person.")

CampaignId = Annotated[str, typer.Argument(help="Which campaign; without it, everything that waits.")]
StepNumber = Annotated[int, typer.Option("--step", help="Which of its steps, from 1; 0: all.", min=0)]
Why = Annotated[str, typer.Option("--reason", help="Why; goes to the audit log.")]


@approval.command("list")
def list_(as_json: Json = False) -> None:
    """List what waits for an answer, of every day, and why."""
    from campaigns.run import open_sending_ledger

    shown = ("as_of_date", "campaign_id", "step", "send_count", "template_version", "reason")
    waiting = open_sending_ledger(load_settings()).approvals()
    answer([{name: getattr(batch, name) for name in shown} for batch in waiting], as_json=as_json)


@approval.command("show")
def show(as_of: Day) -> None:
    """Print what a person is asked about a day: counts, samples, what changed. The same stands in Airflow."""
    from campaigns.approvals import questions

    for question in questions(load_settings(), day_of(as_of)):
        print(f"# {question['subject']}\n\n{question['body']}\n")


@approval.command("approve")
def approve(
    as_of: Day,
    reason: Why,
    campaign_id: CampaignId = "",
    step: StepNumber = 0,
    share: Annotated[int, typer.Option(help="Percent of the mails that may go.", min=1, max=100)] = 100,
) -> None:
    """Let mail go that waits, or a share of it; the rest never goes. It goes out with the next run of a sender."""
    _answer(day_of(as_of), campaign_id, step, share, reason)


@approval.command("reject")
def reject(as_of: Day, reason: Why, campaign_id: CampaignId = "", step: StepNumber = 0) -> None:
    """Let nothing of it go, ever."""
    _answer(day_of(as_of), campaign_id, step, 0, reason)


def _answer(day: date, campaign_id: str, step: int, share: int, reason: str) -> None:
    from campaigns.run import open_sending_ledger

    def is_meant(batch: Approval) -> bool:
        return campaign_id in ("", batch.campaign_id) and step in (0, batch.step) and batch.answer is None

    ledger = open_sending_ledger(load_settings())
    meant = [batch for batch in ledger.approvals(day) if is_meant(batch)]
    if not meant:
        raise LedgerBroken(f"nothing like that waits on {day}; `lapwing approval list` shows what does")
    for batch in meant:
        stands = ledger.answer(batch, share, actor=f"{getuser()} at the command line", why=reason)
        print(f"{stands.name}: {stands.answer}, {stands.share_percent} %")
