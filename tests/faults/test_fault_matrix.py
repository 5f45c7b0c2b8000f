"""Every stage of a conversation and every way to fail there ends in the state that docs/runbooks/send.md gives."""

import contextlib
from functools import partial
from typing import Any

import pytest

from campaigns.dispatch import send_batch
from campaigns.ledger import SendState
from campaigns.mailers.smtp import SmtpMailer
from core.errors import SendingPaused
from core.settings import Settings
from tests.faults.ledger_kit import DAY, NOON, ledger_in, message_of, planned, send_id_of
from tests.faults.scripted_smtp import Fault, ScriptedSmtp, Stage

PLANNED, DEFERRED, REFUSED, UNCERTAIN, SENT = (
    SendState.PLANNED, SendState.DEFERRED, SendState.REFUSED, SendState.UNCERTAIN, SendState.SENT,
)  # fmt: skip
SUPPRESSED = "refused, and the person suppressed"

FAULTS: dict[str, dict[str, Any]] = {
    "4xx": {"reply": "451 4.3.0 later"},
    "5xx": {"reply": "550 5.1.1 no such user"},
    "policy": {"reply": "550 5.7.1 we do not like you"},
    "421": {"reply": "421 4.3.2 shutting down", "closes": True},
    "drop": {"closes": True},
    "stall": {},
    "half-close": {"half_closes": True},
    "garbage": {"reply": "HTTP/1.1 400 Bad Request", "closes": True},
}

