"""A whole platform in a folder of its own: the real command, the real Airflow, on ports that nobody else has."""

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psutil
from sqlalchemy import select

from campaigns.mailers.local_inbox import LocalInbox
from core.ledger_tables import open_ledger, sends
from core.published import Published
from core.settings import PROJECT, Settings

DAY = date(2017, 12, 4)
HOUSEHOLDS = 300


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Platform:
    """One data folder and the environment every command on it runs in."""

    settings: Settings
    environment: dict[str, str]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a `lapwing` command as a leader of its own process group; what it says goes to `said.txt`."""
        return self._start("cli", *words)

    def start_airflow(self, *words: str) -> subprocess.Popen[bytes]:
        return self._start("airflow", *words)

    def _start(self, module: str, *words: str) -> subprocess.Popen[bytes]:
        with self.said.open("wb") as said:
            return subprocess.Popen(
                [sys.executable, "-m", module, *words],
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> Path:
        """What the command that was started last has said."""
        return self.settings.data_dir.with_suffix(".said.txt")

    def kill_while_sending(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a command and its sender together as soon as some of its mails, but not all, have arrived."""
        before = self.arrived()
        deadline = time.monotonic() + 1500
        while process.poll() is None and time.monotonic() < deadline:
            if self.arrived() >= before + 5:
                break
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it could be killed: " + self.said.read_text()[-2000:]
        self.kill(process)

    def arrived(self) -> int:
        new = self.settings.inbox / "new"
        return sum(1 for _ in new.iterdir()) if new.exists() else 0

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a command and everything it started, wherever it runs: none of them gets to clean up."""
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(process.pid)
            for member in [parent, *parent.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, ProcessLookupError):
                    member.kill()
        process.wait()

    def lapwing(self, *words: str) -> str:
        """Run a command to its end; fail with what it said when it does not succeed."""
        code = self.start(*words).wait(timeout=1500)
        said = self.said.read_text()
        assert code == 0, said
        return said

    def airflow(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "airflow", *words],
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )

    def states(self) -> dict[str, str]:
        """Return send_id → state of every send in the ledger."""
        with open_ledger(self.settings.ledger, read_only=True).begin() as connection:
            return {row[0]: row[1] for row in connection.execute(select(sends.c.send_id, sends.c.state))}

    def mails(self) -> Counter[str]:
        """Return send_id → how many mails of it lie in the inbox."""
        inbox = LocalInbox(self.settings.inbox)
        return Counter({send_id: len(files) for send_id, files in inbox.by_send().items()})

    def verdicts(self, day: date = DAY) -> dict[str, str]:
        plan = (
            Published(self.settings.published).read("campaign_plan", day, ["send_id", "verdict"]).to_pylist()
        )
        return {row["send_id"]: row["verdict"] for row in plan}

    def stages(self) -> list[str]:
        lines = (self.settings.data_dir / "stages.jsonl").read_text().splitlines()
        return [json.loads(line)["stage"] for line in lines]


def make_platform(data_dir: Path) -> Platform:
    """Return a platform with free ports and throw-away secrets; nothing is started."""
    settings = Settings(
        _env_file=None,
        data_dir=data_dir,
        token_key="j" * 40,
        smtp_port=free_port(),
        tracking_url=f"http://127.0.0.1:{free_port()}",
        replay=True,
        approver="tests",
    )
    from cli.services import airflow_environment

    return Platform(settings, airflow_environment(settings))
