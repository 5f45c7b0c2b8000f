"""The plan of a day: dbt decides in the warehouse, a gate judges the candidate, then the ledger takes it over."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from campaigns.approvals import answer_for_absent, batches_of
from campaigns.copy_candidates import Candidate, generated_slots, load_candidates
from campaigns.copywriter import Mail, written
from campaigns.coupons import coupon_of
from campaigns.definitions import Campaign, Step, load_campaigns
from campaigns.ledger import Ledger, PlannedSend
from campaigns.migrate import migrate
from campaigns.outcomes import publish_ledger_state
from campaigns.render import LinkAddresses, render
from campaigns.sends import MAIL, Coupon
from campaigns.templates import TemplateStore, catalogues, compile_template
from core.clock import clock_of
from core.dbt import build
from core.durable import locked
from core.errors import NotPublished, SettingsError
from core.ledger_tables import open_ledger
from core.logging import get_logger
from core.pseudonyms import pseudonym
from core.published import Published
from core.settings import Settings
from core.tokens import Tokens
from core.warehouse import export, reading

PLAN = "campaign_plan"
DEFINITIONS = pa.schema(
    [
        ("campaign_id", pa.string()),
        ("step", pa.int32()),
        ("step_name", pa.string()),
        ("channel", pa.string()),
        ("wait_days", pa.int32()),
        ("kind", pa.string()),
        ("priority", pa.int32()),
        ("holdout_share", pa.float64()),
        ("holdout_key", pa.string()),
        ("min_products", pa.int32()),
        ("mails_per_week", pa.int32()),
        ("exit_when", pa.list_(pa.string())),
        ("reentry_after_days", pa.int32()),
        ("ends_mail", pa.bool_()),
        ("offer_discount_percent", pa.int32()),
        ("offer_min_spend_cents", pa.int64()),
        ("offer_valid_days", pa.int32()),
        ("offer_coupons", pa.int64()),
        ("template_version", pa.string()),
        ("expires_after_hours", pa.int32()),
    ]
)
"""One row per campaign and step, highest priority first: what the plan of a day knows of it. Steps count from 1."""


COPY_CANDIDATES = pa.schema(
    [
        ("campaign_id", pa.string()),
        ("step", pa.int32()),
        ("slot", pa.string()),
        ("place", pa.int32()),
        ("candidate_id", pa.string()),
        ("origin", pa.string()),
        ("about", pa.string()),
        ("least_products", pa.int32()),
        ("locale", pa.string()),
        ("category", pa.string()),
        ("text", pa.string()),
        ("rejected", pa.string()),
    ]
)
"""One row per mail, slot and candidate, in the order of copy.yml. `locale`, `category` (of the mail's first product) and `text` are
those of generated copy; `rejected` says why no mail may say it."""


@dataclass(frozen=True)
class PlanReport:
    """Candidates of a day by verdict, and how many sends the ledger took over now."""

    verdicts: dict[str, int]
    enqueued: int

    @property
    def candidates(self) -> int:
        return sum(self.verdicts.values())


def build_plan(settings: Settings, as_of: date) -> None:
    """Compile the templates, build candidates and plan in the warehouse, and write the candidate snapshot.

    Raises
    ------
    CampaignInvalid
        If a campaign folder or a template is not what it must be; nothing is planned then.
    SettingsError
        If a step goes out by another channel than mail, and there is no webhook.
    NotPublished
        If the day's features were never built.
    BuildFailed
        If a model or test of the plan fails.
    """
    _publish_definitions(settings, as_of)
    publish_ledger_state(settings, as_of, _addresses(settings, as_of))
    build(settings, "tag:plan", as_of=as_of, campaigns=sorted(load_campaigns()))
    export(settings, "campaigns.campaign_plan", as_of)


def release_plan(settings: Settings, as_of: date) -> PlanReport:
    """Publish the audited candidate and hand its planned sends to the ledger, all or none.

    Every planned mail is rendered once before that, so that a fact a template cannot use stops the day before its
    first mail; the candidate then stays where it is. A day whose sends the ledger holds already keeps the plan it
    has: mail of it may be out. What a person is to be asked about waits in the ledger (`campaigns.approvals`).

    Raises
    ------
    CampaignInvalid
        If a mail cannot be rendered; the message names campaign and fact, nothing is published or enqueued.
    LedgerBroken
        If the ledger's sends of the day are not the plan's.
    """
    migrate(settings.ledger)
    ledger = Ledger(open_ledger(settings.ledger), clock_of(settings))
    published = Published(settings.published)
    is_frozen = bool(ledger.states(as_of)) and published.exists(PLAN, as_of)
    if is_frozen:
        get_logger(__name__).info("the ledger has this day's plan already: it stays", as_of_date=str(as_of))
    else:
        enqueue(settings, ledger, as_of)
    answer_for_absent(settings, ledger, as_of)
    verdicts = Counter(published.read(PLAN, as_of, ["verdict"])["verdict"].to_pylist())
    ledger.check_identity(as_of, verdicts["planned"])
    return PlanReport(dict(sorted(verdicts.items())), 0 if is_frozen else verdicts["planned"])


def plan_rows(settings: Settings, as_of: date) -> Iterator[dict[str, Any]]:
    """Return the planned rows of a published day, `facts` and `evidence` read."""
    for row in _planned(Published(settings.published).read(PLAN, as_of)):
        yield row | {"facts": json.loads(row["facts"]), "evidence": json.loads(row["evidence"])}


def _publish_definitions(settings: Settings, as_of: date) -> None:
    """Compile and keep every template, and publish what the plan must know of each campaign and step."""
    store, published = TemplateStore(settings.published / "templates"), Published(settings.published)
    rows, words, mails = [], [], []
    for campaign in load_campaigns().values():
        require_webhook(settings, campaign)
        about = campaign.model_dump(include=set(DEFINITIONS.names))
        for number, step in enumerate(campaign.steps, start=1):
            template = compile_template(campaign.campaign_id, step=step.name)
            store.save(template)
            rows.append(about | _of_step(campaign, number, step) | {"template_version": template.version})
            place = f"{campaign.campaign_id}/{step.name}".rstrip("/")
            if step.channel == MAIL and (candidates := load_candidates(place)):
                mail = Mail(campaign.campaign_id, number, campaign.description, generated_slots(place))
                words += [_candidate_row(mail, *each) for each in enumerate(candidates)]
                mails += [mail] if mail.slots else []
    if languages := _written_languages(settings):
        words += written(settings, as_of, mails, languages)
    tables = {
        "campaign_definitions": pa.Table.from_pylist(rows, DEFINITIONS),
        "copy_candidates": pa.Table.from_pylist(words, COPY_CANDIDATES),
    }
    for name, table in tables.items():
        published.write_candidate(name, as_of, table)
        published.release(name, as_of)


def _candidate_row(mail: Mail, place: int, candidate: Candidate) -> dict[str, object]:
    own = {
        name: getattr(candidate, name)
        for name in ("slot", "candidate_id", "origin", "about", "least_products")
    }
    return {"campaign_id": mail.campaign_id, "step": mail.step, "place": place} | own


def _written_languages(settings: Settings) -> set[str]:
    """Return the languages that a model writes in: those of our catalogues that customers read; none without its key."""
    if not settings.copy_key.get_secret_value():
        return set()
    with reading(settings) as connection:
        found = connection.execute(
            "select distinct locale from shop.customers where locale is not null"
        ).fetchall()
    return {locale.replace("-", "_").split("_")[0] for (locale,) in found} & catalogues().keys()


def require_webhook(settings: Settings, campaign: Campaign) -> None:
    """See that what is no mail has somewhere to go, or raise SettingsError."""
    for step in campaign.steps:
        if step.channel != MAIL and not settings.webhook_url:
            raise SettingsError(
                f"step {step.name} of campaign {campaign.campaign_id} has channel {step.channel}, which needs"
                " LAPWING_WEBHOOK_URL (docs/campaigns.md)"
            )


def _of_step(campaign: Campaign, number: int, step: Step) -> dict[str, object]:
    """Return what a step says itself, beside its campaign."""
    own: dict[str, object] = {"step": number, "step_name": step.name or None, "wait_days": step.wait_days}
    own["channel"] = step.channel
    if step.min_products is not None:
        own["min_products"] = step.min_products
    if offer := step.offer or campaign.offer:
        own |= {f"offer_{name}": value for name, value in offer.model_dump().items()}
    return own


def _planned(plan: pa.Table) -> Iterator[dict[str, Any]]:
    return (row for row in plan.to_pylist() if row["verdict"] == "planned")


def expiry(send_at: datetime, as_of: date, hours: int | None) -> datetime:
    """Return from when on a mail is not begun any more: so many hours after its moment, else 24 after the end of its day."""
    if hours is None:
        return datetime.combine(as_of, time(), UTC) + timedelta(days=2)
    return send_at + timedelta(hours=hours)


def planned_count(settings: Settings, as_of: date) -> int:
    """Return how many sends the published plan of a day has."""
    verdicts = Published(settings.published).read(PLAN, as_of, ["verdict"])["verdict"]
    return int(pc.sum(pc.equal(verdicts, "planned")).as_py() or 0)


@contextmanager
def plan_and_ledger_agree(settings: Settings) -> Iterator[None]:
    """Hold what keeps the plan of a day and its sends from growing: they do so one after the other."""
    with locked(settings.data_dir / "plan.lock"):
        yield


def enqueue(settings: Settings, ledger: Ledger, as_of: date, known: Collection[str] = ()) -> None:
    """Render each planned mail of the newest plan that is not `known` (send_ids), publish the plan, hand its sends to the ledger."""
    published, store = Published(settings.published), TemplateStore(settings.published / "templates")
    addresses, tokens = _addresses(settings, as_of), Tokens(settings.token_key)
    definitions = published.read("campaign_definitions", as_of).to_pylist()
    hours = {row["campaign_id"]: row.get("expires_after_hours") for row in definitions}
    channels = {(row["campaign_id"], row["step"]): row.get("channel", MAIL) for row in definitions}
    limits = {row["campaign_id"]: row["offer_coupons"] for row in definitions if row.get("offer_coupons")}
    planned: list[PlannedSend] = []
    coupons: list[Coupon] = []
    targets: dict[str, str] = {}
    rows = list(_planned(pq.ParquetFile(published.newest(PLAN, as_of)).read()))
    for row in rows:
        if row["send_id"] in known:
            continue
        template = store.load(row["campaign_id"], row["template_version"])
        links = LinkAddresses.of(row["send_id"], settings.tracking_url, tokens)
        targets |= render(template, row["facts"], row["locale"], links).links
        if coupon := coupon_of(row, tokens):
            coupons.append(coupon)
        address = addresses[row["customer_id"]]
        channel = channels[row["campaign_id"], row["step"]]
        send_at = row["send_at"].replace(tzinfo=UTC)
        planned.append(
            PlannedSend(
                send_id=row["send_id"],
                campaign_id=row["campaign_id"],
                step=row["step"],
                customer_id=row["customer_id"],
                as_of_date=as_of,
                address=address if channel == MAIL else "",
                pseudonym=pseudonym(address, settings.token_key),
                send_at=send_at,
                expires_at=expiry(send_at, as_of, hours[row["campaign_id"]]),
                channel=channel,
            )
        )
    grown = {(send.campaign_id, send.step) for send in planned}
    batches = batches_of(rows, ledger.approved_templates(), settings.approve_above)
    with plan_and_ledger_agree(settings):
        published.release(PLAN, as_of)
        ledger.remember_kinds({row["campaign_id"]: row["kind"] for row in definitions})
        its_own = [batch for batch in batches if (batch.campaign_id, batch.step) in grown]
        ledger.enqueue(planned, targets, coupons, limits, its_own)


def _addresses(settings: Settings, as_of: date) -> dict[str, str]:
    """Return customer_id → address as known at the day, from the one model that holds addresses."""
    query = """
        select customer_id, address
        from (
            select * from staging.stg_shop__customers where known_at < $1
            qualify row_number() over (
                partition by customer_id order by known_at desc, source_file desc, source_row desc
            ) = 1
        )
        where address is not null"""
    with reading(settings) as connection:
        try:
            return dict(connection.execute(query, [as_of]).fetchall())
        except duckdb.CatalogException:
            raise NotPublished(
                f"the warehouse has no customers yet; run `lapwing features build --as-of {as_of}` first"
            ) from None
