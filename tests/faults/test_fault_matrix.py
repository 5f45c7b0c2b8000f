"""Every stage of a conversation and every way to fail there ends in the state that docs/runbooks/send.md gives."""

import contextlib
from typing import Any

import pytest

from campaigns.dispatch import send_batch
from campaigns.ledger import SendState
from campaigns.mailers.smtp import SmtpMailer
from core.errors import SendingPaused
from core.settings import Settings
from tests.faults.ledger_kit import DAY, NOON, ledger_in, message_of
from tests.faults.scripted_smtp import Fault, ScriptedSmtp, Stage

PLANNED, DEFERRED, REFUSED, UNCERTAIN = (
    SendState.PLANNED, SendState.DEFERRED, SendState.REFUSED, SendState.UNCERTAIN,
)  # fmt: skip
SUPPRESSED = "refused, and the person suppressed"

FAULTS: dict[str, dict[str, Any]] = {
    "4xx": {"reply": "451 4.3.0 later"},
    "5xx": {"reply": "550 5.1.1 no such user"},
    "policy": {"reply": "550 5.7.1 we do not like you"},
    "421": {"reply": "421 4.3.2 shutting down", "closes": True},
    "drop": {"closes": True},
    "stall": {},
    "garbage": {"reply": "HTTP/1.1 400 Bad Request", "closes": True},
}

#             4xx       5xx        policy    421        drop       stall      garbage
MATRIX = {
    Stage.BANNER: (PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.EHLO: (PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.STARTTLS: (PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.AUTH: (PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.MAIL: (DEFERRED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.RCPT: (DEFERRED, SUPPRESSED, REFUSED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.DATA: (DEFERRED, REFUSED, REFUSED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.DOT: (DEFERRED, REFUSED, REFUSED, DEFERRED, UNCERTAIN, UNCERTAIN, UNCERTAIN),
}  # fmt: skip
NEEDED: dict[Stage, tuple[tuple[str, ...], dict[str, Any]]] = {
    Stage.STARTTLS: (("STARTTLS",), {"smtp_starttls": True}),
    Stage.AUTH: (("AUTH PLAIN",), {"smtp_username": "ada", "smtp_password": "x"}),
}
"""What a server offers and our settings ask for, so that a conversation comes to that stage."""
CELLS = [
    pytest.param(stage, fault, end, id=f"{stage}-{fault}")
    for stage, ends in MATRIX.items()
    for fault, end in zip(FAULTS, ends, strict=True)
]


def send_against(tmp_path, *faults, extensions=(), **more):
    """Send one mail to a server with faults; return (ledger, server). A pause is what unreachable servers end in."""
    stalls = {fault.stage for fault in faults if not fault.reply and not fault.closes}
    # Short only where the test waits for it to pass: a busy machine must not look like a silent server.
    patience: dict[str, Any] = {
        "reply_seconds": 0.5 if stalls - {Stage.DOT} else 20,
        "final_reply_seconds": 0.5 if Stage.DOT in stalls else 20,
    }
    ledger = ledger_in(tmp_path, 1)
    with ScriptedSmtp(*faults, extensions=extensions) as server:
        settings = Settings(
            _env_file=None, data_dir=tmp_path, token_key="k" * 40, smtp_port=server.port, **more
        )
        with (
            ledger.sender(tmp_path / "lock"),
            SmtpMailer(settings, **patience) as mailer,
            contextlib.suppress(SendingPaused),
        ):
            send_batch(ledger, mailer, message_of, pause_after_errors=1)
    return ledger, server


@pytest.mark.parametrize("pipelining", [(), ("PIPELINING",)], ids=["one command", "all commands"])
@pytest.mark.parametrize(("stage", "fault", "end"), CELLS)
def test_each_fault_at_each_stage_ends_in_the_documented_state(stage, fault, end, pipelining, tmp_path):
    offered, more = NEEDED.get(stage, ((), {}))
    offered = (*offered, *pipelining)
    ledger, server = send_against(tmp_path, Fault(stage, **FAULTS[fault]), extensions=offered, **more)
    assert server.faults[stage].seen >= 1  # the fault has struck
    state = SendState.REFUSED if end == SUPPRESSED else end
    assert ledger.states(DAY) == {state: 1}
    later = NOON.replace(hour=13)
    assert [p.customer_id for p in ledger.suppressed_before(later)] == (["c0"] if end == SUPPRESSED else [])
    assert server.messages == []


def test_a_line_lost_in_the_middle_of_the_body_leaves_the_mail_uncertain(tmp_path):
    ledger, server = send_against(tmp_path, Fault(Stage.BODY, closes=True))
    assert server.faults[Stage.BODY].seen == 1
    assert ledger.states(DAY) == {UNCERTAIN: 1}


def test_a_mail_taken_without_a_word_is_uncertain_and_not_sent_again(tmp_path):
    ledger, server = send_against(tmp_path, Fault(Stage.DOT, closes=True, takes=True))
    assert len(server.messages) == 1
    assert ledger.states(DAY) == {UNCERTAIN: 1}


@pytest.mark.parametrize(
    "reply", ["550 relay not permitted", "554 Relay access denied", "503 need MAIL first", "530 log in"]
)
def test_a_refusal_that_is_about_us_suppresses_nobody(tmp_path, reply):
    ledger, _ = send_against(tmp_path, Fault(Stage.RCPT, reply))
    assert ledger.states(DAY) == {REFUSED: 1}
    assert ledger.suppressed_before(NOON.replace(hour=13)) == []


def test_a_server_that_is_not_there_leaves_everything_planned(tmp_path, free_port):
    ledger = ledger_in(tmp_path, 3)
    settings = Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, smtp_port=free_port)
    with (
        ledger.sender(tmp_path / "lock"),
        SmtpMailer(settings) as mailer,
        pytest.raises(SendingPaused, match=rf"127\.0\.0\.1:{free_port}"),
    ):
        send_batch(ledger, mailer, message_of, pause_after_errors=2)
    assert ledger.states(DAY) == {PLANNED: 3}
