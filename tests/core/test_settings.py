"""A wrong setting is named by its variable and never shown; a right one is read once and stays."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.errors import SettingsError
from core.settings import PROJECT, Settings, load_settings


@pytest.fixture
def environment(monkeypatch):
    """Set variables; nobody's .env is read."""
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("LAPWING_TOKEN_KEY", "k" * 40)

    def set_to(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"LAPWING_{name}", value)

    return set_to


def test_settings_come_from_the_environment(environment):
    environment(SMTP_PORT="2525", REPLAY="true", DATA_DIR="/somewhere/else", SHOP_TIME_ZONE="Europe/Berlin")
    settings = load_settings()
    assert (settings.smtp_port, settings.replay, settings.shop_time_zone) == (2525, True, "Europe/Berlin")
    assert settings.warehouse == Path("/somewhere/else/warehouse.duckdb")
    assert settings.ledger == "sqlite:////somewhere/else/ledger.sqlite"
    assert settings.mlflow == "sqlite:////somewhere/else/mlflow.sqlite"


def test_stores_elsewhere_win_over_files(environment):
    environment(LEDGER_URL="postgresql+psycopg2://db/lapwing", MLFLOW_URL="http://mlflow:5000")
    settings = load_settings()
    assert settings.ledger == "postgresql+psycopg2://db/lapwing"
    assert settings.mlflow == "http://mlflow:5000"


def test_a_relative_data_folder_is_the_projects_wherever_the_command_runs(environment, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_settings().data_dir == PROJECT / "data"
    environment(DATA_DIR="elsewhere")
    assert load_settings().data_dir == PROJECT / "elsewhere"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKEN_KEY", "too-short-a-secret"),
        ("SMTP_PORT", "not-a-port"),
        ("SMTP_PORT", "70000"),
        ("SHOP_TIME_ZONE", "Mars/Olympus"),
        ("SHOP_TIME_ZONE", "../../etc/shadow"),
        ("REPLAY", "perhaps"),
        ("PAUSE_AFTER_ERRORS", "0"),
        ("CHURN_HORIZON_DAYS", "four"),
        ("SMTP_STARTTLS", "perhaps"),
        ("DKIM_DOMAIN", "Juniper Market"),
        ("BOUNCE_DOMAIN", "bounces@juniper.example"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable_and_not_shown(environment, name, value):
    environment(**{name: value})
    with pytest.raises(SettingsError) as error:
        load_settings()
    message = str(error.value)
    assert message.startswith(f"LAPWING_{name}: ")
    assert message.endswith(" (see .env.example)")
    assert value not in message.removesuffix(" (see .env.example)") or value == "0"
    assert "\n" not in message


def test_a_missing_secret_is_named(environment, monkeypatch):
    monkeypatch.delenv("LAPWING_TOKEN_KEY")
    with pytest.raises(SettingsError, match=r"^LAPWING_TOKEN_KEY: Field required \(see \.env\.example\)$"):
        load_settings()


def test_a_replay_may_mail_this_machine_only(environment):
    environment(REPLAY="true", SMTP_HOST="mail.shop.example")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert "LAPWING_REPLAY" in str(error.value)
    assert "LAPWING_SMTP_HOST" in str(error.value)
    assert "shop.example" not in str(error.value)
    for here in ("127.0.0.1", "::1", "localhost"):
        environment(SMTP_HOST=here)
        assert load_settings().replay


def test_settings_cannot_be_changed_and_show_no_secret(settings):
    with pytest.raises(ValidationError, match="frozen"):
        settings.replay = True
    assert "k" * 40 not in repr(settings) + str(settings) + str(settings.model_dump())


@pytest.mark.parametrize(
    ("approver", "replay", "present"),
    [("", True, ""), ("demo", True, "demo"), ("demo", False, ""), ("ada", False, "ada")],
)
def test_the_approver_of_the_demo_approves_no_real_mail(settings, approver, replay, present):
    named = settings.model_copy(update={"approver": approver, "replay": replay})
    assert named.present_approver == present
