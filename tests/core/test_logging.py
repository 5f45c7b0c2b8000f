"""No address reaches a log line, in whatever part of an event it comes."""

import json
from collections.abc import Callable, Iterator

import pytest
import structlog

from core.logging import configure_logging, get_logger, without_addresses

SECRET = "ada.lovelace+news@mail.secret.example"


class Person:
    def __repr__(self) -> str:
        return f"Person(email='{SECRET}')"


@pytest.fixture
def logged(capsys) -> Iterator[Callable[[], str]]:
    """Return what was written to stderr; logging is as it was afterwards."""
    yield lambda: capsys.readouterr().err
    structlog.reset_defaults()


EVENTS = [
    ("in the event", {"event": f"mail to {SECRET} refused"}),
    ("in a field", {"event": "refused", "reply": f"550 <{SECRET}>: no such user"}),
    ("in a list", {"event": "refused", "all": [SECRET, "b"]}),
    ("in a tuple in a dict", {"event": "refused", "by": {"server": ("a", SECRET)}}),
    ("as a key", {"event": "refused", "by": {SECRET: 1}}),
    ("in an object", {"event": "refused", "person": Person()}),
    ("in bytes", {"event": "refused", "raw": SECRET.encode()}),
    ("in an exception", {"event": "refused", "error": ValueError(f"bad address {SECRET}")}),
]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("fields", [fields for _, fields in EVENTS], ids=[name for name, _ in EVENTS])
def test_an_address_is_masked_wherever_it_stands(logged, fields, as_json):
    configure_logging(json=as_json)
    get_logger("test").warning(**fields)
    text = logged()
    assert "refused" in text
    assert "secret" not in text
    assert "[address]" in text


@pytest.mark.parametrize("as_json", [True, False])
def test_an_address_in_a_traceback_is_masked(logged, as_json):
    configure_logging(json=as_json)
    try:
        raise ValueError(f"cannot parse {SECRET}")
    except ValueError:
        get_logger("test").exception("parsing failed")
    text = logged()
    assert "ValueError: cannot parse [address]" in text
    assert "Traceback" in text


def test_a_json_line_is_json_with_its_values_as_they_were(logged):
    configure_logging(json=True)
    get_logger("test").info(
        "batch sent", sent=812, share=0.5, dry=False, none=None, states={"sent": 812}, ids=["c1"]
    )
    event = json.loads(logged())
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "batch sent", "level": "info", "sent": 812, "share": 0.5, "dry": False, "none": None,
        "states": {"sent": 812}, "ids": ["c1"],
    }  # fmt: skip


def test_what_is_below_the_level_is_not_written(logged):
    configure_logging()
    get_logger("test").debug("not to be seen")
    assert logged() == ""


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to ada@example.com, ben@example.org", "to [address], [address]"),
        ('"Ada" <ada@example.com>', '"Ada" <[address]>'),
        ("mailto:ada@example.com?subject=x", "mailto:[address]=x"),
        ("käthe@münchen.example", "[address]"),
        ("smtp: user=ada@localhost", "smtp: user=[address]"),
        ("Eis @ Home costs 3.49", "Eis @ Home costs 3.49"),
        ("no address here", "no address here"),
    ],
)
def test_what_looks_like_an_address_is_masked_and_nothing_else(text, masked):
    assert without_addresses(text) == masked
