"""Sending a batch: what the ledger says, what the server has, what is refused before it goes out."""

from collections import Counter
from datetime import timedelta

import pytest

from campaigns.dispatch import CLAIM_SIZE, send_batch
from campaigns.ledger import SendState
from campaigns.mailers import Deferred, DeliveryRefused, DeliveryUncertain, ServerUnreachable
from campaigns.mailers.local_inbox import running_inbox
from campaigns.mailers.smtp import SmtpMailer
from core.errors import CampaignInvalid, LapwingError, SendingPaused
from core.settings import Settings
from tests.faults.ledger_kit import DAY, NOON, MovableClock, ledger_in, message_of, planned, send_id_of


class Outbox:
    """A mailer that answers as told, in turn; the last answer stays. It keeps what it was handed."""

    server = "outbox"

    def __init__(self, *answers, connections=1):
        self.answers = list(answers)
        self.at_once = connections
        self.handed = []
        self.groups = []
        self.before = lambda recipient: None

    def hand_over(self, more, answered):
        while group := more(self.at_once):
            self.groups.append(len(group))
            for mail in group:
                self.before(mail.recipient)
                self.handed.append((mail.sender, mail.recipient, mail.message))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if isinstance(answer, KeyboardInterrupt):
                    raise answer
                answered(mail, answer)

    def was_delivered(self, message_id):
        return None

    def close(self):
        pass


@pytest.fixture
def sending(tmp_path):
    """Return (ledger, send): a ledger of n sends, and send_batch on it."""
    locks = []

    def make(number, clock=None):
        ledger = ledger_in(tmp_path, number, clock)
        lock = ledger.sender(tmp_path / "lock")
        lock.__enter__()
        locks.append(lock)

        def send(mailer, message=message_of, **options):
            options.setdefault("pause_after_errors", 3)
            return send_batch(ledger, mailer, message, **options)

        return ledger, send

    yield make
    for lock in locks:
        lock.__exit__(None, None, None)


def test_what_the_ledger_calls_sent_is_what_arrived_once_each(sending, tmp_path, free_port):
    ledger, send = sending(2 * CLAIM_SIZE + 7)
    settings = Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, smtp_port=free_port)
    with running_inbox(settings) as inbox:
        with SmtpMailer(settings, evidence=inbox) as mailer:
            assert send(mailer) == {SendState.SENT: 2 * CLAIM_SIZE + 7}
            assert send(mailer) == {}  # again: nothing new
        arrived = inbox.by_send()
    sent = ledger.in_state(SendState.SENT)
    assert len(sent) == 2 * CLAIM_SIZE + 7
    assert {row.send_id: 1 for row in sent} == {send_id: len(files) for send_id, files in arrived.items()}
    for row in sent[:5]:
        assert inbox.read(row.send_id) == [message_of(row)]
        assert row.reply.startswith("250 2.0.0 kept as")


def test_the_server_hears_of_a_mail_only_after_the_ledger_says_sending(sending):
    ledger, send = sending(3)
    seen = []
    outbox = Outbox("250 ok")
    outbox.before = lambda recipient: seen.append(Counter(s.state for s in ledger.of_day(DAY)))
    send(outbox)
    assert seen[0] == {SendState.SENDING: 1, SendState.CLAIMED: 2}
    assert seen[2] == {SendState.SENT: 2, SendState.SENDING: 1}


def test_a_group_is_as_large_as_the_mailer_can_hand_over_at_once(sending):
    ledger, send = sending(7)
    seen = []
    outbox = Outbox("250 ok", connections=3)
    outbox.before = lambda recipient: seen.append(Counter(s.state for s in ledger.of_day(DAY)))
    assert send(outbox) == {SendState.SENT: 7}
    assert outbox.groups == [3, 3, 1]
    assert seen[2] == {SendState.SENDING: 3, SendState.CLAIMED: 4}
    assert seen[3] == {SendState.SENT: 3, SendState.SENDING: 3, SendState.CLAIMED: 1}


def test_the_recipient_on_the_wire_is_the_one_in_the_ledger(sending):
    ledger, send = sending(4)
    outbox = Outbox("250 ok")
    send(outbox)
    assert sorted(recipient for _, recipient, _ in outbox.handed) == sorted(
        row.address for row in ledger.of_day(DAY)
    )
    assert {sender for sender, _, _ in outbox.handed} == {"hello@juniper.example"}


