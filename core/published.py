"""Published tables: write, audit, publish. A reader sees the old snapshot or the new one, never a mixture.

A snapshot is one Parquet file, `published/<table>/as_of_date=<day>/part-0.parquet`. It is written as a candidate
beside the published folder, a gate reads the candidate, and one rename makes it the snapshot.
"""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import NotPublished


class Published:
    """The folder of published tables."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, table: str, as_of: date) -> Path:
        """Return where the snapshot of a day is, or would be."""
        return self.root / table / f"as_of_date={as_of}" / "part-0.parquet"

    def candidate(self, table: str, as_of: date) -> Path:
        """Return where to write a snapshot that no reader sees yet; its folder exists."""
        path = self.root / ".candidates" / table / f"as_of_date={as_of}" / "part-0.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

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
        path = self.candidate(table, as_of)
        pq.write_table(rows, path)
        return path

    def release(self, table: str, as_of: date) -> Path:
        """Make the candidate of a day its snapshot, by one rename; a snapshot without a newer candidate stays."""
        path = self.path(table, as_of)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.newest(table, as_of).replace(path)
        return path

    def exists(self, table: str, as_of: date) -> bool:
        return self.path(table, as_of).exists()

    def days(self, table: str) -> list[date]:
        """Return the days that have a snapshot, oldest first."""
        found = (self.root / table).glob("as_of_date=*/part-0.parquet")
        return sorted(date.fromisoformat(file.parent.name.partition("=")[2]) for file in found)

    def read(self, table: str, as_of: date, columns: list[str] | None = None) -> pa.Table:
        """Read the snapshot of a day.

        Raises
        ------
        NotPublished
            If the day has none; the message says which days there are.
        """
        path = self.path(table, as_of)
        if not path.exists():
            known = self.days(table)
            have = f"there is {known[0]} to {known[-1]}" if known else "none is"
            raise NotPublished(f"{table} is not published for {as_of}; {have}")
        return pq.ParquetFile(path).read(columns=columns)
