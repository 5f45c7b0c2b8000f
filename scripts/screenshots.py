"""Takes the pictures of the documentation from a running `make up`, after `make demo` has filled it.

    .venv/bin/python scripts/screenshots.py              # all of them, into docs/screenshots/
    .venv/bin/python scripts/screenshots.py inbox why    # only these

The addresses and Airflow's login can be given by --console, --airflow, --mlflow and AIRFLOW_ADMIN_PASSWORD; without
it, the password Airflow generated is read from the data folder. Exits 1 if a picture could not be taken.
"""

import argparse
import json
import os
import re
import shutil
import sys
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, Error, Page, sync_playwright

PROJECT = Path(__file__).resolve().parents[1]
FOLDER = PROJECT / "docs" / "screenshots"
SIZE = {"width": 1440, "height": 900}
PATIENCE_MS = 30_000
COLOURS = 256  # of the palette; a third of the bytes, and no difference to be seen
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
DAG = "daily_campaigns"
ADMIN = "admin"
CAMPAIGN = "winback"
MODEL = "churn"


class NoPicture(Exception):
    """A picture cannot be taken; the message says what is missing and what makes it."""


@dataclass(frozen=True)
class Places:
    """Where the pages are, and the folder of the data."""

    console: str
    airflow: str
    mlflow: str
    data: Path


def inbox(page: Page, places: Places) -> None:
    """Show an English mail of the newest day."""
    page.goto(f"{places.console}/?mail={_english_send(page, places)}")
    for device in ("desktop", "phone"):
        page.frame_locator(f".{device} iframe").locator("body").wait_for()


def why(page: Page, places: Places) -> None:
    """Show why that mail was sent."""
    page.goto(f"{places.console}/mail/{_english_send(page, places)}")
    page.frame_locator(".phone iframe").locator("body").wait_for()


def report(page: Page, places: Places) -> None:
    """Show the newest day's report."""
    page.goto(f"{places.console}/report")
    _require(page.locator("table.bars").count() > 0, "the console has no report; run `make demo`")


def gallery(page: Page, places: Places) -> None:
    """Show a mail in Arabic, in the dark, as a phone does."""
    page.goto(
        f"{places.console}/gallery?mail=restock&locale=ar&width=375&scheme=dark&customer=right_to_left_name"
    )
    page.frame_locator(".look iframe").locator("body").wait_for()


def airflow_trigger_form(page: Page, places: Places) -> None:
    """Show the form that starts the DAG for a day."""
    _log_in(page, places)
    page.goto(f"{places.airflow}/dags/{DAG}")
    page.get_by_role("button", name="Trigger", exact=False).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Run Parameters").wait_for()
    report = httpx.get(f"{places.console}/report", follow_redirects=True, trust_env=False)
    day = report.url.path.rpartition("/")[2]
    if re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        dialog.locator("input[type=date]").fill(day)
    page.wait_for_timeout(800)  # the dialog slides in


def airflow_run(page: Page, places: Places) -> None:
    """Show the newest successful run of the DAG, its grid beside it."""
    run_id = _finished_run(places)
    _log_in(page, places)
    page.goto(f"{places.airflow}/dags/{DAG}/runs/{run_id}")
    page.get_by_text(re.compile("success", re.IGNORECASE)).first.wait_for()
    page.wait_for_timeout(2_000)  # the grid draws itself after its data arrived


def mlflow_models(page: Page, places: Places) -> None:
    """Show the registered models with their champions."""
    _champion_run(places)
    page.goto(f"{places.mlflow}/#/models")
    page.get_by_role("link", name=MODEL).first.wait_for()
    _clear_mlflow(page)


def mlflow_run(page: Page, places: Places) -> None:
    """Show the figures of the champion's run."""
    mlflow_models(page, places)  # what is closed there stays closed
    page.goto(f"{places.mlflow}/#/runs/{_champion_run(places)}")
    figures = page.get_by_text(re.compile(r"^Metrics \("))
    figures.wait_for()
    figures.evaluate("heading => heading.scrollIntoView({block: 'start'})")
    page.wait_for_timeout(1_000)


