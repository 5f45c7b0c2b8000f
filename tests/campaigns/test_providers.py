"""What Amazon SES and SendGrid are asked, and what their own answers mean."""

import base64
import time
from contextlib import closing

import pytest

from campaigns.mailers import Deferred, DeliveryRefused, DeliveryUncertain, ServerUnreachable
from campaigns.mailers.aws_signature import AwsKey
from campaigns.mailers.choice import mailer_of
from campaigns.mailers.sendgrid import SendGridMailer
from campaigns.mailers.ses import SesMailer
from campaigns.mailers.smtp import SmtpMailer
from core.errors import SettingsError
from core.settings import Settings, load_settings
from tests.campaigns.fake_providers import SENDGRID_KEY, SES_KEY, SES_SECRET, FakeSendGrid, FakeSes, Fault
from tests.campaigns.mailer_kit import hand_over, mail_to, more_of, sendgrid_settings, ses_settings

# Amazon's own examples: the Signature Version 4 test suite, get-vanilla, post-vanilla and post-x-www-form-urlencoded
SUITE = AwsKey(SES_KEY, SES_SECRET, "us-east-1", "service")
MOMENT = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "headers", "body", "signature"),
    [
        ("GET", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ("POST", FORM, b"Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ],
)
def test_requests_are_signed_as_amazons_examples_are(method, headers, body, signature):
    assert SUITE.authorization(method, "/", MOMENT | headers, body) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
        f" SignedHeaders={'content-type;' if headers else ''}host;x-amz-date, Signature={signature}"
    )


def test_ses_gets_the_message_as_it_is_and_our_return_address(tmp_path):
    with (
        FakeSes() as provider,
        closing(SesMailer(ses_settings(tmp_path, provider.url, ses_configuration_set="feedback"))) as mailer,
    ):
        mail = mail_to(0, sender="b-s0-mark@bounces.juniper.example")
        answers: dict = {}
        mailer.hand_over(more_of([mail]), answers.__setitem__)
    ((_, headers, order),) = provider.requests
    assert order == {
        "Destination": {"ToAddresses": ["b0@example.com"]},
        "FeedbackForwardingEmailAddress": "b-s0-mark@bounces.juniper.example",
        "ConfigurationSetName": "feedback",
        "Content": {"Raw": {"Data": base64.b64encode(mail.message).decode()}},
    }
    assert headers["host"] == provider.url.removeprefix("http://")
    assert answers == {mail: "200 m1"}


def test_sendgrid_neither_counts_clicks_nor_adds_links_and_knows_the_send(tmp_path):
    with (
        FakeSendGrid() as provider,
        closing(SendGridMailer(sendgrid_settings(tmp_path, provider.url))) as mailer,
    ):
        assert hand_over(mailer, 0) == ["202 m1"]
    ((_, _, order),) = provider.requests
    assert order["from"] == {"email": "hello@juniper.example", "name": "Juniper Märkte"}
    assert order["personalizations"][0]["custom_args"] == {"send_id": "s0", "campaign_id": "winback"}
    assert order["personalizations"][0]["headers"]["Message-ID"] == "<s0@juniper.example>"
    assert order["tracking_settings"] == {
        name: {"enable": False} for name in ("click_tracking", "open_tracking", "subscription_tracking")
    }


@pytest.mark.parametrize(
    ("status", "name", "error"),
    [
        (429, "TooManyRequestsException", Deferred),
        (400, "LimitExceededException", Deferred),
        (
            400,
            "ThrottlingException:http://internal.amazon.com/coral/com.amazon.coral.availability/",
            Deferred,
        ),
        (503, "ServiceUnavailable", Deferred),
        (400, "MessageRejected", DeliveryRefused),
        (400, "BadRequestException", DeliveryRefused),
        (400, "AccountSuspendedException", ServerUnreachable),
        (400, "SendingPausedException", ServerUnreachable),
        (400, "MailFromDomainNotVerifiedException", ServerUnreachable),
        (403, "InvalidClientTokenId", ServerUnreachable),
        (404, "NotFoundException", ServerUnreachable),
        (307, "", ServerUnreachable),
        (500, "InternalFailure", DeliveryUncertain),
        (504, "", DeliveryUncertain),
        (200, "", DeliveryUncertain),  # without the MessageId
    ],
)
def test_each_answer_of_ses_means_what_the_runbook_says(status, name, error, tmp_path):
    with FakeSes() as provider:
        provider.faults.append(Fault(status, '{"message":"so it is"}', name))
        with closing(SesMailer(ses_settings(tmp_path, provider.url))) as mailer:
            (answer,) = hand_over(mailer, 0)
    assert type(answer) is error
    assert "so it is" in str(answer)


TO, FROM = "personalizations.0.to.0.email", "from.email"


@pytest.mark.parametrize(
    ("status", "body", "error", "is_about_person"),
    [
        (400, f'{{"errors":[{{"message":"Does not contain a valid address.","field":"{TO}"}}]}}', DeliveryRefused, True),
        (400, f'{{"errors":[{{"message":"Does not contain a valid address.","field":"{FROM}"}}]}}', DeliveryRefused, False),
        (400, "<html>Bad Request</html>", DeliveryRefused, False),
        (413, '{"errors":[{"message":"too large","field":null}]}', DeliveryRefused, False),
        (401, '{"errors":[{"message":"The provided authorization grant is invalid","field":null}]}', ServerUnreachable, None),
        (429, '{"errors":[{"message":"too many requests","field":null}]}', Deferred, None),
        (503, "", Deferred, None),
        (500, "", DeliveryUncertain, None),
        (200, "", DeliveryUncertain, None),  # without a message id
    ],
)  # fmt: skip
def test_each_answer_of_sendgrid_means_what_the_runbook_says(status, body, error, is_about_person, tmp_path):
    with FakeSendGrid() as provider:
        provider.faults.append(Fault(status, body))
        with closing(SendGridMailer(sendgrid_settings(tmp_path, provider.url))) as mailer:
            (answer,) = hand_over(mailer, 0)
    assert type(answer) is error
    assert getattr(answer, "is_about_person", None) is is_about_person


def test_a_connection_that_the_provider_closed_meanwhile_is_renewed_without_a_word(tmp_path):
    with (
        FakeSendGrid() as provider,
        closing(SendGridMailer(sendgrid_settings(tmp_path, provider.url))) as mailer,
    ):
        provider.hangs_up = True
        for number in range(3):
            assert hand_over(mailer, number) == [f"202 m{number + 1}"]
            time.sleep(0.2)
    assert provider.connections == 3


@pytest.mark.parametrize("kind", ["ses", "sendgrid"])
def test_a_wrong_key_hands_nothing_over_and_is_not_repeated_in_the_error(kind, tmp_path):
    with {"ses": FakeSes, "sendgrid": FakeSendGrid}[kind]() as provider:
        wrong: Settings = (
            ses_settings(tmp_path, provider.url, ses_access_key_id="AKIDWRONG")
            if kind == "ses"
            else sendgrid_settings(tmp_path, provider.url, sendgrid_api_key="SG.wrong")
        )
        with closing(mailer_of(wrong, None)) as mailer:
            (answer,) = hand_over(mailer, 0)
    assert type(answer) is ServerUnreachable
    assert not any(secret in str(answer) for secret in ("AKIDWRONG", "SG.wrong", SES_SECRET))
    assert provider.taken == []


def test_the_setting_chooses_the_mailer(tmp_path, settings):
    kinds = {
        SmtpMailer: settings,
        SesMailer: ses_settings(tmp_path, ""),
        SendGridMailer: sendgrid_settings(tmp_path, ""),
    }
    for kind, chosen in kinds.items():
        with closing(mailer_of(chosen, None)) as mailer:
            assert type(mailer) is kind
    assert [mailer_server(kinds[kind]) for kind in (SesMailer, SendGridMailer)] == [
        "email.eu-west-1.amazonaws.com",
        "api.sendgrid.com",
    ]


def mailer_server(settings):
    with closing(mailer_of(settings, None)) as mailer:
        return mailer.server


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"mailer": "ses", "ses_secret_access_key": ""}, "LAPWING_SES_SECRET_ACCESS_KEY"),
        ({"mailer": "sendgrid", "sendgrid_api_key": ""}, "LAPWING_SENDGRID_API_KEY"),
        ({"mailer": "ses", "mailer_url": "http://mail.example"}, "https"),
        ({"mailer": "sendgrid", "dkim_keys": "keys/r2026.pem"}, "LAPWING_DKIM_KEYS"),
    ],
)
def test_a_setting_that_would_send_badly_stops_the_sender_before_the_first_mail(wrong, words, tmp_path):
    base = {"ses_region": "eu-west-1", "ses_access_key_id": SES_KEY, "ses_secret_access_key": SES_SECRET}
    values = base | {"sendgrid_api_key": SENDGRID_KEY} | wrong
    settings = Settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, **values)
    with pytest.raises(SettingsError, match=words):
        mailer_of(settings, None)


def test_a_replayed_day_is_never_handed_to_a_provider(tmp_path):
    with pytest.raises(SettingsError, match="LAPWING_MAILER"):
        load_settings(_env_file=None, data_dir=tmp_path, token_key="k" * 40, replay=True, mailer="sendgrid")


def test_a_stopped_sender_gives_up_a_request_that_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.setattr("campaigns.mailers.http.GRACE_SECONDS", 0.1)
    answers: dict = {}

    def one_and_stop(_: int) -> list:
        if provider.requests:
            raise KeyboardInterrupt
        return [mail_to(0)]

    with FakeSes() as provider:
        provider.faults.append(Fault(instead="stall"))
        began = time.monotonic()
        with closing(SesMailer(ses_settings(tmp_path, provider.url), reply_seconds=25)) as mailer:
            with pytest.raises(KeyboardInterrupt):
                mailer.hand_over(one_and_stop, answers.__setitem__)
            assert time.monotonic() - began < 15  # the provider is silent for longer
    assert answers == {}
