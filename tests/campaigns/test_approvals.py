"""What waits for a person goes when that person says so, as much of it as was said, and otherwise never."""

import re
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from campaigns.approvals import batches_of, questions
from campaigns.definitions import TEMPLATES
from campaigns.ledger import Ledger, SendState
from campaigns.ledger_view import LedgerView
from campaigns.mailers.local_inbox import LocalInbox
from campaigns.plan import plan_rows, release_plan
from campaigns.run import rehearse
from campaigns.sends import Batch
from campaigns.templates import TemplateStore, compile_template
from core.clock import clock_of
from core.errors import LedgerBroken
from core.ledger_tables import audit_log, open_ledger
from tests.campaigns import small_shop
from tests.console.conftest import served
from tests.faults.ledger_kit import DAY, NOON, MovableClock, ledger_at, planned

ASKED = Batch(DAY, "winback", 1, "aaa", 10, "the template is new")
NOT_ASKED = Batch(DAY, "restock", 1, "bbb", 5, None)
OF_WINBACK = [planned(number) for number in range(10)]
OF_RESTOCK = [replace(planned(number), campaign_id="restock") for number in range(10, 15)]


@pytest.fixture
def clock():
    return MovableClock()


@pytest.fixture
def ledger(ledger_url, clock):
    """Ten sends of winback that wait for a person, five of restock that do not."""
    ledger = ledger_at(ledger_url, clock)
    assert ledger.enqueue([*OF_WINBACK, *OF_RESTOCK], {}, batches=[ASKED, NOT_ASKED]) == 15
    return ledger


def claimed(ledger: Ledger, tmp_path) -> set[str]:
    """Return what a sender gets, and let it go again."""
    with ledger.sender(tmp_path / "sender.lock"):
        ledger.expire(timedelta(hours=24))
        return {send.send_id for send in ledger.claim(100).sends}


def audited(ledger_url) -> list[tuple[str, str, dict[str, object]]]:
    engine = open_ledger(ledger_url)
    with engine.begin() as connection:
        query = select(audit_log.c.actor, audit_log.c.action, audit_log.c.detail).order_by(
            audit_log.c.audit_id
        )
        lines = [(row.actor, row.action, row.detail) for row in connection.execute(query)]
    engine.dispose()
    return lines


def test_no_sender_sees_what_waits_and_everything_else_goes(ledger, tmp_path):
    assert claimed(ledger, tmp_path) == {send.send_id for send in OF_RESTOCK}
    assert ledger.states(DAY) == {SendState.AWAITING: 10, SendState.PLANNED: 5}
    ledger.answer(ASKED, 100, actor="ada", why="looks fine")
    assert claimed(ledger, tmp_path) == {send.send_id for send in [*OF_WINBACK, *OF_RESTOCK]}


@pytest.mark.parametrize(("share", "count"), [(1, 1), (40, 4), (41, 5), (99, 10), (100, 10), (0, 0)])
def test_so_many_of_those_with_the_smallest_ids_go_and_the_others_never(ledger, tmp_path, share, count):
    ledger.answer(ASKED, share, actor="ada", why="a trial")
    ids = sorted(send.send_id for send in OF_WINBACK)
    assert claimed(ledger, tmp_path) - {send.send_id for send in OF_RESTOCK} == set(ids[:count])
    assert {send.send_id for send in ledger.in_state(SendState.REJECTED)} == set(ids[count:])
    ledger.enqueue([*OF_WINBACK, *OF_RESTOCK], {}, batches=[ASKED, NOT_ASKED])  # the day is planned again
    ledger.check_identity(DAY, 15)
    assert ledger.states(DAY)[SendState.REJECTED] == 10 - count


def test_the_first_answer_stands_and_who_when_and_why_are_in_the_audit_log(ledger, ledger_url, clock):
    clock.move(timedelta(minutes=7))
    ledger.answer(ASKED, 40, actor="ada@shop.example", why="a trial")
    stands = ledger.answer(ASKED, 0, actor="bob", why="no")
    assert (stands.answer, stands.share_percent, stands.why) == ("approved", 40, "a trial")
    assert stands.answered_at == NOON + timedelta(minutes=7)
    assert ledger.states(DAY)[SendState.PLANNED] == 9
    asked, answered = audited(ledger_url)
    assert asked[:2] == ("plan", "approval asked")
    assert answered[1] == "sends approved"
    assert answered[2] == {
        "as_of_date": "2026-03-02", "step": 1, "template_version": "aaa", "share_percent": 40, "why": "a trial",
        "approved": 4, "rejected": 6,
    }  # fmt: skip
    assert "@" not in answered[0]
    assert "@" not in str(stands.answered_by)
    with pytest.raises(LedgerBroken, match="no batch sunset 1"):
        ledger.answer(replace(ASKED, campaign_id="sunset"), 100, actor="ada", why="")


