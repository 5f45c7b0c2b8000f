"""The ledger's promises, each on SQLite and on PostgreSQL."""

import sqlite3
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event, insert, select

from campaigns.leases import LEASE
from campaigns.ledger import Ledger, Outcome, SendState
from campaigns.sends import MAY_BECOME, Started
from core.errors import LedgerBroken
from core.ledger_tables import (
    audit_log,
    consents,
    links,
    open_ledger,
    sends,
    suppressions,
)
from tests.faults.ledger_kit import (
    DAY,
    HANDOVER,
    NOON,
    MovableClock,
    decision,
    ledger_at,
    ledger_in,
    pauses,
    planned,
    send_id_of,
    start,
    started,
    states,
)
from tests.faults.postgresql import new_database

A_DAY = timedelta(days=1)


@pytest.fixture
def clock():
    return MovableClock()


@pytest.fixture
def ledger(ledger_url, clock, tmp_path):
    """A ledger with three planned sends, c0 to c2, from which we send."""
    ledger = ledger_at(ledger_url, clock)
    ledger.enqueue([planned(number) for number in range(3)], {})
    with ledger.sender(tmp_path / "sender.lock"):
        yield ledger


@pytest.fixture
def heir(ledger_url, clock, tmp_path):
    """Return a function that waits until every lease is over and lets another sender come."""
    with ExitStack() as senders:

        def come():
            clock.move(LEASE + timedelta(seconds=1))
            ledger = Ledger(open_ledger(ledger_url), clock)
            senders.enter_context(ledger.sender(tmp_path / "another machine.lock"))
            return ledger

        yield come


def eventually(ask):
    """Ask until the answer is not empty: what goes with a connection goes a moment after it."""
    deadline = time.monotonic() + 10
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return answer


def reply_of(ledger, number):
    return ledger.find(send_id_of(number)).reply


# Planning


def test_a_day_enqueued_twice_is_in_the_ledger_once(ledger):
    assert ledger.enqueue([planned(number) for number in range(5)], {}) == 2
    assert ledger.states(DAY) == {SendState.PLANNED: 5}


def test_enqueueing_again_leaves_a_sent_mail_sent(ledger):
    ledger.finish([Outcome(started(ledger), SendState.SENT, "250 ok")])
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
    assert ledger.expire(A_DAY) == 0
    clock.now = datetime(2026, 3, 4, 0, 1, tzinfo=UTC)
    assert ledger.expire(A_DAY) == 3
    assert ledger.states(DAY) == {SendState.EXPIRED: 3}


def test_a_send_goes_until_the_moment_its_campaign_gives_it_and_expires_from_then_on(ledger, clock):
    ledger.enqueue([replace(planned(7), expires_at=NOON + timedelta(hours=3))], {})
    clock.now = NOON + timedelta(hours=3, seconds=-1)
    assert len(ledger.claim(10).sends) == 4
    ledger.release()
    assert ledger.expire(A_DAY) == 0
    clock.now = NOON + timedelta(hours=3)
    assert sorted(send.customer_id for send in ledger.claim(10).sends) == ["c0", "c1", "c2"]
    assert ledger.expire(A_DAY) == 1
    assert (states(ledger)["c7"], reply_of(ledger, 7)) == (SendState.EXPIRED, "its time has passed")


def test_what_is_withdrawn_is_never_claimed_and_leaves_a_line_in_the_audit_log(ledger):
    assert ledger.withdraw(DAY, "winback", actor="ada@juniper.example", reason="wrong price") == 3
    assert ledger.claim(10).sends == []
    with ledger._engine.begin() as connection:
        line = connection.execute(select(audit_log)).one()
    assert (line.action, line.subject, line.actor) == ("sends withdrawn", "winback", "[address]")
    assert line.detail == {"as_of_date": "2026-03-02", "count": 3, "reason": "wrong price"}


# Claiming and sending