@pytest.mark.parametrize(
    ("answer", "state", "suppressed"),
    [
        ("250 ok", SendState.SENT, []),
        (DeliveryRefused("550 5.1.1 unknown", is_about_person=True), SendState.REFUSED, ["refused"]),
        (DeliveryRefused("554 5.7.1 spam", is_about_person=False), SendState.REFUSED, []),
        (Deferred("451 later"), SendState.DEFERRED, []),
        (DeliveryUncertain("connection lost"), SendState.UNCERTAIN, []),
    ],
)
def test_each_answer_of_a_mailer_ends_in_its_state(sending, answer, state, suppressed):
    ledger, send = sending(1)
    assert send(Outbox(answer)) == {state: 1}
    assert ledger.states(DAY) == {state: 1}
    assert [p.reason for p in ledger.suppressed_before(NOON + timedelta(1))] == suppressed
    assert ledger.in_state(state)[0].reply == str(answer)


def test_an_unreachable_server_pauses_the_batch_and_leaves_all_planned(sending):
    ledger, send = sending(5)
    outbox = Outbox(ServerUnreachable("connection refused"))
    with pytest.raises(SendingPaused, match=r"after 3 errors in a row, the last: connection refused"):
        send(outbox)
    assert len(outbox.handed) == 3
    assert ledger.states(DAY) == {SendState.PLANNED: 5}


def test_a_server_that_comes_back_gets_everything_in_the_same_batch(sending):
    ledger, send = sending(5)
    outbox = Outbox(ServerUnreachable("x"), ServerUnreachable("x"), "250 ok")
    assert send(outbox) == {SendState.SENT: 5}
    assert max(row.attempts for row in ledger.of_day(DAY)) == 2


def test_refusals_of_people_never_pause_but_refusals_of_our_mail_do(sending):
    ledger, send = sending(12)
    assert send(Outbox(DeliveryRefused("550", is_about_person=True)))[SendState.REFUSED] == 12
    ledger.enqueue([planned(number) for number in range(100, 112)], {})
    with pytest.raises(SendingPaused):
        send(Outbox(DeliveryRefused("554 5.7.1 blocked", is_about_person=False)))
    assert ledger.states(DAY) == {SendState.REFUSED: 15, SendState.PLANNED: 9}


def test_a_server_that_swallows_mails_and_hangs_up_does_not_swallow_the_whole_batch(sending):
    ledger, send = sending(12)
    with pytest.raises(SendingPaused):
        send(Outbox(DeliveryUncertain("connection lost")))
    assert ledger.states(DAY) == {SendState.UNCERTAIN: 3, SendState.PLANNED: 9}


def test_a_template_that_breaks_stops_before_anything_of_its_group_goes_out(sending):
    ledger, send = sending(3)
    broken = sorted(send_id_of(number) for number in range(3))[1]

    def message(row):
        if row.send_id == broken:
            raise CampaignInvalid("campaign 'winback' needs 'first_name'")
        return message_of(row)

    outbox = Outbox("250 ok", connections=2)
    with pytest.raises(CampaignInvalid, match="first_name"):
        send(outbox, message)
    assert outbox.handed == []
    assert ledger.states(DAY) == {SendState.PLANNED: 3}
    assert send(outbox) == {SendState.SENT: 3}  # mended: a second run simply works


def test_a_break_in_a_later_group_leaves_the_earlier_mails_sent(sending):
    ledger, send = sending(CLAIM_SIZE + 5)
    last = max(send_id_of(number) for number in range(CLAIM_SIZE + 5))
    with pytest.raises(ZeroDivisionError):
        send(Outbox("250 ok", connections=8), lambda row: message_of(row) if row.send_id != last else 1 / 0)
    assert ledger.states(DAY) == {SendState.SENT: CLAIM_SIZE, SendState.PLANNED: 5}


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        (b"To: ", b"To: someone.else@example.com, ", "not addressed to the customer"),
        (b"reader.", b"Reader.", "not addressed to the customer"),
        (b"Subject:", b"Cc: someone.else@example.com\r\nSubject:", "not addressed to the customer"),
        (b"Subject:", b"bcc: someone.else@example.com\r\nSubject:", "not addressed to the customer"),
        (b"Subject:", b"To: reader.0@example.com\r\nSubject:", "not addressed to the customer"),
        (b"From: Juniper Market <hello@juniper.example>", b"From: us", "one From address"),
        (b"Message-ID:", b"X-Other:", "one Message-ID"),
        (b"X-Lapwing-Send: ", b"X-Lapwing-Send: f", "does not carry that send_id"),
        (b".dot\r\n", b".dot\n", "bare CR or LF"),
    ],
)
def test_a_message_for_anybody_else_is_refused_before_it_goes_out(sending, before, after, fault):
    ledger, send = sending(1)
    outbox = Outbox("250 ok")
    with pytest.raises(CampaignInvalid, match=fault) as refused:
        send(outbox, lambda row: message_of(row).replace(before, after))
    assert "example.com" not in str(refused.value)
    assert outbox.handed == []
    assert ledger.states(DAY) == {SendState.PLANNED: 1}


