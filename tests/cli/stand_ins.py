"""Small real HTTP services in place of ours, and a program that runs `run_all` on them: for signals and kills.

`python -m tests.cli.stand_ins DATA_DIR PORT` runs until it is stopped, as `make up` does.
"""

import subprocess
import sys
import time
from pathlib import Path

import httpx

from cli import services
from cli.catalogue import Service
from core.settings import Settings

# The page has a child in a process group of its own, as Airflow's tasks are.
PAGE = """
import subprocess, sys, uvicorn

async def page(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})

subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
uvicorn.run(page, host="127.0.0.1", port=int(sys.argv[1]), lifespan="off", log_level="warning")
"""


def page(port: int) -> Service:
    """A service that answers on a port of this machine and has a child."""
    return Service(
        name="page",
        command=(sys.executable, "-c", PAGE, str(port)),
        is_ready=lambda: answers(port),
        address=f"http://127.0.0.1:{port}",
        port=port,
        port_setting="LAPWING_PAGE_URL",
    )


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}", timeout=2, trust_env=False).text == "here"
    except httpx.HTTPError:
        return False


def start(data_dir: Path, port: int) -> subprocess.Popen[str]:
    """Run the program below and return it once its page answers."""
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.stand_ins", str(data_dir), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for _ in range(600):
        if answers(port):
            return program
        time.sleep(0.1)
    program.kill()
    raise AssertionError(f"the stand-in did not answer: {program.communicate()[0]}")


if __name__ == "__main__":
    services.services = lambda settings: [page(int(sys.argv[2]))]
    services.run_all(Settings(_env_file=None, data_dir=Path(sys.argv[1]), token_key="k" * 40))