def test_only_what_is_due_is_claimed_earliest_first(ledger, clock):
    later, earlier = NOON + timedelta(hours=1), NOON - timedelta(hours=1)
    ledger.enqueue([planned(8, send_at=later), planned(9, send_at=earlier)], {})
    claimed = [send.customer_id for send in ledger.claim(10).sends]
    assert claimed[0] == "c9"
    assert sorted(claimed) == ["c0", "c1", "c2", "c9"]
    clock.move(timedelta(hours=1))
    assert [send.customer_id for send in ledger.claim(10).sends] == ["c8"]


def test_a_claim_can_be_limited_to_a_day_and_a_number(ledger):
    ledger.enqueue([planned(1, day=date(2026, 3, 1))], {})
    assert [s.as_of_date for s in ledger.claim(10, date(2026, 3, 1)).sends] == [date(2026, 3, 1)]
    assert len(ledger.claim(2, DAY).sends) == 2
    assert len(ledger.claim(2, DAY).sends) == 1


def test_nobody_claims_without_a_lease(ledger_url, clock):
    ledger = ledger_at(ledger_url, clock)
    with pytest.raises(LedgerBroken, match=r"do it inside Ledger\.sender"):
        ledger.claim(1)
    with pytest.raises(LedgerBroken, match=r"do it inside Ledger\.sender"):
        ledger.recover()


def test_sqlite_turns_a_second_sender_away_by_name(tmp_path):
    ledger = ledger_in(tmp_path)
    with (
        ledger.sender(tmp_path / "sender.lock"),
        pytest.raises(LedgerBroken, match=r"^process \d+ is sending from this ledger already"),
        ledger_in(tmp_path).sender(tmp_path / "sender.lock"),
    ):
        pass


@pytest.mark.needs("postgresql")
def test_on_postgresql_senders_share_what_is_due_and_none_waits_for_another(postgresql, clock, tmp_path):
    ledger_url = new_database(postgresql)
    ledgers = [ledger_at(ledger_url, clock) for _ in range(4)]
    ledgers[0].enqueue([planned(number) for number in range(40)], {})
    with ExitStack() as senders, ledgers[0]._engine.begin() as somebody_else:
        leases = [senders.enter_context(ledger.sender(tmp_path / "lock")) for ledger in ledgers]
        held = set[str](somebody_else.scalars(select(sends.c.send_id).limit(3).with_for_update()))
        claims = [{send.send_id for send in ledger.claim(12).sends} for ledger in ledgers]
        assert leases == sorted(set(leases))  # the tokens grow
        assert [len(claim) for claim in claims] == [12, 12, 12, 1]
        assert set.union(held, *claims) == {send_id_of(number) for number in range(40)}
        assert [sender.lease_id for sender in ledgers[0].senders()] == leases
    assert ledgers[0].states(DAY) == {SendState.PLANNED: 40}  # what was claimed and not sent
    assert ledgers[0].senders() == []


@pytest.mark.needs("postgresql")
def test_on_postgresql_a_sender_that_lives_is_left_alone_and_one_whose_connection_is_gone_is_not(
    postgresql, clock, tmp_path
):
    ledger_url = new_database(postgresql)
    first, second = ledger_at(ledger_url, clock), ledger_at(ledger_url, clock)
    first.enqueue([planned(0)], {})
    with first.sender(tmp_path / "lock"), second.sender(tmp_path / "lock"):
        assert len(first.claim(1).sends) == 1
        assert second.recover() == {}
        kill = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = 1"
        kill += " and database = (select oid from pg_database where datname = current_database())"
        with second._engine.begin() as connection:
            assert connection.exec_driver_sql(kill).scalars().all() == [True]
        assert eventually(second.recover) == {SendState.PLANNED: 1}
        with pytest.raises(LedgerBroken, match=r"^lease 1 has ended"):
            first.claim(1)


def test_suppressed_people_are_passed_over_at_the_claim_whole_groups_of_them(ledger):
    for number in range(2):
        ledger.suppress(f"c{number}", f"p{number}", "unsubscribed")
    order = sorted(range(3), key=send_id_of)
    assert order != [2, 0, 1]  # so that a claim of one meets a suppressed one first
    claim = ledger.claim(1)
    assert [send.customer_id for send in claim.sends] == ["c2"]
    ledger.claim(1)
    assert states(ledger) == {
        "c0": SendState.SUPPRESSED,
        "c1": SendState.SUPPRESSED,
        "c2": SendState.CLAIMED,
    }


