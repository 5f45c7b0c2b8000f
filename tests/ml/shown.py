"""Mails shown to SIMULATED readers of whom it is known how often they look at a place, and how much each product pleases them."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

EXAMINED = np.array([0.50, 0.40, 0.31, 0.24, 0.15, 0.10])
"""Chance that a reader looks at a place, 1 to 6; that of the first is also that they open the mail."""
CLICKED = 0.12
"""Chance that a reader who looks clicks a product of appeal 1."""
QUIET, LOUD = "p000", "p001"
"""Of appeal 2 and always on the last place; of appeal 0.6 and always on the first."""


@dataclass(frozen=True)
class Shown:
    """`product_showings`, and the truth behind it: the appeal of each product and its category."""

    table: pa.Table
    product_ids: np.ndarray
    categories: np.ndarray
    appeals: np.ndarray

    @property
    def columns(self) -> np.ndarray:
        """The product of each row, by its place among `product_ids`."""
        return np.searchsorted(self.product_ids, self.table["product_id"].to_numpy().astype(str))


def shown(*, mails: int, products: int = 120, seed: int = 1) -> Shown:
    """Draw mails of six products each, what pleases rather further up, as a recommender would put it."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"p{number:03d}" for number in range(products)])
    of_category = rng.gamma(8, 1 / 8, 6)
    categories = np.arange(products) % 6
    appeals = of_category[categories] * rng.gamma(6, 1 / 6, products)
    appeals[:2] = 2.0, 0.6
    noisy = np.log(appeals) + rng.normal(0, 1, (mails, products)) + rng.gumbel(0, 1, (mails, products))
    noisy[:, :2] = -np.inf
    listed = np.argsort(-noisy, axis=1)[:, :6]
    third = np.arange(mails) % 3
    listed[third == 0, 5] = 0
    listed[third == 1, 0] = 1
    is_looked_at = rng.random((mails, 6)) < EXAMINED
    is_clicked = is_looked_at & (rng.random((mails, 6)) < CLICKED * appeals[listed])
    return Shown(
        showings(listed, is_clicked, is_clicked & (rng.random((mails, 6)) < 0.1), ids),
        ids,
        np.array([f"c{code}" for code in categories]),
        appeals,
    )


def showings(listed: np.ndarray, clicked: np.ndarray, bought: np.ndarray, ids: np.ndarray) -> pa.Table:
    """Return `product_showings` of mails, a row of `listed` each."""
    mails, places = listed.shape
    return pa.table(
        {
            "as_of_date": pa.array([date(2017, 12, 4)] * listed.size, pa.date32()),
            "send_id": np.repeat([f"s{number}" for number in range(mails)], places),
            "campaign_id": pa.array(["picked_for_you"] * listed.size),
            "product_id": ids[listed.ravel()],
            "place": np.tile(np.arange(1, places + 1), mails),
            "is_new": np.ones(listed.size, dtype=bool),
            "is_clicked": clicked.ravel(),
            "is_bought": bought.ravel(),
        }
    )
