"""
# collect_feedback

Lands what readers did (opens, clicks, unsubscribes) from the tracking service's log, and what the ledger calls sent, every
15 minutes. Unsubscribes are in the ledger already: the tracking service commits them before it answers. Loads what the
shop landed, and carries withdrawals of consent into the ledger: from then on they stop mail that is planned already. Takes
bounces and complaints from their mailbox (`LAPWING_BOUNCE_MAILBOX`): a proven hard bounce or complaint suppresses its
customer; so does a reply that asks for it, where replies are taken (`LAPWING_TAKES_REPLIES`). Asks the champion of `sentiment`
about reviews it was not asked about, and lands what it says of them and of replies. An uncertain send of which something came back, or whose mail was opened, is settled as sent.

Running it twice is safe: a line of the log and a sent mail are landed once, a decision and a notice are in the ledger once.

**When it fails**, see [feedback](docs/runbooks/collect_feedback.md), then clear the task:

- `collect` (docs/runbooks/collect_feedback.md): the report lags, nobody gets a wrong mail
- `carry_consents` (docs/runbooks/collect_feedback.md): who withdrew since the last run may still be mailed; mend it now
- `take_notices` (docs/runbooks/collect_feedback.md): who complained since the last run may still be mailed; mend it today
- `ask_sentiment` (docs/runbooks/collect_feedback.md): features of sentiment lag; the next run asks about what is left
- `settle` (docs/runbooks/collect_feedback.md): uncertain sends stay so a while longer
"""

from datetime import UTC, datetime

from airflow.sdk import dag, task

from core.orchestration import RUN_DAY, TASK_DEFAULTS, WAREHOUSE_POOL, Tier


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
            from campaigns.outcomes import ledger_view
            from sources.tracking import collect

            with ledger_view(settings) as ledger:
                return collect(settings, ledger)

    @task(pool=WAREHOUSE_POOL)
    def carry_consents(day: str) -> int:
        from core.stages import stage_without_replay

        with stage_without_replay("carry_consents", day) as settings:
            from campaigns.consents import collect_consents
            from sources.landing import load_landing

            return collect_consents(settings, load_landing)

    @task
    def take_notices(day: str) -> dict[str, int]:
        from core.stages import stage_without_replay

        with stage_without_replay("take_notices", day) as settings:
            from campaigns.bounces.intake import take_notices
            from ml.text.asking import sentiments

            return dict(take_notices(settings, sentiments))

    @task(pool=WAREHOUSE_POOL)
    def ask_sentiment(day: str) -> int:
        from core.stages import stage_without_replay

        with stage_without_replay("ask_sentiment", day) as settings:
            from campaigns.outcomes import ledger_view
            from ml.text.asking import sentiments
            from sources.sentiments import collect_sentiments

            with ledger_view(settings) as ledger:
                return collect_sentiments(settings, ledger, sentiments)

    @task(pool=WAREHOUSE_POOL)
    def settle(day: str) -> int:
        from core.stages import stage_without_replay

        with stage_without_replay("settle", day) as settings:
            from campaigns.settlement import settle_answered
            from sources.landing import load_landing

            return settle_answered(settings, load_landing)

    # None behind `collect` but what needs it: a withdrawal and a complaint wait for no figures.
    carry_consents(RUN_DAY)
    take_notices(RUN_DAY) >> ask_sentiment(RUN_DAY)
    collect(RUN_DAY) >> settle(RUN_DAY)


collect_feedback()
