"""Consent on its way into the ledger, where a send is checked against it at the moment it starts.

Landing files of consents are known by their bytes: a file whose digest the ledger has noted is not read again, whatever
number its load has after the warehouse was built anew.
"""

from collections.abc import Callable
from datetime import UTC

import pyarrow as pa

from campaigns.ledger_planning import PlanningLedger
from campaigns.migrate import migrate
from campaigns.sends import Decision
from core.clock import clock_of
from core.ledger_tables import open_ledger
from core.logging import get_logger
from core.settings import Settings
from core.warehouse import reading

DECISIONS_PER_COMMIT = 5_000
"""A sender waits for the commit under way."""


def collect_consents(settings: Settings, load: Callable[[Settings], object]) -> int:
    """Load what landed with `load`, then carry new consents into the ledger; return how many decisions were new.

    A file of another table that cannot be loaded keeps no withdrawal back: consents are carried first, then the
    error of `load` is raised. Does nothing before a first load of the shop: nothing is planned then.
    """
    if not settings.warehouse.exists():
        return 0
    try:
        load(settings)
    finally:
        new = carry_consents(settings)
    return new


def carry_consents(settings: Settings) -> int:
    """Carry the consents that are loaded in the warehouse into the ledger; return how many decisions were new.

    Run twice, it has the effect of one run. From its commit on, no send of a customer starts whose newest decision
    is a withdrawal. While past days are replayed, only what was known by the replayed clock is carried.

    Raises
    ------
    NotPublished
        If there is no warehouse yet.
    LedgerBroken
        If the ledger cannot be used.
    """
    migrate(settings.ledger)
    ledger = PlanningLedger(open_ledger(settings.ledger), clock_of(settings))
    try:
        digests, decisions = _landed(settings, ledger.carried_files())
        if not decisions.num_rows:
            return 0
        before = ledger.decision_count()
        for batch in decisions.to_batches(DECISIONS_PER_COMMIT):
            ledger.record_decisions([Decision(**row) for row in batch.to_pylist()])
        if not settings.replay:  # of a replayed file only some rows are known yet: it is looked at again
            ledger.mark_carried(digests)
        new = ledger.decision_count() - before
    finally:
        ledger.close()
    get_logger(__name__).info("consents carried", decisions=decisions.num_rows, new=new)
    return new


def _landed(settings: Settings, carried: set[str]) -> tuple[list[str], pa.Table]:
    """Return the digests of the loaded files that are not carried yet, and the decisions in them.

    By customer, as the ledger's index has them: otherwise a commit writes 5,000 pages of it. Each customer's newest first,
    so that between two commits no old withdrawal stops a mail that a newer consent allows.
    """
    known_by = clock_of(settings)().astimezone(UTC).replace(tzinfo=None) if settings.replay else None
    with reading(settings) as connection:
        files = connection.execute(
            "select digest, load_number from landing.files where table_name = 'consents'"
        ).fetchall()
        loads = {digest: number for digest, number in files if digest not in carried}
        decisions = connection.execute(
            """select
                customer_id, purpose, is_given, proof,
                decided_at at time zone 'UTC' as decided_at, known_at at time zone 'UTC' as known_at
            from landing.consents
            where list_contains($1::bigint[], load_number) and ($2::timestamp is null or known_at <= $2)
            order by customer_id, consents.decided_at desc, consents.known_at desc""",
            [list(loads.values()), known_by],
        ).to_arrow_table()
    return sorted(loads), decisions
