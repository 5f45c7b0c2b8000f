"""A step of a campaign that is no mail: from `campaign.yml` by plan and ledger to the shop's webhook."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from campaigns.account import account_of
from campaigns.definitions import TEMPLATES, load_campaign
from campaigns.ledger import Handover
from campaigns.ledger_view import LedgerView
from campaigns.mailers.local_inbox import LocalInbox, running_inbox
from campaigns.plan import DEFINITIONS, plan_rows, release_plan, require_webhook
from campaigns.render import render
from campaigns.run import open_sending_ledger, send_due
from campaigns.sends import MAIL, SendState
from campaigns.templates import NOWHERE, TemplateStore, compile_template
from core.errors import CampaignInvalid, SendingPaused, SettingsError
from core.ledger_tables import open_ledger
from core.published import Published
from core.tokens import TokenKind, Tokens
from tests.campaigns import small_shop
from tests.campaigns.fake_providers import WEBHOOK_SECRET, FakeReceiver, Fault
from tests.campaigns.small_shop import DAY

LOCALES = ("ar", "de", "en", "es", "fr", "ja", "zh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Our campaigns, but winback's first and last step go out as text messages."""
    folder = shutil.copytree(TEMPLATES, tmp_path_factory.mktemp("templates") / "email_templates")
    shutil.copy(folder / "winback/last_word/message.txt", folder / "winback/care/message.txt")
    for step in ("care", "last_word"):
        rewrite(folder / "winback/campaign.yml", f"name: {step}", f"name: {step}\n    channel: sms")
    return folder


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_every_step_we_ship_is_a_mail_until_somebody_says_otherwise(folder):
    assert {step.channel for step in load_campaign(TEMPLATES / "winback").steps} == {MAIL}
    assert [step.channel for step in load_campaign(folder / "winback").steps] == [
        "sms", MAIL, MAIL, "sms",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda home: rewrite(home / "campaign.yml", "channel: sms\n  - name: reason", "channel: fax\n  - name: reason"),
            "winback/campaign.yml, line 12: steps.0.channel is 'fax'; input should be 'mail', 'sms', 'push' or 'call'",
        ),
        (
            lambda home: (home / "care/message.txt").unlink(),
            "winback/campaign.yml, line 11: step care needs its folder winback/care, which lacks message.txt",
        ),
    ],
)  # fmt: skip
def test_a_wrong_channel_is_named_with_its_line_and_what_would_be_allowed(folder, tmp_path, change, said):
    home = shutil.copytree(folder / "winback", tmp_path / "winback")
    change(home)
    with pytest.raises(CampaignInvalid) as raised:
        load_campaign(home)
    assert str(raised.value) == said


@pytest.mark.parametrize("locale", LOCALES)
def test_winbacks_last_word_is_ready_to_go_as_a_text_message_in_every_language(folder, locale):
    facts = example(folder)
    said = render(compile_template("winback", folder, step="last_word"), facts, locale, NOWHERE)
    as_mail = render(compile_template("winback", step="last_word"), facts, locale, NOWHERE)
    assert (said.subject, said.preheader, said.html) == ("", "", "")
    first, link, stop = said.text.splitlines()
    assert first.replace("\u00a0", " ") == f"Juniper Market: {as_mail.preheader}"
    assert list(said.links.values()) == ["https://juniper.example"]
    assert link == "http://127.0.0.1/c/aa357876c9272121"  # the id: SHA-256 of that address, 16 digits
    assert stop.removesuffix(" http://127.0.0.1/u") in as_mail.text.splitlines()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Only 3 days left!", "the text states '3', which is no fact of this mail"),
        (
            10 * '{{ _("This is our last reminder; you are welcome at any time.") }} ',
            "columns without its links; allowed for sms: 306",
        ),
        ("{{ voucher }}", "needs 'voucher' in message.txt"),
        ('{{ _("Come back") }}', "lacks a translation of 'Come back'"),
        ('{{ link("https://evil.example/") }}', "allowed: juniper.example"),
    ],
)
def test_a_message_passes_the_guard_rails_of_a_mail_and_is_short(folder, tmp_path, written, said):
    mine = shutil.copytree(folder, tmp_path / "email_templates")
    with (mine / "winback/last_word/message.txt").open("a", encoding="utf-8") as file:
        file.write(written)
    with pytest.raises(CampaignInvalid, match="winback") as raised:
        compile_template("winback", mine, step="last_word")
    assert said in str(raised.value)


