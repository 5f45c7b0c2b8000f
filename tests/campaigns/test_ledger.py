"""The ledger's promises, each on SQLite and on PostgreSQL."""

import random
import sqlite3
import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event, insert, inspect, select, text

from campaigns.ledger import Handover, Ledger, Outcome, SendState
from campaigns.migrate import HEAD, migrate
from campaigns.outcomes import publish_ledger_state, publish_outcomes
from campaigns.sends import MAY_BECOME, Decision
from core.errors import LedgerBroken
from core.ledger_tables import audit_log, consents, links, metadata, open_ledger, sends, suppressions
from core.pseudonyms import pseudonym
from core.published import Published
from tests.faults.ledger_kit import DAY, NOON, MovableClock, ledger_at, planned, send_id_of
from tests.faults.postgresql import new_database, running_postgresql

HANDOVER = Handover("mail.example:25", "<m@juniper.example>", "0" * 64)
BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]


@pytest.fixture(scope="module")
def postgresql(tool_path):
    with running_postgresql(tool_path("postgresql").resolve().parent) as folder:
        yield folder


@pytest.fixture(params=BOTH)
def url(request, tmp_path):
    if request.param == "postgresql":
        return new_database(request.getfixturevalue("postgresql"))
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


@pytest.fixture
def clock():
    return MovableClock()


@pytest.fixture
def ledger(url, clock, tmp_path):
    """A ledger with three planned sends, c0 to c2, whose only sender we are."""
    ledger = ledger_at(url, clock)
    ledger.enqueue([planned(number) for number in range(3)], {})
    with ledger.only_sender(tmp_path / "sender.lock"):
        yield ledger


def states(ledger):
    return {send.customer_id: send.state for send in ledger.of_day(DAY)}


def started(ledger, number=0):
    """Take one send as far as `sending`."""
    send = next(s for s in ledger.claim("me", 10).sends if s.customer_id == f"c{number}")
    ledger.release("me")
    send = next(s for s in ledger.claim("me", 10).sends if s.customer_id == f"c{number}")
    assert ledger.start(send, HANDOVER)
    return send


def decision(number, is_given, *, days=0, known_days=None, purpose="marketing"):
    """What customer c0, c1, … decided so many days after NOON, and the shop learnt as many or more days after."""
    decided_at = NOON + timedelta(days=days)
    known_at = NOON + timedelta(days=days if known_days is None else known_days)
    return Decision(f"c{number}", purpose, is_given, "form", decided_at, known_at)


def reply_of(ledger, number):
    return ledger.find(send_id_of(number)).reply


# Planning


def test_a_day_enqueued_twice_is_in_the_ledger_once(ledger):
    assert ledger.enqueue([planned(number) for number in range(5)], {}) == 2
    assert ledger.states(DAY) == {SendState.PLANNED: 5}


def test_enqueueing_again_leaves_a_sent_mail_sent(ledger):
    ledger.finish(Outcome(started(ledger), SendState.SENT, "250 ok"))
    assert ledger.enqueue([planned(0)], {}) == 0
    assert states(ledger)["c0"] is SendState.SENT


def test_links_are_stored_with_the_sends_or_neither_is(ledger):
    target = "https://juniper.example/p/1"
    with pytest.raises(LedgerBroken, match="not made from its target"):
        ledger.enqueue([planned(7)], {"0" * 16: target})
    assert ledger.find(send_id_of(7)) is None
    ledger.enqueue([planned(7)], {sha256(target.encode()).hexdigest()[:16]: target})
    ledger.remember_links({sha256(target.encode()).hexdigest()[:16]: target})
    with ledger._engine.begin() as connection:
        assert connection.scalars(select(links.c.target)).all() == [target]


def test_a_planned_send_expires_24_hours_after_the_end_of_its_day(ledger, clock):
    clock.now = datetime(2026, 3, 3, 23, 59, tzinfo=UTC)
    assert ledger.expire() == 0
    clock.now = datetime(2026, 3, 4, 0, 1, tzinfo=UTC)
    assert ledger.expire() == 3
    assert ledger.states(DAY) == {SendState.EXPIRED: 3}


