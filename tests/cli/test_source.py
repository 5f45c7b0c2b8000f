"""`lapwing source`: a mapping to start from, a look, an import; exit code 1 is a finding, 2 is wrong use."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import PROJECT


@pytest.fixture
def lapwing(tmp_path, monkeypatch):
    """Run the command in an empty folder; return exit code, stdout and stderr."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(PROJECT),
        "LAPWING_TOKEN_KEY": "k" * 40,
        "LAPWING_DATA_DIR": str(tmp_path / "data"),
        "LAPWING_SHOP_TIME_ZONE": "Europe/Berlin",
        "LAPWING_REPLAY": "false",
        "COLUMNS": "100",
    }

    def call(*words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "cli", "source", *words],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return call


def test_from_an_example_to_landing_files_each_step_answers_in_json(lapwing, tmp_path):
    code, out, _ = lapwing("example", "shop", "--customers", "20", "--days", "40", "--json")
    rows = json.loads(out)
    assert (code, rows["shop/kunden.csv"], rows["shop/artikel.csv"]) == (0, 20, 48)

    words = [word for name in rows for word in ("--from", name)]
    code, out, err = lapwing("init", "huber", *words, "--json")
    assert code == 0
    assert json.loads(out)["mapping"] == "huber.yml"
    assert "lapwing source check huber.yml" in err

    code, out, err = lapwing("check", "huber.yml", "--json")
    report = json.loads(out)
    assert (code, report["is_ready"], len(report["missing"])) == (1, False, 1)
    assert err.splitlines()[-1] == "lapwing: huber.yml cannot be imported yet: see what is missing or wrong"

    mapping = tmp_path / "huber.yml"
    mapping.write_text(mapping.read_text().replace("FILL_IN", "Warenwert"))
    code, out, _ = lapwing("check", "huber.yml")
    assert code == 0
    assert "Missing: nothing" in out
    assert "no events: features of browsing" in out

    code, out, _ = lapwing("import", "huber.yml", "--json")
    counts = json.loads(out)
    assert (code, counts["customers"]["new"], counts["orders"]["new"]) == (
        0,
        20,
        rows["shop/bestellungen.csv"],
    )
    code, out, _ = lapwing("import", "huber.yml", "--json")
    assert (code, {table: found["new"] for table, found in json.loads(out).items()}) == (
        0,
        dict.fromkeys(counts, 0),
    )
    assert "@" not in out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("import", "no-such.yml"), "'no-such.yml' is no mapping file and not complete-journey"),
        (("import", "here.yml", "--households", "3"), "only the demo's shop has households"),
        (("check", "no-such.yml"), "does not exist"),
        (("init",), "Missing argument"),
    ],
)
def test_wrong_use_exits_with_2_and_begins_nothing(lapwing, tmp_path, words, complaint):
    Path(tmp_path / "here.yml").write_text("x: 1\n")
    code, _, err = lapwing(*words)
    assert code == 2
    assert complaint in " ".join(err.replace("│", " ").split())
    assert not (tmp_path / "data").exists()


def test_a_wrong_mapping_is_a_finding_in_one_sentence(lapwing, tmp_path):
    (tmp_path / "here.yml").write_text("source: x\n")
    code, out, err = lapwing("import", "here.yml")
    assert (code, out) == (1, "")
    assert err == "lapwing: the mapping here.yml: time_zone: Field required\n"