def test_an_address_suppressed_under_another_customer_id_counts(ledger):
    ledger.suppress("somebody else", "p1", "complained")
    assert sorted(send.customer_id for send in ledger.claim(10).sends) == ["c0", "c2"]


def test_an_unsubscribe_after_the_claim_stops_the_start(ledger):
    send = ledger.claim(10).sends[0]
    ledger.suppress(send.customer_id, send.pseudonym, "unsubscribed")
    assert start(ledger, send) is False
    assert states(ledger)[send.customer_id] is SendState.SUPPRESSED


def test_a_withdrawal_of_consent_before_the_claim_stops_the_send_and_says_so(ledger):
    ledger.record_decisions([decision(1, False)])
    ledger.suppress("c2", "p2", "unsubscribed")
    claim = ledger.claim(10)
    assert [send.customer_id for send in claim.sends] == ["c0"]
    assert claim.suppressed == 2
    assert states(ledger)["c1"] is states(ledger)["c2"] is SendState.SUPPRESSED
    assert reply_of(ledger, 1) == "consent withdrawn before the claim"
    assert reply_of(ledger, 2) == "suppressed before the claim"


def test_a_withdrawal_of_consent_after_the_claim_stops_the_start_and_says_so(ledger):
    first, second, third = sorted(ledger.claim(10).sends, key=lambda send: send.customer_id)
    ledger.record_decisions([decision(0, False), decision(1, False), decision(2, True)])
    ledger.suppress("c1", "p1", "unsubscribed")
    group = [(send, HANDOVER) for send in (first, second, third)]
    assert ledger.start(group) == Started(frozenset({third.send_id}), suppressed=2)
    assert states(ledger)["c0"] is states(ledger)["c1"] is SendState.SUPPRESSED
    assert reply_of(ledger, 0) == "consent withdrawn before the handover"
    assert reply_of(ledger, 1) == "suppressed before the handover"


def test_a_kind_switched_off_stops_the_mails_of_that_kind_and_the_reply_says_so(ledger):
    ledger.enqueue([replace(planned(9), campaign_id="price_drop", customer_id="c0")], {})
    ledger.remember_kinds({"winback": "suggestions", "price_drop": "alerts"})
    ledger.remember_kinds({"winback": "offers"})  # it has become another kind
    ledger.record_decisions([decision(0, False, purpose="offers"), decision(1, False, purpose="alerts")])
    claimed = {(send.customer_id, send.campaign_id) for send in ledger.claim(10).sends}
    assert claimed == {("c0", "price_drop"), ("c1", "winback"), ("c2", "winback")}
    assert reply_of(ledger, 0) == "kind switched off before the claim"


def test_what_is_due_within_a_pause_does_not_go_and_what_is_due_at_its_end_does(ledger, clock):
    ledger.enqueue([planned(number, send_at=NOON + timedelta(hours=1)) for number in (7, 8)], {})
    clock.move(timedelta(hours=1))
    with ledger._engine.begin() as connection:
        connection.execute(pauses("c0", NOON + timedelta(seconds=1)))
        connection.execute(pauses("c7", NOON + timedelta(hours=1)))
    assert sorted(send.customer_id for send in ledger.claim(10).sends) == ["c1", "c2", "c7", "c8"]
    assert reply_of(ledger, 0) == "paused by the reader before the claim"


def test_consent_given_again_later_lets_mail_go_and_an_unsubscribe_outlives_it(ledger):
    ledger.suppress("c1", "p1", "unsubscribed")
    ledger.record_decisions([decision(n, False) for n in range(3)])
    ledger.record_decisions([decision(n, True, days=1) for n in range(2)])
    ledger.record_decisions(2 * [decision(n, False) for n in range(3)])  # known already: nothing changes
    assert ledger.decision_count() == 5
    assert [send.customer_id for send in ledger.claim(10).sends] == ["c0"]
    assert reply_of(ledger, 1) == "suppressed before the claim"
    assert reply_of(ledger, 2) == "consent withdrawn before the claim"


