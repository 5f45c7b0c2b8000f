"""From a shop's purchases to the inbox and back, through Airflow, SMTP and HTTP; one run, many claims.

The day after the demo's is killed outright while its mail goes out, and run again; `crash.py` beside this does so to the
whole demo, at any moment.
"""

from collections import Counter
from datetime import date

import pytest
from sqlalchemy import create_engine, select, text

from core.ledger_tables import open_ledger, suppressions
from core.published import Published
from tests.journeys.platform_kit import DAY, Platform

NEXT_DAY = date(2017, 12, 5)
pytestmark = pytest.mark.timeout(3600)  # the first test waits for the whole demo, on a machine however busy


def test_the_inbox_holds_exactly_the_mails_the_ledger_calls_sent(demo: Platform):
    sent = {send_id for send_id, state in demo.states().items() if state == "sent"}
    assert len(sent) > 20
    assert demo.mails() == Counter(dict.fromkeys(sent, 1))


def test_candidates_are_the_sum_of_verdicts_and_planned_the_sum_of_states(demo: Platform):
    verdicts, states = demo.verdicts(), demo.states()
    planned = {send_id for send_id, verdict in verdicts.items() if verdict == "planned"}
    assert set(states) == planned
    funnel = Published(demo.settings.published).read("campaign_funnel", DAY).to_pylist()
    assert sum(row["candidates"] for row in funnel) == len(verdicts)
    assert sum(row["sent"] for row in funnel) == Counter(states.values())["sent"]


def test_simulated_readers_show_in_the_funnel(demo: Platform):
    funnel = Published(demo.settings.published).read("campaign_funnel", DAY).to_pylist()
    sent, opened, clicked = (sum(row[name] for row in funnel) for name in ("sent", "opened", "clicked"))
    assert sent > opened > clicked > 0


def test_airflow_ran_both_dags_green_and_every_task_of_them(demo: Platform):
    database = create_engine(f"sqlite:///{demo.settings.data_dir / 'airflow' / 'airflow.db'}")
    with database.connect() as connection:
        rows = connection.execute(text("select dag_id, state from dag_run")).all()
        runs = {str(row[0]): str(row[1]) for row in rows}
        done = connection.execute(text("select dag_id, state from task_instance")).all()
        tasks = Counter((str(row[0]), str(row[1])) for row in done)
    assert runs == {"train_models": "success", "daily_campaigns": "success"}
    assert tasks == {
        ("train_models", "success"): 7,
        ("daily_campaigns", "success"): 8,
        ("daily_campaigns", "skipped"): 1,  # nobody is asked: the demo's approver has answered
    }


def test_the_summary_times_every_stage_and_says_where_to_look(demo: Platform, said: str):
    for stage in ("import", "build_features", "train_churn", "score", "send", "report", "orchestration"):
        assert stage in said
    assert demo.settings.console_url in said


def test_all_models_are_logged_beside_their_baselines(demo: Platform):
    figures = Published(demo.settings.published).read("model_figures", DAY).to_pylist()
    store = create_engine(demo.settings.mlflow)
    with store.connect() as connection:
        names = set(connection.scalars(text("select name from registered_models")))
    assert names == {"churn", "lifetime", "recommender", "segments"}
    assert all(row["baseline_name"] for row in figures if row["baseline_value"] is not None)


@pytest.mark.slow
def test_a_day_killed_while_it_sends_and_run_again_sends_each_mail_once_and_none_to_who_unsubscribed(
    demo: Platform,
):
    with open_ledger(demo.settings.ledger, read_only=True).begin() as connection:
        gone: set[str] = set(connection.scalars(select(suppressions.c.customer_id)))
    assert gone, "no simulated reader unsubscribed: this test would show nothing"
    from cli.services import running

    with running(demo.settings, ["inbox"]):
        demo.kill_while_sending(demo.start_airflow("dags", "test", "daily_campaigns", str(NEXT_DAY)))
        run = demo.airflow("dags", "test", "daily_campaigns", str(NEXT_DAY))
    assert run.returncode == 0, run.stdout[-2000:]
    plan = Published(demo.settings.published).read("campaign_plan", NEXT_DAY).to_pylist()
    planned = {row["send_id"] for row in plan if row["verdict"] == "planned"}
    assert not {row["customer_id"] for row in plan if row["send_id"] in planned} & gone
    assert gone & {row["customer_id"] for row in plan}, (
        "they were no candidates: this test would show nothing"
    )
    states, mails = demo.states(), demo.mails()
    assert {states[send_id] for send_id in planned} == {"sent"}
    assert set(mails.values()) == {1}, "a mail came twice"
    assert set(mails) == {send_id for send_id, state in states.items() if state == "sent"}


def test_a_day_without_data_is_red_and_sends_nothing(demo: Platform):
    """Nobody had ordered before 2017, so there are no features: the gate is shut."""
    before = demo.mails()
    empty = demo.airflow("dags", "test", "daily_campaigns", "2016-12-01")
    assert empty.returncode != 0
    assert "GateFailed" in empty.stdout + empty.stderr
    assert demo.mails() == before
    assert not Published(demo.settings.published).exists("customer_features", date(2016, 12, 1))
