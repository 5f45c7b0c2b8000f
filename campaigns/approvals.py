"""Who is asked before mail goes: which batches of a plan wait, what a person is shown of them, what came of the answer.

A batch is a campaign's step on one day. It waits if it is large, if its template was never approved, or if a model wrote
part of it; everything else goes without a person.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from difflib import unified_diff
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from campaigns.ledger import Ledger
from campaigns.ledger_approvals import BY_TIME_OUT
from campaigns.migrate import migrate
from campaigns.sends import Approval, Batch
from campaigns.templates import Template, TemplateStore
from core.clock import clock_of
from core.ledger_tables import open_ledger
from core.logging import get_logger
from core.orchestration import APPROVE
from core.published import Published
from core.settings import Settings

SAMPLES = 3
DIFF_LINES = 60
"""Lines of a difference that a question shows at most: a person reads it in Airflow."""
PLAN = "campaign_plan"
GENERATED = "generated"
"""The origin, in the plan's column `copy`, of what a model wrote."""


def batches_of(
    rows: Sequence[Mapping[str, Any]], approved: set[tuple[str, int, str]], approve_above: int
) -> list[Batch]:
    """Return the batches of planned rows of one day, with the reasons to ask a person.

    `approved`: (campaign_id, step, template_version) that a person, or the rule, let go before.
    """
    keys = Counter(
        (row["as_of_date"], row["campaign_id"], row["step"], row["template_version"]) for row in rows
    )
    generated = {(row["campaign_id"], row["step"]) for row in rows if _is_generated(row)}
    batches = []
    for (as_of, campaign_id, step, version), count in sorted(keys.items()):
        reasons = []
        if count > approve_above:
            reasons.append(f"{count:,} mails are more than {approve_above:,}")
        if (campaign_id, step, version) not in approved:
            reasons.append("the template is new")
        if (campaign_id, step) in generated:
            reasons.append("a model wrote part of it")
        batches.append(Batch(as_of, campaign_id, step, version, count, "; ".join(reasons) or None))
    return batches


def _is_generated(row: Mapping[str, Any]) -> bool:
    return any(choice["origin"] == GENERATED for choice in row.get("copy") or ())


def answer_for_absent(settings: Settings, ledger: Ledger, as_of: date) -> None:
    """Approve what waits of a day where LAPWING_APPROVER names somebody who approves everything."""
    if actor := settings.present_approver:
        for batch in ledger.approvals(as_of):
            if batch.answer is None:
                ledger.answer(batch, 100, actor=actor, why="LAPWING_APPROVER says so")


def asked_runs(settings: Settings, as_of: date) -> list[dict[str, str]]:
    """Return what starts the DAG `approval` for each batch of a day that waits: the run is called like it, so none is asked about twice."""
    return [
        {
            "trigger_run_id": re.sub(r"[^A-Za-z0-9_-]+", ".", batch.name),
            "conf": json.dumps({"as_of_date": str(as_of), "batch": batch.name}),
        }
        for batch in _ledger(settings).approvals(as_of)
        if batch.answer is None
    ]


def questions(settings: Settings, as_of: date, name: str | None = None) -> list[dict[str, str]]:
    """Return `subject` and `body` (Markdown, no address in it) of what a person is to answer about a day, or about one batch of it."""
    ledger = _ledger(settings)
    waiting = [
        batch for batch in ledger.approvals(as_of) if batch.answer is None and name in (None, batch.name)
    ]
    if not waiting:
        return []
    columns = ["send_id", "verdict", "campaign_id", "step", "locale"]
    plan = Published(settings.published).read(PLAN, as_of, columns)
    store = TemplateStore(settings.published / "templates")
    return [
        {
            "subject": batch.name,
            "body": "\n".join(
                [
                    *_what_waits(plan, batch, settings.console_url),
                    "",
                    *_since(store, batch, ledger.approved_before(batch)),
                ]
            ),
        }
        for batch in waiting
    ]


