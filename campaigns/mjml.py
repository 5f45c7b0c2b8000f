"""From the sources of a mail to one Jinja template: includes, the brand's values, MJML to HTML. Reads no files."""

import re

import mrml
from markupsafe import escape

from campaigns.definitions import Brand
from core.errors import CampaignInvalid

_INCLUDE = re.compile(
    r"""<mj-include\s+path="([^"]+)"\s*/>|\{%[-+]?\s*include\s+["']([^"']+)["']\s*[-+]?%\}"""
)
_BRAND = re.compile(r"\{\{ *brand\.([a-z_.]+) *\}\}")


def joined(name: str, campaign_id: str, sources: dict[str, str], inside: tuple[str, ...] = ()) -> str:
    """Return a source with its includes in place; raise CampaignInvalid for one that there is not.

    mrml's own mj-include neither nests nor works inside mj-raw, and what it includes loses the width of the body.
    """
    if name in inside:
        raise CampaignInvalid(
            f"{name} includes itself, by way of {', '.join(inside[inside.index(name) + 1 :]) or name}"
        )

    def included(found: re.Match[str]) -> str:
        path = found[1] or found[2]
        for source in (f"_blocks/{path}", f"{campaign_id}/{path}"):
            if source in sources:
                return joined(source, campaign_id, sources, (*inside, name))
        known = ", ".join(key.removeprefix("_blocks/") for key in sources if key.startswith("_blocks/"))
        raise CampaignInvalid(f"{name} includes {path!r}, which is no block; allowed: {known}")

    return _INCLUDE.sub(included, sources[name].rstrip("\n"))


def branded(source: str, brand: Brand, *, html: bool) -> str:
    """Return a source with the values of `{{ brand.… }}` in place: a mail has 150 of them, the same in each."""
    values = brand.model_dump()

    def value(found: re.Match[str]) -> str:
        text: object = values
        for key in found[1].split("."):
            text = text.get(key) if isinstance(text, dict) else None
        if not isinstance(text, str):
            raise CampaignInvalid(f"{found[0]} is not in brand.yml; allowed: {', '.join(values)}")
        return str(escape(text)) if html else text

    return _BRAND.sub(value, source)


def compile_mjml(mjml: str, campaign_id: str) -> str:
    """Return HTML with the Jinja of the MJML still in it. Raises CampaignInvalid if it is no MJML."""
    options = mrml.RenderOptions(disable_comments=True, fonts={})
    try:
        output = mrml.to_html(mjml, render_options=options)
    except OSError as error:  # what mrml raises for any fault of the source
        raise CampaignInvalid(f"{campaign_id}/body.mjml, in base.mjml, is not MJML: {error}") from None
    unknown = re.search(r"<(mj-[\w-]+)", output.content)
    if unknown:
        raise CampaignInvalid(
            f"{campaign_id}/body.mjml, in base.mjml: {unknown[1]!r} is misplaced or no MJML element"
        )
    return output.content