def test_without_a_decision_or_with_one_about_something_else_the_plan_has_decided(ledger):
    ledger.record_decisions([decision(0, False, purpose="survey")])
    assert len(ledger.claim(10).sends) == 3


def test_mail_and_what_is_no_mail_are_claimed_apart(ledger):
    ledger.enqueue([planned(3, channel="sms"), planned(4, channel="call")], {})
    assert sorted(send.customer_id for send in ledger.claim(10, is_mail=False).sends) == ["c3", "c4"]
    assert sorted(send.customer_id for send in ledger.claim(10).sends) == ["c0", "c1", "c2"]


def test_a_no_to_a_channel_stops_that_channel_and_a_no_to_marketing_stops_all(ledger):
    ledger.enqueue([planned(number, channel="sms") for number in (3, 4, 5, 6)], {})
    ledger.record_decisions([
        decision(0, False, purpose="sms"),  # whose send is a mail
        decision(3, True),
        decision(3, False, purpose="sms"),
        decision(4, False),
        decision(4, True, purpose="sms"),
        decision(5, False, purpose="push"),
    ])  # fmt: skip
    ledger.suppress("c6", "p6", "unsubscribed")
    assert [send.customer_id for send in ledger.claim(10, is_mail=False).sends] == ["c5"]
    assert [reply_of(ledger, number) for number in (3, 4, 6)] == [
        "consent withdrawn before the claim",
        "consent withdrawn before the claim",
        "suppressed before the claim",
    ]
    assert "c0" in [send.customer_id for send in ledger.claim(10).sends]


def test_a_no_to_the_channel_after_the_claim_stops_the_start(ledger):
    ledger.enqueue([planned(3, channel="sms")], {})
    (send,) = ledger.claim(10, is_mail=False).sends
    ledger.record_decisions([decision(3, False, purpose="sms")])
    assert ledger.start([(send, HANDOVER)]) == Started(frozenset(), suppressed=1)
    assert reply_of(ledger, 3) == "consent withdrawn before the handover"


def test_only_mail_is_told_as_mail_that_was_sent(ledger):
    ledger.enqueue([planned(3, channel="sms")], {})
    (send,) = ledger.claim(10, is_mail=False).sends
    assert start(ledger, send)
    ledger.finish([Outcome(send, SendState.SENT, "204")])
    assert ledger.sent_after(NOON - A_DAY, "", 10) == []
    assert (
        len(ledger.sends_before(DAY + A_DAY, NOON + A_DAY)) == 4
    )  # it counts for caps, as the planned ones do


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
    with ledger.sender(folder / "lock"):
        claimed = {send.customer_id for send in ledger.claim(10).sends}
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
    ledger.finish([Outcome(send, SendState.REFUSED, "550 5.1.1 no such user", suppresses=True)])
    [person] = ledger.suppressed_before(NOON + timedelta(seconds=1))
    assert (person.customer_id, person.reason, person.suppressed_at) == ("c0", "refused", NOON)
    clock.move(timedelta(days=1))
    assert ledger.suppress("c0", "p0", "unsubscribed") is False  # the first reason and moment stay
    assert ledger.suppressed_before(NOON) == []


def test_the_outcome_of_one_mail_and_the_start_of_the_next_are_one_commit(ledger):
    first, second, _ = ledger.claim(3).sends
    assert start(ledger, first)
    ledger.release()  # the second is no longer ours
    with pytest.raises(LedgerBroken, match="somebody else moved it"):
        start(ledger, second, after=[Outcome(first, SendState.SENT, "250 ok")])
    assert ledger.find(first.send_id).state is SendState.SENDING


def test_every_transition_but_the_documented_ones_is_refused(ledger):
    every = list(SendState)
    assert len(every) == 11
    allowed = {(a, b) for a in every for b in MAY_BECOME[a]}
    assert len(allowed) == 19
    done = Outcome(started(ledger), SendState.SENT, "250 ok")
    ledger.finish([done])
    for state in every:
        with pytest.raises(LedgerBroken):
            ledger.finish([Outcome(done.send, state, "again")])
    with pytest.raises(LedgerBroken, match="is sent: only one that is uncertain can be settled"):
        ledger.resolve(done.send.send_id, was_delivered=False, actor="ada")
    assert states(ledger)["c0"] is SendState.SENT


