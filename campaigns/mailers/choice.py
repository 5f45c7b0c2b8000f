"""The mailer that the settings name."""

from campaigns.ledger import Evidence
from campaigns.mailers import Mailer
from campaigns.mailers.smtp import SmtpMailer
from core.settings import Settings


def mailer_of(settings: Settings, evidence: Evidence | None) -> Mailer:
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
