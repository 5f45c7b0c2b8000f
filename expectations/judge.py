"""Has Great Expectations judge an audit; says in plain lines what it asked and what it found."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.logging import without_addresses
from expectations.audit import Audit

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

    from expectations.measures import Measurement

MILD = frozenset({"warning", "info"})
OK, WARNING, CRITICAL = "ok", "warning", "critical"
EXAMPLES = 5
INDEX = ["measure", "column_name", "value"]


@dataclass(frozen=True)
class Line:
    """One thing that was checked: of what, what was found, what is allowed, and the verdict."""

    check: str
    column: str
    found: str
    allowed: str
    verdict: str

    @property
    def words(self) -> str:
        return f"{self.check} of {self.column}: {self.found}" + (
            f", allowed {self.allowed}" if self.allowed else ""
        )


def judge(audit: Audit) -> list[Line]:
    """Return a line for each thing that was checked; whatever cannot be evaluated is critical."""
    lines = _lines(_validate(audit), audit)
    rank = {CRITICAL: 0, WARNING: 1, OK: 2}
    return sorted(lines, key=lambda line: rank[line.verdict])


def _validate(audit: Audit) -> "ExpectationSuiteValidationResult":
    # Before the import, or it speaks at each step.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    # In memory: what it would keep in files could be left half written, and would have to be mended by hand.
    nowhere = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    )
    context = gx.get_context(mode="ephemeral", project_config=nowhere)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("candidate").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": audit.rows})
    suite = gx.ExpectationSuite(name="gate", expectations=audit.expectations)
    how: Any = (
        {"result_format": "COMPLETE", "unexpected_index_column_names": INDEX} if audit.measured else "SUMMARY"
    )
    return batch.validate(suite, result_format=how)


def _lines(result: "ExpectationSuiteValidationResult", audit: Audit) -> list[Line]:
    failed = [check for check in result.results if not check.success]
    if not audit.measured:
        return [_line_of(check) for check in result.results]
    broken: dict[tuple[str, str], str] = {}
    lines = []
    for check in failed:
        rows = (check.result or {}).get("unexpected_index_list") or []
        for row in rows:
            key = (row["measure"], row["column_name"])
            broken[key] = CRITICAL if broken.get(key) == CRITICAL else _severity(check)
        if not rows:  # it failed, and not because of a row: something could not be evaluated
            lines.append(_line_of(check))
    return lines + [_measured(found, audit, broken) for found in audit.measured]


def _measured(found: "Measurement", audit: Audit, broken: dict[tuple[str, str], str]) -> Line:
    bounds = [bound for bound in audit.bounds if bound.asks(found)]
    verdict = broken.get((found.measure, found.column_name), OK)
    words = "; ".join(
        bound.words + (" (else a warning)" if bound.severity.value in MILD else "") for bound in bounds
    )
    examples = f" ({without_addresses(', '.join(found.examples))})" if found.examples else ""
    return Line(found.measure, found.column_name, _number(found.value) + examples, words, verdict)


def _number(value: float | None) -> str:
    if value is None:
        return "no value"
    return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"


def _line_of(check: "ExpectationValidationResult") -> Line:
    """Return the line of an expectation on rows."""
    config = check.expectation_config
    if config is None:  # it could not even be said what failed
        return Line("an expectation without a configuration", "the table", "nothing", "", CRITICAL)
    column = config.kwargs.get("column") or config.kwargs.get("column_A") or "the table"
    if check.success:
        return Line(config.type, column, "as expected", "", OK)
    found = check.result or {}
    count = found.get("unexpected_count")
    examples = ", ".join(
        without_addresses(str(value))[:60]
        for value in (found.get("partial_unexpected_list") or [])[:EXAMPLES]
    )
    says = f"{count} rows ({examples})" if count else "not as expected, or not to be evaluated"
    return Line(config.type, column, says, "", _severity(check))


def _severity(check: "ExpectationValidationResult") -> str:
    """Whatever does not call itself a warning stops the run: a gate that misreads a severity must not open."""
    severity = check.expectation_config.severity if check.expectation_config else None
    return WARNING if str(getattr(severity, "value", severity)) in MILD else CRITICAL
