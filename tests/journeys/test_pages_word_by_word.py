"""Pages followed word by word, their commands in their order: from a shop's files to its first plan, from an empty folder to a mail."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from math import ceil
from pathlib import Path

import pytest
import yaml

from campaigns.ledger_view import LedgerView
from campaigns.mailers.local_inbox import LocalInbox
from campaigns.sends import SendState
from core.ledger_tables import open_ledger
from core.published import Published
from core.settings import PROJECT
from sources.contract import contracts
from sources.mapping import Rule, Table
from tests.journeys.platform_kit import free_port

PAGE = (PROJECT / "docs" / "bring_your_own_shop.md").read_text(encoding="utf-8")
CAMPAIGN_PAGE = (PROJECT / "docs" / "add_a_campaign.md").read_text(encoding="utf-8")
FENCE = re.compile(
    r"(?:^`(?P<file>[^`\n]+)`\n\n)?^```(?P<kind>[a-z]+)(?P<more>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S
)
DAY = date(2025, 6, 28)
CODE = (
    *("bin", "campaigns", "cli", "console", "core", "dbt_project", "email_templates", "expectations", "ml"),
    *("simulation", "sources", "tracking"),
)
"""What of the project the commands need, where a page changes some of it."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
]  # twenty commands, each of which starts Python and dbt or MLflow


@dataclass(frozen=True)
class Walk:
    """The folder after a page was followed, what its commands said, and a copy of the data before its plan."""

    folder: Path
    said: dict[str, str]
    scored: Path


class Shell:
    """Runs a page's commands in a folder; what they export holds for those after."""

    def __init__(self, folder: Path, project: Path, data: Path, **more: str) -> None:
        self.folder = folder
        self.said: dict[str, str] = {}
        self._exports = ""
        self._environment = {
            "PATH": f"{project / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(data.parent),
            "OMP_NUM_THREADS": "1",
            "DO_NOT_TRACK": "1",
            "LAPWING_DATA_DIR": str(data),
            "LAPWING_TOKEN_KEY": "w" * 40,
            "LAPWING_REPLAY": "false",
            **more,
        }

    def run(self, text: str, wanted: int) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._exports + text],
            cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False, timeout=1200,
        )  # fmt: skip
        assert done.returncode == wanted, f"{text}\n{done.stdout}\n{done.stderr}"
        self._exports += "".join(line + "\n" for line in text.splitlines() if line.startswith("export "))
        self.said[text] = done.stdout + done.stderr * wanted

    def start(self, text: str) -> subprocess.Popen[bytes]:
        """Start what a person starts in another terminal."""
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", self._exports + "exec " + text],
            cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    folder = tmp_path_factory.mktemp("shop")
    shell = Shell(folder, PROJECT, folder / "data")
    scored = folder / "scored"
    for block in commands(PAGE):
        if block["text"].startswith("lapwing campaign plan"):
            shutil.copytree(folder / "data", scored)
        shell.run(block["text"], 1 if "exits 1" in block["more"] else 0)
    return Walk(folder, shell.said, scored)


def commands(page: str) -> list[re.Match[str]]:
    found = [block for block in FENCE.finditer(page) if block["kind"] == "sh"]
    assert sum(block["text"].count("lapwing ") for block in found) > 10
    return found


def shown(kind: str) -> list[str]:
    return [block["text"] for block in FENCE.finditer(PAGE) if block["kind"] == kind]


def test_the_plan_at_the_end_has_planned_mails_and_a_verdict_for_everybody(walk: Walk):
    plan = Published(walk.folder / "data" / "published").read("campaign_plan", DAY).to_pylist()
    verdicts = Counter(row["verdict"] for row in plan)
    assert verdicts["planned"] > 10
    assert verdicts["no_consent"] > 0  # a tenth of the invented customers said "nein"
    assert sum(verdicts.values()) == len(plan)


def test_the_sample_lines_on_the_page_are_those_of_the_files(walk: Walk):
    samples = dict(re.findall(r"^`(shop/\w+\.csv)`\n\n```csv\n(.*?)^```", PAGE, re.M | re.S))
    assert set(samples) == {
        f"shop/{name}.csv" for name in ("kunden", "bestellungen", "positionen", "artikel")
    }
    for name, lines in samples.items():
        assert (walk.folder / name).read_text(encoding="utf-8").startswith(lines)


