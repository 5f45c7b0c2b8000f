"""Lists of RecTools' factorisation, read as and printed as JSON; run by the Python of `.tools/peers`, which has nothing of ours.

Read: pairs (customer and product of each purchase), weight (of each), k, asked (customers), als (what `implicit` takes).
Printed: the list of each customer asked, best first, of products they have not bought.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from implicit.als import AlternatingLeastSquares
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import ImplicitALSWrapperModel


def lists(given: dict[str, Any]) -> list[list[int]]:
    bought = pd.DataFrame(given["pairs"], columns=[Columns.User, Columns.Item])
    bought[Columns.Weight] = given["weight"]
    bought[Columns.Datetime] = pd.Timestamp("2020-01-01")  # asked for, and not used by factorisation
    data = Dataset.construct(bought)
    model = ImplicitALSWrapperModel(AlternatingLeastSquares(**given["als"])).fit(data)
    found = model.recommend(given["asked"], data, k=given["k"], filter_viewed=True)
    by_customer = found.sort_values(Columns.Rank).groupby(Columns.User)[Columns.Item].agg(list)
    return [by_customer[customer] for customer in given["asked"]]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(lists(json.loads(Path(sys.argv[1]).read_text()))))
