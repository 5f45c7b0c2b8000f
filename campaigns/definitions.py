"""What a campaign and the brand are: `campaign.yml` and `_base/brand.yml`, checked when they are loaded."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from campaigns.sends import MAIL
from core.errors import CampaignInvalid
from core.preferences import MailKind
from core.settings import PROJECT

TEMPLATES = PROJECT / "email_templates"
STEP_FILES = ("subject.txt", "body.mjml", "body.txt", "example.json")
MESSAGE_FILES = ("message.txt", "example.json")
NOT_CAMPAIGNS = {"locales"}

Model = TypeVar("Model", bound=BaseModel)
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\r\n]+$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Hex = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
Host = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*$")]


class Checked(BaseModel):
    """A part of a file that people write: unknown keys and values of another type are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Offer(Checked):
    """What a coupon of a campaign gives; the audience may size it to the customer, up to this."""

    discount_percent: int = Field(ge=1, le=50)
    min_spend_cents: int = Field(ge=0)
    """In the minor unit of the shop's currency."""
    valid_days: int = Field(ge=1, le=365)
    """A coupon is valid to the end of the so manieth day after that of its plan (UTC)."""
    coupons: int = Field(ge=1)
    """At most so many of the campaign are valid at once."""


Channel = Literal["mail", "sms", "push", "call"]
"""How a step reaches the customer: what is no mail goes to the shop's webhook."""


