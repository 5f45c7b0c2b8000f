"""From the bytes of a person's reply to what is kept of it."""

import hashlib
import re

from campaigns.bounces.mailboxes import ReturnedMail
from campaigns.bounces.mime import Fields, first_mib, read_parts, read_words
from campaigns.bounces.proof import proven_reply
from campaigns.replies.intents import read_intent
from campaigns.replies.own_words import own_words
from campaigns.replies.reply import Reply
from core.tokens import Tokens

_OUR_MESSAGE_ID = re.compile(r"<([0-9a-f]{32})@")
_LONGEST_SUBJECT = 200


def read_reply(mail: ReturnedMail, tokens: Tokens) -> Reply | None:
    """Return what a letter says, if it is about a mail of ours. Never raises, whatever the bytes are.

    Nothing is kept of a letter that no token and no reference ties to a send, nor of a program's report.
    """
    parts = read_parts(mail.raw)
    fields = parts[0].fields
    if parts[0].media_type == "multipart/report":
        return None
    proven = proven_reply(mail.raw, parts, tokens)
    send_id = proven or _claimed(fields)
    if send_id is None:
        return None
    text = own_words(parts)
    reading = read_intent(text, read_words(fields.get("subject", ""))[:_LONGEST_SUBJECT])
    return Reply(
        reply_id=hashlib.sha256(first_mib(mail.raw)).hexdigest()[:16],
        intent=reading.intent,
        topic=reading.topic,
        language=reading.language,
        send_id=send_id,
        is_proven=proven is not None,
        text=text,
        received_at=mail.received_at,
    )


def _claimed(fields: Fields) -> str | None:
    """Return the send whose Message-ID a reply refers to. Whoever has seen one of our mails can write that."""
    referred = f"{fields.get('in-reply-to', '')} {fields.get('references', '')}"
    found = _OUR_MESSAGE_ID.search(referred)
    return found[1] if found else None