def test_a_folded_recipient_header_is_read_as_mail_programs_read_it(sending):
    _, send = sending(1)
    folded = b'To: "Ada, of =?utf-8?q?M=C3=BCnchen?="\r\n <'
    assert send(Outbox("250 ok"), lambda row: message_of(row).replace(b"To: ", folded).replace(
        b"example.com\r\n", b"example.com>\r\n"
    )) == {SendState.SENT: 1}  # fmt: skip


def test_somebody_who_unsubscribes_while_the_mail_before_hers_goes_out_gets_none(sending):
    ledger, send = sending(10)
    people = sorted((send_id_of(number), number) for number in range(10))

    def unsubscribe_the_next(recipient):
        sent = next(i for i, (_, n) in enumerate(people) if recipient == f"reader.{n}@example.com")
        if sent + 1 < len(people):
            number = people[sent + 1][1]
            ledger.suppress(f"c{number}", f"p{number}", "unsubscribed")

    outbox = Outbox("250 ok")
    outbox.before = unsubscribe_the_next
    assert send(outbox) == {SendState.SENT: 5, SendState.SUPPRESSED: 5}
    assert [recipient for _, recipient, _ in outbox.handed] == [
        f"reader.{number}@example.com" for _, number in people[::2]
    ]


def test_who_unsubscribes_while_her_group_goes_out_gets_that_mail_still_and_the_next_group_is_asked(sending):
    ledger, send = sending(6)
    people = sorted((send_id_of(number), number) for number in range(6))

    def unsubscribe_two(recipient):
        for _, number in (people[2], people[3]):
            ledger.suppress(f"c{number}", f"p{number}", "unsubscribed")

    outbox = Outbox("250 ok", connections=3)
    outbox.before = unsubscribe_two
    assert send(outbox) == {SendState.SENT: 5, SendState.SUPPRESSED: 1}
    assert outbox.groups == [3, 2]
    assert ledger.find(people[3][0]).state is SendState.SUPPRESSED


@pytest.mark.parametrize("connections", [1, 4])
def test_a_person_with_two_mails_due_gets_no_second_one_after_her_mailbox_refused(sending, connections):
    ledger, send = sending(0)
    ledger.enqueue([planned(1), planned(1, day=DAY - timedelta(1))], {})
    outbox = Outbox(DeliveryRefused("550 5.1.1 unknown", is_about_person=True), connections=connections)
    assert send(outbox) == {SendState.REFUSED: 1, SendState.SUPPRESSED: 1}
    assert len(outbox.handed) == 1


def test_stopping_by_hand_leaves_one_uncertain_mail_and_repeats_none(sending):
    ledger, send = sending(5)
    outbox = Outbox("250 ok", "250 ok", KeyboardInterrupt(), "250 ok")
    with pytest.raises(KeyboardInterrupt):
        send(outbox)
    assert ledger.states(DAY) == {SendState.SENT: 2, SendState.UNCERTAIN: 1, SendState.PLANNED: 2}
    assert send(outbox) == {SendState.SENT: 2}
    assert len({recipient for _, recipient, _ in outbox.handed}) == len(outbox.handed) == 5


def test_of_a_group_stopped_half_way_what_was_answered_is_known_and_the_rest_uncertain(sending):
    ledger, send = sending(7)
    outbox = Outbox("250 ok", Deferred("451 later"), KeyboardInterrupt(), "250 ok", connections=4)
    with pytest.raises(KeyboardInterrupt):
        send(outbox)
    assert ledger.states(DAY) == {
        SendState.SENT: 1,
        SendState.DEFERRED: 1,
        SendState.UNCERTAIN: 2,
        SendState.PLANNED: 3,
    }
    assert {s.reply for s in ledger.in_state(SendState.UNCERTAIN)} == {
        "the sender stopped with this mail in flight: KeyboardInterrupt()"
    }


def test_only_the_mails_of_the_day_asked_for_go_out_and_none_early(sending):
    clock = MovableClock()
    ledger, send = sending(2, clock)
    yesterday = DAY - timedelta(1)
    ledger.enqueue([planned(3, day=yesterday), planned(4, send_at=NOON + timedelta(hours=2))], {})
    assert send(Outbox("250 ok"), as_of=DAY) == {SendState.SENT: 2}
    assert ledger.states(yesterday) == {SendState.PLANNED: 1}
    clock.move(timedelta(hours=2))
    assert send(Outbox("250 ok"), as_of=DAY) == {SendState.SENT: 1}


def test_progress_is_told_after_each_mail(sending):
    _, send = sending(3)
    told = []
    send(Outbox("250 ok"), progress=lambda counts: told.append(counts.total()))
    assert told == [1, 2, 3]


def test_every_error_of_a_mailer_is_one_lapwing_can_name():
    errors = [ServerUnreachable("x"), Deferred("x"), DeliveryUncertain("x")]
    assert all(isinstance(error, LapwingError) for error in errors)
