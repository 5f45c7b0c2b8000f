"""Runs dbt in this process: one build per stage, its nodes and their seconds reported."""

import gc
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from core.durable import locked, sync
from core.errors import BuildFailed
from core.logging import get_logger, without_addresses
from core.settings import PROJECT, Settings

if TYPE_CHECKING:  # seconds to import
    from dbt.contracts.graph.manifest import Manifest

DBT_PROJECT = PROJECT / "dbt_project"
FOLDERS = ("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT))
TRAINING_MODELS = (
    "+churn_examples +interactions +products +review_texts"  # what training reads, and what that is made from
)
# Its log file and its manifest as JSON cost more time than most of our models, and nobody reads them; errors are printed.
QUIET = ("--quiet", "--no-write-json", "--log-level-file", "none")


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
    scores: str = "churn_scores",
    moment: datetime | None = None,
) -> list[Node]:
    """Build and test the selected models for one day, without unit tests (the test suite runs those).

    `feature_dates` are the days to compute features for, if not `as_of` alone; `campaigns` the ids of the campaigns
    whose audiences take part; `scores` the published table that warnings are raised from; `moment` (UTC) up to when models
    of `today` know.

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
    if moment is not None:
        variables["moment"] = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    asked = {
        "LAPWING_FEATURE_DATES": ",".join(str(day) for day in feature_dates),
        "LAPWING_CAMPAIGNS": ",".join(campaigns),
        "LAPWING_SCORES": scores,
    }
    arguments = ["build", "--select", select, "--exclude-resource-type", "unit_test"]
    with _environment(asked):
        return run_dbt(settings, [*arguments, "--vars", json.dumps(variables)])


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect none meanwhile: dbt keeps nearly all it makes until it ends, and looking through it takes 0.3 s of a build."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_no_garbage_collection()
def run_dbt(settings: Settings, arguments: list[str]) -> list[Node]:
    """Run one dbt command in this process and give the warehouse file back afterwards.

    Raises
    ------
    BuildFailed
        If dbt could not run, or any node failed.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    try:
        with (
            _environment({"LAPWING_WAREHOUSE": str(settings.warehouse), "DO_NOT_TRACK": "1"}),
            redirect_stdout(sys.stderr),
        ):  # what a command answers goes to stdout, and dbt's words are no answer
            parsed = parsed_project(settings)
            outcome = dbtRunner(manifest=parsed).invoke([*arguments, *FOLDERS, *_outputs(settings), *QUIET])
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


def parsed_project(settings: Settings) -> "Manifest":
    """Return the parsed project: as an earlier run of the same code left it, else parsed now (7 s of computing) and kept.

    dbt keeps a parsed project too, but reads it again only for the same variables, and every day is another. Ours
    holds none of them: what a model says of a variable is settled when it is compiled.

    Raises
    ------
    BuildFailed
        If dbt cannot parse the project.
    """
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    # Beside the code, so that every folder of data has it; where the code cannot be written to, with the data.
    folder = DBT_PROJECT / "target" if os.access(DBT_PROJECT, os.W_OK) else settings.data_dir / "dbt"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{_project_digest()}.parsed"
    if not file.exists():
        with locked(folder / "parsing.lock"):
            if not file.exists():
                _keep(_parse(settings), file)
    parsed: Manifest = Manifest.from_msgpack(file.read_bytes(), decoder=extended_mashumuro_decoder)
    return parsed


def _parse(settings: Settings) -> bytes:
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumaro_encoder

    # A model that reads those audiences that are asked for is parsed as reading them all.
    audiences = [path.stem.removeprefix("audience_") for path in DBT_PROJECT.glob("models/**/audience_*.sql")]
    with _environment({"LAPWING_CAMPAIGNS": ",".join(sorted(audiences)), "DO_NOT_TRACK": "1"}):
        outcome = dbtRunner().invoke(["parse", "--no-partial-parse", *FOLDERS, *_outputs(settings), *QUIET])
    if not isinstance(outcome.result, Manifest):
        raise BuildFailed(f"dbt could not read the project: {_one_line(outcome.exception)}")
    parsed: bytes = outcome.result.to_msgpack(extended_mashumaro_encoder)
    return parsed


def _outputs(settings: Settings) -> list[str]:
    return ["--target-path", str(settings.data_dir / "dbt"), "--log-path", str(settings.data_dir / "logs")]


def _keep(parsed: bytes, file: Path) -> None:
    """Write the file, whole or not at all, and remove those of older code."""
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(parsed)
    sync(unfinished)
    unfinished.replace(file)
    for older in file.parent.glob("*.parsed"):
        if older != file:
            older.unlink(missing_ok=True)


def _project_digest() -> str:
    """Return a digest of all that a parsed project comes from: its files, and the versions that parse them."""
    digest = hashlib.sha256(f"{version('dbt-core')} {version('dbt-duckdb')}".encode())
    places = [DBT_PROJECT / "dbt_project.yml", DBT_PROJECT / "profiles.yml"]
    places += [
        path
        for part in ("models", "macros", "tests")
        for path in (DBT_PROJECT / part).rglob("*")
        if path.is_file()
    ]
    for path in sorted(places):
        digest.update(f"{path.relative_to(DBT_PROJECT)} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


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
