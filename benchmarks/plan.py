"""What the plan of a day costs: `python -m benchmarks.plan --customers 1000000` (`make bench-plan`).

Fifteen campaigns, of which every customer is proposed by three, or by as many as are asked for: the decision itself, from what audiences propose to the
candidate that the gate reads, and what each mail says: every campaign has three candidates for each of its five slots, of which
one is chosen by what the customer buys. Audiences are made beforehand, of texts as long as a mail of three products has.
"""

import argparse
import json
import resource
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from benchmarks.features import run_apart, say
from benchmarks.results import Result, write
from campaigns.facts import SLOTS
from campaigns.outcomes import LEDGER_COUPONS, LEDGER_PREFERENCES, LEDGER_SUPPRESSIONS
from campaigns.plan import COPY_CANDIDATES, DEFINITIONS
from core.dbt import build
from core.published import Published
from core.settings import Settings
from core.warehouse import export, writing
from sources.landing import make_landing_tables

DAY = date(2026, 2, 17)
CAMPAIGNS = (
    "cart_abandonment", "back_in_stock", "price_drop", "low_stock", "browse_abandonment", "welcome", "order_follow_up",
    "review_request", "satisfaction_survey", "greeting", "winback", "restock", "promotion", "new_arrivals", "picked_for_you",
)  # fmt: skip
LADDERS = {"cart_abandonment": 3, "welcome": 3, "winback": 4}
"""How many steps a campaign has that has several."""
PLAN = "campaign_journeys campaign_farewells send_hours campaign_candidates campaign_plan stg_published__campaign_definitions "
PLAN += (
    "copy_tastes copy_options stg_published__copy_candidates stg_published__earlier_copy stg_mail__events "
)
PLAN += "stg_published__ledger_preferences "
PLAN += "stg_published__ledger_sends stg_published__ledger_suppressions stg_published__ledger_coupons stg_shop__consents"
PROPOSED_BY = 3
"""A customer who has just signed up is not to be won back: nobody is proposed by all, and `--proposed-by 15` asks for the worst."""


