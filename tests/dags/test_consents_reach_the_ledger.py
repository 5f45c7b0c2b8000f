"""The tasks that must take a withdrawal of consent into the ledger do, on a real shop."""

import json
import os
import subprocess
import sys

import pytest
from sqlalchemy import func, select

from core.ledger_tables import consents, open_ledger
from core.orchestration import WAREHOUSE_POOL
from core.settings import PROJECT, Settings
from tests.campaigns import small_shop

pytestmark = [
    pytest.mark.timeout(600),
    *(pytest.mark.filterwarnings(line) for line in small_shop.WARNINGS),
]
# In a process of its own: once Airflow is loaded, other libraries' imports warn of it.
RUN = """
import json, sys
from importlib import import_module

dag_id, task_id, *days = sys.argv[1:]
task = getattr(import_module(f"dags.{dag_id}"), dag_id)().get_task(task_id)
answers = [task.python_callable(day) for day in days]
print(json.dumps([task.pool, sorted(task.upstream_task_ids), answers]))
"""


@pytest.fixture
def shop(tmp_path_factory, tmp_path) -> Settings:
    """The small shop, where a customer has just withdrawn."""
    settings = small_shop.copy_of(small_shop.featured(tmp_path_factory.getbasetemp()), tmp_path)
    (settings.landing / "complete_journey" / "consents" / "of_the_day.csv").write_text(
        "customer_id,purpose,is_given,proof,decided_at,known_at\n"
        "1,marketing,false,form,2017-12-04 12:00:00,2017-12-04 12:01:00\n"
    )
    return settings


def call(settings: Settings, dag_id: str, task_id: str, *days: str) -> list[object]:
    """Call the task's function for each of the days; return its pool, what it waits for, and its answers."""
    own = {
        "LAPWING_TOKEN_KEY": "k" * 40,
        "LAPWING_DATA_DIR": str(settings.data_dir),
        "LAPWING_REPLAY": "true",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN, dag_id, task_id, *days],
        cwd=PROJECT,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return list(json.loads(done.stdout.splitlines()[-1]))


def withdrawals_of_the_day(settings: Settings) -> int:
    engine = open_ledger(settings.ledger)
    of_the_day = select(func.count()).where(consents.c.customer_id == "1", consents.c.is_given.is_(False))
    with engine.begin() as connection:
        count = connection.scalar(of_the_day)
    engine.dispose()
    return int(count or 0)


def test_collecting_feedback_loads_what_landed_and_carries_a_withdrawal_once(shop):
    known = len([row for row in small_shop.landing_rows(shop, "consents") if row["known_at"] < "2017-12-05"])
    pool, waits_for, answers = call(shop, "collect_feedback", "carry_consents", *2 * [str(small_shop.DAY)])
    assert (pool, waits_for) == (WAREHOUSE_POOL, [])  # a withdrawal waits for no figures
    assert answers == [known + 1, 0]
    assert withdrawals_of_the_day(shop) == 1


def test_the_campaign_day_carries_a_withdrawal_before_anything_is_planned(shop):
    _, waits_for, answers = call(shop, "daily_campaigns", "build_features", str(small_shop.DAY))
    assert (waits_for, answers) == ([], [{"consents": 1}])
    assert withdrawals_of_the_day(shop) == 1
