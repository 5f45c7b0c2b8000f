"""The source contract as code reads it: one file per table a shop may bring.

The files in `contracts/` are documents of the Open Data Contract Standard 3.1, of which we use the part that is typed
here: any other key is refused by name, so that a slip of the pen cannot switch a rule off. What the standard has no
word for (unit, what a table switches on, what to do with a broken value) are its custom properties.

Source: https://bitol-io.github.io/open-data-contract-standard/v3.1.0/
"""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

CONTRACTS = Path(__file__).parent / "contracts"

SQL_TYPES = {
    "string": "varchar",
    "integer": "bigint",
    "decimal": "decimal(18, 4)",
    "timestamp": "timestamp",
    "date": "date",
    "boolean": "boolean",
}


class Column(BaseModel):
    """One column: its type, its rules, and what it means to a person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: Literal["string", "integer", "decimal", "timestamp", "date", "boolean"]
    meaning: str
    example: str
    unit: str = ""
    nullable: bool = True
    at_least: float | None = None
    at_most: float | None = None
    earliest: str = ""
    """The first moment that can be meant, for moments; one before it is a slip."""
    latest: str = ""
    max_length: int | None = None
    """Characters of a text; a longer one is no name and no number."""
    one_of: tuple[str, ...] = ()
    format: Literal["", "email", "time_zone", "country", "month_day"] = ""
    not_after: str = ""
    """Another column: a moment, or a year, later than it is in the future of what was known."""
    references: str = ""
    """`table.column` that must know the value. Checked once every table is loaded; the row is kept."""
    personal: bool = False
    """The value is shown to nobody, not even in a reject."""
    when_broken: Literal["reject", "null"] = "reject"
    """Give up the row, or only the value."""
    complete_journey: Literal["", "real", "derived", "synthetic", "simulated"] = ""
    """Where the demo's values come from; empty where the demo's shop has none."""

    @property
    def sql_type(self) -> str:
        return SQL_TYPES[self.type]


class Contract(BaseModel):
    """One table: its key, its columns, and how many broken rows are too many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    description: str
    required: bool
    switches_on: str = ""
    reject_threshold_share: float = Field(ge=0, le=1)
    freshness_days: int = Field(gt=0)
    """After so many days without a new row the table counts as stale."""
    stops_after_days: int | None = Field(None, gt=0)
    """After so many the gate lets nothing be published; None: staleness is a warning only."""
    key: tuple[str, ...]
    columns: tuple[Column, ...]


@cache
def contracts() -> dict[str, Contract]:
    """Return every contract by table name."""
    found = [contract_of(yaml.safe_load(file.read_text())) for file in sorted(CONTRACTS.glob("*.yml"))]
    return {contract.table: contract for contract in found}


def contract_of(document: dict[str, Any]) -> Contract:
    """Return what a document of the standard says, as the reading code, the checks and the pages use it.

    Raises
    ------
    pydantic.ValidationError
        If it says something the standard has no word for, or that we do not read.
    """
    said = _Document.model_validate(document)
    (table,) = said.tables
    promised = {sla.property: sla.value for sla in said.promises}
    own = {custom.property: custom.value for custom in said.own}
    keys = sorted((each.key_position, each.name) for each in table.properties if each.is_key)
    return Contract(
        table=table.name,
        description=table.description,
        required=own["required"],
        switches_on=own.get("switchesOn", ""),
        reject_threshold_share=promised["errorRate"] / 100,
        freshness_days=promised["latency"],
        stops_after_days=own.get("stopsAfter"),
        key=tuple(name for _, name in keys),
        columns=tuple(_column(each) for each in table.properties),
    )


# --- the part of the standard that we read


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Custom(_Part):
    property: Literal[
        "required", "switchesOn", "stopsAfter", "unit", "notAfter", "whenBroken", "completeJourney"
    ]  # fmt: skip
    value: Any


class _Promise(_Part):
    property: Literal["latency", "errorRate"]
    value: Any
    unit: Literal["d", "percent"]
    element: str


class _Arguments(_Part):
    values: tuple[str, ...] = Field(alias="validValues")


class _Allowed(_Part):
    """The standard's way to list allowed values: a metric that must be 0."""

    metric: Literal["invalidValues"]
    arguments: _Arguments
    must_be: Literal[0] = Field(alias="mustBe")


class _Relationship(_Part):
    type: Literal["foreignKey"]
    to: str


class _Options(_Part):
    minimum: float | str | None = None
    maximum: float | str | None = None
    max_length: int | None = Field(None, alias="maxLength")
    format: Literal["", "email", "time_zone", "country", "month_day"] = ""


class _Property(_Part):
    name: str
    type: Literal["string", "integer", "number", "timestamp", "date", "boolean"] = Field(alias="logicalType")
    physical_type: Literal["", "decimal(18, 4)"] = Field("", alias="physicalType")
    required: bool = False
    is_key: bool = Field(False, alias="primaryKey")
    key_position: int = Field(-1, alias="primaryKeyPosition")
    classification: Literal["", "personal"] = ""
    description: str
    examples: tuple[str, ...] = Field(min_length=1, max_length=1)
    options: _Options = Field(_Options(), alias="logicalTypeOptions")
    quality: tuple[_Allowed, ...] = Field((), max_length=1)
    relationships: tuple[_Relationship, ...] = Field((), max_length=1)
    own: tuple[_Custom, ...] = Field((), alias="customProperties")


class _Table(_Part):
    name: str
    logical_type: Literal["object"] = Field(alias="logicalType")
    physical_type: Literal["table"] = Field(alias="physicalType")
    description: str
    properties: tuple[_Property, ...]


class _Document(_Part):
    standard: Literal["v3.1.0"] = Field(alias="apiVersion")
    kind: Literal["DataContract"]
    id: str
    version: str
    status: Literal["active"]
    promises: tuple[_Promise, ...] = Field(alias="slaProperties")
    own: tuple[_Custom, ...] = Field(alias="customProperties")
    tables: tuple[_Table, ...] = Field(alias="schema", min_length=1, max_length=1)


def _column(said: _Property) -> Column:
    own = {custom.property: custom.value for custom in said.own}
    limits = {
        name: value
        for name, value in (
            ("earliest" if said.type == "timestamp" else "at_least", said.options.minimum),
            ("latest" if said.type == "timestamp" else "at_most", said.options.maximum),
        )
        if value is not None
    }
    return Column(
        name=said.name,
        type="decimal" if said.type == "number" else said.type,
        meaning=said.description,
        example=said.examples[0],
        unit=own.get("unit", ""),
        nullable=not said.required,
        max_length=said.options.max_length,
        one_of=said.quality[0].arguments.values if said.quality else (),
        format=said.options.format,
        not_after=own.get("notAfter", ""),
        references=said.relationships[0].to if said.relationships else "",
        personal=said.classification == "personal",
        when_broken=own.get("whenBroken", "reject"),
        complete_journey=own.get("completeJourney", ""),
        **limits,
    )
