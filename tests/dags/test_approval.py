"""What waits for a person is asked about in Airflow, and the answer given there is the ledger's; nobody else's mail waits."""

import json
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pytest

from campaigns.sends import Batch, SendState
from cli.environment import airflow_environment
from core.published import Published
from core.settings import PROJECT
from tests.faults.ledger_kit import DAY, ledger_in, planned

CAMPAIGNS = ("winback", "restock", "welcome")
ANSWERS = {
    f"winback 1, {DAY}": {
        "chosen_options": ["Approve"],
        "params_input": {"share_percent": 40, "why": "a trial"},
    },
    f"restock 1, {DAY}": {
        "chosen_options": ["Reject"],
        "params_input": {},
    },
    f"welcome 1, {DAY}": None,
}


@pytest.mark.timeout(300)
def test_answers_given_in_airflow_and_time_outs_reach_the_ledger_once(settings, tmp_path):
    ledger = ledger_in(tmp_path, sends=0)
    sends = [
        replace(planned(10 * place + number), campaign_id=campaign_id)
        for place, campaign_id in enumerate(CAMPAIGNS)
        for number in range(10)
    ]
    other = replace(planned(99), campaign_id="sunset")
    batches = [
        Batch(DAY, campaign_id, 1, "v1", 10, "{{ 7 * 7 }} is no template") for campaign_id in CAMPAIGNS
    ]
    ledger.enqueue([*sends, other], {}, batches=batches)
    rows = [
        {
            "send_id": send.send_id,
            "verdict": "planned",
            "campaign_id": send.campaign_id,
            "step": 1,
            "locale": "de",
        }
        for send in [*sends, other]
    ]
    published = Published(settings.published)
    published.write_candidate("campaign_plan", DAY, pa.Table.from_pylist(rows))
    published.release("campaign_plan", DAY)

    done = subprocess.run(
        [sys.executable, "-m", "tests.dags.airflow_with_answers", str(DAY), json.dumps(ANSWERS)],
        cwd=PROJECT, env=airflow_environment(settings), capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    first, second = said["ran"]
    assert first["state"] == second["state"] == "success"
    asks = [
        {task: state for task, state in run["tasks"].items() if task.startswith("ask")}
        for run in (first, second)
    ]
    assert asks == [{f"ask {number}": state for number in range(3)} for state in ("success", "skipped")]
    assert said["started"] == {
        f"{campaign_id}.1.{DAY}": {"as_of_date": str(DAY), "batch": f"{campaign_id} 1, {DAY}"}
        for campaign_id in CAMPAIGNS
    }
    for run in said["answered"][0].values():
        assert run == {
            "state": "success",
            "tasks": dict.fromkeys(("ask -1", "approve 0", "record_answer 0"), "success"),
        }
    for run in said["answered"][1].values():
        assert run["state"] == "success"
        assert run["tasks"]["approve -1"] == run["tasks"]["record_answer -1"] == "skipped"
    assert said["asked"].keys() == ANSWERS.keys()
    assert all("{{ 7 * 7 }}" in body and "| de | 10 |" in body for body in said["asked"].values())

    stands = {
        each.campaign_id: (each.answer, each.share_percent, each.answered_by, each.why)
        for each in ledger.approvals(DAY)
    }
    assert stands == {
        "winback": ("approved", 40, "admin", "a trial"),
        "restock": ("rejected", 0, "admin", ""),
        "welcome": ("rejected", 0, "time-out", "nobody answered in time"),
    }
    go = sorted(send.send_id for send in sends[:10])[:4]
    with ledger.sender(tmp_path / "sender.lock"):
        assert {send.send_id for send in ledger.claim(100).sends} == {*go, other.send_id}
    assert ledger.states(DAY) == {SendState.PLANNED: 5, SendState.REJECTED: 26}