def test_what_is_withdrawn_is_never_claimed_and_leaves_a_line_in_the_audit_log(ledger):
    assert ledger.withdraw(DAY, "winback", actor="ada@juniper.example", reason="wrong price") == 3
    assert ledger.claim("me", 10).sends == []
    with ledger._engine.begin() as connection:
        line = connection.execute(select(audit_log)).one()
    assert (line.action, line.subject, line.actor) == ("sends withdrawn", "winback", "[address]")
    assert line.detail == {"as_of_date": "2026-03-02", "count": 3, "reason": "wrong price"}


# Claiming and sending


def test_only_what_is_due_is_claimed_earliest_first(ledger, clock):
    later, earlier = NOON + timedelta(hours=1), NOON - timedelta(hours=1)
    ledger.enqueue([planned(8, send_at=later), planned(9, send_at=earlier)], {})
    claimed = [send.customer_id for send in ledger.claim("me", 10).sends]
    assert claimed[0] == "c9"
    assert sorted(claimed) == ["c0", "c1", "c2", "c9"]
    clock.move(timedelta(hours=1))
    assert [send.customer_id for send in ledger.claim("me", 10).sends] == ["c8"]


def test_a_claim_can_be_limited_to_a_day_and_a_number(ledger):
    ledger.enqueue([planned(1, day=date(2026, 3, 1))], {})
    assert [s.as_of_date for s in ledger.claim("me", 10, date(2026, 3, 1)).sends] == [date(2026, 3, 1)]
    assert len(ledger.claim("me", 2, DAY).sends) == 2
    assert len(ledger.claim("me", 2, DAY).sends) == 1


def test_nobody_claims_without_being_the_only_sender(url, clock):
    ledger = ledger_at(url, clock)
    with pytest.raises(LedgerBroken, match="without being the only sender"):
        ledger.claim("me", 1)
    with pytest.raises(LedgerBroken, match="without being the only sender"):
        ledger.recover()


def test_a_second_sender_is_turned_away_by_name(ledger, url, clock, tmp_path):
    with (
        pytest.raises(LedgerBroken, match=r"^process \d+ is sending from this ledger already"),
        ledger_at(url, clock).only_sender(tmp_path / "sender.lock"),
    ):
        pass


@pytest.mark.needs("postgresql")
def test_on_postgresql_a_sender_on_another_machine_is_turned_away_too(postgresql, clock, tmp_path):
    url = new_database(postgresql)
    with (
        ledger_at(url, clock).only_sender(tmp_path / "this machine"),
        pytest.raises(LedgerBroken, match="is sending from this ledger already"),
        ledger_at(url, clock).only_sender(tmp_path / "another machine"),
    ):
        pass


def test_suppressed_people_are_passed_over_at_the_claim_whole_groups_of_them(ledger):
    for number in range(2):
        ledger.suppress(f"c{number}", f"p{number}", "unsubscribed")
    order = sorted(range(3), key=send_id_of)
    assert order != [2, 0, 1]  # so that a claim of one meets a suppressed one first
    claim = ledger.claim("me", 1)
    assert [send.customer_id for send in claim.sends] == ["c2"]
    ledger.claim("me", 1)
    assert states(ledger) == {
        "c0": SendState.SUPPRESSED,
        "c1": SendState.SUPPRESSED,
        "c2": SendState.CLAIMED,
    }


def test_an_address_suppressed_under_another_customer_id_counts(ledger):
    ledger.suppress("somebody else", "p1", "complained")
    assert sorted(send.customer_id for send in ledger.claim("me", 10).sends) == ["c0", "c2"]


def test_an_unsubscribe_after_the_claim_stops_the_start(ledger):
    send = ledger.claim("me", 10).sends[0]
    ledger.suppress(send.customer_id, send.pseudonym, "unsubscribed")
    assert ledger.start(send, HANDOVER) is False
    assert states(ledger)[send.customer_id] is SendState.SUPPRESSED