class Step(Checked):
    """One message of a campaign that has several; its files are in the folder of its name."""

    name: Identifier
    channel: Channel = "mail"
    wait_hours: int = Field(0, ge=0, le=24 * 365)
    """How long after the step before; the plan of a day counts whole days and rounds up."""
    min_products: int | None = Field(None, ge=0, le=12)
    """Where this step needs fewer or more than the campaign says."""
    offer: Offer | None = None
    """Where a coupon goes with this step."""

    @property
    def files(self) -> tuple[str, ...]:
        """What its folder must hold."""
        return STEP_FILES if self.channel == MAIL else MESSAGE_FILES

    @property
    def wait_days(self) -> int:
        """Days from the plan of the step before to the plan of this one."""
        return -(-self.wait_hours // 24)


Exit = Literal["bought", "unsubscribed", "entered_stronger_flow"]
"""What ends a flow: an order, an unsubscribe (even one taken back), a mail of a campaign of higher priority."""

ONLY_STEP = Step.model_construct(name="")
"""The step of a campaign that names none: its files lie beside `campaign.yml`."""


class Campaign(Checked):
    """One campaign as its folder's `campaign.yml` describes it."""

    campaign_id: Identifier
    title: Annotated[Line, Field(max_length=80)]
    description: Line
    owner: Line
    kind: MailKind = Field(MailKind.SUGGESTIONS, strict=False)
    """What a reader switches off who wants no more of it."""
    priority: int = Field(ge=0, le=1000)
    """Where a customer qualifies for several campaigns on a day, the highest wins; of equals, the mail that is expected
    to bring most."""
    holdout_share: float = Field(ge=0, le=0.5)
    """Share (0 to 0.5) of candidates who get nothing, so that the effect can be measured."""
    holdout_key: Identifier
    """Campaigns with the same key hold out the same customers."""
    min_products: int = Field(ge=0, le=12)
    """A candidate with fewer products gets the verdict `no_content`."""
    expires_after_hours: int | None = Field(None, ge=1, le=240)
    """How long after its planned moment a mail may still begin; without it, until 24 hours after the end of its day."""
    mails_per_week: int | None = Field(None, ge=1, le=7)
    """A customer gets at most so many of this campaign's mails in seven days."""
    offer: Offer | None = None
    """Where a coupon goes with every mail of the campaign."""
    steps: tuple[Step, ...] = Field((ONLY_STEP,), min_length=1, max_length=9, strict=False)
    """In order. Without it the campaign is one mail."""
    exit_when: tuple[Exit, ...] = Field((), strict=False)
    """What ends the flow for a customer who has entered it, whatever steps are left."""
    ends_mail: bool = False
    """Its last mail says goodbye: no campaign writes again before the customer orders, clicks or agrees anew."""
    reentry_after_days: int = Field(0, ge=0, le=3650, validate_default=True)
    """Days from entering the flow until a customer may enter it again; by then all its steps have had their time."""

    @field_validator("steps")
    @classmethod
    def _steps_in_order(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        names = [step.name for step in steps]
        if len(set(names)) < len(names):
            raise ValueError(f"steps must have names of their own; given: {', '.join(names)}")
        if steps[0].wait_hours:
            raise ValueError(f"the first step, {names[0]}, waits for nothing; allowed: no wait_hours")
        return steps

    @field_validator("reentry_after_days")
    @classmethod
    def _steps_have_their_time(cls, days: int, others: ValidationInfo) -> int:
        steps = others.data.get("steps", ())
        waits = sum(step.wait_days for step in steps)
        if len(steps) > 1 and days <= waits:
            raise ValueError(f"reentry_after_days must be more than {waits}, the days that the steps wait")
        return days


class Colour(Checked):
    """A colour as readers with a light and with a dark screen see it."""

    light: Hex
    dark: Hex


class Tile(Checked):
    """What stands in for the picture of a product."""

    emoji: Line
    colour: Identifier


class TileRule(Tile):
    """A tile and the words, singular and in lower case, that call for it."""

    words: tuple[Line, ...] = Field(min_length=1, strict=False)


class Colours(Checked):
    """The colours every template may use."""

    page: Colour
    card: Colour
    ink: Colour
    muted: Colour
    line: Colour
    accent: Colour
    on_accent: Colour
    soft: Colour


class Brand(Checked):
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
    words_not_used: dict[str, dict[Line, Line]] = Field(default_factory=dict)
    """locale → word → why no mail says it."""
    words_with_facts: dict[
        str, dict[Line, Annotated[tuple[Identifier, ...], Field(min_length=1, strict=False)]]
    ] = Field(default_factory=dict)
    """locale → word → facts, or reasons of a product, of which a mail that says it needs one."""

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
        Naming file, line, key and what would be allowed.
    """
    found = [load_campaign(path) for path in _campaign_folders(folder)]
    return {c.campaign_id: c for c in sorted(found, key=lambda c: c.priority, reverse=True)}


def load_campaign(folder: Path) -> Campaign:
    """Return the campaign whose folder this is; its `campaign_id` must be the folder's name.

    Raises CampaignInvalid, as `load_campaigns` does.
    """
    if not (folder / "campaign.yml").is_file():
        raise CampaignInvalid(f"campaign folder {folder.name} lacks campaign.yml")
    campaign = checked(Campaign, folder / "campaign.yml")
    if campaign.campaign_id != folder.name:
        raise CampaignInvalid(
            f"{_place(folder / 'campaign.yml', ['campaign_id'])}: campaign_id is {campaign.campaign_id!r}; "
            f"allowed: {folder.name!r}, the name of its folder"
        )
    _require_step_folders(campaign, folder)
    return campaign


def _require_step_folders(campaign: Campaign, folder: Path) -> None:
    named = [step.name for step in campaign.steps]
    for number, (name, step) in enumerate(zip(named, campaign.steps, strict=True)):
        missing = [file for file in step.files if not (folder / name / file).is_file()]
        if missing and not name:
            raise CampaignInvalid(f"campaign folder {folder.name} lacks {', '.join(missing)}")
        if missing:
            raise CampaignInvalid(
                f"{_place(folder / 'campaign.yml', ['steps', number, 'name'])}: step {name} needs its folder "
                f"{folder.name}/{name}, which lacks {', '.join(missing)}"
            )
    strangers = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in named)
    if strangers:
        allowed = ", ".join(filter(None, named)) or "none, for it has no steps"
        raise CampaignInvalid(
            f"folder {folder.name}/{strangers[0]} is no step of {folder.name}/campaign.yml; allowed: {allowed}"
        )


def load_brand(folder: Path = TEMPLATES) -> Brand:
    """Return what `_base/brand.yml` says. Raises CampaignInvalid, as `load_campaigns` does."""
    return checked(Brand, folder / "_base" / "brand.yml")


def _campaign_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise CampaignInvalid(f"there is no folder of campaigns at {folder}")
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(("_", ".")) and path.name not in NOT_CAMPAIGNS
    ]


def checked(model: type[Model], file: Path) -> Model:
    """Return what a YAML file says. Raises CampaignInvalid, as `load_campaigns` does."""
    name = f"{file.parent.name}/{file.name}"
    try:
        # _UniqueKeys is a SafeLoader, which ruff cannot see
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506
    except FileNotFoundError:
        raise CampaignInvalid(f"{name} is missing") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CampaignInvalid(f"{name}, line {line}: this is not YAML: {error.problem}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CampaignInvalid(f"{name} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise CampaignInvalid(f"{name} must hold the keys {', '.join(model.model_fields)}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        location = error.errors()[0]["loc"]
        raise CampaignInvalid(
            f"{_place(file, location)}: {explain(error, _keys_at(model, location))}"
        ) from None


def _place(file: Path, location: Sequence[str | int]) -> str:
    """Return file and line of a key or an item of a YAML document; of its nearest parent if it is not there."""
    node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line = 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if pair[0].value == part]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = [(node.value[part], node.value[part])]
        else:
            found = []
        if not found:
            break
        line, node = found[0][0].start_mark.line, found[0][1]
    return f"{file.parent.name}/{file.name}, line {line + 1}"


def _keys_at(model: type[BaseModel], location: Sequence[str | int]) -> Iterable[str]:
    """Return the keys that a schema allows beside the last part of a location."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        model = next(
            (each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)), model
        )
    return model.model_fields


def explain(error: ValidationError, keys: Iterable[str]) -> str:
    """Return the first finding as one clause: key, value and what would be allowed."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden":
            return f"key {key!r} is not known; allowed: {', '.join(keys)}"
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
        given: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                problem = "a key must be a word, not a list or a mapping"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            key = self.construct_object(key_node)
            if key in given:
                problem = f"key {key!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            given.add(key)
        return super().construct_mapping(node, deep)
