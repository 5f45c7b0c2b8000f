"""Tells machines from people at intake, so that neither user agent nor address has to be kept.

Judged from the request alone, by rules that are written here and in `docs/tracking.md`:

- a browser or mail program that says it only looks ahead (`Purpose`, `Sec-Purpose`, `X-Purpose`, `X-Moz`);
- no user agent, or the bare `Mozilla/5.0` with which Apple's Mail Privacy Protection loads every image of every
  mail, read or not;
- a user agent that names a crawler, a link scanner, a previewer or an HTTP library (`MACHINE_WORDS`, or "bot");
- an image proxy on a link: it loads pictures when a person opens a mail (so its open counts as that person's) and
  follows no link.

A scanner that pretends to be a browser is taken for a person; opens are therefore an upper bound.
"""

import re
from collections.abc import Mapping

MACHINE_WORDS = (
    # crawlers and previewers, by the words they use of themselves
    "crawl", "spider", "slurp", "preview", "facebookexternalhit", "whatsapp", "monitor", "validator",
    # scanners of mail gateways
    "barracuda", "mimecast", "proofpoint", "symantec", "trendmicro", "trend micro", "fortinet", "sophos",
    "forcepoint", "urlscan", "virustotal", "google-safety", "scanner",
    # libraries and browsers without a person
    "curl", "wget", "python", "httpx", "aiohttp", "go-http-client", "java/", "okhttp", "libwww", "headless",
    "phantomjs", "axios", "node-fetch", "ruby", "guzzle",
)  # fmt: skip
IMAGE_PROXIES = ("googleimageproxy", "yahoomailproxy")
LOOKS_AHEAD = re.compile(r"prefetch|prerender|preview", re.IGNORECASE)
AHEAD_HEADERS = ("purpose", "sec-purpose", "x-purpose", "x-moz")
APPLE_PRIVACY_PROXY = "mozilla/5.0"

_MACHINE = re.compile("(?<!cu)bot|" + "|".join(map(re.escape, MACHINE_WORDS)))  # CUBOT makes telephones


def is_machine(headers: Mapping[str, str], *, of_link: bool) -> bool:
    """Say whether a request came from a machine that acts on its own.

    Parameters
    ----------
    headers
        Header values by lower-case name; nothing of them is kept.
    of_link
        True for a click, False for the pixel. An unsubscribe is not judged: the one-click request comes from the
        mail provider's machine, on behalf of the person who pressed its button.
    """
    if any(LOOKS_AHEAD.search(headers.get(name, "")) for name in AHEAD_HEADERS):
        return True
    agent = headers.get("user-agent", "").strip().lower()
    if not agent or agent == APPLE_PRIVACY_PROXY:
        return True
    if any(proxy in agent for proxy in IMAGE_PROXIES):
        return of_link
    return _MACHINE.search(agent) is not None
