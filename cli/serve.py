"""Commands that start services: one, all of them, or the demo."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

import typer

from core.settings import load_settings

inbox = typer.Typer(no_args_is_help=True, help="The local inbox: a mail server that keeps what it gets.")
tracking = typer.Typer(no_args_is_help=True, help="The tracking service: opens, clicks, unsubscribes.")
console = typer.Typer(no_args_is_help=True, help="The pages people look at: inbox, why-page, report.")
ledger = typer.Typer(no_args_is_help=True, help="The ledger of sends.")

Host = Annotated[str, typer.Option(help="Address to listen on; the default is this machine only.")]


@inbox.command("serve")
def serve_inbox() -> None:
    """Take mail at LAPWING_SMTP_HOST:LAPWING_SMTP_PORT into the Maildir of the data folder, until Ctrl-C."""
    from campaigns.mailers.local_inbox import serve_forever

    serve_forever(load_settings())


@tracking.command("serve")
def serve_tracking(host: Host = "127.0.0.1") -> None:
    """Answer the links, pixels and unsubscribe requests of our mails, at the port of LAPWING_TRACKING_URL."""
    from tracking.server import serve

    settings = load_settings()
    serve(settings, host=host, port=_port(settings.tracking_url, 8180))


@console.command("serve")
def serve_console(host: Host = "127.0.0.1") -> None:
    """Show inbox, why-page and report, at the port of LAPWING_CONSOLE_URL."""
    import uvicorn

    from console.app import create_app

    settings = load_settings()
    uvicorn.run(create_app(settings), host=host, port=_port(settings.console_url, 8190), log_level="warning")


@ledger.command("migrate")
def migrate_ledger() -> None:
    """Bring the ledger's tables to this version; safe to run again."""
    from campaigns.migrate import migrate

    migrate(load_settings().ledger)
    print("the ledger is at the newest version")


def up() -> None:
    """Start Airflow, MLflow, tracking, console and local inbox on this machine; Ctrl-C stops them all."""
    from cli.services import run_all

    run_all(load_settings())


def demo(
    as_of: Annotated[
        datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Which day of 2017 to replay.")
    ] = datetime(2017, 12, 4),  # noqa: DTZ001  # typer parses days without a zone
    households: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many customers, for a quick look.")
    ] = None,
) -> None:
    """Run a whole campaign day on real purchases, through Airflow, into the local inbox; say where to look.

    Runs again safely: what was sent stays sent once.
    """
    from cli.demo import run_demo

    run_demo(load_settings(), as_of.date(), households=households)


def _port(url: str, default: int) -> int:
    return urlsplit(url).port or default
