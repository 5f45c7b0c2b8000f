import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from campaigns.definitions import TEMPLATES, load_brand, load_campaigns
from core.errors import CampaignInvalid


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(TEMPLATES, tmp_path / "email_templates")


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_the_three_campaigns_are_loaded_with_the_highest_priority_first():
    campaigns = load_campaigns()
    assert list(campaigns) == ["winback", "restock", "picked_for_you"]
    assert [campaigns[name].max_products for name in campaigns] == [3, 4, 6]


def test_a_campaign_cannot_be_changed_once_loaded():
    campaign = load_campaigns()["winback"]
    with pytest.raises(ValidationError, match="frozen"):
        campaign.priority = 1  # type: ignore[misc]  # that is what is refused


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "owner: lifecycle",
            "owner: lifecycle\nprioritty: 3",
            "key 'prioritty' is not known; allowed: campaign_id",
        ),
        ("owner: lifecycle\n", "", "key 'owner' is missing"),
        ("priority: 300", "priority: high", "priority is 'high'; input should be a valid integer"),
        ("priority: 300", "priority: true", "priority is True; input should be a valid integer"),
        (
            "holdout_share: 0.1",
            "holdout_share: 10",
            "holdout_share is 10; input should be less than or equal to 0.5",
        ),
        ("min_products: 1", "min_products: 9", "min_products must be at most max_products, which is 3"),
        ("campaign_id: winback", "campaign_id: comeback", "campaign_id is 'comeback'; allowed: 'winback'"),
        ("owner: lifecycle", "owner: a\nowner: b", "key 'owner' is given twice"),
        ("owner: lifecycle", "owner: a\nexpires_after_hours: 0", "expires_after_hours is 0; input should be"),
        ("owner: lifecycle", "owner: [", "is not YAML"),
    ],
)
def test_a_wrong_campaign_file_is_named_with_its_key_and_what_would_be_allowed(folder, old, new, said):
    rewrite(folder / "winback" / "campaign.yml", old, new)
    with pytest.raises(CampaignInvalid) as raised:
        load_campaigns(folder)
    assert str(raised.value).startswith("winback/campaign.yml")
    assert said in str(raised.value)


def test_two_campaigns_of_one_priority_are_refused_by_name(folder):
    rewrite(folder / "restock" / "campaign.yml", "priority: 200", "priority: 300")
    with pytest.raises(CampaignInvalid, match=r"winback/campaign\.yml: priority 300 is that of restock too"):
        load_campaigns(folder)


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
