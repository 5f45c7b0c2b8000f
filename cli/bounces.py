"""Commands on what came back: take it from the mailbox, look at it."""

from typing import Annotated

import typer

from cli.options import Json, answer, speech
from core.settings import load_settings

bounces = typer.Typer(no_args_is_help=True, help="Bounces and complaints: take them, look at them.")


@bounces.command("take")
def take(as_json: Json = False) -> None:
    """Take what came back: bounces, complaints and auto-replies, from the mailbox that LAPWING_BOUNCE_MAILBOX names.

    Each mail is taken once, also if this is killed and run again. Only one that carries a token which we signed has an effect: after a hard bounce or a complaint its customer gets no more mail, and a send that was `uncertain` counts as sent. The others are counted. A person's answer stays unread in the mailbox, for a person; with LAPWING_TAKES_REPLIES it is read too, see `lapwing replies`. `collect_feedback` does the same every 15 minutes.
    """
    from campaigns.bounces.intake import take_notices
    from ml.text.asking import sentiments

    settings = load_settings()
    if not settings.bounce_mailbox.get_secret_value():
        speech.print("LAPWING_BOUNCE_MAILBOX is empty: nothing is fetched (see docs/deployment.md)")
    answer(dict(take_notices(settings, sentiments)), as_json=as_json)


@bounces.command("list")
def list_(
    proven: Annotated[
        bool | None,
        typer.Option("--proven/--unproven", help="Only those with a token of ours, or only those without."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List what was taken, the newest first: what it is, why, about which send, and whether a token proves it."""
    from campaigns.bounces.intake import notices_taken

    answer(notices_taken(load_settings(), limit, is_proven=proven), as_json=as_json)
