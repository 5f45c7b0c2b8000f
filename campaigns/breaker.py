"""Stops a campaign that people complain about, or that servers refuse too often, before a provider stops us.

Gmail and Yahoo ask senders to stay below a complaint rate of 0.1 % and never to reach 0.3 % ("Email sender guidelines",
2024). A share of a few mails says nothing, so a pause also asks for a number: 1 complaint about 10 mails alerts, no more.
"""

from datetime import datetime, timedelta

from campaigns.ledger import Ledger
from campaigns.standings import WINDOW, Standing
from core.logging import get_logger

ALERT_SHARE = 0.001
PAUSE_SHARE = 0.003
LEAST_COMPLAINTS = 3
LEAST_REFUSALS = 10
EVERY = timedelta(minutes=1)
ALERT_EVERY = timedelta(days=1)
ACTOR, ALERT = "breaker", "complaints"


def reason_to_pause(standing: Standing, max_refused_share: float) -> str | None:
    """Return why a campaign is not to go on, or None.

    >>> reason_to_pause(Standing("winback", sent=1000, refused=0, bounced=0, complaints=3), 0.1)
    '3 complaints about 1,000 mails of the last 7 days (0.30 %)'
    >>> reason_to_pause(Standing("winback", sent=10, refused=0, bounced=0, complaints=1), 0.1)
    >>> reason_to_pause(Standing("winback", sent=80, refused=20, bounced=0, complaints=0), 0.1)
    '20 of 100 mails of the last 7 days refused (20.00 %)'
    """
    if standing.complaints >= LEAST_COMPLAINTS and standing.complaint_share >= PAUSE_SHARE:
        return complaint_words(standing)
    refused = standing.refused + standing.bounced
    if refused >= LEAST_REFUSALS and standing.refused_share > max_refused_share:
        return (
            f"{refused:,} of {standing.sent + standing.refused:,} mails of the last {WINDOW.days} days refused"
            f" ({standing.refused_share:.2%})".replace("%", " %")
        )
    return None


def complaint_words(standing: Standing) -> str:
    """Return how many have complained, in words."""
    return (
        f"{standing.complaints:,} complaint{'' if standing.complaints == 1 else 's'} about {standing.sent:,} mails"
        f" of the last {WINDOW.days} days ({standing.complaint_share:.2%})".replace("%", " %")
    )


class Breaker:
    """Looks at the campaigns of a ledger now and then, from inside a batch."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._looked_at: datetime | None = None

    def check(self) -> None:
        """Pause and alert where the standings say so; does nothing within a minute of the last look."""
        now = self._ledger.now()
        if self._looked_at is not None and now - self._looked_at < EVERY:
            return
        self._looked_at = now
        log = get_logger(__name__)
        for standing in self._ledger.standings(now):
            campaign_id = standing.campaign_id
            if reason := reason_to_pause(standing, self._ledger.limits.max_refused_share):
                if self._ledger.pause(campaign_id, actor=ACTOR, reason=reason):
                    log.warning("campaign paused", campaign_id=campaign_id, reason=reason)
            elif standing.complaint_share >= ALERT_SHARE and not self._ledger.has_audited(
                ALERT, campaign_id, now - ALERT_EVERY
            ):
                words = complaint_words(standing)
                self._ledger.audit(ACTOR, ALERT, campaign_id, words=words)
                log.warning("people complain about a campaign", campaign_id=campaign_id, words=words)
