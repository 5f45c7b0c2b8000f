"""The lists that customers are shown: what is new and what is bought again, in trade, each product with its reason."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.provenance import SEED
from ml.recommend.arrivals import NewArrivals, Viewed, arrivals, is_arrival, views_of
from ml.recommend.baselines import OwnPurchasesLately, Popular
from ml.recommend.lists import NONE, Ints, Lists, filled
from ml.recommend.methods.protocol import AGAIN, NEW, Recommender, Wanted
from ml.recommend.methods.segments import PopularInSegment
from ml.recommend.purchases import Histories, Purchases, Strings, histories, positions
from ml.recommend.reasons import Kind, Reasons
from ml.recommend.response import Response
from ml.recommend.trade.applying import PINNED, Ruling, Tally, parts
from ml.recommend.trade.finishing import Placed
from ml.recommend.trade.shop import SEGMENT_NAME, Asked, Trade, customer_places, texts
from ml.tables import IS_RECOMMENDABLE, LAST_SOLD_DATE, LISTS_SCHEMA, PRICE_CENTS, PRODUCT_ID
from ml.threads import side_by_side
from ml.windows import days_before

LISTED = 12
"""Twice what a mail shows: the plan still drops what it cannot show."""
SOLD_WITHIN_DAYS = 90
"""A product nobody bought for a quarter is taken as out of the range; a shop without stock figures knows no better."""
ARRIVAL_PLACE = 6
"""The last that a mail shows: a new product is seen, and what is known of the customer stands above it."""


def may_be_listed(products: pa.Table, as_of: date) -> list[str]:
    """Return the products that are recommendable, have a price and were sold in the last 90 days or are new, sorted."""
    since = pa.scalar(days_before(as_of, SOLD_WITHIN_DAYS), pa.date32())
    sold = pc.greater_equal(products[LAST_SOLD_DATE].cast(pa.date32()), since)
    in_range = pc.or_(pc.fill_null(sold, False), is_arrival(products, as_of))
    allowed = pc.and_(pc.and_(products[IS_RECOMMENDABLE], pc.is_valid(products[PRICE_CENTS])), in_range)
    return sorted(products.filter(pc.fill_null(allowed, False))[PRODUCT_ID].to_pylist())


@dataclass(frozen=True)
class Recommended:
    """The lists as `LISTS_SCHEMA` has them, and what rules of trade removed, as `Tally.table` says it."""

    lists: pa.Table
    removals: pa.Table


@dataclass(frozen=True)
class Shelves:
    """All that the lists of a day are made from, made ready once: for everybody together, or for one customer after another.

    `segment_names`: sorted; the codes in histories are positions in it.
    """

    model: Recommender
    trade: Trade
    segment_names: Strings
    answering: list["_Answering"]

    @classmethod
    def of(
        cls,
        model: Recommender,
        purchases: Purchases,
        *,
        trade: Trade,
        allowed: Sequence[str],
        views: pa.Table | None = None,
        showings: pa.Table | None = None,
    ) -> Self:
        """Make ready whoever answers, and the rules.

        Each question is answered by the model if its class says so; for a customer of whom it has too little to say, what is new is
        answered by what they looked at (`views`), then by what their segment buys, then by what most customers buy, and what is
        bought again by their own purchases lately, of any product in trade: somebody who bought nothing has no such list. A new
        product that the model does not know stands on one place of a list of what is new. What is new is re-ranked by how customers
        responded to the products that mails showed (`showings`), if that is known.
        """
        whole = histories(purchases, purchases.product_ids, before=trade.as_of)
        names = np.unique(texts(trade.segments, SEGMENT_NAME, np.arange(len(trade.segments or ()))))
        answering = []
        for question in (AGAIN, NEW):
            known = np.array(model.product_ids if question in model.answers else allowed, dtype=str)
            arrived = known[:0]
            if question == NEW:
                arrived = arrivals(trade.products, np.array(allowed), known, trade.as_of)
            product_ids = np.union1d(known, arrived)
            everybody = _in_segments(
                histories(purchases, product_ids, before=trade.as_of), trade.segments, names
            )
            answerers = [
                OnShelf.of(each, everybody) for each in _fallbacks(question, everybody, views, trade)
            ]
            if question in model.answers:
                answerers.insert(0, OnShelf.met(model, everybody))
            ruling = Ruling.of(question, trade, product_ids, set(allowed), question == AGAIN)
            is_told = question == NEW and showings is not None
            answering.append(
                _Answering(
                    question,
                    Asked.of(everybody, whole, trade.products),
                    answerers,
                    OnShelf.of(NewArrivals(arrived), everybody) if len(arrived) else None,
                    ruling,
                    Response.of(showings, product_ids, ruling.shelf.categories) if is_told else None,
                )
            )
        return cls(model, trade, names, answering)

    def knows(self, customer_id: str) -> bool:
        """Say whether a purchase of the customer is known."""
        return bool(self.answering[0].asked.of_customers([customer_id]).whole.starts[-1])

    def names(self) -> dict[str, str | None]:
        """Return the names of the shop's products by id."""
        products = self.trade.products
        return dict(zip(products[PRODUCT_ID].to_pylist(), products["name"].to_pylist(), strict=True))

    def recommend(self, customer_ids: Sequence[str]) -> Recommended:
        """Return up to `LISTED` products for each customer and question, under the rules of trade.

        What is bought again has the first claim on a stock.
        """
        trade, tally = self.trade.about(customer_ids), Tally(self.trade.off())
        asking = [
            each.about(customer_ids, self.segment_names, each.ruling.about(trade, tally))
            for each in self.answering
        ]
        blocks = list(zip(*(parts(each.asked) for each in asking), strict=True))
        found = zip(*side_by_side(lambda some: self._long_lists(asking, some), blocks), strict=True)
        listed, rows = Counter[str](), []
        for each, long_lists in zip(asking, found, strict=True):
            answer = each.answer(Placed.stacked(long_lists), listed)
            rows.append(_rows(each.question, each.asked.shelf, *answer, trade.as_of))
            listed.update(rows[-1][PRODUCT_ID].to_pylist())
        return Recommended(pa.concat_tables(rows), tally.table())

    def _long_lists(self, asking: list["_Answering"], some: Sequence[Asked]) -> list[Placed]:
        """Return lists for each question that rules can still cut; the model scores some customers once for all it answers."""
        wanted = [each.ruling.wanted(asked, LISTED) for each, asked in zip(asking, some, strict=True)]
        known = {
            each.question: each.answerers[0].known(asked.shelf, what)
            for each, asked, what in zip(asking, some, wanted, strict=True)
            if each.question in self.model.answers
        }
        theirs = {question: what for question, (_, what) in known.items()}
        found = self.model.lists(next(iter(known.values()))[0], theirs) if known else {}
        return [
            each.long_lists(asked.shelf, what, found.get(each.question))
            for each, asked, what in zip(asking, some, wanted, strict=True)
        ]


