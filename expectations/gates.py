"""Runs a suite on the Parquet file about to be published; a failing critical expectation stops the run."""

import logging
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import GateFailed
from core.logging import get_logger
from core.published import Published
from core.settings import Settings

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.data_context import AbstractDataContext

MILD = frozenset({"warning", "info"})
GATED = ("customer_features", "campaign_plan")


@dataclass(frozen=True)
class GateReport:
    """What a gate found: expectations checked, and those that failed, by severity."""

    table: str
    checked: int
    critical: tuple[str, ...]
    warnings: tuple[str, ...]


def pass_gate(settings: Settings, table: str, as_of: date) -> GateReport:
    """Audit the candidate snapshot of a day, write the Data Docs page, and return what was found.

    Raises
    ------
    GateFailed
        If an expectation of severity critical fails, or cannot be evaluated. The candidate stays unpublished.
    NotPublished
        If the day has neither candidate nor snapshot.
    """
    report = _audit(settings, table, as_of, Published(settings.published).newest(table, as_of))
    log = get_logger(__name__)
    for warning in report.warnings:
        log.warning("expectation failed", table=table, as_of_date=str(as_of), expectation=warning)
    if report.critical:
        raise GateFailed(
            f"{table} of {as_of} fails {len(report.critical)} critical expectation(s), first: {report.critical[0]}; "
            f"nothing was published (pages: {settings.data_docs / 'index.html'})"
        )
    log.info("gate passed", table=table, as_of_date=str(as_of), checked=report.checked)
    return report


def _audit(settings: Settings, table: str, as_of: date, file: Path) -> GateReport:
    from importlib import import_module

    logging.getLogger("great_expectations").setLevel(
        logging.WARNING
    )  # before the import, or it speaks at each step
    import great_expectations as gx
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    context = gx.get_context(mode="file", project_root_dir=settings.data_dir)
    _configure(context, settings)
    suite = gx.ExpectationSuite(
        name=table, expectations=import_module(f"expectations.{table}").expectations(as_of)
    )
    suite = context.suites.add_or_update(suite)
    source = context.data_sources.add_or_update_pandas_filesystem(table, base_directory=file.parent)
    batch = source.add_parquet_asset("candidate").add_batch_definition_path("file", path=file.name)
    definition = gx.ValidationDefinition(name=table, data=batch, suite=suite)
    definition = context.validation_definitions.add_or_update(definition)
    run = f"{table} {as_of}"
    result = definition.run(run_id=gx.RunIdentifier(run_name=run))
    # The day's own pages only: making all of them anew would cost more with every day there has been.
    made = context.validation_results_store.list_keys()
    pages: list[Any] = [ExpectationSuiteIdentifier(table)]
    pages += [
        key for key in made if isinstance(key, ValidationResultIdentifier) and key.run_id.run_name == run
    ]
    context.build_data_docs(resource_identifiers=pages)
    return _report(table, result)


def _configure(context: "AbstractDataContext", settings: Settings) -> None:
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    site: Any = {  # what the library asks for has a name only inside it
        "class_name": "SiteBuilder",
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(settings.data_docs),
        },
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    if "local_site" in context.get_site_names():
        context.update_data_docs_site("local_site", site)
    else:
        context.add_data_docs_site("local_site", site)


def _report(table: str, result: "ExpectationSuiteValidationResult") -> GateReport:
    failed: dict[str, list[str]] = {"critical": [], "warning": []}
    for check in result.results:
        if check.success:
            continue
        config = check.expectation_config
        if config is None:  # it could not even be said what failed
            failed["critical"].append("an expectation without a configuration")
            continue
        column = config.kwargs.get("column") or config.kwargs.get("column_A") or "the table"
        counted = check.result.get("unexpected_count") if check.result else None
        words = f"{config.type} on {column}" + (f" ({counted} rows)" if counted else "")
        # Whatever does not call itself a warning stops the run: a gate that misreads a severity must not open.
        is_mild = str(getattr(config.severity, "value", config.severity)) in MILD
        failed["warning" if is_mild else "critical"].append(words)
    return GateReport(table, len(result.results), tuple(failed["critical"]), tuple(failed["warning"]))