def test_a_withdrawal_of_consent_before_the_claim_stops_the_send_and_says_so(ledger):
    ledger.record_decisions([decision(1, False)])
    ledger.suppress("c2", "p2", "unsubscribed")
    claim = ledger.claim("me", 10)
    assert [send.customer_id for send in claim.sends] == ["c0"]
    assert claim.suppressed == 2
    assert states(ledger)["c1"] is states(ledger)["c2"] is SendState.SUPPRESSED
    assert reply_of(ledger, 1) == "consent withdrawn before the claim"
    assert reply_of(ledger, 2) == "suppressed before the claim"


def test_a_withdrawal_of_consent_after_the_claim_stops_the_start_and_says_so(ledger):
    first, second, third = sorted(ledger.claim("me", 10).sends, key=lambda send: send.customer_id)
    ledger.record_decisions([decision(0, False), decision(2, True)])
    ledger.suppress("c1", "p1", "unsubscribed")
    assert [ledger.start(send, HANDOVER) for send in (first, second, third)] == [False, False, True]
    assert states(ledger)["c0"] is states(ledger)["c1"] is SendState.SUPPRESSED
    assert reply_of(ledger, 0) == "consent withdrawn before the handover"
    assert reply_of(ledger, 1) == "suppressed before the handover"


def test_consent_given_again_later_lets_mail_go_and_an_unsubscribe_outlives_it(ledger):
    ledger.suppress("c1", "p1", "unsubscribed")
    ledger.record_decisions([decision(n, False) for n in range(3)])
    ledger.record_decisions([decision(n, True, days=1) for n in range(2)])
    ledger.record_decisions(2 * [decision(n, False) for n in range(3)])  # known already: nothing changes
    assert ledger.decision_count() == 5
    assert [send.customer_id for send in ledger.claim("me", 10).sends] == ["c0"]
    assert reply_of(ledger, 1) == "suppressed before the claim"
    assert reply_of(ledger, 2) == "consent withdrawn before the claim"


def test_without_a_decision_or_with_one_about_something_else_the_plan_has_decided(ledger):
    ledger.record_decisions([decision(0, False, purpose="survey")])
    assert len(ledger.claim("me", 10).sends) == 3


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    decisions=st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 2), st.integers(0, 2)), max_size=16
    ),
    cut=st.integers(0, 16),
)
def test_the_newest_decision_counts_in_whatever_order_they_arrive(decisions, cut, tmp_path_factory):
    """Decided, then learnt, later is newer; of two at the very same moments the withdrawal counts."""
    folder = tmp_path_factory.mktemp("order")
    ledger = ledger_at(f"sqlite:///{folder / 'ledger.sqlite'}")
    ledger.enqueue([planned(number) for number in range(4)], {})
    rows = [decision(n, given, days=days, known_days=days + lag) for n, given, days, lag in decisions]
    for part in (rows[cut:], rows[:cut], rows):  # the last again in whole
        ledger.record_decisions(part)
    newest: dict[str, list[tuple]] = {}
    for each in rows:
        newest.setdefault(each.customer_id, []).append((each.decided_at, each.known_at, not each.is_given))
    said_no = {customer_id for customer_id, all_ in newest.items() if max(all_)[2]}
    with ledger.only_sender(folder / "lock"):
        claimed = {send.customer_id for send in ledger.claim("me", 10).sends}
    assert claimed == {"c0", "c1", "c2", "c3"} - said_no
    assert ledger.decision_count() == len(set(rows))


def test_a_start_writes_down_what_is_handed_over_before_it_is(ledger):
    found = ledger.find(started(ledger).send_id)
    assert found.state is SendState.SENDING
    assert (found.server, found.message_id, found.message_digest) == (
        "mail.example:25",
        "<m@juniper.example>",
        "0" * 64,
    )
    assert (found.sending_at, found.ended_at, found.attempts) == (NOON, None, 1)


