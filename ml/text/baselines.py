"""What a sentiment model must beat: saying of every text what most texts are."""

from dataclasses import dataclass

import numpy as np

from ml.text.models import Floats, Ints, Texts


@dataclass
class Majority:
    """Says of every text what most are. It puts no text before another."""

    commonest: int = 0

    def fit(self, texts: Texts, truth: Ints) -> "Majority":
        found, counts = np.unique(truth, return_counts=True)
        self.commonest = int(found[np.argmax(counts)])
        return self

    def classes(self, texts: Texts) -> Ints:
        return np.full(len(texts), self.commonest)

    def sentiments(self, texts: Texts) -> Floats:
        return np.full(len(texts), float(self.commonest))
