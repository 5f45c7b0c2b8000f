"""The mailer that the settings name, and the messenger of every other channel."""

from campaigns.ledger import Evidence
from campaigns.mailers import Messenger
from campaigns.mailers.smtp import SmtpMailer
from core.settings import Settings


def mailer_of(settings: Settings, evidence: Evidence | None) -> Messenger:
    """Return the mailer of `LAPWING_MAILER`; `evidence` is the local inbox, where that is the server.

    Raises
    ------
    SettingsError
        If a setting that it needs is missing, or a secret would cross the network in clear.
    """
    if settings.mailer == "ses":
        from campaigns.mailers.ses import SesMailer

        return SesMailer(settings)
    if settings.mailer == "sendgrid":
        from campaigns.mailers.sendgrid import SendGridMailer

        return SendGridMailer(settings)
    return SmtpMailer(settings, evidence)


def webhook_of(settings: Settings) -> Messenger | None:
    """Return the messenger of what is no mail; None where the shop has no webhook.

    Raises
    ------
    SettingsError
        If a message would cross the network in clear, or unsigned.
    """
    if not settings.webhook_url:
        return None
    from campaigns.mailers.webhook import WebhookMessenger

    return WebhookMessenger(settings)
