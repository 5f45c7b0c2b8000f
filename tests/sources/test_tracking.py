import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import duckdb
import pytest

import sources.tracking
from core.clock import replay_to
from core.settings import Settings
from simulation.shop import simulate_shop
from sources.contract import contracts
from sources.landing import load_landing
from sources.tracking import collect
from tracking.events import EventKind, new_event
from tracking.log import SegmentLog

MOMENT = datetime(2017, 12, 4, 22, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path) -> Settings:
    replayed = Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, replay=True)
    replay_to(replayed, date(2017, 12, 4))
    return replayed


def append(settings: Settings, instance: str, numbers: range, moment: datetime = MOMENT) -> None:
    log = SegmentLog(settings.tracking_log, instance)
    for number in numbers:
        log.append(new_event(EventKind.CLICK, f"{number:032x}", moment, link_id="0" * 16))
    log.close()


def landed_files(settings: Settings) -> list[str]:
    return sorted(file.name for file in (settings.landing / "tracking" / "mail_events").glob("[!.]*"))


def landed(settings: Settings) -> list[dict[str, object]]:
    folder = settings.landing / "tracking" / "mail_events"
    return [
        json.loads(line)
        for file in sorted(folder.glob("[!.]*.jsonl"))
        for line in file.read_text().splitlines()
    ]


def numbers(settings: Settings) -> list[int]:
    return sorted(int(str(row["send_id"]), 16) for row in landed(settings))


def test_nothing_tracked_yet_is_nothing_collected(settings):
    assert collect(settings) == 0
    assert not settings.landing.exists()


def test_rows_keep_the_contract_and_were_known_when_collected(settings):
    append(settings, "web1", range(3))
    assert collect(settings) == 3
    (row, *_) = landed(settings)
    # Whose mail it was is not looked up yet (issue #3): features of mail stay null for our own tracking.
    assert {column.name for column in contracts()["mail_events"].columns} - set(row) == {"customer_id"}
    known_at = datetime.fromisoformat(str(row["known_at"]))
    assert known_at.date() == date(2017, 12, 4)
    assert known_at > MOMENT
    folder = settings.landing / "tracking" / "mail_events"
    types = duckdb.sql(
        f"""select known_at::timestamp > happened_at::timestamp, is_machine::boolean, typeof(kind)
        from read_json('{folder}/*.jsonl', format = 'newline_delimited', columns = {{
            known_at: 'varchar', happened_at: 'varchar', is_machine: 'varchar', kind: 'varchar'}}) limit 1"""
    ).fetchall()
    assert types == [(True, False, "VARCHAR")]


def test_collecting_again_lands_nothing_twice_and_goes_on_where_it_stopped(settings):
    append(settings, "web1", range(3))
    append(settings, "web-2", range(10, 12))
    assert collect(settings) == 5
    files = landed_files(settings)
    assert collect(settings) == 0
    assert landed_files(settings) == files
    append(settings, "web1", range(3, 5))
    append(settings, "web1", range(5, 6), MOMENT + timedelta(hours=1))
    assert collect(settings) == 3
    assert numbers(settings) == [0, 1, 2, 3, 4, 5, 10, 11]
    first, second = (name for name in landed_files(settings) if name.startswith("web1-2017120422"))
    assert second.split("-")[2] == first.split("-")[3].removesuffix(".jsonl")


def test_half_written_last_line_is_left_until_it_is_whole(settings):
    append(settings, "web1", range(2))
    (segment,) = settings.tracking_log.iterdir()
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-20])
    assert collect(settings) == 1
    assert collect(settings) == 0
    segment.write_bytes(whole)
    assert collect(settings) == 1
    assert numbers(settings) == [0, 1]


def test_line_a_crash_cut_short_is_left_out_once_and_the_lines_after_it_are_not(settings):
    append(settings, "web1", range(2))
    (segment,) = settings.tracking_log.iterdir()
    segment.write_bytes(segment.read_bytes()[:-20])
    append(settings, "web1", range(2, 4))
    assert collect(settings) == 3
    assert numbers(settings) == [0, 2, 3]
    with segment.open("ab") as damaged:
        damaged.write(b"[1]\n\xff\x00{\n\n")
    assert collect(settings) == 0
    files = landed_files(settings)
    assert collect(settings) == 0
    assert landed_files(settings) == files
    assert numbers(settings) == [0, 2, 3]


@pytest.mark.parametrize("dies_at", ["fsync", "rename"])
def test_collection_that_dies_lands_nothing_half_and_the_next_lands_it_all(settings, monkeypatch, dies_at):
    append(settings, "web1", range(4))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        if dies_at == "fsync":
            crash.setattr(os, "fsync", die)
        else:
            crash.setattr("pathlib.Path.replace", die)
        with pytest.raises(KeyboardInterrupt):
            collect(settings)
    assert landed(settings) == []
    append(settings, "web1", range(4, 6))
    assert collect(settings) == 6
    assert numbers(settings) == [0, 1, 2, 3, 4, 5]
    folder = settings.landing / "tracking" / "mail_events"
    assert len(list(folder.iterdir())) == 1  # what the dead one began is gone too


def test_large_segment_lands_in_several_files(settings, monkeypatch):
    monkeypatch.setattr(sources.tracking, "LINES_PER_FILE", 10)
    append(settings, "web1", range(25))
    assert collect(settings) == 25
    assert len(landed_files(settings)) == 3
    assert numbers(settings) == list(range(25))


def test_collections_at_the_same_time_land_each_event_once(settings):
    with ThreadPoolExecutor(6) as threads:
        writing = threads.submit(append, settings, "web1", range(2000))
        counts = list(threads.map(lambda _: collect(settings), range(20)))
        writing.result()
    assert sum(counts) + collect(settings) == 2000
    assert numbers(settings) == list(range(2000))


def test_what_is_landed_is_loaded_like_any_other_table_without_a_reject(settings):
    shop = simulate_shop(settings.landing / "simulated", customers=10, days=30)
    append(settings, "web1", range(5))
    (segment,) = settings.tracking_log.iterdir()
    with segment.open("ab") as damaged:
        damaged.write(b"cut short\n")
    collect(settings)
    append(settings, "web1", range(5, 7))
    collect(settings)
    report = load_landing(settings)
    assert report.rows["customers"] == shop.rows["customers"]
    assert (report.rows["mail_events"], sum(report.rejects.values())) == (7, 0)
    with segment.open("ab") as damaged:
        damaged.write(b"nothing but damage\n")
    collect(settings)  # lands a file without a row
    assert sum(load_landing(settings).rejects.values()) == 0
