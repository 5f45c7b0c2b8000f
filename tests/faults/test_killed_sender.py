"""A sender killed at named points and at random moments: no mail twice, none lost, the accounts always right."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from aiosmtpd.smtp import SMTP

from campaigns.ledger import SendState
from campaigns.mailers.local_inbox import LocalInbox, running_inbox
from core.settings import Settings
from tests.faults.ledger_kit import DAY, ledger_at, message_of, planned, send_id_of
from tests.faults.sender_process import IN_FLIGHT
from tests.faults.serving import serving

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
]
"""And at the end of a batch: before and after finish."""
RANDOM_KILLS = 6
MAILS = int(os.environ.get("TEST_MAILS", "1200"))
"""More than four senders claim at once: what the dead ones hold, the next cannot have before their connections are gone."""
KILLS = int(os.environ.get("TEST_KILLS", "8"))
COURIER_KILLS = max(2, KILLS // 10)  # their start takes seconds
SEND_ID = re.compile(rb"^X-Lapwing-Send: (\w+)\r$", re.MULTILINE)


SENDS = 600


class Senders:
    """Starts sender processes against one server."""

    def __init__(self, settings, sends, parent):
        self.settings = settings
        self.ledger = ledger_at(settings.ledger)
        self._sends = sends
        self._parent = parent

    def start(self, point="nowhere", count=1):
        return self._say(f"start {count} {point}", "started")

    def exit_code(self, pid):
        return self._say(f"wait {pid} x", "ended")

    def kill(self, pid):
        """Kill a sender that may have ended by itself just now."""
        os.kill(pid, signal.SIGKILL)
        assert self.exit_code(pid) in (-signal.SIGKILL, 0)

    def states(self):
        states = self.ledger.states(DAY)
        assert states.total() in (0, self._sends)  # the identity holds whatever was interrupted
        return states

    def _say(self, order, answer):
        self._parent.stdin.write(f"{order}\n")
        self._parent.stdin.flush()
        said, _, number = self._parent.stdout.readline().partition(" ")
        assert said == answer
        return int(number)


@contextmanager
def sender_processes(settings, sends):
    words = [str(settings.data_dir), str(settings.smtp_port), settings.ledger_url, str(sends)]
    command = [sys.executable, "-m", "tests.faults.sender_process", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as parent:
        yield Senders(settings, sends, parent)
        parent.communicate()  # no more lines: the parent ends


@pytest.fixture
def senders(tmp_path, free_port):
    settings = Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, smtp_port=free_port)
    with running_inbox(settings), sender_processes(settings, SENDS) as senders:
        yield senders


def wait_for_some_mails(inbox, chance):
    """Wait until up to five more mails have arrived, and then some milliseconds: a mail takes about five."""
    enough = inbox.count() + chance.randint(0, 5)
    deadline = time.monotonic() + 20
    while inbox.count() < enough and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.01))


@pytest.mark.slow
def test_a_sender_killed_anywhere_repeats_no_mail_and_loses_none(senders):
    for point, count in CRASH_POINTS:
        assert senders.exit_code(senders.start(point, count)) == -signal.SIGKILL, f"{point} was not reached"
        states = senders.states()
        assert states[SendState.SENDING] + states[SendState.UNCERTAIN] <= IN_FLIGHT
    inbox = LocalInbox(senders.settings.inbox)
    for seed in range(RANDOM_KILLS):
        pid = senders.start()
        wait_for_some_mails(inbox, random.Random(seed))
        senders.kill(pid)
    assert senders.states()[SendState.PLANNED] > 0  # there was work left for the last two
    assert senders.exit_code(senders.start("before finish")) == -signal.SIGKILL

    assert senders.exit_code(senders.start()) == 0
    assert senders.states() == {SendState.SENT: SENDS}
    arrived = {send_id: len(files) for send_id, files in inbox.by_send().items()}
    assert arrived == {send_id_of(number): 1 for number in range(SENDS)}
    for send in senders.ledger.of_day(DAY)[::20]:
        assert inbox.read(send.send_id) == [message_of(send)]


class Received:
    """A server that takes several commands at once, counts what it took by send, and cannot be asked about it."""

    def __init__(self):
        self.counts = Counter[str]()

    async def handle_EHLO(self, server, session, envelope, hostname, offers):
        session.host_name = hostname
        return [offers[0], "250-PIPELINING", *offers[1:]]

    async def handle_DATA(self, server, session, envelope):
        (send_id,) = SEND_ID.findall(envelope.original_content)
        self.counts[send_id.decode()] += 1
        return "250 ok"


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_of_several_senders_killed_at_any_moment_none_repeats_a_mail_and_none_is_lost(ledger_url, tmp_path):
    """`make test-crash-send`: 100,000 mails, 200 kills. What nobody can be asked about stays `uncertain`."""
    together = 4 if ledger_url.startswith("postgresql") else 1
    received, chance = Received(), random.Random(20260302)
    with serving(lambda: SMTP(received, hostname="mail.test")) as port:
        settings = Settings(
            _env_file=None, data_dir=tmp_path, token_key="k" * 40, smtp_port=port, ledger_url=ledger_url
        )
        with sender_processes(settings, MAILS) as senders:
            senders.ledger.enqueue([planned(number) for number in range(MAILS)], {})
            points = [each for each in CRASH_POINTS if each[0] != "before enqueue"]
            for first in range(0, len(points), together):
                wave = points[first : first + together]
                pids = [senders.start(*each) for each in wave]
                assert [senders.exit_code(pid) for pid in pids] == [-signal.SIGKILL] * len(wave), wave
                senders.states()
            left = senders.states()[SendState.PLANNED]
            assert left > MAILS / 2

            working = [senders.start() for _ in range(together)]
            for moment in sorted(chance.uniform(0, 0.9) for _ in range(KILLS)):
                wait_until(lambda moment=moment: received.counts.total() >= MAILS - left * (1 - moment))
                senders.kill(working.pop(chance.randrange(together)))
                senders.states()
                working.append(senders.start("after finish"))
            assert {senders.exit_code(pid) for pid in working} <= {0, -signal.SIGKILL}
            assert senders.exit_code(senders.start()) == 0  # clears up after whoever was killed last

            states = {send.send_id: send.state for send in senders.ledger.of_day(DAY)}
    kills = len(points) + KILLS + together
    assert set(received.counts.values()) == {1}, "a mail came twice"
    assert set(states.values()) <= {SendState.SENT, SendState.UNCERTAIN}, "a mail was left behind"
    sent = {send_id for send_id, state in states.items() if state is SendState.SENT}
    assert sent <= received.counts.keys() <= states.keys()
    assert len(states) == MAILS
    assert 0 < MAILS - len(sent) <= kills * IN_FLIGHT


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_couriers_end_with_their_sender_and_no_mail_comes_twice_or_is_lost(ledger_url, tmp_path):
    received, chance = Received(), random.Random(20260303)
    with serving(lambda: SMTP(received, hostname="mail.test")) as port:
        settings = Settings(
            _env_file=None, data_dir=tmp_path, token_key="k" * 40, smtp_port=port, ledger_url=ledger_url
        )
        with sender_processes(settings, MAILS) as senders:
            senders.ledger.enqueue([planned(number) for number in range(MAILS)], {})
            for kill in range(COURIER_KILLS):
                pid = senders.start("couriers")
                enough = MAILS * (kill + chance.uniform(0.2, 0.9)) / (COURIER_KILLS + 1)
                wait_until(lambda enough=enough: received.counts.total() >= enough)
                senders.kill(pid)
                senders.states()
            assert senders.states()[SendState.PLANNED] > 0
            assert senders.exit_code(senders.start("couriers")) == 0
            states = {send.send_id: send.state for send in senders.ledger.of_day(DAY)}
    assert set(received.counts.values()) == {1}, "a mail came twice"
    assert set(states.values()) == {SendState.SENT, SendState.UNCERTAIN}
    assert {send_id for send_id, state in states.items() if state is SendState.SENT} <= received.counts.keys()
    uncertain = sum(state is SendState.UNCERTAIN for state in states.values())
    assert uncertain <= COURIER_KILLS * IN_FLIGHT


def wait_until(holds):
    deadline = time.monotonic() + 600
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)
