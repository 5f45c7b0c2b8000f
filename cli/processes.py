"""Programs that run beside a command: started in sessions of their own, watched, and stopped to the last child.

A command that is killed outright cannot stop what it started. So what runs is written to `data/processes.json`, and
the next command stops what it finds there before it begins; a lock says whether the earlier one still lives.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

import psutil

from core.errors import ServiceFailed

GRACE_SECONDS = 15.0  # Airflow's scheduler needs a few to end its workers
START_TOLERANCE_SECONDS = 2.0  # the start time of a process moves a little when the machine's clock is set


class Processes:
    """The programs of one data folder. Enter it to hold the folder, leave it to stop everything started.

    Raises
    ------
    ServiceFailed
        On entering, if another command holds the folder.
    """

    def __init__(self, data_dir: Path, environment: dict[str, str]) -> None:
        self.data_dir = data_dir
        self.environment = environment
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._register = data_dir / "processes.json"
        self._lock: TextIO | None = None

    def __enter__(self) -> "Processes":
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.data_dir / "processes.lock")
        self._stop_leftovers()
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self.stop()
        finally:
            if self._lock:
                self._lock.close()

    def log(self, name: str) -> Path:
        """Return where a program's output goes."""
        return self.data_dir / "logs" / f"{name}.log"

    def start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a program; the output of its run before is kept as `<name>.log.1`."""
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,  # Ctrl-C reaches only us, and every descendant can be found again
            )
        self.running[name] = process
        self._write_register()
        return process

    def wait(self, name: str) -> int:
        """Wait for the end of a program that was started and return its exit code."""
        code = self.running[name].wait()
        del self.running[name]
        self._write_register()
        return code

    def run(self, name: str, command: Sequence[str]) -> int:
        """Start a program, wait for its end and return its exit code; its output is in `log(name)`."""
        self.start(name, command)
        return self.wait(name)

    def check(self) -> None:
        """Raise ServiceFailed if one of the programs has ended, with its last words."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise ServiceFailed(
                    f"{name} ended with code {process.returncode}: {self._last_line(name)} ({self.log(name)})"
                )

    def stop(self) -> None:
        """Stop every program and all their descendants; a second Ctrl-C kills them at once."""
        sessions = [_Session(process.pid) for process in self.running.values()]
        try:
            _end(sessions, GRACE_SECONDS)
        except BaseException:
            _end(sessions, 0)
            raise
        finally:
            for process in self.running.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1)  # collect it: no zombie stays behind
        self.running.clear()
        self._write_register()

    def _last_line(self, name: str) -> str:
        lines = self.log(name).read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def _write_register(self) -> None:
        entries = [[process.pid, _started(process.pid)] for process in self.running.values()]
        draft = self._register.with_suffix(".new")
        draft.write_text(json.dumps(entries))
        draft.replace(self._register)

    def _stop_leftovers(self) -> None:
        if self._register.exists():
            entries = json.loads(self._register.read_text())
            _end([_Session(pid) for pid, started in entries if _is_ours(pid, started)], GRACE_SECONDS)
        self._write_register()


class _Session:
    """A program and what descends from it, found by session and by parentage: Airflow's tasks leave neither."""

    def __init__(self, leader: int) -> None:
        self.leader = leader
        self.members: dict[int, psutil.Process] = {}

    def look(self) -> list[psutil.Process]:
        """Return the members that are alive, with those that appeared since the last look."""
        for process in psutil.process_iter():
            with suppress(ProcessLookupError, PermissionError, psutil.Error):
                if os.getsid(process.pid) == self.leader:
                    self.members[process.pid] = process
        for process in list(self.members.values()):
            with suppress(psutil.Error):
                self.members |= {child.pid: child for child in process.children(recursive=True)}
        return [process for process in self.members.values() if _is_alive(process)]


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _end(sessions: list[_Session], grace_seconds: float) -> None:
    """Ask the programs to end, which end their children; then end whoever is left."""
    leaders = [one for session in sessions for one in session.look() if one.pid == session.leader]
    _signal(leaders, signal.SIGTERM)
    psutil.wait_procs(leaders, timeout=grace_seconds)
    left = [process for session in sessions for process in session.look()]
    _signal(left, signal.SIGTERM)
    psutil.wait_procs(left, timeout=min(grace_seconds, 3))
    left = [process for session in sessions for process in session.look()]
    _signal(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=5)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


def _started(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:  # ended already; its children may live on
        return 0.0


def _is_ours(pid: int, started: float) -> bool:
    """Say whether the number still means the process we wrote down, not one that was given it since."""
    if started < psutil.boot_time():
        return False
    now = _started(pid)
    return now == 0.0 or abs(now - started) < START_TOLERANCE_SECONDS


def _lock(file: Path) -> TextIO:
    lock = file.open("a")  # held until the command ends, and released even if it is killed
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ServiceFailed(
            f"another Lapwing command works in {file.parent} (`make up` or `make demo`?); stop it first"
        ) from None
    return lock


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal unwind the program as Ctrl-C does, so that what it started is stopped."""

    def unwind(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def once_more(lost: "sys.UnraisableHookArgs") -> None:
        # Raised while Python was collecting garbage, it would unwind nothing: Python drops it.
        if isinstance(lost.exc_value, SystemExit | KeyboardInterrupt):
            number = signal.SIGTERM if isinstance(lost.exc_value, SystemExit) else signal.SIGINT
            threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
        else:
            hook(lost)

    hook, sys.unraisablehook = sys.unraisablehook, once_more
    before = {number: signal.signal(number, unwind) for number in (signal.SIGTERM, signal.SIGHUP)}
    # A shell that starts us in the background has SIGINT ignored; whoever sends it all the same means it.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
