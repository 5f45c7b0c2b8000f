"""
# churn_watch

Between two days of `daily_campaigns`: what landed since is built into features of the coming day, the customers of whom something
became known today are scored again by the champion, without training, warnings are raised, and whoever is warned of gets fresh lists of
products. Nothing is sent: the day's plan decides, from scores and lists of everybody.

Running it twice is safe: the same news gives the same scores, warnings and lists, and the day itself makes all of them anew.

**When it fails**, see [churn_watch](docs/runbooks/churn_watch.md), then clear the task:

- `build_touched` (docs/runbooks/churn_watch.md): warnings come with the next day, no mail is wrong
- `watch` (docs/runbooks/churn_watch.md): warnings come with the next day, no mail is wrong
- `raise_warnings` (docs/runbooks/churn_watch.md): warnings come with the next day, no mail is wrong
- `recommend` (docs/runbooks/churn_watch.md): the warnings stand, lists come with the next day
"""

from datetime import UTC, datetime

from airflow.sdk import Param, dag, task

from core.orchestration import NEXT_DAY, TASK_DEFAULTS, WAREHOUSE_POOL, Tier


@dag(
    schedule="*/15 * * * *",
    start_date=datetime(2016, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={
        "as_of_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day",
            description="Score as of 00:00 UTC of this day. Empty: the day after the run's.",
        )
    },
    tags=[Tier.INTERNAL],
    doc_md=__doc__,
)
def churn_watch():
    @task(pool=WAREHOUSE_POOL)
    def build_touched(as_of: str) -> dict[str, str]:
        from core.stages import stage_without_replay

        with stage_without_replay("build_touched", as_of) as settings:
            from datetime import date

            from core.dbt import build
            from expectations.publish import TOUCHED, publish
            from ml.watch import NEWS
            from sources.landing import load_landing

            load_landing(settings)
            build(settings, NEWS, as_of=date.fromisoformat(as_of))
            return publish(settings, TOUCHED, date.fromisoformat(as_of))

    @task
    def watch(as_of: str) -> dict[str, int]:
        from core.stages import stage_without_replay

        with stage_without_replay("watch", as_of) as settings:
            from datetime import date

            from ml.watch import watch

            return watch(settings, date.fromisoformat(as_of))

    @task(pool=WAREHOUSE_POOL)
    def raise_warnings(as_of: str) -> dict[str, str]:
        from core.stages import stage_without_replay

        with stage_without_replay("raise_warnings", as_of) as settings:
            from datetime import date

            from core.dbt import build
            from expectations.publish import RAISED, publish
            from ml.watch import WARNINGS

            build(settings, WARNINGS, as_of=date.fromisoformat(as_of), scores="churn_watch")
            return publish(settings, RAISED, date.fromisoformat(as_of))

    @task
    def recommend(as_of: str) -> dict[str, int]:
        from core.stages import stage_without_replay

        with stage_without_replay("recommend", as_of) as settings:
            from datetime import date

            from ml.watch import recommend

            return recommend(settings, date.fromisoformat(as_of))

    build_touched(NEXT_DAY) >> watch(NEXT_DAY) >> raise_warnings(NEXT_DAY) >> recommend(NEXT_DAY)


churn_watch()
