"""Processes that make mails ahead of the sender: what becomes of their faults, and of them."""

import multiprocessing
import os
import signal
from datetime import UTC, date, datetime

import pytest

from campaigns.making import Makers
from campaigns.sends import DueSend
from core.errors import LapwingError, SendingPaused
from core.settings import Settings

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SEND = DueSend(
    send_id="0" * 32, campaign_id="winback", step=1, customer_id="c1", as_of_date=date(2026, 3, 2), address="ada@example.com",
    pseudonym="1" * 32, send_at=NOON, expires_at=NOON, channel="mail", due_at=NOON, attempts=0,
)  # fmt: skip


@pytest.fixture
def makers(tmp_path):
    with Makers(Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40), "mx:25") as makers:
        yield makers
    assert not multiprocessing.active_children()


def test_the_sender_hears_what_a_maker_cannot_make(makers):
    makers.make([SEND])
    makers.make([])
    with pytest.raises(LapwingError, match="2026-03-02"):  # of that day nothing was planned
        makers.made()
    assert makers.made() == {}


def test_a_maker_that_dies_pauses_the_batch(makers):
    makers.make([])
    makers.made()
    found = multiprocessing.active_children()
    assert found
    for maker in found:  # stopped first, or one might have answered before it is killed
        assert maker.pid
        os.kill(maker.pid, signal.SIGSTOP)
    makers.make([SEND])
    for maker in found:
        maker.kill()
        maker.join()
    with pytest.raises(SendingPaused, match="has died"):
        makers.made()
    with pytest.raises(SendingPaused, match="has died"):
        makers.make([SEND])
