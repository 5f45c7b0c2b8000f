"""What sending costs: `python -m benchmarks.send` (`make bench-send`), beside Postfix's own client and nodemailer's pool.

Everybody sends mails of 15 kB to the same smtp-sink, by turns, each with the number of connections that suits it best. Ours are
ready bytes that go through a ledger whose every commit is on disk. Figures are medians; what counts are ratios within the run.
The whole path makes each mail from its plan row and signs it (RSA-2048) besides; all programs, and the couriers of a sender,
are there before a turn begins.
`--step memory` sends a million mails instead and watches the sender's memory.
"""

import argparse
import hashlib
import json
import logging
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from datetime import UTC, date, datetime
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from typing import IO, Any

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import create_engine, text

from benchmarks.mails import made_plan, plain_templates
from benchmarks.results import Result, write
from campaigns.couriers import Couriers, signed_mails
from campaigns.dispatch import Ready, make_ready, send_batch
from campaigns.envelope import Envelope, bare
from campaigns.ledger import DueSend, Ledger, PlannedSend, SendState
from campaigns.making import Messages
from campaigns.migrate import migrate
from core.ledger_tables import open_ledger
from core.logging import configure_logging
from core.settings import Settings

SIZE = 15_000  # bytes of a mail
CONNECTIONS = (5, 10, 20, 50, 100)
NODEMAILER = "nodemailer@10.6.0"
DAY, NOON = date(2026, 3, 2), datetime(2026, 3, 2, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 3, tzinfo=UTC)

WHOLE = "SQLite, made from plan rows and signed"
AS_SET_UP = "SQLite, connections left at their default"

Send = Callable[[int], float]
"""Sends all the mails of a turn over so many connections; returns the seconds it took."""