def test_a_sender_that_another_took_over_from_writes_nothing_more(ledger, heir, clock):
    send = started(ledger)
    clock.move(LEASE)
    ledger.release()  # every commit puts the end of the lease off
    other = heir()
    assert other.recover() == {SendState.UNCERTAIN: 1}
    other.resolve(send.send_id, was_delivered=False, actor="ada")
    again = next(s for s in other.claim(10).sends if s.send_id == send.send_id)
    assert start(other, again)
    for deed in (
        lambda: ledger.finish([Outcome(send, SendState.SENT, "250 from the one who was thought dead")]),
        lambda: ledger.claim(1),
        lambda: start(ledger, send),
        ledger.recover,
        ledger.release,
    ):
        with pytest.raises(LedgerBroken, match=r"^lease 1 has ended: .* start it anew$"):
            deed()
    assert states(ledger)["c0"] is SendState.SENDING
    assert ledger.find(send.send_id).lease_id == 2


def test_what_another_sender_holds_cannot_be_moved(ledger, heir):
    send = started(ledger)
    with pytest.raises(LedgerBroken, match=r"should be sending under lease 2, but is sending \(lease 1\)"):
        heir().finish([Outcome(send, SendState.SENT, "250 ok")])
    assert states(ledger)["c0"] is SendState.SENDING


def test_a_sender_that_ends_leaves_nothing_behind(ledger_url, clock, tmp_path):
    ledger = ledger_at(ledger_url, clock)
    ledger.enqueue([planned(number) for number in range(3)], {})
    with ledger.sender(tmp_path / "lock"):
        started(ledger)
    assert ledger.states(DAY) == {SendState.UNCERTAIN: 1, SendState.PLANNED: 2}
    assert ledger.senders() == []


# Groups


def test_a_group_starts_in_one_commit_and_ends_in_the_one_that_starts_the_next(ledger):
    ledger.enqueue([planned(number) for number in range(4)], {})
    first, second = (ledger.claim(2).sends for _ in range(2))
    commits: list = []
    event.listen(ledger._engine, "commit", commits.append)
    ledger.start([(send, HANDOVER) for send in first])
    assert ledger.states(DAY) == {SendState.SENDING: 2, SendState.CLAIMED: 2}
    outcomes = [Outcome(send, SendState.SENT, "250 ok") for send in first]
    ledger.start([(send, HANDOVER) for send in second], after=outcomes)
    assert ledger.states(DAY) == {SendState.SENT: 2, SendState.SENDING: 2}
    assert len(commits) == 2 + 2  # and one for each look


def test_of_a_group_those_who_said_no_are_left_out_and_the_others_go(ledger):
    group = ledger.claim(3).sends
    ledger.suppress("c1", "p1", "unsubscribed")
    begun = ledger.start([(send, HANDOVER) for send in group])
    assert begun.send_ids == {send_id_of(0), send_id_of(2)}
    assert begun.suppressed == 1
    assert states(ledger) == {
        "c0": SendState.SENDING,
        "c1": SendState.SUPPRESSED,
        "c2": SendState.SENDING,
    }


# Mail the server puts off


def deferred(ledger, number=0):
    """Let the server say "not now" once; return when the send is due again."""
    ledger.finish([Outcome(started(ledger, number), SendState.DEFERRED, "451 later")])
    ledger.release()
    return ledger.find(send_id_of(number)).due_at


def test_deferred_mail_is_tried_again_when_it_is_due_and_not_before(ledger, clock):
    due_at = deferred(ledger)
    assert states(ledger)["c0"] is SendState.DEFERRED
    assert timedelta(minutes=30) <= due_at - NOON < timedelta(minutes=60)
    clock.now = due_at - timedelta(seconds=1)
    assert sorted(send.customer_id for send in ledger.claim(10).sends) == ["c1", "c2"]
    clock.now = due_at
    (send,) = ledger.claim(10).sends
    assert (send.customer_id, send.attempts, send.send_at) == ("c0", 1, NOON)
    assert start(ledger, send)
    ledger.finish([Outcome(send, SendState.SENT, "250 ok")])
    assert ledger.find(send.send_id).attempts == 2


