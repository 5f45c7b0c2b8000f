"""Why a product stands on a list: the one of the customer's own purchases that it resembles most."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ml.recommend.lists import NONE, Bools, Lists
from ml.recommend.methods.protocol import Recommender


def because(
    model: Recommender, counts: csr_array, lists: Lists, from_fallback: Bools
) -> npt.NDArray[np.int64]:
    """Return, in the shape of the lists, the position of the bought product that each listed one resembles most.

    `NONE` where the fallback placed the product or it resembles nothing the customer bought. Of equals the
    purchase that stands first in the catalogue wins.
    """
    reasons = np.full(lists.products.shape, NONE, dtype=np.int64)
    placed = (lists.products != NONE) & ~from_fallback
    for row in np.nonzero(placed.any(axis=1))[0]:
        bought = np.sort(counts.indices[counts.indptr[row] : counts.indptr[row + 1]]).astype(np.int64)
        if not len(bought):
            continue
        alike = model.resemblance(lists.products[row, placed[row]], bought)
        nearest = alike.argmax(axis=1)
        found = alike[np.arange(len(nearest)), nearest] > 0
        reasons[row, placed[row]] = np.where(found, bought[nearest], NONE)
    return reasons