def main() -> None:
    """Run a step and append what was found to RESULTS.md."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.send", description=__doc__)
    options.add_argument("--step", choices=("speed", "memory"), default="speed")
    options.add_argument("--mails", type=int, help="a turn (default: 20,000); of the memory step (a million)")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--folder", type=Path, default=Path("data/benchmarks/send"), help="for ledgers")
    options.add_argument(
        "--plan", type=Path, help=argparse.SUPPRESS
    )  # what a process of ours makes mails from
    options.add_argument(
        "--sender", nargs=3, metavar=("LEDGER_URL", "PORT", "CONNECTIONS"), help=argparse.SUPPRESS
    )  # a process of ours
    chosen = options.parse_args()
    if chosen.sender:
        _send(chosen.sender[0], int(chosen.sender[1]), int(chosen.sender[2]), chosen.plan)
        return
    chosen.folder.mkdir(parents=True, exist_ok=True)
    folder = chosen.folder.resolve()
    if chosen.step == "memory":
        mails = chosen.mails or 1_000_000
        write("send, memory", f"{mails:,} mails of {SIZE:,} bytes", memory(folder, mails))
    else:
        mails = chosen.mails or 20_000
        what = f"{chosen.rounds} turns of {mails:,} mails of {SIZE:,} bytes"
        write("send", what, speed(folder, mails, chosen.rounds))


def speed(folder: Path, mails: int, rounds: int) -> Iterator[Result]:
    """Yield how many mails a second everybody sends, by turns, and our ratios."""
    with ExitStack() as ending:
        port = ending.enter_context(smtp_sink())
        contestants: dict[str, Send] = {
            "smtp-source -d": smtp_source(port, mails),
            "nodemailer's pool": nodemailer_pool(port, mails, folder),
            **ready_mails(port, mails, folder, ending),
        }
        connections = {name: best_connections(name, send) for name, send in contestants.items()}
        contestants[AS_SET_UP] = contestants["SQLite"]
        connections[AS_SET_UP] = int(Settings.model_fields["smtp_connections"].default)
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(rounds):
            for name, send in contestants.items():
                seconds[name].append(send(connections[name]))
            say(f"turn {number + 1}: { ({name: round(mails / each[-1]) for name, each in seconds.items()}) }")
    rates = {name: mails / statistics.median(each) for name, each in seconds.items()}
    for name, rate in rates.items():
        yield Result(f"{name}, {connections[name]} connections", rate, "mails/s", "no target")
    for peer, least in (("nodemailer's pool", 2), ("smtp-source -d", 0.35)):
        ratio = rates["SQLite"] / rates[peer]
        yield Result(f"SQLite / {peer}", ratio, "", f"≥ {least}", ratio >= least)
    whole = rates[WHOLE]
    yield Result(WHOLE, whole, "mails/s", "≥ 2,500", whole >= 2_500)


def ready_mails(port: int, mails: int, folder: Path, ending: ExitStack) -> dict[str, Send]:
    """Return ours: ready bytes through a ledger, by where that is and how many send."""
    sqlite, plan = SqliteLedgers(folder, mails), folder / "plan"
    whole = SqliteLedgers(folder, mails, made_sends(plan, mails))
    postgresql = PostgresqlLedgers(ending.enter_context(running_postgresql()), mails)
    return {
        "SQLite": lambda connections: sent_by(1, sqlite.new(), port, connections)[0],
        WHOLE: lambda connections: sent_by(1, whole.new(), port, connections, f"--plan={plan}")[0],
        "PostgreSQL": lambda connections: sent_by(1, postgresql.new(), port, connections)[0],
        "PostgreSQL, 2 senders": lambda connections: sent_by(2, postgresql.new(), port, connections // 2)[0],
    }


def best_connections(name: str, send: Send) -> int:
    found = {connections: send(connections) for connections in CONNECTIONS}
    best = min(found, key=lambda connections: found[connections])
    say(f"{name}: {best} connections ({ ({each: round(seconds, 2) for each, seconds in found.items()}) } s)")
    return best


# Those we are compared with


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Run Postfix's server that takes everything and keeps nothing; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with subprocess.Popen(["smtp-sink", *_as_nobody(), f"127.0.0.1:{port}", "500"]) as sink:
        try:
            _wait_until_it_listens(port)
            yield port
        finally:
            sink.terminate()


def smtp_source(port: int, mails: int) -> Send:
    """Postfix's client, every connection kept (`-d`)."""

    def send(connections: int) -> float:
        words = ["-d", "-s", connections, "-m", mails, "-l", SIZE, "-f", "hello@juniper.example"]
        words += ["-t", "reader@example.com", f"127.0.0.1:{port}"]
        began = time.perf_counter()
        subprocess.run(["smtp-source", *map(str, words)], check=True)
        return time.perf_counter() - began

    return send


def nodemailer_pool(port: int, mails: int, folder: Path) -> Send:
    """Node's best-known mailer."""
    subprocess.run(["npm", "install", "--silent", "--prefix", str(folder), NODEMAILER], check=True)
    program = Path(__file__).with_name("nodemailer_pool.cjs")

    def send(connections: int) -> float:
        words = ["node", str(program), *map(str, (port, mails, SIZE, connections))]
        environment = os.environ | {"NODE_PATH": str(folder / "node_modules")}
        return float(subprocess.run(words, check=True, stdout=subprocess.PIPE, env=environment).stdout)

    return send


# Ours


class SqliteLedgers:
    """Makes ledgers with the mails of a turn: copies of one."""

    def __init__(self, folder: Path, mails: int, made: list[PlannedSend] | None = None) -> None:
        name = "ready" if made is None else "whole"
        self._filled, self._copy = folder / f"{name}.sqlite", folder / "ledger.sqlite"
        self._filled.unlink(missing_ok=True)
        fill(f"sqlite:///{self._filled}", mails, made)

    def new(self) -> str:
        Path(f"{self._copy}-journal").unlink(missing_ok=True)  # of a run that was interrupted
        shutil.copyfile(self._filled, self._copy)
        return f"sqlite:///{self._copy}"


