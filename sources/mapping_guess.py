"""Writes a mapping file to start from: by the contract alone, or by guessing from sample files.

A guess goes by what a column is called and by what its first rows look like. What is not found stays in the file as a
line to fill in, and the shop's columns that were not used are listed beside it.
"""

import csv
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import duckdb
import yaml

from core.errors import ContractBroken
from sources.contract import Column, Contract, contracts
from sources.countries import country_names
from sources.mapping import Rule, Table
from sources.shop_files import form_of, header_of, opened

TEMPLATES = Path(__file__).parent / "mappings"
ROWS = 1000
NEARLY_ALL = 0.9
"""Share of values that must look alike: a few broken ones hide nothing."""
FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M",
    "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%d-%m-%Y %H:%M", "%d-%m-%Y", "%Y%m%d",
)  # fmt: skip
"""Tried in this order: where a day could be a month as well, the day is taken first, and the file says so."""
UNIT_PRICE = ("unitprice", "price", "einzelpreis", "stueckpreis", "preis", "prixunitaire", "prix")
YES_AND_NO = {"yes": "true", "no": "false", "ja": "true", "nein": "false", "oui": "true", "non": "false", "j": "true",
              "n": "false", "y": "true", "o": "true"}  # fmt: skip
LOCALES = {
    "arabic": "ar",
    "arabisch": "ar",
    "deutsch": "de",
    "german": "de",
    "englisch": "en",
    "english": "en",
    "spanisch": "es",
    "spanish": "es",
    "french": "fr",
    "französisch": "fr",
    "japanese": "ja",
    "japanisch": "ja",
    "chinesisch": "zh",
    "chinese": "zh",
}
SHOPIFY = {"Lineitem quantity", "Accepts Email Marketing", "Variant Price"}
ORDER = ("customers", "orders", "order_lines", "products", "consents")


@dataclass
class Sample:
    """A file of the shop and its first rows."""

    path: Path
    table: Table
    columns: dict[str, list[str]]
    """Column of the shop → its values in the first rows, without empty ones."""


@dataclass
class Guess:
    """One table of the mapping as it will be written."""

    contract: Contract
    sample: Sample
    columns: dict[str, dict[str, object]] = field(default_factory=dict)
    repeats: bool = False
    dates: list[str] = field(default_factory=list)
    has_decimal_comma: bool = False

    @property
    def lacks(self) -> list[Column]:
        """Columns that each row must have and that were not found; `known_at` is worked out."""
        return [
            column
            for column in self.contract.columns
            if not column.nullable and column.name not in self.columns and column.name != "known_at"
        ]


