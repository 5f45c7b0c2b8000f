"""What somebody who answers wants, by tables of phrases. Rules, no model: there are no real answers to learn from."""

import re
import unicodedata

from campaigns.replies.phrases import (
    ASKS,
    CANNOT,
    COMMANDS,
    COMMON_WORDS,
    COMPLAINT,
    LETTERS,
    PRAISE,
    STAY,
    TOPICS,
    UNSUBSCRIBE,
)
from campaigns.replies.reply import Intent, Reading, Topic

LONGEST = 2000
"""Characters of a reply that are read: what is wanted stands at its beginning."""

_UNSUBSCRIBE, _CANNOT, _STAY, _COMPLAINT, _PRAISE, _ASKS = (
    re.compile("|".join(table)) for table in (UNSUBSCRIBE, CANNOT, STAY, COMPLAINT, PRAISE, ASKS)
)
_COMMANDS = re.compile(COMMANDS)
_TOPICS = [(topic, re.compile(pattern)) for topic, pattern in TOPICS]
_KANA, _HAN = re.compile(r"[\u3040-\u30ff]"), re.compile(r"[\u3400-\u9fff]")


def read_intent(text: str, subject: str) -> Reading:
    """Return what a text and the subject above it want. A subject is looked at only for a command: the rest of it is ours.

    Whoever wants no more mail wants that first, whatever else they say; anger goes before what it asks, and a question
    before thanks in advance.
    """
    words = _plain(text)
    language = find_language(words)
    if _wants_to_leave(words) or _COMMANDS.fullmatch(_plain(subject).strip(" .!。")):
        return Reading(Intent.UNSUBSCRIBE, None, language)
    if _COMPLAINT.search(words):
        return Reading(Intent.COMPLAINT, None, language)
    if _ASKS.search(words):
        return Reading(Intent.QUESTION, _find_topic(words), language)
    if _PRAISE.search(words):
        return Reading(Intent.PRAISE, None, language)
    return Reading(Intent.OTHER, None, language)


def _wants_to_leave(words: str) -> bool:
    if _COMMANDS.fullmatch(words.strip(" .!。")) or _CANNOT.search(words):
        return True
    return bool(_UNSUBSCRIBE.search(words)) and not _STAY.search(words)


def _find_topic(words: str) -> Topic | None:
    return next((topic for topic, pattern in _TOPICS if pattern.search(words)), None)


def find_language(words: str) -> str:
    """Return which of our languages a text is in; empty where nothing tells.

    >>> find_language("wann kommt mein paket?"), find_language("包裹在哪里"), find_language("荷物はどこ"), find_language("ok")
    ('de', 'zh', 'ja', '')
    """
    if _KANA.search(words):
        return "ja"
    if _HAN.search(words):
        return "zh"
    found = re.findall(r"[^\W\d_]+", words)
    counts = {
        language: sum(word in common.split() for word in found)
        + sum(letter in LETTERS.get(language, "") for letter in words)
        for language, common in COMMON_WORDS.items()
    }
    most = max(counts, key=lambda language: counts[language])
    return most if counts[most] else ""


def _plain(text: str) -> str:
    """Return the beginning of a text in lower case, with single blanks and straight apostrophes."""
    folded = unicodedata.normalize("NFKC", text[: 2 * LONGEST]).lower().replace("\u2019", "'")
    return " ".join(folded.split())[:LONGEST]
