"""What a customer will spend on a product in the next four weeks, in cents: a regression, beside the plain guess of the mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.ensemble import HistGradientBoostingRegressor

from ml.provenance import SEED
from ml.recommend import features
from ml.recommend.baselines import RecentlyPopular
from ml.recommend.lists import Floats, best, never_bought
from ml.recommend.purchases import Histories, Ints, Purchases, Strings, histories, positions, rows_of
from ml.recommend.trial import HORIZON_DAYS, Split
from ml.tables import LINE_COUNT, PRICE_CENTS, PRODUCT_ID
from ml.threads import side_by_side
from ml.windows import window

NEW_PRODUCTS, MOST_CUSTOMERS = 20, 1_000
TREES: dict[str, float] = {"max_iter": 50, "learning_rate": 0.1, "min_samples_leaf": 200}
Cents = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lesson:
    """What was known of pairs of customers and products at a cut-off, shape (n_pairs, n_columns), and what was spent on each after it."""

    columns: Floats
    spent_cents: Cents


@dataclass(frozen=True)
class Money:
    """Purchases whose lines count what they cost at the prices of the day of the tables; `price_cents` of each of `product_ids`."""

    spent: Purchases
    product_ids: Strings
    price_cents: Cents

    @classmethod
    def of(cls, interactions: pa.Table, products: pa.Table) -> "Money":
        """Price the published `interactions`; what has no price is left out."""
        priced = products.filter(pc.is_valid(products[PRICE_CENTS])).sort_by(PRODUCT_ID)
        product_ids = priced[PRODUCT_ID].to_numpy().astype(str)
        prices = priced[PRICE_CENTS].to_numpy().astype(np.float64)
        known = interactions.filter(pc.is_in(interactions[PRODUCT_ID], priced[PRODUCT_ID]))
        place = positions(known[PRODUCT_ID].to_numpy().astype(str), product_ids)
        cents = pa.array(known["quantity"].to_numpy() * prices[place])
        lines = known.schema.get_field_index(LINE_COUNT)
        return cls(Purchases.of(known.set_column(lines, LINE_COUNT, cents), products), product_ids, prices)


def lesson(at: Split, money: Money) -> Lesson:
    """Return what was known at a cut-off of pairs that may be bought, and what was spent on them in the four weeks from it.

    Pairs, of at most `MOST_CUSTOMERS` customers: every product they bought before, and the `NEW_PRODUCTS` most popular lately
    that they never bought. Columns: how the pair was bought (missing where it never was), how the customer shops, how the product
    sells (`ml.recommend.features`), what it costs.
    """
    priced = np.flatnonzero(np.isin(at.before.product_ids, money.product_ids))
    everybody = at.before.of_products(priced)
    some = everybody.some(MOST_CUSTOMERS)
    bought = features.bought(some)
    new_rows, new_columns = _popular(everybody, some)
    rows, columns = np.append(bought.rows, new_rows), np.append(bought.columns, new_columns)
    own = features.own(some)
    price = money.price_cents[positions(some.product_ids, money.product_ids)]
    known = [
        np.concatenate([own, np.full((len(new_rows), own.shape[1]), np.nan, dtype=np.float32)]),
        features.of_customers(some)[rows],
        features.of_products(everybody)[columns],
        price[columns][:, None],
    ]
    first, end = window(at.cutoff, HORIZON_DAYS)
    after = histories(money.spent, some.product_ids, before=end, since=first)
    spent = rows_of(after, some.customer_ids).counts.toarray()[rows, columns]
    return Lesson(np.column_stack(known).astype(np.float32), spent.astype(np.float64))


def spending(taught: Lesson) -> HistGradientBoostingRegressor:
    """Fit the regression of what is spent; its loss is squared, so that what it says are means, which add up.

    Source: Friedman, "Greedy Function Approximation", Annals of Statistics 29, 2001.
    """
    trees = HistGradientBoostingRegressor(early_stopping=False, random_state=SEED, **TREES)
    return trees.fit(taught.columns, taught.spent_cents)


def spending_figures(
    interactions: pa.Table, products: pa.Table, splits: Sequence[Split]
) -> dict[str, list[float]]:
    """Learn at the first cut-off, judge at the others: squared errors of the regression, and of the mean of what was learned from."""
    money = Money.of(interactions, products)
    taught, *judged = side_by_side(lambda at: lesson(at, money), splits)
    trees, mean = spending(taught), taught.spent_cents.mean()
    mse = side_by_side(lambda each: _mean_square(each.spent_cents - trees.predict(each.columns)), judged)
    of_mean = [_mean_square(each.spent_cents - mean) for each in judged]
    return {
        "spending_mse": mse,
        "spending_rmse_cents": np.sqrt(mse).tolist(),
        "mean.spending_mse": of_mean,
        "mean.spending_rmse_cents": np.sqrt(of_mean).tolist(),
    }


def _popular(everybody: Histories, some: Histories) -> tuple[Ints, Ints]:
    """Return customers and the products most popular lately that they never bought, a row and a column per pair."""
    popular = RecentlyPopular().fit(everybody, seed=SEED)
    lists = best(popular.scores(some), never_bought(some.counts), NEW_PRODUCTS)
    rows, places = np.nonzero(lists.products >= 0)
    return rows, lists.products[rows, places]


def _mean_square(errors: Cents) -> float:
    return float(np.mean(np.square(errors)))