def main() -> None:
    """Make the shop, plan its day in a process of its own and append what was found to RESULTS.md."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    options.add_argument("--customers", type=int, default=1_000_000)
    options.add_argument("--proposed-by", type=int, default=PROPOSED_BY, choices=(1, 3, 5, 15))
    options.add_argument(
        "--folder", type=Path, default=Path("data/benchmarks"), help="where the shop is made"
    )
    options.add_argument("--build", action="store_true", help=argparse.SUPPRESS)  # a process of ours
    chosen = options.parse_args()
    folder = (chosen.folder / f"plan-{chosen.customers}").resolve()
    if chosen.build:
        print(json.dumps(plan(folder)))
        return
    say(f"making {chosen.customers:,} customers and what {len(CAMPAIGNS)} audiences propose")
    make_shop(folder, chosen.customers, chosen.proposed_by)
    found = run_apart(
        "benchmarks.plan", "--build", "--customers", str(chosen.customers), "--folder", str(chosen.folder)
    )
    say(json.dumps(found))
    what = (
        f"{chosen.customers:,} customers, each proposed by {chosen.proposed_by} of {len(CAMPAIGNS)} campaigns"
    )
    write("plan", what, results(found, chosen.customers, chosen.proposed_by))
    shutil.rmtree(folder)


def results(found: dict[str, float], customers: int, proposed_by: int) -> Iterator[Result]:
    """Yield the figures of a plan; one that lost a candidate, or planned two mails for somebody, is none."""
    if found["candidates"] != customers * proposed_by or found["planned"] != found["customers_planned"]:
        raise SystemExit(f"the plan is wrong: {found}")
    is_whole = customers >= 1_000_000
    seconds, gib = found["seconds"], found["mb"] / 1024
    yield Result(
        "candidates to plan, gate's file included", seconds, "s", "≤ 60", seconds <= 60 if is_whole else None
    )
    yield Result("its processor time", found["cpu_seconds"], "s", "no target")
    yield Result("its peak memory", gib, "GiB", "≤ 4", gib <= 4 if is_whole else None)
    yield Result("planned", found["planned"], "mails", "no target")


def plan(folder: Path) -> dict[str, float]:
    """Plan the day and say what it took."""
    settings, start, cpu = settings_of(folder), time.perf_counter(), time.process_time()
    nodes = build(settings, PLAN, as_of=DAY, campaigns=sorted(CAMPAIGNS))
    built = time.perf_counter()
    file = export(settings, "campaigns.campaign_plan", DAY)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    slowest = sorted(nodes, key=lambda node: -node.seconds)[:8]
    say(
        "; ".join(f"{node.name} {node.seconds:.1f}" for node in slowest)
        + f"; export {seconds + start - built:.1f}"
    )
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with writing(settings) as db:
        candidates, planned, customers_planned = db.execute(
            """select count(*), count(*) filter (verdict = 'planned'),
                count(distinct customer_id) filter (verdict = 'planned') from read_parquet($1)""",
            [str(file)],
        ).fetchall()[0]
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "mb": mb,
        "candidates": candidates,
        "planned": planned,
        "customers_planned": customers_planned,
    }


def settings_of(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder, token_key="b" * 40)


def make_shop(folder: Path, customers: int, proposed_by: int) -> None:
    """Put into the warehouse and beside it all that a plan reads: people, habits, proposals, campaigns and past mails."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = settings_of(folder)
    with writing(settings) as db:
        make_landing_tables(db)
        for schema in ("shop", "ml", "campaigns", "staging", "intermediate"):
            db.execute(f"create schema if not exists {schema}")
        db.execute(PEOPLE.format(count=customers, day=DAY))
        for number, campaign_id in enumerate(CAMPAIGNS):
            steps = LADDERS.get(campaign_id, 1)
            words = {"campaign_id": campaign_id, "count": customers, "steps": steps, "number": number}
            db.execute(AUDIENCE.format(**words, every=len(CAMPAIGNS) // proposed_by))
        sends = db.execute(SENDS.format(count=customers, day=DAY)).to_arrow_table()
    published = Published(settings.published)
    tables = {
        "ledger_sends": sends,
        "ledger_suppressions": pa.Table.from_pylist(
            [
                {
                    "customer_id": f"c{n}",
                    "reason": "unsubscribed",
                    "suppressed_at": datetime(2026, 1, 1, tzinfo=UTC),
                }
                for n in range(0, customers, 50)
            ],
            LEDGER_SUPPRESSIONS,
        ),
        "ledger_coupons": pa.Table.from_pylist([], LEDGER_COUPONS),
        "ledger_preferences": pa.Table.from_pylist([], LEDGER_PREFERENCES),
        "campaign_definitions": pa.Table.from_pylist(list(definitions()), DEFINITIONS),
        "copy_candidates": pa.Table.from_pylist(list(copy_candidates()), COPY_CANDIDATES),
    }
    for table, rows in tables.items():
        published.write_candidate(table, DAY, rows)
        published.release(table, DAY)


def definitions() -> Iterator[dict[str, object]]:
    for number, campaign_id in enumerate(CAMPAIGNS):
        for step in range(1, LADDERS.get(campaign_id, 1) + 1):
            yield {
                "campaign_id": campaign_id,
                "step": step,
                "step_name": f"step{step}",
                "wait_days": 3 if step > 1 else 0,
                "kind": "suggestions",
                "priority": 900 - 50 * number,
                "holdout_share": 0.1,
                "holdout_key": campaign_id,
                "min_products": 1,
                "mails_per_week": 2,
                "exit_when": ["bought", "entered_stronger_flow"],
                "reentry_after_days": 30,
                "ends_mail": False,
                "template_version": "0123456789ab",
            }


def copy_candidates() -> Iterator[dict[str, object]]:
    for campaign_id in CAMPAIGNS:
        for step in range(1, LADDERS.get(campaign_id, 1) + 1):
            for slot in SLOTS:
                for place, about in enumerate(("all", "first", "second")):
                    yield {
                        "campaign_id": campaign_id,
                        "step": step,
                        "slot": slot,
                        "place": place,
                        "candidate_id": about,
                        "origin": "authored",
                        "about": about,
                        "least_products": place,
                    }


PEOPLE = """
create table shop.customers as
select 'c' || n as customer_id, date '{day}' as as_of_date, 'en' as locale,
    ['America/New_York', 'Europe/Berlin', 'Asia/Tokyo'][1 + n % 3] as time_zone, n % 20 > 0 as has_consent, true as has_address
from range({count}) as numbers(n);
create table ml.customer_features as
select 'c' || n as customer_id, date '{day}' as as_of_date, (n % 90)::bigint as recency_days, null::bigint as last_click_days, (n % 24)::double as usual_hour,
    0.5::double as usual_hour_share, (1 + n % 30)::bigint as orders_lifetime_count, ['new', 'active', 'lapsing'][1 + n % 3] as lifecycle_stage
from range({count}) as numbers(n);
create table intermediate.int_customer_categories_rolled as
select 'c' || n as customer_id, 'category ' || ((n + k * k) % 30) as category, date '{day}' - (1 + (n + k) % 300)::integer as known_date,
    2::bigint as line_count, (100 + n * k % 4000)::bigint as net_amount_cents
from range({count}) as numbers(n), range(12) as times(k)"""

AUDIENCE = """
create table campaigns.audience_{campaign_id} as
select 'c' || n as customer_id, steps.step::integer as step, (n * 7 + {number}) % 1000 / 10.0::double as value_cents,
    (n + {number}) % 9 as product_count,
    '{{"first_name":"Ada","products":[' || array_to_string(list_transform([1, 2, 3], x ->
        '{{"product_id":"' || (n * x % 99991) || '","name":"White Milk, 1 gallon ' || (n * x % 997) || '","category":"category ' || (n * x % 30) || '",'
        || '"brand":"Private","size":"1 GA","price_cents":' || (n * x % 1999) || ',"currency":"USD","url":'
        || '"https://juniper.example/p/' || (n * x % 99991) || '","reason":"favourite","reason_product_name":null,'
        || '"bought_date":null,"times_bought":' || (n % 29) || ',"usual_gap_days":9.5,"days_since":' || (n % 90) || '}}'), ',')
        || ']}}' as facts,
    '{{"audience_rule":"something that a customer did and what has not happened since","features":{{"recency_days":'
        || (n % 90) || ',"gap_mean_days":' || (n % 50) || '.5,"orders_90d_count":' || (n % 12) || '}},"scores":[]}}' as evidence
from range({number} % {every}, {count}, {every}) as numbers(n) cross join range(1, {steps} + 1) as steps(step)"""

SENDS = """
select md5(n || '|' || k) as send_id, 'c' || n as customer_id,
    ['cart_abandonment', 'welcome', 'winback', 'restock'][1 + (n + k) % 4] as campaign_id, 1::integer as step,
    (date '{day}' - (1 + n % 20 + 20 * k)::integer) as as_of_date
from range({count}) as numbers(n), range(3) as times(k)"""


if __name__ == "__main__":
    main()
