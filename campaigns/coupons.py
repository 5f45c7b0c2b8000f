"""Coupons that mails give: made from the facts of a plan row, issued in the ledger with the send, never twice."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Connection, func, insert, select, text

from campaigns.sends import Coupon
from core.errors import LedgerBroken
from core.ledger_tables import coupons
from core.tokens import Tokens


def coupon_of(row: Mapping[str, str], tokens: Tokens) -> Coupon | None:
    """Return the coupon of a planned row, or None where its facts have no offer.

    The code is made from the send_id: the same mail always gives the same. It is valid to the end of the day (UTC) that the
    mail states.
    """
    offer = json.loads(row["facts"]).get("offer") if '"offer"' in row["facts"] else None
    if offer is None:
        return None
    return Coupon(
        code=tokens.coupon_code(row["send_id"]),
        send_id=row["send_id"],
        campaign_id=row["campaign_id"],
        customer_id=row["customer_id"],
        discount_percent=offer["discount_percent"],
        min_spend_cents=offer["min_spend_cents"],
        currency=offer["currency"],
        expires_at=datetime.combine(
            date.fromisoformat(offer["valid_until"]) + timedelta(days=1), time(), UTC
        ),
    )


def issue_coupons(
    connection: Connection, issued: Sequence[Coupon], limits: Mapping[str, int], now: datetime
) -> None:
    """Add coupons of sends that are new; one whose code or send is taken breaks the transaction.

    Raises
    ------
    LedgerBroken
        If a campaign would then have more valid coupons than `limits` says.
    """
    if not issued:
        return
    if connection.dialect.name == "postgresql":  # SQLite's transaction has the whole ledger to itself
        connection.execute(text("lock table coupons in share row exclusive mode"))
    still_valid = valid_coupons(connection, now)
    for campaign_id, count in Counter(coupon.campaign_id for coupon in issued).items():
        valid = still_valid.get(campaign_id, 0)
        if (limit := limits.get(campaign_id)) is not None and valid + count > limit:
            raise LedgerBroken(
                f"campaign {campaign_id!r} has {valid} valid coupons and may have {limit}; {count} more are planned. "
                "Build the plan again, which knows them"
            )
    connection.execute(insert(coupons), [asdict(coupon) | {"issued_at": now} for coupon in issued])


def valid_coupons(connection: Connection, moment: datetime) -> dict[str, int]:
    """Return campaign_id → how many of its coupons issued before a moment are valid after it."""
    query = (
        select(coupons.c.campaign_id, func.count())
        .where(coupons.c.issued_at <= moment, coupons.c.expires_at > moment)
        .group_by(coupons.c.campaign_id)
    )
    return {str(row[0]): int(row[1]) for row in connection.execute(query).all()}
