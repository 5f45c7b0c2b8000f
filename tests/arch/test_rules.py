"""The rules of the house, over the whole tree; and each rule over a tree that breaks it."""

from pathlib import Path

import pytest

from tests.arch import arrows, dag_rules, dbt_rules, file_rules, python_rules, rules_of_tests, sizes
from tests.arch.kit import PRODUCT, ROOT, RULES, Rule, Tree, plant
from tests.docs import document_rules, settings_rules

assert all(
    (arrows, dag_rules, dbt_rules, file_rules, python_rules, rules_of_tests, sizes)
)  # importing fills RULES
assert all((document_rules, settings_rules))

ALL = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
TREE = Tree(ROOT)  # read once for all rules


@ALL
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    findings = list(rule.check(TREE))
    assert not findings, f"{rule.name}:\n" + "\n".join(findings)


@ALL
def test_the_rule_finds_every_breach_of_a_broken_tree_and_nothing_else(rule: Rule, tmp_path: Path) -> None:
    findings = list(rule.check(plant(tmp_path, rule.broken)))
    assert sorted(line.split()[0] for line in findings) == sorted(rule.finds), "\n".join(findings)


@pytest.mark.parametrize("package", [*PRODUCT, "dags", "tests"])
def test_every_package_of_the_layout_has_modules_the_rules_look_at(package: str) -> None:
    assert TREE.modules(package)


def test_the_dags_are_those_we_know_of() -> None:
    dags = {Path(path).stem for path in TREE.matching("dags/*.py")}
    assert dags == {
        "daily_campaigns",
        "train_models",
        "send_due",
        "collect_feedback",
        "churn_watch",
        "plan_within_day",
        "approval",
    }


def test_a_rule_without_files_to_look_at_fails_instead_of_passing(tmp_path: Path) -> None:
    empty = plant(tmp_path, {"README.md": "nothing here"})
    over_python = [
        RULES["arrows_point_to_core"],
        RULES["nobody_asks_the_clock"],
        RULES["dag_files_are_pages"],
    ]
    for each in over_python:
        with pytest.raises(AssertionError, match="there are no"):
            list(each.check(empty))
