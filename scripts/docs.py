"""Writes the parts of docs/ that code already knows, so that they cannot go stale.

`python -m scripts.docs` says what differs (exit code 1), `python -m scripts.docs --write` mends it. Whole pages:
`docs/cli.md` (every command's help), `docs/settings.md`. Parts, between two markers: the source contract in
`docs/data.md`, the table of DAGs in `docs/architecture.md`.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from sources.contract import Column, Contract, contracts

ROOT = Path(__file__).resolve().parents[1]
HOW = "python -m scripts.docs --write"
PLAIN_TERMINAL = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "TERM": "dumb", "NO_COLOR": "1"}


def begin(part: str) -> str:
    """Return the line that opens a generated part of a page."""
    return f"<!-- generated: {part} ({HOW}) -->"


END = "<!-- end of generated part -->"


def with_part(page: str, part: str, content: str) -> str:
    """Return `page` with the text between the markers of `part` replaced.

    Raises
    ------
    ValueError
        If the page has not exactly one pair of these markers.
    """
    pieces = page.split(begin(part))
    if len(pieces) != 2 or END not in pieces[1]:
        raise ValueError(f"the page needs the lines {begin(part)!r} and {END!r} once, for the part {part!r}")
    return f"{pieces[0]}{begin(part)}\n\n{content.strip()}\n\n{END}{pieces[1].split(END, 1)[1]}"


def cell(text: object) -> str:
    """Return a text as it may stand in a cell of a Markdown table."""
    return re.sub(r"\s+", " ", str(text)).strip().replace("|", "\\|")


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell(each) for each in line) + " |" for line in lines)


# --- docs/cli.md


def commands(command: Any, path: tuple[str, ...] = ("lapwing",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (words, command) of a click command and of all below it, in the order of the help."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from commands(below, (*path, name))


def cli_page() -> str:
    """Return the page of every command's help, as `lapwing … --help` prints it on 100 columns."""
    import typer
    from typer.testing import CliRunner

    from cli.app import app

    parts = [
        "# The `lapwing` command",
        f"Each command calls the same functions as the DAGs. This page is generated (`{HOW}`); do not edit it.",
    ]
    for words, _ in commands(typer.main.get_command(app)):
        said = CliRunner().invoke(app, [*words[1:], "--help"], prog_name="lapwing", env=PLAIN_TERMINAL)
        if said.exit_code:
            raise RuntimeError(f"{' '.join(words)} --help ended with {said.exit_code}")
        text = "\n".join(line.rstrip() for line in said.output.strip("\n").splitlines()).strip("\n")
        parts += [f"## {' '.join(words)}", f"```text\n{text}\n```"]
    return "\n\n".join(parts) + "\n"


# --- docs/settings.md


def setting_rows(source: str) -> list[tuple[object, ...]]:
    """Return (variable, type, default, meaning) of each field of `Settings`, read from its source."""
    classes = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    body = next(node for node in classes if node.name == "Settings").body
    rows: list[tuple[object, ...]] = []
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        meaning = after.value.value if told else ""  # type: ignore[attr-defined]  # `told` says it is there
        rows.append(
            (f"`LAPWING_{node.target.id.upper()}`", ast.unparse(node.annotation), default_of(node), meaning)
        )
    return rows


def default_of(field: ast.AnnAssign) -> str:
    """Return a field's default as one would write it into `.env`; "required" where there is none."""
    value = field.value
    if isinstance(value, ast.Call):  # Field(20, ge=1), Path("data"), SecretStr("")
        value = value.args[0] if value.args else None
    if value is None:
        return "required"
    plain = ast.literal_eval(value)
    return f"`{str(plain).lower() if isinstance(plain, bool) else plain}`" if plain != "" else "empty"


def settings_page(root: Path = ROOT) -> str:
    """Return the page of every setting."""
    rows = setting_rows((root / "core/settings.py").read_text())
    return (
        "# Settings\n\nEnvironment variables, or lines of `.env` (copy `.env.example`). They are read once, when a command,"
        " a task or a service\nstarts; a missing or wrong one is named in one sentence. This page is generated"
        f" (`{HOW}`); do not edit it.\n\n" + table(("Variable", "Type", "Default", "Meaning"), rows) + "\n"
    )


# --- docs/data.md


def contract_part() -> str:
    """Return the source contract as tables: one section per file of `sources/contracts/`."""
    if not contracts():
        raise ValueError("sources/contracts/ holds no contract")
    ordered = sorted(contracts().values(), key=lambda contract: (not contract.required, contract.table))
    return "\n\n".join(contract_section(contract) for contract in ordered)


def contract_section(contract: Contract) -> str:
    """Return one table of the contract: what it is for, and each column with an example and where the demo has it from."""
    need = (
        "Required."
        if contract.required
        else f"Optional; switches on: {contract.switches_on or 'nothing yet'}."
    )
    rows: list[tuple[object, ...]] = [
        (
            f"`{column.name}`",
            column.type + (f", {column.unit}" if column.unit else ""),
            "may be empty" if column.nullable else "always",
            column.meaning + column_rules(column),
            f"`{column.example}`" if column.example else "",
            column.complete_journey,
        )
        for column in contract.columns
    ]
    return (
        f"### `{contract.table}`\n\n{contract.description} {need}"
        f" Key: {', '.join(f'`{name}`' for name in contract.key)}."
        f" The run stops above {contract.reject_threshold_share:.1%} rejected rows;"
        f" stale after {contract.freshness_days} days without a row"
        + (f", nothing is published after {contract.stops_after_days}" if contract.stops_after_days else "")
        + ".\n\n"
        + table(("Column", "Type", "Filled", "Meaning", "Example", "In the demo"), rows)
    )


