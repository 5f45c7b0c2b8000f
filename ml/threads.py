"""How many threads the arithmetic takes."""

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

THREADS = 2
"""Pieces of work done side by side where each is alone with its rows: how many there are changes no number."""


def one_thread() -> AbstractContextManager[object]:
    """Keep BLAS and OpenMP to one thread: on a busy machine more are slower, and sums keep their order."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limits


def limit_this_thread() -> None:
    """Do the same for good in a thread of a pool: OpenMP's limit holds only in the thread that sets it."""
    threadpool_limits(limits=1)
