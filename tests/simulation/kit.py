"""An inbox with mails as `campaigns.message` builds them, for simulated readers to read."""

import mailbox
from email.message import EmailMessage
from email.policy import SMTP

from core.settings import Settings
from core.tokens import TokenKind
from tests.tracking.kit import LINK_ID, send_id_of, tokens_of

CAMPAIGNS = ("winback", "picked_for_you", "restock")


def fill_inbox(settings: Settings, mails_count: int, *, tracking_url: str) -> None:
    """Deliver one mail for each of the first `mails_count` sends to the Maildir."""
    box = mailbox.Maildir(settings.inbox)
    for number in range(mails_count):
        box.add(a_mail(settings, number, tracking_url))


def a_mail(settings: Settings, number: int, tracking_url: str) -> bytes:
    tokens, send_id = tokens_of(settings), send_id_of(number)
    link = f"{tracking_url}/c/{tokens.sign(TokenKind.CLICK, send_id, LINK_ID)}"
    pixel = f"{tracking_url}/o/{tokens.sign(TokenKind.OPEN, send_id)}.gif"
    leave = f"{tracking_url}/u/{tokens.sign(TokenKind.UNSUBSCRIBE, send_id)}"
    message = EmailMessage(policy=SMTP.clone(max_line_length=998))
    message["From"] = "Juniper Market <hello@juniper.example>"
    message["To"] = f"reader.{number}@example.com"
    message["Subject"] = "Your favourites are waiting"
    message["Message-ID"] = f"<{send_id}@juniper.example>"
    message["List-Unsubscribe"] = f"<{leave}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["X-Lapwing-Send"] = send_id
    message["X-Lapwing-Campaign"] = CAMPAIGNS[number % 3]
    message.set_content(f"Hello. Unsubscribe: {leave}")
    message.add_alternative(
        f'<p>Hello</p><a href="{link}">Ice cream</a> <a href="https://juniper.example/">shop</a>'
        f'<a href="{leave}">unsubscribe</a><img src="{pixel}" width="1" height="1" alt="">',
        subtype="html",
    )
    return message.as_bytes()
