"""Importing a module of ours reads no setting, makes no file or folder, sets no logger."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.arch.kit import PRODUCT, ROOT, Tree, plant

IMPORT_ALL = """
import importlib, json, logging, os, sys
import core.settings, structlog

written = set()

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        written.add(os.path.abspath(arguments[0]))
    if event in ("os.mkdir", "sqlite3.connect") and isinstance(arguments[0], str):
        written.add(os.path.abspath(arguments[0]))

def refuse(self, *args, **kwargs):
    raise AssertionError("settings are read while importing")

core.settings.Settings.__init__ = refuse
handlers = list(logging.getLogger().handlers)
wrong = {}
sys.addaudithook(watch)
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever goes wrong is the finding
        wrong[name] = repr(error)
    if structlog.is_configured() or logging.getLogger().handlers != handlers:
        wrong.setdefault(name, "sets a logger")
print(json.dumps([wrong, sorted(written)]))
"""
CACHES = (".cache", ".config", ".local")
"""Folders of a home in which libraries keep font lists and the like; ours would not."""


def what_importing_does(names: list[str], source: Path, home: Path) -> tuple[dict[str, str], set[str]]:
    """Import `names` in a process whose home and folder is the empty `home`.

    Return module -> what went wrong, and what was opened for writing, or appeared, in `source` or `home`.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LAPWING_")}
    environment |= {
        "PYTHONPATH": f"{source}{os.pathsep}{ROOT}",
        "HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    home.mkdir()
    command = [sys.executable, "-c", IMPORT_ALL, *names]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wrong, written = json.loads(done.stdout.splitlines()[-1])
    # The first sees what libraries in C do not report, the second what lies outside the empty folder.
    touched = {path.relative_to(home) for path in home.rglob("*")}
    touched |= {Path(path).relative_to(home) for path in written if Path(path).is_relative_to(home)}
    ours = {str(path) for path in touched if path.parts and path.parts[0] not in CACHES}
    return wrong, ours | {
        path for path in written if Path(path).is_relative_to(source) and ".venv" not in path
    }


def entry_points(name: str) -> bool:
    """Tell whether importing a module is running it (`__main__`, Alembic's environment and its versions)."""
    return name.endswith(("__main__", ".env")) or ".versions." in name


def test_importing_every_module_of_ours_does_nothing(tmp_path: Path) -> None:
    names = [
        module.name for module in Tree(ROOT).modules(*PRODUCT, "scripts") if not entry_points(module.name)
    ]
    assert len(names) > 30
    wrong, written = what_importing_does(names, ROOT, tmp_path / "empty")
    assert not wrong
    assert not written


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("from core.settings import load_settings\nload_settings()\n", "settings are read"),
        ("import structlog\nstructlog.configure()\n", "sets a logger"),
        ("import pathlib\npathlib.Path('made').mkdir()\n", "made"),
        ("import pathlib\npathlib.Path(__file__).with_name('beside.txt').write_text('x')\n", "beside.txt"),
        ("import sqlite3\nsqlite3.connect('rows.sqlite').close()\n", "rows.sqlite"),
    ],
)
def test_a_module_that_acts_when_imported_is_noticed(tmp_path: Path, text: str, finding: str) -> None:
    plant(tmp_path / "source", {"acting.py": text})
    wrong, written = what_importing_does(["acting"], tmp_path / "source", tmp_path / "empty")
    assert finding in f"{wrong} {written}"
