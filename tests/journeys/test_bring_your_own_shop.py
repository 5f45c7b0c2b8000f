"""docs/bring_your_own_shop.md, followed word by word: its commands, in its order, in an empty folder."""

import os
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
import yaml

from core.published import Published
from core.settings import PROJECT
from sources.contract import contracts
from sources.mapping import Rule, Table

PAGE = (PROJECT / "docs" / "bring_your_own_shop.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(?P<kind>[a-z]+)(?P<more>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S)
DAY = date(2025, 6, 28)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
]  # eleven commands, each of which starts Python and dbt or MLflow


@dataclass(frozen=True)
class Walk:
    """The folder after the page was followed, and what its commands said."""

    folder: Path
    said: dict[str, str]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    folder = tmp_path_factory.mktemp("shop")
    environment = {
        "PATH": f"{PROJECT / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
        "DO_NOT_TRACK": "1",
        "LAPWING_DATA_DIR": str(folder / "data"),
        "LAPWING_TOKEN_KEY": "w" * 40,
        "LAPWING_REPLAY": "false",
    }
    said = {}
    exports = ""
    for block in commands():
        wanted = 1 if "exits 1" in block["more"] else 0
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", exports + block["text"]],
            cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1200,
        )  # fmt: skip
        assert done.returncode == wanted, f"{block['text']}\n{done.stdout}\n{done.stderr}"
        exports += "".join(line + "\n" for line in block["text"].splitlines() if line.startswith("export "))
        said[block["text"]] = done.stdout
    return Walk(folder, said)


def commands() -> list[re.Match[str]]:
    found = [block for block in FENCE.finditer(PAGE) if block["kind"] == "sh"]
    assert sum(block["text"].count("lapwing ") for block in found) > 12
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
