"""A test mail to somebody of the shop's own, through a real SMTP server."""

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest

from campaigns import gallery
from campaigns.mailers import ServerUnreachable
from campaigns.mailers.local_inbox import LocalInbox, running_inbox
from campaigns.trial import send_trial
from core.errors import SettingsError
from tests.campaigns.small_shop import free_port, settings_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path):
    return settings_of(
        tmp_path, smtp_port=free_port(), test_addresses="ada@juniper.example, Ben@juniper.example"
    )


def trial(settings, to, campaign_id="winback", step="care"):
    facts = gallery.example(campaign_id, step)
    return send_trial(settings, campaign_id, step, facts, "de", to=to, now=NOON)


def test_it_is_marked_as_a_test_leads_past_the_tracking_service_and_the_ledger_hears_nothing(shop):
    with running_inbox(shop):
        assert trial(shop, "BEN@juniper.example").startswith("250")
    (file,) = LocalInbox(shop.inbox).files()
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert message["subject"].startswith("[Test] ")
    assert message["x-lapwing-test"] == "yes"
    assert message["to"].lower() == "ben@juniper.example"
    text, html = (part.get_content() for part in message.iter_parts())
    assert "Abmelden" in text
    assert "https://juniper.example" in text
    for tracked in ("/c/", "/o/"):
        assert tracked not in text + html
    assert not (shop.data_dir / "ledger.sqlite").exists()


@pytest.mark.parametrize(
    "to", ["customer@example.com", "ada@juniper.example.com", "", "ada@juniper.example, "]
)
def test_it_goes_to_the_addresses_of_the_setting_and_to_no_other(shop, to):
    with running_inbox(shop), pytest.raises(SettingsError, match="LAPWING_TEST_ADDRESSES") as raised:
        trial(shop, to)
    assert "@" not in str(raised.value)
    assert LocalInbox(shop.inbox).count() == 0


def test_without_the_setting_nobody_gets_one(tmp_path):
    with pytest.raises(SettingsError, match="LAPWING_TEST_ADDRESSES"):
        trial(settings_of(tmp_path), "ada@juniper.example")


def test_a_server_that_is_not_there_is_said(shop):
    with pytest.raises(ServerUnreachable):
        trial(shop, "ada@juniper.example")
