"""Where one customer stands among all customers of the day."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.words import percent


@dataclass(frozen=True)
class Standing:
    """A customer's place: shares (0 to 1) of customers with a lower, the same and a higher value."""

    below: float
    same: float
    above: float

    @property
    def position(self) -> float:
        """The mid-rank percentile, 0 to 1: ties count half."""
        return self.below + self.same / 2

    @property
    def sentence(self) -> str:
        """Where the customer stands, by whichever of the three shares says most."""
        if self.same >= 0.5:
            return f"the same as {percent(self.same)} of customers"
        if self.above == 0:
            return "no customer has more"
        if self.below == 0:
            return "no customer has less"
        if self.below >= self.above:
            return f"more than {percent(self.below)} of customers"
        return f"less than {percent(self.above)} of customers"


def standing(value: float, population: npt.NDArray[np.float64]) -> Standing | None:
    """Return where `value` stands in `population` (any order, no nulls), or None if that is empty."""
    if not population.size:
        return None
    below, above = float(np.mean(population < value)), float(np.mean(population > value))
    return Standing(below, max(0.0, 1.0 - below - above), above)