def test_what_nobody_answers_expires_with_its_day_and_counts_as_rejected(ledger, tmp_path, clock, ledger_url):
    clock.move(timedelta(days=2))
    assert claimed(ledger, tmp_path) == set()
    assert ledger.states(DAY) == {SendState.EXPIRED: 15}
    (stands, rule) = sorted(ledger.approvals(DAY), key=lambda batch: batch.answered_by, reverse=True)
    assert (stands.answer, stands.answered_by, rule.answered_by) == ("rejected", "time-out", "rule")
    assert audited(ledger_url)[-1][:2] == ("time-out", "sends rejected")
    assert ledger.approvals() == []


def test_what_waits_can_be_withdrawn(ledger, tmp_path):
    assert ledger.withdraw(DAY, "winback", actor="ada", reason="wrong prices") == 10
    ledger.answer(ASKED, 100, actor="bob", why="")
    assert ledger.states(DAY) == {SendState.EXPIRED: 10, SendState.PLANNED: 5}


@pytest.mark.parametrize(
    ("share", "state"), [(100, "planned"), (40, "rejected"), (0, "rejected"), (None, "awaiting")]
)
def test_what_joins_a_batch_later_on_its_day_shares_its_answer(ledger, share, state):
    if share is not None:
        ledger.answer(ASKED, share, actor="ada", why="")
    late = planned(99)
    ledger.enqueue([*OF_WINBACK, late], {}, batches=[replace(ASKED, send_count=11)])
    assert ledger.find(late.send_id).state == state
    ledger.check_identity(DAY, 16)


@pytest.mark.parametrize("share", [100, None])
def test_what_joins_with_a_template_that_nobody_was_asked_about_never_goes(ledger, share):
    if share is not None:
        ledger.answer(ASKED, share, actor="ada", why="")
    late = planned(99)
    ledger.enqueue([late], {}, batches=[replace(ASKED, template_version="ccc")])
    assert ledger.find(late.send_id).state == "rejected"
    ledger.check_identity(DAY, 16)


def test_a_batch_that_the_rule_let_go_waits_with_what_it_has_grown_by_once_there_is_a_reason(ledger):
    small = replace(planned(98), campaign_id="restock")
    ledger.enqueue([small], {}, batches=[replace(NOT_ASKED, send_count=6)])
    assert ledger.find(small.send_id).state == "planned"
    late = replace(planned(99), campaign_id="restock")
    large = replace(NOT_ASKED, send_count=7, reason="7 mails are more than 6")
    ledger.enqueue([late], {}, batches=[large])
    assert ledger.find(late.send_id).state == "awaiting"
    assert ledger.find(small.send_id).state == "planned"
    assert [(each.campaign_id, each.reason) for each in ledger.approvals()] == [
        ("restock", large.reason),
        ("winback", ASKED.reason),
    ]
    ledger.answer(large, 100, actor="ada", why="")
    assert ledger.find(late.send_id).state == "planned"


def test_a_batch_waits_for_its_size_its_template_or_a_model_s_words():
    def rows(campaign_id, count, **more):
        return [
            {"as_of_date": DAY, "campaign_id": campaign_id, "step": 1, "template_version": "v1"} | more
        ] * count

    plan = rows("large", 4) + rows("small", 3) + rows("changed", 1, template_version="v2")
    plan += [
        *rows("written", 2, copy=None),
        *rows("written", 1, copy=[{"origin": "authored"}, {"origin": "generated"}]),
    ]
    plan += rows("chosen", 1, copy=[{"origin": "grammar"}])
    approved = {(name, 1, "v1") for name in ("large", "small", "changed", "written", "chosen")}
    found = {batch.campaign_id: (batch.send_count, batch.reason) for batch in batches_of(plan, approved, 3)}
    assert found == {
        "large": (4, "4 mails are more than 3"),
        "small": (3, None),
        "changed": (1, "the template is new"),
        "written": (3, "a model wrote part of it"),
        "chosen": (1, None),
    }


def test_a_template_counts_as_approved_once_all_of_a_batch_was(ledger):
    assert ledger.approved_templates() == {("restock", 1, "bbb")}
    ledger.answer(ASKED, 99, actor="ada", why="a trial")
    assert ledger.approved_templates() == {("restock", 1, "bbb")}
    tomorrow = replace(ASKED, as_of_date=DAY + timedelta(days=1))
    assert ledger.approved_before(tomorrow).share_percent == 99
    assert ledger.approved_before(ASKED) is None  # of an earlier day
    ledger.enqueue([], {}, batches=[tomorrow])
    ledger.answer(tomorrow, 100, actor="ada", why="it went well")
    assert ledger.approved_templates() == {("restock", 1, "bbb"), ("winback", 1, "aaa")}


