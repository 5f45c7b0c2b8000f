"""The geometry of the charts: lengths in percent of the drawing's width, so that SVG scales without script."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """A stretch of a stacked bar. `start` and `width` in percent."""

    name: str
    count: int
    start: float
    width: float


def stacked(parts: Sequence[tuple[str, int]]) -> list[Segment]:
    """Lay counts side by side; together they are 100 wide. Empty parts are left out."""
    total = sum(count for _, count in parts)
    segments: list[Segment] = []
    start = 0.0
    for name, count in parts:
        if count:
            width = 100 * count / total
            segments.append(Segment(name, count, round(start, 3), round(width, 3)))
            start += width
    return segments


def lengths(values: Sequence[float]) -> list[float]:
    """Return bar lengths in percent of the longest; negative values and a longest of zero give zero."""
    longest = max(values, default=0.0)
    if longest <= 0:
        return [0.0 for _ in values]
    return [round(100 * max(value, 0.0) / longest, 3) for value in values]
