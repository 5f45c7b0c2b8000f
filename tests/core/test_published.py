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


# ---- tables of one day that are released together ----


def release_both(published: Published, number: int, rows: int = 10, day: date = DAY) -> None:
    for table in ("scores", "reasons"):
        published.write_candidate(table, day, version(number, rows))
    published.release_together(["scores", "reasons"], day)


def files_of(published: Published, table: str) -> list[str]:
    return sorted(file.name for file in (published.root / table / f"as_of_date={DAY}").iterdir())


def versions(published: Published) -> list[int]:
    read = published.read_together({"scores": ["version"], "reasons": None}, DAY)
    return [number for table in read.values() for number in pc.unique(table["version"]).to_pylist()]


def test_tables_released_together_are_seen_together(published):
    published.write_candidate("scores", DAY, version(1))
    with pytest.raises(NotPublished, match="reasons has neither candidate nor snapshot for 2017-12-04"):
        published.release_together(["scores", "reasons"], DAY)
    assert not published.exists("scores", DAY)
    assert published.days("scores") == []
    release_both(published, 2)
    assert versions(published) == [2, 2]
    assert published.days("scores") == published.days("reasons") == [DAY]


def test_readers_of_two_tables_get_both_of_one_release_however_often_they_change(published):
    rows = 5_000
    release_both(published, 0, rows)
    seen: list[int] = []
    odd: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                found = versions(published)
                if len(found) != 2 or len(set(found)) != 1 or (seen and found[0] < seen[-1]):
                    odd.append(found)
                seen.extend(found)
            except Exception as error:  # whatever a reader would have stumbled over
                odd.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 101):
        release_both(published, number, rows)
    done.set()
    reader.join()
    assert odd == []
    assert len(set(seen)) > 2  # they did read while it changed


def test_a_released_file_replaces_the_one_before_and_the_same_bytes_stay(published):
    release_both(published, 1)
    first = files_of(published, "scores")
    assert len(first) == 1
    release_both(published, 1)
    assert files_of(published, "scores") == first
    release_both(published, 2)
    assert len(files_of(published, "scores")) == 1
    assert files_of(published, "scores") != first


def test_a_table_once_released_alone_can_join_others_and_be_released_alone_again(published):
    release(published, 1)
    assert files_of(published, "scores") == ["part-0.parquet"]
    published.write_candidate("reasons", DAY, version(1))
    published.release_together(["scores", "reasons"], DAY)  # no newer candidate: the snapshot stays
    assert versions(published) == [1, 1]
    release_both(published, 2)
    release(published, 3)
    assert versions(published) == [3, 2]
    assert len(files_of(published, "scores")) == 1


def test_a_file_that_no_list_names_is_seen_by_nobody_and_cleared_by_the_next_release(published):
    """What a release that was killed before its last step leaves behind."""
    release_both(published, 1)
    stray = published.path("scores", DAY).with_name("part-0123456789abcdef.parquet")
    stray.write_bytes(b"half a file")
    other_day = published.root / "scores" / "as_of_date=2017-12-05" / "part-0123456789abcdef.parquet"
    other_day.parent.mkdir()
    other_day.write_bytes(b"half a file")
    assert published.days("scores") == [DAY]
    assert versions(published) == [1, 1]
    release_both(published, 2)
    assert not stray.exists()


def test_the_columns_asked_for_of_each_table_are_those_read(published):
    release_both(published, 1)
    read = published.read_together({"scores": ["version"], "reasons": None}, DAY)
    assert read["scores"].column_names == ["version"]
    assert read["reasons"].column_names == ["customer_id", "version"]


def test_a_day_that_lacks_one_of_the_tables_names_it(published):
    release(published, 1)
    with pytest.raises(NotPublished, match="reasons is not published for 2017-12-04; none is"):
        published.read_together({"scores": None, "reasons": None}, DAY)
