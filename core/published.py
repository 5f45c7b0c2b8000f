"""Published tables: write, audit, publish. A reader sees the old snapshot or the new one, never a mixture.

A snapshot is one Parquet file in `published/<table>/as_of_date=<day>/`. It is written as a candidate beside the
published folder, a gate reads the candidate, and then it is released:

- A table released alone is `part-0.parquet`; one rename replaces it.
- Tables released together are files named after their bytes, and one small file, the day's list
  (`published/.days/as_of_date=<day>.json`), says which of them are the day's. One rename replaces the list, and with
  it all of the tables at once. A file that no list names is seen by nobody (docs/decisions/0008-publishing-and-its-gates.md).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.durable import locked, replace_file, sync
from core.errors import NotPublished

ALONE = "part-0.parquet"


class Published:
    """The folder of published tables."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, table: str, as_of: date) -> Path:
        """Return where the snapshot of a day is, or would be."""
        return self._file(self._list(as_of), table, as_of)

    def candidate(self, table: str, as_of: date) -> Path:
        """Return where a snapshot lies that no reader sees yet; its folder exists."""
        path = self.root / ".candidates" / table / f"as_of_date={as_of}" / ALONE
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def new_candidate(self, table: str, as_of: date) -> Iterator[Path]:
        """Yield where to write; what is written there whole, and is on the disk, becomes the candidate of the day."""
        path = self.candidate(table, as_of)
        unfinished = path.with_suffix(".unfinished")
        yield unfinished
        sync(unfinished)
        unfinished.replace(path)

    def newest(self, table: str, as_of: date) -> Path:
        """Return the candidate of a day if there is one, else its snapshot: what a task cleared alone works on.

        Raises
        ------
        NotPublished
            If the day has neither.
        """
        for path in (self.candidate(table, as_of), self.path(table, as_of)):
            if path.exists():
                return path
        raise NotPublished(f"{table} has neither candidate nor snapshot for {as_of}; build it first")

    def write_candidate(self, table: str, as_of: date, rows: pa.Table) -> Path:
        """Write `rows` as the candidate of a day; the same rows give the same bytes."""
        with self.new_candidate(table, as_of) as path:
            pq.write_table(rows, path)
        return self.candidate(table, as_of)

    def release(self, table: str, as_of: date) -> Path:
        """Make the candidate of a day its snapshot, by one rename; a snapshot without a newer candidate stays."""
        if table in self._list(as_of):
            self.release_together([table], as_of)
            return self.path(table, as_of)
        path = self.path(table, as_of)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.newest(table, as_of).replace(path)
        sync(path.parent)
        return path

    def release_together(self, tables: Sequence[str], as_of: date) -> None:
        """Make the candidates of a day its snapshots, all by one rename; a snapshot without a candidate stays.

        Whoever is killed on the way leaves the old snapshots, or the new ones; what else it leaves is cleared by the
        next release of these tables.

        Raises
        ------
        NotPublished
            If one of the tables has neither candidate nor snapshot. Then none is released.
        """
        lists = self.root / ".days"
        lists.mkdir(parents=True, exist_ok=True)
        with locked(lists / "lock"):
            files = {table: self.newest(table, as_of) for table in tables}
            listed = self._list(as_of) | {table: self._place(table, as_of, files[table]) for table in tables}
            replace_file(self._list_path(as_of), json.dumps(listed, indent=1, sort_keys=True) + "\n")
            for table in tables:
                for file in self._folder(table, as_of).iterdir():
                    if file.name != listed[table]:
                        file.unlink()

    def exists(self, table: str, as_of: date) -> bool:
        return self.path(table, as_of).exists()

    def days(self, table: str) -> list[date]:
        """Return the days that have a snapshot, oldest first."""
        folders = (self.root / table).glob("as_of_date=*")
        days = sorted(date.fromisoformat(folder.name.partition("=")[2]) for folder in folders)
        return [day for day in days if self.exists(table, day)]

    def read(self, table: str, as_of: date, columns: list[str] | None = None) -> pa.Table:
        """Read the snapshot of a day.

        Raises
        ------
        NotPublished
            If the day has none; the message says which days there are.
        """
        return self.read_together({table: columns}, as_of)[table]

    def read_together(self, tables: Mapping[str, list[str] | None], as_of: date) -> dict[str, pa.Table]:
        """Read some columns (None: all) of several tables of a day; those released together are of one release.

        Raises
        ------
        NotPublished
            If the day lacks one of them; the message says which days there are.
        """
        files = self._open(list(tables), as_of)
        try:
            return {table: files[table].read(columns=columns) for table, columns in tables.items()}
        finally:
            for file in files.values():
                file.close()

    def _open(self, tables: list[str], as_of: date) -> dict[str, pq.ParquetFile]:
        """Open the files of one list: what is open stays readable, whatever is released meanwhile."""
        while True:
            listed = self._list(as_of)
            try:
                return {table: pq.ParquetFile(self._file(listed, table, as_of)) for table in tables}
            except FileNotFoundError:
                # A release may have cleared a file away after we read the list; then there is a new list.
                missing = [table for table in tables if not self.exists(table, as_of)]
            if missing and self._list(as_of) == listed:
                known = self.days(missing[0])
                have = f"there is {known[0]} to {known[-1]}" if known else "none is"
                raise NotPublished(f"{missing[0]} is not published for {as_of}; {have}")

    def _folder(self, table: str, as_of: date) -> Path:
        return self.root / table / f"as_of_date={as_of}"

    def _file(self, listed: Mapping[str, str], table: str, as_of: date) -> Path:
        return self._folder(table, as_of) / listed.get(table, ALONE)

    def _list_path(self, as_of: date) -> Path:
        return self.root / ".days" / f"as_of_date={as_of}.json"

    def _list(self, as_of: date) -> dict[str, str]:
        """Return the day's list: the file of each table that was released together with others."""
        try:
            listed: dict[str, str] = json.loads(self._list_path(as_of).read_text())
        except FileNotFoundError:
            return {}
        return listed

    def _place(self, table: str, as_of: date, file: Path) -> str:
        """Put a file where it can be listed, under a name that its bytes give; return the name."""
        folder = self._folder(table, as_of)
        if file.parent == folder:  # no candidate: the snapshot stays what it is
            return file.name
        with file.open("rb") as content:
            name = f"part-{hashlib.file_digest(content, 'sha256').hexdigest()[:16]}.parquet"
        folder.mkdir(parents=True, exist_ok=True)
        file.replace(folder / name)
        sync(folder)
        sync(folder.parent)
        return name
