"""What DAG files share. Never import one DAG file from another."""

from datetime import timedelta
from enum import StrEnum
from typing import Any

# logical_date is None for runs started without one (by hand, by an asset); run_after never is.
AS_OF = "{{ params.as_of_date or ((dag_run.logical_date or dag_run.run_after) | ds) }}"
NEXT_DAY = "{{ params.as_of_date or (((dag_run.logical_date or dag_run.run_after) + macros.timedelta(days=1)) | ds) }}"
"""The day that everything known until now is known before."""
RUN_DAY = "{{ dag_run.run_after | ds }}"
MOMENT = "{{ dag_run.run_after | ts }}"
WAREHOUSE_POOL = "warehouse"  # one slot: while one process writes a DuckDB file, no other opens it

APPROVE, REJECT = "Approve", "Reject"
ANSWER_WITHIN = timedelta(hours=12)
ASKED_AT_ONCE = 1000
"""Runs of `approval` at a time: one for each batch that waits for a person."""
ASKING: dict[str, Any] = {
    "trigger_dag_id": "approval",
    "logical_date": None,
    "skip_when_already_exists": True,
    "fail_when_dag_is_paused": True,
}
"""How such a run is started: once, and never where nobody would be asked."""

TASK_DEFAULTS = {
    "owner": "lifecycle",
    "retries": 1,
    "retry_delay": timedelta(minutes=2),
    "execution_timeout": timedelta(hours=2),
}


class Tier(StrEnum):
    """The tag every DAG carries: who is hurt when it fails."""

    CUSTOMER_FACING = "tier:customer-facing"
    INTERNAL = "tier:internal"
