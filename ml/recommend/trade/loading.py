"""The rules of trade of a day: the shop's file and the published tables the rules read."""

from datetime import date

import pyarrow as pa

from core.logging import get_logger
from core.published import Published
from core.settings import Settings
from ml.recommend.trade.rules import doubts, load_rules
from ml.recommend.trade.shop import Trade
from ml.tables import CUSTOMER_TRAITS, PRODUCT_OBJECTIONS, PRODUCTS

log = get_logger(__name__)


def trade_of(settings: Settings, published: Published, segments: pa.Table | None, as_of: date) -> Trade:
    """Return the rules of trade and what they read of a day; rules that are off and doubts about the file are logged."""
    objections, traits = (
        published.read(name, as_of) if published.exists(name, as_of) else None
        for name in (PRODUCT_OBJECTIONS, CUSTOMER_TRAITS)
    )
    rules, products = load_rules(settings.rules_file), published.read(PRODUCTS, as_of)
    trade = Trade(as_of, rules, products, objections, traits, segments)
    for rule, why in trade.off().items():
        log.info("rule of trade is off", as_of_date=str(as_of), rule=rule, why=why)
    if rules.limits and traits is None:
        log.warning("no age or country is known: limited products are shown to nobody", as_of_date=str(as_of))
    for doubt in doubts(rules, products):
        log.warning("rule of trade", as_of_date=str(as_of), doubt=doubt)
    return trade