def test_a_mailbox_that_refuses_for_good_is_suppressed_by_the_same_commit(ledger, clock):
    send = started(ledger)
    ledger.finish(Outcome(send, SendState.REFUSED, "550 5.1.1 no such user", suppresses=True))
    [person] = ledger.suppressed_before(NOON + timedelta(seconds=1))
    assert (person.customer_id, person.reason, person.suppressed_at) == ("c0", "refused", NOON)
    clock.move(timedelta(days=1))
    assert ledger.suppress("c0", "p0", "unsubscribed") is False  # the first reason and moment stay
    assert ledger.suppressed_before(NOON) == []


def test_the_outcome_of_one_mail_and_the_start_of_the_next_are_one_commit(ledger):
    first, second, _ = ledger.claim("me", 3).sends
    assert ledger.start(first, HANDOVER)
    ledger.release("me")  # the second is no longer ours
    with pytest.raises(LedgerBroken, match="somebody else moved it"):
        ledger.start(second, HANDOVER, after=Outcome(first, SendState.SENT, "250 ok"))
    assert ledger.find(first.send_id).state is SendState.SENDING


def test_every_transition_but_the_documented_ones_is_refused(ledger):
    every = list(SendState)
    assert len(every) == 9
    allowed = {(a, b) for a in every for b in MAY_BECOME[a]}
    assert len(allowed) == 13
    done = Outcome(started(ledger), SendState.SENT, "250 ok")
    ledger.finish(done)
    for state in every:
        with pytest.raises(LedgerBroken):
            ledger.finish(Outcome(done.send, state, "again"))
    with pytest.raises(LedgerBroken):
        ledger.resolve(done.send.send_id, was_delivered=False, actor="ada")
    assert states(ledger)["c0"] is SendState.SENT


def test_a_claim_that_is_no_longer_ours_cannot_be_finished(ledger):
    send = started(ledger)
    ledger.recover()
    ledger.resolve(send.send_id, was_delivered=False, actor="ada")
    other = next(s for s in ledger.claim("another", 10).sends if s.send_id == send.send_id)
    assert ledger.start(other, HANDOVER)
    with pytest.raises(LedgerBroken, match=r"claim another"):
        ledger.finish(Outcome(send, SendState.SENT, "250 from the one who was thought dead"))


# After a crash


class Inbox:
    """Evidence that knows some messages, and of the rest whether they are certainly absent."""

    server = "mail.example:25"

    def __init__(self, answer):
        self.answer = answer

    def was_delivered(self, message_id):
        assert message_id == "<m@juniper.example>"
        return self.answer


def test_recovering_plans_claims_again_and_leaves_mail_in_flight_uncertain(ledger):
    started(ledger)  # c1 and c2 stay claimed
    assert ledger.recover() == {SendState.PLANNED: 2, SendState.UNCERTAIN: 1}
    assert ledger.recover() == {}
    assert ledger.states(DAY) == {SendState.PLANNED: 2, SendState.UNCERTAIN: 1}


def test_an_uncertain_send_is_never_claimed_by_itself(ledger, clock):
    started(ledger)
    ledger.recover()
    clock.move(timedelta(days=30))
    assert sorted(send.customer_id for send in ledger.claim("me", 10).sends) == ["c1", "c2"]


@pytest.mark.parametrize(
    ("answer", "end"),
    [(True, SendState.SENT), (False, SendState.PLANNED), (None, SendState.UNCERTAIN)],
)
def test_evidence_settles_an_uncertain_send_and_the_lack_of_it_does_not(ledger, answer, end):
    started(ledger)
    ledger.recover()
    assert ledger.settle(Inbox(answer)) == {end: 1}
    assert states(ledger)["c0"] is end


def test_a_server_is_no_evidence_of_what_another_was_handed(ledger):
    started(ledger)
    ledger.recover()
    inbox = Inbox(False)
    inbox.server = "other.example:25"
    assert ledger.settle(inbox) == {SendState.UNCERTAIN: 1}


