"""What the rules of trade need to know of a shop on a day, and which rules are off because it does not say so."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml.recommend.lists import NONE, Bools
from ml.recommend.purchases import Histories, Strings, rows_of
from ml.recommend.trade.rules import TradeRules
from ml.tables import (
    BRAND,
    CATEGORY,
    COST_CENTS,
    CUSTOMER_ID,
    PRICE_CENTS,
    PRODUCT_ID,
    STOCK_COUNT,
    SUBCATEGORY,
)

Numbers = npt.NDArray[np.float64]

BIRTH_YEAR, COUNTRY_CODE, SEGMENT_NAME = "birth_year", "country_code", "segment_name"
RETURNED_DATE, REVIEWED_DATE, STARS = "returned_date", "reviewed_date", "stars"


@dataclass(frozen=True)
class Trade:
    """The rules of a day and the tables they read; a table that is not published is None.

    `products`: one row per product. `objections`: one row per customer and product sent back or reviewed. `traits`: one row per
    customer. `segments`: one row per customer.
    """

    as_of: date
    rules: TradeRules
    products: pa.Table
    objections: pa.Table | None = None
    traits: pa.Table | None = None
    segments: pa.Table | None = None

    def off(self) -> dict[str, str]:
        """Return each rule that the file asks for and the shop's data cannot serve, with what is missing.

        Limits are never off: of whom nothing is known is not shown what is limited.
        """
        asked = {
            "in_stock": (self.rules.in_stock, self.products, STOCK_COUNT, "stock_levels"),
            "minimum_margin": (
                self.rules.minimum_margin,
                self.products,
                COST_CENTS,
                "unit_cost_amount in products",
            ),
            "type_cycle": (self.rules.type_cycle, self.products, SUBCATEGORY, "subcategory in products"),
            "not_returned": (self.rules.not_returned, self.objections, RETURNED_DATE, "returns"),
            "not_complained": (self.rules.not_complained, self.objections, STARS, "reviews"),
        }
        return {
            rule: f"the shop brings no {source}"
            for rule, (is_asked, table, column, source) in asked.items()
            if is_asked is not None and not says(table, column)
        }

    def about(self, customer_ids: Sequence[str]) -> "Trade":
        """Return the rules with what the tables say of some customers."""
        wanted = pa.array(customer_ids, pa.string())

        def theirs(table: pa.Table | None) -> pa.Table | None:
            return None if table is None else table.filter(pc.is_in(table[CUSTOMER_ID], wanted))

        return replace(
            self,
            objections=theirs(self.objections),
            traits=theirs(self.traits),
            segments=theirs(self.segments),
        )


@dataclass(frozen=True)
class Shelf:
    """What is known of some products, in their order. Amounts in cents; NaN where not known."""

    product_ids: Strings
    categories: Strings
    types: npt.NDArray[np.int64]
    brands: Strings
    price: Numbers
    cost: Numbers
    stock: Numbers

    @classmethod
    def of(cls, products: pa.Table, product_ids: Strings) -> "Shelf":
        """Look products up, all of which stand in the table `products`."""
        found = places(products[PRODUCT_ID], product_ids)
        categories, brands = (texts(products, name, found) for name in (CATEGORY, BRAND))
        price, cost, stock = (
            numbers(products, name, found) for name in (PRICE_CENTS, COST_CENTS, STOCK_COUNT)
        )
        return cls(product_ids, categories, types_of(products)[found], brands, price, cost, stock)

    def among(self, categories: Iterable[str], product_ids: Iterable[str] = ()) -> Bools:
        """Say which products are of some categories, or are some themselves."""
        return np.isin(self.categories, list(categories)) | np.isin(self.product_ids, list(product_ids))


def types_of(products: pa.Table) -> npt.NDArray[np.int64]:
    """Code the type of each row: category with subcategory. A product without a subcategory is a type by itself."""
    every = np.arange(len(products))
    categories, subcategories, ids = (
        texts(products, name, every) for name in (CATEGORY, SUBCATEGORY, PRODUCT_ID)
    )
    named = np.char.add(np.char.add(categories, "/"), subcategories)
    _, types = np.unique(np.where(subcategories == "", np.char.add("//", ids), named), return_inverse=True)
    return types.astype(np.int64)


@dataclass(frozen=True)
class Asked:
    """Some customers: what they bought of the shelf's products, and of all products by type, codes 0 to `n_types` - 1."""

    shelf: Histories
    whole: Histories
    types: npt.NDArray[np.int64]
    n_types: int

    @classmethod
    def of(cls, shelf: Histories, whole: Histories, products: pa.Table) -> "Asked":
        """Take the same customers' purchases of some products and of all of them; all stand in the table `products`.

        What products are like was learned before; of those who ask only purchases count.
        """
        types = types_of(products)
        found = places(products[PRODUCT_ID], whole.product_ids)
        shelf, whole = (replace(each, attributes={}, texts=each.texts[:0]) for each in (shelf, whole))
        return cls(shelf, whole, types[found], int(types.max(initial=-1)) + 1)

    def of_customers(self, customer_ids: Sequence[str]) -> "Asked":
        """Return some customers in this order; one who is not known has empty histories."""
        shelf, whole = (rows_of(each, customer_ids) for each in (self.shelf, self.whole))
        return replace(self, shelf=shelf, whole=whole)

    def between(self, start: int, end: int) -> "Asked":
        """Return the customers from `start` to before `end`."""
        return replace(self, shelf=self.shelf.between(start, end), whole=self.whole.between(start, end))


def says(table: pa.Table | None, column: str) -> bool:
    """Say whether a table holds anything in a column."""
    return table is not None and column in table.column_names and table[column].null_count < len(table)


def places(among: pa.ChunkedArray, names: Strings) -> npt.NDArray[np.int64]:
    """Return where each name stands in a column; `NONE` where it does not."""
    where = {name: place for place, name in enumerate(among.to_pylist())}
    return np.array([where.get(name, NONE) for name in names.tolist()], dtype=np.int64)


def texts(table: pa.Table | None, column: str, found: npt.NDArray[np.int64]) -> Strings:
    """Return a text column at some rows, empty where it is not known."""
    if table is None or column not in table.column_names:
        return np.full(len(found), "", dtype=str)
    return np.array([*(each or "" for each in table[column].to_pylist()), ""], dtype=str)[found]


def numbers(table: pa.Table | None, column: str, found: npt.NDArray[np.int64]) -> Numbers:
    """Return a numeric column at some rows, NaN where it is not known."""
    if table is None or column not in table.column_names:
        return np.full(len(found), np.nan)
    return np.append(table[column].to_numpy().astype(np.float64), np.nan)[found]


def customer_places(table: pa.Table | None, customer_ids: Strings) -> npt.NDArray[np.int64]:
    """Return the row of each customer in a table; `NONE` without one."""
    if table is None:
        return np.full(len(customer_ids), NONE, dtype=np.int64)
    return places(table[CUSTOMER_ID], customer_ids)
