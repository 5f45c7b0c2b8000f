"""The rules of trade of a day: the shop's file and the published tables the rules read."""

from collections.abc import Iterator, Sequence
from datetime import date

import pyarrow as pa

from core.logging import get_logger
from core.published import Published
from core.settings import Settings
from ml.recommend.trade.rules import Limit, doubts, load_rules
from ml.recommend.trade.shop import BIRTH_YEAR, COUNTRY_CODE, Trade, says
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
    for trait in _asked(rules.limits):
        if not says(traits, trait):
            log.warning(
                "products limited by what is known of no customer are shown to nobody",
                as_of_date=str(as_of),
                unknown=trait,
            )
    for doubt in doubts(rules, products):
        log.warning("rule of trade", as_of_date=str(as_of), doubt=doubt)
    return trade


def _asked(limits: Sequence[Limit]) -> Iterator[str]:
    """Yield what must be known of a customer for some limits to let anything through."""
    if any(limit.minimum_age is not None for limit in limits):
        yield BIRTH_YEAR
    if any(limit.countries for limit in limits):
        yield COUNTRY_CODE
