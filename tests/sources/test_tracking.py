import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import insert
from structlog.testing import capture_logs

import sources.landing_rows
import sources.tracking
from campaigns.migrate import migrate
from campaigns.outcomes import ledger_view
from campaigns.sends import SendState
from core.clock import replay_to
from core.ledger_tables import open_ledger
from core.ledger_tables import sends as sends_table
from core.settings import Settings
from simulation.shop import simulate_shop
from sources.contract import contracts
from sources.landing import load_landing
from tests.faults.ledger_kit import planned
from tracking.events import EventKind, new_event
from tracking.log import SegmentLog

MOMENT = datetime(2017, 12, 4, 22, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path) -> Settings:
    replayed = Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, replay=True)
    replay_to(replayed, date(2017, 12, 4))
    return replayed


@pytest.fixture
def living(tmp_path) -> Settings:
    """The same with the real clock: what is landed already is not all read again."""
    return Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40)


def collect(settings: Settings) -> int:
    """Collect with the settings' own ledger, as the DAG does."""
    with ledger_view(settings) as ledger:
        return sources.tracking.collect(settings, ledger)


def ledger_row(number: int, state: SendState, ended_at: datetime) -> dict[str, object]:
    """A send of customer c<number>, handed over two seconds before it ended in a state."""
    send = planned(number)
    facts = {name: getattr(send, name) for name in send.__dataclass_fields__}
    has_ended = state not in (SendState.PLANNED, SendState.SENDING)
    return facts | {
        "send_id": f"{number:032x}",
        "due_at": send.send_at,
        "state": state,
        "sending_at": ended_at - timedelta(seconds=2),
        "ended_at": ended_at if has_ended else None,
        "attempts": 1,
    }


def write_sends(
    settings: Settings,
    numbers: range,
    moment: datetime = MOMENT,
    state: SendState = SendState.SENT,
    apart: timedelta = timedelta(seconds=1),
) -> None:
    """Write sends into the ledger, each so long after the one before."""
    migrate(settings.ledger)
    engine = open_ledger(settings.ledger)
    rows = [ledger_row(number, state, moment + place * apart) for place, number in enumerate(numbers)]
    with engine.begin() as connection:
        connection.execute(insert(sends_table), rows)
    engine.dispose()


def sent(settings: Settings) -> list[int]:
    """Return the numbers of the sends that landed as sent, in the order of their files."""
    folder = settings.landing / "ledger" / "mail_events"
    rows = [
        json.loads(line) for file in sorted(folder.glob("[!.]*")) for line in file.read_text().splitlines()
    ]
    assert {row["kind"] for row in rows} <= {"sent"}
    return [int(row["send_id"], 16) for row in rows]


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
    assert {column.name for column in contracts()["mail_events"].columns} == set(row)
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


# ---- whose mail it was, and what was sent ----


def test_an_event_lands_with_the_customer_of_its_send_whatever_became_of_the_send(settings):
    write_sends(settings, range(2))
    write_sends(settings, range(2, 3), state=SendState.UNCERTAIN)
    append(settings, "web1", range(4))
    with capture_logs() as said:
        assert collect(settings) == 4 + 2
    whose = {int(str(row["send_id"]), 16): row["customer_id"] for row in landed(settings)}
    assert whose == {0: "c0", 1: "c1", 2: "c2", 3: None}
    (warning,) = [line for line in said if line["log_level"] == "warning"]
    assert warning == {
        "event": "events of sends the ledger does not know", "segment": "web1-2017120422.jsonl", "sends": 1,
        "log_level": "warning",
    }  # fmt: skip


def test_customers_of_more_sends_than_one_question_holds_are_all_found(settings, monkeypatch):
    monkeypatch.setattr("campaigns.ledger_view.SENDS_PER_QUESTION", 7)
    write_sends(settings, range(25))
    append(settings, "web1", range(25))
    collect(settings)
    assert {row["customer_id"] for row in landed(settings)} == {f"c{number}" for number in range(25)}


def test_a_sent_mail_lands_once_with_the_moments_of_the_ledger(settings):
    write_sends(settings, range(1), MOMENT)
    assert collect(settings) == 1
    (file,) = (settings.landing / "ledger" / "mail_events").iterdir()
    assert file.name == "20171204T220000000000-00000000000000000000000000000000.jsonl"
    assert json.loads(file.read_text()) == {
        "event_id": "sent-00000000000000000000000000000000",
        "kind": "sent",
        "send_id": "00000000000000000000000000000000",
        "customer_id": "c0",
        "link_id": None,
        "is_machine": False,
        "happened_at": "2017-12-04T21:59:58.000000Z",
        "known_at": "2017-12-04T22:00:00.000000Z",
    }
    assert collect(settings) == 0