def test_who_says_no_while_her_mail_waits_to_be_tried_again_gets_none(ledger, clock):
    clock.now = deferred(ledger)
    ledger.suppress("c0", "p0", "unsubscribed")
    assert "c0" not in {send.customer_id for send in ledger.claim(10).sends}
    assert states(ledger)["c0"] is SendState.SUPPRESSED


def test_deferred_mail_is_given_up_after_a_while_with_its_last_word(ledger, clock):
    deferred(ledger)
    clock.now = NOON + timedelta(hours=5, minutes=59)
    assert ledger.expire(timedelta(hours=6)) == 0
    clock.now = NOON + timedelta(hours=6)
    assert ledger.expire(timedelta(hours=6)) == 1
    assert states(ledger) == {"c0": SendState.EXPIRED, "c1": SendState.PLANNED, "c2": SendState.PLANNED}
    assert reply_of(ledger, 0) == "given up; the last word was 451 later"


def test_deferred_mail_expires_with_its_day_and_can_be_withdrawn(ledger, clock):
    deferred(ledger)
    clock.now = datetime(2026, 3, 4, 0, 1, tzinfo=UTC)
    assert ledger.claim(10).sends == []  # too late, though nobody has swept yet
    assert ledger.withdraw(DAY, "winback", actor="ada", reason="over") == 3
    assert ledger.states(DAY) == {SendState.EXPIRED: 3}


def test_deferred_mail_uses_up_a_cap_until_it_is_given_up(ledger, clock):
    deferred(ledger)
    tomorrow, later = date(2026, 3, 3), NOON + timedelta(days=9)
    assert "c0" in {row[1] for row in ledger.sends_before(tomorrow, later)}
    clock.move(A_DAY)
    assert ledger.expire(A_DAY) == 1
    assert "c0" not in {row[1] for row in ledger.sends_before(tomorrow, later)}


# Pauses


@pytest.mark.parametrize("name", ["winback", "*"])
def test_a_paused_campaign_is_neither_claimed_nor_started_until_it_is_resumed(ledger, name):
    ledger.enqueue([replace(planned(7), campaign_id="restock")], {})
    claimed = next(send for send in ledger.claim(10).sends if send.customer_id == "c0")
    assert ledger.pause(name, actor="ada", reason="wrong price, says ada@juniper.example") is True
    assert ledger.pause(name, actor="ada", reason="again") is False
    assert start(ledger, claimed) is False
    assert states(ledger)["c0"] is SendState.PLANNED
    ledger.release()
    others = [] if name == "*" else ["c7"]
    assert [send.customer_id for send in ledger.claim(10).sends] == others
    assert [(pause.subject, pause.reason) for pause in ledger.pauses(NOON)] == [
        (name, "wrong price, says [address]")
    ]
    ledger.release()
    assert ledger.resume(name, actor="ada") is True
    assert ledger.resume(name, actor="ada") is False
    assert ledger.due_count() == len(ledger.claim(10).sends) == 4


# After a crash


class Inbox:
    """Evidence that knows some messages, and of the rest whether they are certainly absent."""

    server = "mail.example:25"

    def __init__(self, answer):
        self.answer = answer

    def was_delivered(self, message_id):
        assert message_id == "<m@juniper.example>"
        return self.answer


def test_recovering_plans_claims_again_and_leaves_mail_in_flight_uncertain(ledger, heir):
    started(ledger)  # c1 and c2 stay claimed
    other = heir()
    assert other.recover() == {SendState.PLANNED: 2, SendState.UNCERTAIN: 1}
    assert other.recover() == {}
    assert ledger.states(DAY) == {SendState.PLANNED: 2, SendState.UNCERTAIN: 1}


def test_an_uncertain_send_is_never_claimed_by_itself(ledger, heir):
    started(ledger)
    other = heir()
    other.recover()
    assert sorted(send.customer_id for send in other.claim(10).sends) == ["c1", "c2"]