class PostgresqlLedgers:
    """The same on PostgreSQL: databases made from one."""

    def __init__(self, server: str, mails: int) -> None:
        self._server = server
        self._maintenance = create_engine(server.format("postgres"), isolation_level="AUTOCOMMIT")
        self._run("create database filled")
        fill(server.format("filled"), mails)

    def new(self) -> str:
        self._run("drop database if exists ledger", "create database ledger template filled", "checkpoint")
        return self._server.format("ledger")

    def _run(self, *statements: str) -> None:
        with self._maintenance.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))


def made_sends(folder: Path, mails: int) -> list[PlannedSend]:
    """Publish a plan and a key in a folder; return the sends of the plan, all due."""
    shutil.rmtree(folder, ignore_errors=True)
    key = generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _key(folder).parent.mkdir(parents=True)
    _key(folder).write_bytes(pem)
    settings = _settings(folder)
    made = made_plan(settings, mails, "en", products=1, templates=plain_templates(folder / "templates"))
    signed = partial(make_ready, message_of=Messages(settings), server="", envelop=Envelope(settings))
    size = statistics.mean(len(signed(send).mail.message) for send in made[:100])
    assert abs(size / SIZE - 1) <= 0.05, f"a signed mail has {size:,.0f} bytes"
    names = [each.name for each in fields(PlannedSend)]
    return [
        PlannedSend(**{name: getattr(send, name) for name in names} | {"expires_at": MIDNIGHT})
        for send in made
    ]


def fill(url: str, mails: int, made: list[PlannedSend] | None = None) -> None:
    """Make a ledger with so many sends that are due, each to somebody else."""
    migrate(url)
    engine = open_ledger(url)
    ledger = Ledger(engine, lambda: NOON)
    for first in range(0, mails, 250_000):
        numbers = range(first, min(mails, first + 250_000))
        ledger.enqueue((made[n] if made else planned(n) for n in numbers), {})
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("vacuum analyze sends"))
    engine.dispose()


def planned(number: int) -> PlannedSend:
    who = {
        "customer_id": f"c{number}",
        "address": f"reader.{number}@example.com",
        "pseudonym": f"{number:032x}",
    }
    send_id = hashlib.sha256(b"%d" % number).hexdigest()[:32]  # in no order, as theirs are
    return PlannedSend(
        send_id=send_id,
        campaign_id="winback",
        step=1,
        **who,
        as_of_date=DAY,
        send_at=NOON,
        expires_at=MIDNIGHT,
        channel="mail",
    )


def sent_by(
    senders: int, url: str, port: int, connections: int, *more: str
) -> tuple[float, list[dict[str, Any]]]:
    """Let senders send all there is, each in a process of its own; return the seconds, and what each has to report."""
    words = [sys.executable, "-m", "benchmarks.send", "--sender", url, str(port), str(connections), *more]
    pipe = subprocess.PIPE
    with ExitStack() as ending:
        working = [
            ending.enter_context(subprocess.Popen(words, stdin=pipe, stdout=pipe)) for _ in range(senders)
        ]
        lines = [(_required(sender.stdin), _required(sender.stdout)) for sender in working]
        for _, said in lines:
            assert said.readline() == b"ready\n"
        began = time.perf_counter()
        for told, _ in lines:
            told.write(b"go\n")
            told.flush()
        reports = [json.loads(said.readline()) for _, said in lines]
        return time.perf_counter() - began, reports