def mlflow_card(page: Page, places: Places) -> None:
    """Show the model card on the champion's run."""
    mlflow_models(page, places)
    page.goto(f"{places.mlflow}/#/runs/{_champion_run(places)}")
    page.get_by_text("What it answers").first.wait_for()
    page.wait_for_timeout(1_000)


def mlflow_figures(page: Page, places: Places) -> None:
    """Open every figure of the champion's run as its reviewer would, and show them side by side."""
    mlflow_models(page, places)
    run_id = _champion_run(places)
    pictures = []
    for path in _figures(places, run_id):
        page.goto("about:blank")  # else MLflow, on the same page, keeps showing the figure before
        page.goto(
            f"{places.mlflow}/#/experiments/{_experiment(places, run_id)}/runs/{run_id}/artifacts/{path}"
        )
        figure = page.locator(
            "[class*=image-outer-container] img, .ImageOuterContainer img, img[src^='blob:']"
        ).first
        figure.wait_for()
        page.wait_for_function(
            "image => image.complete && image.naturalWidth > 0", arg=figure.element_handle()
        )
        pictures.append((path, figure.screenshot()))
    _require(bool(pictures), "the champion's run has no figure")
    _require(
        len({png for _, png in pictures}) == len(pictures), "MLflow showed the same figure under two names"
    )
    page.set_content(_sheet(pictures))


PICTURES: dict[str, Callable[[Page, Places], None]] = {
    shot.__name__: shot
    for shot in (
        inbox,
        why,
        report,
        gallery,
        airflow_trigger_form,
        airflow_run,
        mlflow_models,
        mlflow_run,
        mlflow_card,
        mlflow_figures,
    )
}