def test_a_change_to_its_text_is_a_new_version_and_its_mail_is_no_part_of_it(folder, tmp_path):
    mine = shutil.copytree(folder, tmp_path / "email_templates")
    before = compile_template("winback", mine, step="last_word").version
    (mine / "winback/last_word/body.mjml").unlink()
    assert compile_template("winback", mine, step="last_word").version == before
    rewrite(mine / "winback/last_word/message.txt", "{{ link", "\n{{ link")
    assert compile_template("winback", mine, step="last_word").version != before


def test_a_day_with_a_step_that_has_nowhere_to_go_is_not_planned(folder, settings, tmp_path):
    campaign = load_campaign(folder / "winback")
    with pytest.raises(
        SettingsError, match="care of campaign winback has channel sms, which needs LAPWING_WEBHOOK_URL"
    ):
        require_webhook(settings, campaign)
    require_webhook(small_shop.settings_of(tmp_path, webhook_url="http://127.0.0.1:9/"), campaign)
    require_webhook(settings, load_campaign(TEMPLATES / "winback"))


def example(folder: Path) -> dict[str, object]:
    facts: dict[str, object] = json.loads(
        (folder / "winback/last_word/example.json").read_text(encoding="utf-8")
    )
    return facts


# From the plan to the webhook: the small shop's day, on which winback begins with a text message


@pytest.fixture
def shop(planned, own, folder):
    """The small shop with a plan of which winback's mails are text messages, released."""
    settings = own(planned)
    published, template = Published(settings.published), compile_template("winback", folder, step="care")
    TemplateStore(settings.published / "templates").save(template)
    definitions = published.path("campaign_definitions", DAY)
    rows = [
        row | ({"channel": "sms"} if row["step_name"] == "care" else {})
        for row in pq.ParquetFile(definitions).read().to_pylist()
    ]
    pq.write_table(pa.Table.from_pylist(rows, DEFINITIONS), definitions)
    candidate = published.candidate("campaign_plan", DAY)
    plan = pq.ParquetFile(candidate).read()
    rows = [
        row | ({"template_version": template.version} if row["campaign_id"] == "winback" else {})
        for row in plan.to_pylist()
    ]
    pq.write_table(pa.Table.from_pylist(rows, plan.schema), candidate)
    release_plan(settings, DAY)
    return settings


@pytest.fixture
def receiver():
    with FakeReceiver() as receiver:
        yield receiver


def deliver(settings, receiver, **more):
    """Send what is due, to the local inbox and to the receiver; return the counts."""
    here = small_shop.settings_of(
        settings.data_dir,
        smtp_port=small_shop.free_port(),
        webhook_url=receiver.url,
        webhook_secrets=WEBHOOK_SECRET,
        **more,
    )
    with running_inbox(here):
        return send_due(here, DAY).states


def text_messages(settings):
    """Return the planned rows that go out as text messages, by send_id."""
    rows = {row["send_id"]: row for row in plan_rows(settings, DAY) if row["campaign_id"] == "winback"}
    assert len(rows) > 10
    return rows


def test_each_planned_text_message_is_posted_once_and_each_mail_is_mailed(shop, receiver):
    rows = text_messages(shop)
    stopped = small_shop.cast_of(shop).stopped_at_midnight  # whoever stopped mail gets no text message either
    going = {send_id: row for send_id, row in rows.items() if row["customer_id"] != stopped}
    assert len(going) == len(rows) - 1
    states = deliver(shop, receiver)
    assert receiver.times == dict.fromkeys(going, 1)
    mailed = LocalInbox(shop.inbox).by_send()
    assert not mailed.keys() & rows.keys()
    assert states == {"sent": len(going) + len(mailed), "suppressed": 1}
    assert states.keys() == deliver(shop, receiver).keys()
    assert receiver.times.total() == len(going)  # a second run posts nothing


