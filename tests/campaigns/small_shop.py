"""A small real shop on one campaign day: 160 households of Complete Journey, scores and the ledger's past by hand.

It is carried through the day once per session, each stage a folder of its own that tests copy before they change it.
160, because the rows broken on purpose would be more than the contract allows among fewer.
"""

import csv
import hashlib
import json
import shutil
import socket
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import insert

from campaigns.definitions import load_campaigns
from campaigns.ledger import Ledger
from campaigns.mailers.local_inbox import running_inbox
from campaigns.migrate import migrate
from campaigns.plan import build_plan, plan_rows, release_plan
from campaigns.report import build_report
from campaigns.run import send_due
from core.clock import replay_to, system_clock
from core.dbt import build
from core.ledger_tables import open_ledger, sends
from core.pseudonyms import pseudonym
from core.published import Published
from core.settings import Settings
from expectations.gates import pass_gate
from expectations.publish import DAILY, REPORT, publish
from ml.tables import CHURN_REASONS_SCHEMA, CHURN_SCORES_SCHEMA, RECOMMENDATIONS_SCHEMA
from sources.complete_journey import import_complete_journey
from sources.landing import load_landing

HOUSEHOLDS = 160
DAY = date(2017, 12, 4)  # a Monday
MIDNIGHT = datetime.combine(DAY, time(), UTC)
WARNINGS = [  # what libraries raise by themselves, and we cannot mend. Any other warning fails the test.
    "ignore:module 'sre_:DeprecationWarning",  # Great Expectations 1.24 imports what Python 3.12 has renamed
    "ignore:.*is deprecated as of GX Core 1.9.0:DeprecationWarning",  # its words for conditions; the new ones are 2.0's
]
MADE_BY = {"model_name": "by hand", "model_version": "1", "run_id": "none"}
REASONS = {"pause": 0.9, "frequency": 0.4, "variety": 0.2, "history": 0.1, "hours": -0.1}
"""Reasons made by hand, and their shifts; every second customer's are 0.3 less, so that two are left that raise the score."""

Row = dict[str, object]


@dataclass(frozen=True)
class Cast:
    """Customers who would all get a winback mail, and what is different about each."""

    stopped_the_day_before: str
    stopped_at_midnight: str
    """At 00:00:00 UTC of the day: too late for the plan, in time for the claim."""
    stopped_at_noon: str
    """After the plan, before the sender runs."""
    mailed_thrice: str
    """Three mails in the seven days that end with the day: the first on the day's eve of six days ago."""
    mailed_thrice_longer_ago: str
    refused_thrice: str
    """Three mails this week that reached nobody."""
    mailed_twice: str


def settings_of(folder: Path, **more: object) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=folder,
        token_key="k" * 40,
        replay=True,
        **({"approver": "tests"} | more),  # type: ignore[arg-type]  # pydantic checks the values
    )


def copy_of(stage: Settings, folder: Path) -> Settings:
    """Copy a stage into a test's own folder."""
    shutil.copytree(stage.data_dir, folder, dirs_exist_ok=True)
    return settings_of(folder)


def copy_landing(stage: Settings, settings: Settings) -> None:
    """Give another shop the files that landed, and nothing made of them."""
    shutil.copytree(stage.landing, settings.landing)


@cache
def featured(base: Path) -> Settings:
    """The day's features are published, scores lie beside them, and the ledger knows of earlier days."""
    settings = settings_of(base / "featured")
    import_complete_journey(settings, households=HOUSEHOLDS)
    load_landing(settings)
    build(settings, "tag:features", as_of=DAY)
    publish(settings, DAILY, DAY)
    write_scores(settings, DAY)
    write_the_past(settings, cast_of(settings))
    replay_to(settings, DAY)
    return settings


@cache
def planned(base: Path) -> Settings:
    """The plan has passed its gate and waits for its release."""
    settings = copy_of(featured(base), base / "planned")
    build_plan(settings, DAY)
    pass_gate(settings, "campaign_plan", DAY)
    return settings


@cache
def sent(base: Path) -> Settings:
    """The mails are in the local inbox, four readers have reacted, the report is published."""
    settings = copy_of(planned(base), base / "sent")
    release_plan(settings, DAY)
    stop(settings, cast_of(settings).stopped_at_noon, MIDNIGHT + timedelta(hours=12))
    deliver(settings)
    write_reactions(settings)
    load_landing(settings)
    build_report(settings, DAY)
    publish(settings, REPORT, DAY)
    return settings


def deliver(settings: Settings) -> Counter[str]:
    """Send what is due to a local inbox on a free port; return what `send_due` counts."""
    here = settings_of(settings.data_dir, smtp_port=free_port())
    with running_inbox(here):
        return Counter(send_due(here, DAY).batch)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def set_clock(settings: Settings, moment: datetime) -> None:
    """Put the replayed clock on a moment; `replay_to` knows only 23:00."""
    shift = (moment - system_clock()).total_seconds()
    (settings.data_dir / "replay_clock.json").write_text(json.dumps({"shift_seconds": shift}))


