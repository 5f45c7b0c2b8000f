"""A test mail: one mail to somebody of the shop's own, marked as a test. The ledger hears nothing of it, and it counts nothing."""

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from email.utils import parseaddr
from uuid import uuid4

from campaigns.dkim import sign, signers_of
from campaigns.gallery import Facts, look
from campaigns.mailers import Mail, MailerError
from campaigns.mailers.choice import mailer_of
from campaigns.message import build_message
from campaigns.render import LinkAddresses
from core.errors import SettingsError
from core.settings import Settings

MARK = "X-Lapwing-Test: yes\r\n"


def send_trial(
    settings: Settings, campaign_id: str, step: str, facts: Facts, locale: str, *, to: str, now: datetime
) -> str:
    """Send a mail as the templates make it now to an address of `LAPWING_TEST_ADDRESSES`; return what the server said.

    Its links lead straight to the shop, without the tracking service; unsubscribing from it stops nobody's mail.

    Raises
    ------
    SettingsError
        If the address is not one of those; the message does not repeat it.
    CampaignInvalid
        If the mail cannot be made.
    MailerError
        If no server took it.
    """
    if to.lower() not in settings.test_address_list:
        raise SettingsError(
            "test mail goes to the addresses of LAPWING_TEST_ADDRESSES only; this is none of them"
        )
    base = settings.tracking_url.rstrip("/")
    targets = look(campaign_id, step, facts, locale).rendered.links
    addresses = LinkAddresses(
        click=targets.__getitem__,
        pixel="data:,",
        unsubscribe=f"{base}/u/test",  # no token of ours: the page says that there is nothing here
        preferences=f"{base}/p/test",
        survey=lambda stars: f"{base}/s/test{stars}",
        coupon=lambda: "CODE0-CODE0",
    )
    rendered = look(campaign_id, step, facts, locale, addresses).rendered
    message = build_message(
        rendered._replace(subject=f"[Test] {rendered.subject}"),
        send_id=f"test-{uuid4().hex}",
        campaign_id=campaign_id,
        sender=settings.from_address,
        recipient=to,
        send_at=now,
        unsubscribe_url=addresses.unsubscribe,
    )
    return _hand_over(settings, message, to, now)


def _hand_over(settings: Settings, message: bytes, to: str, now: datetime) -> str:
    signed = sign(MARK.encode() + message, signers_of(settings), now)
    waiting, answers = [Mail(parseaddr(settings.from_address)[1], to, signed)], list[str | MailerError]()

    def more(count: int) -> Sequence[Mail]:
        given = waiting[:count]
        del waiting[:count]
        return given

    with closing(mailer_of(settings, None)) as mailer:
        mailer.hand_over(more, lambda _mail, answer: answers.append(answer))
    if isinstance(answers[0], MailerError):
        raise answers[0]
    return answers[0]
