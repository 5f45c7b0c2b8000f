"""`lapwing rejects`: counts by reason first, then rows; what is mended says so."""

import json
from datetime import date

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from cli.app import app
from core.published import Published

DAY = date(2017, 12, 4)
ROWS = [
    {"source_file": "shop/orders/a.csv", "row_number": n, "table_name": "orders", "column_name": "customer_id", "value": None, "reason": "is missing", "mended_in": "shop/orders/b.csv" if n == 1 else None}
    for n in range(1, 4)
] + [{"source_file": "shop/order_lines/a.csv", "row_number": 9, "table_name": "order_lines", "column_name": "(line)", "value": "x,1", "reason": "has too few columns: 2, not 7", "mended_in": None}]  # fmt: skip


@pytest.fixture
def rejects(settings, monkeypatch):
    """Call the command on a folder with four published rejects; return (exit code, stdout, stderr)."""
    monkeypatch.setenv("LAPWING_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("LAPWING_TOKEN_KEY", "k" * 40)
    published = Published(settings.published)
    published.write_candidate("rejected_rows", DAY, pa.Table.from_pylist(ROWS))
    published.release("rejected_rows", DAY)

    def call(*words: str) -> tuple[int, str, str]:
        said = CliRunner().invoke(app, ["rejects", "--as-of", str(DAY), *words], env={"COLUMNS": "200"})
        return said.exit_code, said.stdout, said.stderr

    return call


def test_counts_by_reason_come_first_and_say_what_is_mended(rejects):
    code, out, err = rejects()
    assert code == 0
    assert [line.strip() for line in err.splitlines()] == [
        "4 rejected rows or values; mend the file, land it under a new name, load again",
        "3 in orders.customer_id: is missing, 1 since mended",
        "1 in order_lines.(line): has too few columns: 2, not 7",
    ]
    assert len(out.splitlines()) == 1 + 4


def test_the_summary_alone_is_for_machines_too(rejects):
    code, out, _ = rejects("--summary", "--json")
    assert code == 0
    assert json.loads(out)[0] == {
        "table": "orders",
        "column": "customer_id",
        "reason": "is missing",
        "rejects": 3,
        "mended": 1,
    }


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (["--table", "order_lines"], [9]),
        (["--reason", "IS missing"], [1, 2, 3]),
        (["--table", "orders", "--reason", "columns"], []),
    ],
)
def test_rejects_are_chosen_by_table_and_by_words_of_the_reason(rejects, words, rows):
    code, out, _ = rejects(*words, "--json")
    assert code == 0
    assert [row["row_number"] for row in json.loads(out)] == rows
