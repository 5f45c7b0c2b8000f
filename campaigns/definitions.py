"""What a campaign and the brand are: `campaign.yml` and `_base/brand.yml`, checked when they are loaded."""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from core.errors import CampaignInvalid
from core.settings import PROJECT

TEMPLATES = PROJECT / "email_templates"
CAMPAIGN_FILES = ("campaign.yml", "subject.txt", "body.mjml", "body.txt", "example.json")
NOT_CAMPAIGNS = {"locales"}

Model = TypeVar("Model", bound=BaseModel)
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\r\n]+$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Hex = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
Host = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*$")]


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Campaign(_Checked):
    """One campaign as its folder's `campaign.yml` describes it."""

    campaign_id: Identifier
    title: Annotated[Line, Field(max_length=80)]
    description: Line
    owner: Line
    priority: int = Field(ge=0, le=1000)
    """Where a customer qualifies for several campaigns on a day, the highest wins."""
    holdout_share: float = Field(ge=0, le=0.5)
    """Share (0 to 0.5) of candidates who get nothing, so that the effect can be measured."""
    holdout_key: Identifier
    """Campaigns with the same key hold out the same customers."""
    min_products: int = Field(ge=0, le=12)
    """A candidate with fewer products gets the verdict `no_content`."""
    max_products: int = Field(ge=0, le=12)
    expires_after_hours: int | None = Field(None, ge=1, le=240)
    """How long after its planned moment a mail may still begin; without it, until 24 hours after the end of its day."""

    @model_validator(mode="after")
    def _products_in_order(self) -> Self:
        if self.min_products > self.max_products:
            raise ValueError(f"min_products must be at most max_products, which is {self.max_products}")
        return self


class Colour(_Checked):
    """A colour as readers with a light and with a dark screen see it."""

    light: Hex
    dark: Hex


class Tile(_Checked):
    """What stands in for the picture of a product."""

    emoji: Line
    colour: Identifier


class TileRule(Tile):
    """A tile and the words, singular and in lower case, that call for it."""

    words: tuple[Line, ...] = Field(min_length=1, strict=False)


class Colours(_Checked):
    """The colours every template may use."""

    page: Colour
    card: Colour
    ink: Colour
    muted: Colour
    line: Colour
    accent: Colour
    on_accent: Colour
    soft: Colour


class Brand(_Checked):
    """Who writes: the shop's name, addresses, colours and fonts."""

    name: Line
    url: Annotated[Line, StringConstraints(pattern=r"^https?://")]
    link_hosts: tuple[Host, ...] = Field(min_length=1, strict=False)
    postal_address: Line
    font: Line
    heading_font: Line
    colours: Colours
    tile_colours: dict[Identifier, Colour]
    tiles: tuple[TileRule, ...] = Field(strict=False)
    default_tile: Tile

    @field_validator("*")
    @classmethod
    def _plain(cls, value: object) -> object:
        if isinstance(value, str) and re.search(r"\{[{%#]|<", value):  # it becomes part of templates
            raise ValueError(f"{value!r} must be plain text, without template syntax or markup")
        return value

    @model_validator(mode="after")
    def _tiles_have_colours(self) -> Self:
        for tile in (*self.tiles, self.default_tile):
            if tile.colour not in self.tile_colours:
                known = ", ".join(self.tile_colours)
                raise ValueError(f"the tile {tile.emoji} has colour {tile.colour!r}; allowed: {known}")
        return self

    @cached_property
    def tile_of_word(self) -> Mapping[str, tuple[int, Tile]]:
        """Word (or words) → rank of its rule and tile; a word of two rules belongs to the first."""
        found: dict[str, tuple[int, Tile]] = {}
        for rank, rule in enumerate(self.tiles):
            for word in rule.words:
                found.setdefault(word, (rank, rule))
        return found


def load_campaigns(folder: Path = TEMPLATES) -> dict[str, Campaign]:
    """Return every campaign in `folder`, by id, highest priority first.

    Raises
    ------
    CampaignInvalid
        Naming file, key and what would be allowed; also if two campaigns have the same priority, which would
        leave open who wins a customer.
    """
    found = [load_campaign(path) for path in _campaign_folders(folder)]
    by_priority: dict[int, Campaign] = {}
    for campaign in found:
        other = by_priority.setdefault(campaign.priority, campaign)
        if other is not campaign:
            taken = ", ".join(str(each.priority) for each in found)
            raise CampaignInvalid(
                f"{campaign.campaign_id}/campaign.yml: priority {campaign.priority} is that of "
                f"{other.campaign_id} too; choose a number other than {taken}"
            )
    return {c.campaign_id: c for c in sorted(found, key=lambda c: c.priority, reverse=True)}


def load_campaign(folder: Path) -> Campaign:
    """Return the campaign whose folder this is; its `campaign_id` must be the folder's name.

    Raises CampaignInvalid, as `load_campaigns` does.
    """
    missing = [name for name in CAMPAIGN_FILES if not (folder / name).is_file()]
    if missing:
        raise CampaignInvalid(f"campaign folder {folder.name} lacks {', '.join(missing)}")
    campaign = _checked(Campaign, folder / "campaign.yml")
    if campaign.campaign_id != folder.name:
        raise CampaignInvalid(
            f"{folder.name}/campaign.yml: campaign_id is {campaign.campaign_id!r}; "
            f"allowed: {folder.name!r}, the name of its folder"
        )
    return campaign


def load_brand(folder: Path = TEMPLATES) -> Brand:
    """Return what `_base/brand.yml` says. Raises CampaignInvalid, as `load_campaigns` does."""
    return _checked(Brand, folder / "_base" / "brand.yml")


def _campaign_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise CampaignInvalid(f"there is no folder of campaigns at {folder}")
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(("_", ".")) and path.name not in NOT_CAMPAIGNS
    ]


def _checked(model: type[Model], file: Path) -> Model:
    name = f"{file.parent.name}/{file.name}"
    try:
        # _UniqueKeys is a SafeLoader, which ruff cannot see
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506
    except FileNotFoundError:
        raise CampaignInvalid(f"{name} is missing") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CampaignInvalid(f"{name} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise CampaignInvalid(f"{name} must hold the keys {', '.join(model.model_fields)}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise CampaignInvalid(f"{name}: {explain(error, model)}") from None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first finding as one clause: key, value and what would be allowed."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden" if len(first["loc"]) == 1:
            return f"key {key!r} is not known; allowed: {', '.join(model.model_fields)}"
        case "extra_forbidden":
            return f"key {key!r} is not known; remove it"
        case "missing":
            return f"key {key!r} is missing"
        case "value_error":
            return f"{first['ctx']['error']}"
    problem = first["msg"][0].lower() + first["msg"][1:]
    return f"{key} is {_short(first['input'])}; {problem}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


class _UniqueKeys(yaml.SafeLoader):
    """YAML where a key that is given twice is an error; the standard loader lets the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {twice!r} is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep)
