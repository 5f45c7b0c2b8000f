"""What RecTools says of the lists in a JSON file; run by the Python of `.tools/peers`, which has nothing of ours.

Read: k, n_products, lists (of each customer, best first), bought and before (pairs of customer and product), categories
(of each product). Printed: by metric, the figure of each customer it has one for; and the coverage.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from rectools import Columns
from rectools.metrics import (
    MAP,
    NDCG,
    AvgRecPopularity,
    CatalogCoverage,
    F1Beta,
    HitRate,
    IntraListDiversity,
    MeanInvUserFreq,
    PairwiseHammingDistanceCalculator,
    Precision,
    Recall,
)


def figures(given: dict[str, Any]) -> dict[str, Any]:
    k, pair = given["k"], [Columns.User, Columns.Item]
    ranked = [
        (customer, product, rank)
        for customer, products in enumerate(given["lists"])
        for rank, product in enumerate(products, start=1)
    ]
    lists = pd.DataFrame(ranked, columns=[*pair, Columns.Rank])
    bought, before = (pd.DataFrame(given[name], columns=pair) for name in ("bought", "before"))
    features = pd.DataFrame({"category": given["categories"]}, index=range(given["n_products"]))
    by_customer = {
        "recall": Recall(k).calc_per_user(lists, bought),
        "precision": Precision(k).calc_per_user(lists, bought),
        "f1": F1Beta(k).calc_per_user(lists, bought),
        "hit_rate": HitRate(k).calc_per_user(lists, bought),
        "ndcg": NDCG(k, divide_by_achievable=True).calc_per_user(lists, bought),
        "average_precision": MAP(k).calc_per_user(lists, bought),
        "novelty": MeanInvUserFreq(k).calc_per_user(lists, before),
        "popularity": AvgRecPopularity(k).calc_per_user(lists, before),
        "diversity": IntraListDiversity(k, PairwiseHammingDistanceCalculator(features)).calc_per_user(lists),
    }
    coverage = CatalogCoverage(k, normalize=True).calc(lists, range(given["n_products"]))
    return {name: each.to_dict() for name, each in by_customer.items()} | {"coverage": coverage}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(figures(json.loads(Path(sys.argv[1]).read_text()))))
