"""The inbox and the ledger of the made-up shop: twelve real MIME mails, one of somebody else, fifteen rows."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP

from sqlalchemy import insert

from core.ledger_tables import links, metadata, open_ledger, sends, suppressions
from core.settings import Settings
from core.tokens import TokenKind, Tokens
from tests.console.made_up import (
    DAY,
    LINK_ID,
    SUBJECTS,
    TARGET,
    WHY,
    mails,
    send_id,
)


def mail_bytes(settings: Settings, campaign: str, customer: str, locale: str, day: date) -> bytes:
    """Return a real multipart mail with tracked links, a pixel, a remote font and a remote picture."""
    number, tokens, base = send_id(campaign, customer, day), Tokens(settings.token_key), settings.tracking_url
    click = f"{base}/c/{tokens.sign(TokenKind.CLICK, number, LINK_ID)}"
    unsubscribe = f"{base}/u/{tokens.sign(TokenKind.UNSUBSCRIBE, number)}"
    message = EmailMessage(policy=SMTP.clone(max_line_length=998))
    message["From"] = settings.from_address
    message["To"] = f"Ada Lovelace <customer{customer}@example.com>"
    message["Subject"] = SUBJECTS[locale]
    message["Date"] = datetime(day.year, day.month, day.day, 22, 30, tzinfo=UTC)
    message["Message-ID"] = f"<{number}@juniper.example>"
    message["List-Unsubscribe"] = f"<{unsubscribe}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["X-Lapwing-Send"], message["X-Lapwing-Campaign"] = number, campaign
    message.set_content(f"Hello,\n\nBananas, $0.99\n{click}\n\nNo more mail: {unsubscribe}\n")
    message.add_alternative(
        f"""<!doctype html><html><head>
      <link href="https://fonts.example/css?family=Inter" rel="stylesheet">
      <style>@import url(https://fonts.example/inter); .hero {{ background: url(https://pictures.example/h.png) #0d6b60 }}</style>
      <script>fetch("{base}/o/run.gif")</script></head>
      <body style="margin:0;background:#f4f4f0;font-family:sans-serif">
      <div style="display:none;max-height:0">Back in stock and waiting for you\u200c \u200c</div>
      <table role="presentation" width="100%"><tr><td align="center">
      <table role="presentation" style="max-width:600px;width:100%;background:#fff"><tr><td class="hero" style="padding:32px;color:#fff">
      <h1 style="margin:0">{SUBJECTS[locale]}</h1></td></tr><tr><td style="padding:32px">
      <p>Bananas, 40 LB, $0.99</p><img src="https://pictures.example/bananas.png" alt="Bananas" width="200" height="120">
      <p><a id="shop" href="{click}" onclick="x()" style="background:#0d6b60;color:#fff;padding:12px 20px">To the shop</a></p>
      <p><a href="{unsubscribe}">No more mail</a></p></td></tr></table></td></tr></table>
      <form action="{base}/u/x"><button>go</button></form>
      <img src="{base}/o/{tokens.sign(TokenKind.OPEN, number)}.gif" width="1" height="1" alt=""></body></html>""",
        subtype="html",
    )
    return message.as_bytes()


def deliver_all(settings: Settings) -> dict[str, bytes]:
    """Put the 12 mails and one of somebody else into the Maildir; return the bytes by send."""
    for folder in ("new", "cur", "tmp"):
        (settings.inbox / folder).mkdir(parents=True)
    delivered = {}
    for number, (campaign, customer, locale, day) in enumerate(mails()):
        content = mail_bytes(settings, campaign, customer, locale, day)
        folder, flags = ("cur", ":2,S") if number == 0 else ("new", "")
        (settings.inbox / folder / f"1512428400.M{number}.juniper{flags}").write_bytes(content)
        delivered[send_id(campaign, customer, day)] = content
    (settings.inbox / "new" / "1512428401.other").write_bytes(b"Subject: not ours\r\n\r\nhello\r\n")
    return delivered


def keep_ledger(settings: Settings, delivered: dict[str, bytes]) -> None:
    engine = open_ledger(settings.ledger)
    metadata.create_all(engine)
    with engine.begin() as connection:
        for campaign, customer, _, day in [*mails(), ("restock", "1005", "de", DAY)]:
            number = send_id(campaign, customer, day)
            content = delivered.get(number)
            started = datetime(day.year, day.month, day.day, 22, 30, tzinfo=UTC)
            connection.execute(
                insert(sends).values(
                    send_id=number,
                    campaign_id=campaign,
                    step=1,
                    customer_id=customer,
                    as_of_date=day,
                    address=f"customer{customer}@example.com",
                    pseudonym="f" * 32,
                    domain="example.com",
                    send_at=started,
                    expires_at=started + timedelta(hours=24),
                    due_at=started,
                    state="sent" if content else "refused",
                    lease_id=1,
                    claimed_at=started + timedelta(seconds=1),
                    sending_at=started + timedelta(seconds=2),
                    ended_at=started + timedelta(seconds=3),
                    attempts=1,
                    reply="250 ok" if content else f"550 no such user customer{customer}@example.com",
                    message_digest=hashlib.sha256(content).hexdigest() if content else None,
                )
            )
        connection.execute(insert(links).values(link_id=LINK_ID, target=TARGET))
        connection.execute(
            insert(suppressions).values(
                customer_id="1001",
                pseudonym="f" * 32,
                reason="unsubscribed",
                send_id=WHY,
                suppressed_at=datetime(2017, 12, 4, 23, 9, tzinfo=UTC),
            )
        )
    engine.dispose()
