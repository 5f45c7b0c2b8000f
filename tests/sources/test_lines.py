"""Lines that are no rows are told from those that are: each with its number, none of the others lost or changed."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sources.lines import LONGEST_LINE, json_faults, split_csv

HEADER = b"a,b,c\n"


def split(folder: Path, content: bytes) -> tuple[list[list[str]], list[tuple[int, str]]]:
    """Return the rows of the draft, as the csv module reads them, and the faults."""
    file, draft = folder / "file.csv", folder / "draft.csv"
    file.write_bytes(HEADER + content)
    faults = split_csv(file, draft, 3)
    header, *rows = csv.reader(io.StringIO(draft.read_bytes().decode(), newline=""), strict=True)
    assert header == ["a", "b", "c"]
    return rows, [(fault.row, fault.reason) for fault in faults]


@pytest.mark.parametrize(
    ("content", "rows", "faults"),
    [
        (b"1,2,3\n4,5,6\n", ["123", "456"], []),
        (b"1,2,3\r\n4,5,6\n\n7,8,9", ["123", "456", "789"], []),
        (b"1,2\n4,5,6\n", ["456"], [(1, "has too few columns: 2, not 3")]),
        (b"1,2,3\n4,5,6,7\n8,9,0\n", ["123", "890"], [(2, "has too many columns: 4, not 3")]),
        (b'1,"2\n4,5,6\n', ["456"], [(1, "has a quote that is never closed")]),
        (b'1,2,3\n1,2,"3\n4,5,6\n7,8,9\n', ["123", "456", "789"], [(2, "has a quote that is never closed")]),
        # Two open quotes make a pair that a reader takes for one value, with a good row inside.
        (b'x,1,"\n4,5,6\ny,1,"\n7,8,9\n', ["456", "789"], [(1, "has a quote that is never closed"), (3, "has a quote that is never closed")]),
        (b'1,"2,3\n', [], [(1, "has a quote that is never closed")]),
        (b'1,"a"b,3\n4,5,6\n', ["456"], [(1, "has a quote inside a value")]),
        (b"1,M\xfcnchen,3\n4,5,6\n", ["456"], [(1, "is not utf-8 encoded")]),
        (b'1,"M\xfcnchen",3\n4,5,6\n', ["456"], [(1, "is not utf-8 encoded")]),
        (b"1,2\r3,4\n4,5,6\n", ["456"], [(1, "has a carriage return within the line")]),
        (b"1," + b"x" * LONGEST_LINE + b",3\n4,5,6\n", ["456"], [(1, "is longer than 1 MiB")]),
        (b"1," + b"x" * 3 * LONGEST_LINE, [], [(1, "is longer than 1 MiB")]),
        (b"1,2,3,\n", ["123"], []),  # a comma at the end of a line is no fourth value
    ],
)  # fmt: skip
def test_a_line_that_is_no_row_is_split_off_with_its_number_and_reason(tmp_path, content, rows, faults):
    found, said = split(tmp_path, content)
    assert (["".join(row) for row in found], said) == (rows, faults)


def test_a_value_in_quotes_may_span_lines_and_keeps_every_character(tmp_path):
    text = '"Ada\r\nof the ""old"" house, here"'
    rows, faults = split(tmp_path, f"1,{text},3\n4,5\n7,8,9\n".encode())
    assert rows == [["1", 'Ada\r\nof the "old" house, here', "3"], ["7", "8", "9"]]
    assert faults == [(2, "has too few columns: 2, not 3")]


CELL = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    st.sampled_from(['"', '""', ",", "\n", "\r\n", "a\nb", "ü", " "]),
)
# An open quote is followed by a row on one line: before a row on several, nobody could say which quote belongs to which.
OPEN = (b'1,"2,3', b'"1,2,3', b'1,2,"3')
BAD = st.sampled_from([b"1,2", b"1,2,3,4", b"1,\xff,3", b'1,"a"b,3', b"1,2\r3,4", *OPEN])


@hypothesis_settings(max_examples=200, deadline=None, derandomize=True)
@given(lines=st.lists(st.one_of(st.tuples(CELL, CELL, CELL), BAD), max_size=12))
@example(lines=[b'1,"2,3', ("4", "5", "6"), b'1,2,"3', ("7", "8", "9")])
def test_whatever_stands_between_them_good_rows_come_through_unchanged(tmp_path_factory, lines):
    """Rows are written by Python's csv module; what it wrote is what must come back."""
    content = b""
    expected: list[list[str]] = []
    bad: list[int] = []
    for line in lines:
        text = io.StringIO(newline="")
        if isinstance(line, bytes):
            content += line + b"\n"
            bad.append(len(expected) + len(bad) + 1)
        if not isinstance(line, bytes) or line in OPEN:
            row = ("4", "5", "6") if isinstance(line, bytes) else line
            csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(row)
            content += text.getvalue().encode()
            expected.append(list(row))
    rows, faults = split(tmp_path_factory.mktemp("split"), content)
    assert rows == expected
    assert [row for row, _ in faults] == bad


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "is no JSON"),
        (b'{"a": 1} x', "is no JSON"),
        (b"{'a': 1}", "is no JSON"),
        (b"[1]", "is no JSON object"),
        (b"null", "is no JSON object"),
        (b'{"a": 1, "a": 2}', "names a column twice"),
        (b'{"a": "M\xfcnchen"}', "is not utf-8 encoded"),
        (b'{"a": "\\ud800"}', "is not utf-8 encoded"),
        (b'{"a": "x\x01y"}', "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
    ],
)
def test_a_line_that_is_no_object_says_why(tmp_path, line, reason):
    file = tmp_path / "a.jsonl"
    good = json.dumps({"a": "ü"}).encode()
    file.write_bytes(good + b"\n\n" + line + b"\r\n" + good + b"\n")
    assert [(fault.row, fault.reason) for fault in json_faults(file, {1, 2, 3})] == [(2, reason)]
    assert json_faults(file, {1, 3}) == []
