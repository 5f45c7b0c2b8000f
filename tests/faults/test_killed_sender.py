"""A sender killed at named points and at random moments: no mail twice, none lost, the accounts always right."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from campaigns.ledger import SendState
from campaigns.mailers.local_inbox import LocalInbox, running_inbox
from core.settings import Settings
from tests.faults.ledger_kit import DAY, ledger_at, message_of, send_id_of
from tests.faults.sender_process import SENDS

CRASH_POINTS = [
    ("before enqueue", 1),
    ("before recover", 1),
    ("before claim", 1),
    ("after claim", 1),
    ("before start", 4),
    ("after start", 3),
    ("after recover", 1),
    ("after MAIL", 3),
    ("after RCPT", 2),
    ("after DATA", 4),
    ("body half written", 3),
    ("body written, no reply read", 5),
    ("body written, no reply read", 1),
    ("after settle", 1),
    ("after the reply", 4),
    ("before finish", 1),
    ("after finish", 1),
]
RANDOM_KILLS = 6


class Senders:
    """Starts sender processes, one at a time, against one inbox."""

    def __init__(self, settings, parent):
        self.settings = settings
        self.parent = parent

    def start(self, point="nowhere", count=1):
        self.parent.stdin.write(f"{count} {point}\n")
        self.parent.stdin.flush()
        said, _, pid = self.parent.stdout.readline().partition(" ")
        assert said == "started"
        return int(pid)

    def exit_code(self):
        said, _, code = self.parent.stdout.readline().partition(" ")
        assert said == "ended"
        return int(code)

    def wait_for_some_mails(self, chance):
        """Wait until up to five more mails have arrived, and then some milliseconds: a mail takes about five."""
        inbox = LocalInbox(self.settings.inbox)
        enough = inbox.count() + chance.randint(0, 5)
        deadline = time.monotonic() + 20
        while inbox.count() < enough and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.01))

    def states(self):
        states = ledger_at(self.settings.ledger).states(DAY)
        assert states.total() in (0, SENDS)  # the identity holds whatever was interrupted
        assert states[SendState.SENDING] + states[SendState.UNCERTAIN] <= self.settings.smtp_connections
        return states


@pytest.fixture
def senders(tmp_path, free_port):
    settings = Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, smtp_port=free_port)
    command = [sys.executable, "-m", "tests.faults.sender_process", str(tmp_path), str(free_port)]
    pipe = subprocess.PIPE
    with running_inbox(settings), subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as parent:
        yield Senders(settings, parent)
        parent.communicate()  # no more lines: the parent ends


@pytest.mark.slow
def test_a_sender_killed_anywhere_repeats_no_mail_and_loses_none(senders):
    for point, count in CRASH_POINTS:
        senders.start(point, count)
        assert senders.exit_code() == -signal.SIGKILL, f"{point} was not reached"
        senders.states()
    for seed in range(RANDOM_KILLS):
        pid = senders.start()
        senders.wait_for_some_mails(random.Random(seed))
        os.kill(pid, signal.SIGKILL)
        assert senders.exit_code() == -signal.SIGKILL
        senders.states()
    assert senders.states()[SendState.PLANNED] > 0  # there was work left for the last one

    senders.start()
    assert senders.exit_code() == 0
    assert senders.states() == {SendState.SENT: SENDS}
    ledger = ledger_at(senders.settings.ledger)
    inbox = LocalInbox(senders.settings.inbox)
    arrived = {send_id: len(files) for send_id, files in inbox.by_send().items()}
    assert arrived == {send_id_of(number): 1 for number in range(SENDS)}
    for send in ledger.of_day(DAY)[::20]:
        assert inbox.read(send.send_id) == [message_of(send)]
