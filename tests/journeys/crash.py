"""A demo that is killed outright, at any moment, and run again, ends where an undisturbed one ends.

`make test-crash` runs this: `TEST_KILLS` kills at random moments, one while mail goes out. Too long for the suite, whose
files are called `test_…`.
"""

import os
import random
import time
from pathlib import Path

import pytest

from tests.journeys.platform_kit import HOUSEHOLDS, make_platform

KILLS = int(os.environ.get("TEST_KILLS", "12"))
LONGEST_SECONDS = 90.0
DEMO = ("demo", "--households", str(HOUSEHOLDS))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_killed_demo_run_again_ends_like_an_undisturbed_one(tmp_path: Path):
    undisturbed, killed = make_platform(tmp_path / "undisturbed"), make_platform(tmp_path / "killed")
    undisturbed.lapwing(*DEMO)
    chance = random.Random(20171204)
    for _ in range(KILLS):
        process = killed.start(*DEMO)
        time.sleep(chance.uniform(2, LONGEST_SECONDS))
        killed.kill(process)
    killed.kill_while_sending(killed.start(*DEMO))
    for _ in range(2):  # the second finds all done and adds nothing
        killed.lapwing(*DEMO)
        assert killed.states() == undisturbed.states()
        assert killed.verdicts() == undisturbed.verdicts()
        assert set(killed.mails().values()) == {1}, "a mail came twice"
        assert set(killed.mails()) == {send for send, state in killed.states().items() if state == "sent"}
