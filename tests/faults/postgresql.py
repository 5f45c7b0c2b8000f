"""A PostgreSQL server of the tests' own: started in a temporary folder, reachable by a socket there, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text

_NUMBERS = count()


@contextmanager
def running_postgresql(programs: Path) -> Iterator[Path]:
    """Run the server whose programs lie in a folder; yield the folder of its socket.

    PostgreSQL refuses to run as root, so root lends it to an unprivileged user.
    """
    folder = Path(tempfile.mkdtemp(prefix="lapwing-pg-"))
    user = None
    if os.geteuid() == 0:
        user = next(name for name in ("postgres", "nobody") if _exists(name))
        shutil.chown(folder, user)
    data = folder / "data"
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    start = [programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "-o", options, "start"]
    _run([programs / "initdb", "-D", data, "-A", "trust", "-U", "lapwing", "--no-sync"], user, folder)
    _run(start, user, folder)
    try:
        yield folder
    finally:
        _run([programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], user, folder)
        shutil.rmtree(folder)


def new_database(folder: Path) -> str:
    """Make an empty database on the server with a socket in `folder`; return its SQLAlchemy address."""
    name = f"ledger_{next(_NUMBERS)}"
    server = create_engine(
        f"postgresql+psycopg2://lapwing@/postgres?host={folder}", isolation_level="AUTOCOMMIT"
    )
    with server.connect() as connection:
        connection.execute(text(f"create database {name}"))
    server.dispose()
    return f"postgresql+psycopg2://lapwing@/{name}?host={folder}"


def _run(command: list[object], user: str | None, folder: Path) -> None:
    words = [str(word) for word in command]
    group = None if user is None else pwd.getpwnam(user).pw_gid
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        timeout=60,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _exists(user: str) -> bool:
    return any(entry.pw_name == user for entry in pwd.getpwall())
