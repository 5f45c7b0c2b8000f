"""More than sixty kinds of bad rows among good ones: each is quarantined for the right reason, and no good row notices.

`TEST_BAD_ROWS=1000` runs it in full: 1,000 rows of each kind among 1,000,000 good ones (45 s of CPU, 600 MB).
"""

import os
from collections import Counter

import duckdb
import pytest

import sources.landing
from core.errors import ContractBroken
from core.settings import Settings
from sources.contract import contracts
from sources.landing import load_landing
from tests.faults import bad_rows

BAD = int(os.environ.get("TEST_BAD_ROWS", "20"))
GOOD = 1000 * BAD
KINDS = sum(len(kinds) for _, kinds, _, _ in bad_rows.TEXT_TABLES.values()) + len(bad_rows.REVIEW_KINDS)
TABLES = [*bad_rows.TEXT_TABLES, "reviews"]


def settings_in(folder) -> Settings:
    return Settings(_env_file=None, data_dir=folder, token_key="k" * 40)


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    """Settings of a loaded clean shop and of a loaded shop with bad rows, what must be rejected there, and its report."""
    clean, mixed = (settings_in(tmp_path_factory.mktemp(name)) for name in ("clean", "mixed"))
    assert bad_rows.write_shop(clean, good=GOOD, bad=0) == {}
    expected = bad_rows.write_shop(mixed, good=GOOD, bad=BAD)
    load_landing(clean)
    with pytest.MonkeyPatch.context() as patch:
        # One of twenty rows is broken here: far more than a shop may bring. The thresholds have their own test below.
        room = {n: c.model_copy(update={"reject_threshold_share": 0.6}) for n, c in contracts().items()}
        patch.setattr(sources.landing, "contracts", lambda: room)
        report = load_landing(mixed)
    return clean, mixed, expected, report


def query(settings, sql):
    with duckdb.connect(str(settings.warehouse), read_only=True) as db:
        return db.sql(sql).fetchall()


def test_there_are_kinds_enough_and_a_thousand_good_rows_for_each_bad_one(shops):
    clean, _, expected, _ = shops
    assert KINDS >= 60
    assert len(expected) == KINDS * BAD
    counts = {table: query(clean, f"select count(*) from landing.{table}")[0][0] for table in TABLES}
    assert sum(counts.values()) == GOOD
    assert query(clean, "select count(*) from landing.rejected_rows") == [(0,)]


def test_every_bad_row_is_quarantined_by_its_number_column_and_reason_and_nothing_else_is(shops):
    _, mixed, expected, _ = shops
    rows = query(mixed, "select table_name, row_number, column_name, reason from landing.rejected_rows")
    found = {(table, row): (column, reason) for table, row, column, reason in rows}
    assert len(rows) == len(found)
    wrong = Counter(
        (place[0], expected.get(place), found.get(place))
        for place in expected.keys() | found.keys()
        if expected.get(place) != found.get(place)
    )
    assert wrong == Counter()


@pytest.mark.parametrize("table", TABLES)
def test_the_good_rows_are_those_of_a_clean_run_each_with_the_number_of_its_line(shops, table):
    clean, mixed, expected, report = shops
    key = contracts()[table].key[0]
    good = (
        f"{key} not like 'bad%'"  # a customer whose address was removed is kept, and stands in no clean run
    )
    in_order = "select * exclude (source_row, load_number), row_number() over (order by source_row) as place"
    with duckdb.connect(str(mixed.warehouse), read_only=True) as db:
        db.execute(f"attach '{clean.warehouse}' as clean (read_only)")
        ours = f"({in_order} from landing.{table} where {good})"
        theirs = f"({in_order} from clean.landing.{table})"
        assert db.sql(f"{ours} except all {theirs}").fetchall() == []
        assert db.sql(f"{theirs} except all {ours}").fetchall() == []
    kept = {row for (row,) in query(mixed, f"select source_row from landing.{table}")}
    bad = {
        row for (name, row), (_, reason) in expected.items() if name == table and not reason.endswith("kept")
    }
    assert kept | bad == set(range(1, len(kept) + len(bad) + 1))
    assert not kept & bad
    assert report.rows[table] == len(kept)


def test_no_reject_shows_an_address_or_a_character_that_moves_a_terminal(shops):
    _, mixed, _, _ = shops
    shown = query(mixed, "select distinct value from landing.rejected_rows where value is not null")
    assert len(shown) > 30
    assert not [value for (value,) in shown if "@example" in value or "\x1b" in value or "\0" in value]
    assert ("ask [address]",) in shown


def test_over_the_threshold_the_run_stops_and_the_file_leaves_nothing_behind(tmp_path):
    settings = settings_in(tmp_path)
    bad_rows.write_shop(settings, good=2000, bad=10)
    with pytest.raises(
        ContractBroken, match=r"shop/consents/a\.csv: 40 of 240 rows break .* more than its 1% allow"
    ):
        load_landing(settings)
    for table in ("consents", "rejected_rows", "files"):
        assert query(settings, f"select count(*) from landing.{table}") == [(0,)]
