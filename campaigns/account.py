"""Answers for one send: its mail made again, and why this customer, this campaign, these products, now."""

import hashlib
import json
from typing import Any

from campaigns.making import Messages
from campaigns.run import open_sending_ledger
from core.errors import LedgerBroken
from core.published import Published
from core.settings import Settings


def account_of(settings: Settings, send_id: str) -> dict[str, Any]:
    """Return the plan row's reasons, where the send stands, and whether its mail made again has the same bytes.

    Raises
    ------
    LedgerBroken
        If the ledger knows no such send, or no plan has it.
    """
    send = open_sending_ledger(settings).find(send_id)
    if send is None:
        raise LedgerBroken(
            f"the ledger knows no send {send_id!r}; `lapwing send status` counts those there are"
        )
    message = Messages(settings)(send)
    rows = Published(settings.published).read("campaign_plan", send.as_of_date).to_pylist()
    row = next(row for row in rows if row["send_id"] == send_id)
    evidence, facts = json.loads(row["evidence"]), json.loads(row["facts"])
    matches = {True: "the same bytes", False: "DIFFERENT bytes", None: "not handed over yet"}
    same = hashlib.sha256(message).hexdigest() == send.message_digest if send.message_digest else None
    return {
        "send_id": send_id,
        "customer_id": send.customer_id,
        "campaign": f"{send.campaign_id}, step {send.step}, of {send.as_of_date}",
        "state": str(send.state),
        "ended_at": send.ended_at,
        "made again": matches[same],
        "why this customer": evidence["audience_rule"],
        "features": evidence["features"],
        "scores": [
            f"{score['name']} {score['value']} ({score['model_name']} {score['model_version']}, run {score['run_id']})"
            for score in evidence["scores"]
        ],
        "reasons": [reason["text"] for reason in evidence.get("reasons", [])],
        "why these products": [
            f"{product['name']}: {product['reason']} {product['reason_product_name'] or ''}".strip()
            for product in facts.get("products", [])
        ],
        "why now": f"send_at {row['send_at']} UTC, before the customer's usual hour",
        "verdict": f"{row['verdict']}, arm {row['arm']}, propensity {row['propensity']:.2f}",
        "template_version": row["template_version"],
    }
