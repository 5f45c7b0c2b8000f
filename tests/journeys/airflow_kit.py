"""A real Airflow on a platform's data folder, spoken to as its pages do, over HTTP; and its workers, to be killed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import httpx
import psutil

from cli.airflow_home import ADMIN, ensure_password
from cli.environment import airflow_home
from cli.services import running
from tests.journeys.platform_kit import Platform

PATIENCE_SECONDS = 1200.0  # a day of campaigns takes two minutes on a machine that others use too


class Airflow:
    """An Airflow whose API answers at a port, and whose scheduler is a process of this machine."""

    def __init__(self, api: httpx.Client, scheduler: psutil.Process) -> None:
        self._api = api
        self._scheduler = scheduler

    def unpause(self, dag_id: str) -> None:
        self._ask("patch", f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, day: date) -> str:
        """Start a run of a day as a person does, by the form; return its id."""
        order = {"logical_date": None, "conf": {"as_of_date": str(day)}}
        return str(self._ask("post", f"/dags/{dag_id}/dagRuns", order)["dag_run_id"])

    def clear(self, dag_id: str, run_id: str, *task_ids: str) -> None:
        """Clear tasks of a run and what follows them, all by default: they run again."""
        order: dict[str, object] = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": False,
            "include_downstream": True,
        }
        self._ask(
            "post",
            f"/dags/{dag_id}/clearTaskInstances",
            order | ({"task_ids": list(task_ids)} if task_ids else {}),
        )

    def backfill(self, dag_id: str, day: date) -> str:
        """Backfill one day, whatever ran of it before; return the id of the run that does."""
        bounds = {"from_date": f"{day}T00:00:00Z", "to_date": f"{day}T23:59:59Z"}
        order = {"dag_id": dag_id, "reprocess_behavior": "completed", "max_active_runs": 1}
        before = self._runs(dag_id)
        self._ask("post", "/backfills", order | bounds)
        wait_until(lambda: self._runs(dag_id).keys() > before.keys())
        (run_id,) = self._runs(dag_id).keys() - before.keys()
        return run_id

    def finished(self, dag_id: str, run_id: str) -> str:
        """Wait for the end of a run; return its state."""
        wait_until(lambda: self._runs(dag_id)[run_id] in ("success", "failed"))
        return self._runs(dag_id)[run_id]

    def state(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return the state of a task."""
        return str(self._ask("get", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}")["state"])

    def workers(self) -> list[tuple[psutil.Process, psutil.Process]]:
        """Return each of the executor's processes that runs a task, and the process of that task."""
        found = []
        for worker in self._scheduler.children():
            try:
                found += [(worker, task) for task in worker.children()]
            except psutil.NoSuchProcess:
                continue
        return found

    def _runs(self, dag_id: str) -> dict[str, str]:
        runs = self._ask("get", f"/dags/{dag_id}/dagRuns")["dag_runs"]
        return {run["dag_run_id"]: run["state"] for run in runs}

    def _ask(self, method: str, path: str, order: object = None) -> Any:
        answer = self._api.request(method, f"/api/v2{path}", json=order)
        assert answer.is_success, answer.text
        return answer.json()


@contextmanager
def running_airflow(platform: Platform, port: int) -> Iterator[Airflow]:
    """Run Airflow, and the local inbox that its tasks send to."""
    names = ["inbox", "airflow", "airflow-scheduler", "airflow-dag-processor"]
    login = {"username": ADMIN, "password": ensure_password(airflow_home(platform.settings))}
    with (
        running(platform.settings, names) as processes,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as api,
    ):
        token = api.post("/auth/token", json=login).json()["access_token"]
        api.headers["authorization"] = f"Bearer {token}"
        yield Airflow(api, psutil.Process(processes.running["airflow-scheduler"].pid))


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
