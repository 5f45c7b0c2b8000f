"""Runs dbt in this process: one build per stage, its nodes and their seconds reported."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import date

from core.errors import BuildFailed
from core.logging import get_logger, without_addresses
from core.settings import PROJECT, Settings

DBT_PROJECT = PROJECT / "dbt_project"
TRAINING_MODELS = "+churn_examples +interactions +products"  # what training reads, and what that is made from
# Its debug log and its manifest as JSON cost more time than most of our models, and nobody reads them.
QUIET = ("--quiet", "--no-write-json", "--log-level-file", "warn")


@dataclass(frozen=True)
class Node:
    """One model or test that ran."""

    name: str
    status: str
    seconds: float


def build(
    settings: Settings,
    select: str,
    *,
    as_of: date,
    feature_dates: Sequence[date] = (),
    campaigns: Sequence[str] = (),
) -> list[Node]:
    """Build and test the selected models for one day, without unit tests (the test suite runs those).

    `feature_dates` are the days to compute features for, if not `as_of` alone; `campaigns` the ids of the campaigns
    whose audiences take part. Both go by the environment: dbt parses the whole project anew (5 s) when a variable of
    its own changes, so every build of a day is given the same ones.

    Raises
    ------
    BuildFailed
        Naming the first model or test that failed and what dbt said of it.
    """
    variables = {
        "as_of_date": str(as_of),
        "published": str(settings.published),
        "shop_time_zone": settings.shop_time_zone,
        "shop_locale": settings.shop_locale,
        "currency": settings.currency,
        "churn_horizon_days": settings.churn_horizon_days,
    }
    asked = {
        "LAPWING_FEATURE_DATES": ",".join(str(day) for day in feature_dates),
        "LAPWING_CAMPAIGNS": ",".join(campaigns),
    }
    arguments = ["build", "--select", select, "--exclude-resource-type", "unit_test"]
    with _environment(asked):
        return run_dbt(settings, [*arguments, "--vars", json.dumps(variables)])


def run_dbt(settings: Settings, arguments: list[str]) -> list[Node]:
    """Run one dbt command in this process and give the warehouse file back afterwards.

    Raises
    ------
    BuildFailed
        If dbt could not run, or any node failed.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    outputs = ["--target-path", str(settings.data_dir / "dbt"), "--log-path", str(settings.data_dir / "logs")]
    try:
        with (
            _environment({"LAPWING_WAREHOUSE": str(settings.warehouse), "DO_NOT_TRACK": "1"}),
            redirect_stdout(sys.stderr),
        ):  # what a command answers goes to stdout, and dbt's words are no answer
            outcome = dbtRunner().invoke([*arguments, *folders, *outputs, *QUIET])
    finally:
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]  # dbt-duckdb has no types
    results = getattr(outcome.result, "results", None)
    if results is None:
        raise BuildFailed(f"dbt could not run: {_one_line(outcome.exception or outcome.result)}")
    nodes = [
        Node(result.node.name, str(result.status), round(result.execution_time, 3)) for result in results
    ]
    for result in results:
        if str(result.status) in {"error", "fail"}:
            raise BuildFailed(f"{result.node.resource_type} {result.node.name}: {_one_line(result.message)}")
    get_logger(__name__).info("dbt ran", command=arguments[0], nodes=len(nodes))
    return nodes


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables for the time of a dbt run, and leave the environment as it was."""
    before = os.environ.copy()
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


def _one_line(message: object) -> str:
    return without_addresses(" ".join(str(message).split()))[:600]
