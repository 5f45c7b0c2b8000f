"""The charts of segments. Numbers in, a matplotlib figure out."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ml.figures import SIZE
from ml.segments.features import Floats
from ml.segments.trial import LEAST_STABILITY, Tried

SHOWN = 12


def profile_figure(title: str, features: Sequence[str], differences: Floats) -> Figure:
    """Show how far a segment's means lie from everybody's, the features that differ most, largest on top."""
    order = np.argsort(np.abs(differences), kind="stable")[-SHOWN:]
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.barh([features[place] for place in order], differences[order])
    axes.axvline(0.0, color="grey", linewidth=0.8)
    axes.set_xlabel("mean of the segment less mean of everybody, standard deviations")
    return figure


def sizes_figure(names: Sequence[str], sizes: Sequence[int]) -> Figure:
    """Show how many customers each segment has."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_title("Customers by segment, day of the training")
    bars = axes.barh(list(names)[::-1], list(sizes)[::-1])
    axes.bar_label(bars)
    return figure


def choice_figure(tried: Sequence[Tried], chosen: int) -> Figure:
    """Show silhouette and stability by number of segments, the least stability, and which was chosen."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_title("How many segments")
    ks = [each.k for each in tried]
    axes.plot(ks, [each.silhouette for each in tried], marker="o", label="silhouette")
    axes.plot(ks, [each.stability for each in tried], marker="o", label="stability")
    axes.axhline(LEAST_STABILITY, linestyle=":", color="grey", label="least stability")
    axes.axvline(chosen, color="black", linewidth=0.8, label="chosen")
    axes.set_xlabel("segments")
    axes.set_xticks(ks)
    axes.legend()
    return figure
