"""Consents on their way from landing files into the ledger: all of them, once, and at once."""

import csv
import shutil
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from campaigns import consents as carrying
from campaigns.consents import carry_consents, collect_consents
from campaigns.ledger import SendState
from campaigns.ledger_planning import PlanningLedger
from campaigns.ledger_view import LedgerView
from campaigns.mailers.local_inbox import LocalInbox
from campaigns.plan import build_plan, plan_rows, release_plan
from core.clock import replay_to
from core.errors import ContractBroken
from core.ledger_tables import consent_files, consents, open_ledger
from core.settings import Settings
from sources.landing import load_landing
from tests.campaigns import small_shop
from tests.campaigns.small_shop import DAY, MIDNIGHT

COLUMNS = ("customer_id", "purpose", "is_given", "proof", "decided_at", "known_at")
NOON = MIDNIGHT + timedelta(hours=12)


@pytest.fixture
def shop(featured, own):
    """The small shop on its day; the ledger knows no decision yet."""
    return own(featured)


@pytest.fixture
def living(shop):
    """The same shop, with the real clock instead of a replayed day."""
    return Settings(_env_file=None, data_dir=shop.data_dir, token_key="k" * 40)


def land(settings, name, *decisions):
    """Land consents: (customer_id, is_given, moment it was decided), known a minute later."""
    file = settings.landing / "complete_journey" / "consents" / f"{name}.csv"
    with file.open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(COLUMNS)
        for customer_id, is_given, decided_at in decisions:
            known_at = decided_at + timedelta(minutes=1)
            moments = [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (decided_at, known_at)]
            rows.writerow([customer_id, "marketing", str(is_given).lower(), "form", *moments])
    return file


def landed(settings, *, before):
    """Return what the shop's own landing file says, read without any code of ours."""
    return {
        (row["customer_id"], row["is_given"] == "true", row["proof"], row["decided_at"])
        for row in small_shop.landing_rows(settings, "consents")
        if row["known_at"] < str(before)
    }


def in_ledger(settings):
    """Return the decisions the ledger has, and how many files it calls carried."""
    engine = open_ledger(settings.ledger)
    with engine.begin() as connection:
        rows = connection.execute(select(consents)).all()
        files = len(connection.execute(select(consent_files)).all())
    engine.dispose()
    found = {
        (row.customer_id, row.is_given, row.proof, f"{row.decided_at:%Y-%m-%d %H:%M:%S}") for row in rows
    }
    assert len(found) == len(rows)
    return found, files


# ---- from the shop to the mail ----


def test_a_withdrawal_that_lands_between_plan_and_send_stops_the_mail(planned, own):
    settings = own(planned)
    release_plan(settings, DAY)
    carry_consents(settings)
    by_customer = {row["customer_id"]: row["send_id"] for row in plan_rows(settings, DAY)}
    already_stopped = {
        small_shop.cast_of(settings).stopped_at_midnight,
        small_shop.cast_of(settings).stopped_at_noon,
    }
    gone, back_again, tomorrow = sorted(by_customer.keys() - already_stopped)[:3]
    land(
        settings,
        "of_the_day",
        (gone, False, NOON),
        (back_again, False, NOON),
        (back_again, True, NOON + timedelta(hours=1)),
        (tomorrow, False, MIDNIGHT + timedelta(days=1)),  # the replayed clock stands on 23:00 of the day
    )
    assert collect_consents(settings, load_landing) == 3
    small_shop.deliver(settings)
    ledger = LedgerView(open_ledger(settings.ledger))
    send = ledger.find(by_customer[gone])
    assert send is not None
    assert (send.state, send.reply, send.attempts) == (
        SendState.SUPPRESSED,
        "consent withdrawn before the claim",
        0,
    )
    inbox = LocalInbox(settings.inbox).by_send()
    assert by_customer[gone] not in inbox
    assert inbox.keys() >= {by_customer[back_again], by_customer[tomorrow]}
    states = ledger.states(DAY)
    assert states.total() == len(by_customer)
    assert states[SendState.SENT] == len(inbox)


@pytest.mark.timeout(600)
def test_a_customer_with_the_address_of_somebody_who_left_is_suppressed_in_the_plan_already(shop):
    winback = small_shop.cast_of(shop)
    left, twin = winback.stopped_the_day_before, winback.mailed_twice
    rows = {row["customer_id"]: row for row in small_shop.landing_rows(shop, "customers")}
    moved = rows[twin] | {"email": rows[left]["email"].upper(), "known_at": "2017-12-03 10:00:00"}
    with (shop.landing / "complete_journey" / "customers" / "moved.csv").open("w", newline="") as text:
        file = csv.DictWriter(text, moved)
        file.writeheader()
        file.writerow(moved)
    load_landing(shop)
    build_plan(shop, DAY)
    verdicts = {
        row["customer_id"]: row["verdict"]
        for row in small_shop.plan(shop, DAY)
        if row["campaign_id"] == "winback"
    }
    assert verdicts[left] == verdicts[twin] == "suppressed"
    assert verdicts[winback.refused_thrice] == "planned"


