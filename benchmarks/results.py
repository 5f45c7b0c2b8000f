"""Keeps what a benchmark found: a table per run in RESULTS.md, with machine and versions."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from core.clock import system_clock

RESULTS = Path(__file__).parent / "RESULTS.md"
PACKAGES = ("duckdb", "dbt-core", "dbt-duckdb", "polars", "pyarrow", "scikit-learn", "numpy", "scipy")


@dataclass(frozen=True)
class Result:
    """One figure, its unit, and the target it is held against; `is_met` is None where there is none."""

    name: str
    value: float
    unit: str
    target: str
    is_met: bool | None = None


def write(benchmark: str, what: str, results: Iterable[Result], *, tables: str = "") -> None:
    """Append a run to RESULTS.md, newest last; `tables` stand below its figures, in Markdown."""
    rows = []
    for found in results:
        met = {None: "", True: "met", False: "**missed**"}[found.is_met]
        rows.append(f"| {found.name} | {found.value:.3g} {found.unit} | {found.target} | {met} |")
        print(rows[-1], flush=True)
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    head = (
        f"\n## {benchmark}, {system_clock():%Y-%m-%d}: {what}\n\n{os.cpu_count()} cores, {_memory_gib():.0f} GiB, "
        f"{platform.system()} {platform.machine()}; Python {platform.python_version()}, {versions}. Medians of one run.\n\n"
        "| What | Found | Target | |\n| --- | --- | --- | --- |\n"
    )
    before = (
        RESULTS.read_text() if RESULTS.exists() else "# Results\n\nWritten by the benchmarks; newest last.\n"
    )
    RESULTS.write_text(before + head + "\n".join(rows) + "\n" + tables)


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
