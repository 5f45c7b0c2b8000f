"""Set-up, commands and the run that decides in CI: tried in small clones, without the network."""

import base64
import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dotenv import dotenv_values

from core.settings import PROJECT, Settings
from tests.conftest import TOOLS

# A stand-in for uv, which would download: it makes an empty environment and writes down what it was asked for.
UV = """#!/usr/bin/env bash
echo "$@" >> .tools/asked
if [[ $1 == venv ]]; then "{python}" -m venv --without-pip "${{@: -1}}"; fi
"""


LOCKS = ("requirements.txt", "requirements-peers.txt", "requirements-spark.txt")


@pytest.fixture
def clone(tmp_path) -> Path:
    """A folder with what set-up needs and nothing that it makes."""
    for name in ("scripts", "bin", ".ci"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name in (
        "Makefile",
        "system-packages.txt",
        "system-packages-spark.txt",
        *LOCKS,
        "requirements-tools.txt",
    ):
        shutil.copy(PROJECT / name, tmp_path)
    return tmp_path


@pytest.fixture
def fake_uv(clone) -> Path:
    """The stand-in sits where set-up keeps its own uv, as if installed from requirements-tools.txt."""
    _program(clone / ".tools/bin/uv", UV.format(python=sys.executable))
    digest = hashlib.sha256((clone / "requirements-tools.txt").read_bytes()).hexdigest()
    (clone / ".tools/.made-from").write_text(f"{digest}  -\n")  # as sha256sum says it
    return clone / ".tools/asked"


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a bare shell would: no locale, an empty home, the system's path."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    bare = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(home)}
    return subprocess.run(
        command, check=False, cwd=folder, env=bare | variables, capture_output=True, text=True, timeout=200
    )


def test_fresh_secrets_are_strong_private_and_accepted(clone):
    run(clone, "scripts/setup.sh", "env").check_returncode()
    secrets = dotenv_values(clone / ".env")
    assert stat.S_IMODE((clone / ".env").stat().st_mode) == 0o600
    assert len(secrets["AIRFLOW__API_AUTH__JWT_SECRET"] or "") >= 64  # Airflow signs with HS512
    assert (
        len(base64.urlsafe_b64decode(secrets["AIRFLOW__CORE__FERNET_KEY"] or "")) == 32
    )  # Fernet specification
    assert Settings(_env_file=clone / ".env").token_key.get_secret_value() == secrets["LAPWING_TOKEN_KEY"]


def test_two_copies_share_no_secret_and_an_existing_file_is_kept(clone):
    run(clone, "scripts/setup.sh", "env").check_returncode()
    first = (clone / ".env").read_text()
    run(clone, "scripts/setup.sh", "env").check_returncode()
    assert (clone / ".env").read_text() == first
    (clone / ".env").rename(clone / "kept")
    run(clone, "scripts/setup.sh", "env").check_returncode()
    second = dotenv_values(clone / ".env")
    shared = {name for name, value in dotenv_values(clone / "kept").items() if second[name] == value}
    assert shared == {"LAPWING_REPLAY", "LAPWING_APPROVER"}  # those that are no secrets


def test_a_python_that_exists_but_does_not_run_is_passed_over(clone):
    shims = clone / "shims"
    for name in ("python3.12", "python3.13", "python3"):
        _program(shims / name, "#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    path = f"{shims}:{Path(sys.executable).parent}:/usr/bin:/bin"
    run(clone, "scripts/setup.sh", "env", PATH=path).check_returncode()
    assert (clone / ".env").exists()


def test_a_named_python_that_is_none_is_refused_in_one_sentence(clone):
    done = run(clone, "scripts/setup.sh", "env", PYTHON="/bin/false")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "setup: PYTHON=/bin/false is no Python 3.11, 3.12 or 3.13 that runs; name another or leave PYTHON out."
    )


def test_set_up_installs_by_hash_once_and_again_only_when_the_lock_changed(clone, fake_uv):
    done = run(clone, "scripts/setup.sh", PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    asked = fake_uv.read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["venv", "pip"]
    assert "--require-hashes requirements.txt" in asked[1]
    assert (clone / ".env").exists()

    began = time.monotonic()
    again = run(clone, "scripts/setup.sh")
    assert time.monotonic() - began < 1
    assert again.stderr.strip() == "setup: up to date"
    assert fake_uv.read_text().splitlines() == asked

    with (clone / "requirements.txt").open("a") as lock:
        lock.write("# a new line\n")
    run(clone, "scripts/setup.sh", PYTHON=sys.executable).check_returncode()
    assert [line.split()[0] for line in fake_uv.read_text().splitlines()] == ["venv", "pip", "pip"]


@pytest.mark.parametrize("part", ["peers", "spark"])
def test_peers_and_spark_get_environments_of_their_own_and_leave_ours_alone(clone, fake_uv, part):
    lock = f"requirements-{part}.txt"
    done = run(clone, "scripts/setup.sh", part, PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    asked = fake_uv.read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["venv", "pip"]
    assert f"--python .tools/{part}/bin/python" in asked[1]
    assert asked[1].endswith(f"--build-constraints {lock} --require-hashes {lock}")
    assert not (clone / ".venv").exists()
    assert not (clone / ".env").exists()

    again = run(clone, "scripts/setup.sh", part)
    assert (again.returncode, again.stderr) == (0, "")
    assert fake_uv.read_text().splitlines() == asked

    with (clone / lock).open("a") as file:
        file.write("# a new line\n")
    run(clone, "scripts/setup.sh", part, PYTHON=sys.executable).check_returncode()
    assert [line.split()[0] for line in fake_uv.read_text().splitlines()] == ["venv", "pip", "pip"]


def test_tests_are_run_when_peers_and_exim_are_there(clone):
    recipe = _recipe(clone, "test")
    assert 0 < recipe.find("scripts/setup.sh peers") < recipe.find("-m pytest")
    assert 0 < recipe.find("scripts/setup.sh exim") < recipe.find("-m pytest")


def _recipe(folder: Path, target: str) -> str:
    return (folder / "Makefile").read_text().partition(f"\n{target}:")[2].partition("\n\n")[0]


def test_only_its_own_target_sets_spark_up_and_runs_what_needs_it(clone):
    assert "spark" not in _recipe(clone, "test") + (clone / ".ci/run").read_text()
    assert (
        0
        < _recipe(clone, "test-spark").find("setup.sh spark")
        < _recipe(clone, "test-spark").find("-m pytest")
    )
    for name in ("tests/test_ours.py", "tests/spark/test_theirs.py"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text("def test_a_thing_holds():\n    pass\n")
    settings = ["-c", str(PROJECT / "pyproject.toml"), "--rootdir", str(clone), "-p", "no:cacheprovider"]

    def collected(folder: str) -> list[str]:
        command = [sys.executable, "-m", "pytest", *settings, "--collect-only", "-q", folder]
        return [line for line in run(clone, *command).stdout.splitlines() if "::" in line]

    assert collected("tests") == ["tests/test_ours.py::test_a_thing_holds"]
    assert collected("tests/spark") == ["tests/spark/test_theirs.py::test_a_thing_holds"]


def test_a_failed_install_is_told_and_not_taken_for_done(clone, fake_uv):
    _program(
        clone / ".tools/bin/uv",
        UV.format(python=sys.executable) + "if [[ $1 == pip ]]; then echo 'no space left'; exit 2; fi\n",
    )
    done = run(clone, "scripts/setup.sh", PYTHON=sys.executable)
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert "failed; the lines above are the end of .tools/setup.log." in done.stderr
    assert run(clone, "scripts/setup.sh", PYTHON=sys.executable).returncode == 1


def test_the_command_says_what_to_do_where_nothing_is_set_up(clone):
    done = run(clone, "bin/lapwing", "--help")
    assert done.returncode == 2
    assert done.stderr == f"lapwing: no environment yet; run 'make setup' in {clone}\n"


def test_make_alone_lists_every_target_with_its_line(clone):
    listed = run(clone, "make").stdout
    targets = set(re.findall(r"^([a-z-]+):", (clone / "Makefile").read_text(), re.M))
    assert targets >= {"setup", "demo", "up", "test", "check", "lock", "screenshots", "clean"}
    assert {line.split()[1] for line in listed.splitlines() if line.startswith("  make ")} == targets


@pytest.mark.parametrize(
    ("given", "missing", "first"),
    [([], 8, "chromium"), (["system-packages-spark.txt"], 1, "default-jre-headless")],
)
def test_system_packages_that_may_not_be_installed_are_told_not_fatal(clone, given, missing, first):
    stubs = clone / "stubs"
    _program(stubs / "dpkg-query", "#!/bin/sh\nexit 1\n")  # nothing is installed
    _program(stubs / "apt-get", "#!/bin/sh\nexit 100\n")  # and nothing can be
    _program(stubs / "sudo", "#!/bin/sh\nexit 1\n")
    _program(stubs / "debconf-set-selections", "#!/bin/sh\ncat >/dev/null\n")
    done = run(clone, "scripts/system_packages.sh", *given, PATH=f"{stubs}:/usr/bin:/bin")
    assert done.returncode == 0
    assert len(re.findall(r"^  missing ", done.stderr, re.M)) == missing
    assert f"By hand: sudo apt-get install --no-install-recommends {first}" in done.stderr


def test_exim_that_cannot_be_downloaded_is_told_and_not_fatal(clone):
    _program(clone / "stubs/apt-get", "#!/bin/sh\nexit 100\n")
    done = run(clone, "scripts/setup.sh", "exim", PATH=f"{clone / 'stubs'}:/usr/bin:/bin")
    assert done.returncode == 0
    assert "the tests that send to it cannot run" in done.stderr
    assert not (clone / ".tools/exim").exists()


def test_every_tool_that_tests_may_need_has_its_package_in_the_list():
    lines = (PROJECT / "system-packages.txt").read_text().splitlines()
    listed = {line.split()[0] for line in lines if line and not line.startswith("#")}
    packages = {
        "postgresql": "postgresql",
        "chromium": "chromium",
        "smtp-sink": "postfix",
        "postfix": "postfix",
        "dovecot": "dovecot-imapd",
        "mail-dkim": "libmail-dkim-perl",
        "spamassassin": "spamassassin",
    }
    assert set(packages) | {"peers", "exim"} == set(TOOLS)  # those scripts/setup.sh makes
    assert set(packages.values()) <= listed
    assert all(" # " in line for line in lines if line and not line.startswith("#"))  # what it is for


def test_a_test_without_its_tool_is_reported_as_not_run(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import *\nfrom tests import conftest\n"
        "conftest.TOOLS['chromium'] = ('no-such-browser', '/nowhere')\n"
    )
    (tmp_path / "test_page.py").write_text(
        "import pytest\n\n"
        "@pytest.mark.needs('chromium')\n"
        "def test_a_page_opens():\n    raise AssertionError\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(PROJECT / "pyproject.toml"),
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(tmp_path)],
        check=False,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "not run: needs chromium: test_page.py::test_a_page_opens" in done.stdout, (
        done.stdout + done.stderr
    )
    assert "1 skipped" in done.stdout


CLOSING = "@echo '=== 3 passed in 0.1s ==='"


@pytest.mark.parametrize(
    ("test_recipe", "check_recipe", "expected"),
    [
        (CLOSING, CLOSING, 0),
        ("@echo '=== 1 failed in 0.1s ==='; exit 1", CLOSING, 1),
        (CLOSING, "@exit 2", 1),
        ("@echo 'not run: needs chromium: a'; echo '=== 3 passed in 0.1s ==='", CLOSING, 1),
        ("@true", "@true", 1),  # nothing was tested
    ],
)
def test_the_run_that_decides_fails_for_failures_and_for_what_was_not_run(
    clone, test_recipe, check_recipe, expected
):
    (clone / "Makefile").write_text(f"test:\n\t{test_recipe}\ncheck:\n\t{check_recipe}\n")
    done = run(clone, "bash", ".ci/run", CI="true")
    assert done.returncode == expected, done.stdout
    if "===" in test_recipe:
        assert re.search(r"=== \d (passed|failed) in 0.1s ===", done.stdout.partition("closing lines")[2])


def test_the_example_of_settings_shows_every_setting_with_its_default(monkeypatch):
    example = dotenv_values(PROJECT / ".env.example")
    named = {name.removeprefix("LAPWING_").lower() for name in example if name.startswith("LAPWING_")}
    assert named == set(Settings.model_fields)
    given = {name: value for name, value in example.items() if name != "LAPWING_TOKEN_KEY"}
    for name, value in given.items():
        monkeypatch.setenv(name, value or "")
    monkeypatch.setenv("LAPWING_TOKEN_KEY", "k" * 40)
    shown = Settings(_env_file=None)
    for name in given:
        monkeypatch.delenv(name)
    assert shown == Settings(_env_file=None)


def _asked_for(lock: str) -> list[str]:
    lines = (PROJECT / lock).with_suffix(".in").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("lock", "at_least"),
    [("requirements.txt", 30), ("requirements-peers.txt", 1), ("requirements-spark.txt", 3)],
)
def test_the_lock_holds_every_requirement_at_the_version_asked_for(lock, at_least):
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (PROJECT / lock).read_text(), re.M))
    asked = [line.partition("==") for line in _asked_for(lock)]
    assert len(asked) >= at_least
    for words, _, version in asked:
        name = words.partition("[")[0].lower()
        assert name in locked
        assert version in ("", locked[name])


def test_every_requirement_is_defended_in_the_decision():
    page = (PROJECT / "docs/decisions/0002-dependencies.md").read_text()
    names = {line.partition("==")[0].partition("[")[0] for lock in LOCKS for line in _asked_for(lock)}
    assert names == set(re.findall(r"^\| `([\w.-]+)` \|", page, re.M))


def test_the_network_is_out_of_reach_for_tests():
    with socket.socket() as stranger, pytest.raises(PermissionError, match=r"may not reach 192\.0\.2\.1"):
        stranger.connect(("192.0.2.1", 80))  # RFC 5737: an address that is nobody's


def test_no_telemetry_and_no_setting_of_a_person_reaches_the_tests():
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert not [name for name in os.environ if name.startswith("LAPWING_")]
