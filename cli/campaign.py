"""Commands on campaigns: what there are, the plan of a day, a look at a mail before it goes."""

from typing import Annotated

import typer

from cli.options import Day, Json, answer, day_of
from core.clock import clock_of
from core.errors import CampaignInvalid
from core.settings import load_settings

campaign = typer.Typer(no_args_is_help=True, help="Decide who gets which mail.")


@campaign.command("list")
def list_(as_json: Json = False) -> None:
    """List the campaigns and their steps with priority, holdout and current template version."""
    from campaigns.definitions import load_campaigns
    from campaigns.templates import compile_template

    rows = [
        {
            "campaign_id": found.campaign_id,
            "title": found.title,
            "priority": found.priority,
            "holdout_share": found.holdout_share,
            "owner": found.owner,
            "step": step.name,
            "template_version": compile_template(found.campaign_id, step=step.name).version,
        }
        for found in load_campaigns().values()
        for step in found.steps
    ]
    answer(rows, as_json=as_json)


@campaign.command("plan")
def plan(as_of: Day, as_json: Json = False) -> None:
    """Build candidates and plan of a day in the warehouse and run the gate; publish nothing."""
    from campaigns.plan import build_plan
    from expectations.gates import pass_gate

    settings = load_settings()
    build_plan(settings, day_of(as_of))
    answer(pass_gate(settings, "campaign_plan", day_of(as_of)), as_json=as_json)


@campaign.command("publish")
def publish(as_of: Day, as_json: Json = False) -> None:
    """Pass the gate, publish the plan and hand its planned sends to the ledger. Sends nothing."""
    from campaigns.plan import release_plan
    from expectations.gates import pass_gate

    settings = load_settings()
    pass_gate(settings, "campaign_plan", day_of(as_of))
    report = release_plan(settings, day_of(as_of))
    answer(
        {"candidates": report.candidates, **report.verdicts, "new in the ledger": report.enqueued},
        as_json=as_json,
    )


@campaign.command("preview")
def preview(
    campaign_id: Annotated[str, typer.Argument(help="Folder name, for example winback.")],
    step: Annotated[str, typer.Option(help="Which of its steps; without it, the first.")] = "",
    locale: Annotated[str, typer.Option(help="Language of the mail.")] = "en",
    customer: Annotated[
        str, typer.Option(help="Whom for: example, or an awkward one such as no_name, long_name, emoji.")
    ] = "example",
    html: Annotated[
        bool, typer.Option("--html", help="Print the HTML part instead of the text part.")
    ] = False,
    send_to: Annotated[
        str,
        typer.Option(help="Send it, marked as a test, to an address of LAPWING_TEST_ADDRESSES instead."),
    ] = "",
) -> None:
    """Render a campaign's mail with the facts of its example.json, or for an awkward customer; no customer gets it."""
    from campaigns import gallery
    from campaigns.trial import send_trial

    step = _step_of(campaign_id, step)
    facts = gallery.customer(customer, gallery.example(campaign_id, step))
    if send_to:
        settings = load_settings()
        reply = send_trial(settings, campaign_id, step, facts, locale, to=send_to, now=clock_of(settings)())
        print(f"the server took it: {reply}")
        return
    rendered = gallery.look(campaign_id, step, facts, locale).rendered
    print(rendered.html if html else f"{rendered.subject}\n{rendered.preheader}\n\n{rendered.text}")


def _step_of(campaign_id: str, step: str) -> str:
    """Return the step asked for, or the first."""
    from campaigns.definitions import load_campaigns

    if (found := load_campaigns().get(campaign_id)) is None:
        raise CampaignInvalid(f"there is no campaign {campaign_id!r}; `lapwing campaign list` shows them")
    return step or found.steps[0].name


@campaign.command("copy")
def copy(
    campaign_id: Annotated[str, typer.Argument(help="Folder name, for example winback.")],
    step: Annotated[str, typer.Option(help="Which of its steps; without it, the first.")] = "",
    locale: Annotated[str, typer.Option(help="Language of the mail.")] = "en",
    as_json: Json = False,
) -> None:
    """List what each slot of a mail may say for the customer of its example.json, and why a candidate is rejected."""
    from campaigns import gallery
    from campaigns.copy_candidates import load_candidates, require_facts, said
    from campaigns.definitions import load_brand
    from campaigns.guard import faults_of_slot
    from campaigns.language import require_locale
    from campaigns.templates import catalogues

    step = _step_of(campaign_id, step)
    facts, texts = gallery.example(campaign_id, step), catalogues()
    require_locale(locale, list(texts))
    place = f"{campaign_id}/{step}".rstrip("/")
    candidates = load_candidates(place)
    require_facts(candidates, facts, place)
    rows = [
        {
            "slot": candidate.slot,
            "candidate_id": candidate.candidate_id,
            "origin": candidate.origin,
            "text": text,
            "rejected": "; ".join(faults_of_slot(candidate.slot, text, facts, locale, load_brand())) or None,
        }
        for candidate, text in said(candidates, facts, locale, texts)
    ]
    answer(rows, as_json=as_json)