def start_mapping(name: str, samples: list[Path], target: Path, *, time_zone: str) -> list[str]:
    """Write a mapping file for a source; return remarks on what was and was not guessed.

    Parameters
    ----------
    name
        Of the source: lower-case letters, digits and _.
    samples
        Files of the shop to guess from; none: every line is left to fill in.
    target
        The file to write. The names of the samples are written relative to its folder.

    Raises
    ------
    ContractBroken
        If the file is there already, the name is none, or a sample cannot be read.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ContractBroken(
            f"{name!r} is no name of a source: lower-case letters, digits and _, a letter first"
        )
    if target.exists():
        raise ContractBroken(f"{target.name} is there already; give another name, or remove it first")
    read = [_sample(path) for path in samples]
    if any(SHOPIFY & set(sample.columns) for sample in read):
        text = (TEMPLATES / "shopify.yml").read_text(encoding="utf-8")
        text = text.replace("SOURCE", name).replace("TIME_ZONE", time_zone)
        remarks = ["these are Shopify's own exports: columns need no mapping"]
    else:
        guesses = _guesses(read)
        text = _text(name, time_zone, guesses, target.resolve().parent)
        remarks = _remarks(guesses, read)
    target.write_text(text, encoding="utf-8")
    return remarks


# --- looking at files


def _sample(path: Path) -> Sample:
    table = Table(files=(path.name,), columns={}, **_form(path))
    columns: dict[str, list[str]] = {}
    with duckdb.connect() as db, opened(db, path, table, limit=ROWS) as file:
        for name, column in file.columns.items():
            values = db.table("shop").project(f"{column.text} as value").filter("value is not null")
            columns[name] = [row[0] for row in values.fetchall()]
    return Sample(path, table, columns)


def _form(path: Path) -> dict[str, str]:
    """Return encoding and delimiter of a CSV file; nothing of others."""
    if not path.is_file():
        raise ContractBroken(f"there is no file {path.name}")
    if form_of(path, Table(files=("x",), columns={})) != "csv":
        return {}
    start = path.read_bytes()[: 1 << 16]
    encoding = "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    try:
        start.rpartition(b"\n")[0].decode(encoding)
    except UnicodeDecodeError:
        encoding = "windows-1252"
    lines = start.decode(encoding, errors="replace").splitlines() or [""]
    counts = {sign: len(next(csv.reader(lines[:1], delimiter=sign), [])) for sign in ",;\t|"}
    delimiter = max(counts, key=lambda sign: counts[sign])
    header_of(path, Table(files=("x",), columns={}, encoding=encoding, delimiter=delimiter))
    return {"encoding": encoding, "delimiter": delimiter}


# --- guessing


def _guesses(samples: list[Sample]) -> list[Guess]:
    """Give each table the sample that fills most of it; a table nothing fits is left out."""
    found = []
    for name in ORDER:
        tries = [_guess(name, sample) for sample in samples]
        fitting = [each for each in tries if _fits(each)]
        if fitting:
            found.append(min(fitting, key=lambda each: (len(each.lacks), -len(each.columns))))
    return found


def _fits(guess: Guess) -> bool:
    """Say whether a file has enough of a table to be meant: what tells it from the tables that refer to it."""
    telling = {
        "customers": {"customer_id", "email"},
        "orders": {"order_id", "customer_id", "ordered_at"},
        "order_lines": {"order_id", "product_id", "quantity"},
        "products": {"product_id", "name"},
        "consents": {"customer_id", "is_given"},
    }
    return telling[guess.contract.table] <= set(guess.columns)


def _guess(name: str, sample: Sample) -> Guess:
    guess = Guess(contracts()[name], sample)
    for column in guess.contract.columns:
        theirs = _called(words()[name].get(column.name, []), sample)
        if theirs:
            guess.columns[column.name] = {"from": theirs} | _meanings(column, sample.columns[theirs])
            if column.type == "timestamp":
                guess.dates += [form for form in _formats(sample.columns[theirs]) if form not in guess.dates]
    if name == "order_lines":
        _complete_lines(guess)
    if name == "consents":
        _complete_consents(guess)
    amounts = [values for theirs, values in sample.columns.items() if _is_amount(values)]
    guess.has_decimal_comma = any("," in value for values in amounts for value in values)
    key = [guess.columns.get(each, {}).get("from") for each in guess.contract.key]
    if name == "orders" and key[0]:
        values = sample.columns[str(key[0])]
        guess.repeats = len(set(values)) < len(values)
    return guess


def _complete_lines(guess: Guess) -> None:
    """Work out what line files seldom have: a number, an amount of the line, a discount."""
    columns, sample = guess.columns, guess.sample
    if "line_number" not in columns and "order_id" in columns:
        columns["line_number"] = {"position_in": columns["order_id"]["from"]}
    price = _called(list(UNIT_PRICE), sample)
    if "list_amount" not in columns and price and "quantity" in columns:
        columns["list_amount"] = {"from": price, "times": columns["quantity"]["from"]}
    discount = columns.setdefault("discount_amount", {"value": "0"})
    if "from" in discount:
        discount["empty"] = "0"


def _complete_consents(guess: Guess) -> None:
    guess.columns["purpose"] = {"value": "marketing"}
    guess.columns["proof"] = {"value": "import"}
    guess.columns.setdefault("decided_at", {"file_time": True})


def _called(words_of_it: list[str], sample: Sample) -> str:
    by_word = {_bare(name): name for name in reversed(list(sample.columns))}
    return next((by_word[word] for word in words_of_it if word in by_word), "")


def _bare(name: str) -> str:
    spelled = name.lower().replace("ä", "ae").replace("ö", "oe").replace("ü", "ue").replace("ß", "ss")
    return re.sub(r"[^a-z0-9]", "", spelled.replace("é", "e").replace("è", "e"))


def _meanings(column: Column, values: list[str]) -> dict[str, object]:
    """Return a map of words where a truth, a language or a country is written in words we know."""
    known = YES_AND_NO if column.type == "boolean" else LOCALES if column.name == "locale" else {}
    if column.format == "country":
        known = country_names()
    pairs = {value: known[value.lower()] for value in sorted(set(values)) if value.lower() in known}
    return {"values": pairs} if pairs else {}


def _formats(values: list[str]) -> list[str]:
    """Return the first format that nearly all values are written in; none where ISO 8601 does, or nothing does."""
    if not values:
        return []
    with duckdb.connect() as db:
        for form in FORMATS:
            parsed = db.execute(
                "select count(try_strptime(value, ?)) from (select unnest(?) as value)", [form, values]
            )
            if parsed.fetchall()[0][0] >= NEARLY_ALL * len(values):
                return [] if form.startswith("%Y-") else [form]
    return []


def _is_amount(values: list[str]) -> bool:
    """Say whether nearly all values are numbers with a decimal comma."""
    fitting = sum(bool(re.fullmatch(r"[-+]?[\d.]*,\d{1,4}( ?[€$£])?", value)) for value in values)
    return bool(values) and fitting >= NEARLY_ALL * len(values)


@cache
def words() -> dict[str, dict[str, list[str]]]:
    """Return what shops call the columns of the contract."""
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(
        (TEMPLATES / "words.yml").read_text(encoding="utf-8")
    )
    return found


# --- writing it down


def _text(name: str, time_zone: str, guesses: list[Guess], folder: Path) -> str:
    by_name = {guess.contract.table: guess for guess in guesses}
    lines = [
        "# How this shop's files become the tables of Lapwing. docs/bring_your_own_shop.md explains each word.",
        "# `lapwing source check` says what is missing or wrong; lines with FILL_IN wait for you.",
        "",
        f"source: {name}",
        "# Zone of moments that name none.",
        f"time_zone: {time_zone}",
        "tables:",
    ]
    for table in ORDER:
        if table in by_name:
            lines += _table_lines(by_name[table], folder)
        elif contracts()[table].required:
            lines += _empty_lines(contracts()[table])
    return "\n".join(lines) + "\n"


def _table_lines(guess: Guess, folder: Path) -> list[str]:
    sample = guess.sample
    path = sample.path.resolve()
    lines = [
        f"  {guess.contract.table}:",
        f"    files: {_yaml(str(path.relative_to(folder) if path.is_relative_to(folder) else path))}",
    ]
    defaults = Table(files=("x",), columns={})
    for word in ("delimiter", "encoding"):
        if getattr(sample.table, word) != getattr(defaults, word):
            lines.append(f"    {word}: {_yaml(getattr(sample.table, word))}")
    if guess.has_decimal_comma and any(column.type == "decimal" for column in guess.contract.columns):
        lines += ['    decimal: ","', '    thousands: "."']
    if guess.dates:
        unsure = "  # is it the day that stands first, and not the month?" if "%d/" in guess.dates[0] else ""
        lines.append(f"    dates: {_yaml(guess.dates if len(guess.dates) > 1 else guess.dates[0])}{unsure}")
    if guess.repeats:
        lines.append(
            "    repeats: true  # the file has a row per line of an order; the first of each order counts"
        )
    lines.append("    columns:")
    lines += [f"      {column}: {_rule(rule)}" for column, rule in guess.columns.items()]
    lines += [f"      {column.name}: FILL_IN  # {column.meaning}" for column in guess.lacks]
    used = {
        str(rule.get(word)) for rule in guess.columns.values() for word in ("from", "times", "position_in")
    }
    unused = [column for column in sample.columns if column not in used]
    return [*lines, *([f"      # not used here: {', '.join(unused)}"] if unused else [])]


def _empty_lines(contract: Contract) -> list[str]:
    lines = [f"  # {contract.description}", f"  {contract.table}:", "    files: FILL_IN.csv", "    columns:"]
    for column in contract.columns:
        if column.name != "known_at":
            mark = "" if not column.nullable else "# "
            lines.append(
                f"      {mark}{column.name}: FILL_IN  # {column.meaning} For example {column.example}"
            )
    return lines


def _rule(rule: dict[str, object]) -> str:
    if list(rule) == ["from"]:
        return _yaml(rule["from"])
    Rule.model_validate(rule)
    return _yaml(rule)


def _yaml(value: object) -> str:
    """Return a value on one line, as YAML writes it."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000)
    return text.removesuffix("...\n").strip()


def _remarks(guesses: list[Guess], samples: list[Sample]) -> list[str]:
    remarks = [
        f"{guess.contract.table}: from {guess.sample.path.name}, {len(guess.columns)} columns"
        + (f"; to fill in: {', '.join(column.name for column in guess.lacks)}" if guess.lacks else "")
        for guess in guesses
    ]
    used = {guess.sample.path for guess in guesses}
    remarks += [
        f"{sample.path.name}: no table was recognised in it" for sample in samples if sample.path not in used
    ]
    found = {guess.contract.table for guess in guesses}
    lacking = [name for name, contract in contracts().items() if contract.required and name not in found]
    return remarks + [f"{name}: to fill in" for name in lacking]
