"""How the mail of each campaign was taken lately: how much was sent, refused and complained about."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, select

from campaigns.sends import MAIL
from core.ledger_tables import IS_REFUSED, IS_SENT, UtcDateTime, audit_log, notices, sends, suppressions

WINDOW = timedelta(days=7)
RESUMED = "sending resumed"
"""The action in the audit log after which a campaign is counted anew."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The mail of a campaign that ended in the last 7 days, or since it was last resumed.

    `refused`: at the handover, or by a bounce that came later. `complaints`: people who called one of its mails spam.
    """

    campaign_id: str
    sent: int
    refused: int
    bounced: int
    complaints: int

    @property
    def complaint_share(self) -> float:
        return self.complaints / self.sent if self.sent else 0.0

    @property
    def refused_share(self) -> float:
        return (self.refused + self.bounced) / (self.sent + self.refused) if self.sent + self.refused else 0.0


def standings(connection: Connection, now: datetime) -> list[Standing]:
    """Return the standing of each campaign with mail in the window, by campaign_id."""
    begin = now - WINDOW
    lines = connection.execute(
        select(audit_log.c.subject, audit_log.c.happened_at)
        .where(audit_log.c.action == RESUMED, audit_log.c.happened_at >= begin)
        .order_by(audit_log.c.audit_id)
    )
    resumed = {str(line.subject): line.happened_at for line in lines}
    is_mail, since = sends.c.channel == MAIL, _begin_of(resumed, begin)
    in_window = is_mail, sends.c.ended_at >= begin, sends.c.ended_at >= since
    of_campaign = select(sends.c.campaign_id, func.count()).where(*in_window).group_by(sends.c.campaign_id)
    sent = _counted(connection, of_campaign.where(IS_SENT))
    refused = _counted(connection, of_campaign.where(IS_REFUSED))
    hard = notices.c.kind == "bounce", notices.c.severity == "hard"
    bounced = _counted(connection, of_campaign.where(IS_SENT, _came_back("bounced", *hard)))
    complaints = _counted(
        connection, of_campaign.where(_came_back("complained", notices.c.kind == "complaint"))
    )
    return [
        Standing(name, sent[name], refused[name], bounced[name], complaints[name])
        for name in sorted(sent.keys() | refused.keys() | complaints.keys())
    ]


def _came_back(reason: str, *such: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether a send was answered so, provably; also by somebody who gets no mail already for another reason."""
    answers = select(notices.c.send_id).where(notices.c.is_proven, *such)
    return sends.c.send_id.in_(
        answers.union(select(suppressions.c.send_id).where(suppressions.c.reason == reason))
    )


def _begin_of(resumed: dict[str, datetime], begin: datetime) -> ColumnElement[datetime]:
    """Return from when on the mail of a send's campaign counts."""
    first = literal(begin, UtcDateTime)
    if not resumed:
        return first
    moments = {name: literal(moment, UtcDateTime) for name, moment in resumed.items()}
    return case(moments, value=sends.c.campaign_id, else_=first)


def _counted(connection: Connection, query: Select[str, int]) -> Counter[str]:
    return Counter({str(row[0]): int(row[1]) for row in connection.execute(query)})