def features(settings: Settings) -> list[Row]:
    rows: list[Row] = Published(settings.published).read("customer_features", DAY).to_pylist()
    return rows


def plan(settings: Settings, as_of: date = DAY) -> list[Row]:
    """Return the candidate plan of a day, every verdict, as dbt wrote it."""
    rows: list[Row] = (
        pq.ParquetFile(Published(settings.published).candidate("campaign_plan", as_of)).read().to_pylist()
    )
    return rows


def landing_rows(settings: Settings, name: str) -> list[dict[str, str]]:
    with (settings.landing / "complete_journey" / name / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


@cache
def consenting(settings: Settings) -> frozenset[str]:
    """Return who consents on the day, from the landing file: the newest decision counts."""
    decided = sorted(landing_rows(settings, "consents"), key=lambda row: row["decided_at"])
    newest = {row["customer_id"]: row["is_given"] for row in decided if row["known_at"] < str(DAY)}
    return frozenset(customer_id for customer_id, is_given in newest.items() if is_given == "true")


def holdout_number(key: str, customer_id: str) -> float:
    """Return the number in [0, 1) that decides whether a campaign holds a customer out: MD5's first 32 bits."""
    return int(hashlib.md5(f"{key}|{customer_id}".encode()).hexdigest()[:8], 16) / 2**32


def cast_of(settings: Settings) -> Cast:
    winback = load_campaigns()["winback"]
    free = [
        customer_id
        for customer_id in (str(row["customer_id"]) for row in features(settings) if expects_to_lose(row))
        if customer_id in consenting(settings) & with_favourites(settings)
        and holdout_number(winback.holdout_key, customer_id) >= winback.holdout_share
    ]
    return Cast(*free[: len(Cast.__dataclass_fields__)])


@cache
def with_favourites(settings: Settings) -> frozenset[str]:
    """Return who bought something on two days or more that the shop still sells and may recommend."""
    published = Published(settings.published)
    sold = {
        row["product_id"]
        for row in published.read("products", DAY).to_pylist()
        if row["is_recommendable"] and row["sold_90d_count"]
    }
    bought = published.read("interactions", DAY, ["customer_id", "product_id"]).to_pylist()
    days = Counter((row["customer_id"], row["product_id"]) for row in bought)
    return frozenset(who for (who, product_id), count in days.items() if count > 1 and product_id in sold)


def expects_to_lose(row: Row) -> bool:
    """Say whether the winback campaign is for the customer of these features, by the words of its rule."""
    return int(str(row["recency_days"])) >= 14 and int(str(row["orders_lifetime_count"])) >= 4


def write_scores(settings: Settings, as_of: date) -> None:
    """Publish scores made by hand: whoever has been away for 14 days is likely to lapse; all get bestsellers."""
    published = Published(settings.published)
    customers = features(settings)
    scores = [
        {
            "customer_id": row["customer_id"],
            "as_of_date": as_of,
            "churn_probability": 0.8 if expects_to_lose(row) else 0.2,
            "churn_band": "high" if expects_to_lose(row) else "low",
            "value_at_stake_cents": 4000.0,
            "expected_profit_cents": 234.0 if expects_to_lose(row) else -168.0,
            **MADE_BY,
        }
        for row in customers
    ]
    interactions = published.read(
        "interactions", DAY, ["customer_id", "product_id", "ordered_date"]
    ).to_pylist()
    bought: dict[str, Counter[str]] = {}
    last: dict[tuple[str, str], date] = {}
    for row in interactions:
        bought.setdefault(row["customer_id"], Counter())[row["product_id"]] += 1
        pair = row["customer_id"], row["product_id"]
        last[pair] = max(last.get(pair, row["ordered_date"]), row["ordered_date"])
    sold = Counter(row["product_id"] for row in interactions)
    bestsellers = [product_id for product_id, _ in sorted(sold.items(), key=lambda item: (-item[1], item[0]))]
    recommendations = []
    for number, row in enumerate(customers):
        own = bought[str(row["customer_id"])]
        best = min(own, key=lambda product_id: (-own[product_id], product_id))
        bought_last = last[str(row["customer_id"]), best]
        new = [product_id for product_id in bestsellers[:200] if product_id not in own]
        about = {"customer_id": row["customer_id"], "as_of_date": as_of, "method": "by hand", **MADE_BY}
        # One product is too few for a mail: every fifth customer has no content.
        for rank, product_id in enumerate(new[: 1 if number % 5 == 0 else 8], start=1):
            recommendations.append(
                about
                | {
                    "question": "new",
                    "rank": rank,
                    "product_id": product_id,
                    "score": 1 / rank,
                    "reason": "because" if rank % 2 else "popular",
                    "because_product_id": best if rank % 2 else None,
                    "last_bought_date": bought_last if rank % 2 else None,
                }
            )
        again = {"question": "again", "rank": 1, "product_id": best, "score": 9.0, "reason": "bought_before"}
        recommendations.append(about | again | {"last_bought_date": bought_last})
    reasons = [
        {
            "customer_id": row["customer_id"],
            "as_of_date": as_of,
            "rank": rank,
            "reason": reason,
            "shift_log_odds": shift - 0.3 * (number % 2),
            "base_log_odds": -1.0,
            "own_value": 1.0,
            "text": f"{reason} by hand.",
            **MADE_BY,
        }
        for number, row in enumerate(each for each in customers if expects_to_lose(each))
        for rank, (reason, shift) in enumerate(REASONS.items(), start=1)
    ]
    for table, rows, schema in (
        ("churn_scores", scores, CHURN_SCORES_SCHEMA),
        ("churn_reasons", reasons, CHURN_REASONS_SCHEMA),
        ("recommendations", recommendations, RECOMMENDATIONS_SCHEMA),
    ):
        published.write_candidate(table, as_of, pa.Table.from_pylist(rows, schema))
        published.release(table, as_of)


def write_the_past(settings: Settings, cast: Cast) -> None:
    """Give the ledger earlier sends and suppressions: those of the cast, at the edges of their windows."""
    migrate(settings.ledger)
    stop(settings, cast.stopped_the_day_before, MIDNIGHT - timedelta(microseconds=1))
    stop(settings, cast.stopped_at_midnight, MIDNIGHT)
    days_before = {
        cast.mailed_thrice: (6, 3, 1),
        cast.mailed_thrice_longer_ago: (7, 7, 8),
        cast.refused_thrice: (6, 3, 1),
        cast.mailed_twice: (2, 1),
    }
    for customer_id, days in days_before.items():
        state = "refused" if customer_id == cast.refused_thrice else "sent"
        for number, days_ago in enumerate(days):
            day = DAY - timedelta(days=days_ago)
            # Of a campaign that nobody is inside of: it may be had on any day.
            add_send(settings, customer_id, as_of=day, state=state, number=number, campaign_id="restock")


def add_send(
    settings: Settings,
    customer_id: str,
    *,
    as_of: date,
    state: str,
    number: int = 0,
    campaign_id: str = "winback",
) -> str:
    """Write a send into the ledger that no plan has; return its send_id."""
    noon = datetime.combine(as_of, time(12), UTC)
    row = {
        "send_id": hashlib.md5(f"{customer_id}|{number}".encode()).hexdigest(),
        "campaign_id": campaign_id,
        "step": 1,
        "customer_id": customer_id,
        "as_of_date": as_of,
        "address": address_of(customer_id),
        "pseudonym": pseudonym(address_of(customer_id), settings.token_key),
        "domain": "example.com",
        "send_at": noon,
        "expires_at": noon + timedelta(hours=36),
        "due_at": noon,
        "sending_at": None if state == "planned" else noon,
        "state": state,
        "ended_at": None if state == "planned" else noon,
        "attempts": 1,
    }
    with open_ledger(settings.ledger).begin() as connection:
        connection.execute(insert(sends), [row])
    return str(row["send_id"])


def address_of(customer_id: str) -> str:
    return f"reader.{customer_id}@example.com"


def stop(settings: Settings, customer_id: str, moment: datetime) -> None:
    """Suppress a customer at a moment, as an unsubscribe does."""
    ledger = Ledger(open_ledger(settings.ledger), lambda: moment)
    assert ledger.suppress(
        customer_id, pseudonym(address_of(customer_id), settings.token_key), "unsubscribed"
    )
    ledger.close()


def sent_ids(settings: Settings, count: int) -> list[str]:
    """Return the first so many sends of winback that the plan has and nobody stopped."""
    cast = cast_of(settings)
    stopped = (cast.stopped_at_midnight, cast.stopped_at_noon)
    rows = [
        row
        for row in plan_rows(settings, DAY)
        if row["campaign_id"] == "winback" and row["customer_id"] not in stopped
    ]
    return sorted(row["send_id"] for row in rows)[:count]


def write_reactions(settings: Settings) -> None:
    """Land what four readers did: two opens; a machine's open; a click; an open and an unsubscribe."""
    first, second, third, fourth = sent_ids(settings, 4)
    events = [
        (first, "open", False),
        (first, "open", False),
        (second, "open", True),
        (third, "click", False),
        (fourth, "open", False),
        (fourth, "unsubscribe", False),
    ]
    file = settings.landing / "tracking" / "mail_events" / "by_hand.jsonl"
    file.parent.mkdir(parents=True)
    lines = [
        {
            "event_id": f"e{number}",
            "kind": kind,
            "send_id": send_id,
            "link_id": "0a1b2c3d4e5f6071" if kind == "click" else None,
            "is_machine": is_machine,
            "happened_at": "2017-12-04 23:30:00",
            "known_at": "2017-12-04 23:45:00",
        }
        for number, (send_id, kind, is_machine) in enumerate(events)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