def test_only_what_the_ledger_calls_sent_lands_as_sent(settings):
    for number, state in enumerate(SendState):
        write_sends(settings, range(number, number + 1), state=state)
    assert len(SendState) == 11
    assert collect(settings) == 1
    assert sent(settings) == [list(SendState).index(SendState.SENT)]


@pytest.mark.parametrize("kind", ["settings", "living"])
def test_collecting_again_lands_what_was_sent_since_and_what_was_committed_late(request, kind):
    here = request.getfixturevalue(kind)
    write_sends(here, range(10, 20), MOMENT)
    assert collect(here) == 10
    assert collect(here) == 0
    write_sends(here, range(20, 23), MOMENT + timedelta(minutes=20))
    # Stamped before the sends that are landed, committed after them; one at the very moment of the newest of them.
    write_sends(here, range(3), MOMENT - timedelta(minutes=10))
    write_sends(here, range(3, 4), MOMENT + timedelta(seconds=9))
    assert collect(here) == 7
    assert collect(here) == 0
    assert sorted(sent(here)) == [*range(4), *range(10, 23)]


def test_with_the_real_clock_older_landed_files_are_not_read_again(living):
    write_sends(living, range(3), MOMENT)
    collect(living)
    write_sends(living, range(3, 6), MOMENT + timedelta(hours=2))
    collect(living)
    first, _ = sorted((living.landing / "ledger" / "mail_events").iterdir())
    first.write_text("whoever reads this fails")
    write_sends(living, range(6, 7), MOMENT + timedelta(hours=3))
    assert collect(living) == 1


def test_an_earlier_day_replayed_after_a_later_one_lands_its_sends_too(settings):
    write_sends(settings, range(2), MOMENT)
    assert collect(settings) == 2
    write_sends(settings, range(2, 4), MOMENT - timedelta(days=28))
    assert collect(settings) == 2
    assert sorted(sent(settings)) == [0, 1, 2, 3]


@pytest.mark.parametrize("apart", [timedelta(seconds=1), timedelta(0)])
def test_many_sent_mails_land_in_several_files_each_once(settings, monkeypatch, apart):
    monkeypatch.setattr(sources.tracking, "LINES_PER_FILE", 10)
    write_sends(settings, range(25), apart=apart)
    assert collect(settings) == 25
    assert sent(settings) == list(range(25))
    assert len(list((settings.landing / "ledger" / "mail_events").iterdir())) == 3
    assert collect(settings) == 0


def test_a_collection_that_dies_over_the_sends_lands_each_once_all_the_same(settings, monkeypatch):
    monkeypatch.setattr(sources.tracking, "LINES_PER_FILE", 4)
    write_sends(settings, range(10))
    drafts = []

    def die_at_the_second(draft: Path) -> None:
        drafts.append(draft)
        if len(drafts) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(sources.landing_rows, "sync", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            collect(settings)
    assert drafts[1].exists()
    assert sent(settings) == [0, 1, 2, 3]
    assert collect(settings) == 6
    assert sent(settings) == list(range(10))
    assert not drafts[1].exists()


def test_collections_at_the_same_time_land_each_sent_mail_once(settings):
    write_sends(settings, range(500))
    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(lambda _: collect(settings), range(8)))
    assert sum(counts) == 500
    assert sent(settings) == list(range(500))


def test_the_stars_of_a_mail_land_as_answers_to_a_survey_and_the_last_counts(settings):
    write_sends(settings, range(2))
    log = SegmentLog(settings.tracking_log, "a")
    for stars, minutes in (("2", 0), ("5", 3)):
        moment = MOMENT + timedelta(minutes=minutes)
        log.append(new_event(EventKind.SURVEY, f"{1:032x}", moment, link_id=stars), durable=True)
    log.append(new_event(EventKind.OPEN, f"{0:032x}", MOMENT), durable=True)
    log.append(
        new_event(EventKind.SURVEY, f"{9:032x}", MOMENT, link_id="1"), durable=True
    )  # of a send nobody knows
    log.close()
    collect(settings)
    collect(settings)
    files = [*(settings.landing / "tracking" / "survey_answers").iterdir()]
    assert len(files) == 1
    rows = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert [(row["answer_id"], row["customer_id"], row["score"]) for row in rows] == [
        (f"mail-{1:032x}", "c1", 4),
        (f"mail-{1:032x}", "c1", 10),
    ]
    assert rows[1]["answered_at"] == "2017-12-04T22:03:00.000000Z"
    mail_events = (settings.landing / "tracking" / "mail_events").glob("*.jsonl")
    assert [json.loads(line)["kind"] for file in mail_events for line in file.read_text().splitlines()] == [
        "open"
    ]