@pytest.fixture
def waiting(planned, own):
    """The small shop on its first day: every template is new, and nobody answers by himself."""
    settings = own(planned).model_copy(update={"approver": ""})
    release_plan(settings, small_shop.DAY)
    return settings


def test_the_first_day_of_a_shop_waits_is_rehearsed_looked_at_approved_and_sent(waiting):
    plan = list(plan_rows(waiting, small_shop.DAY))
    ledger = Ledger(open_ledger(waiting.ledger), clock_of(waiting))
    assert ledger.states(small_shop.DAY) == {SendState.AWAITING: len(plan)}
    assert small_shop.deliver(waiting) == {}
    assert rehearse(waiting, small_shop.DAY)["mails"] == len(plan)

    asked = questions(waiting, small_shop.DAY)
    batch = next(each for each in ledger.approvals(small_shop.DAY) if each.campaign_id == "restock")
    (body,) = (each["body"] for each in asked if each["subject"] == batch.name)
    its_own = {row["send_id"]: row["locale"] for row in plan if row["campaign_id"] == "restock"}
    for locale in set(its_own.values()):
        assert f"| {locale} | {list(its_own.values()).count(locale)} |" in body
    assert "@" not in "".join(each["body"] for each in asked)
    samples = re.findall(rf"\({re.escape(waiting.console_url)}(/mail/(\w+)/preview)\)", body)
    assert len(samples) == 3
    with served(waiting) as console:
        for path, send_id in samples:
            page = console.get(path)
            assert page.status_code == 200
            assert "Juniper Market" in page.text
            assert (
                f"{waiting.tracking_url}/" not in page.text
            )  # looking counts nothing and unsubscribes nobody
            assert send_id in its_own
            assert "As it would go" in console.words(f"/mail/{send_id}")
        assert console.get(f"/mail/{'0' * 32}/preview").status_code == 404

    ledger.answer(batch, 100, actor="ada", why="")
    assert small_shop.deliver(waiting)["sent"] + small_shop.deliver(waiting)["suppressed"] == len(its_own)
    assert LocalInbox(waiting.inbox).count() <= len(its_own)
    assert ledger.states(small_shop.DAY)[SendState.AWAITING] == len(plan) - len(its_own)


def test_a_named_approver_lets_everything_go_at_once_by_the_same_way(planned, own):
    settings = own(planned)
    assert settings.approver == "tests"
    enqueued = release_plan(settings, small_shop.DAY).enqueued
    ledger = LedgerView(open_ledger(settings.ledger))
    assert ledger.states(small_shop.DAY) == {SendState.PLANNED: enqueued}
    batches = ledger.approvals(small_shop.DAY)
    assert {batch.answered_by for batch in batches} == {"tests"}
    assert sum(batch.send_count for batch in batches) == enqueued
    assert questions(settings, small_shop.DAY) == []


def test_a_question_shows_the_lines_of_a_template_that_changed(waiting, tmp_path):
    (batch,) = (
        each
        for each in LedgerView(open_ledger(waiting.ledger)).approvals(small_shop.DAY)
        if each.campaign_id == "restock"
    )
    folder = shutil.copytree(TEMPLATES, tmp_path / "email_templates")
    subject = folder / "restock" / "subject.txt"
    first = compile_template("restock").subject.splitlines()[0]
    subject.write_text("{{ _('It is time') }} " + subject.read_text(encoding="utf-8"))
    for file in folder.glob("locales/*/LC_MESSAGES/messages.po"):
        file.write_text(
            file.read_text(encoding="utf-8") + '\nmsgid "It is time"\nmsgstr "…"\n', encoding="utf-8"
        )
    old = compile_template("restock", folder)
    TemplateStore(waiting.published / "templates").save(old)
    ledger = Ledger(open_ledger(waiting.ledger), clock_of(waiting))
    before = replace(
        batch_of(batch),
        as_of_date=small_shop.DAY - timedelta(days=3),
        template_version=old.version,
        send_count=7,
    )
    ledger.enqueue([], {}, batches=[before])
    ledger.answer(before, 100, actor="ada", why="")
    (body,) = (each["body"] for each in questions(waiting, small_shop.DAY) if each["subject"] == batch.name)
    assert "Last approved: 2017-12-01, 7 mails, 100 %." in body
    assert f"\n-{{{{ _('It is time') }}}} {first}\n" in body
    assert f"\n+{first}\n" in body
    assert "<mj" not in body
    assert len(body.splitlines()) < 90


def batch_of(approval) -> Batch:
    return Batch(*(getattr(approval, name) for name in Batch.__dataclass_fields__))
