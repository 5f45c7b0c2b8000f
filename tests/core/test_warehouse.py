"""The warehouse is opened to look, for as short as can be, and says what to run where there is nothing yet."""

import subprocess
import sys

import duckdb
import pytest

from core.errors import NotPublished
from core.warehouse import reading


def test_before_anything_is_built_a_look_says_what_to_run(settings):
    with (
        pytest.raises(NotPublished, match="run `lapwing features build --as-of DATE` first"),
        reading(settings),
    ):
        pass
    assert not settings.warehouse.exists()  # looking makes none


def test_who_looks_cannot_change_anything_and_another_program_can_write_afterwards(settings):
    with duckdb.connect(str(settings.warehouse)) as db:
        db.execute("create table orders as select 1 as order_id")
    with (
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
        reading(settings) as connection,
    ):
        connection.execute("insert into orders values (2)")
    write = (
        f"import duckdb; duckdb.connect({str(settings.warehouse)!r}).execute('insert into orders values (3)')"
    )
    subprocess.run([sys.executable, "-c", write], check=True, timeout=60)
    with reading(settings) as connection:
        assert connection.sql("from orders order by 1").fetchall() == [(1,), (3,)]
