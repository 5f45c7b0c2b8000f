"""How many threads the arithmetic takes."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

Piece = TypeVar("Piece")
Found = TypeVar("Found")

THREADS = 2
"""Pieces of work done side by side where each is alone with its rows: how many there are changes no number."""


def one_thread() -> AbstractContextManager[object]:
    """Keep BLAS and OpenMP to one thread: on a busy machine more are slower, and sums keep their order."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limits


def limit_this_thread() -> None:
    """Do the same for good in a thread of a pool: OpenMP's limit holds only in the thread that sets it."""
    threadpool_limits(limits=1)


def side_by_side(of_piece: Callable[[Piece], Found], pieces: Sequence[Piece]) -> list[Found]:
    """Return what comes of each piece, in their order; `THREADS` at once, each with one thread of BLAS and OpenMP."""
    if len(pieces) == 1:
        return [of_piece(pieces[0])]  # a pool takes longer to start than one customer to score
    with one_thread(), ThreadPoolExecutor(THREADS, initializer=limit_this_thread) as threads:
        return list(threads.map(of_piece, pieces))
