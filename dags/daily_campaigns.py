"""
# daily_campaigns

One day of campaigns, for everything known before 00:00 UTC of `as_of_date`: load what landed, build features, let a
gate judge them, score every customer, decide who gets which mail and why, let a gate judge the plan, send, report.
Large batches, new templates and generated copy wait for a person, whom the DAG `approval` asks ([approval](docs/approval.md)); everything
else does not wait for them, and `send_due` sends what was approved. Without an answer in time they are rejected.

Running a day again is safe: tables are replaced per `as_of_date`, and the ledger never hands over a send twice. A day
whose plan the ledger holds keeps that plan.

**When it fails**, nothing behind the failed task happens. Mend what the task's runbook says, then clear the task:

- `build_features`, `publish_features`: [data](docs/runbooks/features.md)
- `score`: [scores](docs/runbooks/score.md)
- `build_plan`, `publish_plan`: [plan](docs/runbooks/plan.md)
- `send`: [sending](docs/runbooks/send.md); run `lapwing send status --as-of DATE` before clearing
- `what_waits`, `ask`: [approval](docs/runbooks/approve.md); nothing that waits is sent meanwhile
- `report`: [report](docs/runbooks/report.md)
"""

from datetime import UTC, datetime

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, task

from core.orchestration import AS_OF, ASKING, TASK_DEFAULTS, WAREHOUSE_POOL, Tier


@dag(
    schedule="0 5 * * *",  # 05:00 UTC, after the shop's nightly export
    start_date=datetime(2016, 1, 1, tzinfo=UTC),  # before any day one may replay: earlier days run no task
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={
        "as_of_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day",
            description="Everything known before 00:00 UTC of this day. Empty: the day of the run.",
        )
    },
    tags=[Tier.CUSTOMER_FACING],
    doc_md=__doc__,
)
def daily_campaigns():
    @task(pool=WAREHOUSE_POOL)
    def build_features(as_of: str) -> dict[str, int]:
        from core.stages import stage_of

        with stage_of("build_features", as_of) as (settings, day):
            from campaigns.consents import carry_consents
            from core.dbt import build
            from sources.landing import load_landing

            landed = load_landing(settings)
            carry_consents(settings)  # whatever becomes of this day: mail of earlier days may still be due
            build(settings, "tag:features", as_of=day)
            return landed.rows

    @task(pool=WAREHOUSE_POOL, retries=0)
    def publish_features(as_of: str) -> dict[str, str]:
        from core.stages import stage_of

        with stage_of("publish_features", as_of) as (settings, day):
            from expectations.publish import DAILY, publish

            return publish(settings, DAILY, day)  # raises GateFailed: the run goes red, it does not skip

    @task
    def score(as_of: str) -> dict[str, int]:
        from core.stages import stage_of

        with stage_of("score", as_of) as (settings, day):
            from ml.scoring import score

            return score(settings, day)

    @task(pool=WAREHOUSE_POOL)
    def build_plan(as_of: str) -> None:
        from core.stages import stage_of

        with stage_of("build_plan", as_of) as (settings, day):
            from campaigns.plan import build_plan

            build_plan(settings, day)

    @task(pool=WAREHOUSE_POOL, retries=0)
    def publish_plan(as_of: str) -> dict[str, int]:
        from core.stages import stage_of

        with stage_of("publish_plan", as_of) as (settings, day):
            from campaigns.plan import release_plan
            from expectations.gates import pass_gate

            pass_gate(settings, "campaign_plan", day)  # raises GateFailed: nothing is sent
            return release_plan(settings, day).verdicts

    @task(retries=0)
    def send(as_of: str) -> dict[str, int]:
        from core.stages import stage_of

        with stage_of("send", as_of) as (settings, day):
            from campaigns.run import send_due

            return send_due(settings, day).states  # counts travel; rows stay in the ledger

    @task(pool=WAREHOUSE_POOL)
    def report(as_of: str) -> dict[str, str]:
        from core.stages import stage_of

        with stage_of("report", as_of) as (settings, day):
            from campaigns.report import build_report
            from expectations.publish import REPORT, publish

            build_report(settings, day)
            return publish(settings, REPORT, day)

    @task
    def what_waits(as_of: str) -> list[dict[str, str]]:
        from core.stages import stage_of

        with stage_of("what_waits", as_of) as (settings, day):
            from campaigns.approvals import asked_runs

            return asked_runs(settings, day)

    planned = publish_plan(AS_OF)
    build_features(AS_OF) >> publish_features(AS_OF) >> score(AS_OF) >> build_plan(AS_OF) >> planned
    waiting = what_waits(AS_OF)
    planned >> waiting
    TriggerDagRunOperator.partial(task_id="ask", **ASKING).expand_kwargs(waiting)
    planned >> send(AS_OF) >> report(AS_OF)


daily_campaigns()