def test_a_person_can_settle_an_uncertain_send_by_hand_and_is_named_for_it(ledger):
    send = started(ledger)
    ledger.recover()
    assert ledger.resolve(send.send_id, was_delivered=True, actor="ada") is SendState.SENT
    with ledger._engine.begin() as connection:
        line = connection.execute(select(audit_log).where(audit_log.c.actor == "ada")).one()
    assert (line.action, line.subject, line.detail) == ("send settled", send.send_id, {"state": "sent"})
    with pytest.raises(LedgerBroken, match="not in the ledger"):
        ledger.resolve("f" * 32, was_delivered=True, actor="ada")


# What feedback asks


def test_a_settled_send_is_sent_since_it_was_handed_over_and_known_since_it_was_settled(ledger, clock):
    """Features of the day between must not count, when built again, what nobody knew then."""
    send = started(ledger)
    clock.move(timedelta(hours=1))
    ledger.recover()
    assert ledger.sent_after(NOON, "", 10) == []
    clock.move(timedelta(days=2))
    ledger.resolve(send.send_id, was_delivered=True, actor="ada")
    settled_at = NOON + timedelta(days=2, hours=1)
    assert ledger.sent_after(NOON, "", 10) == [(send.send_id, "c0", NOON, settled_at)]
    assert ledger.sent_after(settled_at, send.send_id, 10) == []


def test_what_was_sent_is_told_in_the_order_of_its_end_piece_by_piece(ledger, clock):
    claimed = {send.customer_id: send for send in ledger.claim("me", 10).sends}
    for customer_id in ("c2", "c0", "c1"):
        clock.move(timedelta(seconds=1))
        assert ledger.start(claimed[customer_id], HANDOVER)
        ledger.finish(Outcome(claimed[customer_id], SendState.SENT, "250 ok"))
    told, last = [], (NOON, "")
    while found := ledger.sent_after(*last, 1):
        told += [customer_id for _, customer_id, _, _ in found]
        last = (found[-1][3], found[-1][0])
    assert told == ["c2", "c0", "c1"]


def test_what_was_sent_is_found_by_its_index(ledger):
    """Without it, every collection would read all sends there ever were, and the sender would wait for it."""
    queries = []
    event.listen(ledger._engine, "before_cursor_execute", lambda *given: queries.append(given[2:4]))
    ledger.sent_after(NOON, "", 10)
    query, parameters = queries[-1]  # SQLite is told to begin before it
    with ledger._engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"explain query plan {query}", parameters).all()
        else:  # its planner would rather read three rows than an index
            connection.exec_driver_sql("set local enable_seqscan = off")
            plan = connection.exec_driver_sql(f"explain {query}", parameters).all()
    assert "ix_sends_sent" in str(plan)
    assert "sort" not in str(plan).lower()
    assert "temp b-tree" not in str(plan).lower()


def test_customers_of_sends_are_told_of_those_there_are(ledger):
    ids = [send_id_of(0), send_id_of(2), "f" * 32]
    assert ledger.customers_of(ids) == {send_id_of(0): "c0", send_id_of(2): "c2"}
    assert ledger.customers_of([]) == {}


# Accounts


def test_the_identity_fails_by_one_missing_and_by_one_too_many(ledger):
    ledger.finish(Outcome(started(ledger), SendState.SENT, "250 ok"))
    ledger.check_identity(DAY, 3)
    for wrong in (2, 4):
        with pytest.raises(
            LedgerBroken, match=rf"{wrong} sends are planned .* holds 3 \(2 claimed, 1 sent\)"
        ):
            ledger.check_identity(DAY, wrong)