@pytest.mark.parametrize(
    ("answer", "end"),
    [(True, SendState.SENT), (False, SendState.PLANNED), (None, SendState.UNCERTAIN)],
)
def test_evidence_settles_an_uncertain_send_and_the_lack_of_it_does_not(ledger, heir, answer, end):
    started(ledger)
    heir().recover()
    assert ledger.settle(Inbox(answer)) == {end: 1}
    assert states(ledger)["c0"] is end


def test_a_server_is_no_evidence_of_what_another_was_handed(ledger, heir):
    started(ledger)
    heir().recover()
    inbox = Inbox(False)
    inbox.server = "other.example:25"
    assert ledger.settle(inbox) == {SendState.UNCERTAIN: 1}


def test_a_person_can_settle_an_uncertain_send_by_hand_and_is_named_for_it(ledger, heir):
    send = started(ledger)
    heir().recover()
    assert ledger.resolve(send.send_id, was_delivered=True, actor="ada") is SendState.SENT
    with ledger._engine.begin() as connection:
        line = connection.execute(select(audit_log).where(audit_log.c.actor == "ada")).one()
    assert (line.action, line.subject, line.detail) == ("send settled", send.send_id, {"state": "sent"})
    with pytest.raises(LedgerBroken, match="not in the ledger"):
        ledger.resolve("f" * 32, was_delivered=True, actor="ada")


# What feedback asks


def test_a_settled_send_is_sent_since_it_was_handed_over_and_known_since_it_was_settled(ledger, heir, clock):
    """Features of the day between must not count, when built again, what nobody knew then."""
    send = started(ledger)
    clock.move(timedelta(hours=1))
    heir().recover()
    assert ledger.sent_after(NOON, "", 10) == []
    clock.now = settled_at = NOON + timedelta(days=2, hours=1)
    ledger.resolve(send.send_id, was_delivered=True, actor="ada")
    assert ledger.sent_after(NOON, "", 10) == [(send.send_id, "c0", NOON, settled_at)]
    assert ledger.sent_after(settled_at, send.send_id, 10) == []


def test_what_was_sent_is_told_in_the_order_of_its_end_piece_by_piece(ledger, clock):
    claimed = {send.customer_id: send for send in ledger.claim(10).sends}
    for customer_id in ("c2", "c0", "c1"):
        clock.move(timedelta(seconds=1))
        assert start(ledger, claimed[customer_id])
        ledger.finish([Outcome(claimed[customer_id], SendState.SENT, "250 ok")])
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
    ledger.finish([Outcome(started(ledger), SendState.SENT, "250 ok")])
    ledger.check_identity(DAY, 3)
    for wrong in (2, 4):
        with pytest.raises(
            LedgerBroken, match=rf"{wrong} sends are planned .* holds 3 \(2 claimed, 1 sent\)"
        ):
            ledger.check_identity(DAY, wrong)


def test_what_was_known_to_have_reached_nobody_does_not_use_up_a_cap(ledger):
    before, after = NOON - timedelta(days=1), NOON + timedelta(days=1)
    ledger.finish([Outcome(started(ledger), SendState.REFUSED, "550 no")])
    tomorrow = date(2026, 3, 3)
    assert {row[1] for row in ledger.sends_before(tomorrow, after)} == {"c1", "c2"}
    assert {row[1] for row in ledger.sends_before(tomorrow, before)} == {"c0", "c1", "c2"}
    assert ledger.sends_before(DAY, after) == []


# An unsubscribe and a withdrawal win every race


