"""What the champion makes of texts, for whoever has some and must not fail for want of a model."""

from collections.abc import Sequence

from core.errors import LapwingError
from core.logging import get_logger
from core.settings import Settings


def sentiments(settings: Settings, texts: Sequence[str]) -> list[float | None]:
    """Return how content the writer of each text is, -1 to 1; None of a text without words, and of all without a champion."""
    import numpy as np  # here, not above: two seconds, which only a text is worth

    from ml.registry import Registry
    from ml.tables import SENTIMENT
    from ml.text.models import TRUSTED_TYPES

    asked = [place for place, text in enumerate(texts) if text.strip()]
    found: list[float | None] = [None] * len(texts)
    registry = Registry(settings)
    try:
        champion = registry.champion(SENTIMENT)
        if champion is None or not asked:
            return found
        model = registry.load(champion, TRUSTED_TYPES)
    except LapwingError as error:
        get_logger(__name__).warning("sentiment not asked", reason=str(error))
        return found
    words = np.array([texts[place] for place in asked], dtype=object)
    for place, sentiment in zip(asked, model.sentiments(words), strict=True):
        found[place] = float(sentiment)
    return found
