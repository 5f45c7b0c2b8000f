"""Audits the Parquet file about to be published; a failing critical expectation stops the run."""

from dataclasses import dataclass
from datetime import date
from importlib import import_module

from core.errors import GateFailed
from core.logging import get_logger
from core.published import Published
from core.settings import Settings
from expectations.judge import CRITICAL, WARNING, judge
from expectations.pages import GatePage, write_page

GATED = ("landed_tables", "customer_features", "campaign_plan")


@dataclass(frozen=True)
class GateReport:
    """What a gate found: how much was checked, what failed, by severity, what could not be checked; and its page."""

    table: str
    checked: int
    critical: tuple[str, ...]
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]
    page: str


def pass_gate(settings: Settings, table: str, as_of: date) -> GateReport:
    """Audit the candidate snapshot of a day, write its page, and return what was found.

    Raises
    ------
    GateFailed
        If an expectation of severity critical fails, or cannot be evaluated. The candidate stays unpublished.
    NotPublished
        If the day has neither candidate nor snapshot.
    """
    report = _report(settings, table, as_of)
    log = get_logger(__name__).bind(table=table, as_of_date=str(as_of), page=report.page)
    for warning in report.warnings:
        log.warning("expectation failed", expectation=warning)
    for remark in report.remarks:
        log.info("not checked", why=remark)
    if report.critical:
        raise GateFailed(
            f"{table} of {as_of} fails {len(report.critical)} critical expectation(s), first: {report.critical[0]}; "
            f"nothing was published (page: {report.page})"
        )
    log.info("gate passed", checked=report.checked, warnings=len(report.warnings))
    return report


def _report(settings: Settings, table: str, as_of: date) -> GateReport:
    published = Published(settings.published)
    audit = import_module(f"expectations.{table}").audit(published.newest(table, as_of), published, as_of)
    lines = judge(audit)
    write_page(settings, GatePage(table, as_of, lines, audit.remarks, audit.compared_with))
    return GateReport(
        table=table,
        checked=len(lines),
        critical=tuple(line.words for line in lines if line.verdict == CRITICAL),
        warnings=tuple(line.words for line in lines if line.verdict == WARNING),
        remarks=audit.remarks,
        page=f"{settings.console_url.rstrip('/')}/data-docs/{table}/{as_of}.html",
    )
