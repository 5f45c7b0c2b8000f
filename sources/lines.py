"""Tells the lines of a file that are rows from those that are not, each of these with its row number and its fault.

DuckDB reads a whole CSV file or none of it. Where it refuses one, its readable lines are copied into a draft, as they
are or written anew without ambiguity, and DuckDB reads that. Nothing is decided here about what a value means.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

LONGEST_LINE = 1 << 20  # bytes; DuckDB takes 2 MiB. A longer line is no row, and must not fill the memory
MOST_BREAKS = 20  # line ends within one value in quotes
WELL_FORMED = re.compile(rb'(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*')
OPEN_QUOTE = "has a quote that is never closed"
NOT_UTF8 = "is not utf-8 encoded"
TOO_LONG = "is longer than 1 MiB"


@dataclass(frozen=True)
class Fault:
    """A line that cannot be read: which row it would be, from 1, what is wrong, and its text."""

    row: int
    reason: str
    text: str


def split_csv(file: Path, draft: Path, columns: int) -> list[Fault]:
    """Copy the header and the readable rows of a CSV file into `draft`; return the rest."""
    with file.open("rb") as source, draft.open("wb") as kept:
        records = _records(_Lines(source), columns)
        kept.write(next(records, (b"", ""))[0].removeprefix(b"\xef\xbb\xbf") + b"\n")
        return list(_sort_out(records, kept))


def json_faults(file: Path, suspects: set[int]) -> list[Fault]:
    """Return which of some rows of a JSON Lines file are no JSON object, and why."""
    with file.open("rb") as source:
        rows = enumerate((bare for line in _Lines(source) if (bare := line.strip())), 1)
        judged = ((row, line, _json_fault(line)) for row, line in rows if row in suspects)
        return [Fault(row, fault, _shown(line)) for row, line, fault in judged if fault]


def _sort_out(records: Iterable[tuple[bytes, str]], kept: BinaryIO) -> Iterator[Fault]:
    for row, (record, fault) in enumerate(records, 1):
        if fault:
            yield Fault(row, fault, _shown(record))
        else:
            kept.write(record + b"\n")


def _shown(line: bytes) -> str:
    return line[:1000].decode(errors="replace")


class _Lines:
    """The lines of a file, each with its end; lines can be put back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._again: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        while line := self.take():
            yield line

    def take(self) -> bytes:
        """Return the next line, nothing at the end of the file. Of one that is too long, only the beginning."""
        if self._again:
            return self._again.pop()
        line = part = self._file.readline(LONGEST_LINE + 1)
        while len(part) > LONGEST_LINE and not part.endswith(b"\n"):
            part = self._file.readline(LONGEST_LINE + 1)
        return line

    def put_back(self, lines: list[bytes]) -> None:
        self._again.extend(reversed(lines))


def _records(lines: _Lines, columns: int) -> Iterator[tuple[bytes, str]]:
    """Yield (record as DuckDB is to read it, what is wrong with it or nothing)."""
    commas = columns - 1
    for ended in lines:
        line = ended.rstrip(b"\r\n")
        if not line:  # a blank line is no row
            continue
        if len(line) > LONGEST_LINE:
            yield line, TOO_LONG
        elif b'"' in line:
            yield _quoted_record(ended, lines, columns)
        elif b"\r" in line:
            yield line, "has a carriage return within the line"
        elif not line.isascii() and not _is_utf8(line):
            yield line, NOT_UTF8
        elif line.count(b",") == commas:
            yield line, ""
        else:
            yield line, _count_fault(line.split(b","), columns)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _count_fault(values: list[Any], columns: int) -> str:
    found = len(values)
    if found == columns or (found == columns + 1 and not values[-1]):  # a comma at the end of the line
        return ""
    return f"has too {'few' if found < columns else 'many'} columns: {found}, not {columns}"


def _quoted_record(line: bytes, lines: _Lines, columns: int) -> tuple[bytes, str]:
    """Return a record that begins with a line in which there are quotes, and what is wrong with it.

    A value in quotes may span lines. But where one of those lines is a whole row by itself, the quote was never
    closed: taking it at its word would swallow good rows. (Where the next row spans lines itself, no reader could tell.)
    """
    text, taken = line, list[bytes]()
    values, fault = _values(text)
    while fault == OPEN_QUOTE and len(taken) < MOST_BREAKS and (more := lines.take()):
        taken.append(more)
        if len(text) > LONGEST_LINE or _is_whole(more, columns):
            break
        text += more
        values, fault = _values(text)
    fault = fault or _count_fault(values, columns)
    if fault:
        lines.put_back(taken)
        return line.rstrip(b"\r\n"), OPEN_QUOTE if taken else fault
    return ",".join('"' + value.replace('"', '""') + '"' for value in values).encode(), ""


def _values(text: bytes) -> tuple[list[str], str]:
    try:
        return next(csv.reader([text.decode().rstrip("\r\n")], strict=True)), ""
    except UnicodeDecodeError:
        return [], NOT_UTF8
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return [], OPEN_QUOTE
        return [], "has a quote inside a value" if "expected after" in str(error) else "is no line of values"


def _is_whole(line: bytes, columns: int) -> bool:
    """Tell whether a line is a row by itself, without a quote that would end a value begun on a line before."""
    if not WELL_FORMED.fullmatch(line.rstrip(b"\r\n")):
        return False
    values, fault = _values(line)
    return not fault and not _count_fault(values, columns)


def _json_fault(line: bytes) -> str:
    """Return what keeps a line from being one JSON object that DuckDB reads; nothing where it is one."""
    if len(line) > LONGEST_LINE:
        return TOO_LONG
    try:
        found = json.loads(line.decode(), object_pairs_hook=_without_twins)
        if b"\\u" in line:
            json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except UnicodeError:
        return NOT_UTF8
    except (ValueError, RecursionError):
        return "is no JSON"
    if found == ():
        return "names a column twice"
    return "" if isinstance(found, dict) else "is no JSON object"


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object] | tuple[()]:
    """Return an object; or, where a name comes twice, what JSON has no way to say."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else ()
