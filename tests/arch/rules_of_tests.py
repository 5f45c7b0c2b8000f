"""How our tests read: a name is a claim, a test asserts, nothing is mocked, nothing skips quietly."""

import ast
import re

from tests.arch.kit import PRODUCT, Findings, Module, Tree, dotted, rule

FOLDERS = {
    *PRODUCT,
    "dags",
    "dbt_project",
    "arch",
    "docs",
    "journeys",
    "faults",
    "deploy",
    "scripts",
    "kits",
    "spark",
}
MOCKS = {"unittest", "mock", "pytest_mock", "responses", "respx"}
JUDGES = re.compile(
    r"^(assert|expect|check|verify|must|should)|(\.|_)(raises|warns|expect|fail)$|\.assert_|schemathesis"
)


def claims(module: Module) -> list[ast.FunctionDef]:
    """Return a module's test functions."""
    if not module.path.rpartition("/")[2].startswith("test_"):
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in module.walk(*kinds) if node.name.startswith("test_")]


@rule(
    "tests/ml/test_a.py:1",
    broken={
        "tests/ml/test_a.py": "def test_train(): assert 1\n\ndef test_training_twice_gives_one_model(): assert 1\n"
    },
)
def a_test_name_is_a_claim(tree: Tree) -> Findings:
    """A test's name says what holds: three words at least after `test_`."""
    for module in tree.modules("tests"):
        for function in claims(module):
            if len(function.name.split("_")) < 4:
                yield f"{module.at(function)} {function.name} names a thing, not a claim"


@rule(
    "tests/ml/test_a.py:1",
    broken={
        "tests/ml/test_a.py": "def test_a_b_c():\n    train()\n\ndef test_d_e_f():\n    assert train()\n"
        "def test_g_h_i():\n    with pytest.raises(ValueError):\n        train()\n"
        "def test_j_k_l():\n    assert_equal(1, 2)\n",
    },
)
def a_test_can_fail(tree: Tree) -> Findings:
    """Every test asserts, expects an error, or calls something whose name says it judges."""
    for module in tree.modules("tests"):
        judges = {
            f.name
            for f in module.walk(ast.FunctionDef)
            if any(isinstance(n, ast.Assert) for n in ast.walk(f))
        }
        for function in claims(module):
            if not any(is_judgement(node, judges) for node in ast.walk(function)):
                yield f"{module.at(function)} {function.name} asserts nothing"


def is_judgement(node: ast.AST, judges: set[str]) -> bool:
    if isinstance(node, ast.Assert):
        return True
    name = dotted(node.func) if isinstance(node, ast.Call) else ""
    return bool(name) and (name in judges or bool(JUDGES.search(name)))


@rule(
    "tests/ml/test_a.py:1",
    "tests/ml/test_a.py:2",
    broken={"tests/ml/test_a.py": "from unittest.mock import Mock\nimport responses\nimport time_machine\n"},
)
def real_parts_instead_of_mocks(tree: Tree) -> Findings:
    """No mock library: a real DuckDB in a folder, a real SMTP server in the process."""
    for module in tree.modules("tests"):
        for node in module.walk(ast.Import, ast.ImportFrom):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            if {name.partition(".")[0] for name in names} & MOCKS:
                yield f"{module.at(node)} imports a mock library"


@rule(
    "tests/ml/test_a.py:1",
    "tests/ml/test_a.py:2",
    "tests/ml/test_a.py:4",
    broken={
        "tests/ml/test_a.py": "pytest.skip('later')\npytest.importorskip('x')\n"
        "@pytest.mark.needs('chromium')\n"
        "@pytest.mark.skipif(True, reason='x')\ndef test_a_b_c(): assert 1\n",
        "tests/conftest.py": "pytest.skip('needs chromium')\n",
    },
)
def a_test_is_skipped_only_for_what_it_needs(tree: Tree) -> Findings:
    """A test that may not run says `@pytest.mark.needs("tool")`; the run tells, and CI fails. No other skips."""
    for module in tree.modules("tests"):
        for node in module.walk(ast.Attribute):
            skips = re.fullmatch(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)", dotted(node))
            if skips and module.path != "tests/conftest.py":
                yield f"{module.at(node)} skips; say @pytest.mark.needs(tool)"


@rule(
    "tests/stuff/test_a.py:1",
    broken={"tests/stuff/test_a.py": "", "tests/ml/test_b.py": "", "tests/conftest.py": ""},
)
def tests_mirror_the_packages(tree: Tree) -> Findings:
    """A folder of tests is called like the package it tests, or is one of the few of its own."""
    for module in tree.modules("tests"):
        parts = module.path.split("/")
        if len(parts) > 2 and parts[1] not in FOLDERS:
            yield f"{module.path}:1 tests/{parts[1]} mirrors no package"
