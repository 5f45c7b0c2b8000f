"""What every test shares: an environment without telemetry, no network, settings of its own, and tools it needs.

A test that needs a system package, the environment of the peers we are compared with, or root's rights, says so:
`@pytest.mark.needs("chromium")`, `@pytest.mark.needs("peers")`, `@pytest.mark.needs("root")`. Where that is absent the
test is skipped and the run closes with a line `not run: needs chromium: <test>`, which `.ci/run` counts as a failure.
"""

import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.settings import PROJECT, Settings
from tests.faults.postgresql import new_database, running_postgresql

TEST_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "OMP_NUM_THREADS": "1",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    # Throw-away secrets, so that no test reads the .env of whoever runs it.
    "AIRFLOW__API_AUTH__JWT_SECRET": "a secret for tests only " * 4,
    "AIRFLOW__API__SECRET_KEY": "a secret for tests only " * 4,
    "AIRFLOW__CORE__FERNET_KEY": "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=",
}
TOOLS = {
    "postgresql": ("initdb", "/usr/lib/postgresql/*/bin"),
    "chromium": ("chromium", "/usr/bin"),
    "smtp-sink": ("smtp-sink", "/usr/sbin"),
    "postfix": ("postfix", "/usr/sbin"),
    "exim": ("usr/sbin/exim4", f"{PROJECT}/.tools/exim"),  # made by `scripts/setup.sh exim`
    "dovecot": ("dovecot", "/usr/sbin"),
    "spamassassin": ("SpamAssassin.pm", "/usr/share/perl5/Mail"),
    "mail-dkim": ("DKIM.pm", "/usr/share/perl5/Mail"),
    "peers": ("peers/bin/python", f"{PROJECT}/.tools"),  # made by `scripts/setup.sh peers`
}
NOT_RUN = pytest.StashKey[list[str]]()
AIRFLOW_HOME = pytest.StashKey[str]()


def locate(tool: str) -> Path | None:
    """Return the program that stands for what a test needs, or None where it is not installed."""
    if tool == "root":
        return Path("/root") if os.geteuid() == 0 else None
    program, folder = TOOLS[tool]
    on_path = shutil.which(program)
    if on_path:
        return Path(on_path)
    root = Path("/")
    found = sorted(root.glob(f"{folder.lstrip('/')}/{program}"))
    return found[-1] if found else None


def pytest_configure(config: pytest.Config) -> None:
    for name in [name for name in os.environ if name.startswith(("LAPWING_", "AIRFLOW_"))]:
        del os.environ[name]
    os.environ.update(TEST_ENVIRONMENT)
    config.stash[NOT_RUN] = []
    # Whoever imports Airflow in this process writes here, never into the home of a person.
    config.stash[AIRFLOW_HOME] = os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="lapwing-airflow-")
    refuse_the_network()


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[AIRFLOW_HOME], ignore_errors=True)


FIRST = ("journeys", "dbt_project", "faults", "campaigns")
"""Folders whose files take minutes. They start first, so that two processes end at nearly the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folders = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: folders.get(item.path.parent.name, len(folders)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for tool in marker.args:
            if locate(tool) is None:
                item.config.stash[NOT_RUN].append(f"not run: needs {tool}: {item.nodeid}")
                pytest.skip(f"needs {tool}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in terminalreporter.config.stash[NOT_RUN]:
        terminalreporter.write_line(line, red=True)


def refuse_the_network() -> None:
    """Let sockets of this process reach this machine only."""
    for name in ("connect", "connect_ex"):
        setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


def _guarded(connect: Callable[..., object]) -> Callable[..., object]:
    def guarded(self: socket.socket, address: object, *rest: object) -> object:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0] if isinstance(address, tuple) else address
            if not _is_loopback(str(host)):
                raise PermissionError(f"a test may not reach {host}: only this machine")
        return connect(self, address, *rest)

    return guarded


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: resolving it would already ask the network
        return False


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose every file is in the test's own folder; nothing is read from the environment or .env."""
    return Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40)


@pytest.fixture(scope="session")
def tool_path() -> Callable[[str], Path]:
    """Return the program of a tool named in `needs`."""

    def find(tool: str) -> Path:
        program = locate(tool)
        assert program is not None, f"mark the test with @pytest.mark.needs({tool!r})"
        return program

    return find


@pytest.fixture(scope="session")
def postgresql(tool_path: Callable[[str], Path]) -> Iterator[Path]:
    """Run a PostgreSQL server of the tests' own; return the folder of its socket."""
    with running_postgresql(tool_path("postgresql").resolve().parent) as folder:
        yield folder


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty ledger: what is promised of a ledger is tried on both databases."""
    if request.param == "postgresql":
        return new_database(request.getfixturevalue("postgresql"))
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