def test_what_was_known_to_have_reached_nobody_does_not_use_up_a_cap(ledger):
    before, after = NOON - timedelta(days=1), NOON + timedelta(days=1)
    ledger.finish(Outcome(started(ledger), SendState.REFUSED, "550 no"))
    tomorrow = date(2026, 3, 3)
    assert {row[1] for row in ledger.sends_before(tomorrow, after)} == {"c1", "c2"}
    assert {row[1] for row in ledger.sends_before(tomorrow, before)} == {"c0", "c1", "c2"}
    assert ledger.sends_before(DAY, after) == []


# An unsubscribe and a withdrawal win every race


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["claim", "start", "unsubscribe", "by address", "withdraw", "consent"]),
            st.integers(0, 5),
        ),
        max_size=30,
    )
)
def test_in_any_order_of_steps_no_send_starts_after_a_committed_no(steps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("race")
    url = f"sqlite:///{folder / 'ledger.sqlite'}"
    ledger, tracking = ledger_at(url), Ledger(open_ledger(url), MovableClock())
    ledger.enqueue([planned(number) for number in range(6)], {})
    claimed: dict = {}
    unsubscribed: set[str] = set()
    withdrawn: set[str] = set()
    with ledger.only_sender(folder / "lock"):
        for day, (step, number) in enumerate(steps):  # each decision is a day younger than the one before
            if step == "claim":
                for send in ledger.claim("me", number).sends:
                    assert send.customer_id not in unsubscribed | withdrawn
                    claimed[send.customer_id] = send
            elif step == "start" and f"c{number}" in claimed:
                send = claimed.pop(f"c{number}")
                may_go = send.customer_id not in unsubscribed | withdrawn
                assert ledger.start(send, HANDOVER) is may_go
            elif step in ("withdraw", "consent"):
                tracking.record_decisions([decision(number, step == "consent", days=day)])
                (withdrawn.add if step == "withdraw" else withdrawn.discard)(f"c{number}")
            elif step in ("unsubscribe", "by address"):
                customer = f"c{number}" if step == "unsubscribe" else f"twin of c{number}"
                tracking.suppress(customer, f"p{number}", "unsubscribed")
                unsubscribed.add(f"c{number}")


def say_no(ledger, number, way):
    if way == "unsubscribe":
        ledger.suppress(f"c{number}", f"p{number}", "unsubscribed")
    else:
        ledger.record_decisions([decision(number, True, days=-9), decision(number, False)])


@pytest.mark.parametrize("way", ["unsubscribe", "withdraw"])
def test_against_people_who_say_no_at_random_no_send_starts_too_late(url, tmp_path, way):
    """Two threads with a connection each race over 200 sends; seen from outside, in real time."""
    total, random_ = 200, random.Random(7)
    ledger = ledger_at(url)
    tracking = Ledger(open_ledger(url), MovableClock())
    ledger.enqueue([planned(number) for number in range(total)], {})
    people = random_.sample(range(total), total // 2)
    committed: set[str] = set()

    def all_say_no():
        for number in people:
            say_no(tracking, number, way)
            committed.add(f"c{number}")

    thread = threading.Thread(target=all_say_no)
    ended: Counter = Counter()
    too_late = []
    with ledger.only_sender(tmp_path / "lock"):
        thread.start()
        before = None
        while sends := ledger.claim("me", 20).sends:
            for send in sends:
                known = set(committed)  # what had been committed before we asked to start
                has_started = ledger.start(send, HANDOVER, after=before)
                before = Outcome(send, SendState.SENT, "250") if has_started else None
                ended["started" if has_started else "stopped"] += 1
                if has_started and send.customer_id in known:
                    too_late.append(send.customer_id)
        if before:
            ledger.finish(before)
    thread.join()
    assert ended["started"] > 20  # the race was run
    assert too_late == []
    assert ledger.states(DAY).total() == total


NO = {
    "unsubscribe": insert(suppressions).values(
        customer_id="c0", pseudonym="p", reason="unsubscribed", suppressed_at=NOON
    ),
    "withdrawal": insert(consents).values(
        customer_id="c0", purpose="marketing", decided_at=NOON, known_at=NOON, is_given=False
    ),
}


@pytest.mark.parametrize("no", NO)
def test_a_start_waits_for_a_no_that_is_being_committed(ledger, no):
    send = next(send for send in ledger.claim("me", 3).sends if send.customer_id == "c0")
    started_: list[bool] = []
    thread = threading.Thread(target=lambda: started_.append(ledger.start(send, HANDOVER)))
    tracking = open_ledger(ledger._engine.url.render_as_string(hide_password=False))
    with tracking.begin() as somebody_else:
        somebody_else.execute(NO[no])
        thread.start()
        thread.join(timeout=0.5)
        assert started_ == []  # neither yes nor no before it is committed
    thread.join(timeout=10)
    tracking.dispose()
    assert started_ == [False]


# The shape of the ledger


def test_migrating_builds_what_the_tables_say_and_again_changes_nothing(url):
    migrate(url)
    migrate(url)
    engine = open_ledger(url)
    with engine.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}
        assert connection.execute(text("select version_num from alembic_version")).scalar() == HEAD
    engine.dispose()


def test_a_ledger_of_the_first_revision_gains_consents_and_keeps_its_sends(url):
    engine = open_ledger(url)
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "campaigns:migrations")
        command.upgrade(config, "0001")
        row = {column.name: getattr(planned(0), column.name, None) for column in sends.columns}
        connection.execute(insert(sends).values(row | {"state": "planned", "attempts": 0}))
    assert "consents" not in inspect(engine).get_table_names()
    engine.dispose()
    ledger = ledger_at(url)
    ledger.record_decisions([decision(0, True)])
    assert ledger.decision_count() == 1
    assert ledger.states(DAY) == {SendState.PLANNED: 1}