def _fallbacks(
    question: str, everybody: Histories, views: pa.Table | None, trade: Trade
) -> list[Recommender]:
    """Return who answers where the model says nothing, in this order."""
    if question == AGAIN:
        return [OwnPurchasesLately()]
    found: list[Recommender] = []
    if views is not None and len(views):
        found.append(Viewed(views_of(views, everybody.product_ids, trade.as_of)))
    if everybody.segments is not None:
        found.append(PopularInSegment())
    return [*found, Popular()]


def _in_segments(found: Histories, segments: pa.Table | None, names: Strings) -> Histories:
    """Return the histories with a code for the segment of each customer, if there are segments."""
    if segments is None or not len(names):
        return found
    own = texts(segments, SEGMENT_NAME, customer_places(segments, found.customer_ids))
    return replace(found, segments=positions(own, names))


@dataclass(frozen=True)
class OnShelf:
    """A fitted method among products of which it may know some only: those at `columns`, ascending."""

    who: Recommender
    columns: Ints

    @classmethod
    def of(cls, who: Recommender, everybody: Histories) -> Self:
        """Fit a method, which then knows all of the shelf."""
        return cls(who.fit(everybody, seed=SEED), np.arange(everybody.shape[1]))

    @classmethod
    def met(cls, model: Recommender, everybody: Histories) -> Self:
        """Take a method that was fitted before, and let it meet everybody."""
        columns = positions(model.product_ids, everybody.product_ids)
        return cls(model.meet(everybody.of_products(columns)), columns)

    def known(self, asked: Histories, wanted: Wanted) -> tuple[Histories, Wanted]:
        """Return who asks and what is wanted, of the products that the method knows."""
        return asked.of_products(self.columns), wanted.of_products(self.columns)

    def on_shelf(self, found: Lists) -> Lists:
        """Return lists that the method made as lists of the shelf's products."""
        return Lists(np.append(self.columns, NONE)[found.products], found.scores)

    def lists(self, question: str, asked: Histories, wanted: Wanted) -> Lists:
        """Return lists as `Recommender` makes them, of the shelf's products."""
        mine, known = self.known(asked, wanted)
        return self.on_shelf(self.who.lists(mine, {question: known})[question])

    def explain(self, asked: Histories, lists: Lists) -> Reasons:
        """Return why each product stands on the lists that this method made."""
        places = np.full(asked.shape[1] + 1, NONE)  # of `NONE`: the last
        places[self.columns] = np.arange(len(self.columns))
        mine = Lists(places[lists.products], lists.scores)
        reasons = self.who.explain(asked.of_products(self.columns), mine)
        return replace(reasons, because=np.append(self.columns, NONE)[reasons.because])