def _required(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _send(url: str, port: int, connections: int, plan: Path | None) -> None:
    """Send when told, ready bytes or from a plan; say what it took, and the memory in use after each hundredth of the mails."""
    configure_logging(level=logging.WARNING)
    ledger, memory_mb = Ledger(open_ledger(url), lambda: NOON), list[float]()
    step = max(1, ledger.due_count() // 100)

    def progress(counts: Counter[SendState]) -> None:
        if counts.total() % step == 0:
            memory_mb.append(_resident_mb())

    with tempfile.TemporaryDirectory() as folder, ExitStack() as ending:
        settings = _settings(plan or Path(folder), smtp_port=port, smtp_connections=connections)
        ending.enter_context(ledger.sender(Path(folder) / "lock"))
        couriers = ending.enter_context(Couriers(settings, signed_mails if plan else ready_mails_of))
        couriers.make([])
        for _ in range(os.cpu_count() or 1):
            couriers.made()  # it is there then
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.process_time()
        counts = send_batch(
            ledger, couriers, message_of, pause_after_errors=3, progress=progress, makers=couriers
        )
        spent = time.process_time() - began
        sent = counts[SendState.SENT]
        print(json.dumps({"sent": sent, "cpu_seconds": spent, "memory_mb": memory_mb}), flush=True)


def ready_mails_of(_settings: Settings, server: str) -> Callable[[DueSend], Ready]:
    return partial(make_ready, message_of=message_of, server=server, envelop=bare)


def _settings(folder: Path, **more: Any) -> Settings:
    keys = str(_key(folder)) if _key(folder).exists() else ""
    return Settings(_env_file=None, data_dir=folder, token_key="b" * 40, dkim_keys=keys, **more)


def _key(folder: Path) -> Path:
    return folder / "keys" / "s1.pem"


BODY = (b"x" * 74 + b"\r\n") * (SIZE // 76)


def message_of(send: DueSend) -> bytes:
    head = (
        f"From: Juniper Market <hello@juniper.example>\r\nTo: {send.address}\r\nSubject: We miss you\r\n"
        f"Date: Mon, 02 Mar 2026 12:00:00 +0000\r\nMessage-ID: <{send.send_id}@juniper.example>\r\n"
        f"X-Lapwing-Send: {send.send_id}\r\nX-Lapwing-Campaign: {send.campaign_id}\r\n\r\n"
    )
    return head.encode() + BODY


def memory(folder: Path, mails: int) -> Iterator[Result]:
    """Yield how far the memory of a sender moves over very many mails, after the first twentieth of them."""
    say(f"making a ledger of {mails:,} sends")
    url = SqliteLedgers(folder, mails).new()
    with smtp_sink() as port:
        _, (report,) = sent_by(1, url, port, 20)
    samples = report["memory_mb"][5:]
    middle = statistics.median(samples)
    away = max(abs(sample / middle - 1) for sample in samples)
    yield Result("memory, median", middle, "MB", "no target")
    yield Result("memory, farthest from it", 100 * away, "%", "≤ 5", away <= 0.05)


def _resident_mb() -> float:
    """Return what the sender and its couriers hold."""
    processes = [os.getpid(), *(courier.pid for courier in active_children())]
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in processes)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# Servers


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Run a server with its defaults, so every commit is on disk; yield its address, `{}` in place of the database."""
    found = shutil.which("initdb") or max(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")))
    programs, folder = Path(found).resolve().parent, Path(tempfile.mkdtemp(prefix="lapwing-pg-"))
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        shutil.chown(folder, user, user)
    pg_ctl = [programs / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w"]
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}'"

    def run(*words: object) -> None:
        done = [str(word) for word in words]
        subprocess.run(done, check=True, stdout=sys.stderr, cwd=folder, user=user, group=user)

    run(programs / "initdb", "-D", folder / "data", "-A", "trust", "-U", "lapwing")
    run(*pg_ctl, "-o", options, "start")
    try:
        yield f"postgresql+psycopg2://lapwing@/{{}}?host={folder}"
    finally:
        run(*pg_ctl, "-m", "fast", "stop")
        shutil.rmtree(folder)


def _as_nobody() -> list[str]:
    return ["-u", "nobody"] if os.geteuid() == 0 else []


def _wait_until_it_listens(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nobody listens on port {port}")


def say(words: str) -> None:
    print(f"· {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
