"""
# approval

Asks a person about one batch of mails that waits: a large one, a new template, generated copy. `daily_campaigns` and
`plan_within_day` start a run for each batch that begins to wait, once; the question is among Airflow's *Required Actions*
([approval](docs/approval.md)). What nobody answers in time is rejected. `send_due` sends what was approved.

Running it twice is safe: the first answer stands, and a batch that has one is not asked about.

**When it fails**, nothing that waits is sent; see [approval](docs/runbooks/approve.md), then clear the task:

- `ask` (docs/runbooks/approve.md): the question could not be put
- `approve` (docs/runbooks/approve.md): a person is asked, or was
- `record_answer` (docs/runbooks/approve.md): the answer is not in the ledger yet
"""

from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, dag, literal, task

from core.orchestration import ANSWER_WITHIN, APPROVE, ASKED_AT_ONCE, REJECT, TASK_DEFAULTS, Tier

DAY, BATCH = "{{ params.as_of_date }}", "{{ params.batch }}"


def as_they_are(question: dict[str, str]) -> dict[str, Any]:
    """Keep Airflow from rendering words of ours that show templates."""
    return {name: literal(words) for name, words in question.items()}


@dag(
    schedule=None,  # a batch that begins to wait starts it
    start_date=datetime(2016, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=ASKED_AT_ONCE,
    is_paused_upon_creation=False,  # paused, it would ask nobody, and no time would run out
    default_args=TASK_DEFAULTS,
    params={
        "as_of_date": Param(
            type="string", format="date", title="Day", description="The day of the plan it is in."
        ),
        "batch": Param(
            type="string", title="Batch", description="As `lapwing approval list` has it: winback 1, …"
        ),
    },
    tags=[Tier.CUSTOMER_FACING],
    doc_md=__doc__,
)
def approval():
    @task
    def ask(as_of: str, batch: str) -> list[dict[str, str]]:
        from core.stages import stage_without_replay

        with stage_without_replay("ask", as_of) as settings:
            from datetime import date

            from campaigns.approvals import questions

            return questions(settings, date.fromisoformat(as_of), batch)

    @task
    def record_answer(as_of: str, answered: tuple[dict[str, str], dict[str, Any]]) -> dict[str, int]:
        from core.stages import stage_without_replay

        with stage_without_replay("record_answer", as_of) as settings:
            from datetime import date

            from campaigns.approvals import record_answer

            return record_answer(settings, date.fromisoformat(as_of), answered[0]["subject"], answered[1])

    asked = ask(DAY, BATCH)
    approve = HITLOperator.partial(
        task_id="approve",
        options=[APPROVE, REJECT],
        defaults=REJECT,
        params={
            "share_percent": Param(
                100,
                type="integer",
                minimum=1,
                maximum=100,
                title="Share",
                description="Percent of the mails that may go.",
            ),
            "why": Param("", type="string", title="Why", description="Goes to the ledger's audit log."),
        },
        response_timeout=ANSWER_WITHIN,
        retries=0,
        map_index_template="{{ task.subject }}",
    ).expand_kwargs(asked.map(as_they_are))
    record_answer.partial(as_of=DAY).expand(answered=asked.zip(approve.output))


approval()
