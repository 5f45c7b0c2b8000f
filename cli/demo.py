"""`make demo`: one campaign day on real purchases, through Airflow, read by simulated readers, accounted for.

Every step can be run again: what is there is left alone, a model trained on the same data by the same code is not
trained twice, and the ledger never hands over a send twice.
"""

import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from importlib import import_module

from rich.console import Console
from rich.table import Table

from cli.airflow_runs import BEGINS
from cli.processes import Processes
from cli.services import prepare_airflow, running
from core.errors import LapwingError, SettingsError
from core.logging import configure_logging
from core.published import Published
from core.settings import DEMO, Settings
from core.stages import stage, stages

out = Console(soft_wrap=True)
REASON = re.compile(
    r"^(?:\w+\.)*[A-Z]\w+(?:Error|Broken|Failed|Invalid|Refused|Published|Paused): (.+)$",
    re.MULTILINE,
)
"""The last line of a traceback."""
AIRFLOW = "airflow-runs"
DAGS = ("train_models", "daily_campaigns")
LATER = ("dbt.cli.main", "great_expectations", "dbt.adapters.duckdb.connections")
"""What the steps after the DAGs need, seconds to import: done while Airflow works, one after each of its first stages."""


def run_demo(settings: Settings, as_of: date, *, households: int | None) -> None:
    """Run the day and print what happened and where to look.

    Raises
    ------
    SettingsError
        If the platform is not set to replay past days: the demo's mail must stay on this machine.
    LapwingError
        If a step fails; its log is named.
    """
    if not settings.replay:
        raise SettingsError(
            "the demo replays a day of 2017, so LAPWING_REPLAY must be true (see .env.example)"
        )
    # Nobody sits beside it to be asked; a copy set up before there were approvals names no approver.
    settings = settings.model_copy(update={"approver": settings.approver or DEMO})
    configure_logging(level=logging.WARNING)  # each step tells in one line; the DAGs' logs are kept in files
    began, first = time.perf_counter(), len(stages(settings))
    with running(settings, ["inbox", "tracking"]) as processes:
        airflow_is_ready = prepare_airflow(processes)
        _step("purchases", partial(_import, settings, as_of, households))
        _step("Airflow's home", airflow_is_ready)
        airflow_seconds = _step(f"DAGs {' and '.join(DAGS)}", partial(_run_dags, processes, settings, as_of))
        _step("simulated readers", partial(_read_and_report, settings, as_of))
    lines = stages(settings)[first:]
    _print_stages(lines, airflow_seconds, time.perf_counter() - began)
    _print_funnel(settings, as_of)
    _print_where(settings)


def _step(name: str, do: Callable[[], None]) -> float:
    """Do one step with a line that tells; return its seconds."""
    start = time.perf_counter()
    with out.status(f"{name} …"):
        do()
    seconds = time.perf_counter() - start
    out.print(f"  {name}: {seconds:.1f} s")
    return seconds


def _import(settings: Settings, as_of: date, households: int | None) -> None:
    from sources.complete_journey import import_complete_journey

    with stage(settings, "import", as_of):
        import_complete_journey(settings, households=households)


def _run_dags(processes: Processes, settings: Settings, as_of: date) -> None:
    # Airflow leaves one core free as it starts.
    processes.start("ahead", (sys.executable, "-m", "cli.ahead"))
    process = processes.start(AIRFLOW, (sys.executable, "-m", "cli.airflow_runs", str(as_of), *DAGS))
    told, later = len(stages(settings)), list(LATER)
    while process.poll() is None:
        time.sleep(0.5)
        for line in stages(settings)[told:]:
            out.print(f"    {line['stage']}: {line['seconds']:.1f} s")
            told += 1
            if later:
                import_module(later.pop(0))
    if processes.wait(AIRFLOW) != 0:
        log = processes.log(AIRFLOW)
        said = log.read_text(errors="replace")
        why = f": {reasons[-1]}" if (reasons := REASON.findall(said)) else ""
        dag_id = re.findall(rf"^{BEGINS}(\w+)$", said, re.MULTILINE)[-1:] or DAGS[:1]
        raise LapwingError(f"the DAG {dag_id[0]} failed on {as_of}{why} (log: {log})")


def _read_and_report(settings: Settings, as_of: date) -> None:
    """Let simulated readers read today's mail, land what they did, and count the funnel again."""
    from campaigns.consents import collect_consents
    from campaigns.outcomes import ledger_view
    from campaigns.report import build_report
    from core.clock import replay_to
    from expectations.publish import REPORT, publish
    from simulation.readers import read_inbox
    from sources.landing import load_landing
    from sources.tracking import collect

    replay_to(settings, as_of)
    with stage(settings, "simulated_readers", as_of):
        read_inbox(settings)
    with stage(settings, "collect_and_report", as_of):
        with ledger_view(settings) as ledger:
            collect(settings, ledger)
        collect_consents(settings, load_landing)
        build_report(settings, as_of)
        publish(settings, REPORT, as_of)


def _print_stages(lines: list[dict[str, object]], airflow_seconds: float, wall_seconds: float) -> None:
    outside = {"import", "simulated_readers", "collect_and_report"}
    table = Table("stage", "seconds", title="Where the time went", box=None)
    for line in lines:
        table.add_row(str(line["stage"]), f"{line['seconds']:.1f}")
    inside = sum(float(str(line["seconds"])) for line in lines if line["stage"] not in outside)
    table.add_row("orchestration (Airflow's runs beyond their stages)", f"{airflow_seconds - inside:.1f}")
    table.add_row("all, wall time", f"{wall_seconds:.1f}")
    out.print(table)


def _print_funnel(settings: Settings, as_of: date) -> None:
    published = Published(settings.published)
    table = Table(
        "campaign",
        *("candidates", "planned", "sent", "opened*", "clicked*", "unsubscribed*"),
        title=f"Campaigns of {as_of}",
        box=None,
    )
    for row in published.read("campaign_funnel", as_of).to_pylist():
        counts = (
            row[name] for name in ("candidates", "planned", "sent", "opened", "clicked", "unsubscribed")
        )
        table.add_row(row["campaign_id"], *(str(count) for count in counts))
    out.print(table)
    out.print("* by simulated readers; candidates = the sum of their verdicts, checked")


def _print_where(settings: Settings) -> None:
    out.print(
        "\nLook at the mails: run [bold]make up[/bold], then open\n"
        f"  {settings.console_url}          the inbox, and why each customer got what\n"
        f"  {settings.console_url}/report   the funnel and the models' figures\n"
        "  http://127.0.0.1:5000          the models in MLflow\n"
        "  http://127.0.0.1:8080          the DAGs in Airflow"
    )
