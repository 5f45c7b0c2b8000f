"""The environment in which Airflow, its tasks and our services run on one machine. Nothing else sets it."""

import os
import sys
from pathlib import Path

from pydantic import SecretStr

from core.errors import SettingsError
from core.settings import PROJECT, Settings

HOST = "127.0.0.1"
AIRFLOW_SECRETS = ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__CORE__FERNET_KEY")
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the whole environment of a program that runs Airflow, its tasks or another of our services.

    The caller's own environment, these settings as `LAPWING_*`, and Airflow set up small, quick, silent and on
    loopback. Airflow's secrets come from the environment or from `.env`.

    Raises
    ------
    SettingsError
        If one of those secrets is nowhere.
    """
    port = variable("AIRFLOW__API__PORT", "8080")
    python_path = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    return {
        **os.environ,
        **_as_variables(settings),
        **{name: _secret(name) for name in AIRFLOW_SECRETS},
        **NO_TELEMETRY,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": python_path,
        "OMP_NUM_THREADS": "1",  # OpenMP's default is 100 times slower on a busy small machine
        "OPENBLAS_NUM_THREADS": "1",
        "AIRFLOW_HOME": str(airflow_home(settings)),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        # Replayed days are asked for one by one; the schedule would run today, of which a shop of 2017 knows nothing.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": str(not settings.replay),
    }


def airflow_home(settings: Settings) -> Path:
    return settings.data_dir / "airflow"


def _as_variables(settings: Settings) -> dict[str, str]:
    """Return the settings as the environment variables that make the same settings again."""
    return {f"LAPWING_{name.upper()}": _text(value) for name, value in settings.model_dump().items()}


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def variable(name: str, default: str = "") -> str:
    """Return a variable from the environment, else from `.env`, else the default."""
    from dotenv import dotenv_values

    return os.environ.get(name) or dotenv_values(PROJECT / ".env").get(name) or default


def _secret(name: str) -> str:
    value = variable(name)
    if not value:
        raise SettingsError(f"{name} is missing: `make setup` writes it into .env where there is none yet")
    return value
