import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

import tracking.log
from tracking.events import EventKind, new_event
from tracking.log import SegmentLog

ELEVEN = datetime(2017, 12, 4, 23, 59, 59, tzinfo=UTC)
PROJECT = Path(__file__).resolve().parents[2]


def event(number: int = 0, moment: datetime = ELEVEN):
    return new_event(EventKind.OPEN, f"{number:032x}", moment)


def send_ids(file: Path) -> list[str]:
    return [json.loads(line)["send_id"] for line in file.read_text().splitlines()]


def test_segments_are_named_after_instance_and_hour_in_utc(tmp_path):
    log = SegmentLog(tmp_path / "made" / "when_needed", "web1")
    berlin = timezone(timedelta(hours=1))
    log.append(event(1))
    log.append(event(2, datetime(2017, 12, 5, 1, 0, tzinfo=berlin)))
    log.close()
    names = sorted(file.name for file in log.folder.iterdir())
    assert names == ["web1-2017120423.jsonl", "web1-2017120500.jsonl"]
    last = json.loads((log.folder / names[1]).read_text())
    assert last["happened_at"] == "2017-12-05T00:00:00.000000Z"


def test_instances_without_a_name_never_share_a_segment(tmp_path):
    for _ in range(5):
        log = SegmentLog(tmp_path)
        log.append(event())
        log.close()
    assert len(list(tmp_path.iterdir())) == 5


def test_appending_from_many_threads_loses_and_mixes_no_line(tmp_path):
    log = SegmentLog(tmp_path, "web1")
    hours = [ELEVEN, ELEVEN + timedelta(seconds=2)]  # about midnight, so that segments roll back and forth
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: log.append(event(n, hours[n % 2]), durable=n % 10 == 0), range(1000)))
    log.close()
    found = [send_id for file in tmp_path.iterdir() for send_id in send_ids(file)]
    assert sorted(found) == [f"{number:032x}" for number in range(1000)]


def test_line_cut_short_by_a_crash_spoils_only_itself(tmp_path):
    file = tmp_path / "web1-2017120423.jsonl"
    file.write_bytes(event(1).line() + event(2).line()[:40])
    log = SegmentLog(tmp_path, "web1")
    log.append(event(3))
    log.close()
    lines = file.read_bytes().splitlines()
    assert [json.loads(lines[0])["send_id"], json.loads(lines[2])["send_id"]] == [f"{1:032x}", f"{3:032x}"]
    assert lines[1] == event(2).line()[:40] or len(lines[1]) == 40


def test_disk_that_fills_up_in_the_middle_of_a_line_is_reported_and_survived(tmp_path, monkeypatch):
    log = SegmentLog(tmp_path, "web1")
    log.append(event(1))

    def half(file: int, data: memoryview) -> None:
        os.write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(tracking.log, "_write_all", half)
        with pytest.raises(OSError, match="No space left"):
            log.append(event(2))
    with pytest.raises(OSError, match="No space left"):
        log.check()
    log.append(event(3))
    log.check()
    log.close()
    lines = (tmp_path / "web1-2017120423.jsonl").read_bytes().splitlines()
    assert len(lines) == 3
    assert [json.loads(line)["send_id"] for line in (lines[0], lines[2])] == [f"{1:032x}", f"{3:032x}"]


def test_durable_event_is_synced_before_append_returns_and_others_are_synced_together(tmp_path, monkeypatch):
    synced: list[int] = []
    real = os.fsync

    def counted(file: int) -> None:
        synced.append(os.fstat(file).st_size)
        real(file)

    monkeypatch.setattr(os, "fsync", counted)
    log = SegmentLog(tmp_path, "web1")
    log.append(event(1))
    synced.clear()  # the folder, when the segment was made
    for number in range(50):
        log.append(event(number))
    assert synced == []
    log.append(event(51), durable=True)
    size = (tmp_path / "web1-2017120423.jsonl").stat().st_size
    assert synced == [size]
    log.sync()
    assert synced == [size]  # nothing new to sync
    log.close()


def test_log_goes_on_in_a_new_segment_when_its_folder_is_wiped(tmp_path):
    log = SegmentLog(tmp_path / "tracking", "web1")
    log.append(event(1))
    (tmp_path / "tracking" / "web1-2017120423.jsonl").unlink()
    log.append(event(2))
    log.close()
    assert send_ids(tmp_path / "tracking" / "web1-2017120423.jsonl") == [f"{2:032x}"]


def test_process_killed_while_appending_loses_nothing_it_had_appended(tmp_path):
    program = textwrap.dedent(
        """
        import sys
        from datetime import UTC, datetime
        from pathlib import Path
        from tracking.events import EventKind, new_event
        from tracking.log import SegmentLog
        log, moment, number = SegmentLog(Path(sys.argv[1]), "web1"), datetime(2017, 12, 4, 23, tzinfo=UTC), 0
        while True:
            log.append(new_event(EventKind.OPEN, f"{number:032x}", moment))
            number += 1
            if number % 100 == 0:
                print(number, flush=True)
        """
    )
    told = 0
    for _ in range(3):  # the second and third life go on in the same segment
        command = [sys.executable, "-c", program, str(tmp_path)]
        with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            last = 0
            while last < 2000:
                last = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split()
        told += int(rest[-1]) if rest else last
    (file,) = tmp_path.iterdir()
    readable = 0
    for line in file.read_bytes().splitlines():
        try:
            readable += bool(json.loads(line))
        except ValueError:
            continue
    assert readable >= told
    assert len(file.read_bytes().splitlines()) - readable <= 3
