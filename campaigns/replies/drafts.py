"""How an answer to a letter begins, for a person to finish and send. Nothing here sends anything."""

from email.utils import parseaddr

import yaml

from campaigns.replies.reply import Intent, Topic
from core.settings import PROJECT, Settings

DRAFTS = PROJECT / "email_templates" / "_replies" / "drafts.yml"


def draft(intent: Intent, topic: Topic | None, language: str, settings: Settings) -> str | None:
    """Return the draft for a complaint or a question, None for others; in the shop's language where the letter's has none."""
    if intent not in (Intent.COMPLAINT, Intent.QUESTION):
        return None
    drafts: dict[str, dict[str, str]] = yaml.safe_load(DRAFTS.read_text("utf-8"))
    words = drafts.get(language) or drafts.get(settings.shop_locale) or drafts["en"]
    shop, address = parseaddr(settings.from_address)
    closing = words["closing"].replace("{shop}", shop or address.partition("@")[2])
    return "\n\n".join((words["opening"], words[topic or intent], closing))
