"""Somebody says no while her mail is on its way out: no send begins after the no was committed.

`make test-crash-send` races 10,000 mails (`TEST_INTERLEAVINGS`) on each database; seen from outside, in real time.
"""

import os
import random
import threading
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from campaigns.ledger import Handover, Ledger, Outcome, SendState
from campaigns.sends import Decision
from core.ledger_tables import open_ledger
from tests.faults.ledger_kit import DAY, NOON, MovableClock, ledger_at, planned

INTERLEAVINGS = int(os.environ.get("TEST_INTERLEAVINGS", "200"))
HANDOVER = Handover("mail.example:25", "<m@juniper.example>", "0" * 64)
GROUP = 4


def unsubscribe(ledger, customer_id):
    ledger.suppress(customer_id, f"p{customer_id[1:]}", "unsubscribed")


def unsubscribe_elsewhere(ledger, customer_id):
    ledger.suppress(f"twin of {customer_id}", f"p{customer_id[1:]}", "unsubscribed")


def withdraw(ledger, customer_id):
    ledger.record_decisions([Decision(customer_id, "marketing", False, "form", NOON, NOON)])


WAYS = (unsubscribe, unsubscribe_elsewhere, withdraw)


def outcome_of(send, chance):
    """One mailbox in three refuses: then the sender adds a suppression while others check them."""
    if chance.random() < 1 / 3:
        return Outcome(send, SendState.REFUSED, "550 5.1.1 unknown", suppresses=True)
    return Outcome(send, SendState.SENT, "250 ok")


class Race:
    """Senders that start groups, and one person after another of those groups who says no."""

    def __init__(self, url):
        self.url = url
        self.next_up: list[str] = []  # whose mail is about to start
        self.said_no: set[str] = set()  # committed: the call has returned
        self.too_late: list[str] = []
        self.ended = Counter[str]()
        self.senders_left = 0

    def send(self, lock_file, seed):
        try:
            self._send(lock_file, seed)
        finally:
            self.senders_left -= 1

    def _send(self, lock_file, seed):
        chance = random.Random(seed)
        ledger = Ledger(open_ledger(self.url), MovableClock())
        with ledger.sender(lock_file):
            before: list[Outcome] = []
            while claimed := ledger.claim(5 * GROUP).sends:
                for first in range(0, len(claimed), GROUP):
                    group = claimed[first : first + GROUP]
                    self.next_up = [send.customer_id for send in group]
                    time.sleep(chance.uniform(0, 0.004))
                    known = set(self.said_no)
                    begun = ledger.start([(send, HANDOVER) for send in group], after=before).send_ids
                    going = [send for send in group if send.send_id in begun]
                    self.too_late += [send.customer_id for send in going if send.customer_id in known]
                    self.ended["begun"] += len(going)
                    self.ended["stopped at the start"] += len(group) - len(going)
                    before = [outcome_of(send, chance) for send in going]
            ledger.finish(before)

    def say_no(self):
        chance, ledger = random.Random(1), Ledger(open_ledger(self.url), MovableClock())
        while self.senders_left:
            for customer_id in chance.sample(self.next_up, min(2, len(self.next_up))):
                chance.choice(WAYS)(ledger, customer_id)
                self.said_no.add(customer_id)
            time.sleep(chance.uniform(0, 0.003))


@pytest.mark.timeout(7200)
def test_no_send_begins_after_a_committed_no_however_the_two_race(ledger_url, tmp_path):
    ledger, race = ledger_at(ledger_url), Race(ledger_url)
    ledger.enqueue([planned(number) for number in range(INTERLEAVINGS)], {})
    race.senders_left = together = 3 if ledger_url.startswith("postgresql") else 1
    threads = [threading.Thread(target=race.send, args=(tmp_path / "lock", seed)) for seed in range(together)]
    threads.append(threading.Thread(target=race.say_no))
    with ExitStack() as ending:
        for thread in threads:
            thread.start()
            ending.callback(thread.join)
    assert race.too_late == []
    assert ledger.states(DAY).total() == INTERLEAVINGS
    states = ledger.states(DAY)
    assert states[SendState.SENT] + states[SendState.REFUSED] == race.ended["begun"] > INTERLEAVINGS / 10
    assert states[SendState.REFUSED] > 0
    assert race.ended["stopped at the start"] > INTERLEAVINGS / 50  # the race was run, and won by either
    assert len(race.said_no) > race.ended["stopped at the start"]
