"""Names for segments, from what sets them apart: "lapsing big spenders".

A name is a word for how the customers of a segment are and one for who they are, from the short lists below. A word is
true of a segment if its mean differs by half a standard deviation or more from everybody's (Cohen's "medium" difference).
Of how, the word that differs most is taken; of who, the first that is true: money says more than how often it comes. Where
two segments would be called alike, both say more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml.segments.features import Floats

LEAST = 0.5
"""Standard deviations from which on a word is true."""
KEPT = 0.25
"""A segment keeps yesterday's name while each of its words differs by this much: a name must not flicker."""
ANYBODY = "customers"
NOTHING_SPECIAL = "average"


@dataclass(frozen=True)
class Axis:
    """Features that say one thing together (their mean difference counts), and the words for much and little of it."""

    features: tuple[str, ...]
    much: str
    little: str


HOW = (
    Axis(("recency_days", "gap_ratio"), "lapsing", "active"),
    Axis(("tenure_days",), "long-standing", "new"),
    Axis(("orders_trend_ratio", "spend_trend_ratio"), "rising", "fading"),
    Axis(("discount_share",), "discount-seeking", "full-price"),
    Axis(("own_brand_share",), "own-brand", "branded-goods"),
    Axis(("category_entropy",), "many-category", "few-category"),
    Axis(("weekend_share",), "weekend", "weekday"),
    Axis(("morning_share",), "morning", "later-in-the-day"),
    Axis(("evening_share",), "evening", "daytime"),
)
WHO = (
    Axis(("spend_lifetime_cents",), "big spenders", "small spenders"),
    Axis(("orders_lifetime_count",), "regulars", "occasional customers"),
    Axis(("basket_mean_cents",), "big-basket customers", "small-basket customers"),
)


def names(
    features: Sequence[str], differences: Floats, sizes: Sequence[int], before: Mapping[int, str]
) -> list[str]:
    """Return a name for each segment, all different.

    Parameters
    ----------
    features : the features of the model
    differences : shape (n_segments, n_features)
        Mean of a segment less the mean of everybody, in standard deviations.
    sizes : customers in each segment
        Of equals that no word tells apart, the largest goes without a number.
    before : segment -> the name it had
        Kept while it is true.
    """
    said = [_words(dict(zip(features, row, strict=True))) for row in differences]
    found = {number: name for number, name in before.items() if _is_true(name, said[number])}
    rest = [number for number in range(len(said)) if number not in found]
    counts = dict.fromkeys(rest, 1)
    while True:
        named = {number: _name(said[number], counts[number]) for number in rest}
        taken = [*found.values(), *named.values()]
        clashing = [
            number
            for number in rest
            if taken.count(named[number]) > 1 and counts[number] < len(_true(said[number], HOW))
        ]
        if not clashing:
            break
        counts |= {number: counts[number] + 1 for number in clashing}
    for number in sorted(rest, key=lambda each: (-sizes[each], each)):
        found[number] = _numbered(named[number], set(found.values()))
    return [found[number] for number in range(len(said))]


Words = dict[str, float]
"""Each word that could be said of a segment, and how many standard deviations speak for it."""


def _words(differences: Mapping[str, float]) -> Words:
    words: Words = {}
    for axis in (*HOW, *WHO):
        present = [differences[name] for name in axis.features if name in differences]
        if present:
            mean = float(np.mean(present))
            words |= {axis.much: mean, axis.little: -mean}
    return words


def _true(words: Words, axes: Sequence[Axis]) -> list[str]:
    """Return the words that are true, in the order of the list."""
    return [word for axis in axes for word in (axis.much, axis.little) if words.get(word, 0.0) >= LEAST]


def _name(words: Words, count: int) -> str:
    who = (_true(words, WHO) or [ANYBODY])[0]
    how = _true(words, HOW)
    strongest = sorted(how, key=lambda word: -words[word])[:count]
    if who == ANYBODY and not how:
        return f"{NOTHING_SPECIAL} {ANYBODY}"
    return " ".join([*(word for word in how if word in strongest), who])


def _is_true(name: str, words: Words) -> bool:
    """Say whether every word of a name still holds; one that is not in the lists any more does not."""
    left = f" {name} "
    for word in sorted(words, key=len, reverse=True):
        if f" {word} " in left and words[word] >= KEPT:
            left = left.replace(f" {word} ", " ")
    if left.split() == [NOTHING_SPECIAL, ANYBODY]:
        return max(words.values(), default=0.0) < LEAST
    return left.split() in ([], [ANYBODY])


def _numbered(name: str, taken: set[str]) -> str:
    number, found = 2, name
    while found in taken:
        found, number = f"{name} {number}", number + 1
    return found
