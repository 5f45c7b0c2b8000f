"""The day's account: what was planned, what became of it, what readers did; and that the sums agree."""

from datetime import date

from campaigns.ledger_view import LedgerView
from campaigns.outcomes import publish_outcomes
from core.dbt import build
from core.errors import LedgerBroken
from core.ledger_tables import open_ledger
from core.published import Published
from core.settings import Settings
from core.warehouse import reading

VERDICTS = (
    "no_consent",
    "suppressed",
    "not_reachable",
    "exited",
    "too_soon",
    "held_out",
    "frequency_capped",
    "no_coupon",
    "outranked",
    "no_content",
    "planned",
)
END_STATES = ("sent", "refused", "deferred", "uncertain", "suppressed_late", "expired", "rejected")


def build_report(settings: Settings, as_of: date) -> None:
    """Build the report's tables in the warehouse from the published plan, the ledger and the mail events.

    Raises
    ------
    LedgerBroken
        If candidates are not the sum of verdicts, or planned sends not the sum of their states.
    """
    plan = Published(settings.published).read("campaign_plan", as_of, ["send_id", "verdict"]).to_pylist()
    planned = {row["send_id"] for row in plan if row["verdict"] == "planned"}
    ledger = LedgerView(open_ledger(settings.ledger, read_only=True))
    ledger.check_identity(as_of, len(planned))
    if lost := planned - {send.send_id for send in ledger.of_day(as_of)}:  # another may stand in its place
        raise LedgerBroken(f"send {min(lost)!r} is planned for {as_of}, but the ledger does not have it")
    publish_outcomes(settings, as_of)
    build(settings, "tag:report", as_of=as_of)
    _check_sums(settings, as_of)


def _check_sums(settings: Settings, as_of: date) -> None:
    verdicts, states = " + ".join(VERDICTS), " + ".join(END_STATES)
    with reading(settings) as connection:
        broken = connection.execute(
            f"select campaign_id from reports.campaign_funnel "
            f"where candidates <> {verdicts} or planned < {states}"
        ).fetchone()
    if broken:
        raise LedgerBroken(f"the funnel of {broken[0]!r} on {as_of} does not add up: compare plan and ledger")
