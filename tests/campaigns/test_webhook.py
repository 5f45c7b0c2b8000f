"""What goes to the shop's webhook: signed as Standard Webhooks has it, to nobody else, and what the shop's answers mean."""

import base64
import hashlib
import hmac
import json
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler

import pytest

from campaigns.mailers import Deferred, DeliveryRefused, ServerUnreachable
from campaigns.mailers.choice import webhook_of
from campaigns.mailers.webhook import WebhookMessenger
from campaigns.mailers.webhook_signature import keys_of, signatures
from core.errors import SettingsError
from core.settings import load_settings
from tests.campaigns.fake_providers import WEBHOOK_KEY, WEBHOOK_SECRET, FakeReceiver, Fault
from tests.campaigns.mailer_kit import hand_over, message_to, webhook_settings

OTHER_KEY = b"another key of 24 bytes."
OTHER_SECRET = "whsec_" + base64.b64encode(OTHER_KEY).decode()


@pytest.fixture
def receiver():
    with FakeReceiver() as receiver:
        yield receiver


@pytest.fixture
def messenger(receiver, tmp_path):
    settings = webhook_settings(tmp_path, f"{receiver.url}/lapwing?shop=juniper")
    with closing(WebhookMessenger(settings)) as messenger:
        yield messenger


def test_a_message_is_signed_as_the_libraries_of_the_standard_sign_their_example():
    # "TestSign" of github.com/standard-webhooks/standard-webhooks, the same in each of its libraries
    keys = keys_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = signatures(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_replaced_either_of_the_two_verifies(receiver, tmp_path):
    settings = webhook_settings(tmp_path, receiver.url, webhook_secrets=f"{OTHER_SECRET}, {WEBHOOK_SECRET}")
    with closing(WebhookMessenger(settings)) as messenger:
        assert hand_over(messenger, 0) == ["204 s0"]
    ((_, headers, _),) = receiver.requests
    body = message_to(0).message
    signed = b".".join([b"s0", headers["webhook-timestamp"].encode(), body])
    assert headers["webhook-signature"].split(" ") == [
        "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        for key in (OTHER_KEY, WEBHOOK_KEY)
    ]


def test_the_shop_gets_the_message_as_it_is_under_its_send_id_at_the_time_there_is(receiver, messenger):
    assert hand_over(messenger, 0) == ["204 s0"]
    ((path, headers, order),) = receiver.requests
    assert path == "/lapwing?shop=juniper"
    assert order == json.loads(message_to(0).message)
    assert (headers["webhook-id"], headers["content-type"]) == ("s0", "application/json")
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


def test_a_wrong_secret_hands_nothing_over(receiver, tmp_path):
    settings = webhook_settings(tmp_path, receiver.url, webhook_secrets=OTHER_SECRET)
    with closing(WebhookMessenger(settings)) as messenger:
        (answer,) = hand_over(messenger, 0)
    assert type(answer) is ServerUnreachable
    assert receiver.taken == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, Deferred),
        (500, Deferred),
        (502, Deferred),
        (503, Deferred),
        (504, Deferred),
        (400, DeliveryRefused),
        (413, DeliveryRefused),
        (422, DeliveryRefused),
        (401, ServerUnreachable),
        (403, ServerUnreachable),
        (404, ServerUnreachable),
        (410, ServerUnreachable),
        (307, ServerUnreachable),
    ],
)
def test_each_answer_means_what_the_runbook_says(status, error, receiver, messenger):
    receiver.faults.append(Fault(status, "so it is"))
    (answer,) = hand_over(messenger, 0)
    assert type(answer) is error
    assert str(answer) == f"{status} so it is"
    assert not getattr(answer, "is_about_person", False)
    assert receiver.taken == []


def test_what_is_tried_again_has_the_same_id_and_a_new_time(receiver, messenger):
    receiver.faults.append(Fault(instead="drop", takes=True))
    (first,) = hand_over(messenger, 0)
    assert type(first) is Deferred
    time.sleep(1.1)  # the time is told in whole seconds
    assert hand_over(messenger, 0) == ["204 s0"]
    before, after = (headers for _, headers, _ in receiver.requests)
    assert before["webhook-id"] == after["webhook-id"] == "s0"
    assert int(before["webhook-timestamp"]) < int(after["webhook-timestamp"])
    assert receiver.times == {"s0": 2}  # which is why a receiver has to count an id once


