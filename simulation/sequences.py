"""SIMULATED sequences of single purchases, whose taste drifts and where products have a product that follows them.

The truth
---------
Every product belongs to one of `TASTES` tastes and has one successor of the same taste. A customer has one taste at a time and
leaves it for another, any, before one purchase in `STAY` on average. Three purchases of ten are the successor of the one before,
if the customer has not had it; the others are drawn from the present taste, by Zipf's law with exponent 1. Nobody buys a product
twice. So what was bought last says most, and what was bought long ago next to nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TASTES, STAY, FOLLOWS_SHARE = 20, 10, 0.3
LENGTHS = (10, 60)
"""Fewest and most purchases of a customer; any number between is as likely."""
MEAN_GAP_DAYS = 5
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """One entry per purchase, by customer and then from the oldest on; no two purchases of a customer on one day.

    `customers` and `products` are numbers from 0; `days` count from an arbitrary day.
    """

    customers: Ints
    products: Ints
    days: Ints


def simulate_sequences(*, customers: int, products: int, seed: int) -> tuple[Sequences, Ints]:
    """Return the purchases, and the successor of each product, shape (n_products,); the same arguments, the same purchases.

    Parameters
    ----------
    products
        At least `TASTES` times `LENGTHS[1]`, so that no taste is ever sold out.

    Raises
    ------
    ValueError
        If there are too few products.
    """
    if products < TASTES * LENGTHS[1]:
        raise ValueError(f"{products} products are too few: {TASTES} tastes need {TASTES * LENGTHS[1]}")
    chance = np.random.default_rng(seed)
    of_taste = np.array_split(chance.permutation(products), TASTES)
    follows = np.empty(products, dtype=np.int64)
    for members in of_taste:
        ring = chance.permutation(members)
        follows[ring] = np.roll(ring, -1)
    found = [_purchases(chance, of_taste, follows) for _ in range(customers)]
    lengths = [len(bought) for bought in found]
    gaps = [chance.geometric(1 / MEAN_GAP_DAYS, length).cumsum() for length in lengths]
    return Sequences(
        np.repeat(np.arange(customers), lengths), np.concatenate(found), np.concatenate(gaps)
    ), follows


def _purchases(chance: np.random.Generator, of_taste: list[Ints], follows: Ints) -> list[int]:
    taste, bought = int(chance.integers(TASTES)), list[int]()
    for _ in range(chance.integers(LENGTHS[0], LENGTHS[1] + 1)):
        if chance.random() < 1 / STAY:
            taste = int(chance.integers(TASTES))
        if bought and chance.random() < FOLLOWS_SHARE and follows[bought[-1]] not in bought:
            bought.append(int(follows[bought[-1]]))
        else:
            bought.append(_liked(chance, of_taste[taste], bought))
    return bought


def _liked(chance: np.random.Generator, members: Ints, bought: list[int]) -> int:
    """Draw by Zipf's law among the products of a taste that were not bought."""
    left = np.setdiff1d(members, bought, assume_unique=True)  # keeps the order of popularity
    cumulated = np.cumsum(1 / np.arange(1, len(left) + 1))
    return int(left[np.searchsorted(cumulated, chance.random() * cumulated[-1])])
