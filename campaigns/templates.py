"""Templates: the sources of one campaign's mail, compiled once, and the store that keeps every version.

    body.mjml ─┐  includes   mrml              Jinja, once per locale
    base.mjml ─┼─────────► one MJML ─────► HTML with Jinja in it ─────► mail
    _blocks/ ──┘

A version is the hash of what the mail is made of, so a stored template can prove that it is what it was.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import meta

from campaigns.copy_candidates import Candidate, load_candidates, require_facts, said, slot_sources
from campaigns.definitions import TEMPLATES, Brand, load_brand, load_campaign
from campaigns.facts import ALWAYS
from campaigns.guard import faults, faults_of_slot, too_long
from campaigns.language import (
    SOURCE_LOCALE,
    Message,
    check_catalogue,
    environment,
    formats_of,
    messages_of,
    read_catalogue,
    translations,
)
from campaigns.mjml import branded, compile_mjml, joined
from campaigns.render import NAMES, LinkAddresses, render
from campaigns.sends import MAIL
from core.errors import CampaignInvalid


@dataclass(frozen=True, eq=False)
class Template:
    """One version of a campaign's mail: Jinja sources, catalogues and brand; needs no file to be rendered.

    What goes out by another channel is text alone: `subject` and `html` are empty.
    """

    campaign_id: str
    version: str
    """First 12 hex digits of SHA-256 over everything else in here."""
    subject: str
    """Jinja source of two lines: subject and preheader."""
    html: str
    text: str
    catalogues: tuple[tuple[str, str], ...]
    """(locale, text of its .po file), sorted."""
    brand: Brand
    sources: tuple[tuple[str, str], ...]
    """(file, SHA-256 of its bytes), sorted: a changed comment is a new version too."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self.version == other.version

    def __hash__(self) -> int:
        return hash(self.version)

    def to_json(self) -> str:
        """Return the template as it is stored."""
        return json.dumps(_content(self) | {"version": self.version}, ensure_ascii=False, indent=1)


def compile_template(campaign_id: str, folder: Path = TEMPLATES, *, step: str = "") -> Template:
    """Compile one campaign's mail, or that of one of its steps, and check it in every locale with its example.

    Raises
    ------
    CampaignInvalid
        Naming file and place: a broken source, a name that neither `example.json` nor Lapwing gives, a message
        without translation, an example that cannot be rendered; a step that the campaign does not have.
    """
    steps = {each.name: each for each in load_campaign(folder / campaign_id).steps}
    if step not in steps:
        allowed = ", ".join(steps) if any(steps) else "none, for it has no steps"
        raise CampaignInvalid(f"campaign {campaign_id!r} has no step {step!r}; allowed: {allowed}")
    place = f"{campaign_id}/{step}" if step else campaign_id
    files = {f"{campaign_id}/campaign.yml": folder / campaign_id / "campaign.yml"}
    for name in steps[step].files[:-1]:
        files[f"{place}/{name}"] = folder / place / name
    channel = steps[step].channel
    candidates = load_candidates(place, folder) if channel == MAIL else []
    if candidates:
        files[f"{place}/copy.yml"] = folder / place / "copy.yml"
    for shared in ("_base/brand.yml", "_base/base.mjml", "_base/base.txt"):
        files[shared] = folder / shared
    for file in sorted((folder / "_blocks").glob("*.*")):
        files[f"_blocks/{file.name}"] = file
    for file in sorted((folder / "locales").glob("*/LC_MESSAGES/messages.po")):
        files[f"locales/{file.parts[-3]}/LC_MESSAGES/messages.po"] = file
    sources = {name: _read(file, name) for name, file in files.items()}

    brand = load_brand(folder)
    slots = {f"_blocks/copy_{slot}.txt": source for slot, source in slot_sources(candidates).items()}
    texts = sources | slots
    subject = html = ""
    if channel == MAIL:
        mjml = branded(joined("_base/base.mjml", place, texts), brand, html=True)
        subject = branded(joined(f"{place}/subject.txt", place, texts), brand, html=False)
        html = compile_mjml(mjml, place)
    text = "_base/base.txt" if channel == MAIL else f"{place}/message.txt"
    draft = Template(
        campaign_id=campaign_id,
        version="",
        subject=subject,
        html=html,
        text=branded(joined(text, place, texts), brand, html=False),
        catalogues=tuple(
            (name.split("/")[1], text)
            for name, text in sorted(sources.items())
            if name.startswith("locales/")
        ),
        brand=brand,
        sources=tuple(sorted((name, _sha256(text)) for name, text in sources.items())),
    )
    for slot in slot_sources(candidates):
        if not any(f"copy.{slot}." in part for part in (draft.subject, draft.html, draft.text)):
            raise CampaignInvalid(
                f"{place}/copy.yml has a {slot} that nothing of the mail shows; include copy_{slot}.txt"
            )
    template = replace(draft, version=_version(draft))
    _check(template, place, folder / place / "example.json", channel, candidates)
    return template


def catalogues(folder: Path = TEMPLATES) -> dict[str, str]:
    """Return locale → text of its .po file."""
    files = sorted((folder / "locales").glob("*/LC_MESSAGES/messages.po"))
    return {
        file.parts[-3]: _read(file, f"locales/{file.parts[-3]}/LC_MESSAGES/messages.po") for file in files
    }


