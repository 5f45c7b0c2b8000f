"""Commands on what people answer to our mails: see what waits, read one, do what it asks, close it."""

from typing import Annotated

import typer

from campaigns.replies.reply import Intent
from cli.options import Json, answer
from core.settings import load_settings

replies = typer.Typer(no_args_is_help=True, help="Answers to our mails: see them, deal with them.")

ACTOR = "command line"
ReplyId = Annotated[str, typer.Argument(help="The reply's id: 16 hex digits.")]


@replies.command("list")
def list_(
    open_: Annotated[
        bool | None,
        typer.Option("--open/--closed", help="Only those that wait for a person, or only the others."),
    ] = None,
    intent: Annotated[Intent | None, typer.Option(help="Only those that want this.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List what people answered, the newest first: what they want, about which send, and whether a token proves it. Their words are not shown."""
    from campaigns.ledger_replies import replies_listed

    answer(replies_listed(load_settings(), limit, is_open=open_, intent=intent), as_json=as_json)


@replies.command("show")
def show(reply_id: ReplyId, as_json: Json = False) -> None:
    """Show one: what was understood, the writer's own words while they are kept, and how an answer could begin.

    You send the answer from your mail program, where the letter lies unread. What stands in [brackets] is yours to fill in.
    """
    from campaigns.ledger_replies import reply_shown

    answer(reply_shown(load_settings(), reply_id), as_json=as_json)


@replies.command("honour")
def honour(
    reply_id: ReplyId,
    as_: Annotated[Intent, typer.Option("--as", help="unsubscribe or complaint.")] = Intent.UNSUBSCRIBE,
    as_json: Json = False,
) -> None:
    """Do what a reply asks although no token proves it, or although it was understood otherwise.

    `unsubscribe` ends the mail of its send's customer and closes the reply; `complaint` holds the mail until somebody lifts that. Look first who wrote: anybody can write that they are your customer.
    """
    from campaigns.ledger_replies import open_replies

    ledger = open_replies(load_settings())
    answer({"reply_id": reply_id, "mail_stopped": ledger.honour(reply_id, as_, actor=ACTOR)}, as_json=as_json)


@replies.command("close")
def close(
    reply_id: ReplyId,
    lift: Annotated[bool, typer.Option("--lift", help="Let mail go again that the complaint holds.")] = False,
    as_json: Json = False,
) -> None:
    """Note that a reply was dealt with, and erase its words. With --lift its customer gets mail again, unless they left."""
    from campaigns.ledger_replies import open_replies

    ledger = open_replies(load_settings())
    lifted = ledger.close_reply(reply_id, actor=ACTOR, is_lifted=lift)
    answer({"reply_id": reply_id, "hold_lifted": lifted}, as_json=as_json)