def test_a_post_says_what_the_plan_row_states_and_whom_it_is_for_by_number_alone(shop, receiver):
    rows = text_messages(shop)
    deliver(shop, receiver)
    orders = {order["data"]["send_id"]: order for _, _, order in receiver.requests}
    tokens = Tokens(shop.token_key)
    ledger = LedgerView(open_ledger(shop.ledger))
    for send_id, order in orders.items():
        row, about = rows[send_id], order["data"]
        send = ledger.find(send_id)
        assert send is not None
        assert (send.address, send.domain, send.message_id) == ("", "", send_id)
        assert order.keys() == {"type", "timestamp", "data"}
        assert (order["type"], order["timestamp"]) == ("message.sms", send.send_at.isoformat())
        unsubscribe_url = about.pop("unsubscribe_url")
        assert unsubscribe_url.rpartition("/")[2] == tokens.sign(TokenKind.UNSUBSCRIBE, send_id)
        assert about.pop("text").endswith(unsubscribe_url)
        facts = about.pop("facts")
        assert [each["product_id"] for each in facts["products"]] == [
            each["product_id"] for each in row["facts"]["products"]
        ]
        assert about == {
            "send_id": send_id,
            "campaign_id": "winback",
            "step": 1,
            "channel": "sms",
            "customer_id": row["customer_id"],
            "locale": row["locale"],
            "expires_at": send.expires_at.isoformat(),
        }
        assert account_of(shop, send_id)["made again"] == "the same bytes"
        assert "@" not in json.dumps(order)


def test_a_webhook_that_is_down_keeps_no_mail_waiting_and_loses_nothing(shop, receiver):
    rows = text_messages(shop)
    receiver.faults += [Fault(404)] * 100
    with pytest.raises(SendingPaused, match=r"paused after \d+ errors in a row, the last: 404"):
        deliver(shop, receiver, pause_after_errors=3)
    assert len(receiver.requests) < 30  # a group of 20 is under way at once
    ledger = LedgerView(open_ledger(shop.ledger))
    assert {send.state for send in ledger.of_day(DAY) if send.channel == MAIL} == {SendState.SENT}
    waiting = {send.send_id for send in ledger.in_state(SendState.PLANNED, DAY)}
    assert waiting == rows.keys() - {send.send_id for send in ledger.in_state(SendState.SUPPRESSED, DAY)}
    receiver.faults.clear()
    deliver(shop, receiver)
    assert receiver.times == dict.fromkeys(waiting, 1)


def test_what_a_sender_that_died_had_in_flight_is_posted_again_under_its_id(shop, receiver):
    ledger = open_sending_ledger(shop)
    with ledger.sender(shop.data_dir / "sender.lock"):
        (send,) = ledger.claim(1, is_mail=False).sends
        ledger.start([(send, Handover(receiver.url.removeprefix("http://"), send.send_id, "0" * 64))])
    assert ledger.in_state(SendState.UNCERTAIN, DAY)[0].send_id == send.send_id
    deliver(shop, receiver)
    again = ledger.find(send.send_id)
    assert again is not None
    assert (again.state, again.attempts) == (SendState.SENT, 2)
    assert receiver.times[send.send_id] == 1
    assert not ledger.in_state(SendState.UNCERTAIN, DAY)


def test_what_a_receiver_puts_off_waits_and_what_it_refuses_suppresses_nobody(shop, receiver):
    receiver.faults += [Fault(503, "later"), Fault(422, "no number")]
    deliver(shop, receiver)
    ledger = LedgerView(open_ledger(shop.ledger))
    (later,), (refused,) = ledger.in_state(SendState.DEFERRED, DAY), ledger.in_state(SendState.REFUSED, DAY)
    assert (later.reply, refused.reply) == ("503 later", "422 no number")
    assert later.due_at - later.send_at > timedelta(minutes=29)  # first after 30 to 60 minutes
    suppressed = ledger.suppressed_before(later.due_at + timedelta(days=1))
    assert refused.customer_id not in {person.customer_id for person in suppressed}