#             4xx       5xx         policy    421        drop       stall      half-close garbage
MATRIX = {
    Stage.BANNER: (PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.EHLO: (PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.STARTTLS: (PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.AUTH: (PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.MAIL: (DEFERRED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.RCPT: (DEFERRED, SUPPRESSED, REFUSED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.DATA: (DEFERRED, REFUSED, REFUSED, PLANNED, PLANNED, PLANNED, PLANNED, PLANNED),
    Stage.BODY: (DEFERRED, REFUSED, REFUSED, DEFERRED, UNCERTAIN, UNCERTAIN, UNCERTAIN, UNCERTAIN),
    Stage.DOT: (DEFERRED, REFUSED, REFUSED, DEFERRED, UNCERTAIN, UNCERTAIN, UNCERTAIN, UNCERTAIN),
    Stage.QUIT: (SENT, SENT, SENT, SENT, SENT, SENT, SENT, SENT),
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
PIPELINING = pytest.mark.parametrize("together", [(), ("PIPELINING",)], ids=["one by one", "pipelining"])
"""Whether the server takes MAIL, RCPT and DATA in one go (RFC 2920)."""


def send_against(tmp_path, *faults, sends=1, size=2_000, extensions=(), people=None, pause=1, **more):
    """Send mail to a server with faults; return (ledger, server). A pause is what unreachable servers end in."""
    stalls = {
        fault.stage
        for fault in (*faults, *(people or {}).values())
        if not (fault.reply or fault.closes or fault.half_closes)
    }
    # Short only where the test waits for it to pass: a busy machine must not look like a silent server.
    patience: dict[str, Any] = {
        "reply_seconds": 0.5 if stalls - {Stage.BODY, Stage.DOT} else 20,
        "final_reply_seconds": 0.5 if stalls & {Stage.BODY, Stage.DOT} else 20,
    }
    ledger = ledger_in(tmp_path, sends)
    with ScriptedSmtp(*faults, extensions=extensions, people=people) as server:
        settings = Settings(
            _env_file=None, data_dir=tmp_path, token_key="k" * 40, smtp_port=server.port, **more
        )
        with (
            ledger.sender(tmp_path / "lock"),
            SmtpMailer(settings, **patience) as mailer,
            contextlib.suppress(SendingPaused),
        ):
            send_batch(ledger, mailer, partial(message_of, size=size), pause_after_errors=pause)
    return ledger, server


def suppressed(ledger):
    return [person.customer_id for person in ledger.suppressed_before(NOON.replace(hour=13))]


def test_the_matrix_has_ten_stages_and_seven_faults_and_policy():
    assert list(MATRIX) == list(Stage)
    assert (len(Stage), len(FAULTS)) == (10, 7 + 1)


@PIPELINING
@pytest.mark.parametrize(("stage", "fault", "end"), CELLS)
def test_each_fault_at_each_stage_ends_in_the_documented_state(stage, fault, end, together, tmp_path):
    offered, more = NEEDED.get(stage, ((), {}))
    ledger, server = send_against(
        tmp_path, Fault(stage, **FAULTS[fault]), extensions=(*offered, *together), **more
    )
    assert server.faults[stage].seen >= 1  # the fault has struck
    assert ledger.states(DAY) == {SendState.REFUSED if end == SUPPRESSED else end: 1}
    assert suppressed(ledger) == (["c0"] if end == SUPPRESSED else [])
    assert len(server.messages) == (end is SENT)


@pytest.mark.parametrize(
    ("stage", "end"),
    [(Stage.MAIL, PLANNED), (Stage.RCPT, PLANNED), (Stage.DATA, PLANNED), (Stage.DOT, UNCERTAIN)],
)
def test_a_reply_of_a_class_that_does_not_belong_there_is_nonsense_too(stage, end, tmp_path):
    ledger, _ = send_against(tmp_path, Fault(stage, "334 VXNlcm5hbWU6"))
    assert ledger.states(DAY) == {end: 1}


@PIPELINING
def test_what_one_person_meets_is_not_what_the_next_one_meets(together, tmp_path):
    faults = [
        Fault(Stage.RCPT, "450 4.2.2 mailbox full"),
        Fault(Stage.RCPT, "550 5.1.1 no such user"),
        Fault(Stage.RCPT, "550 5.7.1 we do not like you"),
        Fault(Stage.DATA, "451 4.3.0 later"),
        Fault(Stage.BODY, "552 5.3.4 too big"),
        Fault(Stage.DOT, "554 5.6.0 not this"),
        Fault(Stage.DOT, "250 2.0.0 taken, good night", closes=True, takes=True),
    ]
    people = {planned(number).address: fault for number, fault in enumerate(faults, start=1)}
    ends = [SENT, DEFERRED, REFUSED, REFUSED, DEFERRED, REFUSED, REFUSED, SENT, SENT]
    ledger, server = send_against(
        tmp_path, sends=len(ends), extensions=together, people=people, pause=9, smtp_connections=1
    )
    assert [fault.seen for fault in faults] == [1] * len(faults)
    assert [send.state for send in sorted(ledger.of_day(DAY), key=lambda send: send.customer_id)] == ends
    assert suppressed(ledger) == ["c2"]
    taken = sorted(recipient for _, recipient, _ in server.messages)
    assert taken == [planned(number).address for number, end in enumerate(ends) if end is SENT]


@pytest.mark.parametrize("struck", range(4))
@pytest.mark.parametrize(
    ("stage", "fault", "end"),
    [cell for cell in CELLS if cell.values[0] in (Stage.RCPT, Stage.DATA, Stage.BODY, Stage.DOT)],
)
def test_a_fault_that_strikes_one_of_several_mails_on_a_line_is_that_mail_s_alone(
    stage, fault, end, struck, tmp_path
):
    order = sorted(range(4), key=send_id_of)  # all but the first are announced behind the one before
    people = {planned(order[struck]).address: Fault(stage, **FAULTS[fault], times=1)}
    ledger, server = send_against(
        tmp_path, sends=4, extensions=("PIPELINING",), people=people, pause=9, smtp_connections=1
    )
    ends = dict.fromkeys(range(4), SENT)
    if end is not PLANNED:  # which is tried again at once, and there is no fault any more
        ends[order[struck]] = REFUSED if end == SUPPRESSED else end
    assert {int(send.customer_id[1:]): send.state for send in ledger.of_day(DAY)} == ends
    assert suppressed(ledger) == ([f"c{order[struck]}"] if end == SUPPRESSED else [])
    taken = sorted(recipient for _, recipient, _ in server.messages)
    assert taken == [planned(number).address for number, state in ends.items() if state is SENT]


def test_a_server_that_stops_reading_a_large_mail_is_not_waited_for_for_ever(tmp_path):
    ledger, server = send_against(tmp_path, Fault(Stage.BODY), size=20_000_000)
    assert server.faults[Stage.BODY].seen == 1
    assert ledger.states(DAY) == {UNCERTAIN: 1}


def test_a_large_mail_that_the_server_calls_taken_before_its_end_is_uncertain(tmp_path):
    ledger, _ = send_against(tmp_path, Fault(Stage.BODY, "250 2.0.0 taken"), size=20_000_000)
    assert ledger.states(DAY) == {UNCERTAIN: 1}


@pytest.mark.parametrize(
    "end", [{"closes": True}, {"half_closes": True}, {}], ids=["drop", "half-close", "stall"]
)
def test_a_mail_taken_without_a_word_is_uncertain_and_not_sent_again(end, tmp_path):
    ledger, server = send_against(tmp_path, Fault(Stage.DOT, takes=True, **end))
    assert len(server.messages) == 1
    assert ledger.states(DAY) == {UNCERTAIN: 1}


@pytest.mark.parametrize(
    "reply", ["550 relay not permitted", "554 Relay access denied", "503 need MAIL first", "530 log in"]
)
def test_a_refusal_that_is_about_us_suppresses_nobody(tmp_path, reply):
    ledger, _ = send_against(tmp_path, Fault(Stage.RCPT, reply))
    assert ledger.states(DAY) == {REFUSED: 1}
    assert suppressed(ledger) == []


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
