"""Makes Airflow's home usable: its database, the pool of the warehouse, the login. `python -m cli.airflow_home`.

A program of its own, because importing Airflow takes seconds and reads the environment: its callers hand over that of
`cli.services.airflow_environment`. Safe to run again and again.
"""

import argparse
import json
import os
import secrets
from pathlib import Path

from core.orchestration import WAREHOUSE_POOL

PASSWORDS = "simple_auth_manager_passwords.json.generated"
ADMIN = "admin"


def ensure_password(home: Path) -> str:
    """Return the admin's password of this Airflow; where there is none yet, take `AIRFLOW_ADMIN_PASSWORD` or make one.

    It is kept in a file of mode 600. Airflow would make one too, but prints it into a log.
    """
    file = home / PASSWORDS
    if not file.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        password = os.environ.get("AIRFLOW_ADMIN_PASSWORD") or secrets.token_urlsafe(12)
        draft.write_text(json.dumps({ADMIN: password}) + "\n")
        draft.replace(file)
    return str(json.loads(file.read_text())[ADMIN])


def prepare(*, fail_leftovers: bool) -> None:
    """Bring Airflow's database to this version and make the pool `warehouse` with its one slot.

    `fail_leftovers` marks runs as failed that a killed process left running: they would hold the pool's slot and the
    DAG's only run for ever. Right only where nothing else runs on this database.
    """
    from airflow.models.pool import Pool
    from airflow.utils import db

    db.initdb()
    Pool.create_or_update_pool(
        WAREHOUSE_POOL, 1, "One process at a time opens the warehouse.", include_deferred=False
    )
    if fail_leftovers:
        _fail_leftovers()


def _fail_leftovers() -> None:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from sqlalchemy import select, update

    begun = [state for state in TaskInstanceState if state not in _FINISHED]
    with create_session() as session:
        left = session.execute(
            select(DagRun.dag_id, DagRun.run_id).where(DagRun.state == DagRunState.RUNNING)
        ).all()
        for dag_id, run_id in left:
            session.execute(
                update(TaskInstance)
                .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
                .where(TaskInstance.state.in_(begun))
                .values(state=TaskInstanceState.FAILED)
            )
            session.execute(
                update(DagRun)
                .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
                .values(state=DagRunState.FAILED)
            )
            print(f"marked as failed, left running by an earlier process: {dag_id} {run_id}")


_FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


def main() -> None:
    """Prepare the home that AIRFLOW_HOME names."""
    parser = argparse.ArgumentParser(prog="python -m cli.airflow_home", description=prepare.__doc__)
    parser.add_argument("--fail-leftovers", action="store_true", help="mark runs left running as failed")
    arguments = parser.parse_args()
    ensure_password(Path(os.environ["AIRFLOW_HOME"]))
    prepare(fail_leftovers=arguments.fail_leftovers)


if __name__ == "__main__":
    main()
