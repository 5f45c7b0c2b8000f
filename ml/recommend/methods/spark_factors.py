"""Factorisation by Spark MLlib: for more purchases than one machine factorises in the time there is."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import ServiceFailed
from core.settings import PROJECT
from ml.recommend.methods.factors import ALS, AlsRecommender
from ml.recommend.methods.protocol import log_orders
from ml.recommend.purchases import Histories

PYTHON = PROJECT / ".tools" / "spark" / "bin" / "python"
PROGRAM = Path(__file__).with_name("spark_program.py")


class SparkAls(AlsRecommender):
    """`AlsRecommender`, its factors of products found by Spark; everything after the fit is the same.

    Spark penalises a customer's or product's squared factors by its number of purchases times λ (Zhou, Wilkinson, Schreiber &
    Pan, "Large-Scale Parallel Collaborative Filtering for the Netflix Prize", AAIM 2008, section 3.1), `implicit` by λ alone. So
    λ is divided by the number of products that the customer of an average pair bought. On Complete Journey, at cut-offs 2017-07-17 and
    2017-11-06, lists come nearer to those of `implicit` than with the mean customer's or product's number.

    `session`: where Spark runs and with what; `shared`: a folder that this machine and Spark's executors reach by the same path
    (None: one for temporary files); `blocks`: into how many pieces customers, and products, are cut, each the work of one core at a time.
    A subclass for a cluster names all three.
    """

    method = "spark_als"
    session: ClassVar[Mapping[str, str]] = {
        "spark.master": "local[2]",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
    }
    shared: ClassVar[Path | None] = None
    blocks: ClassVar[int] = 2

    def fit(self, found: Histories, *, seed: int) -> Self:
        """Have Spark factorise. A product without purchases keeps factors of 0; where Spark fails, ServiceFailed says how."""
        weights = log_orders(found.counts)
        sizes = np.diff(weights.indptr).astype(float)
        customers = np.repeat(np.arange(found.shape[0]), np.diff(weights.indptr))
        pairs = {"customer": customers, "product": weights.indices, "weight": weights.data}
        als = {
            "rank": int(ALS["factors"]),
            "regParam": ALS["regularization"] * sizes.sum() / (sizes**2).sum(),
            "alpha": ALS["alpha"],
            "maxIter": int(ALS["iterations"]),
            "seed": seed,
            "numUserBlocks": self.blocks,
            "numItemBlocks": self.blocks,
        }
        with tempfile.TemporaryDirectory(prefix="lapwing-als-", dir=self.shared) as folder:
            pq.write_table(pa.table(pairs), f"{folder}/weights.parquet")
            _run(folder, self.session, als)
            factors = pq.read_table(f"{folder}/factors")
        self.product_ids = found.product_ids
        self.factors = np.zeros((found.shape[1], als["rank"]), dtype=np.float32)
        self.factors[factors["id"].to_numpy()] = np.stack(factors["features"].to_numpy())
        return self


def _run(folder: str, session: Mapping[str, str], als: Mapping[str, float]) -> None:
    command = [str(PYTHON), "-I", str(PROGRAM), folder, json.dumps(session), json.dumps(als)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise ServiceFailed(f"{PYTHON} is missing; run `scripts/setup.sh spark`") from None
    if done.returncode:
        raise ServiceFailed(f"Spark could not factorise (exit {done.returncode}):\n{done.stderr[-4000:]}")