def record_answer(
    settings: Settings, as_of: date, subject: str, answered: Mapping[str, Any]
) -> dict[str, int]:
    """Carry an answer given in Airflow over to the ledger; return the share in percent that may go.

    An answer that the ledger has already stands, whoever gave it: a task run twice changes nothing.
    """
    ledger = _ledger(settings)
    (batch,) = (each for each in ledger.approvals(as_of) if each.name == subject)
    given = {"share_percent": 100, "why": ""} | answered[
        "params_input"
    ]  # an answer over the API may leave them out
    share = given["share_percent"] if answered["chosen_options"] == [APPROVE] else 0
    person = answered["responded_by_user"]
    actor = person["name"] if person else BY_TIME_OUT
    stands = ledger.answer(
        batch, share, actor=actor, why=given["why"] if person else "nobody answered in time"
    )
    if (stands.answered_by, stands.share_percent) != (actor, share):
        get_logger(__name__).warning("answered before", batch=batch.name, answered_by=stands.answered_by)
    return {"share_percent": stands.share_percent or 0}


def _ledger(settings: Settings) -> Ledger:
    migrate(settings.ledger)
    return Ledger(open_ledger(settings.ledger), clock_of(settings))


def _what_waits(plan: pa.Table, batch: Batch, console_url: str) -> Iterator[str]:
    """Yield why a batch waits, its mails by locale, and samples."""
    its_own = pc.and_(pc.equal(plan["campaign_id"], batch.campaign_id), pc.equal(plan["step"], batch.step))
    rows = plan.filter(pc.and_(its_own, pc.equal(plan["verdict"], "planned")))
    locale_of = dict(sorted(zip(rows["send_id"].to_pylist(), rows["locale"].to_pylist(), strict=True)))
    counts = Counter(locale_of.values())
    yield f"**{batch.send_count:,} mails** of `{batch.campaign_id}`, step {batch.step}, wait for an answer: {batch.reason}."
    yield "\n| locale | mails |\n| --- | ---: |"
    yield from (f"| {locale} | {count:,} |" for locale, count in counts.most_common())
    yield "\nSamples: " + ", ".join(
        _links(console_url, locale_of, [each for each, _ in counts.most_common()])
    )


def _links(console_url: str, locale_of: Mapping[str, str], locales: Sequence[str]) -> Iterator[str]:
    """Yield links to mails that look different: one of each locale first."""
    by_locale = [[send_id for send_id, locale in locale_of.items() if locale == each] for each in locales]
    firsts = [found[0] for found in by_locale]
    others = [send_id for send_id in locale_of if send_id not in firsts]
    for send_id in [*firsts, *others][:SAMPLES]:
        yield f"[{locale_of[send_id]}]({console_url}/mail/{send_id}/preview)"


def _since(store: TemplateStore, batch: Batch, before: Approval | None) -> Iterator[str]:
    """Yield what is different since the last approved day."""
    if before is None:
        yield "It was never approved before: everything about it is new."
        return
    yield f"Last approved: {before.as_of_date}, {before.send_count:,} mails, {before.share_percent} %."
    if before.template_version == batch.template_version:
        yield "The template is the same."
    elif not store.path(batch.campaign_id, before.template_version).exists():
        yield f"Its template {before.template_version} is not stored any more, so it cannot be compared."
    else:
        old, new = (store.load(batch.campaign_id, each.template_version) for each in (before, batch))
        changed = list(differences(old, new))
        yield f"\nThe template, {old.version} → {new.version}:\n\n```diff"
        yield from changed[:DIFF_LINES]
        if len(changed) > DIFF_LINES:
            yield f"… and {len(changed) - DIFF_LINES} lines more"
        yield "```"


def differences(old: Template, new: Template) -> Iterator[str]:
    """Yield the lines that two versions of a template do not share, in the order in which a reader meets them."""
    before, after = _parts(old), _parts(new)
    for name in dict.fromkeys([*before, *after]):
        lines = unified_diff(
            before.get(name, "").splitlines(), after.get(name, "").splitlines(), name, name, n=0, lineterm=""
        )
        yield from (line for line in lines if not line.startswith(("---", "@@")))


def _parts(template: Template) -> dict[str, str]:
    brand = json.dumps(template.brand.model_dump(mode="json"), indent=1, ensure_ascii=False)
    catalogues = {f"locales/{locale}": text for locale, text in template.catalogues}
    return {
        "subject": template.subject,
        "text": template.text,
        **catalogues,
        "html": template.html,
        "brand": brand,
    }
