"""
# send_due

Hands over the planned sends whose moment has come, every five minutes: `daily_campaigns` plans a day, and each
customer's mail waits for that customer's hour.

Running it twice, or while `daily_campaigns` sends, is safe: a send is handed over at most once. On PostgreSQL both share
what is due; a SQLite ledger turns the second sender away.

**When it fails**, see [sending](docs/runbooks/send.md); run `lapwing send status --as-of DATE` before clearing `send`.
"""

from datetime import UTC, datetime

from airflow.sdk import dag, task

from core.orchestration import RUN_DAY, TASK_DEFAULTS, Tier


@dag(
    schedule="*/5 * * * *",
    start_date=datetime(2016, 1, 1, tzinfo=UTC),  # before any day one may replay: earlier days run no task
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    tags=[Tier.CUSTOMER_FACING],
    doc_md=__doc__,
)
def send_due():
    @task(retries=0)
    def send(day: str) -> dict[str, int]:
        from core.stages import stage_without_replay

        with stage_without_replay("send_due", day) as settings:
            from campaigns.run import send_due

            return send_due(settings).batch

    send(RUN_DAY)


send_due()
