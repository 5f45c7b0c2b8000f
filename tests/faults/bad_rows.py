"""A shop of good rows, and more than sixty kinds of rows that are not, each with the reason it must be given.

The reasons are written by hand, from what is wrong with the row; nothing here asks the code.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.settings import Settings

KNOWN, LATER = "2017-03-01 10:00:00", "2035-01-01 00:00:00"
REMOVED = ": value removed, row kept"
ORDER_LINES = "order_id,line_number,product_id,quantity,list_amount,discount_amount,known_at"
ORDERS = "order_id,customer_id,store_id,ordered_at,known_at"
CUSTOMERS = (
    "customer_id,email,first_name,locale,country_code,birth_year,birthday,time_zone,signed_up_at,known_at"
)
CONSENTS = "customer_id,purpose,is_given,proof,decided_at,known_at"
LINE = "(line)"


@dataclass(frozen=True)
class Kind:
    """One kind of bad row: how its n-th one is written, and what must be said of it."""

    table: str
    name: str
    write: Callable[[int], bytes]
    column: str
    reason: str


def csv_kinds(
    table: str, header: str, good: dict[str, str], broken: list[tuple[str, str, str]]
) -> list[Kind]:
    """Return kinds that differ from a good row in one value: (column, value as it stands in the file, reason)."""

    def writer(number: int, column: str, value: str) -> Callable[[int], bytes]:
        def write(n: int) -> bytes:
            row = {name: text.format(n=f"{number}-{n}") for name, text in good.items()} | {column: value}
            return ",".join(row[name] for name in header.split(",")).encode()

        return write

    return [
        Kind(table, f"{column}={value[:20]!r}", writer(number, column, value), column, reason)
        for number, (column, value, reason) in enumerate(broken)
    ]


GOOD_LINE = {"order_id": "bad{n}", "line_number": "1", "product_id": "p1", "quantity": "1", "list_amount": "9.99", "discount_amount": "0.5", "known_at": KNOWN}  # fmt: skip
VALUE_KINDS = csv_kinds(
    "order_lines",
    ORDER_LINES,
    GOOD_LINE,
    [
        ("quantity", "two", "is not an integer"),
        ("quantity", "1.5", "is not an integer"),
        ("quantity", "1e3", "is not an integer"),
        ("quantity", "0x1F", "is not an integer"),
        ("quantity", "99999999999999999999", "is not an integer"),
        ("quantity", "-1", "is below 0"),
        ("quantity", "20000000", "is above 10000000"),
        ("quantity", "", "is missing"),
        ("line_number", "0", "is below 1"),
        ("list_amount", "free", "is not a decimal"),
        ("list_amount", '"1,99"', "is not a decimal"),
        ("list_amount", "NaN", "is not a decimal"),
        ("list_amount", "inf", "is not a decimal"),
        ("list_amount", "9" * 30, "is not a decimal"),
        ("list_amount", "1_000", "is not a decimal"),
        ("list_amount", "$4.99", "is not a decimal"),
        ("list_amount", "-0.01", "is below 0"),
        ("order_id", "", "is missing"),
        ("order_id", '"   "', "is missing"),
        ("product_id", "p" * 5000, "is longer than 200 characters"),
        ("product_id", "p\0", "holds a control character"),
        ("product_id", "\x1b[31mred", "holds a control character"),
        ("product_id", "=1+1", "begins like a spreadsheet formula"),
        ("product_id", "@SUM(A1)", "begins like a spreadsheet formula"),
        ("product_id", "+cmd|' /C calc'!A0", "begins like a spreadsheet formula"),
        ("product_id", "M�nchen", "holds a character that was lost on the way"),
        ("product_id", "ask ada@example.com", "holds an e-mail address"),
        ("known_at", "soon", "is not a timestamp"),
        ("known_at", "2017-02-30 10:00:00", "is not a timestamp"),
        ("known_at", "0000-00-00 00:00:00", "is not a timestamp"),
        ("known_at", "2017-01-05 25:00:00", "is not a timestamp"),
        ("known_at", "05/01/2017", "is not a timestamp"),
        ("known_at", "1483228800", "is not a timestamp"),
        ("known_at", "epoch", "is not a timestamp"),
        ("known_at", "infinity", "is not a timestamp"),
        ("known_at", "1900-01-01 00:00:00", "lies before 1970-01-01"),
        ("known_at", "9999-12-31 00:00:00", "lies after 2199-12-31"),
    ],
)
LINE_KINDS = [
    *VALUE_KINDS,
    Kind("order_lines", "few", lambda n: f"bad{n},1,p1".encode(), LINE, "has too few columns: 3, not 7"),
    Kind("order_lines", "many", lambda n: f"bad{n},1,p1,1,1,0,{KNOWN},x".encode(), LINE, "has too many columns: 8, not 7"),
    Kind("order_lines", "open quote", lambda n: f'bad{n},1,"p1,1,1,0,{KNOWN}'.encode(), LINE, "has a quote that is never closed"),
    Kind("order_lines", "quote inside", lambda n: f'bad{n},1,"p"1,1,1,0,{KNOWN}'.encode(), LINE, "has a quote inside a value"),
    Kind("order_lines", "latin-1", lambda n: f"bad{n},1,Käse,1,1,0,{KNOWN}".encode("latin-1"), LINE, "is not utf-8 encoded"),
    Kind("order_lines", "cut character", lambda n: b"bad%d,1,\xe2\x82,1,1,0," % n + KNOWN.encode(), LINE, "is not utf-8 encoded"),
    Kind("order_lines", "carriage return", lambda n: f"bad{n},1,p\r1,1,1,0,{KNOWN}".encode(), LINE, "has a carriage return within the line"),
    # The good row of this number stands before it (see `mixed`) and says something else at the same moment.
    Kind("order_lines", "contradiction", lambda n: f"o{n},1,p1,77,1.00,0,{KNOWN}".encode(), "order_id", "duplicate key (order_id, line_number) with the same known_at"),
]  # fmt: skip

ORDER_KINDS = csv_kinds(
    "orders",
    ORDERS,
    {"order_id": "bad{n}", "customer_id": "c1", "store_id": "", "ordered_at": KNOWN, "known_at": KNOWN},
    [
        ("ordered_at", LATER, "lies after known_at: a date in the future"),
        ("ordered_at", "", "is missing"),
        ("customer_id", "", "is missing"),
    ],
)
CONSENT_KINDS = csv_kinds(
    "consents",
    CONSENTS,
    {"customer_id": "bad{n}", "purpose": "marketing", "is_given": "true", "proof": "form", "decided_at": KNOWN, "known_at": KNOWN},
    [
        ("purpose", "newsletter", "is none of 'marketing', 'sms', 'push', 'call'"),
        ("is_given", "perhaps", "is not a boolean"),
        ("is_given", "none", "is not a boolean"),
        ("is_given", "", "is missing"),
    ],
)  # fmt: skip
CUSTOMER_KINDS = csv_kinds(
    "customers",
    CUSTOMERS,
    {"customer_id": "bad{n}", "email": "bad{n}@example.com", "first_name": "Ada", "locale": "en", "country_code": "", "birth_year": "", "birthday": "", "time_zone": "UTC", "signed_up_at": KNOWN, "known_at": KNOWN},
    [
        ("customer_id", "ada@example.com", "holds an e-mail address"),
        ("signed_up_at", LATER, "lies after known_at: a date in the future"),
        ("email", "not-an-address", "is no email" + REMOVED),
        ("email", "two@@example.com", "is no email" + REMOVED),
        ("locale", "pt", "is none of 'ar', 'de', 'en', 'es', 'fr', 'ja', 'zh'" + REMOVED),
        ("country_code", "Germany", "is no country's code (ISO 3166-1 alpha-2)" + REMOVED),
        ("country_code", "de", "is no country's code (ISO 3166-1 alpha-2)" + REMOVED),
        ("country_code", "XX", "is no country's code (ISO 3166-1 alpha-2)" + REMOVED),
        ("birth_year", "1800", "is below 1900" + REMOVED),
        ("birth_year", "85", "is below 1900" + REMOVED),
        ("birth_year", "2018", "lies after known_at: a date in the future" + REMOVED),
        ("birth_year", "1985-03-02", "is not an integer" + REMOVED),
        ("birthday", "1985-03-02", "is longer than 5 characters" + REMOVED),
        ("birthday", "02-30", "is no day of a year (MM-DD)" + REMOVED),
        ("birthday", "3-2", "is no day of a year (MM-DD)" + REMOVED),
        ("time_zone", "Mars/Phobos", "is no time zone" + REMOVED),
        ("first_name", "Ada\x07", "holds a control character" + REMOVED),
    ],
)  # fmt: skip


def event(n: int, **changed: object) -> bytes:
    row = {
        "event_id": f"bad{n}",
        "customer_id": "c1",
        "kind": "view",
        "happened_at": KNOWN,
        "known_at": KNOWN,
    }
    return json.dumps(row | changed).encode()


EVENT_KINDS = [
    Kind("events", "no such kind", lambda n: event(n, kind="hover"), "kind", "is none of 'view', 'search', 'add_to_cart', 'remove_from_cart', 'checkout_started'"),
    Kind("events", "no number", lambda n: event(n, event_id=None), "event_id", "is missing"),
    Kind("events", "object", lambda n: event(n, happened_at={"day": 5}), "happened_at", "is not a timestamp"),
    Kind("events", "cut", lambda n: event(n)[:-30], LINE, "is no JSON"),
    Kind("events", "list", lambda n: b"[%d]" % n, LINE, "is no JSON object"),
    Kind("events", "twice", lambda n: b'{"event_id":"a","event_id":"b","n":%d}' % n, LINE, "names a column twice"),
    Kind("events", "raw control", lambda n: event(n, session_id="x")[:-2] + b'\x01"}', LINE, "is no JSON"),
    Kind("events", "half a pair", lambda n: event(n)[:-1] + b',"session_id":"\\ud800"}', LINE, "is not utf-8 encoded"),
    Kind("events", "latin-1", lambda n: event(n)[:-1] + b',"session_id":"M\xfc"}', LINE, "is not utf-8 encoded"),
]  # fmt: skip
# In Parquet a value has its type; what is wrong is written as (column, value).
REVIEW_KINDS = [
    ("rating", 7, "is above 5"),
    ("rating", None, "is missing"),
    ("reviewed_at", datetime.fromisoformat(LATER), "lies after known_at: a date in the future"),
    ("review_id", "=cmd()", "begins like a spreadsheet formula"),
]

TEXT_TABLES: dict[str, tuple[str, list[Kind], float, Callable[[int], str]]] = {
    # header, kinds, share of the good rows, the n-th good row
    "order_lines": (ORDER_LINES, LINE_KINDS, 0.5, lambda n: f'o{n},1,"p{n % 97}",{n % 9},{n % 50}.99,0.5,{KNOWN}'),
    "orders": (ORDERS, ORDER_KINDS, 0.15, lambda n: f"o{n},c{n},s{n % 7},{KNOWN},{KNOWN}"),
    "consents": (CONSENTS, CONSENT_KINDS, 0.1, lambda n: f"c{n},marketing,{n % 2 == 0},form,{KNOWN},{KNOWN}"),
    "customers": (CUSTOMERS, CUSTOMER_KINDS, 0.1, lambda n: f"c{n},reader.{n}@example.com,Käthe {n},de,DE,1985,Europe/Berlin,{KNOWN},{KNOWN}"),
    "events": ("", EVENT_KINDS, 0.1, lambda n: json.dumps({"event_id": f"e{n}", "customer_id": f"c{n}", "kind": "search", "search_text": f"oat\nmilk {n}", "happened_at": KNOWN, "known_at": KNOWN})),
}  # fmt: skip

Expected = dict[tuple[str, int], tuple[str, str]]
"""What must be in the quarantine: (table, row) and its (column, reason)."""


def write_shop(settings: Settings, *, good: int, bad: int) -> Expected:
    """Write landing files with `good` good rows in all and `bad` rows of each kind among them; return what is bad."""
    chance = np.random.default_rng(3)
    expected: Expected = {}
    for table, (header, kinds, share, write_good) in TEXT_TABLES.items():
        lines = [write_good(n).encode() for n in range(int(good * share))]
        lines, faults = mixed(chance, lines, kinds, bad)
        path = settings.landing / "shop" / table / f"a.{'csv' if header else 'jsonl'}"
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            file.writelines(line + b"\n" for line in ([header.encode()] if header else []) + lines)
        expected |= {(table, row): fault for row, fault in faults.items()}
    expected |= write_reviews(settings, chance, int(good * 0.05), bad)
    products = settings.landing / "shop" / "products" / "a.csv"
    products.parent.mkdir(parents=True)
    products.write_text(f"product_id,known_at\np1,{KNOWN}\n")
    return expected


def mixed(
    chance: np.random.Generator, good: list[bytes], kinds: list[Kind], bad: int
) -> tuple[list[bytes], dict[int, tuple[str, str]]]:
    """Return lines with bad ones at random places among the good ones, and what is wrong in which row."""
    places = chance.integers(0, len(good), (len(kinds), bad))
    # A contradiction of good row n must follow it.
    wrong = [
        (max(place, n + 1) if kind.name == "contradiction" else place, index, n)
        for index, kind in enumerate(kinds)
        for n, place in enumerate(places[index].tolist())
    ]
    lines: list[bytes] = []
    faults: dict[int, tuple[str, str]] = {}
    start = 0
    for place, index, n in sorted(wrong):
        lines += good[start:place]
        start = place
        lines.append(kinds[index].write(n))
        faults[len(lines)] = (kinds[index].column, kinds[index].reason)
    return lines + good[start:], faults


def write_reviews(settings: Settings, chance: np.random.Generator, good: int, bad: int) -> Expected:
    moment = datetime.fromisoformat(KNOWN)
    fine = {"review_id": "", "customer_id": "c1", "product_id": "p1", "rating": 4, "reviewed_at": moment, "known_at": moment}  # fmt: skip
    rows: list[tuple[float, dict[str, object], tuple[str, str] | None]] = [
        (n, fine | {"review_id": f"v{n}"}, None) for n in range(good)
    ]
    for index, (column, value, reason) in enumerate(REVIEW_KINDS):
        for n, place in enumerate(chance.uniform(0, good, bad).tolist()):
            broken = fine | {"review_id": f"bad{index}-{n}"} | {column: value}
            rows.append((place, broken, (column, reason)))
    rows.sort(key=lambda row: row[0])
    path = settings.landing / "shop" / "reviews" / "a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row for _, row, _ in rows]), path, row_group_size=10_000)
    return {("reviews", number): fault for number, (_, _, fault) in enumerate(rows, 1) if fault}
