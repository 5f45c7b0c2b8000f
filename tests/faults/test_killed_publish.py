"""A build or a release killed outright, at any moment: readers see the day before or after, the next run mends the rest.

`make test-crash-publish` kills 100 runs; in the suite there are 3.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.published import Published
from core.settings import Settings
from expectations.publish import DAILY
from tests.faults.publisher_process import PAIR, settings_of
from tests.faults.stamped_shop import DAY, land_shop, land_version, versions

KILLS = int(os.environ.get("TEST_KILLS", "3"))
UNDISTURBED_EVERY = 10


class Publisher:
    """Starts publishers, one at a time, over one data folder."""

    def __init__(self, settings: Settings, process: subprocess.Popen[str]) -> None:
        self.settings = settings
        self._process = process
        self._heard = ""

    def start(self, line: str) -> int:
        self._heard = ""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return int(self.wait_for("started").split()[1])

    def wait_for(self, word: str) -> str:
        assert self._process.stdout is not None
        while not self._heard.startswith((word, "ended")):
            self._heard = self._process.stdout.readline()
            assert self._heard, "the publisher is gone"
        return self._heard

    def exit_code(self) -> int:
        return int(self.wait_for("ended").split()[1])

    def run(self) -> tuple[float, float]:
        """Run undisturbed; return the seconds of the build and of the publishing."""
        started = time.monotonic()
        self.start("run")
        self.wait_for("publishing")
        built = time.monotonic()
        assert self.exit_code() == 0
        return built - started, time.monotonic() - built


@contextmanager
def publisher_in(folder: Path) -> Iterator[Publisher]:
    command = [sys.executable, "-m", "tests.faults.publisher_process", "serve", str(folder)]
    folder.mkdir(exist_ok=True)
    pipe = subprocess.PIPE
    with (
        (folder / "said.log").open("a") as said,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=said, text=True) as process,
    ):
        yield Publisher(settings_of(str(folder)), process)
        process.communicate()  # no more lines: it ends


@contextmanager
def reader_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Read the day in a process of its own all the while; what it saw is there afterwards."""
    command = [sys.executable, "-m", "tests.faults.publisher_process", "read", str(folder)]
    pipe = subprocess.PIPE
    saw: dict[str, Any] = {}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield saw
        said, _ = process.communicate()
    saw |= json.loads(said)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_runs_killed_anywhere_show_the_old_day_or_the_new_and_the_next_run_mends_all(tmp_path):
    shop = settings_of(str(tmp_path / "shop"))
    published = Published(shop.published)
    land_shop(shop)
    land_version(shop, 1)
    with publisher_in(shop.data_dir) as publisher:
        publisher.run()  # the first one parses the whole project
        assert versions(published) == [1, 1, 1, 1]
        land_version(shop, 2)
        seconds = publisher.run()
        with reader_of(shop.data_dir) as saw:
            landed = kill_and_mend(publisher, published, seconds)
    assert saw["odd"] == []
    assert saw["reads"] > 10 * KILLS
    assert saw["seen"][-1] == landed
    assert left_over(published) == []
    assert bytes_of(published) == bytes_of(from_scratch(shop, tmp_path / "clean"))


def kill_and_mend(publisher: Publisher, published: Published, seconds: tuple[float, float]) -> int:
    """Kill runs that each have something new to publish; let one in ten, and the last, end. Return how many landed."""
    chance = random.Random(20171204)
    landed, killed = 2, 0
    while killed < KILLS:
        landed += 1
        land_version(publisher.settings, landed)
        if not kill_somewhere(publisher, chance, seconds):
            continue  # it was quicker
        killed += 1
        found = versions(published)
        assert len(set(found)) == 1, f"kill {killed}: {found}"
        assert 2 <= found[0] <= landed
        if killed == KILLS:
            leave_half_files(publisher.settings)
        if killed % UNDISTURBED_EVERY == 0 or killed == KILLS:
            publisher.run()
            assert versions(published) == [landed] * 4, f"the run after kill {killed}"
    return landed


def kill_somewhere(publisher: Publisher, chance: random.Random, seconds: tuple[float, float]) -> bool:
    """Kill a run at a random moment of its build or, as often, of its publishing; say whether it died of that."""
    pid = publisher.start("run")
    build, publishing = seconds
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0, build))
    else:
        publisher.wait_for("publishing")
        time.sleep(chance.uniform(0, publishing))
    with contextlib.suppress(ProcessLookupError):  # it was quicker
        os.kill(pid, signal.SIGKILL)
    code = publisher.exit_code()
    assert code in (-signal.SIGKILL, 0)
    return code != 0


def leave_half_files(shop: Settings) -> None:
    """Leave what a kill in the middle of a write may leave, and a hundred random ones need not hit."""
    published = Published(shop.published)
    candidate = published.candidate("customer_features", DAY)
    for file in (
        candidate,
        candidate.with_suffix(".unfinished"),
        shop.published / ".days" / f"as_of_date={DAY}.unfinished",
        shop.data_docs / "index.unfinished",
        shop.landing / "stamped" / "orders" / ".version_9999.csv",
    ):
        file.write_bytes(b"PAR1 and no more")


def left_over(published: Published) -> list[Path]:
    """Return what no reader can see and no run uses: unfinished files, and files that are not the day's."""
    listed = {published.path(mart.partition(".")[2], DAY) for mart in DAILY}
    return [
        file
        for file in published.root.rglob("*")
        if file.suffix == ".unfinished" or (file.suffix == ".parquet" and file not in listed)
    ]


def from_scratch(shop: Settings, folder: Path) -> Published:
    """Build and publish the same landing files in a folder where nothing was ever killed."""
    shutil.copytree(shop.landing, folder / "landing")
    with publisher_in(folder) as publisher:
        publisher.run()
    return Published(publisher.settings.published)


def bytes_of(published: Published) -> dict[str, bytes]:
    return {mart: published.path(mart.partition(".")[2], DAY).read_bytes() for mart in DAILY}


def test_a_release_killed_at_each_change_of_a_file_leaves_the_old_pair_or_the_new(tmp_path):
    deaths = []
    with publisher_in(tmp_path) as publisher:
        published = Published(publisher.settings.published)
        publisher.start("release 0 0")
        assert publisher.exit_code() == 0
        for die_at in range(1, 100):
            publisher.start(f"release {die_at} {die_at}")
            code = publisher.exit_code()
            read = published.read_together(dict.fromkeys(PAIR), DAY)
            found = {number for table in PAIR for number in read[table]["version"].to_pylist()}
            assert found in ({die_at}, {0}), f"killed at change {die_at}"
            if code == 0:
                break
            assert code == -signal.SIGKILL
            deaths.append(found == {die_at})
            publisher.start("release 0 0")  # it mends what was left, and is the old pair for the next one
            assert publisher.exit_code() == 0
            assert [len(list(published.path(table, DAY).parent.iterdir())) for table in PAIR] == [1, 1]
    assert found == {die_at}
    assert deaths == sorted(deaths)  # the old pair up to one moment, the new one from then on
    assert deaths.count(False) >= 5
    assert deaths.count(True) >= 2
