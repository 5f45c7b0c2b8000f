"""Lands how content the writers of reviews and of answers to mails are, as `sentiments`.

The champion is asked about a text once, when it is known, or anew when the review was changed; what it found then stands. So
features of a past day hold what was found by that day, never what a later model would say of an old text.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from core.clock import clock_of
from core.durable import locked
from core.logging import get_logger
from core.settings import Settings
from core.warehouse import reading
from sources.landing import load_landing
from sources.landing_rows import BEGINNING, COMMITTED_WITHIN, land, name_of, stamp

TEXTS_AT_ONCE = 20_000
"""Reviews asked about by one run; the rest waits for the next."""

Ask = Callable[[Settings, Sequence[str]], Sequence[float | None]]
"""Says how content the writer of each text is, -1 to 1; None: no model, or no words. The model is another part's."""

_UNASKED = """
    with newest as (
        from landing.reviews
        qualify
            row_number() over (
                partition by review_id order by known_at desc, source_file desc, source_row desc
            ) = 1
    ),

    asked as (
        select
            text_id,
            max(known_at) as known_at
        from landing.sentiments
        group by text_id
    )

    select
        'review-' || newest.review_id as text_id,
        newest.customer_id,
        newest.body,
        newest.reviewed_at,
        newest.known_at
    from newest
    left join asked on asked.text_id = 'review-' || newest.review_id
    where regexp_matches(newest.body, '\\S') and (asked.known_at is null or asked.known_at < newest.known_at)
    order by newest.known_at, newest.review_id
    limit ?
"""
_LANDED_ANSWERS = (
    "select text_id, max(known_at) from landing.sentiments where kind = 'reply' group by text_id"
)


class FeltAnswer(Protocol):
    """An answer by mail, and how content its words are."""

    @property
    def reply_id(self) -> str: ...
    @property
    def customer_id(self) -> str: ...
    @property
    def sentiment(self) -> float: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def taken_at(self) -> datetime: ...


class Answers(Protocol):
    """What the ledger says of answers. The ledger is another part's: whoever collects is handed it."""

    def felt_since(self, moment: datetime) -> Sequence[FeltAnswer]:
        """Return proven answers of which the sentiment is known that were taken since a moment."""


def collect_sentiments(settings: Settings, answers: Answers, ask: Ask) -> int:
    """Land the sentiment of every review and answer that is not landed yet; return how many those were.

    Answers were given theirs as they were taken. Reviews stay unasked while there is no champion.

    Raises
    ------
    ContractBroken
        As `load_landing` does: what the shop landed is loaded first.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with locked(settings.data_dir / "collecting.lock"):  # two collections would ask twice
        load_landing(settings)
        with reading(settings) as warehouse:
            unasked = warehouse.execute(_UNASKED, [TEXTS_AT_ONCE]).fetchall()
            landed = dict(warehouse.execute(_LANDED_ANSWERS).fetchall())
        now = clock_of(settings)()
        rows = [*_of_reviews(unasked, ask(settings, [body for _, _, body, *_ in unasked]), now)]
        reviews = len(rows)
        last = max((known_at.replace(tzinfo=UTC) for known_at in landed.values()), default=BEGINNING)
        since = last - COMMITTED_WITHIN
        rows += (row for row in map(_of_answer, answers.felt_since(since)) if row["text_id"] not in landed)
        if rows:
            land(settings.landing / "texts" / "sentiments" / f"{name_of(now)}.jsonl", rows)
    get_logger(__name__).info("sentiments collected", reviews=reviews, answers=len(rows) - reviews)
    return len(rows)


def _of_reviews(
    unasked: Sequence[tuple[str, str, str, datetime, datetime]], found: Sequence[float | None], now: datetime
) -> Iterator[dict[str, Any]]:
    for (text_id, customer_id, _, *moments), sentiment in zip(unasked, found, strict=True):
        written_at, known_at = (moment.replace(tzinfo=UTC) for moment in moments)
        if sentiment is not None:  # a shop's clock may be ahead of ours
            yield _row(text_id, customer_id, "review", sentiment, written_at, max(now, known_at))


def _of_answer(answer: FeltAnswer) -> dict[str, Any]:
    text_id, taken_at = f"reply-{answer.reply_id}", answer.taken_at
    written_at = min(answer.received_at, taken_at)
    return _row(text_id, answer.customer_id, "reply", answer.sentiment, written_at, taken_at)


def _row(
    text_id: str, customer_id: str, kind: str, sentiment: float, written_at: datetime, known_at: datetime
) -> dict[str, Any]:
    return {
        "text_id": text_id,
        "customer_id": customer_id,
        "kind": kind,
        "sentiment": round(sentiment, 4),
        "written_at": stamp(written_at),
        "known_at": stamp(known_at),
    }
