"""The contract as SQL: every value typed, every rule a condition, the first one broken named.

Nothing is checked row by row in Python. A text is judged once: `<column>__text` is what stood there without blanks
around it, null where that is nothing.
"""

# names are the contract's and our own; what a file holds is never spliced in

from dataclasses import dataclass

from sources.contract import Column, Contract
from sources.countries import COUNTRIES

EMAIL = r'^[^@\s,;<>"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$'
HOLDS_ADDRESS = r"[^@\s,;<>()]+@[A-Za-z0-9-]+\.[A-Za-z0-9-]"
CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]"
LOST = r"\x{FFFD}"  # what a decoder writes in the place of a character it could not read
# What a spreadsheet would run. A leading sign alone is a number, a phone number or a word like "-free".
FORMULA = r"^[=@]|^[+-][A-Za-z.]+ *[(|!]"
# One look that nearly every text passes: what follows is asked of the few others only.
ODD = rf"{CONTROL}|{LOST}|@|^[=+-]"
NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
)


@dataclass(frozen=True)
class Rule:
    """A condition in SQL that is true for a broken value, and what is wrong then, in words."""

    column: str
    broken: str
    reason: str

    @property
    def case(self) -> str:
        return f"when {self.broken} then {quoted(self.reason)}"


def quoted(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def judge(contract: Contract, arrived_as: dict[str, str]) -> str:
    """Return SQL that makes the table `judged` of the table `arrived`.

    Parameters
    ----------
    arrived_as
        The SQL type of each column of `arrived`, in capitals.

    Returns
    -------
    `judged` has the contract's columns, typed; `source_row`; `broken_column` and `broken_reason`, null in a row that is
    kept; and for each column that only loses its value `<column>__fault`, why it did.
    """
    rules = [rule for column in contract.columns for rule in _rules(column, arrived_as[column.name])]
    mild = [column.name for column in contract.columns if column.when_broken == "null"]
    texts = [
        f"nullif(trim({column.name}::varchar), '') as {column.name}__text"
        for column in contract.columns
        if not _is_native(column, arrived_as[column.name])
    ]
    texts += [
        f"regexp_matches({column.name}::varchar, '{ODD}') as {column.name}__odd"
        for column in contract.columns
        if column.type == "string" and not column.one_of
    ]
    values = [f"{_value(column, arrived_as[column.name])} as {column.name}" for column in contract.columns]
    faults = [
        f"case {' '.join(rule.case for rule in rules if rule.column == name)} end as {name}__fault"
        for name in mild
    ]
    hard = [
        f"when {rule.broken} then {quoted(f'{rule.column}|{rule.reason}')}"
        for rule in rules
        if rule.column not in mild
    ]
    kept = [
        f"case when {column.name}__fault is null then {column.name} end as {column.name}"
        if column.name in mild
        else column.name
        for column in contract.columns
    ]
    return f"""
        create temp table judged as
        with texts as (select *, {", ".join([*texts, "true"])} from arrived),
        typed as (select texts.* replace ({", ".join(values)}) from texts),
        held as (select *, {", ".join([*faults, f"case {' '.join(hard)} end as broken"])} from typed)
        select {", ".join(kept)}, source_row, split_part(broken, '|', 1) as broken_column,
            split_part(broken, '|', 2) as broken_reason {"".join(f", {name}__fault" for name in mild)}
        from held"""


def _is_native(column: Column, arrived_as: str) -> bool:
    """Tell whether a file's own type says what the text of the value would: then no text is made of it."""
    if column.type == "timestamp":
        return arrived_as.startswith("TIMESTAMP")
    if column.type in ("integer", "decimal"):
        return arrived_as in NUMBERS or (column.type == "decimal" and arrived_as.startswith("DECIMAL"))
    return column.type != "string" and arrived_as == column.sql_type.upper()


def _value(column: Column, arrived_as: str) -> str:
    """Return SQL for the typed value, null where there is none."""
    name, text = column.name, f"{column.name}__text"
    if _is_native(column, arrived_as):
        zone = " at time zone 'UTC'" if arrived_as.endswith("WITH TIME ZONE") else ""
        value = f"try_cast({name}{zone} as {column.sql_type})"
        return f"case when isfinite({name}) then {value} end" if column.type == "timestamp" else value
    if column.type == "string":
        return text
    if column.type == "timestamp":
        return _moment(text)
    if column.type == "integer":  # a cast alone would round 1.5
        return (
            f"try_cast(case when regexp_full_match({text}, '[+-]?[0-9]+([.]0+)?') then {text} end as bigint)"
        )
    # DuckDB reads 1_000 as a thousand; a shop that writes it means something else.
    return f"try_cast(case when not contains({text}, '_') then {text} end as {column.sql_type})"


def _moment(text: str) -> str:
    """Return SQL for a moment in UTC, null where the text is none.

    A cast to a moment with a zone takes six times as long as one without, so it is left to those that have an offset;
    a cast without zone would drop it. 'epoch' and 'infinity' are no moments of a shop.
    """
    rest = f"substr({text}, 20)"  # behind 2017-01-05 10:00:00
    return f"""case
        when substr({text}, 17, 1) = ':' and not contains({rest}, '+') and not contains({rest}, '-')
        then try_cast(rtrim({text}, 'Zz') as timestamp)
        when {text} between '0' and ':' then try_cast({text} as timestamptz) at time zone 'UTC' end"""


def _rules(column: Column, arrived_as: str) -> list[Rule]:
    name, is_native = column.name, _is_native(column, arrived_as)
    # In `typed` the name means the typed value; what cannot be typed is told by the text that stood there.
    text = name if is_native else f"{name}__text"
    found = []
    if not column.nullable:
        found.append((f"{text} is null", "is missing"))
    if column.type != "string" and not is_native:
        article = "an" if column.type == "integer" else "a"
        found.append((f"{text} is not null and {name} is null", f"is not {article} {column.type}"))
    for limit, sign, word in ((column.at_least, "<", "below"), (column.at_most, ">", "above")):
        if limit is not None:
            found.append((f"{name} {sign} {limit:.15g}", f"is {word} {limit:.15g}"))
    for moment, sign, word in ((column.earliest, "<", "before"), (column.latest, ">", "after")):
        if moment:
            found.append((f"{name} {sign} timestamp '{moment}'", f"lies {word} {moment[:10]}"))
    if column.type == "string":
        found += _text_rules(column)
    if column.not_after:
        newest = f"year({column.not_after})" if column.type == "integer" else column.not_after
        found.append((f"{name} > {newest}", f"lies after {column.not_after}: a date in the future"))
    return [Rule(name, broken, reason) for broken, reason in found]


def _text_rules(column: Column) -> list[tuple[str, str]]:
    name = column.name
    if column.one_of:
        listed = ", ".join(quoted(value) for value in column.one_of)
        return [(f"{name} not in ({listed})", f"is none of {listed}")]
    found = []
    if column.max_length is not None:
        found.append(
            (f"length({name}) > {column.max_length}", f"is longer than {column.max_length} characters")
        )
    odd = {CONTROL: "holds a control character", LOST: "holds a character that was lost on the way"}
    if column.format != "email":  # an address may begin with a sign
        odd[FORMULA] = "begins like a spreadsheet formula"
    if not column.personal:
        odd[HOLDS_ADDRESS] = "holds an e-mail address"
    found += [
        (f"{name}__odd and regexp_matches({name}, '{pattern}')", reason) for pattern, reason in odd.items()
    ]
    if column.format == "email":
        found.append((f"not regexp_matches({name}, '{EMAIL}')", "is no email"))
    if column.format == "time_zone":
        found.append((f"{name} not in (select name from pg_timezone_names())", "is no time zone"))
    if column.format == "month_day":  # of a leap year, which has all of them
        day = f"case when regexp_full_match({name}, '[0-9]{{2}}-[0-9]{{2}}') then try_cast('2000-' || {name} as date) end"
        found.append((f"{name} is not null and {day} is null", "is no day of a year (MM-DD)"))
    if column.format == "country":
        listed = ", ".join(quoted(code) for code in COUNTRIES)
        found.append((f"{name} not in ({listed})", "is no country's code (ISO 3166-1 alpha-2)"))
    return found


def shown(column: Column) -> str:
    """Return SQL for what a reject shows of a value of `arrived`."""
    return PERSONAL if column.personal else shortened(f"trim(arrived.{column.name}::varchar)")


PERSONAL = "'(personal, not shown)'"


def shortened(text: str) -> str:
    """Return SQL for the first 40 characters of a text, without addresses and control characters."""
    scrubbed = rf"regexp_replace(left({text}, 400), '[^\s,;<>()]*(@|%40|＠)[^\s,;<>()]*', '[address]', 'g')"  # noqa: RUF001  # the wide @ of some keyboards
    return rf"left(regexp_replace({scrubbed}, '[\x00-\x1F\x7F]', '?', 'g'), 40)"
