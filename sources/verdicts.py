"""What of a shop's rows breaks the contract: found out before anything is landed, by the rules of the landing itself."""

from collections import Counter
from dataclasses import dataclass, field

import duckdb

from core.errors import ContractBroken
from sources.arrivals import Batch, Target
from sources.contract import Contract
from sources.landing import MANY_REJECTS
from sources.rules import PERSONAL, judge, quoted, shown

ROWS_SHOWN = 5


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with rows of a file.

    `rows` are the first few, counted from 1 without the header; `value` is one of the values, shortened; `is_mild` says
    that only the value is given up, not the row.
    """

    table: str
    file: str
    column: str
    reason: str
    count: int
    rows: tuple[int, ...]
    value: str
    is_mild: bool


@dataclass
class Verdicts:
    """Counts of rows and broken rows per table, and every kind of fault.

    `refuses` says whether a table with too many broken rows is refused; a mere check goes on.
    """

    refuses: bool = True
    rows: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def look(self, db: duckdb.DuckDBPyConnection, batch: Batch) -> None:
        """Judge the table `arrivals`, which a batch has just been made into."""
        contract = batch.contract
        names = ", ".join(column.name for column in contract.columns)
        db.execute("drop table if exists judged; drop table if exists arrived")
        db.execute(
            f"""create temp table arrived as
            select {names}, source_row from arrivals where source_row not in (select source_row from unreadable)"""
        )
        types = {row[0]: row[1].upper() for row in db.sql("describe arrived").fetchall()}
        db.execute(judge(contract, types))
        db.execute(_mark_twins(contract))
        rows, lines = db.sql(
            "select (select count(*) from arrivals), (select count(*) from arrivals semi join unreadable using (source_row))"
        ).fetchall()[0]
        self.rows[contract.table] += rows
        self.broken[contract.table] += lines
        for column, reason, count, places, value, is_mild in db.sql(_faults(contract)).fetchall():
            if not is_mild and column != "(line)":
                self.broken[contract.table] += count
            self.faults.append(
                Fault(contract.table, batch.name, column, reason, count, tuple(places), value or "", is_mild)
            )

    def decide(self, target: Target) -> None:
        """Refuse a table of which more rows break the contract than it allows.

        A mapping that reads dates wrongly would otherwise land a whole history, and what the next import corrects
        counts as known from the day of the correction only. A few broken rows of a small delivery are left to the
        landing, which knows the whole table.

        Raises
        ------
        ContractBroken
            Naming the most frequent fault.
        """
        if not self.refuses:
            return
        if target.is_first or self.broken[target.contract.table] >= MANY_REJECTS:
            refusal = self.refusal(target.contract)
            if refusal:
                raise ContractBroken(refusal)

    def refusal(self, contract: Contract) -> str:
        """Return why a table would be refused as a whole; nothing if it would not."""
        table = contract.table
        rows, broken = self.rows[table], self.broken[table]
        if broken <= contract.reject_threshold_share * max(rows, 1):
            return ""
        worst = max(
            (fault for fault in self.faults if fault.table == table and not fault.is_mild),
            key=lambda f: f.count,
        )
        return (
            f"{table}: {broken} of {rows} rows break its contract, more than {contract.reject_threshold_share:.0%} allow; "
            f"most often {worst.column!r} {worst.reason} (row {worst.rows[0]} of {worst.file}); so none of them is landed"
        )


def _mark_twins(contract: Contract) -> str:
    """Return SQL that marks rows which contradict an earlier one of their key; a mere repetition is none."""
    key = ", ".join((*contract.key, "known_at"))
    content = ", ".join(column.name for column in contract.columns)
    reason = f"says something else than an earlier row of the same key ({', '.join(contract.key)})"
    return f"""
        update judged set broken_column = {quoted(contract.key[0])}, broken_reason = {quoted(reason)}
        from (
            select source_row as twin,
                hash({content}) != first_value(hash({content})) over (partition by {key} order by source_row) as differs
            from judged where broken_column is null
        ) as twins
        where judged.source_row = twins.twin and twins.differs"""


def _faults(contract: Contract) -> str:
    """Return SQL for every kind of fault: column, reason, count, first rows, a value, whether it is mild."""
    by_column = " ".join(f"when {quoted(column.name)} then {shown(column)}" for column in contract.columns)
    line = f"{PERSONAL}" if any(column.personal for column in contract.columns) else "null::varchar"
    parts = [
        f"""select broken_column, broken_reason, source_row, case broken_column {by_column} end, false
        from judged join arrived using (source_row) where broken_column is not null""",
        f"select '(line)', split_part(fault, ': ', 2), source_row, {line}, false from unreadable semi join arrivals using (source_row)",
    ]
    parts += [
        f"""select {quoted(column.name)}, {column.name}__fault, source_row, {shown(column)}, true
        from judged join arrived using (source_row) where broken_column is null and {column.name}__fault is not null"""
        for column in contract.columns
        if column.when_broken == "null"
    ]
    return f"""
        select column_name, reason, count(*), list(source_row order by source_row)[:{ROWS_SHOWN}],
            arg_min(value, source_row), is_mild
        from ({" union all ".join(parts)}) as fault(column_name, reason, source_row, value, is_mild)
        group by column_name, reason, is_mild order by count(*) desc, 1, 2"""
