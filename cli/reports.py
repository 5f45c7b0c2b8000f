"""Commands on what came of the mail."""

import typer

from cli.options import Day, Json, answer, day_of, speech
from core.settings import load_settings

feedback = typer.Typer(no_args_is_help=True, help="What readers did.")
report = typer.Typer(no_args_is_help=True, help="The day's account.")


@feedback.command("collect")
def collect() -> None:
    """Land new opens, clicks and unsubscribes, and mails newly sent; carry new consents into the ledger.

    What readers did is in the tracking service's log, whose mail it was and what was sent in the ledger. Consents are carried once the shop's first files are loaded (`lapwing source load`). A send that was `uncertain` and of which its reader opened, clicked or unsubscribed counts as sent. What came back is taken by `lapwing bounces take`.
    """
    from campaigns.consents import collect_consents
    from campaigns.outcomes import ledger_view
    from campaigns.settlement import settle_answered
    from sources.landing import load_landing
    from sources.tracking import collect

    settings = load_settings()
    with ledger_view(settings) as ledger:
        print(f"{collect(settings, ledger)} events landed")
    print(f"{collect_consents(settings, load_landing)} consents carried into the ledger")
    print(f"{settle_answered(settings, load_landing)} uncertain sends settled")


@feedback.command("simulate")
def simulate(as_json: Json = False) -> None:
    """Let SIMULATED readers open, click and unsubscribe, over HTTP, in the local inbox (the demo's only)."""
    from simulation.readers import read_inbox

    speech.print("simulated readers at work: nobody real reads these mails")
    answer(read_inbox(load_settings()), as_json=as_json)


@report.command("build")
def build(as_of: Day, as_json: Json = False) -> None:
    """Load new feedback, count the day's funnel and publish it; fails when a sum does not agree."""
    from campaigns.consents import carry_consents
    from campaigns.report import build_report
    from expectations.publish import REPORT, publish
    from sources.landing import load_landing

    settings = load_settings()
    load_landing(settings)
    carry_consents(settings)
    build_report(settings, day_of(as_of))
    answer({"published": publish(settings, REPORT, day_of(as_of))}, as_json=as_json)


@report.command("show")
def show(as_of: Day, as_json: Json = False) -> None:
    """Show the day's funnel by campaign."""
    from core.published import Published

    rows = Published(load_settings().published).read("campaign_funnel", day_of(as_of)).to_pylist()
    answer(rows, as_json=as_json)
