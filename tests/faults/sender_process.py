"""Senders to be killed. `python -m tests.faults.sender_process DATA_DIR PORT LEDGER_URL SENDS` obeys lines.

"start COUNT POINT" forks a sender, which does what the task that sends does: take over from dead senders, settle, send,
settle. With the point "couriers" it leaves making and handing over to those. At the COUNT-th time it comes to the crash point it kills itself with SIGKILL, so that nothing it might still do
is done. "wait PID" waits for its end. The answers are "started PID" and "ended STATUS"; the parent only exists to import
once what costs a second. Without a LEDGER_URL ("") the ledger is a SQLite file and the server our inbox, which is asked
what became of uncertain mail.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from campaigns.couriers import Couriers
from campaigns.dispatch import Ready, make_ready, send_batch
from campaigns.envelope import bare
from campaigns.ledger import DueSend, Ledger
from campaigns.mailers import smtp
from campaigns.mailers.local_inbox import LocalInbox
from campaigns.mailers.smtp import SmtpMailer
from campaigns.mailers.smtp_words import meaning_of, on_the_wire
from campaigns.migrate import migrate
from core.ledger_tables import open_ledger
from core.settings import Settings
from tests.faults.ledger_kit import DAY, MovableClock, message_of, planned

CONNECTIONS = 4
IN_FLIGHT = 2 * CONNECTIONS
"""How many mails a sender has under way: on each connection one, and one announced."""
"""Few, so that the mails whose fate nobody knows after all the kills are few too."""


class Killer:
    """Counts how often the sender came by the crash point, and kills it when told."""

    def __init__(self, point: str, count: int) -> None:
        self.point = point
        self.left = count

    def comes_to(self, point: str) -> bool:
        """Say whether this is the moment to die."""
        self.left -= point == self.point
        return point == self.point and self.left == 0

    def at(self, point: str) -> None:
        if self.comes_to(point):
            die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DoomedLedger(Ledger):
    """A ledger that passes the crash points around each of its commits."""

    killer: Killer

    def recover(self):
        self.killer.at("before recover")
        recovered = super().recover()
        self.killer.at("after recover")
        return recovered

    def settle(self, evidence):
        settled = super().settle(evidence)
        self.killer.at("after settle")
        return settled

    def claim(self, limit, as_of=None, *, is_mail=True):
        self.killer.at("before claim")
        claim = super().claim(limit, as_of, is_mail=is_mail)
        self.killer.at("after claim")
        return claim

    def start(self, group, *, after=()):
        self.killer.at("before start")
        started = super().start(group, after=after)
        self.killer.at("after start")
        return started

    def finish(self, outcomes):
        self.killer.at("before finish")
        super().finish(outcomes)
        self.killer.at("after finish")


class DoomedMailer(SmtpMailer):
    """A mailer that passes the crash points between the lines of a conversation."""

    killer: Killer

    def _say_message(self, line, message, behind):
        if self.killer.comes_to("body half written"):
            line.say(on_the_wire(message)[: len(message) // 2], 1)
            die()
        super()._say_message(line, message, behind)
        self.killer.at("body written, no reply read")


def send(settings: Settings, sends: int, killer: Killer) -> None:
    def doomed_meaning(stage, reply):
        killer.at("after the reply" if stage == "end of data" else f"after {stage}")
        return meaning_of(stage, reply)

    vars(smtp)["meaning_of"] = doomed_meaning
    migrate(settings.ledger)
    ledger = DoomedLedger(open_ledger(settings.ledger), MovableClock())
    ledger.killer = killer
    inbox = None if settings.ledger_url else LocalInbox(settings.inbox)
    if killer.point == "couriers":
        with ledger.sender(settings.data_dir / "sender.lock"), Couriers(settings, ready_of) as couriers:
            ledger.recover()
            send_batch(ledger, couriers, message_of, pause_after_errors=3, as_of=DAY, makers=couriers)
        ledger.check_identity(DAY, sends)
        return
    with ledger.sender(settings.data_dir / "sender.lock"), DoomedMailer(settings, evidence=inbox) as mailer:
        mailer.killer = killer
        killer.at("before enqueue")
        if not ledger.states(DAY):
            ledger.enqueue([planned(number) for number in range(sends)], {})
        ledger.recover()
        ledger.settle(mailer)
        send_batch(ledger, mailer, message_of, pause_after_errors=3, as_of=DAY)
        ledger.settle(mailer)
    ledger.check_identity(DAY, sends)


def ready_of(_settings: Settings, server: str) -> Callable[[DueSend], Ready]:
    """Return what makes the mails of couriers."""
    return partial(make_ready, message_of=message_of, server=server, envelop=bare)


def main(data_dir: str, port: str, ledger_url: str, sends: str) -> None:
    settings = Settings(
        _env_file=None,
        data_dir=Path(data_dir),
        token_key="k" * 40,
        smtp_port=int(port),
        ledger_url=ledger_url,
        smtp_connections=CONNECTIONS,
    )
    for line in sys.stdin:
        order, count, point = line.rstrip("\n").split(" ", 2)
        if order == "wait":
            say(f"ended {os.waitstatus_to_exitcode(os.waitpid(int(count), 0)[1])}")
            continue
        pid = os.fork()
        if pid == 0:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what it logs is not for our reader
            send(settings, int(sends), Killer(point, int(count)))
            os._exit(0)
        say(f"started {pid}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
