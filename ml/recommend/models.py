"""The recommenders there are, which of them compete to be champion, and what those must beat."""

from collections.abc import Callable

from ml.recommend import chances
from ml.recommend.baselines import OwnPurchases, OwnPurchasesLately, Popular, RecentlyPopular
from ml.recommend.methods import ease, factors, products
from ml.recommend.methods.baskets import NextBasket
from ml.recommend.methods.blend import Blend
from ml.recommend.methods.content import Content
from ml.recommend.methods.customers import CosineCustomers, PearsonCustomers
from ml.recommend.methods.ease import Ease
from ml.recommend.methods.factors import AlsRecommender
from ml.recommend.methods.hybrid import Hybrid
from ml.recommend.methods.products import Bm25Neighbours, ItemNeighbours
from ml.recommend.methods.protocol import Recommender
from ml.recommend.methods.segments import PopularInSegment
from ml.recommend.methods.transitions import Transitions

Maker = Callable[[], Recommender]

METHODS: dict[str, Maker] = {
    each.method: each
    for each in (
        Popular,
        RecentlyPopular,
        PopularInSegment,
        OwnPurchases,
        OwnPurchasesLately,
        CosineCustomers,
        PearsonCustomers,
        ItemNeighbours,
        Bm25Neighbours,
        Transitions,
        NextBasket,
        Content,
        AlsRecommender,
        Ease,
        Blend,
        Hybrid,
    )
}
CANDIDATES: dict[str, Maker] = {
    each.method: each for each in (AlsRecommender, ItemNeighbours, Ease, Blend, Hybrid)
}
"""They go from what was bought to what is new, so they can say why; and what is saved of them holds nobody's purchases."""
BASELINES: dict[str, Maker] = {each.method: each for each in (Popular, OwnPurchases)}

EASE = {
    "penalty": ease.PENALTY,
    "kept": ease.KEPT,
    "most_products": ease.MOST_PRODUCTS,
}
PARAMETERS: dict[str, dict[str, float]] = {
    AlsRecommender.method: factors.ALS,
    ItemNeighbours.method: {"neighbours": products.NEIGHBOURS},
    Ease.method: EASE,
    Blend.method: factors.ALS | EASE,
    Hybrid.method: factors.ALS | EASE | chances.BOOSTER,
}

TRUSTED_TYPES = [
    "scipy.sparse._csr.csr_array",
    "ml.recommend.chances.Chances",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    *sorted(f"{make.__module__}.{make.__qualname__}" for make in METHODS.values()),
]
"""What skops may build when it loads a recommender, besides what it trusts by itself."""
