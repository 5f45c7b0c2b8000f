"""What a rule of the house is: a check over a tree of files, and a small tree that breaks it.

A check returns findings, each `path:line what is wrong`. No rule can be written down without a broken tree and the
places it must find there, so no rule is one that cannot fail; and no check may loop over nothing (`some`).
"""

import ast
import subprocess
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

PRODUCT = ("core", "sources", "expectations", "ml", "campaigns", "tracking", "console", "simulation", "cli")
"""Packages of ours that a DAG file or a person's command may run."""
OURS = (*PRODUCT, "dags", "scripts", "benchmarks", "tests")

Findings = Iterator[str]


def some(found: Collection[object], what: str) -> None:
    """Assert that there is something to check: a check over nothing is no check."""
    assert found, f"there are no {what} to check"


@dataclass(frozen=True)
class Module:
    """One Python file: where it lies, what it says, how Python reads it."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def name(self) -> str:
        """Return the dotted name: `core.clock`; of a package's `__init__`, the package's."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        return self.path.partition("/")[0]

    def at(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}"

    def walk(self, *kinds: type[ast.AST]) -> Iterator[Any]:
        """Yield the nodes of some kinds."""
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))


class Tree:
    """The files of a repository: what git tracks and what it would, or every file where there is no git."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def files(self) -> list[str]:
        if (self.root / ".git").exists():
            listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
            known = subprocess.run(listing, cwd=self.root, check=True, capture_output=True, text=True).stdout
            paths = {path for path in known.split("\0") if path and (self.root / path).is_file()}
        else:
            paths = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        some(paths, f"files under {self.root}")
        return sorted(paths)

    def matching(self, *patterns: str) -> list[str]:
        """Return the files one of the patterns describes; `*` crosses folders."""
        return [path for path in self.files if any(fnmatchcase(path, pattern) for pattern in patterns)]

    def text(self, path: str) -> str:
        """Return a file's text; nothing where it is missing or no text."""
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            return ""

    def lines(self, paths: list[str]) -> Iterator[tuple[str, str]]:
        """Yield (`path:line`, line) of every line of the files."""
        for path in paths:
            for number, line in enumerate(self.text(path).splitlines(), start=1):
                yield f"{path}:{number}", line

    def has_below(self, folder: str) -> bool:
        return any(path.startswith(folder.rstrip("/") + "/") for path in self.files)

    @cached_property
    def all_modules(self) -> dict[str, Module]:
        paths = (path for path in self.files if path.endswith(".py"))
        return {path: Module(path, self.text(path)) for path in paths}

    @cached_property
    def module_names(self) -> set[str]:
        return {module.name for module in self.all_modules.values()}

    def modules(self, *packages: str) -> list[Module]:
        """Return the modules of some packages of ours; there must be one at least."""
        found = [module for module in self.all_modules.values() if module.package in packages]
        some(found, f"modules in {', '.join(packages)}")
        return found

    def module(self, path: str) -> Module:
        assert path in self.all_modules, f"{path} is missing"
        return self.all_modules[path]


@dataclass(frozen=True)
class Rule:
    """A check, a tree that breaks it, and where (`path:line`) the breaches are, no more and no fewer."""

    check: Callable[[Tree], Findings]
    broken: dict[str, str]
    finds: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.check.__name__


RULES: dict[str, Rule] = {}


def rule(
    *finds: str, broken: dict[str, str]
) -> Callable[[Callable[[Tree], Findings]], Callable[[Tree], Findings]]:
    """Write a check down as a rule of the house; `finds` is what it must find in the `broken` tree."""

    def register(check: Callable[[Tree], Findings]) -> Callable[[Tree], Findings]:
        assert check.__name__ not in RULES, f"two rules are called {check.__name__}"
        assert finds, f"{check.__name__} must find something in its broken tree"
        RULES[check.__name__] = Rule(check, broken, finds)
        return check

    return register


def plant(root: Path, files: dict[str, str]) -> Tree:
    """Write a small tree."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return Tree(root)


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` of a name or attribute chain; "" of anything else (a chain on a call is `.b.c`)."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def keywords(call: ast.Call) -> dict[str, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
