"""The send of a day, to a real inbox on this machine: nobody twice, nobody who said no, nothing that is not a fact."""

import email
import email.policy
import json
import re
from collections import Counter
from datetime import date, timedelta
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
import structlog
from sqlalchemy import delete, select

from campaigns.account import account_of
from campaigns.ledger import SendState
from campaigns.ledger_view import LedgerView
from campaigns.mailers.local_inbox import LocalInbox, running_inbox
from campaigns.making import Messages
from campaigns.plan import plan_rows, release_plan
from campaigns.run import rehearse, send_due, states_by_campaign
from core.errors import LedgerBroken
from core.ledger_tables import links, open_ledger, sends
from core.published import Published
from core.tokens import TokenKind, Tokens
from tests.campaigns import small_shop
from tests.campaigns.signing import pem, signers, verdicts
from tests.campaigns.small_shop import DAY, MIDNIGHT

ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
CLICK = re.compile(r"http://127\.0\.0\.1:8180/c/(\S+)")
URL = re.compile(r"http\S+")
MONEY = re.compile(r"(?:US)?\$\s?(\d+\.\d\d)|(\d+,\d\d)\s\$")

COUPON = re.compile(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b")
NUMBERS = ("days_since_last_order", "usual_gap_days", "times_bought", "days_since")  # facts beside prices


def ledger_of(settings):
    return LedgerView(open_ledger(settings.ledger))


def text_of(message):
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    body = parsed.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


@pytest.fixture(scope="module")
def mails(sent):
    """send_id → the text of the mail as it arrived; one mail each."""
    found = LocalInbox(sent.inbox).by_send()
    assert len(found) > 40
    assert {len(files) for files in found.values()} == {1}
    return {send_id: text_of(files[0].read_bytes()) for send_id, files in found.items()}


@pytest.fixture(scope="module")
def facts(sent):
    return {row["send_id"]: row["facts"] for row in plan_rows(sent, DAY)}


def test_the_inbox_holds_the_mails_the_ledger_calls_sent(sent, mails):
    said = {send.send_id: send for send in ledger_of(sent).in_state(SendState.SENT, DAY)}
    assert mails.keys() == said.keys()
    assert {send.attempts for send in said.values()} == {1}
    for send_id, send in said.items():
        (file,) = LocalInbox(sent.inbox).by_send()[send_id]
        parsed = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        assert parsed["To"].addresses[0].addr_spec == send.address
        assert send.ended_at is not None
        assert send.ended_at.date() == DAY  # the replayed clock stands on the day


def test_every_planned_send_ends_in_one_state(sent, facts):
    states = ledger_of(sent).states(DAY)
    assert states.total() == len(facts)
    assert states == {SendState.SENT: len(facts) - 2, SendState.SUPPRESSED: 2}
    by_campaign = states_by_campaign(sent, DAY)
    assert sum(int(str(row["sends"])) for row in by_campaign) == len(facts)
    assert {row["campaign_id"] for row in by_campaign} == {row["campaign_id"] for row in plan_rows(sent, DAY)}


def test_whoever_unsubscribes_after_the_plan_gets_nothing(sent, mails):
    cast = small_shop.cast_of(sent)
    planned_sends = {row["customer_id"]: row["send_id"] for row in plan_rows(sent, DAY)}
    for customer_id in (cast.stopped_at_midnight, cast.stopped_at_noon):
        send = ledger_of(sent).find(planned_sends[customer_id])
        assert send is not None
        assert send.state is SendState.SUPPRESSED
        assert send.send_id not in mails
        assert send.attempts == 0


def test_sending_a_day_again_sends_nothing(sent, own):
    settings = own(sent)
    before = [file.name for file in LocalInbox(settings.inbox).files()]
    states = ledger_of(settings).states(DAY)
    assert small_shop.deliver(settings) == {}
    assert [file.name for file in LocalInbox(settings.inbox).files()] == before
    assert ledger_of(settings).states(DAY) == states


def test_a_mail_is_not_sent_before_its_moment(planned, own):
    settings = own(planned)
    release_plan(settings, DAY)
    moments = sorted(send.send_at for send in ledger_of(settings).of_day(DAY))
    middle = moments[len(moments) // 2]
    assert moments[0] < middle
    small_shop.set_clock(settings, middle - timedelta(minutes=1))
    due = sum(moment < middle for moment in moments)
    counts = small_shop.deliver(settings)
    assert counts.total() == due > 0
    assert LocalInbox(settings.inbox).count() == counts["sent"]


def test_a_rehearsal_makes_every_mail_and_sends_none(planned, own):
    settings = own(planned)
    enqueued = release_plan(settings, DAY).enqueued
    made = rehearse(settings, DAY)
    assert made["mails"] == enqueued
    assert made["bytes"] > 5_000 * enqueued
    assert ledger_of(settings).states(DAY) == {SendState.PLANNED: enqueued}
    assert LocalInbox(settings.inbox).count() == 0


def test_a_mail_made_again_has_the_bytes_that_arrived(sent, mails):
    make = Messages(sent)
    inbox = LocalInbox(sent.inbox)
    arrived = {send_id: files[0].read_bytes() for send_id, files in inbox.by_send().items()}
    assert {send_id: make(send) for send_id in mails if (send := ledger_of(sent).find(send_id))} == arrived


def test_an_account_says_why_and_that_the_mail_is_the_one_that_was_sent(sent, facts):
    send_id = small_shop.sent_ids(sent, 1)[0]
    account = account_of(sent, send_id)
    assert account["made again"] == "the same bytes"
    assert account["state"] == "sent"
    assert account["campaign"] == f"winback, step 1, of {DAY}"
    assert account["scores"] == [
        "churn_probability 0.8 (by hand 1, run none)",
        "expected_profit_cents 234.0 (by hand 1, run none)",
    ]
    features = {row["customer_id"]: row for row in small_shop.features(sent)}
    own = features[account["customer_id"]]
    for name in ("recency_days", "orders_lifetime_count", "spend_90d_cents"):
        assert account["features"][name] == own[name]
    assert [line.partition(":")[0] for line in account["why these products"]] == [
        product["name"] for product in facts[send_id]["products"]
    ]
    assert "at least 4 orders" in account["why this customer"]
    assert account["verdict"] == "planned, arm treatment, propensity 0.90"


def test_an_account_tells_what_was_not_sent_and_what_nobody_knows(sent):
    stopped = small_shop.cast_of(sent).stopped_at_noon
    (send_id,) = [row["send_id"] for row in plan_rows(sent, DAY) if row["customer_id"] == stopped]
    account = account_of(sent, send_id)
    assert (account["state"], account["made again"]) == ("suppressed", "not handed over yet")
    with pytest.raises(LedgerBroken, match="the ledger knows no send 'nobody'"):
        account_of(sent, "nobody")


def test_an_account_notices_a_plan_that_was_changed_afterwards(sent, own):
    settings = own(sent)
    send_id = small_shop.sent_ids(settings, 1)[0]
    file = Published(settings.published).path("campaign_plan", DAY)
    table = pq.ParquetFile(file).read()
    changed = [
        text.as_py().replace('"price_cents":', '"price_cents":1') if name.as_py() == send_id else text.as_py()
        for name, text in zip(table["send_id"], table["facts"], strict=True)
    ]
    position = table.schema.get_field_index("facts")
    pq.write_table(table.set_column(position, table.schema.field("facts"), [changed]), file)
    assert account_of(settings, send_id)["made again"] == "DIFFERENT bytes"


def test_a_send_that_is_in_no_plan_is_not_sent(sent, own):
    settings = own(sent)
    ghost = small_shop.add_send(settings, "ghost", as_of=DAY, state="planned")
    with pytest.raises(LedgerBroken, match=f"send '{ghost}' is in the ledger but not in the plan"):
        small_shop.deliver(settings)
    with pytest.raises(LedgerBroken, match=f"send '{ghost}' is in the ledger but not in the plan"):
        account_of(settings, ghost)


def test_a_run_fails_when_one_send_of_its_day_has_gone_missing(planned, own):
    settings = own(planned)
    enqueued = release_plan(settings, DAY).enqueued
    with open_ledger(settings.ledger).begin() as connection:
        one = select(sends.c.send_id).limit(1).scalar_subquery()
        connection.execute(delete(sends).where(sends.c.send_id == one))
    with pytest.raises(LedgerBroken, match=rf"{enqueued} sends are planned .* holds {enqueued - 1} \("):
        small_shop.deliver(settings)


def test_every_price_and_number_in_a_mail_is_a_fact(mails, facts):
    checked = 0
    for send_id, text in mails.items():
        products = facts[send_id]["products"]
        words = URL.sub("", text.partition("-----")[0])  # what follows is the footer, the same in every mail
        offer = facts[send_id].get("offer") or {}
        prices = {product["price_cents"] for product in products} | {offer.get("min_spend_cents")}
        shown = {int(re.sub(r"\D", "", first or second)) for first, second in MONEY.findall(words)}
        assert shown == prices - {None}, send_id
        checked += len(shown)
        assert all(product["name"] in words for product in products)
        for product in products:
            # Its own words may hold numbers ("100% Pure Juice", "12 oz"): what is left must not.
            words = words.replace(product["name"], "").replace(str(product["size"] or "").lower(), "")
            words = words.replace(str(product["reason_product_name"] or ""), "")
        words = COUPON.sub("", words)
        numbers = [each.get(name) for each in [facts[send_id], *products] for name in NUMBERS]
        numbers.append(offer.get("discount_percent"))
        stated = {round(float(number)) for number in numbers if number is not None}
        days = [
            date.fromisoformat(day)
            for name, day in [*facts[send_id].items(), *offer.items()]
            if name.endswith(("_date", "_until")) and day
        ]
        stated |= {number for day in days for number in (day.day, day.month, day.year)}
        assert {int(number) for number in re.findall(r"\d+", MONEY.sub("", words))} <= stated, send_id
    assert checked > 100


def test_a_mail_shows_no_name_twice_and_explains_no_product_by_one_of_its_name(facts):
    explained = 0
    for send_id, said in facts.items():
        names = [each["name"] for each in said["products"]]
        assert len(set(names)) == len(names), send_id
        assert all(each["reason_product_name"] != each["name"] for each in said["products"]), send_id
        explained += sum(each["reason_product_name"] is not None for each in said["products"])
    assert explained > 20


def test_a_mail_names_no_product_but_those_of_its_plan_row(sent, mails, facts):
    products = Published(sent.published).read("products", DAY, ["name"])["name"].to_pylist()
    names = {name for name in products if name and len(name.split()) > 1}
    assert len(names) > 500
    any_name = re.compile(rf"\b(?:{'|'.join(re.escape(name) for name in names)})\b")
    named = Counter[str]()
    for send_id, text in mails.items():
        own = facts[send_id]["products"]
        words = text.partition("-----")[0]
        allowed = {each["name"] for each in own} | {str(each["reason_product_name"]) for each in own}
        for name in sorted(allowed, key=len, reverse=True):  # "Eggs, Large" before "Eggs"
            named[name] += words.count(name)
            words = words.replace(name, "")
        assert not any_name.search(words), send_id
    assert named.total() > 100


def test_a_click_leads_to_the_shop_or_to_a_product_of_the_plan_row(sent, mails, facts):
    with open_ledger(sent.ledger).begin() as connection:
        targets = {row.link_id: row.target for row in connection.execute(select(links))}
    tokens = Tokens(sent.token_key)
    for send_id, text in mails.items():
        read = [tokens.read(TokenKind.CLICK, token) for token in CLICK.findall(text)]
        assert {each[0] for each in read if each} == {send_id}
        led_to = {targets[each[1]] for each in read if each}
        wanted = {product["url"] for product in facts[send_id]["products"]}
        assert wanted <= led_to
        assert {urlsplit(target).path.strip("/") for target in led_to - wanted} == {""}


def test_no_published_file_and_no_log_holds_an_address(sent, planned, own, caplog):
    people = {row["email"] for row in small_shop.landing_rows(sent, "customers") if "@" in row["email"]}
    assert len(people) > 150
    files = sorted(sent.published.rglob("*.parquet"))
    tables = {file.relative_to(sent.published).parts[0] for file in files} - {".candidates"}
    assert tables >= {"campaign_plan", "customer_features", "ledger_sends", "mail_events", "send_outcomes"}
    for file in files:
        for column in pq.ParquetFile(file).read().to_pydict().values():
            texts = {value for value in column if isinstance(value, str)}
            assert not [text for text in texts if ADDRESS.search(text)], file
    for file in [*sent.published.rglob("*.json"), *(sent.data_dir / "logs").rglob("*")]:
        assert not people & set(ADDRESS.findall(file.read_text())), file

    settings = own(planned)
    with structlog.testing.capture_logs() as events:  # as they are, before any scrubbing
        release_plan(settings, DAY)
        stopped = small_shop.cast_of(settings).stopped_at_noon
        small_shop.stop(settings, stopped, MIDNIGHT + timedelta(hours=12))
        small_shop.deliver(settings)
    assert "batch ended" in [event["event"] for event in events]
    assert not ADDRESS.search(json.dumps(events, default=str) + caplog.text)


@pytest.mark.parametrize("by_couriers", [True, False])
def test_a_signed_mail_arrives_whole_whoever_makes_it_and_its_account_needs_no_key(
    planned, own, monkeypatch, by_couriers
):
    if by_couriers:
        monkeypatch.setattr("campaigns.run.WORTH_COURIERS", 1)
        monkeypatch.setattr("campaigns.run.LocalInbox", lambda _: None)  # to them it is any server
    settings, keys = own(planned), signers()
    for key in keys:
        (settings.data_dir / f"{key.selector}.pem").write_bytes(pem(key.key))
    signing = small_shop.settings_of(
        settings.data_dir,
        smtp_port=small_shop.free_port(),
        dkim_keys=",".join(str(settings.data_dir / f"{key.selector}.pem") for key in keys),
        bounce_domain="bounces.juniper.example",
    )
    release_plan(signing, DAY)
    with running_inbox(signing):
        send_due(signing, DAY)
    arrived = {
        send_id: files[0].read_bytes() for send_id, files in LocalInbox(signing.inbox).by_send().items()
    }
    assert len(arrived) > 40
    assert [verdicts(mail, keys) for mail in arrived.values()] == [[True, True]] * len(arrived)
    assert account_of(settings, min(arrived))["made again"] == "the same bytes"  # these settings name no key


def test_a_dead_server_leaves_every_send_planned(planned, own):
    settings = own(planned)
    enqueued = release_plan(settings, DAY).enqueued
    nobody = small_shop.settings_of(
        settings.data_dir, smtp_port=small_shop.free_port(), smtp_connections=1, pause_after_errors=3
    )
    with pytest.raises(Exception, match="sending paused after 3 errors in a row"):
        send_due(nobody, DAY)
    states = ledger_of(settings).states(DAY)
    assert states.total() == enqueued
    assert states[SendState.PLANNED] == enqueued - states[SendState.SUPPRESSED]
    counts = small_shop.deliver(settings)
    assert counts["sent"] == states[SendState.PLANNED]