@dataclass(frozen=True)
class _Answering:
    """Who answers a question, each where those before it say too little, who shows new products, the rules all keep, what re-ranks.

    `asked`: everybody, or after `about` those who ask.
    """

    question: str
    asked: Asked
    answerers: list[OnShelf]
    arrivals: OnShelf | None
    ruling: Ruling
    response: Response | None

    def about(self, customer_ids: Sequence[str], segment_names: Strings, ruling: Ruling) -> Self:
        """Return the same, but for some customers and the rules with what is known of them."""
        asked = self.asked.of_customers(customer_ids)
        shelf = _in_segments(asked.shelf, ruling.trade.segments, segment_names)
        return replace(self, asked=replace(asked, shelf=shelf), ruling=ruling)

    def answer(self, long_lists: Placed, listed: Mapping[str, int]) -> tuple[Placed, Reasons]:
        """Cut `long_lists` to `LISTED` under the rules; return the lists with who placed each product, and the reasons by whoever did."""
        placed = self.ruling.finish(long_lists, self.asked, LISTED, listed)
        reasons = Reasons.of(np.where(placed.methods == PINNED, Kind.PINNED.value, ""))
        for each in [*self.answerers, *([self.arrivals] if self.arrivals else [])]:
            theirs = placed.methods == each.who.method
            if theirs.any():
                lists = Lists(np.where(theirs, placed.lists.products, NONE), placed.lists.scores)
                reasons = reasons.replaced(theirs, each.explain(self.asked.shelf, lists))
        return placed, reasons

    def long_lists(self, asked: Histories, wanted: Wanted, by_model: Lists | None) -> Placed:
        """Return lists with who placed each product; `by_model`: those of the first who answers, if they are made already."""
        first, *others = self.answerers
        lists = first.lists(self.question, asked, wanted) if by_model is None else first.on_shelf(by_model)
        methods = np.full(lists.products.shape, first.who.method, dtype=object)
        for each in others:
            short = np.flatnonzero((lists.products == NONE).any(axis=1))
            if not len(short):
                break
            some = asked.of_customers(short, asked.customer_ids[short])
            instead = each.lists(self.question, some, wanted.of_customers(short))
            whole, is_theirs = filled(Lists(lists.products[short], lists.scores[short]), instead)
            lists.products[short], lists.scores[short] = whole.products, whole.scores
            methods[short] = np.where(is_theirs, each.who.method, methods[short])
        placed = Placed(lists, methods.astype(str))
        return self._with_arrivals(self.response.reranked(placed) if self.response else placed, asked, wanted)

    def _with_arrivals(self, placed: Placed, asked: Histories, wanted: Wanted) -> Placed:
        """Put the new product that is most like a customer's purchases on one place of each list, if one is like them."""
        if self.arrivals is None:
            return placed
        new = self.arrivals.lists(self.question, asked, replace(wanted, k=1))
        is_found = new.products[:, 0] != NONE
        return placed.with_pin(new.products, ARRIVAL_PLACE, is_found, NewArrivals.method, new.scores)


def _rows(question: str, asked: Histories, placed: Placed, reasons: Reasons, as_of: date) -> pa.Table:
    """Return a row per customer and place on a list, in the order of both."""
    lists = placed.lists
    at = np.nonzero(lists.products != NONE)
    count, because, days = len(at[0]), reasons.because[at], reasons.last_days[at]
    last = np.datetime64(as_of) - np.maximum(days, 0).astype("timedelta64[D]")
    every, ids = reasons.every_days[at].astype(float), asked.product_ids
    columns = [
        pa.array(asked.customer_ids[at[0]]),
        pa.array([question] * count, pa.string()),
        pa.array(at[1] + 1),
        pa.array(ids[lists.products[at]]),
        pa.array(lists.scores[at].astype(float)),
        pa.array(placed.methods[at]),
        pa.array(reasons.kinds[at]),
        pa.array(ids[because] if len(ids) else [], mask=because == NONE),
        pa.array(last, mask=days == NONE),
        pa.array(every, mask=np.isnan(every)),
        *(pa.array(each[at], mask=each[at] == NONE) for each in (reasons.buyers, reasons.neighbours)),
    ]
    cast = [each.cast(field.type) for each, field in zip(columns, LISTS_SCHEMA, strict=True)]
    return pa.table(cast, schema=LISTS_SCHEMA)
