"""Every setting is documented, used, and no other is spoken of."""

import ast
import re

from tests.arch.kit import OURS, Findings, Tree, rule, some

CLASS = "class Settings(BaseSettings):\n    data_dir: str = 'data'\n    quiet: int = 1\n"


def settings(tree: Tree) -> dict[str, ast.AnnAssign]:
    """Return the fields of `core.settings.Settings`."""
    classes = [node for node in tree.module("core/settings.py").walk(ast.ClassDef) if node.name == "Settings"]
    some(classes, "class Settings in core/settings.py")
    fields = {
        node.target.id: node
        for node in classes[0].body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    some(fields, "settings")
    return fields


@rule(
    "core/settings.py:3",
    "core/settings.py:3",
    ".env.example:2",
    "docs/a.md:2",
    broken={
        "core/settings.py": CLASS,
        ".env.example": "LAPWING_DATA_DIR=data\nLAPWING_GONE=1\n",
        "docs/a.md": "`LAPWING_DATA_DIR`\n`LAPWING_STALE`\n",
    },
)
def every_setting_is_documented(tree: Tree) -> Findings:
    """Each LAPWING_ variable is in `.env.example` and in a page; neither names one that does not exist."""
    pages = tree.matching("README.md", "docs/*.md")
    fields = settings(tree)
    told = " ".join(tree.text(page) for page in pages)
    for name, node in fields.items():
        variable = f"LAPWING_{name.upper()}"
        for where, text in ((".env.example", tree.text(".env.example")), ("docs/", told)):
            if not re.search(rf"\b{variable}\b", text):
                yield f"core/settings.py:{node.lineno} {variable} is missing in {where}"
    known = {f"LAPWING_{name.upper()}" for name in fields}
    for place, line in tree.lines([".env.example", "docker-compose.yml", *pages]):
        for variable in re.findall(r"\bLAPWING_[A-Z0-9_]+\b(?!\*)", line):
            if variable not in known and not variable.endswith("_"):
                yield f"{place} {variable} is no setting"


@rule(
    "core/settings.py:3",
    broken={"core/settings.py": CLASS, "ml/a.py": "def f(settings):\n    return settings.data_dir\n"},
)
def every_setting_is_used(tree: Tree) -> Findings:
    """A setting that nothing reads is a knob that lies. (Properties of Settings read too.)"""
    read = {
        node.attr
        for module in tree.modules(*(package for package in OURS if package != "tests"))
        for node in module.walk(ast.Attribute)
        if isinstance(node.ctx, ast.Load)
    }
    for name, node in settings(tree).items():
        if name not in read:
            yield f"core/settings.py:{node.lineno} nothing reads {name}"