# ---- all of them, once ----


def test_every_decision_known_by_the_replayed_day_is_carried_and_once(shop):
    known = landed(shop, before=DAY + timedelta(days=1))
    assert 100 < len(known) < len(landed(shop, before="2019"))  # some decide only after this day
    assert carry_consents(shop) == len(known)
    assert in_ledger(shop) == (known, 0)
    assert carry_consents(shop) == 0
    replay_to(shop, DAY + timedelta(days=60))
    later = landed(shop, before=DAY + timedelta(days=61))
    assert carry_consents(shop) == len(later) - len(known) > 0
    assert in_ledger(shop)[0] == later


def test_with_the_real_clock_a_carried_file_is_not_read_again(living):
    assert carry_consents(living) == len(landed(living, before="2019"))
    assert in_ledger(living)[1] == 1
    engine = open_ledger(living.ledger)
    with engine.begin() as connection:
        connection.execute(consents.delete())
    engine.dispose()
    assert (
        carry_consents(living) == 0
    )  # else a large shop would read every consent it ever had, every 15 minutes
    assert in_ledger(living) == (set(), 1)


def test_a_warehouse_built_anew_numbers_its_loads_again_and_no_withdrawal_is_lost(living):
    land(living, "b", ("1", False, NOON))
    land(living, "c", ("2", False, NOON))
    collect_consents(living, load_landing)
    assert in_ledger(living)[1] == 3
    living.warehouse.unlink()
    land(living, "a", ("3", False, NOON))  # loaded before the others now, under a number they had
    load_landing(living)
    assert carry_consents(living) == 1
    found, files = in_ledger(living)
    assert files == 4
    assert ("3", False, "form", f"{NOON:%Y-%m-%d %H:%M:%S}") in found


def test_carrying_that_dies_half_way_is_taken_up_by_the_next(living, monkeypatch):
    monkeypatch.setattr(carrying, "DECISIONS_PER_COMMIT", 20)
    calls = []

    class Dying(PlanningLedger):
        def record_decisions(self, decisions):
            calls.append(len(decisions))
            if len(calls) == 3:
                raise KeyboardInterrupt
            super().record_decisions(decisions)

    with monkeypatch.context() as patch:
        patch.setattr(carrying, "PlanningLedger", Dying)
        with pytest.raises(KeyboardInterrupt):
            carry_consents(living)
    found, files = in_ledger(living)
    assert (len(found), files) == (40, 0)
    every = landed(living, before="2019")
    assert carry_consents(living) == len(every) - 40
    assert in_ledger(living) == (every, 1)


def test_a_customers_newest_decision_is_committed_first(living, monkeypatch):
    """Between two commits an old withdrawal must not stop who has agreed again since."""
    monkeypatch.setattr(carrying, "DECISIONS_PER_COMMIT", 1)
    seen: dict[str, list[datetime]] = {}

    class Watched(PlanningLedger):
        def record_decisions(self, decisions):
            (each,) = decisions
            seen.setdefault(each.customer_id, []).append(each.decided_at)
            super().record_decisions(decisions)

    monkeypatch.setattr(carrying, "PlanningLedger", Watched)
    decisions = [(str(number), False, NOON) for number in range(1, 21)]
    land(living, "both", *decisions, *((who, True, when + timedelta(1)) for who, _, when in decisions))
    collect_consents(living, load_landing)
    twice = [moments for moments in seen.values() if len(moments) > 1]
    assert len(twice) >= 20
    assert all(moments == sorted(moments, reverse=True) for moments in twice)
    assert {moment.utcoffset() for moments in seen.values() for moment in moments} == {timedelta(0)}


# ---- when something else is broken ----


def test_a_broken_file_of_another_table_keeps_no_withdrawal_back(living):
    carry_consents(living)
    land(living, "of_the_day", ("1", False, NOON))
    (living.landing / "complete_journey" / "orders" / "broken.csv").write_text("customer_id\n1\n")
    with pytest.raises(ContractBroken, match=r"broken\.csv"):
        collect_consents(living, load_landing)
    assert in_ledger(living)[1] == 2


def test_before_the_first_load_there_is_nothing_to_carry(settings):
    assert collect_consents(settings, load_landing) == 0
    assert not settings.warehouse.exists()


def test_a_shop_without_consents_has_none_to_carry(shop):
    shop.warehouse.unlink()
    shutil.rmtree(shop.landing / "complete_journey" / "consents")
    assert "consents" in load_landing(shop).absent
    assert carry_consents(shop) == 0
