"""What somebody wrote themselves: the text of a reply without our mail, the mails before it, and their signature."""

import re
from itertools import pairwise

from campaigns.bounces.mime import Part, read_source, shown_text
from core.logging import without_addresses

LONGEST = 1000
"""Characters of a reply that are kept."""
MOST_LINES = 200
LONGEST_LINE = 1000

OUR_LINK = r"/[copsu]/[\w-]{20,400}\.[\w-]{27}"
"""The end of a link of ours (`core.tokens`): nobody writes such a line, so our mail has begun above it."""

ATTRIBUTIONS = (
    r"(?:on|am|le|el)\b.{6,300}\b(?:wrote|schrieb|a écrit|escribió)\b.{0,200}:$",
    r".{0,300}(?:写道|寫道|のメール|に書きました|さんは書きました).{0,20}[:\uff1a]$",
    r"(?:from|von|de|发件人|寄件者|差出人) ?[:\uff1a].{0,300}\b(?:sent|date|gesendet|datum|envoyé|enviado|fecha|发送时间|日期|送信日時) ?[:\uff1a]",
)
"""What mail programs put above what they quote, in one line or broken into two."""

QUOTE_BEGINS = (
    *ATTRIBUTIONS,
    r"\d{4}[年/-].{4,200}<.{1,200}>[:\uff1a]$",
    r"[-_]{2,} ?(?:original message|ursprüngliche nachricht|message d'origine|mensaje original|原始邮件|元のメッセージ"
    r"|forwarded message|weitergeleitete nachricht|message transféré|mensaje reenviado)",
    r"_{20,}$",
    r"(?:from|von|de|发件人|寄件者|差出人) ?[:\uff1a].{0,200}[@<\[]",
    # a signature (RFC 3676, section 4.3), and what telephones add
    r"--$|sent from (?:my|yahoo|outlook|mail for) |get outlook for |von meinem .{1,40} gesendet|envoyé de mon |enviado desde mi |发自我的|iphoneから送信",
)
"""How the first line begins that the writer did not write."""

_ATTRIBUTION, _QUOTE_BEGINS = (
    re.compile("|".join(f"(?:{each})" for each in table), re.IGNORECASE)
    for table in (ATTRIBUTIONS, QUOTE_BEGINS)
)
_OUR_LINK = re.compile(OUR_LINK)
_QUOTED = re.compile(r"\s{0,3}(?:>|\|\s)")
_HTML_QUOTE = re.compile(
    rf"<blockquote\b|<[^<>]{{0,300}}(?:gmail_quote|divRplyFwdMsg|yahoo_quoted|moz-cite-prefix|{OUR_LINK})",
    re.IGNORECASE,
)


def own_words(parts: list[Part]) -> str:
    """Return what the writer of a mail wrote themselves, at most `LONGEST` characters of it, without addresses.

    Parameters
    ----------
    parts
        Of the mail, as `read_parts` finds them. Its plain text is read; where that says nothing, its HTML.
    """
    own = [part for part in parts if part.depth == 0]
    plain = "\n".join(read_source(part) for part in own if part.media_type == "text/plain")
    if words := _without_quotes(plain):
        return words
    html = next((part for part in own if part.media_type == "text/html"), None)
    return "" if html is None else _without_quotes(shown_text(_HTML_QUOTE.split(read_source(html), 1)[0]))


def _without_quotes(text: str) -> str:
    kept: list[str] = []
    lines = [" ".join(line[:LONGEST_LINE].split()) for line in text.splitlines()[:MOST_LINES]]
    for line, next_line in pairwise([*lines, ""]):
        bare = line.replace("*", "")
        if _QUOTE_BEGINS.match(bare) or _ATTRIBUTION.match(f"{bare} {next_line}") or _OUR_LINK.search(line):
            break
        if not _QUOTED.match(line):
            kept.append(_printable(line))
    return without_addresses("\n".join(kept).strip()[: 2 * LONGEST])[:LONGEST]


def _printable(line: str) -> str:
    return "".join(letter for letter in line if letter.isprintable())