class TemplateStore:
    """Compiled templates by campaign and version, one JSON file each, never changed once written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._loaded: dict[tuple[str, str], Template] = {}

    def path(self, campaign_id: str, version: str) -> Path:
        return self.root / campaign_id / f"{version}.json"

    def save(self, template: Template) -> Path:
        """Store a template; one that is stored already is left alone."""
        path = self.path(template.campaign_id, template.version)
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(template.to_json())
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
        return path

    def load(self, campaign_id: str, version: str) -> Template:
        """Return a stored template.

        Raises
        ------
        CampaignInvalid
            If there is none of this version, or its content is not what was stored.
        """
        if (campaign_id, version) not in self._loaded:
            self._loaded[campaign_id, version] = self._read(campaign_id, version)
        return self._loaded[campaign_id, version]

    def _read(self, campaign_id: str, version: str) -> Template:
        path = self.path(campaign_id, version)
        if not path.is_file():
            known = sorted(file.stem for file in path.parent.glob("[!.]*.json"))
            raise CampaignInvalid(
                f"template {campaign_id} {version} is not stored; stored: {', '.join(known) or 'none'}"
            )
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            template = _from_json(content)
        except (ValueError, KeyError, TypeError):
            template = None
        if template is None or version != template.version or version != _version(template):
            raise CampaignInvalid(
                f"template {campaign_id} {version} is damaged: its content does not have this version; "
                f"delete {path.name} and compile the sources of that day again"
            )
        return template


def _content(template: Template) -> dict[str, object]:
    return {
        "campaign_id": template.campaign_id,
        "subject": template.subject,
        "html": template.html,
        "text": template.text,
        "catalogues": [list(pair) for pair in template.catalogues],
        "brand": template.brand.model_dump(mode="json"),
        "sources": [list(pair) for pair in template.sources],
    }


def _from_json(content: dict[str, Any]) -> Template:
    def pairs(key: str) -> tuple[tuple[str, str], ...]:
        return tuple((str(name), str(text)) for name, text in content[key])

    return Template(
        campaign_id=str(content["campaign_id"]),
        version=str(content["version"]),
        subject=str(content["subject"]),
        html=str(content["html"]),
        text=str(content["text"]),
        catalogues=pairs("catalogues"),
        brand=Brand.model_validate(content["brand"]),
        sources=pairs("sources"),
    )


def _version(template: Template) -> str:
    return _sha256(json.dumps(_content(template), ensure_ascii=False))[:12]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(file: Path, name: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CampaignInvalid(f"{name} is missing") from None
    except UnicodeDecodeError as error:
        raise CampaignInvalid(f"{name} is not UTF-8: {error}") from None


def _check(template: Template, place: str, file: Path, channel: str, candidates: Sequence[Candidate]) -> None:
    try:
        facts = json.loads(_read(file, f"{place}/example.json"))
    except ValueError as error:
        raise CampaignInvalid(f"{place}/example.json is not JSON: {error}") from None
    if not isinstance(facts, dict):
        raise CampaignInvalid(f"{place}/example.json must hold one object, the facts of a mail")
    require_facts(candidates, facts, place)
    messages = list(_checked_messages(template, place, set(facts)))
    for locale, text in template.catalogues:
        catalogue = read_catalogue(locale, text)
        if locale != SOURCE_LOCALE and "_" not in locale:  # a regional one holds only what differs
            try:
                check_catalogue(locale, catalogue, messages)
            except CampaignInvalid as error:
                raise CampaignInvalid(f"campaign {place!r}: {error}") from None
        for first_name in (facts.get("first_name"), None):
            example = facts | {"first_name": first_name}
            rendered = render(template, example, locale, NOWHERE)
            found = faults(
                rendered.subject, rendered.preheader, rendered.text, example, locale, template.brand
            )
            for fault in chain(found, too_long(rendered.text, channel)):
                raise CampaignInvalid(f"campaign {place!r} (locale {locale}): {fault}")
            for candidate, words in said(candidates, example, locale, dict(template.catalogues)):
                for fault in faults_of_slot(candidate.slot, words, example, locale, template.brand):
                    raise CampaignInvalid(
                        f"{place}/copy.yml (locale {locale}): {candidate.candidate_id}: {fault}"
                    )


NOWHERE = LinkAddresses(
    click=lambda link_id: f"http://127.0.0.1/c/{link_id}",
    pixel="http://127.0.0.1/o",
    unsubscribe="http://127.0.0.1/u",
    preferences="http://127.0.0.1/p",
    survey=lambda stars: f"http://127.0.0.1/s/{stars}",
    coupon=lambda: "CODE0-CODE0",
)
"""The addresses of a mail that is only looked at."""


def _text_file(template: Template) -> str:
    return "body.txt" if template.html else "message.txt"


def _checked_messages(template: Template, place: str, facts: set[str]) -> Iterator[Message]:
    """Yield the template's messages; raise CampaignInvalid for a name nobody gives."""
    env = environment(translations([], {}), formats_of(SOURCE_LOCALE, [SOURCE_LOCALE]), html=False)
    parts = {"subject.txt": template.subject, "body.mjml": template.html, _text_file(template): template.text}
    for name, source in parts.items():
        try:
            yield from messages_of(source)
        except CampaignInvalid as error:
            raise CampaignInvalid(f"{place}/{name}, compiled: {error}") from None
        for undeclared in sorted(meta.find_undeclared_variables(env.parse(source)) - NAMES - facts - ALWAYS):
            raise CampaignInvalid(
                f"campaign {place!r} needs {undeclared!r} in {name} (every locale), which example.json lacks"
            )
