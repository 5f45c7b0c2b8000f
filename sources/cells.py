"""SQL for one cell: a shop's way to write a number, a moment or a word, turned into the contract's.

A text that cannot be understood stays as it is: the landing then rejects the row and shows the value. Nothing is guessed:
a number written with another decimal sign than the mapping says is marked, so that 1.234 never becomes 1234 or 1.234
by luck.
"""

from dataclasses import dataclass

from sources.contract import Column
from sources.mapping import EPOCHS, Rule, Table
from sources.rules import quoted

MISREAD = " (not written as the mapping says)"
BLANKS = " \t\r\n\u00a0"
CURRENCIES = "EUR|USD|GBP|CHF|[€$£¥]"
WITH_OFFSET = r".*[0-9]:[0-9]{2}(:[0-9.]+)? ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
"""A time of day, then how far it is from UTC; without the first, the end of a date would look like the second."""
NUMBERS = (
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "BIGINT",
    "INTEGER",
    "SMALLINT",
    "TINYINT",
    "HUGEINT",
    "UBIGINT",
    "UINTEGER",
)


@dataclass(frozen=True)
class ShopColumn:
    """A column of the shop as SQL, and its type; what comes from a text file is VARCHAR."""

    sql: str
    type: str = "VARCHAR"

    @property
    def text(self) -> str:
        """Return SQL of the trimmed text; null where it is empty."""
        return f"nullif(trim(({self.sql})::varchar, {quoted(BLANKS)}), '')"


def identifier(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def cell(column: Column, rule: Rule, table: Table, shop: dict[str, ShopColumn]) -> str:
    """Return SQL for one column of the contract, as text.

    Parameters
    ----------
    shop
        The shop's columns by name. Those that `rule` names must be there.
    """
    if rule.position_in:
        return (
            f"(row_number() over (partition by {shop[rule.position_in].text} order by source_row))::varchar"
        )
    if rule.value is not None:
        return quoted(rule.value)
    origin = shop[rule.column]
    text = _meant(origin.text, rule)
    if column.type == "timestamp":
        return _moment(origin, text, rule.dates or table.dates, rule.time_zone or table.time_zone)
    if rule.dates and (column.type == "integer" or column.format == "month_day"):
        return _part_of_date(origin, text, rule.dates, "%Y" if column.type == "integer" else "%m-%d")
    if column.type in ("integer", "decimal"):
        return _number(column, origin, text, rule, table, shop)
    return text


def _meant(text: str, rule: Rule) -> str:
    """Return SQL that puts in the words of the contract."""
    if rule.values:
        pairs = " ".join(
            f"when {quoted(word.lower())} then {quoted(meant)}" for word, meant in rule.values.items()
        )
        text = f"case lower({text}) {pairs} else {text} end"
    return f"coalesce({text}, {quoted(rule.empty)})" if rule.empty is not None else text


def _moment(origin: ShopColumn, text: str, formats: tuple[str, ...], zone: str) -> str:
    """Return SQL for a moment in UTC: `2024-03-05 09:00:00`, with fractions of a second where there are some."""
    if origin.type.startswith("TIMESTAMP WITH"):
        return f"({origin.sql} at time zone 'UTC')::varchar"
    if origin.type.startswith(("TIMESTAMP", "DATE")):
        return f"({_in_utc(f'{origin.sql}::timestamp', zone)})::varchar"
    return moment_in_utc(text, formats, zone)


def _part_of_date(origin: ShopColumn, text: str, formats: tuple[str, ...], part: str) -> str:
    """Return SQL for the year of a date, or its month and day, so that nothing more of it is landed."""
    if origin.type.startswith(("DATE", "TIMESTAMP")):
        return f"strftime({origin.sql}, '{part}')"
    tries = ", ".join(f"strftime({_parsed(text, each, 'UTC')}, '{part}')" for each in formats)
    return f"coalesce({tries}, {text})"


def moment_in_utc(text: str, formats: tuple[str, ...], zone: str) -> str:
    """Return SQL for the moment that a text says, in UTC; the text itself where it says none."""
    tries = [_parsed(text, each, zone) for each in formats]
    colon = f"regexp_replace({text}, ' ?([+-][0-9]{{2}}):?([0-9]{{2}})$', '\\1:\\2')"
    tries.append(
        f"case when regexp_full_match({text}, '{WITH_OFFSET}') then try_cast({colon} as timestamptz) at time zone 'UTC' "
        f"else {_in_utc(f'try_cast({text} as timestamp)', zone)} end"
    )
    return f"coalesce({', '.join(f'({each})::varchar' for each in tries)}, {text})"


def _parsed(text: str, form: str, zone: str) -> str:
    if form in EPOCHS:
        to_moment = "make_timestamp" if form == "epoch_seconds" else "make_timestamp_ms"
        factor = " * 1000000" if form == "epoch_seconds" else ""
        return f"{to_moment}(try_cast(case when regexp_full_match({text}, '[0-9]{{1,13}}') then {text} end as bigint){factor})"
    parsed = f"try_strptime({text}, {quoted(form)})"
    return f"({parsed} at time zone 'UTC')" if "%z" in form else _in_utc(parsed, zone)


def _in_utc(moment: str, zone: str) -> str:
    return f"({moment} at time zone {quoted(zone)}) at time zone 'UTC'"


def _number(
    column: Column, origin: ShopColumn, text: str, rule: Rule, table: Table, shop: dict[str, ShopColumn]
) -> str:
    """Return SQL for a number with a decimal point and nothing else; marked where it is written otherwise."""
    plain = read = _plain(origin, text, rule, table)
    shown = text
    if column.type == "decimal" and (rule.in_cents or rule.times):
        amount = f"try_cast({read} as decimal(18, 4))"
        if rule.in_cents:
            amount = f"({amount} * 0.01::decimal(3, 2))"
        if rule.times:
            factor = shop[rule.times]
            amount = f"({amount} * try_cast({_plain(factor, factor.text, rule, table)} as decimal(12, 3)))"
            shown = f"concat_ws(' x ', {text}, {factor.text})"
        plain = f"try_cast({amount} as decimal(18, 4))::varchar"
    mark = f"case when {read} is null and try_cast({text} as double) is not null then {quoted(MISREAD)} else '' end"
    return f"coalesce({plain}, {shown} || {mark})"


def _plain(origin: ShopColumn, text: str, rule: Rule, table: Table) -> str:
    if origin.type.startswith(NUMBERS):
        return text
    point, thousands = (
        rule.decimal or table.decimal,
        table.thousands if rule.thousands is None else rule.thousands,
    )
    bare = f"regexp_replace({text}, '^({CURRENCIES})\\s*|\\s*({CURRENCIES})$', '')"
    grouped = f"[0-9]{{1,3}}([{thousands}][0-9]{{3}})+|" if thousands else ""
    form = f"[+-]?({grouped}[0-9]+)([{point}][0-9]+)?".replace("'", "''")
    cleaned = f"replace({bare}, {quoted(thousands)}, '')" if thousands else bare
    return f"case when regexp_full_match({bare}, '{form}') then replace({cleaned}, {quoted(point)}, '.') end"
