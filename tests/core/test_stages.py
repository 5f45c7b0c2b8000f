"""Each stage of a run leaves one line with its seconds, its day and what it counted."""

import time
from datetime import date

import pytest

from core.clock import clock_of
from core.settings import Settings
from core.stages import stage, stage_of, stages

DAY = date(2017, 12, 4)


def test_stages_are_told_in_order_with_their_facts_and_seconds(settings):
    with stage(settings, "land", DAY) as facts:
        time.sleep(0.05)
        facts["rows"] = 7
    with stage(settings, "score", DAY):
        pass
    first, second = stages(settings)
    assert 0.05 <= float(str(first.pop("seconds"))) < 5
    assert first == {"stage": "land", "as_of_date": "2017-12-04", "rows": 7}
    assert second["stage"] == "score"


def test_before_any_stage_there_is_nothing_to_tell(settings):
    assert stages(settings) == []


def test_a_stage_that_fails_leaves_no_line_and_hides_no_error(settings):
    with pytest.raises(ZeroDivisionError), stage(settings, "land", DAY):
        raise ZeroDivisionError
    assert stages(settings) == []


def test_the_front_door_of_a_task_puts_a_replayed_clock_on_its_day(monkeypatch, tmp_path):
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    for name, value in {"TOKEN_KEY": "k" * 40, "DATA_DIR": str(tmp_path), "REPLAY": "true"}.items():
        monkeypatch.setenv(f"LAPWING_{name}", value)
    with stage_of("score", "2017-12-04") as (settings, day):
        assert day == DAY
        assert clock_of(settings)().date() == DAY
    assert [line["stage"] for line in stages(settings)] == ["score"]