def column_rules(column: Column) -> str:
    """Return in words what else a value must be, and what happens where it is not."""
    limits = [
        (f"at least {column.at_least or 0:.15g}", column.at_least is not None),
        (f"at most {column.at_most or 0:.15g}", column.at_most is not None),
        (f"at most {column.max_length} characters", column.max_length is not None),
        (f"from {column.earliest[:10]} to {column.latest[:10]}", bool(column.earliest)),
        (f"not after `{column.not_after}`", bool(column.not_after)),
        (f"a value of `{column.references}`", bool(column.references)),
        ("a broken value is emptied, the row kept", column.when_broken == "null"),
        ("personal: shown to nobody", column.personal),
    ]
    rules = [words for words, applies in limits if applies]
    if column.one_of:
        rules.insert(0, "one of " + ", ".join(f"`{value}`" for value in column.one_of))
    return f" ({'; '.join(rules)})" if rules else ""


# --- docs/architecture.md


def dag_part(root: Path = ROOT) -> str:
    """Return the table of DAGs: when each runs, what it does (its page's first sentence), its tasks in order."""
    files = [file for file in sorted((root / "dags").glob("*.py")) if file.name != "__init__.py"]
    if not files:
        raise ValueError("dags/ holds no DAG")
    return table(("DAG", "When (UTC)", "Whom it hurts", "Does", "Tasks"), [dag_row(file) for file in files])


def dag_row(file: Path) -> tuple[object, ...]:
    """Return one row of the table of DAGs."""
    tree = ast.parse(file.read_text())
    words = (ast.get_docstring(tree) or "").split("\n", 1)[-1].split("**When it fails")[0]
    sentence = re.split(r"(?<=[.!?])\s", words.strip(), maxsplit=1)[0]
    given = {
        keyword.arg: ast.unparse(keyword.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "dag"
        for keyword in call.keywords
    }
    tier = re.findall(r"Tier\.(\w+)", given.get("tags", ""))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    tasks = [node for node in functions if any(is_task(each) for each in node.decorator_list)]
    names = ", ".join(f"`{node.name}`" for node in sorted(tasks, key=lambda node: node.lineno))
    when = given.get("schedule", "None").strip("'\"")
    return (
        f"[`{file.stem}`](../dags/{file.name})",
        "by hand" if when == "None" else f"`{when}`",
        ", ".join(name.lower().replace("_", " ") for name in tier),
        sentence,
        names,
    )


def is_task(decorator: ast.expr) -> bool:
    """Tell whether a decorator is `@task`, `@task(…)` or `@task.something(…)`."""
    return re.match(r"task\b", ast.unparse(decorator)) is not None


# --- docs/features.md


def features_page(root: Path = ROOT) -> str:
    """Return the catalogue of customer features: one table per group, from the model's YAML."""
    model = yaml.safe_load((root / FEATURES).read_text())["models"][0]
    groups: dict[str, list[dict[str, Any]]] = {}
    for column in model["columns"]:
        meta = column.get("config", {}).get("meta")
        if meta:  # the key has none
            groups.setdefault(meta["group"], []).append(column)
    count = sum(map(len, groups.values()))
    parts = [
        f"# Customer features\n\n{model['description'].strip()}\n\nThere are {count} of them. Every one is what was known"
        " before 00:00 UTC of `as_of_date`, can be computed for any past day, and does not change when more is landed."
        " A\ntable that a shop does not bring leaves its features null and says so in the run."
        f" This page is generated (`{HOW}`); do not edit it."
    ]
    for group, columns in groups.items():
        rows: list[tuple[object, ...]] = [
            (f"`{column['name']}`", meta["unit"], column["description"], meta["source"], meta["missing"])
            for column in columns
            for meta in [column["config"]["meta"]]
        ]
        parts.append(
            f"## {group[0].upper()}{group[1:]}\n\n"
            + table(("Feature", "Unit", "Meaning", "From", "Missing"), rows)
        )
    return "\n\n".join(parts) + "\n"


# --- all of them

FEATURES = "dbt_project/models/marts/ml/customer_features.yml"

WHOLE: dict[str, Callable[[], str]] = {
    "docs/settings.md": settings_page,
    "docs/cli.md": cli_page,
    "docs/features.md": features_page,
}
PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "docs/architecture.md": ("table of DAGs", dag_part),
    "docs/data.md": ("source contract", contract_part),
}


def fresh(page: str) -> str:
    """Return a page as it should be."""
    if page in WHOLE:
        return WHOLE[page]()
    part, generate = PARTS[page]
    return with_part((ROOT / page).read_text(encoding="utf-8"), part, generate())


def main(write: bool) -> int:
    """Compare (or write) every generated page; return the exit code."""
    stale = 0
    for page in [*WHOLE, *PARTS]:
        file = ROOT / page
        if page in PARTS and not file.exists():
            stale += 1
            print(f"{page} is missing; it needs the lines {begin(PARTS[page][0])!r} and {END!r}")
            continue
        text = fresh(page)
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if write:
            file.write_text(text, encoding="utf-8")
        print(f"{page} {'written' if write else 'differs from the code: ' + HOW}")
    return int(stale > 0 and not write)


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
