"""The clock is the system's, unless past days are replayed: then it stands on the day being run, and goes on."""

import json
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from core.clock import clock_of, replay_to
from core.settings import Settings

DAY = date(2017, 12, 4)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def replayed(tmp_path) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, replay=True)


def stand_at(settings: Settings, moment: datetime) -> None:
    """Put the replayed clock somewhere by hand."""
    shift = (moment - datetime.now(UTC)).total_seconds()
    (settings.data_dir / "replay_clock.json").write_text(json.dumps({"shift_seconds": shift}))


def test_without_a_replay_the_clock_is_the_systems_in_utc(settings):
    now = clock_of(settings)()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < MINUTE


def test_without_a_replay_no_day_moves_the_clock(settings):
    replay_to(settings, DAY)
    assert abs(clock_of(settings)() - datetime.now(UTC)) < MINUTE
    assert list(settings.data_dir.iterdir()) == []


def test_a_replayed_clock_stands_late_on_the_day_and_goes_on(replayed):
    replay_to(replayed, DAY)
    first = clock_of(replayed)()
    time.sleep(0.02)
    second = clock_of(replayed)()
    eleven = datetime(2017, 12, 4, 23, tzinfo=UTC)
    assert eleven <= first < second < eleven + MINUTE


def test_a_clock_that_stands_on_the_day_is_not_put_back(replayed):
    """A later task of the same day must not be earlier than what was sent before it."""
    stand_at(replayed, datetime(2017, 12, 4, 23, 30, tzinfo=UTC))
    replay_to(replayed, DAY)
    assert clock_of(replayed)() >= datetime(2017, 12, 4, 23, 30, tzinfo=UTC)


def test_another_day_moves_the_clock_forth_and_back(replayed):
    clock = clock_of(replayed)  # asked anew at each call: a running service follows
    for day in (date(2017, 12, 5), date(2017, 11, 30), date(2017, 12, 4)):
        replay_to(replayed, day)
        assert clock().date() == day


def test_before_any_day_is_replayed_the_clock_is_the_systems(replayed):
    assert abs(clock_of(replayed)() - datetime.now(UTC)) < MINUTE


def test_programs_that_share_a_data_folder_share_the_clock(replayed, tmp_path):
    other = Settings(_env_file=None, data_dir=tmp_path, token_key="x" * 40, replay=True)
    replay_to(replayed, DAY)
    assert abs(clock_of(other)() - clock_of(replayed)()) < MINUTE
    assert [file.name for file in tmp_path.iterdir()] == ["replay_clock.json"]  # no draft is left