def test_the_head_that_migrate_looks_for_is_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", "campaigns:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_migration_that_dies_half_way_leaves_nothing_and_can_be_run_again(url, monkeypatch):
    def die(connection, cursor, statement, parameters, context, executemany):
        if "CREATE TABLE audit_log" in statement:
            raise KeyboardInterrupt

    def open_and_die(address):
        engine = open_ledger(address)
        event.listen(engine, "before_cursor_execute", die)
        return engine

    with monkeypatch.context() as patch:
        patch.setattr("campaigns.migrate.open_ledger", open_and_die)
        with pytest.raises(KeyboardInterrupt):
            migrate(url)
    engine = open_ledger(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    migrate(url)
    assert ledger_at(url).states(DAY) == {}


def test_a_ledger_made_by_a_newer_lapwing_is_left_alone(url):
    migrate(url)
    engine = open_ledger(url)
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    with pytest.raises(LedgerBroken, match="revision 9999, which this Lapwing does not know"):
        migrate(url)


def test_a_file_that_is_no_ledger_is_named_in_one_sentence(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("not a database " * 100)
    with pytest.raises(LedgerBroken, match=r"ledger\.sqlite cannot be used: .*not a database"):
        migrate(f"sqlite:///{tmp_path / 'ledger.sqlite'}")


def test_claiming_reads_an_index_and_not_every_send(tmp_path):
    ledger, said = ledger_at(f"sqlite:///{tmp_path / 'ledger.sqlite'}"), []
    event.listen(
        ledger._engine, "before_cursor_execute", lambda c, k, sql, values, *_: said.append((sql, values))
    )
    with ledger.only_sender(tmp_path / "lock"):
        ledger.claim("me", 10)
    [(sql, values)] = [one for one in said if one[0].startswith("SELECT sends.send_id")]
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        [plan] = connection.execute(f"explain query plan {sql}", values).fetchall()
    connection.close()
    assert plan[3] == "SEARCH sends USING INDEX ix_sends_due (send_at<?)"


# What the warehouse may know


def test_published_outcomes_tell_every_send_of_the_day_and_no_address(settings, tmp_path):
    ledger = ledger_at(settings.ledger)
    ledger.enqueue([planned(number) for number in range(3)], {})
    with ledger.only_sender(tmp_path / "lock"):
        ledger.finish(Outcome(started(ledger), SendState.SENT, "250 ok"))
    assert publish_outcomes(settings, DAY) == 3
    table = Published(settings.published).read("send_outcomes", DAY)
    rows = table.to_pylist()
    assert [row["send_id"] for row in rows] == sorted(send_id_of(number) for number in range(3))
    assert {row["customer_id"]: (row["state"], row["ended_at"]) for row in rows} == {
        "c0": ("sent", NOON.replace(tzinfo=None)),
        "c1": ("claimed", None),
        "c2": ("claimed", None),
    }
    assert b"example.com" not in Published(settings.published).path("send_outcomes", DAY).read_bytes()


def test_planning_a_day_again_sees_the_ledger_as_it_was_when_the_day_began(settings, tmp_path):
    clock = MovableClock()
    ledger = ledger_at(settings.ledger, clock)
    ledger.enqueue([planned(0)], {})
    ledger.suppress("c1", "p1", "unsubscribed")
    tomorrow = date(2026, 3, 3)
    publish_ledger_state(settings, tomorrow, {})
    files = [
        Published(settings.published).path(name, tomorrow) for name in ("ledger_suppressions", "ledger_sends")
    ]
    first = [file.read_bytes() for file in files]
    assert Published(settings.published).read("ledger_suppressions", tomorrow).to_pylist() == [
        {"customer_id": "c1", "reason": "unsubscribed", "suppressed_at": NOON.replace(tzinfo=None)}
    ]
    assert Published(settings.published).read("ledger_sends", tomorrow).to_pylist() == [
        {"send_id": send_id_of(0), "customer_id": "c0", "campaign_id": "winback", "as_of_date": DAY}
    ]

    clock.move(timedelta(days=1))  # now tomorrow itself is sent, refused and unsubscribed from
    ledger.enqueue([planned(0, day=tomorrow)], {})
    ledger.suppress("c2", "p2", "unsubscribed")
    with ledger.only_sender(tmp_path / "lock"):
        ledger.finish(Outcome(started(ledger), SendState.REFUSED, "550 no"))
    publish_ledger_state(settings, tomorrow, {})
    assert [file.read_bytes() for file in files] == first


def test_who_has_the_address_of_a_suppressed_person_is_published_as_suppressed_too(settings):
    gone, also_gone, kept = "gone@example.com", "Also.Gone@example.com", "kept@example.com"
    first, second = NOON, NOON + timedelta(hours=1)
    for moment, customer_id, address in (
        (second, "c1", gone),
        (first, "c9", gone),
        (second, "c5", also_gone),
    ):
        ledger = ledger_at(settings.ledger, MovableClock(moment))
        assert ledger.suppress(customer_id, pseudonym(address, settings.token_key), f"of {customer_id}")
    # c1 has moved to an address of its own and stays suppressed; c2 and c3 were never asked.
    addresses = {"c1": kept, "c2": "GONE@example.com ", "c3": also_gone.lower(), "c4": "other@example.com"}
    publish_ledger_state(settings, date(2026, 3, 3), addresses)
    rows = Published(settings.published).read("ledger_suppressions", date(2026, 3, 3)).to_pylist()
    assert [(row["customer_id"], row["reason"], row["suppressed_at"]) for row in rows] == [
        ("c1", "of c1", second.replace(tzinfo=None)),
        ("c2", "of c9", first.replace(tzinfo=None)),  # of the two at that address, the first to go
        ("c3", "of c5", second.replace(tzinfo=None)),
        ("c5", "of c5", second.replace(tzinfo=None)),
        ("c9", "of c9", first.replace(tzinfo=None)),
    ]
    publish_ledger_state(settings, DAY, addresses)  # nobody was suppressed before this day began
    assert Published(settings.published).read("ledger_suppressions", DAY).num_rows == 0


def test_a_printed_send_shows_no_address(ledger):
    send = ledger.find(send_id_of(0))
    assert send.address == "reader.0@example.com"
    assert "@" not in repr(send)
