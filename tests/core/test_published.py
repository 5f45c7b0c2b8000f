"""A reader of a published table sees one snapshot or the next, never a mixture and never none."""

import threading
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from core.errors import NotPublished
from core.published import Published

DAY = date(2017, 12, 4)


@pytest.fixture
def published(tmp_path) -> Published:
    return Published(tmp_path / "published")


def version(number: int, rows: int = 10) -> pa.Table:
    return pa.table({"customer_id": [f"c{row}" for row in range(rows)], "version": [number] * rows})


def release(published: Published, number: int, day: date = DAY, rows: int = 10) -> None:
    published.write_candidate("scores", day, version(number, rows))
    published.release("scores", day)


def test_a_candidate_is_seen_by_nobody_until_it_is_released(published):
    published.write_candidate("scores", DAY, version(1))
    assert not published.exists("scores", DAY)
    assert published.days("scores") == []
    with pytest.raises(NotPublished):
        published.read("scores", DAY)
    published.release("scores", DAY)
    assert published.read("scores", DAY) == version(1)


def test_a_candidate_that_is_never_released_leaves_the_old_snapshot(published):
    release(published, 1)
    published.write_candidate("scores", DAY, version(2))
    assert published.read("scores", DAY) == version(1)


def test_a_reader_in_a_loop_sees_whole_snapshots_only(published):
    rows = 20_000
    release(published, 0, rows=rows)
    seen: list[int] = []
    odd: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                table = published.read("scores", DAY)
                versions = pc.unique(table["version"]).to_pylist()
                if table.num_rows != rows or len(versions) != 1:
                    odd.append((table.num_rows, versions))
                seen.extend(versions)
            except Exception as error:  # whatever a reader would have stumbled over
                odd.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 61):
        release(published, number, rows=rows)
    done.set()
    for reader in readers:
        reader.join()
    assert odd == []
    assert len(set(seen)) > 2  # they did read while it changed
    assert published.read("scores", DAY)["version"][0].as_py() == 60


def test_the_same_rows_give_the_same_bytes(published):
    first = published.write_candidate("scores", DAY, version(7)).read_bytes()
    assert published.write_candidate("scores", DAY, version(7)).read_bytes() == first
    assert published.write_candidate("scores", DAY, version(8)).read_bytes() != first


def test_a_day_without_a_snapshot_is_named_with_the_days_there_are(published):
    with pytest.raises(NotPublished) as error:
        published.read("scores", DAY)
    assert str(error.value) == "scores is not published for 2017-12-04; none is"
    release(published, 1, date(2017, 12, 9))
    release(published, 1, date(2017, 12, 1))
    with pytest.raises(NotPublished) as error:
        published.read("scores", DAY)
    assert str(error.value) == "scores is not published for 2017-12-04; there is 2017-12-01 to 2017-12-09"


def test_days_are_told_oldest_first_and_without_candidates(published):
    for day in (date(2017, 12, 9), date(2017, 11, 30), date(2018, 1, 1)):
        release(published, 1, day)
    published.write_candidate("scores", date(2019, 1, 1), version(1))
    assert published.days("scores") == [date(2017, 11, 30), date(2017, 12, 9), date(2018, 1, 1)]


def test_a_reader_gets_the_columns_it_asks_for_and_no_folder_name_as_one(published):
    release(published, 3)
    assert published.read("scores", DAY, ["version"]).column_names == ["version"]
    assert published.read("scores", DAY).column_names == ["customer_id", "version"]