class Elsewhere(FakeReceiver):
    """Sends everybody on to another address."""

    target = ""

    def accept(self, asked: BaseHTTPRequestHandler, message_id: str) -> None:
        asked.send_response(307)
        asked.send_header("location", self.target)
        asked.send_header("content-length", "0")
        asked.end_headers()


def test_no_redirect_is_followed(receiver, tmp_path):
    with Elsewhere() as elsewhere:
        elsewhere.target = receiver.url
        with closing(WebhookMessenger(webhook_settings(tmp_path, elsewhere.url))) as messenger:
            (answer,) = hand_over(messenger, 0)
    assert type(answer) is ServerUnreachable
    assert receiver.requests == []


class Talker(FakeReceiver):
    """Says yes, and goes on talking: a megabyte at once, or a letter at a time."""

    said = 0

    def __init__(self, piece: bytes, pause: float) -> None:
        super().__init__()
        self._piece, self._pause = piece, pause

    def accept(self, asked: BaseHTTPRequestHandler, message_id: str) -> None:
        asked.send_response(200)
        asked.send_header("content-length", "1000000000")
        asked.end_headers()
        try:
            while not self.stopped.wait(self._pause):
                asked.wfile.write(self._piece)
                self.said += len(self._piece)
        except OSError:  # hung up on
            asked.close_connection = True


def test_of_an_endless_answer_only_the_beginning_is_read(tmp_path):
    with (
        Talker(b"x" * 100_000, 0.001) as talker,
        closing(WebhookMessenger(webhook_settings(tmp_path, talker.url))) as messenger,
    ):
        assert hand_over(messenger, 0) == ["200 s0"]
        time.sleep(0.2)
        assert talker.said < 50_000_000  # what sockets hold, of a gigabyte


def test_an_answer_that_drips_is_not_waited_for(tmp_path):
    with (
        Talker(b"x", 0.05) as talker,
        closing(WebhookMessenger(webhook_settings(tmp_path, talker.url), reply_seconds=0.5)) as messenger,
    ):
        began = time.monotonic()
        (answer,) = hand_over(messenger, 0)
        assert type(answer) is Deferred
        assert time.monotonic() - began < 5


def test_a_message_of_a_sender_that_died_may_be_handed_over_again(messenger):
    assert messenger.was_delivered("s0") is False


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"webhook_url": "http://shop.example/lapwing"}, "https"),
        ({"webhook_url": "https://lapwing:secret@shop.example/"}, "no login"),
        ({"webhook_secrets": ""}, "LAPWING_WEBHOOK_SECRETS"),
        ({"webhook_secrets": WEBHOOK_SECRET.removeprefix("whsec_")}, "LAPWING_WEBHOOK_SECRETS"),
        ({"webhook_secrets": "whsec_" + base64.b64encode(b"short").decode()}, "LAPWING_WEBHOOK_SECRETS"),
        ({"webhook_secrets": f"{WEBHOOK_SECRET},whsec_not base64"}, "LAPWING_WEBHOOK_SECRETS"),
    ],
)
def test_a_setting_that_would_send_badly_stops_the_sender_without_repeating_it(wrong, words, tmp_path):
    settings = webhook_settings(tmp_path, **({"url": "https://shop.example/"} | _renamed(wrong)))
    with pytest.raises(SettingsError, match=words) as raised:
        webhook_of(settings)
    assert "secret" not in str(raised.value).replace("secrets like", "")


def _renamed(wrong):
    return {"url" if name == "webhook_url" else name: value for name, value in wrong.items()}


def test_without_an_address_there_is_no_webhook(settings):
    assert webhook_of(settings) is None


@pytest.mark.parametrize(("url", "may"), [("https://shop.example/", False), ("http://127.0.0.1:9/", True)])
def test_a_replayed_day_is_told_to_this_machine_only(url, may, tmp_path):
    about = {"data_dir": tmp_path, "token_key": "k" * 40, "replay": True, "webhook_url": url}
    if may:
        assert load_settings(_env_file=None, **about).webhook_url == url
        return
    with pytest.raises(SettingsError, match="LAPWING_WEBHOOK_URL"):
        load_settings(_env_file=None, **about)
