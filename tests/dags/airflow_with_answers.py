"""Runs `daily_campaigns` of a day behind its plan, then `approval` for what waits, and answers what it asks: `python -m tests.dags.airflow_with_answers DAY ANSWERS`.

ANSWERS, as JSON: subject → an order for Airflow's HITL API, or null: nobody answers, and time runs out. Answers go over that
API, time-outs through the scheduler's own sweep. Prints what was asked, as JSON. A process of its own: Airflow reads its
environment as it is imported.
"""

import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

BEFORE_ASKING = "build_features|publish_features|score|build_plan|publish_plan|send|report"


def answer_all(answers: dict[str, Any], asked: dict[str, str]) -> None:
    """Answer each question as it comes up, and keep its words."""
    import httpx

    from cli.airflow_home import ADMIN, ensure_password

    login = {"username": ADMIN, "password": ensure_password(Path(os.environ["AIRFLOW_HOME"]))}
    with httpx.Client(base_url=served(), timeout=60, trust_env=False) as api:
        token = api.post("/auth/token", json=login).json()["access_token"]
        api.headers["authorization"] = f"Bearer {token}"
        while answers.keys() - asked.keys():
            waiting = api.get("/api/v2/dags/~/dagRuns/~/hitlDetails", params={"response_received": False})
            assert waiting.is_success, waiting.text
            for question in waiting.json()["hitl_details"]:
                task = question["task_instance"]
                if task["state"] != "awaiting_input" or question["subject"] in asked:
                    continue
                asked[question["subject"]] = question["body"]
                if (order := answers[question["subject"]]) is None:
                    run_out_of_time(task["id"])
                    continue
                place = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
                told = api.patch(f"/api/v2{place}/{task['map_index']}/hitlDetails", json=order)
                assert told.is_success, told.text
            time.sleep(0.3)


def served() -> str:
    """Serve Airflow's API from this process; return its address."""
    import uvicorn
    from airflow.api_fastapi.app import create_app

    server = uvicorn.Server(uvicorn.Config(create_app(), host="127.0.0.1", port=0, log_level="warning"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def run_out_of_time(task_instance: str) -> None:
    """Let a question's deadline pass, and the scheduler look for such."""
    from uuid import UUID

    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    past = update(TaskInstance).where(TaskInstance.id == UUID(task_instance))
    with create_session() as session:
        session.execute(past.values(trigger_timeout=datetime(2020, 1, 1, tzinfo=UTC)))
    with create_session() as session:
        SchedulerJobRunner(Job()).check_awaiting_input_timeouts(session=session)


def sync_approval() -> Any:
    """Let Airflow's database know the DAG `approval`, as its DAG processor would; return the DAG."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    file = Path(__file__).parents[2] / "dags" / "approval.py"
    bag = DagBag(str(file), bundle_name="dags-folder", bundle_path=file.parent)
    sync_bag_to_db(bag, "dags-folder", bundle_version=None)
    return bag.dags["approval"]


def triggered() -> dict[str, Any]:
    """Return the runs of `approval` that were started, by name, with what they are to ask about."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        runs = session.scalars(select(DagRun).where(DagRun.dag_id == "approval")).all()
        return {run.run_id: run.conf for run in runs}


def states_of(run: Any) -> dict[str, Any]:
    tasks = {f"{task.task_id} {task.map_index}": task.state for task in run.get_task_instances()}
    return {"state": run.state, "tasks": tasks}


def main() -> None:
    """Run the DAG of a day twice, then `approval` twice for each batch that it asks about, with somebody who answers beside it."""
    day, answers = sys.argv[1], json.loads(sys.argv[2])
    from cli.airflow_home import prepare

    prepare(fail_leftovers=False)
    approval = sync_approval()
    daily = import_module("dags.daily_campaigns").daily_campaigns()
    ran = []
    for hour in (5, 6):  # the second run of the day asks about nothing that is asked about
        run = daily.test(
            run_conf={"as_of_date": day},
            logical_date=datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC),
            mark_success_pattern=BEFORE_ASKING,
        )
        ran.append(states_of(run))
    started = triggered()
    asked: dict[str, str] = {}
    person = threading.Thread(target=answer_all, args=(answers, asked), daemon=True)
    person.start()
    answered = [
        {
            name: states_of(
                approval.test(run_conf=conf, logical_date=datetime(2020, turn, number, tzinfo=UTC))
            )
            for number, (name, conf) in enumerate(sorted(started.items()), 1)
        }
        for turn in (1, 2)  # of what has an answer nobody is asked again
    ]
    said = {"ran": ran, "started": started, "answered": answered, "asked": asked}
    sys.stdout.write("\n" + json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