def main() -> int:
    """Take the pictures named on the command line, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="*", choices=[[], *PICTURES], help="which; all if none is named")
    parser.add_argument("--console", default="http://127.0.0.1:8190")
    parser.add_argument("--airflow", default="http://127.0.0.1:8080")
    parser.add_argument("--mlflow", default="http://127.0.0.1:5000")
    parser.add_argument(
        "--data", type=Path, default=PROJECT / "data", help="the folder that make demo filled"
    )
    parser.add_argument("--into", type=Path, default=FOLDER)
    chosen = parser.parse_args()
    places = Places(chosen.console, chosen.airflow, chosen.mlflow, chosen.data)
    program = shutil.which("chromium")
    if program is None:
        print("chromium is not installed; apt-get install chromium", file=sys.stderr)
        return 1
    chosen.into.mkdir(parents=True, exist_ok=True)
    failed = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_FLAGS)
        for name in chosen.pictures or PICTURES:
            failed += not _take(browser, name, places, chosen.into)
        browser.close()
    return 1 if failed else 0


def _take(browser: Browser, name: str, places: Places, folder: Path) -> bool:
    context = browser.new_context(viewport=SIZE, color_scheme="light", locale="en-GB", timezone_id="UTC")  # type: ignore[arg-type]  # a plain dict is what it takes
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    try:
        PICTURES[name](page, places)
        page.wait_for_load_state("load")
        size = _save(page.screenshot(animations="disabled"), folder / f"{name}.png")
    except (Error, NoPicture, httpx.HTTPError) as error:
        print(f"{name}: {str(error).splitlines()[0]}", file=sys.stderr)
        return False
    finally:
        context.close()
    print(f"{name}: {folder / name}.png, {size // 1024} KiB")
    return True


def _save(png: bytes, file: Path) -> int:
    picture = Image.open(BytesIO(png)).convert("RGB")
    palette = picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette.save(file, optimize=True)
    return file.stat().st_size


def _english_send(page: Page, places: Places) -> str:
    """Return the send of the first English mail of the campaign (any campaign, any language if there is none)."""
    for query in (f"campaign={CAMPAIGN}", ""):
        page.goto(f"{places.console}/?{query}")
        lines = page.locator("a.line")
        english = lines.filter(has=page.locator(".locale", has_text="en"))
        found = english if english.count() else lines
        if found.count():
            address = found.first.get_attribute("href") or ""
            send = re.search(r"mail=([0-9a-f]{32})", address)
            _require(send is not None, f"the inbox's link {address} names no mail")
            return send[1] if send else ""
    raise NoPicture("the inbox is empty; run `make demo`")


def _clear_mlflow(page: Page) -> None:
    """Choose the menu for models, and close what MLflow opens over and beside its pages on a first visit."""
    page.wait_for_timeout(1_500)  # its dialog and its assistant open after the page
    welcome = page.get_by_role("dialog").get_by_role("button", name="Try it now")
    if welcome.count():
        welcome.click()
        welcome.wait_for(state="hidden")
    assistant, kind = (
        page.locator("[data-component-id='mlflow.assistant.chat_panel.close']"),
        page.get_by_text("Model training"),
    )
    for button in (assistant, kind):
        if button.count():
            button.first.click()
    page.wait_for_timeout(1_000)


def _log_in(page: Page, places: Places) -> None:
    page.goto(places.airflow)
    page.wait_for_load_state("networkidle")
    if page.locator("input[type=password]").count():
        page.locator("input[name=username]").fill(ADMIN)
        page.locator("input[type=password]").fill(_password(places))
        page.keyboard.press("Enter")
        page.get_by_text("Dags").first.wait_for()


def _password(places: Places) -> str:
    given = os.environ.get("AIRFLOW_ADMIN_PASSWORD")
    if given:
        return given
    file = places.data / "airflow" / "simple_auth_manager_passwords.json.generated"
    _require(file.is_file(), f"{file} is missing; start Airflow with `make up` or set AIRFLOW_ADMIN_PASSWORD")
    return str(json.loads(file.read_text())[ADMIN])


def _finished_run(places: Places) -> str:
    login = {"username": ADMIN, "password": _password(places)}
    token = _answer(httpx.post(f"{places.airflow}/auth/token", json=login, trust_env=False))["access_token"]
    runs = _answer(
        httpx.get(
            f"{places.airflow}/api/v2/dags/{DAG}/dagRuns",
            params={"state": "success", "order_by": "-run_after", "limit": 1},
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        )
    )["dag_runs"]
    _require(bool(runs), f"no run of {DAG} has succeeded in this Airflow; trigger one and wait for it")
    return str(runs[0]["dag_run_id"])


def _champion_run(places: Places) -> str:
    version = _answer(
        httpx.get(
            f"{places.mlflow}/api/2.0/mlflow/registered-models/alias",
            params={"name": MODEL, "alias": "champion"},
            trust_env=False,
        )
    )["model_version"]
    return str(version["run_id"])


def _experiment(places: Places, run_id: str) -> str:
    run = _answer(
        httpx.get(f"{places.mlflow}/api/2.0/mlflow/runs/get", params={"run_id": run_id}, trust_env=False)
    )["run"]
    return str(run["info"]["experiment_id"])


def _figures(places: Places, run_id: str) -> list[str]:
    """Return the paths of a run's figures."""
    listed = _answer(
        httpx.get(
            f"{places.mlflow}/api/2.0/mlflow/artifacts/list",
            params={"run_id": run_id, "path": "figures"},
            trust_env=False,
        )
    )
    return [str(file["path"]) for file in listed.get("files", [])]


def _sheet(pictures: list[tuple[str, bytes]]) -> str:
    """Return a page with pictures side by side, the name of each above it."""
    cells = "".join(
        f"<figure><figcaption>{path}</figcaption><img src='data:image/png;base64,{b64encode(png).decode()}'></figure>"
        for path, png in pictures
    )
    return (
        "<style>body {display: grid; grid-template-columns: repeat(4, 1fr); align-content: start; gap: 24px 8px; margin: 12px; font: 13px sans-serif}"
        f" figure {{margin: 0}} img {{width: 100%}}</style>{cells}"
    )


def _answer(response: httpx.Response) -> dict[str, Any]:
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise NoPicture(sentence)


if __name__ == "__main__":
    sys.exit(main())
