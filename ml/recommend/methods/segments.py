"""From segment to product: what most customers of one's segment buy."""

from typing import Self

import numpy as np
from scipy.sparse import csr_array

from ml.recommend.lists import NONE, Floats, Ints, Lists
from ml.recommend.methods.protocol import Recommender
from ml.recommend.purchases import Histories
from ml.recommend.reasons import Kind, Reasons
from ml.tables import CATEGORY

HALF_LIFE_DAYS = 60.0
PRIOR_CUSTOMERS = 20


class PopularInSegment(Recommender):
    """Scores each product by the share of the segment's customers who bought it, 0 to 1.

    Each segment is taken as if `PRIOR_CUSTOMERS` more belonged to it who buy as the whole shop does, so that three customers
    make no fashion. Where the histories name no segments (of a past day nobody knows them: today's would know the future), a
    customer's is the category they buy most of, each purchase counting half for every 60 days. Of somebody without
    a segment it says nothing.

    Source: stereotypes of Rich, "User modeling via stereotypes", Cognitive Science 3, 1979; the prior: shrinkage to
    the pooled mean, Efron & Morris, "Stein's paradox in statistics", Scientific American 236, 1977.
    """

    method = "popular_in_segment"

    def __init__(self) -> None:
        super().__init__()
        self.categories: Ints = np.zeros(0, dtype=np.int64)
        self.shares: Floats = np.zeros((0, 0), dtype=np.float32)

    def fit(self, found: Histories, *, seed: int) -> Self:
        """Count buyers by segment; `shares` has a row per code."""
        self.product_ids = found.product_ids
        self.categories = found.attributes.get(CATEGORY, np.zeros(found.shape[1], dtype=np.int64))
        segments = self.segments(found)
        n_segments = int(segments.max(initial=NONE)) + 1
        mine = np.flatnonzero(segments != NONE)
        belongs = csr_array((np.ones(len(mine)), (segments[mine], mine)), shape=(n_segments, found.shape[0]))
        has_bought = csr_array(found.counts > 0, dtype=np.float64)
        pooled = has_bought.sum(axis=0) / max(found.shape[0], 1)
        sizes = belongs.sum(axis=1)[:, None]
        buyers = (belongs @ has_bought).toarray()
        self.shares = ((buyers + PRIOR_CUSTOMERS * pooled) / (sizes + PRIOR_CUSTOMERS)).astype(np.float32)
        return self

    def segments(self, asked: Histories) -> Ints:
        """Return the segment of each customer, shape (n_customers,); `NONE` without one."""
        if asked.segments is not None:
            return asked.segments
        ones, every = np.ones(len(self.categories)), np.arange(len(self.categories))
        shape = len(every), int(self.categories.max(initial=0)) + 1
        liked = asked.decayed(HALF_LIFE_DAYS) @ csr_array((ones, (every, self.categories)), shape=shape)
        return np.where(liked.toarray().any(axis=1), liked.toarray().argmax(axis=1), NONE)

    def scores(self, asked: Histories) -> Floats:
        nobody = np.zeros((1, len(self.product_ids)), dtype=np.float32)
        scores: Floats = np.concatenate([self.shares, nobody])[self.segments(asked)]
        return scores

    def explain_new(self, asked: Histories, lists: Lists) -> Reasons:
        return Reasons.of(np.where(lists.products != NONE, Kind.POPULAR_IN_SEGMENT.value, ""))