def test_the_mapping_on_the_page_is_the_one_that_init_writes(walk: Walk):
    (guessed,) = [text for text in shown("yaml") if "FILL_IN" in text]
    written = (walk.folder / "huber.yml").read_text(encoding="utf-8")
    assert guessed.replace("list_amount: FILL_IN", "list_amount: Warenwert") in written


def test_the_missing_line_on_the_page_is_what_check_says(walk: Walk):
    (first_check,) = [
        said for command, said in walk.said.items() if command == "lapwing source check huber.yml\n"
    ]
    (shown_text,) = [text for text in shown("text") if text.startswith("Missing:")]
    assert shown_text in first_check


def test_every_mail_in_the_ledger_is_still_planned_after_the_rehearsal(walk: Walk):
    (last,) = [said for command, said in walk.said.items() if "send run" in command]
    assert last
    assert not (walk.folder / "data" / "inbox").exists()


def test_every_word_of_a_mapping_is_explained_on_the_page():
    told = PAGE.partition("## The words of a mapping")[2].partition("\n## ")[0]
    for model in (Table, Rule):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}" in told or name == "columns", name


def test_the_database_mapping_on_the_page_is_one():
    from sources.mapping import Mapping

    (database,) = [text for text in shown("yaml") if "changed:" in text]
    assert set(Mapping.model_validate(yaml.safe_load(database)).tables) <= set(contracts())


@pytest.fixture(scope="module")
def campaign(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """A copy of the project to which the page's campaign was added, and the shop it was sent for."""
    project = tmp_path_factory.mktemp("campaign") / "lapwing"
    for name in CODE:
        shutil.copytree(PROJECT / name, project / name, ignore=shutil.ignore_patterns("target", "logs"))
    shutil.copy(PROJECT / "rules_of_trade.yml", project)
    (project / ".venv").symlink_to(PROJECT / ".venv")
    data = shutil.copytree(walk.scored, project / "data")
    port = free_port()
    shell = Shell(project, project, data, LAPWING_SMTP_PORT=str(port), LAPWING_SHOP_TIME_ZONE="Europe/Berlin")
    assert not (project / "email_templates" / "thank_you").exists()
    beside = []
    try:
        for block in FENCE.finditer(CAMPAIGN_PAGE):
            if block["file"]:
                write(project / block["file"], block["text"])
            elif block["kind"] == "sh" and "beside" in block["more"]:
                beside.append(shell.start(block["text"]))
            elif block["kind"] == "sh":
                if "send run" in block["text"]:
                    wait_for(port)
                shell.run(block["text"], 1 if "exits 1" in block["more"] else 0)
        yield Walk(project, shell.said, walk.scored)
    finally:
        for process in beside:
            process.terminate()
            process.wait(timeout=30)


def write(file: Path, text: str) -> None:
    """Write a file of a page, or add to the end of a catalogue that is there."""
    file.parent.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(("\n" if file.suffix == ".po" else "") + text)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("no inbox came up")


def test_the_campaign_that_the_page_adds_is_planned_approved_by_half_and_in_the_inbox(campaign: Walk):
    data = campaign.folder / "data"
    plan = Published(data / "published").read("campaign_plan", DAY).to_pylist()
    planned = sorted(
        row["send_id"] for row in plan if (row["campaign_id"], row["verdict"]) == ("thank_you", "planned")
    )
    assert len(planned) > 5
    go = ceil(len(planned) / 2)
    ledger = LedgerView(open_ledger(f"sqlite:///{data / 'ledger.sqlite'}", read_only=True))
    assert LocalInbox(data / "inbox").by_send().keys() == set(planned[:go])
    states = {send.send_id: send.state for send in ledger.of_day(DAY) if send.campaign_id == "thank_you"}
    assert states == dict.fromkeys(planned[:go], SendState.SENT) | dict.fromkeys(
        planned[go:], SendState.REJECTED
    )
    (stands,) = (each for each in ledger.approvals(DAY) if each.campaign_id == "thank_you")
    assert (stands.answer, stands.share_percent, stands.why) == ("approved", 50, "a trial")
    assert ledger.states(DAY)[SendState.AWAITING] > 0  # the other campaigns, which nobody has answered about


def test_the_commands_of_that_page_say_what_it_says(campaign: Walk):
    for block in FENCE.finditer(CAMPAIGN_PAGE):
        if block["kind"] == "text":
            assert block["text"].strip() in " ".join(campaign.said.values()), block["text"]
    (asked,) = (said for command, said in campaign.said.items() if "approval show" in command)
    assert "`thank_you`, step 1" in asked
    assert "@" not in asked
