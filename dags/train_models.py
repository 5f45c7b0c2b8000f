"""
# train_models

Trains the churn model, the recommender, the segments, customer value and sentiment on what was known before 00:00 UTC of
`as_of_date`, each beside its baselines, logs them to MLflow and promotes to the alias `champion` what beats them. All are judged on
time-based splits but segments and sentiment, which are no questions about time and are judged on customers left out.

Running it again is safe: the same data and code give the same models. A model that is refused stays in MLflow with the
reason; the champion stays who it was.

**When it fails**, mail goes on with the champion there is. See [training](docs/runbooks/train_models.md) for every task:
`build_examples`, `publish_examples`, `train_churn`, `train_recommender`, `train_segments`, `train_lifetime`, `train_sentiment`.
"""

from datetime import UTC, datetime

from airflow.sdk import Param, dag, task

from core.orchestration import AS_OF, TASK_DEFAULTS, WAREHOUSE_POOL, Tier


@dag(
    schedule="0 2 * * 1",  # Mondays 02:00 UTC, so that the day's campaigns have the new champion
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
            description="Learn from everything known before 00:00 UTC of this day. Empty: the day of the run.",
        )
    },
    tags=[Tier.INTERNAL],
    doc_md=__doc__,
)
def train_models():
    @task(pool=WAREHOUSE_POOL)
    def build_examples(as_of: str) -> list[str]:
        from core.stages import stage_of

        with stage_of("build_examples", as_of) as (settings, day):
            from core.dbt import TRAINING_MODELS, build
            from ml.windows import LEAST_HISTORY, training_cutoffs
            from sources.landing import load_landing

            first = load_landing(settings).first_order_date + LEAST_HISTORY
            cutoffs = training_cutoffs(day, settings.churn_horizon_days, first=first)
            # The day itself has no labels yet: its features are for the segments, and for shops too young to have any.
            build(settings, TRAINING_MODELS, as_of=day, feature_dates=[*cutoffs, day])
            return [str(cutoff) for cutoff in cutoffs]

    @task(pool=WAREHOUSE_POOL, retries=0)
    def publish_examples(as_of: str) -> dict[str, str]:
        from core.stages import stage_of

        with stage_of("publish_examples", as_of) as (settings, day):
            from expectations.publish import TRAINING, publish

            return publish(settings, (*TRAINING, "ml.customer_features"), day)

    @task
    def train_churn(as_of: str) -> str:
        from core.stages import stage_of

        with stage_of("train_churn", as_of) as (settings, day):
            from ml.train import train_churn

            return train_churn(settings, day).reason

    @task
    def train_recommender(as_of: str) -> str:
        from core.stages import stage_of

        with stage_of("train_recommender", as_of) as (settings, day):
            from ml.train import train_recommender

            return train_recommender(settings, day).reason

    @task
    def train_segments(as_of: str) -> str:
        from core.stages import stage_of

        with stage_of("train_segments", as_of) as (settings, day):
            from ml.train import train_segments

            return train_segments(settings, day).reason

    @task
    def train_lifetime(as_of: str) -> str:
        from core.stages import stage_of

        with stage_of("train_lifetime", as_of) as (settings, day):
            from ml.train import train_lifetime

            return train_lifetime(settings, day).reason

    @task
    def train_sentiment(as_of: str) -> str:
        from core.stages import stage_of

        with stage_of("train_sentiment", as_of) as (settings, day):
            from ml.train import train_sentiment

            return train_sentiment(settings, day).reason

    customers = [train_churn(AS_OF), train_segments(AS_OF), train_lifetime(AS_OF)]
    (
        build_examples(AS_OF)
        >> publish_examples(AS_OF)
        >> [*customers, train_recommender(AS_OF), train_sentiment(AS_OF)]
    )


train_models()
