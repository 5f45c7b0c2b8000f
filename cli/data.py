"""Commands on what was loaded: rejects, features."""

from typing import Annotated, Any

import typer

from cli.options import Day, Json, answer, day_of, speech
from core.settings import load_settings

features = typer.Typer(no_args_is_help=True, help="Build what is known about each customer, and publish it.")


def rejects(
    as_of: Day,
    table: Annotated[str, typer.Option(help="Only rejects of this table of the contract.")] = "",
    reason: Annotated[str, typer.Option(help="Only rejects whose reason holds these words.")] = "",
    summary: Annotated[bool, typer.Option("--summary", help="Only the counts by reason, no rows.")] = False,
    as_json: Json = False,
) -> None:
    """Show rows that broke the source contract: counts by reason, then file, row, value (never an address)."""
    from core.published import Published

    found = Published(load_settings().published).read("rejected_rows", day_of(as_of)).to_pylist()
    rows = [
        row
        for row in found
        if table in ("", row.get("table_name")) and reason.lower() in (row.get("reason") or "").lower()
    ]
    counts = reject_counts(rows)
    if as_json or summary:
        answer(counts if summary else rows, as_json=as_json)
        return
    speech.print(f"{len(rows)} rejected rows or values; mend the file, land it under a new name, load again")
    for line in counts:
        mended = f", {line['mended']} since mended" if line["mended"] else ""
        speech.print(f"  {line['rejects']} in {line['table']}.{line['column']}: {line['reason']}{mended}")
    answer(rows[:50], as_json=False)


def reject_counts(rows: list[dict[str, Any]]) -> list[dict[str, object]]:
    """Return how many rejects each reason has, and how many of those have since been mended; most frequent first."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        place = (row.get("table_name", ""), row.get("column_name", ""), row.get("reason", ""))
        groups.setdefault(place, []).append(row)
    return [
        {
            "table": group[0],
            "column": group[1],
            "reason": group[2],
            "rejects": len(members),
            "mended": sum(bool(row.get("mended_in")) for row in members),
        }
        for group, members in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


@features.command("build")
def build_features(as_of: Day, as_json: Json = False) -> None:
    """Load what landed and build the features of a day in the warehouse."""
    from campaigns.consents import carry_consents
    from core.dbt import build
    from sources.landing import load_landing

    settings = load_settings()
    landed = load_landing(settings)
    carry_consents(settings)
    nodes = build(settings, "tag:features", as_of=day_of(as_of))
    answer(
        {
            "landed": landed.rows,
            "rejected": landed.rejects,
            "switched off": landed.absent,
            "models and tests": len(nodes),
        },
        as_json=as_json,
    )


@features.command("publish")
def publish_features(as_of: Day, as_json: Json = False) -> None:
    """Run the gate on a day's features and publish them, or nothing."""
    from expectations.publish import DAILY, publish

    answer({"published": publish(load_settings(), DAILY, day_of(as_of))}, as_json=as_json)


@features.command("check")
def check_features(as_of: Day, as_json: Json = False) -> None:
    """Run the gate on the candidate of a day without publishing."""
    from expectations.gates import pass_gate

    answer(pass_gate(load_settings(), "customer_features", day_of(as_of)), as_json=as_json)
