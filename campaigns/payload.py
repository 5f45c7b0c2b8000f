"""A message of another channel than mail as the bytes posted to the shop: the same input gives the same bytes."""

import json
from collections.abc import Mapping

from campaigns.facts import clean_facts
from campaigns.sends import DueSend


def build_payload(
    send: DueSend, text: str, locale: str, facts: Mapping[str, object] | str, unsubscribe_url: str
) -> bytes:
    """Return the JSON of a message: what it says, whom it is for by the shop's own number, until when it may be delivered.

    It holds no address and no telephone number: the shop knows where its customer is reached.
    """
    data = {
        "send_id": send.send_id,
        "campaign_id": send.campaign_id,
        "step": send.step,
        "channel": send.channel,
        "customer_id": send.customer_id,
        "locale": locale,
        "text": text,
        "facts": clean_facts(facts),
        "unsubscribe_url": unsubscribe_url,
        "expires_at": send.expires_at.isoformat(),
    }
    payload = {"type": f"message.{send.channel}", "timestamp": send.send_at.isoformat(), "data": data}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
