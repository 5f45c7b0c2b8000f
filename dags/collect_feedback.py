"""
# collect_feedback

Lands what readers did (opens, clicks, unsubscribes) from the tracking service's log, every 15 minutes. Unsubscribes are
in the ledger already: the tracking service commits them before it answers.

Running it twice is safe: a line of the log is landed once.

**When it fails**, the report lags and nobody gets a wrong mail. See [feedback](docs/runbooks/collect_feedback.md), then
clear `collect`.
"""

from datetime import UTC, datetime

from airflow.sdk import dag, task

from core.orchestration import RUN_DAY, TASK_DEFAULTS, Tier


@dag(
    schedule="*/15 * * * *",
    start_date=datetime(2016, 1, 1, tzinfo=UTC),  # before any day one may replay: earlier days run no task
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    tags=[Tier.INTERNAL],
    doc_md=__doc__,
)
def collect_feedback():
    @task
    def collect(day: str) -> int:
        from core.stages import stage_without_replay

        with stage_without_replay("collect", day) as settings:
            from sources.tracking import collect

            return collect(settings)

    collect(RUN_DAY)


collect_feedback()
