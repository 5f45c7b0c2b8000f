"""The plan of a day goes on: customers who became candidates since the morning, of campaigns that answer within the hour.

The published plan only grows. What it holds stays as it is, and so do its sends; a customer is judged for a campaign once a
day and gets one mail a day, whichever hour planned it.
"""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime

import duckdb

from campaigns.approvals import answer_for_absent
from campaigns.ledger import Ledger
from campaigns.migrate import migrate
from campaigns.plan import PLAN, PlanReport, enqueue, planned_count
from core.clock import clock_of
from core.dbt import build
from core.errors import LedgerBroken
from core.ledger_tables import open_ledger
from core.logging import get_logger
from core.published import Published
from core.settings import Settings
from core.warehouse import reading

MODELS = (
    "tag:today stg_published__campaign_plan stg_published__campaign_definitions stg_published__ledger_sends"
    " stg_published__ledger_suppressions stg_published__ledger_preferences"
)
"""What dbt builds at a moment of the day."""


def plan_on(settings: Settings, moment: datetime) -> int:
    """Judge who became a candidate before a moment of its day (UTC), and write the plan with them as a candidate snapshot.

    Returns
    -------
    How many rows it has gained. None before the day's plan is published, which is what goes on.

    Raises
    ------
    BuildFailed
        If a model or test fails.
    """
    as_of, published = moment.astimezone(UTC).date(), Published(settings.published)
    if not published.exists(PLAN, as_of):
        get_logger(__name__).info(
            "the day has no plan yet: there is nothing to go on with", as_of_date=str(as_of)
        )
        return 0
    build(settings, MODELS, as_of=as_of, moment=moment)
    with reading(settings) as connection, published.new_candidate(PLAN, as_of) as path:
        connection.execute(
            f"copy (from read_parquet('{published.path(PLAN, as_of)}') union all by name"
            f" from (from campaigns.today_plan order by campaign_id, customer_id)) to '{path}' (format parquet)"
        )
        found = connection.execute("select count(*) from campaigns.today_plan").fetchone()
    return int(found[0]) if found else 0


def release_on(
    settings: Settings, as_of: date, pass_gate: Callable[[Settings, str, date], object]
) -> PlanReport:
    """Publish the plan that has grown, once `pass_gate` lets it pass, and hand the ledger what it does not have yet.

    Raises
    ------
    CampaignInvalid
        If a mail cannot be rendered; nothing is published or enqueued then.
    LedgerBroken
        If the candidate has not every row of the published plan as it is (somebody planned the day anew), or the
        ledger's sends of the day are not the plan's.
    """
    published = Published(settings.published)
    if not published.exists(PLAN, as_of):
        return PlanReport({}, 0)
    _require_grown(published, as_of)
    pass_gate(settings, PLAN, as_of)
    migrate(settings.ledger)
    ledger = Ledger(open_ledger(settings.ledger), clock_of(settings))
    known = {send.send_id for send in ledger.of_day(as_of)}
    enqueue(settings, ledger, as_of, known)
    answer_for_absent(settings, ledger, as_of)
    planned = planned_count(settings, as_of)
    ledger.check_identity(as_of, planned)
    verdicts = Counter(published.read(PLAN, as_of, ["verdict"])["verdict"].to_pylist())
    return PlanReport(dict(sorted(verdicts.items())), planned - len(known))


def _require_grown(published: Published, as_of: date) -> None:
    old, new = published.path(PLAN, as_of), published.newest(PLAN, as_of)
    query = "select send_id from (from read_parquet($1) except from read_parquet($2)) limit 1"
    with duckdb.connect() as connection:
        lost = connection.execute(query, [str(old), str(new)]).fetchone()
    if lost:
        raise LedgerBroken(
            f"the candidate of {as_of} lacks row {lost[0]!r} of the published plan, or changes it: delete the candidate"
            f" ({new}), and clear the task before this one"
        )