DECISIONS = {
    "withdraw": ("marketing", False),
    "consent": ("marketing", True),
    "switch off": ("offers", False),
    "switch on": ("offers", True),
    "switch another off": ("alerts", False),
}
"""What of each step is a decision: to what purpose, and whether it is a yes."""


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["claim", "start", "unsubscribe", "by address", "pause", "go on", *DECISIONS]),
            st.integers(0, 5),
        ),
        max_size=30,
    )
)
def test_in_any_order_of_steps_no_send_starts_after_a_committed_no(steps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("race")
    ledger_url = f"sqlite:///{folder / 'ledger.sqlite'}"
    ledger, tracking = ledger_at(ledger_url), Ledger(open_ledger(ledger_url), MovableClock())
    ledger.remember_kinds({"winback": "offers", "price_drop": "alerts"})
    ledger.enqueue([planned(number) for number in range(6)], {})
    claimed: dict = {}
    unsubscribed: set[str] = set()
    no: dict[str, set[str]] = {"marketing": set(), "offers": set(), "alerts": set(), "pause": set()}
    with ledger.sender(folder / "lock"):
        for day, (step, number) in enumerate(steps):  # each decision is a day younger than the one before
            if step == "claim":
                for send in ledger.claim(number).sends:
                    assert send.customer_id not in unsubscribed.union(
                        no["marketing"], no["offers"], no["pause"]
                    )
                    claimed[send.customer_id] = send
            elif step == "start" and f"c{number}" in claimed:
                send = claimed.pop(f"c{number}")
                may_go = send.customer_id not in unsubscribed.union(
                    no["marketing"], no["offers"], no["pause"]
                )
                assert start(ledger, send) is may_go
            elif step in DECISIONS:
                purpose, is_given = DECISIONS[step]
                tracking.record_decisions([decision(number, is_given, days=day, purpose=purpose)])
                (no[purpose].discard if is_given else no[purpose].add)(f"c{number}")
            elif step in ("pause", "go on"):
                with tracking._engine.begin() as connection:
                    connection.execute(pauses(f"c{number}", NOON + A_DAY if step == "pause" else None))
                (no["pause"].add if step == "pause" else no["pause"].discard)(f"c{number}")
            elif step in ("unsubscribe", "by address"):
                customer = f"c{number}" if step == "unsubscribe" else f"twin of c{number}"
                tracking.suppress(customer, f"p{number}", "unsubscribed")
                unsubscribed.add(f"c{number}")


NO = {
    "unsubscribe": insert(suppressions).values(
        customer_id="c0", pseudonym="p", reason="unsubscribed", suppressed_at=NOON
    ),
    "withdrawal": insert(consents).values(
        customer_id="c0", purpose="marketing", decided_at=NOON, known_at=NOON, is_given=False
    ),
    "kind switched off": insert(consents).values(
        customer_id="c0", purpose="offers", decided_at=NOON, known_at=NOON, is_given=False
    ),
    "pause": pauses("c0", NOON + A_DAY),
}


@pytest.mark.parametrize("no", NO)
def test_a_start_waits_for_a_no_that_is_being_committed(ledger, no):
    ledger.remember_kinds({"winback": "offers"})
    send = next(send for send in ledger.claim(3).sends if send.customer_id == "c0")
    started_: list[bool] = []
    thread = threading.Thread(target=lambda: started_.append(start(ledger, send)))
    tracking = open_ledger(ledger._engine.url.render_as_string(hide_password=False))
    with tracking.begin() as somebody_else:
        somebody_else.execute(NO[no])
        thread.start()
        thread.join(timeout=0.5)
        assert started_ == []  # neither yes nor no before it is committed
    thread.join(timeout=10)
    tracking.dispose()
    assert started_ == [False]


# What it costs, and what it shows


def test_claiming_reads_an_index_and_not_every_send(tmp_path):
    ledger, said = ledger_at(f"sqlite:///{tmp_path / 'ledger.sqlite'}"), []
    event.listen(
        ledger._engine, "before_cursor_execute", lambda c, k, sql, values, *_: said.append((sql, values))
    )
    with ledger.sender(tmp_path / "lock"):
        ledger.claim(10)
    (sql, values), *_ = [one for one in said if one[0].startswith("SELECT sends.send_id")]
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        plan = [row[3] for row in connection.execute(f"explain query plan {sql}", values)]
    connection.close()
    assert plan[0] == "SEARCH sends USING INDEX ix_sends_due (due_at<?)"
    assert not [step for step in plan if "TEMP B-TREE" in step]


def test_a_printed_send_shows_no_address(ledger):
    send = ledger.find(send_id_of(0))
    assert send.address == "reader.0@example.com"
    assert "@" not in repr(send)
