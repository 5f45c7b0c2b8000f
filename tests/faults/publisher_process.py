"""A process that builds and publishes in children it forks, so that a test can kill them; and one that reads.

It imports what takes seconds once, before the first child. Lines on standard input ask for a child:

    run             load what landed, build the features, publish the day
    release K N     write version K of two tables and release them; die at the N-th change of a file
"""

import json
import os
import select
import signal
import sys
import time
from pathlib import Path

import pyarrow as pa

from core.published import Published
from core.settings import Settings
from tests.faults.stamped_shop import DAY, versions

PAIR = ["scores", "reasons"]


def settings_of(data_dir: str) -> Settings:
    return Settings(_env_file=None, data_dir=Path(data_dir), token_key="k" * 40, replay=True)


def run(settings: Settings) -> None:
    from core.dbt import build
    from expectations.publish import DAILY, publish
    from sources.landing import load_landing

    load_landing(settings)
    build(settings, "tag:features", as_of=DAY)
    say("publishing")
    publish(settings, DAILY, DAY)


def release(settings: Settings, version: int, die_at: int) -> None:
    published = Published(settings.published)
    die_at_change(settings.data_dir, die_at)
    for table in PAIR:
        published.write_candidate(table, DAY, pa.table({"version": [version] * 1000}))
    published.release_together(PAIR, DAY)


def die_at_change(folder: Path, count: int) -> None:
    """Kill this process just before the `count`-th time it opens a file to write, renames or removes one.

    By Python's audit events: nothing of what is tested is replaced.
    """
    left = [count]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        is_change = event in {"os.rename", "os.remove", "os.mkdir", "os.link"} or (
            event == "open" and str(arguments[1]) not in {"r", "rb", "None"}
        )
        if is_change and str(folder) in str(arguments[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def warm_up() -> None:
    """Import what `run` needs, so that a child dies while it works and not while it imports."""
    import dbt.cli.main
    import great_expectations

    import expectations.customer_features
    import expectations.publish
    import sources.landing

    assert all((dbt, great_expectations, expectations, sources))


def serve(data_dir: str) -> None:
    settings = settings_of(data_dir)
    pa.array([0])  # its first one imports pandas
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "run":
            warm_up()
        pid = os.fork()
        if pid == 0:
            if command == "run":
                run(settings)
            else:
                release(settings, *map(int, arguments))
            os._exit(0)
        say(f"started {pid}")
        say(f"ended {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")


def read(data_dir: str) -> None:
    """Read the day's tables over and over until standard input ends; then say what was seen, as JSON."""
    published = Published(settings_of(data_dir).published)
    seen: list[int] = []
    odd: list[str] = []
    reads = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            found = versions(published)
        except Exception as error:  # whatever a reader would have stumbled over
            odd.append(f"{type(error).__name__}: {error}")
            continue
        reads += 1
        time.sleep(0.01)  # the publisher needs the processor too
        if len(set(found)) != 1 or (seen and found[0] < seen[-1]):
            odd.append(str(found))
        elif not seen or found[0] != seen[-1]:
            seen.append(found[0])
    say(json.dumps({"reads": reads, "seen": seen, "odd": odd[:20]}))


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


if __name__ == "__main__":
    {"serve": serve, "read": read}[sys.argv[1]](sys.argv[2])
