"""How fast recommenders are at 200,000 customers x 20,000 products: `python -m benchmarks.recommend_speed` (`make bench-recommend-speed`).

SIMULATED purchases (`benchmarks/tastes.py`). Both sides do the same work, by turns in one process: the 20 best products for everybody
that they have not bought, with the same factors or neighbours and one thread of BLAS, which `implicit` asks for. Each step runs in a
process of its own, so that its peak of memory is the step's.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import ItemItemRecommender
from scipy.sparse import csr_matrix

from benchmarks.features import run_apart, say
from benchmarks.results import Result, write
from benchmarks.tastes import LAST_DAY, make_histories, product_table, purchases_of
from core.settings import PROJECT
from ml.provenance import SEED
from ml.recommend.lists import NONE, Floats, Ints, Lists
from ml.recommend.methods.factors import ALS, AlsRecommender
from ml.recommend.methods.products import NEIGHBOURS, ItemNeighbours
from ml.recommend.methods.protocol import log_orders
from ml.recommend.models import CANDIDATES
from ml.recommend.purchases import Histories
from ml.recommend.serving import Shelves, may_be_listed
from ml.recommend.trade.rules import load_rules
from ml.recommend.trade.shop import Trade
from ml.threads import THREADS, one_thread

K, ROUNDS = 20, 3
CHECKED, CALLS = 2_000, 1_000
SHARES = (0.25, 1.0)
"""Of the customers, and so of the interactions: two sizes for the exponent."""


@dataclass(frozen=True)
class Size:
    customers: int = 200_000
    products: int = 20_000
    pairs: int = 9_600_000

    def part(self, share: float) -> "Size":
        return Size(int(self.customers * share), self.products, int(self.pairs * share))

    def words(self) -> list[str]:
        return [f"--{name}={value}" for name, value in vars(self).items()]


class Solved(AlsRecommender):
    """Factorisation whose customers' factors are known already, as `implicit` keeps them from its fit."""

    def __init__(self, model: AlternatingLeastSquares, asked: Histories) -> None:
        super().__init__()
        self.customers, self.factors, self.ids = model.user_factors, model.item_factors, asked.customer_ids

    def of_customers(self, asked: Histories) -> Floats:
        start = int(np.searchsorted(self.ids, asked.customer_ids[0]))
        factors: Floats = self.customers[start : start + asked.shape[0]]
        return factors


def main() -> None:
    """Measure, and append what was found to RESULTS.md."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.recommend_speed", description=__doc__)
    for name, value in vars(Size()).items():
        options.add_argument(f"--{name}", type=int, default=value)
    options.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)  # a process of ours
    chosen = options.parse_args()
    size = Size(chosen.customers, chosen.products, chosen.pairs)
    if chosen.step:
        print(json.dumps(STEPS[chosen.step](size)))
        return
    what = f"SIMULATED: {size.customers:,} customers, {size.products:,} products, {size.pairs:,} interactions; 20 products each"
    write("recommend_speed", what, measure(size))


def measure(size: Size) -> Iterator[Result]:
    """Yield every figure as it is found."""
    yield from peer_results(apart("factorisation", size), apart("neighbours", size))
    for name in CANDIDATES:
        found = [apart(name, size.part(share)) for share in SHARES]
        whole = found[-1]
        both = [each["fit"] + each["score"] for each in found]
        exponent = float(np.polyfit(np.log(SHARES), np.log(both), 1)[0])
        yield Result(f"{name}: fit", whole["fit"], "s", "no target")
        yield Result(f"{name}: fit + lists for everybody", both[-1], "s", "≤ 360", both[-1] <= 360)
        yield Result(f"{name}: its peak memory", whole["gib"], "GiB", "≤ 6", whole["gib"] <= 6)
        yield Result(f"{name}: cost exponent in interactions", exponent, "", "≤ 1.1", exponent <= 1.1)
        yield Result(f"{name}: one customer, p99", whole["p99_ms"], "ms", "≤ 20", whole["p99_ms"] <= 20)


def peer_results(factorisation: dict[str, float], neighbours: dict[str, float]) -> Iterator[Result]:
    """Yield times of `implicit`, ours as ratios of them, and how exact ours are."""
    known, solved = factorisation["known_ratio"], factorisation["solved_ratio"]
    yield Result(
        "factorisation: implicit, customers' factors known", factorisation["known_theirs"], "s", "the peer"
    )
    yield Result("ours / implicit, customers' factors known", known, "", "≤ 0.6", known <= 0.6)
    yield Result("factorisation: implicit, solving them too", factorisation["solved_theirs"], "s", "the peer")
    yield Result("ours / implicit, solving them too", solved, "", "≤ 0.6", solved <= 0.6)
    exact = factorisation["exact"]
    yield Result(
        f"lists as sorting all float32 scores finds them ({CHECKED:,} customers)", exact, "", "1", exact == 1
    )
    yield Result("places where implicit lists the same", factorisation["same"], "", "no target")
    yield Result("item neighbours: implicit, fit + lists", neighbours["theirs"], "s", "the peer")
    ratio = neighbours["ratio"]
    yield Result("ours / implicit, fit + lists", ratio, "", "≤ 1", ratio <= 1)
    yield Result("places where implicit lists the same", neighbours["same"], "", "no target")


def apart(step: str, size: Size) -> dict[str, float]:
    say(f"{step}, {size.pairs:,} interactions")
    found = run_apart("benchmarks.recommend_speed", *size.words(), f"--step={step}")
    say(json.dumps(found))
    return found


def factorisation(size: Size) -> dict[str, float]:
    """Compare lists by the same factors: customers' known to both, then solved by both."""
    asked = made(size)
    weights = csr_matrix(log_orders(asked.counts))
    everybody = np.arange(size.customers)
    with one_thread():
        peer = AlternatingLeastSquares(
            factors=int(ALS["factors"]), regularization=ALS["regularization"], alpha=ALS["alpha"],
            iterations=int(ALS["iterations"]), num_threads=THREADS, random_state=SEED,
        )  # fmt: skip
        peer.fit(weights, show_progress=False)
    ours = AlsRecommender()
    ours.factors, ours.product_ids = peer.item_factors, asked.product_ids
    found: dict[str, float] = {}
    for name, model, solving in (("known", Solved(peer, asked), False), ("solved", ours, True)):
        theirs, mine, ids, lists = by_turns(
            partial(peer.recommend, everybody, weights, N=K, recalculate_user=solving),
            partial(model.recommend, asked, K, exclude=asked.counts),
        )
        found |= {f"{name}_theirs": theirs, f"{name}_ratio": mine / theirs}
    return found | {"same": float((ids == lists.products).mean()), "exact": exact_share(ours, asked, lists)}


