"""What a mapping file may say: which file or table of a shop holds which table of the source contract, and how.

A mapping is YAML. Per contract table it names files (or a table of the shop's database), how numbers and moments are
written there, and which column is which. `lapwing source init` writes one to start from; docs/bring_your_own_shop.md
explains each word.
"""

import re
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import duckdb
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from core.errors import ContractBroken
from sources.contract import contracts

EPOCHS = ("epoch_seconds", "epoch_milliseconds")
Sign = Literal[".", ",", " ", "'", ""]


def _known_format(text: str) -> str:
    """Let DuckDB, which will read the dates, say whether it knows the format."""
    if text not in EPOCHS:
        try:
            duckdb.execute("select try_strptime('', ?)", [text])
        except duckdb.Error:
            raise ValueError(f"{text!r} is no date format, such as '%d.%m.%Y %H:%M'") from None
    return text


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name!r} is no IANA time zone, such as Europe/Berlin") from None
    return name


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Formats = Annotated[tuple[Annotated[str, AfterValidator(_known_format)], ...], BeforeValidator(_listed)]
Zone = Annotated[str, AfterValidator(_known_zone)]
Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Rule(_Part):
    """Where one column of the contract comes from, and how it is written there."""

    column: str = Field("", alias="from")
    """A column of the shop."""
    value: str | None = None
    """The same text in every row."""
    position_in: str = ""
    """Count the rows that share this column of the shop: 1, 2, 3 in the order of the file."""
    file_time: bool = False
    """The moment the file was last changed; of a database, the moment of the pull."""
    values: dict[str, str] = {}
    """Words of the shop and what they mean here; letters' case does not count."""
    empty: str | None = None
    """What an empty cell means."""
    times: str = ""
    """Another column of the shop to multiply by: a unit price by a quantity."""
    in_cents: bool = False
    decimal: Sign | None = None
    thousands: Sign | None = None
    dates: Formats = ()
    time_zone: Zone = ""

    @model_validator(mode="after")
    def _one_origin(self) -> "Rule":
        origins = [self.column, self.value is not None, self.position_in, self.file_time]
        if sum(map(bool, origins)) != 1:
            raise ValueError("needs exactly one of from, value, position_in, file_time")
        return self


class Table(_Part):
    """The files (or the database table) that hold one table of the contract."""

    files: Words = ()
    """Names with * and ?, beside the mapping file."""
    table: str = ""
    """A table of the shop's database: `orders` or `schema.orders`."""
    changed: str = ""
    """The column of that table that grows whenever a row is added or changed."""
    format: Literal["", "csv", "parquet", "jsonl"] = ""
    """Empty: by the ending of the file's name."""
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    thousands: Sign = ""
    dates: Formats = ()
    """Formats of moments, tried in this order; ISO 8601 is always understood."""
    time_zone: Zone = ""
    """Zone of moments that name none; empty: the mapping's."""
    only: dict[str, Words] = {}
    """Take only rows in which these columns of the shop hold one of these words."""
    repeats: bool = False
    """The file repeats a row (an order on each of its lines): the first of each key counts."""
    columns: dict[
        str, Annotated[Rule, BeforeValidator(lambda said: {"from": said} if isinstance(said, str) else said)]
    ]

    @model_validator(mode="after")
    def _one_origin(self) -> "Table":
        if bool(self.files) == bool(self.table):
            raise ValueError("needs either files or table")
        if bool(self.table) != bool(self.changed):
            raise ValueError("a table of a database needs `changed`, the column that grows with every change")
        return self


class ShopifyFiles(_Part):
    """Shopify's own exports."""

    customers: Words
    orders: Words
    products: Words


class Mapping(_Part):
    """A whole mapping file."""

    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Folder of the landing files: lower-case letters, digits and _."""
    time_zone: Zone
    """Zone of moments that name none."""
    tables: dict[str, Table] = {}
    shopify: ShopifyFiles | None = None

    @model_validator(mode="after")
    def _known_tables(self) -> "Mapping":
        if bool(self.tables) == bool(self.shopify):
            raise ValueError("needs either tables or shopify")
        for name, table in self.tables.items():
            if name not in contracts():
                raise ValueError(f"tables.{name}: no table is called so; there are {', '.join(contracts())}")
            known = [column.name for column in contracts()[name].columns]
            for column in table.columns:
                if column not in known:
                    raise ValueError(
                        f"tables.{name}.columns.{column}: no column of {name!r} is called so; there are {', '.join(known)}"
                    )
        return self


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises
    ------
    ContractBroken
        If it is no mapping, naming the first place that is wrong.
    """
    try:
        # Every word stays a text: to YAML, NO is a falsehood, not a country, and 2024-01-01 a day.
        said = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506  # it makes texts, lists and maps only
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = re.sub(r"\s+", " ", str(error))
        raise ContractBroken(f"the mapping {path.name} cannot be read: {first}") from None
    try:
        return Mapping.model_validate(said)
    except ValidationError as error:
        first_error = error.errors()[0]
        place = ".".join(str(part) for part in first_error["loc"])
        message = first_error["msg"].removeprefix("Value error, ")
        raise ContractBroken(f"the mapping {path.name}: {f'{place}: ' if place else ''}{message}") from None
