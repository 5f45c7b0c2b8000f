"""What is promised of every messenger: SMTP, Amazon SES, SendGrid and a webhook answer the same questions in the same words."""

import time
from collections import Counter
from contextlib import closing

import pytest

from campaigns.mailers import DeliveryRefused, Mail, MailerError, ServerUnreachable
from tests.campaigns.mailer_kit import (
    HTML,
    LONG_SECONDS,
    LOST,
    SHORT_SECONDS,
    TEXT,
    Trouble,
    error_of,
    hand_over,
    mail_to,
    message_to,
    more_of,
    world_of,
)

MAILERS = ("smtp", "ses", "sendgrid")


@pytest.fixture(params=[*MAILERS, "webhook"])
def kind(request):
    return request.param


@pytest.fixture
def world(kind, tmp_path):
    with world_of(kind, tmp_path) as world:
        yield world


@pytest.fixture
def trouble():
    """What the test lets happen; a test of several has a parameter of this name."""


@pytest.fixture
def mailer(world, trouble):
    with closing(
        world.mailer(seconds=SHORT_SECONDS if trouble is Trouble.SILENT else LONG_SECONDS)
    ) as mailer:
        yield mailer


@pytest.mark.parametrize("kind", MAILERS)
def test_each_mail_of_a_group_reaches_its_reader_once_and_whole(world, mailer):
    answers = hand_over(mailer, 0, 1, 2)
    assert [type(answer) for answer in answers] == [str] * 3
    taken = {mail.recipient: mail for mail in world.taken}
    assert len(world.taken) == len(taken) == 3
    for number in range(3):
        mail = taken[f"b{number}@example.com"]
        assert mail.subject == f"Wir vermissen dich, {number}"
        assert [(kind, text.replace("\r\n", "\n").removesuffix("\n")) for kind, text in mail.parts] == [
            ("text/plain", TEXT),
            ("text/html", HTML),
        ]
        assert mail.headers["List-Unsubscribe"] == f"<https://t.juniper.example/u/{'a' * 300}>"
        assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail.headers["X-Lapwing-Send"] == f"s{number}"
        assert mail.headers["Feedback-ID"] == "winback:2017-12-04:lifecycle:lapwing"


@pytest.mark.parametrize("trouble", Trouble)
def test_a_trouble_is_told_by_its_name_and_without_an_address(kind, world, mailer, trouble):
    world.strike(trouble)
    (answer,) = hand_over(mailer, 0)
    assert type(answer) is error_of(kind, trouble)
    assert "@" not in str(answer)
    assert str(answer).isprintable()
    assert len(world.taken) == (trouble in LOST)


def test_a_refusal_of_our_mail_is_not_about_the_person(world, mailer):
    world.strike(Trouble.NEVER)
    (answer,) = hand_over(mailer, 0)
    assert isinstance(answer, DeliveryRefused)
    assert answer.is_about_person is False


@pytest.mark.parametrize("trouble", Trouble)
def test_a_mail_in_trouble_does_not_touch_the_others_nor_the_next_group(kind, world, mailer, trouble):
    world.strike(trouble)
    answers = Counter(type(answer) for answer in hand_over(mailer, 0, 1, 2))
    assert answers == {str: 2, error_of(kind, trouble): 1}
    assert [type(answer) for answer in hand_over(mailer, 3, 4, 5)] == [str] * 3


def test_nobody_there_means_that_nothing_was_handed_over(kind, tmp_path):
    with world_of(kind, tmp_path) as world:
        mailer = world.mailer()
    with closing(mailer):
        (answer,) = hand_over(mailer, 0)
    assert isinstance(answer, ServerUnreachable)
    assert mailer.server in str(answer)


def test_groups_share_as_many_connections_as_they_have_mails(world):
    with closing(world.mailer(connections=3)) as mailer:
        assert mailer.at_once >= 3
        for first in (0, 3, 6):
            hand_over(mailer, first, first + 1, first + 2)
        assert len(world.taken) == 9
        assert world.connections == 3


def test_a_stopped_sender_waits_for_what_is_in_flight(kind, world, mailer):
    make = message_to if kind == "webhook" else mail_to
    answers: dict[Mail, str | MailerError] = {}

    def answered(mail, answer):
        answers[mail] = answer
        if len(answers) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mailer.hand_over(more_of([make(number) for number in range(3)]), answered)
    assert len(answers) == len(world.taken) == 3


@pytest.mark.parametrize("trouble", [Trouble.SILENT])
def test_a_silent_server_is_waited_for_only_so_long(world, mailer, trouble):
    world.strike(trouble)
    began = time.monotonic()
    hand_over(mailer, 0)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", MAILERS)
def test_no_mailer_but_the_local_inbox_can_tell_what_arrived(mailer):
    assert mailer.was_delivered("<s0@juniper.example>") is None
