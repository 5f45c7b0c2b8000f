"""From words to words: what a product is called and what shelf it stands on, whoever bought it, or nobody."""

import re
from typing import Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from ml.recommend.lists import Floats, Ints
from ml.recommend.methods.protocol import Recommender
from ml.recommend.purchases import Histories

HALF_LIFE_DAYS = 60.0
WORD = r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+"
"""Chinese and Japanese leave no space between words: there each sign is one, and pairs of them are what a word is elsewhere."""


class Content(Recommender):
    """Products whose words are like those of what a customer bought, by the cosine of TF-IDF, 0 to 1.

    The words, and pairs of words beside each other, are those of name, category, subcategory and brand; the customer's are the mean of the purchases', of which
    each counts half for every 60 days that have passed. Nobody else's purchases count, so it speaks of a product that was never sold.

    Source: Salton & Buckley, "Term-weighting approaches in automatic text retrieval", Information Processing &
    Management 24, 1988; customers as means: Pazzani & Billsus, "Content-based recommendation systems", The Adaptive Web, 2007.
    """

    method = "content"

    def __init__(self) -> None:
        super().__init__()
        self.words: csr_array = csr_array((0, 0), dtype=np.float32)

    def fit(self, found: Histories, *, seed: int) -> Self:
        """Weigh the words of each product of the catalogue; rows of `words` have length 1, or 0 without a word."""
        self.product_ids = found.product_ids
        texts = found.texts.tolist()
        if any(re.search(WORD, text) for text in texts):
            weigh = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), dtype=np.float32)
            self.words = csr_array(weigh.fit_transform(texts))
        else:
            self.words = csr_array((found.shape[1], 1), dtype=np.float32)
        return self

    def scores(self, asked: Histories) -> Floats:
        liked = normalize(asked.decayed(HALF_LIFE_DAYS) @ self.words)
        scores: Floats = (liked @ self.words.T).toarray()
        return scores

    def resemblance(self, products: Ints, bought: Ints) -> Floats:
        alike: Floats = (self.words[products] @ self.words[bought].T).toarray()
        return alike
