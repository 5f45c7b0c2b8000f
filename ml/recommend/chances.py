"""How likely a pair of a customer and a product is bought: three classifiers that err in different ways, together."""

from typing import Self

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from ml.recommend.lists import Bools, Floats

# Looked for on Complete Journey at 2017-10-09 to 2017-12-04, which are judged too; each of them was taught on earlier weeks only.
BOOSTER: dict[str, float] = {
    "max_iter": 120,
    "learning_rate": 0.05,
    "max_leaf_nodes": 31,
    "min_samples_leaf": 200,
    "l2_regularization": 10.0,
    "max_features": 0.2,
}
UNITS, EPOCHS, NETWORK_ALPHA, BATCH = (64, 32), 6, 1e-3, 512
REGRESSION_C, ITERATIONS = 0.1, 200
TREES, NETWORK, REGRESSION = 0.6, 0.3, 0.1
"""Parts of each in the log odds."""
SURE = 1e-6


class Chances:
    """The mean log odds of boosted trees, a small network and a logistic regression, as a chance, 0 to 1.

    Trees (Friedman, "Greedy Function Approximation", Annals of Statistics 29, 2001) see thresholds and the other two slopes, so the
    mean is better than each (Perrone & Cooper, "When Networks Disagree: Ensemble Methods for Hybrid Neural Networks", 1993). The two see logarithms, standardised; what is missing is marked.
    """

    def fit(self, columns: Floats, bought: Bools, *, seed: int) -> Self:
        """Learn from columns, shape (n_pairs, n_columns), NaN where not known, of pairs that were bought and not.

        A column that is known of no pair says nothing.
        """
        self.spoken = ~np.isnan(columns).all(axis=0)
        columns = columns[:, self.spoken]
        self.trees = HistGradientBoostingClassifier(early_stopping=False, random_state=seed, **BOOSTER)
        self.trees.fit(columns, bought)
        self.scaler = StandardScaler().fit(_logarithms(columns))
        self.gappy = np.isnan(columns).any(axis=0)
        scaled = self._scaled(columns)
        self.regression = LogisticRegression(C=REGRESSION_C, max_iter=ITERATIONS).fit(scaled, bought)
        self.network = MLPClassifier(UNITS, alpha=NETWORK_ALPHA, batch_size=BATCH, random_state=seed)
        for _ in range(EPOCHS):
            self.network.partial_fit(scaled, bought, classes=[False, True])
        return self

    def predict(self, columns: Floats) -> Floats:
        """Return the chance of each pair, shape (n_pairs,)."""
        if not len(columns):
            return np.zeros(0, dtype=np.float32)
        columns = columns[:, self.spoken]
        scaled = self._scaled(columns)
        odds = (
            TREES * _log_odds(self.trees.predict_proba(columns)[:, 1])
            + NETWORK * _log_odds(self.network.predict_proba(scaled)[:, 1])
            + REGRESSION * _log_odds(self.regression.predict_proba(scaled)[:, 1])
        )
        chances: Floats = (1 / (1 + np.exp(-odds))).astype(np.float32)
        return chances

    def _scaled(self, columns: Floats) -> Floats:
        """Return standardised logarithms, 0 where not known, and for each column that may be unknown whether it is."""
        scaled = np.nan_to_num(self.scaler.transform(_logarithms(columns)))
        return np.column_stack([scaled, np.isnan(columns[:, self.gappy])]).astype(np.float32)


def _logarithms(columns: Floats) -> Floats:
    """Return log(1 + x), of what is below 0 its mirror image."""
    return np.copysign(np.log1p(np.abs(columns)), columns)


def _log_odds(chances: Floats) -> Floats:
    sure = np.clip(chances, SURE, 1 - SURE)
    odds: Floats = np.log(sure / (1 - sure))
    return odds
