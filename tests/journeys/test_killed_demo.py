"""A demo that is killed outright, at any moment, and run again, ends where an undisturbed one ends.

`make test-crash` kills at `TEST_KILLS` moments (there 12); in the suite there are two: one while mail goes out
and one at a random moment before.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.journeys.platform_kit import HOUSEHOLDS, Platform, make_platform

RANDOM_KILLS = int(os.environ.get("TEST_KILLS", "1"))
LONGEST_SECONDS = 90.0


@pytest.mark.slow
@pytest.mark.xdist_group("demo")
@pytest.mark.timeout(3600)
def test_a_killed_demo_run_again_ends_like_an_undisturbed_one(demo: Platform, tmp_path: Path):
    killed = make_platform(tmp_path / "data")
    chance = random.Random(20171204)
    for _ in range(RANDOM_KILLS):
        kill_after(killed, chance.uniform(2, LONGEST_SECONDS))
    kill_while_sending(killed)
    killed.lapwing("demo", "--households", str(HOUSEHOLDS))
    assert killed.states() == {
        send_id: state for send_id, state in demo.states().items() if send_id in demo.verdicts()
    }
    assert killed.verdicts() == demo.verdicts()
    assert set(killed.mails().values()) == {1}, "a mail came twice"
    assert set(killed.mails()) == {send_id for send_id, state in killed.states().items() if state == "sent"}


def kill_after(platform: Platform, seconds: float) -> None:
    process = platform.start("demo", "--households", str(HOUSEHOLDS))
    time.sleep(seconds)
    kill(process.pid)
    process.communicate()


def kill_while_sending(platform: Platform) -> None:
    """Kill command and sender together as soon as some mail, but not all, has arrived."""
    process = platform.start("demo", "--households", str(HOUSEHOLDS))
    deadline = time.monotonic() + 1500
    arrived = platform.settings.inbox / "new"
    while process.poll() is None and time.monotonic() < deadline:
        if arrived.exists() and sum(1 for _ in arrived.iterdir()) >= 5:
            kill(process.pid)
            break
        time.sleep(0.01)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"


def kill(pid: int) -> None:
    """Kill a command and everything it started, wherever it runs: none of them gets to clean up."""
    import psutil

    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for member in family:
        try:
            os.kill(member.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
