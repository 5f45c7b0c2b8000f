"""docker-compose.yml agrees with the code. No container is started here: its words are held against ours."""

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from core.settings import PROJECT, Settings
from deploy.healthy import is_well

COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
ONCE = {"airflow-init", "ledger-init"}  # they end; others wait for their success
OTHERS_IMAGES = {"postgres", "redis"}
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::([?-])([^}]*))?\}")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|FERNET|_KEY$")


def environment(name: str) -> dict[str, str]:
    return SERVICES[name].get("environment", {})


def interpolated(text: str, env_file: dict[str, str]) -> str:
    """Compose's own rules: ${X:?message} must be there, ${X:-default} need not, $$ is a dollar."""

    def value(found: re.Match[str]) -> str:
        name, sign, rest = found.groups()
        return env_file[name] if sign == "?" else env_file.get(name) or rest or ""

    return VARIABLE.sub(value, text).replace("$$", "$")


@pytest.fixture(scope="module")
def env_file(tmp_path_factory) -> dict[str, str]:
    """What `scripts/setup.sh env` writes in a fresh clone."""
    clone = tmp_path_factory.mktemp("clone")
    (clone / "scripts").mkdir()
    shutil.copy(PROJECT / "scripts" / "setup.sh", clone / "scripts")
    subprocess.run(["bash", "scripts/setup.sh", "env"], cwd=clone, check=True, capture_output=True)
    assert (clone / ".env").stat().st_mode & 0o777 == 0o600
    lines = (line for line in (clone / ".env").read_text().splitlines() if not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_every_part_of_the_platform_is_there():
    assert set(SERVICES) == {
        "postgres", "redis", "mlflow", "tracking", "console", "inbox", *ONCE,
        "airflow", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "airflow-worker",
    }  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check_or_ends_by_itself(name):
    service = SERVICES[name]
    assert ("healthcheck" in service) != (name in ONCE)
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_the_health_or_the_success_of_what_it_needs(name):
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ONCE else "service_healthy"
        assert how == {"condition": expected}, needed
        assert ("healthcheck" in SERVICES[needed]) or needed in ONCE


@pytest.mark.parametrize("name", sorted(set(SERVICES) - OTHERS_IMAGES))
def test_every_command_is_one_the_code_knows(name):
    program, *words = SERVICES[name]["command"]
    assert KNOWS[program](words), SERVICES[name]["command"]


def airflow_knows(words: list[str]) -> bool:
    from airflow.cli.cli_parser import get_parser

    return callable(get_parser().parse_args(words).func)


def lapwing_knows(words: list[str]) -> bool:
    from typer.main import get_command

    from cli.app import app

    command, context = get_command(app), None
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    context = command.make_context("lapwing", list(words))  # raises for an option that does not exist
    return not context.args


def mlflow_knows(words: list[str]) -> bool:
    from mlflow.cli import cli

    assert words[0] == "server"
    context = cli.commands["server"].make_context("mlflow", words[1:])
    return not context.args


def python_knows(words: list[str]) -> bool:
    assert words[0] == "-m"
    return (PROJECT / (words[1].replace(".", "/") + ".py")).is_file()


KNOWS = {"airflow": airflow_knows, "lapwing": lapwing_knows, "mlflow": mlflow_knows, "python": python_knows}


@pytest.mark.parametrize(
    "command", [["airflow", "web"], ["lapwing", "fly"], ["lapwing", "inbox", "serve", "--fast"]]
)
def test_a_command_that_does_not_exist_would_be_found(command):
    with pytest.raises((SystemExit, Exception)) as raised:  # three libraries, three kinds
        KNOWS[command[0]](command[1:])
    assert not isinstance(raised.value, AssertionError)


def test_every_port_is_bound_to_this_machine_and_is_the_one_listened_on():
    usual = Settings(_env_file=None, token_key="k" * 40)
    expected = {
        "airflow": 8080,
        "mlflow": 5000,
        "tracking": urlsplit(usual.tracking_url).port,
        "console": urlsplit(usual.console_url).port,
        "inbox": usual.smtp_port,
    }
    found = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert found == {name: [f"127.0.0.1:{port}:{port}"] for name, port in expected.items()}


def test_ports_in_commands_are_those_published():
    assert SERVICES["airflow"]["command"][-2:] == ["--port", "8080"]
    assert "--port=5000" in SERVICES["mlflow"]["command"]
    assert environment("inbox")["LAPWING_SMTP_PORT"] == "8125"


def test_every_named_volume_is_declared_and_used_where_the_code_looks():
    places: dict[str, set[str]] = {}
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source, target = mount.split(":")[:2]
            places.setdefault(source, set()).add(target)
    files = {source for source in places if source.startswith("./")}
    assert all((PROJECT / file).is_file() for file in files)
    assert set(places) - files == set(COMPOSE["volumes"])
    assert places["data"] == {environment("tracking")["LAPWING_DATA_DIR"]} == {"/app/data"}
    assert places["airflow-home"] == {environment("airflow")["AIRFLOW_HOME"]}


@pytest.mark.parametrize("name", SERVICES)
def test_whoever_writes_into_a_folder_of_the_platform_has_its_volume(name):
    mounted = {mount.split(":")[1] for mount in SERVICES[name].get("volumes", [])}
    for variable in ("LAPWING_DATA_DIR", "AIRFLOW_HOME"):
        if variable in environment(name):
            assert environment(name)[variable] in mounted


@pytest.mark.parametrize("name", sorted(set(SERVICES) - OTHERS_IMAGES))
def test_every_variable_is_one_that_somebody_reads(name):
    from airflow.configuration import conf

    own = {
        "AIRFLOW_HOME",
        "AIRFLOW_ADMIN_PASSWORD",
        "MLFLOW_BACKEND_STORE_URI",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    }
    for variable in environment(name):
        if variable.startswith("LAPWING_"):
            assert variable.removeprefix("LAPWING_").lower() in Settings.model_fields, variable
        elif variable.startswith("AIRFLOW__"):
            section, option = variable.removeprefix("AIRFLOW__").lower().split("__", 1)
            assert option in conf.configuration_description[section]["options"], variable
        else:
            assert variable in own, variable


def test_the_settings_of_the_containers_are_valid_once_the_secrets_are_there(env_file, monkeypatch):
    for name, value in environment("tracking").items():
        monkeypatch.setenv(name, interpolated(value, env_file))
    settings = Settings(_env_file=None)
    assert settings.smtp_host == "inbox"
    assert settings.ledger.endswith("@postgres/ledger")
    assert settings.mlflow == "http://mlflow:5000"


def test_defaults_said_here_are_those_of_the_settings():
    defaults = re.findall(r"\$\{LAPWING_(\w+):-([^}]*)\}", (PROJECT / "docker-compose.yml").read_text())
    assert len(defaults) == 9
    for name, value in defaults:
        assert str(Settings.model_fields[name.lower()].default) == value


def test_every_secret_comes_from_the_file_that_set_up_makes(env_file):
    required = {
        name
        for name, sign, _ in VARIABLE.findall((PROJECT / "docker-compose.yml").read_text())
        if sign == "?"
    }
    assert required == {name for name in env_file if SECRET_NAME.search(name)}
    assert all(len(env_file[name]) >= 16 for name in required)


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_in_the_file(name):
    for variable, value in environment(name).items():
        if SECRET_NAME.search(variable):
            assert VARIABLE.fullmatch(value), variable
        for password in re.findall(r"://[^:/@]*:([^@]+)@", value):
            assert VARIABLE.fullmatch(password), variable


def test_hosts_in_addresses_are_services_of_the_file():
    for name in SERVICES:
        for variable, value in environment(name).items():
            host = re.search(r"(?:@|^http://)([\w.-]+)", value)
            if host and "FROM" not in variable and host[1] != "127.0.0.1":
                assert host[1] in SERVICES, variable


def test_the_databases_that_are_used_are_made():
    script = (PROJECT / "deploy" / "databases.sql").read_text()
    made = {environment("postgres")["POSTGRES_DB"], *re.findall(r"create database (\w+);", script)}
    texts = " ".join(value for name in SERVICES for value in environment(name).values())
    assert set(re.findall(r"@postgres/(\w+)", texts)) == made == {"airflow", "mlflow", "ledger"}


def test_the_image_is_built_from_what_is_there_and_runs_as_nobody_special():
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.12-", dockerfile, re.M)
    assert re.search(r"^USER (?!root)", dockerfile, re.M)
    copied = re.findall(r"^COPY (.+) \S+$", dockerfile, re.M)
    assert copied == ["requirements.txt requirements-tools.txt", "."]
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    assert {".env", "data", ".venv"} <= set(ignored)
    needed = {"deploy", "bin", "dags", "cli", "dbt_project", "email_templates"}
    assert not needed & set(ignored)
    assert all((PROJECT / folder).is_dir() for folder in needed)


def test_health_check_scripts_are_there_and_ask_what_is_served():
    from tracking.app import create_app

    checks = {name: one["healthcheck"]["test"] for name, one in SERVICES.items() if "healthcheck" in one}
    ours = {name: test for name, test in checks.items() if test[1] == "python"}
    assert len(ours) == 8
    assert {test[2] for test in ours.values()} == {"deploy/healthy.py"}
    for name, test in ours.items():
        host = urlsplit(test[3]).hostname
        assert host in {"localhost", "airflow", name}
    app = create_app(Settings(_env_file=None, token_key="k" * 40))
    routes = {getattr(route, "path", "") for route in app.routes}
    assert urlsplit(ours["tracking"][3]).path in routes


def test_a_service_that_is_not_there_is_not_well(free_port):
    assert not is_well(f"http://127.0.0.1:{free_port}/health")
    assert not is_well(f"smtp://127.0.0.1:{free_port}")


def test_the_databases_script_is_mounted_where_postgres_reads_it():
    assert any(
        Path(mount.split(":")[1]).parent == Path("/docker-entrypoint-initdb.d")
        for mount in SERVICES["postgres"]["volumes"]
    )
