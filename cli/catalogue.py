"""The local services: what each runs, where it listens, and how it says that it is ready."""

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from cli.airflow_home import ADMIN, ensure_password
from cli.environment import HOST, airflow_home, variable
from core.settings import LOOPBACK, Settings


@dataclass(frozen=True)
class Service:
    """A program that is started, watched and stopped.

    `port` is the one it listens on and `port_setting` what moves it; `address` and `login` are printed for a person.
    """

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    address: str = ""
    login: Callable[[], str] = lambda: "none needed"
    port: int | None = None
    port_setting: str = ""


def services(settings: Settings) -> list[Service]:
    """Return every local service, in the order in which they are started.

    What the settings place elsewhere (a mail provider, an MLflow server) is not started here.
    """
    found = [_tracking(settings), _console(settings)]
    if settings.mailer == "smtp" and settings.smtp_host in LOOPBACK:
        found.insert(0, _inbox(settings))
    if not settings.mlflow.startswith("http"):
        found.append(_mlflow(settings))
    return found + _airflow(settings)


def _inbox(settings: Settings) -> Service:
    port = settings.smtp_port
    return Service(
        name="inbox",
        command=_lapwing("inbox", "serve"),
        is_ready=lambda: _greets(port),
        address=f"smtp://{HOST}:{port}",
        login=lambda: "none; its mails are in the console",
        port=port,
        port_setting="LAPWING_SMTP_PORT",
    )


def _tracking(settings: Settings) -> Service:
    return _page("tracking", settings.tracking_url, 8180, "LAPWING_TRACKING_URL")


def _console(settings: Settings) -> Service:
    return _page("console", settings.console_url, 8190, "LAPWING_CONSOLE_URL")


def _page(name: str, url: str, usual_port: int, setting: str) -> Service:
    """Return one of our own HTTP services; it listens here on the port of its public address, if that names one."""
    port = urlsplit(url).port or usual_port
    return Service(
        name=name,
        command=_lapwing(name, "serve"),
        is_ready=lambda: _answers(f"http://{HOST}:{port}/health"),
        address=url,
        port=port,
        port_setting=f"{setting}=http://{HOST}:PORT",
    )


def _mlflow(settings: Settings) -> Service:
    port = int(variable("MLFLOW_PORT", "5000"))
    store = ("--backend-store-uri", settings.mlflow)
    artifacts = ("--artifacts-destination", str(settings.data_dir / "mlflow_artifacts"))
    # One worker and no job runners: 0.4 GB instead of 1.4.
    variables = ("env", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", sys.executable, "-m", "mlflow", "server")
    return Service(
        name="mlflow",
        command=(*variables, "--host", HOST, "--port", str(port), "--workers", "1", *store, *artifacts),
        is_ready=lambda: _answers(f"http://{HOST}:{port}/health"),
        address=f"http://{HOST}:{port}",
        port=port,
        port_setting="MLFLOW_PORT",
    )


def _airflow(settings: Settings) -> list[Service]:
    """Return Airflow's four parts, one program each.

    `airflow standalone` would start the same four, but opens log servers on every address of the machine, and
    leaves its children behind when it is ended by SIGTERM. The API server reads the log files itself.
    """
    port = int(variable("AIRFLOW__API__PORT", "8080"))
    address = f"http://{HOST}:{port}"
    api = Service(
        name="airflow",
        command=_airflow_command("api-server"),
        is_ready=lambda: _answers(f"{address}/api/v2/monitor/health"),
        address=address,
        login=lambda: f"{ADMIN} / {ensure_password(airflow_home(settings))}",
        port=port,
        port_setting="AIRFLOW__API__PORT",
    )
    parts = {
        "scheduler": ("scheduler", "--skip-serve-logs"),
        "dag_processor": ("dag-processor",),
        "triggerer": ("triggerer", "--skip-serve-logs"),
    }
    return [
        api,
        *(
            Service(f"airflow-{words[0]}", _airflow_command(*words), _reports_healthy(address, part))
            for part, words in parts.items()
        ),
    ]


def _lapwing(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "cli", *words)


def _airflow_command(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "airflow", *words)


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _reports_healthy(address: str, part: str) -> Callable[[], bool]:
    def is_healthy() -> bool:
        import httpx

        try:
            report = httpx.get(f"{address}/api/v2/monitor/health", timeout=5, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            return False
        return bool(report.get(part, {}).get("status") == "healthy")

    return is_healthy


def _greets(port: int) -> bool:
    """Say whether an SMTP server greets on the port (RFC 5321: 220)."""
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False
