"""The task that sends, its worker killed 50 times, cleared as often, run twice and backfilled: no mail is sent twice.

`make test-crash-worker` runs this. Airflow is all there: its API, scheduler, executor and workers. Too long for the suite,
whose files are called `test_…`; there `test_demo.py` kills a day while it sends.
"""

import os
import random
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from core.ledger_tables import audit_log, open_ledger
from tests.journeys.airflow_kit import Airflow, running_airflow, wait_until
from tests.journeys.platform_kit import Platform, free_port, make_platform

KILLS = int(os.environ.get("TEST_KILLS", "50"))
HOUSEHOLDS = 1600
DAY = date(2017, 12, 5)
DAG = "daily_campaigns"


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform whose demo has run; its Airflow notices within seconds that a worker has died."""
    monkeypatch.setenv("AIRFLOW__API__PORT", str(free_port()))
    monkeypatch.setenv("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT", "15")
    monkeypatch.setenv("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL", "1")
    platform = make_platform(tmp_path / "data")
    platform.lapwing("demo", "--households", str(HOUSEHOLDS))
    return platform


def kill_the_sender(
    airflow: Airflow, platform: Platform, chance: random.Random, *, with_worker: bool
) -> bool:
    """Kill the task at a random moment, or its worker too; say whether there still was one."""
    enough, latest = platform.mails().total() + chance.randint(0, 5), time.monotonic() + chance.uniform(1, 6)
    while platform.arrived() < enough and time.monotonic() < latest:
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.01))  # a group of mails takes about as long
    victims = airflow.workers()
    for worker, task in victims:
        with suppress(psutil.NoSuchProcess):
            task.kill()
            if with_worker:
                worker.kill()
    return bool(victims)


def found_in_flight(platform: Platform) -> int:
    """Return of how many mails, since the beginning, a sender found that one before it had died with them in flight."""
    ours = audit_log.c.action == "send uncertain"
    with open_ledger(platform.settings.ledger, read_only=True).begin() as connection:
        return int(connection.scalar(select(func.count()).where(ours)) or 0)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_worker_killed_again_and_again_a_second_run_and_a_backfill_add_no_mail(platform: Platform):
    chance, kills = random.Random(20171205), 0
    with running_airflow(platform, int(os.environ["AIRFLOW__API__PORT"])) as airflow:
        airflow.unpause(DAG)
        run = airflow.trigger(DAG, DAY)
        while kills < KILLS:
            wait_until(lambda: airflow.state(DAG, run, "send") == "running")
            kills += kill_the_sender(airflow, platform, chance, with_worker=kills % 4 == 0)
            airflow.finished(DAG, run)  # a task cleared before its run has ended can stop Airflow's scheduler
            assert set(platform.mails().values()) == {1}, "a mail came twice"
            airflow.clear(DAG, run, "send")
        assert airflow.finished(DAG, run) == "success"
        planned = {send for send, verdict in platform.verdicts(DAY).items() if verdict == "planned"}
        states, mails = platform.states(), platform.mails()
        assert {states[send] for send in planned} == {"sent"}
        assert mails.keys() == {send for send, state in states.items() if state == "sent"}
        assert set(mails.values()) == {1}
        assert found_in_flight(platform) >= KILLS  # most struck while mail went out, on four connections

        assert airflow.finished(DAG, airflow.trigger(DAG, DAY)) == "success"
        airflow.clear(DAG, run)
        assert airflow.finished(DAG, run) == "success"
        assert airflow.finished(DAG, airflow.backfill(DAG, DAY)) == "success"
    assert platform.mails() == mails
    assert platform.states() == states