def neighbours(size: Size) -> dict[str, float]:
    """Compare fit and lists of item neighbours by cosine: the same weights, as many neighbours."""
    asked = made(size)
    everybody = np.arange(size.customers)
    weights = csr_matrix(log_orders(asked.counts), dtype=np.float64)

    def of_peer() -> tuple[Ints, Floats]:
        lengths = np.sqrt(weights.multiply(weights).sum(axis=0).A1)
        peer = ItemItemRecommender(K=NEIGHBOURS + 1, num_threads=THREADS)
        peer.fit(csr_matrix(weights.multiply(1 / np.maximum(lengths, 1e-12))), show_progress=False)
        found: tuple[Ints, Floats] = peer.recommend(everybody, weights, N=K)
        return found

    def of_ours() -> Lists:
        return ItemNeighbours().fit(asked, seed=SEED).recommend(asked, K, exclude=asked.counts)

    theirs, mine, ids, lists = by_turns(of_peer, of_ours)
    return {"theirs": theirs, "ratio": mine / theirs, "same": float((ids == lists.products).mean())}


def by_turns(
    of_peer: Callable[[], tuple[Ints, Floats]], of_ours: Callable[[], Lists]
) -> tuple[float, float, Ints, Lists]:
    """Return the median seconds of both and what they found last."""
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    for _ in range(ROUNDS):
        start = time.perf_counter()
        with one_thread():
            ids, _ = of_peer()
        between = time.perf_counter()
        lists = of_ours()
        seconds["theirs"].append(between - start)
        seconds["ours"].append(time.perf_counter() - between)
    return statistics.median(seconds["theirs"]), statistics.median(seconds["ours"]), ids, lists


def exact_share(model: AlsRecommender, asked: Histories, lists: Lists) -> float:
    """Return the share of some customers whose list is that of a stable sort of their float32 scores."""
    some = min(CHECKED, asked.shape[0])
    scores = model.scores(asked.between(0, some))
    scores[asked.counts[:some].nonzero()] = 0
    order = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    listed = np.where(np.take_along_axis(scores, order, axis=1) > 0, order, NONE)
    return float((listed == lists.products[:some]).all(axis=1).mean())


def candidate(name: str, size: Size) -> dict[str, float]:
    """Fit a candidate, make lists for everybody, then for one customer at a time, with one thread of BLAS as when scoring.

    Of one customer it is the whole way: both questions, under the shop's own rules of trade, with reasons.
    """
    asked = made(size)
    with one_thread():
        start = time.perf_counter()
        model = CANDIDATES[name]().fit(asked, seed=SEED)
        fitted = time.perf_counter()
        model.recommend(asked, K, exclude=asked.counts)
        scored = time.perf_counter()
        gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        products = product_table(asked)
        trade = Trade(LAST_DAY, load_rules(PROJECT / "rules_of_trade.yml"), products)
        allowed = may_be_listed(products, LAST_DAY)
        shelves = Shelves.of(model, purchases_of(asked), trade=trade, allowed=allowed)
        calls = [milliseconds(shelves, each) for each in drawn(asked)]
    return {
        "fit": fitted - start, "score": scored - fitted, "gib": gib, "p99_ms": float(np.percentile(calls, 99)),
    }  # fmt: skip


def drawn(asked: Histories) -> list[str]:
    chosen: list[str] = np.random.default_rng(SEED).choice(asked.customer_ids, CALLS).tolist()
    return chosen


def milliseconds(shelves: Shelves, customer_id: str) -> float:
    """Return how long the lists of one customer take."""
    start = time.perf_counter()
    shelves.recommend([customer_id])
    return 1000 * (time.perf_counter() - start)


def made(size: Size) -> Histories:
    asked = make_histories(size.customers, size.products, size.pairs)
    _ = asked.counts  # both sides get the table of purchases ready
    return asked


STEPS: dict[str, Callable[[Size], dict[str, float]]] = {
    "factorisation": factorisation,
    "neighbours": neighbours,
    **{name: partial(candidate, name) for name in CANDIDATES},
}

if __name__ == "__main__":
    main()
