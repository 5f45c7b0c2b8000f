"""
# plan_within_day

Every hour between two days of `daily_campaigns`: what landed since is loaded, and the day's plan goes on with customers who have become
candidates of a campaign that answers within the day (`campaigns_of_today` in `dbt_project.yml`), such as a cart left an hour ago. What the plan
holds stays as it is; a customer gets one mail a day, whichever hour planned it. `send_due` sends it. Where a batch begins to wait for a
person, the DAG `approval` asks.

Before the day's plan is published there is nothing to go on with, and nothing happens. Running it twice is safe: a customer is judged for
a campaign once a day.

**When it fails**, the plan of the morning stands and is sent; see [plan](docs/runbooks/plan.md), then clear the task:

- `plan_on` (docs/runbooks/plan.md): the next hour plans what this one has not
- `publish_on` (docs/runbooks/plan.md): nothing of this hour is sent
- `what_waits`, `ask` (docs/runbooks/approve.md): nothing that began to wait is sent; the next hour asks about it
"""

from datetime import UTC, datetime

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, task

from core.orchestration import ASKING, MOMENT, RUN_DAY, TASK_DEFAULTS, WAREHOUSE_POOL, Tier


@dag(
    schedule="0 * * * *",
    start_date=datetime(2016, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    tags=[Tier.CUSTOMER_FACING],
    doc_md=__doc__,
)
def plan_within_day():
    @task(pool=WAREHOUSE_POOL)
    def plan_on(day: str, moment: str) -> int:
        from core.stages import stage_without_replay

        with stage_without_replay("plan_on", day) as settings:
            from datetime import datetime

            from campaigns.today import plan_on
            from sources.landing import load_landing

            load_landing(settings)
            return plan_on(settings, datetime.fromisoformat(moment))

    @task(pool=WAREHOUSE_POOL, retries=0)
    def publish_on(day: str) -> dict[str, int]:
        from core.stages import stage_without_replay

        with stage_without_replay("publish_on", day) as settings:
            from datetime import date

            from campaigns.today import release_on
            from expectations.gates import pass_gate

            return release_on(settings, date.fromisoformat(day), pass_gate).verdicts

    @task
    def what_waits(day: str) -> list[dict[str, str]]:
        from core.stages import stage_without_replay

        with stage_without_replay("what_waits", day) as settings:
            from datetime import date

            from campaigns.approvals import asked_runs

            return asked_runs(settings, date.fromisoformat(day))

    waiting = what_waits(RUN_DAY)
    plan_on(RUN_DAY, MOMENT) >> publish_on(RUN_DAY) >> waiting
    TriggerDagRunOperator.partial(task_id="ask", **ASKING).expand_kwargs(waiting)


plan_within_day()
