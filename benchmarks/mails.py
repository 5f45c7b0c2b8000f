"""A plan of made-up rows, as many as a benchmark asks for: six products in each mail, half of them with a reason of its own.

SIMULATED. Products are drawn from a shop of 5,000, the n-th as often as 1/n, and so are the products that the reasons name;
so some recur from customer to customer and some do not, as in a plan. No two mails are the same.
"""

import json
import random
import shutil
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate, islice, product
from pathlib import Path

import pyarrow as pa

from campaigns.definitions import TEMPLATES, load_brand
from campaigns.ledger import LedgerSend, SendState
from campaigns.plan import PLAN
from campaigns.templates import Template, TemplateStore, compile_template
from core.published import Published
from core.settings import Settings

DAY = date(2017, 12, 4)
CAMPAIGN = "picked_for_you"
PRODUCTS, PER_MAIL = 5_000, 6
LOCALES = ("en", "de", "zh")
KINDS = (
    "Organic",
    "Smoked",
    "Fresh",
    "Sparkling",
    "Toasted",
    "Jalapeño",
    "Wild",
    "Frozen",
    "Baby",
    "Crème",
    "Rich",
)
GOODS = (
    "Bread",
    "Tea",
    "Cheddar Cheese",
    "Bananas",
    "Juice",
    "Granola & Oats",
    "Shampoo",
    "Tuna",
    "Ice Cream",
    "Salsa",
)
SIZES = ("20 OZ", "1 GA", "12 CT", "500 G", None)
NAMES = ("Ada", "Zoë", "Grace", "小明", "Olga", "José", "Anne-Marie", None)
PLAIN_FRAME = """\
<mjml lang="{{ lang }}" dir="ltr">
  <mj-head>
    <mj-title>{{ subject }}</mj-title>
    <mj-attributes>
      <mj-all font-family="sans-serif" />
      <mj-text padding="0" />
      <mj-section padding="0" />
      <mj-column padding="0" />
    </mj-attributes>
  </mj-head>
  <mj-body>
    <mj-raw><div style="display:none">{{ preheader }}</div></mj-raw>
    <mj-include path="body.mjml" />
    <mj-include path="footer.mjml" />
  </mj-body>
</mjml>
"""
"""A frame without header, card and dark colours: with it a mail of one product is signed 15 kB, with ours 24."""
ENDS = [f" No. {number}" for number in range(1, 47)]

Row = dict[str, object]


def plain_templates(folder: Path) -> Path:
    """Put our templates into a new folder, within a plain frame; return it."""
    shutil.copytree(TEMPLATES, folder)
    (folder / "_base/base.mjml").write_text(PLAIN_FRAME)
    return folder


def made_plan(
    settings: Settings, count: int, locale: str, products: int = PER_MAIL, templates: Path = TEMPLATES
) -> list[LedgerSend]:
    """Publish a plan of `count` mails in a locale with the template they need; return their sends."""
    template = compile_template(CAMPAIGN, templates)
    TemplateStore(settings.published / "templates").save(template)
    rng = random.Random(count)  # noqa: S311  # a fixture, not a secret
    shelf = _shelf(rng)
    weights = list(accumulate(1 / rank for rank in range(1, PRODUCTS + 1)))
    rows = [_row(rng, shelf, weights, template, locale, products) for _ in range(count)]
    published = Published(settings.published)
    published.write_candidate(PLAN, DAY, pa.Table.from_pylist(rows))
    published.release(PLAN, DAY)
    return [_send(rng, str(row["send_id"]), number) for number, row in enumerate(rows)]


def _shelf(rng: random.Random) -> list[Row]:
    """Return the products of the shop, what is the same for every customer; the most popular first."""
    host = load_brand().link_hosts[0]
    names = [f"{kind} {good}{end}" for end, kind, good in islice(product(ENDS, KINDS, GOODS), PRODUCTS)]
    return [
        {
            "product_id": f"{number}",
            "name": name,
            "category": rng.choice(("Grocery", "Produce", "Pastry")),
            "size": rng.choice(SIZES),
            "price_cents": rng.randrange(49, 2_000, 10) if rng.random() < 0.95 else None,
            "currency": "USD",
            "url": f"https://{host}/p/{number}",
        }
        for number, name in enumerate(rng.sample(names, len(names)))
    ]


def _row(
    rng: random.Random, shelf: list[Row], weights: list[float], template: Template, locale: str, count: int
) -> Row:
    products = []
    for each in rng.choices(shelf, cum_weights=weights, k=count):
        reason = rng.choice(("because", "because", "because", "taste", "popular", "popular_in_segment"))
        other = rng.choices(shelf, cum_weights=weights)[0]["name"] if reason == "because" else None
        days_since = rng.randrange(1, 400)
        bought = {"bought_date": f"{DAY - timedelta(days_since)}", "days_since": days_since} if other else {}
        never = dict.fromkeys(("bought_date", "days_since", "times_bought", "usual_gap_days"))
        products.append({**each, "reason": reason, "reason_product_name": other, **never, **bought})
    facts = {"first_name": rng.choice(NAMES), "products": products}
    return {
        "verdict": "planned",
        "send_id": f"{rng.getrandbits(128):032x}",
        "template_version": template.version,
        "locale": locale,
        "facts": json.dumps(facts, ensure_ascii=False, separators=(",", ":")),  # as dbt writes it
    }


def _send(rng: random.Random, send_id: str, number: int) -> LedgerSend:
    send_at = datetime.combine(DAY, time(rng.randrange(8, 20), rng.choice((0, 30))), UTC)
    return LedgerSend(
        send_id=send_id, campaign_id=CAMPAIGN, step=1, customer_id=f"{number}", as_of_date=DAY,
        address=f"reader.{number}@mail{number % 40}.example", pseudonym=f"{number:032x}", send_at=send_at,
        expires_at=send_at + timedelta(days=2), channel="mail",
        state=SendState.CLAIMED, due_at=send_at, lease_id=1, claimed_at=send_at, sending_at=None, ended_at=None, reply=None,
        server=None, message_id=None, message_digest=None, attempts=0,
    )  # fmt: skip
