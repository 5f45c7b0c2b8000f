"""How large things are, and what is written beside them: docstrings and types."""

import ast
from statistics import median, quantiles

from tests.arch.kit import PRODUCT, Findings, Module, Tree, rule

FUNCTION_CEILING = 60
FUNCTION_MEDIAN = 15
FUNCTION_NINE_OF_TEN = 46
MODULE_CEILING = 400
MODULE_MEDIAN = 248
"""Lines. The upper ends of what six well-read code bases keep (median function 5-15 lines, 90th percentile 24-46,
median module 74-248); the two ceilings are hard."""

LONGER: dict[str, str] = {}
"""`path::function` -> why it is longer than the ceiling. A line here that is no longer needed is a finding too."""

SHORT_FUNCTION = 3
SHORT_METHOD = 6  # and class
"""Lines of code up to which a name and its types may be all the documentation there is."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Module) -> list[tuple[str, Function, bool]]:
    """Return (qualified name, function, whether it is a method) of a module's functions; not the nested ones."""
    found: list[tuple[str, Function, bool]] = []
    for node in module.tree.body:
        if isinstance(node, Function):
            found.append((node.name, node, False))
        if isinstance(node, ast.ClassDef):
            found += [
                (f"{node.name}.{each.name}", each, True) for each in node.body if isinstance(each, Function)
            ]
    return found


def code_lines(module: Module, node: Function | ast.ClassDef) -> int:
    """Count the lines of a function or class that are neither blank, comment nor docstring."""
    numbers = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    if ast.get_docstring(node) is not None:
        doc = node.body[0]
        numbers -= set(range(doc.lineno, (doc.end_lineno or doc.lineno) + 1))
    lines = module.text.splitlines()
    return sum(1 for number in numbers if (line := lines[number - 1].strip()) and not line.startswith("#"))


LONG = "def long():\n" + "    x = 1\n" * 60


@rule("ml/a.py:1", broken={"ml/a.py": LONG, "ml/b.py": "def short():\n    # why\n\n" + "    x = 1\n" * 59})
def a_function_fits_on_a_screen(tree: Tree) -> Findings:
    """No function has more than 60 lines of code, but those LONGER names with their reason."""
    needed = set()
    for module in tree.modules(*PRODUCT):
        for name, node, _ in functions(module):
            key = f"{module.path}::{name}"
            if (length := code_lines(module, node)) > FUNCTION_CEILING:
                needed.add(key)
                if key not in LONGER:
                    yield f"{module.at(node)} {name} has {length} lines of code: what is it two of?"
    for key in sorted(LONGER.keys() - needed):
        yield f"tests/arch/sizes.py:1 {key} is in LONGER and does not need to be"


@rule(
    "ml:0",
    "core:0",
    broken={
        "ml/a.py": "".join(f"def f{n}():\n" + "    x = 1\n" * 20 for n in range(4)),
        "core/a.py": "def f():\n    x = 1\n" * 8 + ("def g():\n" + "    x = 1\n" * 50) * 2,
        "cli/a.py": "def f():\n    x = 1\n" * 8,
    },
)
def most_functions_are_short(tree: Tree) -> Findings:
    """In each package the median function has at most 15 lines of code, nine of ten at most 46."""
    for package in PRODUCT:
        modules = [module for module in tree.modules(*PRODUCT) if module.package == package]
        lengths = [code_lines(module, node) for module in modules for _, node, _ in functions(module)]
        if len(lengths) < 2:
            continue
        middle, most = median(lengths), quantiles(lengths, n=10, method="inclusive")[-1]
        if middle > FUNCTION_MEDIAN or most > FUNCTION_NINE_OF_TEN:
            yield f"{package}:0 median function {middle:.0f} lines, nine of ten up to {most:.0f}"


@rule("ml/a.py:1", broken={"ml/a.py": "x = 1\n" * 401, "ml/b.py": "x = 1\n" * 400, "ml/c.py": ""})
def a_module_is_read_in_one_sitting(tree: Tree) -> Findings:
    """No module has more than 400 lines; the median module has at most 248."""
    lengths = {}
    for module in tree.modules(*PRODUCT, "dags", "scripts"):
        lengths[module.path] = len(module.text.splitlines())
        if lengths[module.path] > MODULE_CEILING:
            yield f"{module.path}:1 has {lengths[module.path]} lines"
    if len(lengths) > 9 and median(lengths.values()) > MODULE_MEDIAN:
        yield f"ml:0 the median module has {median(lengths.values()):.0f} lines"


@rule(
    "ml/a.py:1",
    "ml/a.py:1",
    "ml/a.py:6",
    "ml/a.py:7",
    broken={
        "ml/a.py": "def train(x):\n    a = 1\n    b = 2\n    return a + b\n\n"
        "class Model:\n    def fit(self):\n"
        + "        x = 1\n" * 6
        + "    def _own(self):\n"
        + "        x = 1\n" * 6
        + "def short():\n    return 1\n"
        "class Table:\n    x = 1\n\nclass _Own:\n" + "    x = 1\n" * 7,
        "core/__init__.py": "",
    },
)
def what_is_public_says_what_it_is(tree: Tree) -> Findings:
    """Modules have a docstring, and so has each public class or function longer than a few lines."""
    for module in tree.modules(*PRODUCT, "dags", "scripts"):
        if module.text.strip() and ast.get_docstring(module.tree) is None:
            yield f"{module.path}:1 the module says not what it is for"
        if ".versions." in module.name:
            continue  # a migration is what Alembic's form makes it
        for kind in (node for node in module.tree.body if isinstance(node, ast.ClassDef)):
            is_small = kind.name.startswith("_") or code_lines(module, kind) <= SHORT_METHOD
            if ast.get_docstring(kind) is None and not is_small:
                yield f"{module.at(kind)} class {kind.name} has no docstring"
        for name, node, is_method in (
            functions(module) if module.package != "dags" else ()
        ):  # its page says it
            if any(part.startswith("_") for part in name.split(".")) or ast.get_docstring(node) is not None:
                continue
            if code_lines(module, node) > (SHORT_METHOD if is_method else SHORT_FUNCTION):
                yield f"{module.at(node)} {name} has no docstring"


@rule(
    "ml/a.py:1",
    "ml/a.py:4",
    broken={
        "ml/a.py": "def train(x) -> int: ...\ndef fit(x: int) -> int: ...\nclass A:\n    def go(self): ...\n"
        "    def __init__(self, x: int): ...\n",
    },
)
def signatures_are_annotated(tree: Tree) -> Findings:
    """Every argument and result of a function of ours has a type (mypy then says whether it is true)."""
    for module in tree.modules(*PRODUCT, "scripts"):
        for name, node, _ in functions(module):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = [arg.arg for arg in arguments if arg.annotation is None and arg.arg not in ("self", "cls")]
            if bare or (node.returns is None and node.name != "__init__"):
                yield f"{module.at(node)} {name} lacks types: {', '.join(bare) or 'of its result'}"
