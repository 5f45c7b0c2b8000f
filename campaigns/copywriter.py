"""Copy that a language model writes, where a key for one is set: asked for by mail, language and category, never for a customer.

What leaves is what the mail is for, a language and a category of the shop. What comes back is judged like all copy, kept with
the reason where it is rejected, and asked for once: the next days take what was kept.
"""

import hashlib
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

import httpx
import pyarrow.compute as pc

from campaigns.definitions import Brand, load_brand
from campaigns.facts import SLOTS, one_line
from campaigns.guard import LONGEST_SHOWN, faults_of_slot
from core.logging import get_logger
from core.published import Published
from core.settings import Settings

MOST_ASKED = 40
"""Requests a day."""
MOST_CATEGORIES = 8
"""Of each mail and language: those that sell most."""
MOST_FAILURES = 3
"""After so many in a row nothing more is asked on the day; authored copy goes out."""
WAIT_SECONDS = 20.0
ASK = (
    "You write short texts for an e-mail of a shop. Answer with one JSON object with the keys {slots}; each value is one plain"
    " sentence or phrase in the language asked for. State no number, price, date, discount, name or brand, and promise nothing."
)


class Profile(NamedTuple):
    """For whom copy is asked: readers of a mail in a language whose first product is of a category."""

    campaign_id: str
    step: int
    locale: str
    category: str


class Mail(NamedTuple):
    """A mail for which copy can be asked: what it is for, and the slots that a model may write for."""

    campaign_id: str
    step: int
    purpose: str
    slots: frozenset[str]


Row = dict[str, Any]


class Copywriter:
    """An OpenAI-compatible endpoint (`POST /v1/chat/completions`)."""

    def __init__(self, settings: Settings, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._model = settings.copy_model
        self._client = httpx.Client(
            base_url=settings.copy_url,
            headers={"Authorization": f"Bearer {settings.copy_key.get_secret_value()}"},
            timeout=wait_seconds,
            trust_env=False,
        )

    def ask(self, profile: Profile, purpose: str, wanted: Collection[str] = SLOTS) -> dict[str, str] | None:
        """Return slot → text for a profile; None where the endpoint fails, says something else or takes too long."""
        slots = [slot for slot in SLOTS if slot in wanted]
        lengths = {slot: f"at most {LONGEST_SHOWN[slot] // 2} characters" for slot in slots}
        wish = {
            "purpose": purpose,
            "language": profile.locale,
            "products": profile.category,
            "lengths": lengths,
        }
        body = {
            "model": self._model,
            "response_format": {"type": "json_object"},
            "messages": [
                {"role": "system", "content": ASK.format(slots=", ".join(slots))},
                {"role": "user", "content": json.dumps(wish, ensure_ascii=False)},
            ],
        }
        try:
            answer = self._client.post("/v1/chat/completions", json=body).raise_for_status().json()
            said = json.loads(answer["choices"][0]["message"]["content"])
            return {slot: one_line(said[slot]) for slot in slots if isinstance(said.get(slot), str)}
        except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            get_logger(__name__).warning(
                "no copy was written", error=type(error).__name__, **profile._asdict()
            )
            return None


def written(settings: Settings, as_of: date, mails: Sequence[Mail], languages: Iterable[str]) -> list[Row]:
    """Return the generated candidates of mails, by `copy_candidates`' columns: those kept, and those of new profiles.

    What was kept is judged again, by the words and names of today. A day that has some already asks nothing: planned again, it
    says the same. Without a key nothing is asked and nothing generated is said.
    """
    if not settings.copy_key.get_secret_value():
        return []
    published = Published(settings.published)
    categories, names = _of_products(published, as_of)
    brand, slots = load_brand(), {(mail.campaign_id, mail.step): mail.slots for mail in mails}
    day, found = _kept(published, as_of)
    known = {_profile(row) for row in found}
    kept = [
        judged(_profile(row), row["slot"], row["text"], brand, names)
        for row in found
        if row["slot"] in slots.get((row["campaign_id"], row["step"]), ())
    ]
    if day == as_of:
        return kept
    wanted = [
        (mail, profile)
        for category, mail, language in itertools.product(categories, mails, sorted(languages))
        if (profile := Profile(mail.campaign_id, mail.step, language, category)) not in known
    ]
    return kept + list(_new(Copywriter(settings), wanted[:MOST_ASKED], brand, names))


def _new(
    writer: Copywriter, wanted: Sequence[tuple[Mail, Profile]], brand: Brand, names: Sequence[str]
) -> Iterator[Row]:
    failures = 0
    for mail, profile in wanted:
        texts = writer.ask(profile, mail.purpose, mail.slots)
        failures = failures + 1 if texts is None else 0
        if failures == MOST_FAILURES:
            return
        for slot in sorted(mail.slots & (texts or {}).keys()):
            yield judged(profile, slot, (texts or {})[slot], brand, names)


def judged(profile: Profile, slot: str, text: str, brand: Brand, names: Sequence[str]) -> Row:
    """Return a text as a candidate of its slot, with the reason where no mail may say it: it has no fact to state."""
    about = profile.category.casefold()
    strangers = [name for name in names if name.casefold() not in about]
    rejected = "; ".join(faults_of_slot(slot, text, {}, profile.locale, brand, strangers)) or None
    if rejected:
        get_logger(__name__).info("copy rejected", slot=slot, why=rejected, **profile._asdict())
    return {
        **profile._asdict(),
        "slot": slot,
        "place": 1000,  # after what was authored
        "candidate_id": "w" + hashlib.sha256(text.encode()).hexdigest()[:8],
        "origin": "generated",
        "about": "first",
        "least_products": 1,
        "text": text,
        "rejected": rejected,
    }


def _profile(row: Row) -> Profile:
    return Profile(row["campaign_id"], row["step"], row["locale"], row["category"])


def _kept(published: Published, as_of: date) -> tuple[date | None, list[Row]]:
    """Return the newest day that has generated candidates, the day itself included, and those."""
    for day in reversed([day for day in published.days("copy_candidates") if day <= as_of]):
        rows = published.read("copy_candidates", day).to_pylist()
        if generated := [row for row in rows if row["origin"] == "generated"]:
            return day, generated
    return None, []


def _of_products(published: Published, as_of: date) -> tuple[list[str], list[str]]:
    """Return the categories that sell most, best first, and every name of a product or brand."""
    products = published.read(
        "products", as_of, ["name", "brand", "category", "sold_90d_count", "is_recommendable"]
    )
    shown = products.filter(pc.field("is_recommendable") & pc.field("category").is_valid())
    sold = shown.group_by("category").aggregate([("sold_90d_count", "sum")]).to_pylist()
    best = sorted(sold, key=lambda row: (-row["sold_90d_count_sum"], row["category"]))
    names = {*products["name"].to_pylist(), *products["brand"].to_pylist()} - {None, ""}
    return [row["category"] for row in best[:MOST_CATEGORIES]], sorted(names)
