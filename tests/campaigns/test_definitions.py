import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from campaigns.definitions import STEP_FILES, TEMPLATES, load_brand, load_campaign, load_campaigns
from core.dbt import DBT_PROJECT
from core.errors import CampaignInvalid


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(TEMPLATES, tmp_path / "email_templates")


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_the_campaigns_are_loaded_with_the_highest_priority_first():
    campaigns = load_campaigns()
    assert len(campaigns) == 16
    priorities = [campaign.priority for campaign in campaigns.values()]
    assert priorities == sorted(priorities, reverse=True)
    assert [step.name for step in campaigns["winback"].steps] == [
        "care",
        "reason_to_return",
        "incentive",
        "last_word",
    ]


def test_every_campaign_has_an_audience_and_every_audience_a_campaign():
    audiences = {file.stem.removeprefix("audience_") for file in DBT_PROJECT.glob("models/**/audience_*.sql")}
    assert audiences == set(load_campaigns())


def test_a_campaign_cannot_be_changed_once_loaded():
    campaign = load_campaigns()["winback"]
    with pytest.raises(ValidationError, match="frozen"):
        campaign.priority = 1  # type: ignore[misc]  # that is what is refused


# Lines are those of restock's campaign.yml, counted by hand: campaign_id 1, title 2, description 3, owner 4, priority 5, …
@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        (
            "owner: lifecycle",
            "owner: lifecycle\nprioritty: 3",
            5,
            "key 'prioritty' is not known; allowed: campaign_id",
        ),
        ("owner: lifecycle\n", "", 1, "key 'owner' is missing"),
        ("priority: 200", "priority: high", 6, "priority is 'high'; input should be a valid integer"),
        ("priority: 200", "priority: true", 6, "priority is True; input should be a valid integer"),
        (
            "holdout_share: 0.1",
            "holdout_share: 10",
            7,
            "holdout_share is 10; input should be less than or equal to 0.5",
        ),
        (
            "min_products: 1",
            "min_products: 13",
            9,
            "min_products is 13; input should be less than or equal to 12",
        ),
        (
            "kind: suggestions",
            "kind: spam",
            5,
            "kind is 'spam'; input should be 'reminders', 'alerts', 'orders', 'suggestions', 'offers' or 'greetings'",
        ),
        ("campaign_id: restock", "campaign_id: refill", 1, "campaign_id is 'refill'; allowed: 'restock'"),
        ("owner: lifecycle", "owner: a\nexpires_after_hours: 0", 5, "expires_after_hours is 0; input should"),
        ("owner: lifecycle", "owner: a\nowner: b", 5, "this is not YAML: key 'owner' is given twice"),
        ("owner: lifecycle", "owner: [", 6, "this is not YAML: expected ',' or ']'"),
    ],
)
def test_a_wrong_campaign_file_is_named_with_line_and_key_and_what_would_be_allowed(
    folder, old, new, line, said
):
    rewrite(folder / "restock" / "campaign.yml", old, new)
    with pytest.raises(CampaignInvalid) as raised:
        load_campaigns(folder)
    assert str(raised.value).startswith(f"restock/campaign.yml, line {line}: {said}")


SERIES = """campaign_id: series
title: A series
description: Three mails.
owner: lifecycle
priority: 1
holdout_share: 0.1
holdout_key: series
min_products: 1
steps:
  - name: hello
    min_products: 0
  - name: later
    wait_hours: 72
  - {name: last, wait_hours: 25}
exit_when: [bought, entered_stronger_flow]
reentry_after_days: 30
"""


@pytest.fixture
def series(tmp_path: Path) -> Path:
    home = tmp_path / "series"
    for step in ("hello", "later", "last"):
        (home / step).mkdir(parents=True)
        for name in STEP_FILES:
            (home / step / name).touch()
    (home / "campaign.yml").write_text(SERIES)
    return home


def test_a_campaign_of_several_steps_says_when_each_is_due(series):
    campaign = load_campaign(series)
    # 25 hours are two plans of a day.
    assert [(step.name, step.wait_days, step.min_products) for step in campaign.steps] == [
        ("hello", 0, 0),
        ("later", 3, None),
        ("last", 2, None),
    ]
    assert campaign.exit_when == ("bought", "entered_stronger_flow")


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("wait_hours: 72", "wait_hours: soon", 13, "steps.1.wait_hours is 'soon'; input should be a valid int"),
        ("wait_hours: 72", "wait: 72", 13, "key 'steps.1.wait' is not known; allowed: name, channel, wait_hours"),
        ("name: last, wait", "wait", 14, "key 'steps.2.name' is missing"),
        ("name: hello", "name: hello\n    wait_hours: 1", 9, "the first step, hello, waits for nothing"),
        ("name: later", "name: hello", 9, "steps must have names of their own; given: hello, hello, last"),
        ("[bought,", "[bougt,", 15, "exit_when.0 is 'bougt'; input should be 'bought', 'unsubscribed' or 'ent"),
        ("days: 30", "days: 5", 16, "reentry_after_days must be more than 5, the days that the steps wait"),
        ("reentry_after_days: 30\n", "", 1, "reentry_after_days must be more than 5"),
        ("name: later", "name: latter", 12, "step latter needs its folder series/latter, which lacks subject"),
    ],
)  # fmt: skip
def test_a_wrong_step_is_named_with_its_line(series, old, new, line, said):
    rewrite(series / "campaign.yml", old, new)
    with pytest.raises(CampaignInvalid) as raised:
        load_campaign(series)
    assert str(raised.value).startswith(f"series/campaign.yml, line {line}: {said}")


def test_a_folder_that_is_no_step_is_refused(series):
    (series / "lost").mkdir()
    with pytest.raises(CampaignInvalid, match=r"series/lost is no step of .*allowed: hello, later, last"):
        load_campaign(series)


def test_a_folder_without_one_of_its_files_is_refused(folder):
    (folder / "restock" / "body.txt").unlink()
    with pytest.raises(CampaignInvalid, match=r"campaign folder restock lacks body\.txt"):
        load_campaigns(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("#f3efe6", "beige", "colours.page.light is 'beige'"),
        (
            "colour: plum, words: [cat",
            "colour: mauve, words: [cat",
            "the tile 🐱 has colour 'mauve'; allowed: leaf",
        ),
        ("link_hosts: [juniper.example]", "link_hosts: []", "link_hosts"),
        ("name: Juniper Market", "name: '{{ config }}'", "must be plain text, without template syntax"),
    ],
)
def test_a_wrong_brand_is_named_with_its_key(folder, old, new, said):
    rewrite(folder / "_base" / "brand.yml", old, new)
    with pytest.raises(CampaignInvalid) as raised:
        load_brand(folder)
    assert str(raised.value).startswith("_base/brand.yml")
    assert said in str(raised.value)
