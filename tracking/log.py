"""The append-only segments that tracked events are written to: one file per instance and hour, one line per event.

An event is on its way to the disk when `append` returns (one `write` to a file opened for appending), so a killed
process loses nothing; it is on the disk after `sync`, which the service calls four times a second, or at once where
the caller asks for it. A line that a crash cut short is closed by the next write, and readers leave it out.
"""

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path

from core.durable import sync
from tracking.events import MailEvent

NEWLINE = b"\n"


class SegmentLog:
    """Writes `<folder>/<instance>-<YYYYMMDDHH>.jsonl`; the hour is the event's, in UTC. Safe between threads.

    Parameters
    ----------
    folder
        Made at the first event.
    instance
        Who writes; no two processes may share it. Empty: eight random hex digits.
    """

    def __init__(self, folder: Path, instance: str = "") -> None:
        self.folder = folder
        self.instance = instance or uuid.uuid4().hex[:8]
        self._lock = threading.Lock()
        self._segment: Path | None = None
        self._file: int | None = None
        self._is_torn = False
        self._failure: OSError | None = None
        self._written = self._synced = 0  # events written, and how many of them are surely on the disk

    def append(self, event: MailEvent, *, durable: bool = False) -> None:
        """Write one event; with `durable`, return only when it is on the disk.

        Raises
        ------
        OSError
            If the disk is full or gone; later events start on a line of their own.
        """
        hour = event.happened_at.astimezone(UTC).strftime("%Y%m%d%H")
        segment = self.folder / f"{self.instance}-{hour}.jsonl"
        line = event.line()
        with self._lock, self._remembered_failure():
            file = self._open(segment)
            if self._is_torn:
                line = NEWLINE + line
            self._is_torn = True
            _write_all(file, line)
            self._is_torn = False
            self._written += 1
            self._failure = None
        if durable:
            self.sync()

    def sync(self) -> None:
        """Bring everything appended so far to the disk. The lock is not held meanwhile: others go on writing.

        Raises
        ------
        OSError
            If the disk refuses; the events count as not yet on the disk.
        """
        with self._lock:
            if self._file is None or self._synced == self._written:
                return
            written, copy = self._written, os.dup(self._file)
        try:
            with self._remembered_failure():
                os.fsync(copy)
        finally:
            os.close(copy)
        with self._lock:
            self._synced = max(self._synced, written)

    def check(self) -> None:
        """Look at how the last write went; writes nothing.

        Raises
        ------
        OSError
            If it failed.
        """
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Sync and close; a later `append` opens again."""
        self.sync()
        with self._lock:
            self._close()

    @contextmanager
    def _remembered_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failure = error
            raise

    def _open(self, segment: Path) -> int:
        # A file without a name left was removed beneath us (a wiped data folder): start a new one.
        if self._file is not None and segment == self._segment and os.fstat(self._file).st_nlink:
            return self._file
        self._close()
        is_new = not segment.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(segment, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        self._segment, self._is_torn = segment, _ends_mid_line(self._file)
        if is_new:
            sync(self.folder)  # a new file's name itself must survive a power cut
        return self._file

    def _close(self) -> None:
        if self._file is None:
            return
        if self._synced < self._written:
            os.fsync(self._file)
            self._synced = self._written
        os.close(self._file)
        self._file = None


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _ends_mid_line(file: int) -> bool:
    size = os.fstat(file).st_size
    return size > 0 and os.pread(file, 1, size - 1) != NEWLINE
