"""The source contract as code reads it: one file per table a shop may bring."""

from functools import cache
from pathlib import Path
from typing import Literal

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
    one_of: tuple[str, ...] = ()
    format: Literal["", "email"] = ""
    not_after: str = ""
    """Another column: a moment later than it is in the future of what was known."""
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
    key: tuple[str, ...]
    columns: tuple[Column, ...]


@cache
def contracts() -> dict[str, Contract]:
    """Return every contract by table name."""
    found = [
        Contract.model_validate(yaml.safe_load(file.read_text())) for file in sorted(CONTRACTS.glob("*.yml"))
    ]
    return {contract.table: contract for contract in found}
