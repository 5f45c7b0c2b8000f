"""The table of docs/house_rules.md names checks that exist, and every rule that exists."""

import ast
import re

from tests.arch import arrows, dag_rules, dbt_rules, file_rules, python_rules, rules_of_tests, sizes
from tests.arch.kit import ROOT, RULES, Tree
from tests.docs import document_rules, settings_rules

assert all(
    (arrows, dag_rules, dbt_rules, file_rules, python_rules, rules_of_tests, sizes)
)  # importing fills RULES
assert all((document_rules, settings_rules))

PAGE = (ROOT / "docs/house_rules.md").read_text(encoding="utf-8")
TREE = Tree(ROOT)


def rows() -> list[tuple[str, str]]:
    """Return (rule, what checks it) of each row of the page's tables."""
    cells = [
        [each.strip() for each in line.strip("| ").split(" | ")]
        for line in PAGE.splitlines()
        if line.startswith("| ")
    ]
    return [(row[0], row[1]) for row in cells if len(row) == 2 and row[0] not in ("Rule", "---")]


def named(kind: str) -> set[str]:
    """Return the names the second column gives after a word: `rule x`, `test x`, `ruff X`, `mypy x`."""
    return {name for _, check in rows() for name in re.findall(rf"\b{kind} `([^`]+)`", check)}


def test_every_row_names_something_that_checks() -> None:
    assert len(rows()) > 50
    assert not [
        rule
        for rule, check in rows()
        if not re.search(r"\b(rule|test|ruff|mypy|sqlfluff|dbt) `[^`]+`", check)
    ]


def test_every_rule_named_in_the_table_exists_and_every_rule_is_named() -> None:
    assert named("rule") == set(RULES)


def test_every_test_named_in_the_table_exists() -> None:
    assert named("test")
    for place in named("test"):
        path, _, name = place.partition("::")
        functions = {node.name for node in TREE.module(path).walk(ast.FunctionDef, ast.AsyncFunctionDef)}
        assert name in functions, place


def test_every_ruff_rule_named_in_the_table_is_switched_on() -> None:
    import tomllib

    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    switched_on = tuple(lint["select"])
    assert named("ruff")
    off = [code for code in named("ruff") if code in lint.get("ignore", ())]
    assert not off + [
        code for code in named("ruff") if not code.startswith(switched_on) and "ALL" not in switched_on
    ]
