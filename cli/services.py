"""Runs the local services: all of them for `make up`, some of them for the time of a demo.

`airflow_environment` is the one place that says how Airflow and our services are set up on one machine.
"""

import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from campaigns.migrate import migrate
from cli.catalogue import Service, services
from cli.environment import HOST, airflow_environment
from cli.processes import Processes, ended_by_signals
from core.errors import ServiceFailed
from core.settings import Settings

__all__ = ["Service", "airflow_environment", "prepare_airflow", "run_all", "running", "services"]

READY_SECONDS = 180  # a first start on a busy two-core machine takes a minute; three times that is a hang


@contextmanager
def running(settings: Settings, names: Sequence[str]) -> Iterator[Processes]:
    """Run some services while the body runs; yield what can start more programs beside them.

    Raises
    ------
    ServiceFailed
        If a port is taken, another command works in the same data folder, or a service does not come up.
    """
    known = {service.name: service for service in services(settings)}
    wanted = [known[name] for name in names]
    with ended_by_signals(), Processes(settings.data_dir, airflow_environment(settings)) as processes:
        _require_free_ports(wanted)
        migrate(settings.ledger)  # the tracking service is healthy only once it can read the ledger
        for service in wanted:
            processes.start(service.name, service.command)
        _wait(processes, wanted, show=lambda _text, _is_news: None)
        yield processes


def run_all(settings: Settings, console: Console | None = None) -> None:
    """Start every service, print where they are and how to log in, and wait until Ctrl-C or SIGTERM.

    Raises
    ------
    ServiceFailed
        If a port is taken, another command works in the same data folder, or a service does not come up or ends.
    """
    out = console or Console(soft_wrap=True)
    with ended_by_signals(), Processes(settings.data_dir, airflow_environment(settings)) as processes:
        wanted = services(settings)
        try:
            _require_free_ports(wanted)
            migrate(settings.ledger)
            _make_model_store(settings)
            _start_all(processes, wanted, out)
            out.print(_table(wanted))
            out.print(f"Logs: {processes.log('*')}. Ctrl-C stops everything.")
            while True:
                processes.check()
                time.sleep(0.5)
        except (KeyboardInterrupt, SystemExit):
            out.print("\nStopping …")
    out.print("Everything is stopped.")


def prepare_airflow(processes: Processes) -> Callable[[], None]:
    """Begin to make Airflow's database, pool and login in the data folder; fail runs that a killed process left running.

    What is returned waits for the end of it, and raises ServiceFailed, naming the log, if Airflow could not do so.
    """
    processes.start("airflow-prepare", (sys.executable, "-m", "cli.airflow_home", "--fail-leftovers"))

    def wait() -> None:
        if processes.wait("airflow-prepare") != 0:
            raise ServiceFailed(
                f"Airflow's home could not be prepared; see {processes.log('airflow-prepare')}"
            )

    return wait


def _make_model_store(settings: Settings) -> None:
    """Make MLflow's file where there is none: a server that is killed while it makes one leaves it unusable."""
    if not (settings.data_dir / "mlflow.sqlite").exists():
        from ml.registry import Registry  # MLflow takes seconds to import

        Registry(settings).make_store()


def _start_all(processes: Processes, wanted: list[Service], out: Console) -> None:
    """Start our own services and MLflow, prepare Airflow meanwhile, then start it; wait for all."""
    of_airflow = [service for service in wanted if service.name.startswith("airflow")]
    for service in wanted:
        if service not in of_airflow:
            processes.start(service.name, service.command)
    with out.status("preparing Airflow") as status:
        if of_airflow:
            prepare_airflow(processes)()
        for service in of_airflow:
            processes.start(service.name, service.command)

        def show(text: str, is_news: bool) -> None:
            status.update(text)
            if is_news and not out.is_terminal:
                out.print(text)

        _wait(processes, wanted, show)


def _wait(processes: Processes, wanted: list[Service], show: Callable[[str, bool], None]) -> None:
    """Wait until every service is ready; `show` gets a line and whether it tells more than the time."""
    began, waiting = time.monotonic(), list(wanted)
    while waiting:
        processes.check()
        awaited = [service for service in waiting if not service.is_ready()]
        seconds, is_news, waiting = time.monotonic() - began, awaited != waiting, awaited
        if not waiting:
            return
        show(f"{seconds:.0f} s: waiting for {', '.join(service.name for service in waiting)}", is_news)
        if seconds > READY_SECONDS:
            late = waiting[0].name
            raise ServiceFailed(f"{late} was not ready after {READY_SECONDS} s; see {processes.log(late)}")
        time.sleep(0.2)


def _require_free_ports(wanted: list[Service]) -> None:
    for service in wanted:
        if service.port is not None and not _is_free(service.port):
            raise ServiceFailed(
                f"port {service.port} ({service.name}) is in use by another program: stop that, or choose "
                f"another port with {service.port_setting}"
            )


def _table(wanted: list[Service]) -> Table:
    table = Table("service", "address", "login", title="Lapwing is up, on this machine only")
    for service in wanted:
        if service.address:
            table.add_row(service.name, service.address, service.login())
    return table


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
